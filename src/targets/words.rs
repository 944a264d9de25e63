//! Words in which placeholders stand for what belongs to a node or to all of them.

use std::collections::BTreeMap;

use partita_workloads::client::template::fill;

/// What placeholders stand for.
pub(super) type Names = BTreeMap<String, String>;

/// The beginning of a placeholder for all nodes: `{nodes:SEPARATOR:WORD}`.
const ALL: &str = "{nodes:";

/// What a word may hold besides placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Braces {
    /// No brace at all.
    Never,
    /// Braces, as long as what is in them does not look like a placeholder: those of JSON, say.
    Anywhere,
}

/// `word` with what `own` has for its placeholders. `{nodes:,:{node}={ip}}` becomes the word behind the
/// second colon once for each of `all`, joined by what stands before it.
pub(super) fn expand(word: &str, own: &Names, all: &[Names]) -> String {
    let Some((before, joined, after)) = split(word) else { return fill(word, own) };
    let each = all.iter().map(|names| fill(joined.word, names));
    let joined = each.collect::<Vec<_>>().join(joined.separator);
    fill(before, own) + &joined + &expand(after, own, all)
}

/// The first placeholder of `word` that is not known, or what else makes none of a brace.
pub(super) fn unknown(
    word: &str,
    is_known: &dyn Fn(&str) -> bool,
    braces: Braces,
) -> Option<String> {
    if let Some((before, joined, after)) = split(word) {
        let parts = [before, joined.word, after];
        return parts.into_iter().find_map(|part| unknown(part, is_known, braces));
    }
    let mut rest = word;
    while let Some(place) = rest.find(['{', '}']) {
        let name = rest[place..].strip_prefix('{').and_then(|it| it.split_once('}'));
        let placeholder = name.filter(|(name, _)| looks_like_one(name));
        rest = match placeholder {
            Some((name, after)) if is_known(name) => after,
            Some((name, _)) => return Some(format!("{{{name}}}")),
            None if braces == Braces::Never => return Some(rest[place..].to_owned()),
            None => &rest[place + 1..],
        };
    }
    None
}

/// Whether it could be a placeholder's name.
fn looks_like_one(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(fits)
}

struct Joined<'a> {
    separator: &'a str,
    word: &'a str,
}

/// What stands before, in and behind the first placeholder for all nodes.
fn split(word: &str) -> Option<(&str, Joined<'_>, &str)> {
    let (before, rest) = word.split_once(ALL)?;
    let (separator, rest) = rest.split_once(':')?;
    let mut depth = 1_u32;
    for (place, byte) in rest.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((before, Joined { separator, word: &rest[..place] }, &rest[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(number: usize) -> Names {
        [("node", format!("n{number}")), ("ip", format!("10.0.0.{number}"))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    fn expanded(word: &str) -> String {
        expand(word, &names(2), &[names(1), names(2), names(3)])
    }

    #[test]
    fn a_word_for_all_nodes_is_joined() {
        let word = "--cluster={nodes:,:{node}=http://{ip}:2380}";
        let expected =
            "--cluster=n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380";
        assert_eq!(expanded(word), expected);
        assert_eq!(
            expanded("{node} {nodes: :{ip}} {nodes:|:x}!"),
            "n2 10.0.0.1 10.0.0.2 10.0.0.3 x|x|x!"
        );
        assert_eq!(expanded("{nodes::{node}}"), "n1n2n3");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let known = |name: &str| ["node", "ip"].contains(&name);
        let found = |word: &str, braces| unknown(word, &known, braces);
        for braces in [Braces::Never, Braces::Anywhere] {
            assert_eq!(found("a{node}{nodes:,:{ip}}", braces), None);
            assert_eq!(found("{nodes:,:{ipp}}", braces).as_deref(), Some("{ipp}"));
            assert_eq!(found("{nodes}", braces).as_deref(), Some("{nodes}"));
        }
        assert_eq!(found("{nodes:,}", Braces::Never).as_deref(), Some("{nodes:,}"));
        assert!(found("{nodes:,:{ip}", Braces::Never).is_some());
    }

    #[test]
    fn braces_of_a_file_stay() {
        let known = |name: &str| name == "ip";
        let text = "jetstream { sync: always }\n{\"ip\": \"{ip}\"} {} { {ip} }";
        assert_eq!(unknown(text, &known, Braces::Anywhere), None);
        assert!(unknown(text, &known, Braces::Never).is_some());
        assert_eq!(unknown("listen { {ipp} }", &known, Braces::Anywhere).as_deref(), Some("{ipp}"));
    }
}
