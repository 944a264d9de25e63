//! The paths that stand in the tokens of a file, in `use` and elsewhere, and inside macros.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path, and where it stands.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// Its names, as written: `["super", "words", "key"]`. Groups are spread out, generics end it.
    pub(crate) names: &'a [String],
    /// The module that it stands in, from the root of the crate on.
    pub(crate) module: &'a [String],
    /// The line.
    pub(crate) line: usize,
}

impl Found<'_> {
    /// The path from the root of the crate on, if it begins inside the crate.
    pub(crate) fn rooted(&self) -> Option<Vec<String>> {
        let mut names = self.names;
        let mut base = match names.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.to_vec(),
            _ => return None,
        };
        if names[0] != "super" {
            names = &names[1..];
        }
        while let [first, rest @ ..] = names
            && first == "super"
        {
            base.pop()?;
            names = rest;
        }
        Some([&base, names].concat())
    }
}

/// Calls `found` with every path in the tokens of `module`, but for what is compiled for tests alone.
pub(crate) fn scan(text: &str, module: &[String], found: &mut dyn FnMut(&Found<'_>)) {
    scan_tokens(text.parse().expect("a file that compiles"), module, found);
}

fn scan_tokens(tokens: TokenStream, module: &[String], found: &mut dyn FnMut(&Found<'_>)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    while let Some((token, after)) = rest.split_first() {
        rest = after;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' && is_for_tests(rest) => {
                rest = after_item(rest);
            }
            TokenTree::Ident(keyword) if keyword == "mod" => {
                if let [TokenTree::Ident(name), TokenTree::Group(body), after @ ..] = rest {
                    let inner = [module, &[name.to_string()]].concat();
                    scan_tokens(body.stream(), &inner, found);
                    rest = after;
                }
            }
            TokenTree::Ident(first) => {
                let line = first.span().start().line;
                let found = &mut |names: &[String]| found(&Found { names, module, line });
                rest = spread(vec![first.to_string()], rest, found);
            }
            TokenTree::Group(group) => scan_tokens(group.stream(), module, found),
            _ => {}
        }
    }
}

/// Tells `found` of all paths that begin with `names` and go on with `tokens`. Returns what follows.
fn spread<'a>(
    mut names: Vec<String>,
    tokens: &'a [TokenTree],
    found: &mut dyn FnMut(&[String]),
) -> &'a [TokenTree] {
    let is =
        |token: &TokenTree, sign| matches!(token, TokenTree::Punct(it) if it.as_char() == sign);
    let (next, after) = match tokens {
        [one, two, next, after @ ..] if is(one, ':') && is(two, ':') => (next, after),
        _ => {
            found(&names);
            return tokens;
        }
    };
    match next {
        TokenTree::Ident(name) => {
            names.push(name.to_string());
            spread(names, after, found)
        }
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let items: Vec<TokenTree> = group.stream().into_iter().collect();
            for item in items.split(|token| is(token, ',')) {
                if let Some((first, after)) = item.split_first() {
                    spread([&names[..], &[first.to_string()]].concat(), after, found);
                }
            }
            after
        }
        _ => {
            found(&names);
            &tokens[2..]
        }
    }
}

/// Whether an attribute comes next that leaves its item to tests.
fn is_for_tests(rest: &[TokenTree]) -> bool {
    let Some(TokenTree::Group(group)) = rest.first() else { return false };
    group.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// What follows the item that these tokens, its attributes first, begin with.
fn after_item(rest: &[TokenTree]) -> &[TokenTree] {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    let end = rest.iter().position(ends).map_or(rest.len(), |end| end + 1);
    &rest[end..]
}

#[test]
fn paths_are_seen_wherever_they_stand() {
    let text = r#"
        use crate::history::{Event, moment::{self, Moment}};
        use crate::{model::Model, Verdict as Answer};
        use super::super::words;
        #[cfg(test)]
        use crate::generate::Plan;
        fn shown() -> String { format!("{}", crate::value::shown::<u8>()) }
        pub(in crate::engines) mod inner {
            use super::super::{super::formats, neighbour};
        }
        #[cfg(test)]
        mod tests { use crate::recorder::Recorder; }
    "#;
    let module = ["engines".to_owned(), "zones".to_owned()];
    let mut seen = Vec::new();
    scan(text, &module, &mut |path| seen.extend(path.rooted().map(|names| names.join("::"))));
    let expected = [
        "history::Event",
        "history::moment::self",
        "history::moment::Moment",
        "model::Model",
        "Verdict",
        "words",
        "value::shown",
        "engines",
        "formats",
        "engines::neighbour",
    ];
    assert_eq!(seen, expected);
}
