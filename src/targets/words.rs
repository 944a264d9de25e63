//! Words of a command, in which placeholders stand for what belongs to a node or to all of them.

use std::collections::BTreeMap;

use partita_workloads::client::template::fill;

/// What placeholders stand for.
pub(super) type Names = BTreeMap<&'static str, String>;

/// The beginning of a placeholder for all nodes: `{nodes:SEPARATOR:WORD}`.
const ALL: &str = "{nodes:";

/// `word` with what `own` has for its placeholders. `{nodes:,:{node}={ip}}` becomes the word behind the
/// second colon once for each of `all`, joined by what stands before it.
pub(super) fn expand(word: &str, own: &Names, all: &[Names]) -> String {
    let Some((before, joined, after)) = split(word) else { return fill(word, own) };
    let each = all.iter().map(|names| fill(joined.word, names));
    let joined = each.collect::<Vec<_>>().join(joined.separator);
    fill(before, own) + &joined + &expand(after, own, all)
}

/// What is left of `word` when all `known` placeholders are taken out: without a brace if it holds no
/// other.
pub(super) fn without(word: &str, known: &[&'static str]) -> String {
    let nothing: Names = known.iter().map(|name| (*name, String::new())).collect();
    expand(word, &nothing, std::slice::from_ref(&nothing))
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
        BTreeMap::from([("node", format!("n{number}")), ("ip", format!("10.0.0.{number}"))])
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
    fn what_is_not_known_stays() {
        let known = ["node", "ip"];
        assert_eq!(without("a{node}{nodes:,:{ip}}", &known), "a");
        for word in ["{nodes:,:{ipp}}", "{nodes:,:{ip}", "{nodes:,}", "{nodes}"] {
            assert!(without(word, &known).contains('{'), "{word}");
        }
    }
}
