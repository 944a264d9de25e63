//! The attribute `#[partita_nemesis::test]`, which gives an ordinary test a lab.
//!
//! It leaves the function as it was written, inside a test of the same name that hands it to
//! `partita_nemesis::testing`, which has the documentation.

use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};

/// A test in a lab of its own; see `partita_nemesis::testing`.
///
/// Arguments: `nodes = 3` or `nodes = ["a", "b"]`, `clocks`, `disks`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match setup(arguments).and_then(|setup| wrapped(&setup, &item)) {
        Ok(test) => test,
        Err(Refusal { what, at }) => {
            let error: TokenStream = format!("::core::compile_error!({what:?});")
                .parse()
                .expect("an expression that compiles");
            error.into_iter().map(|token| with_span(token, at)).collect()
        }
    }
}

/// Why there is no such test, and where that was written.
struct Refusal {
    what: &'static str,
    at: Span,
}

fn with_span(mut token: TokenTree, at: Span) -> TokenTree {
    token.set_span(at);
    token
}

/// The calls on a `Setup` that the arguments stand for.
fn setup(arguments: TokenStream) -> Result<String, Refusal> {
    const EXPECTED: &str =
        "expected `nodes = 3`, `nodes = [\"a\", \"b\"]`, `clocks` or `disks`, joined by commas";
    let mut calls = String::new();
    let mut tokens = arguments.into_iter();
    while let Some(token) = tokens.next() {
        let at = token.span();
        let refuse = |at| Err(Refusal { what: EXPECTED, at });
        match token.to_string().as_str() {
            "clocks" => calls.push_str(".clocks()"),
            "disks" => calls.push_str(".disks()"),
            "nodes" => {
                let is_equals = |token: &TokenTree| token.to_string() == "=";
                if !tokens.next().is_some_and(|token| is_equals(&token)) {
                    return refuse(at);
                }
                match tokens.next() {
                    Some(TokenTree::Literal(count)) => calls += &format!(".nodes({count})"),
                    Some(TokenTree::Group(names)) if names.delimiter() == Delimiter::Bracket => {
                        calls += &format!(".named(&{names})");
                    }
                    _ => return refuse(at),
                }
            }
            _ => return refuse(at),
        }
        match tokens.next() {
            None => {}
            Some(comma) if comma.to_string() == "," => {}
            Some(other) => return refuse(other.span()),
        }
    }
    Ok(calls)
}

/// The function within the test that runs it.
fn wrapped(setup: &str, item: &TokenStream) -> Result<TokenStream, Refusal> {
    let tokens: Vec<TokenTree> = item.clone().into_iter().collect();
    let is = |place: usize, word: &str| matches!(tokens.get(place), Some(TokenTree::Ident(ident)) if ident.to_string() == word);
    let refuse = |what| Refusal { what, at: Span::call_site() };
    let place = (0..tokens.len()).find(|&place| is(place, "fn"));
    let place = place.ok_or_else(|| refuse("`#[partita_nemesis::test]` is for functions"))?;
    let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(parameters))) =
        (tokens.get(place + 1), tokens.get(place + 2))
    else {
        return Err(refuse("a test has no generic parameters"));
    };
    // Attributes such as `#[ignore]` are for the test; the function keeps what comes after them.
    let mut begins = 0;
    while let [TokenTree::Punct(hash), TokenTree::Group(_), ..] = &tokens[begins..]
        && hash.as_char() == '#'
    {
        begins += 2;
    }
    let is_async = (begins..place).any(|place| is(place, "async"));
    let (pattern, argument) =
        if parameters.stream().is_empty() { ("_", "") } else { ("lab", "lab") };
    let call = format!("{}({argument})", raw(name));
    let call = match is_async {
        true => format!("::partita_nemesis::testing::block_on({call})"),
        false => call,
    };
    let body = format!(
        "::partita_nemesis::testing::run(\
             ::core::module_path!(), ::core::stringify!({name}), \
             &::partita_nemesis::testing::Setup::default(){setup}, |{pattern}| {call})"
    );
    let mut block: TokenStream = tokens[begins..].iter().cloned().collect();
    block.extend(parsed(&body).into_iter().map(|token| with_span(token, name.span())));
    let mut test = parsed("#[::core::prelude::v1::test]");
    test.extend(tokens[..begins].iter().cloned());
    test.extend(parsed("fn"));
    test.extend([TokenTree::Ident(name.clone())]);
    test.extend(parsed("()"));
    test.extend([TokenTree::Group(proc_macro::Group::new(Delimiter::Brace, block))]);
    Ok(test)
}

/// The name as a path has it.
fn raw(name: &Ident) -> String {
    name.to_string()
}

fn parsed(text: &str) -> TokenStream {
    text.parse().expect("text that is Rust")
}
