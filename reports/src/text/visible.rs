//! Makes foreign text safe to look at: nothing in it is invisible, endless, or rearranges a line.
//!
//! This is not markup escaping, which every format does for itself (askama, [`crate::chart`],
//! quick-junit, [`crate::summary()`]). Keys, values and error texts come from the system under test,
//! which is being corrupted on purpose: control characters and direction overrides are shown as
//! escapes, and long values are cut in the middle with the number of characters left out.

/// How much of a value fits into a label.
pub(crate) const LABEL_CHARACTERS: usize = 40;

/// How much of a value, an error or a remark fits into a sentence or a table.
pub(crate) const TEXT_CHARACTERS: usize = 600;

/// How much of a command is shown: all of any that a person would type.
pub(crate) const COMMAND_CHARACTERS: usize = 8_000;

/// `text` with invisible characters as escapes and at most about `limit` characters.
pub(crate) fn visible(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.chars().map(shown).collect();
    }
    let tail = limit / 4;
    let head = limit - tail;
    let left_out = length - head - tail;
    let begin: String = text.chars().take(head).map(shown).collect();
    let end: String = text.chars().skip(length - tail).map(shown).collect();
    format!("{begin}… {left_out} characters …{end}")
}

/// `text` with invisible characters as escapes and at most `limit` characters and an ellipsis: for
/// labels, which have no room to say what is missing.
pub(crate) fn brief(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return visible(text, limit);
    }
    let tail = limit / 4;
    let begin: String = text.chars().take(limit - tail).map(shown).collect();
    let end: String = text.chars().skip(length - tail).map(shown).collect();
    format!("{begin}…{end}")
}

/// One character, or its escape.
struct Shown {
    character: char,
    escaped: bool,
}

fn shown(character: char) -> Shown {
    let escaped = character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}');
    Shown { character, escaped }
}

impl FromIterator<Shown> for String {
    fn from_iter<I: IntoIterator<Item = Shown>>(characters: I) -> Self {
        let mut text = Self::new();
        for Shown { character, escaped } in characters {
            match escaped {
                true => text.extend(character.escape_default()),
                false => text.push(character),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_overrides_are_shown_as_escapes() {
        assert_eq!(visible("a\nb\0\u{202e}c", 40), r"a\nb\u{0}\u{202e}c");
    }

    #[test]
    fn a_long_value_keeps_its_ends_and_says_how_much_is_missing() {
        let text = format!("begin{}end", "x".repeat(10_000));
        let short = visible(&text, 40);
        assert!(short.starts_with("begin") && short.ends_with("end"), "{short}");
        assert!(short.contains("9968 characters"), "{short}");
    }

    #[test]
    fn a_label_is_never_longer_than_its_limit_by_more_than_an_ellipsis() {
        assert_eq!(brief("abcdefghijkl", 8), "abcdef…kl");
        assert_eq!(brief("abcdefgh", 8), "abcdefgh");
    }
}
