//! Names in addresses and in attributes.

/// `path` for an address: every byte that is not a plain letter, digit, `-`, `_`, `.` or `/` is
/// percent-encoded.
pub fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// `text` as the value of an attribute, from which a browser gets every character back: what is no plain
/// character is a reference to its number, so that nothing in it, seen or not, touches the page.
pub(super) fn attribute(text: &str) -> String {
    let escape = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '/' | ' ' => letter.to_string(),
        other => format!("&#{};", u32::from(other)),
    };
    text.chars().map(escape).collect()
}
