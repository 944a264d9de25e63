//! Makes foreign text safe to look at: nothing in it is invisible, endless, or rearranges a line.
//!
//! The one place for that, for reports and for the terminal. It is not markup escaping, which every
//! format does for itself (askama, quick-junit, [`crate::summary()`]). Keys, values and error texts
//! come from the system under test, which is being corrupted on purpose, and the names of files from
//! anybody: control characters (a terminal obeys them), marks of direction and what has no width are
//! shown as escapes, and long texts are cut in the middle with the number of characters left out.

/// How much of a value fits into a label, in characters.
pub const LABEL_CHARACTERS: usize = 40;

/// How much of a value, an error or a remark fits into a sentence or a table, in characters.
pub const TEXT_CHARACTERS: usize = 600;

/// How much of a command is shown, in characters: all of any that a person would type.
pub const COMMAND_CHARACTERS: usize = 8_000;

/// `text` with invisible characters as escapes and at most about `limit` characters.
pub fn visible(text: &str, limit: usize) -> String {
    let Some((begin, end)) = ends(text, limit) else { return escaped(text) };
    let left_out = text.chars().count() - limit;
    format!("{}… {left_out} characters …{}", escaped(begin), escaped(end))
}

/// `text` with invisible characters as escapes and at most `limit` characters and an ellipsis: for
/// labels, which have no room to say what is missing.
pub fn brief(text: &str, limit: usize) -> String {
    let Some((begin, end)) = ends(text, limit) else { return escaped(text) };
    format!("{}…{}", escaped(begin), escaped(end))
}

/// The beginning and the end of a text that has more than `limit` characters, so many together.
fn ends(text: &str, limit: usize) -> Option<(&str, &str)> {
    // A text has at least as many bytes as characters.
    if text.len() <= limit || text.chars().nth(limit).is_none() {
        return None;
    }
    let tail = limit / 4;
    let place = |(place, _)| place;
    let head = text.char_indices().nth(limit - tail).map_or(text.len(), place);
    let tail = match tail {
        0 => text.len(),
        tail => text.char_indices().rev().nth(tail - 1).map_or(0, place),
    };
    Some((&text[..head], &text[tail..]))
}

/// The whole text with invisible characters as escapes.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        match is_hidden(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
        shown
    })
}

/// Whether a character is not seen where it stands: a control character, a mark of direction, one
/// without width or for private use of a terminal, or no character at all.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Soft hyphen, grapheme joiner, Arabic letter mark, fillers of Hangul.
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
            // Inherent vowels of Khmer, separators and selectors of Mongolian.
            | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            // Spaces and joiners without width, marks of direction, separators of lines,
            // embeddings and isolates, invisible operators.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Variation selectors, byte-order mark, annotations, what is no character.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}'
            // Formats of shorthand and of music, tags, selectors, private planes.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_overrides_are_shown_as_escapes() {
        assert_eq!(visible("a\nb\0\u{202e}c", 40), r"a\nb\u{0}\u{202e}c");
        assert_eq!(visible("\u{1b}]0;owned\u{7}\u{9b}2J", 40), r"\u{1b}]0;owned\u{7}\u{9b}2J");
        for hidden in "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{e0041}".chars() {
            assert!(!visible(&hidden.to_string(), 40).contains(hidden), "{hidden:?}");
        }
        assert_eq!(visible("größe 大 → ✓", 40), "größe 大 → ✓", "what is seen stays");
    }

    #[test]
    fn a_long_value_keeps_its_ends_and_says_how_much_is_missing() {
        let text = format!("begin{}end", "x".repeat(10_000));
        let short = visible(&text, 40);
        assert!(short.starts_with("begin") && short.ends_with("end"), "{short}");
        assert!(short.contains("9968 characters"), "{short}");
    }

    #[test]
    fn a_cut_never_divides_a_character() {
        let text = "ä".repeat(50);
        assert_eq!(brief(&text, 8), format!("{}…{}", "ä".repeat(6), "ä".repeat(2)));
        assert_eq!(brief(&text, 50), text);
        assert_eq!(brief(&text, 2), "ää…");
    }

    #[test]
    fn a_label_is_never_longer_than_its_limit_by_more_than_an_ellipsis() {
        assert_eq!(brief("abcdefghijkl", 8), "abcdef…kl");
        assert_eq!(brief("abcdefgh", 8), "abcdefgh");
    }
}
