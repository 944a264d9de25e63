//! Texts with placeholders in braces.

use std::collections::BTreeMap;

/// `text` with each `{name}` replaced by what it stands for. Other braces stay.
pub fn fill<N: AsRef<str>>(text: &str, names: &BTreeMap<N, String>) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{}}}", name.as_ref()), value)
    })
}

/// What the names of ports begin with: `{port.client}`.
pub const PORT: &str = "port.";

/// What is wrong with `text`, if it holds a placeholder that is none of `known` and names no port, or a
/// single brace. Which ports there are is for whoever reads the whole description.
pub fn unknown_placeholder(text: &str, known: &[&str]) -> Option<String> {
    let mut known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
    let left = known.iter().fold(text.to_owned(), |left, known| left.replace(known, ""));
    let left = without_ports(&left);
    known.push(format!("{{{PORT}NAME}}"));
    left.contains(['{', '}']).then(|| {
        format!("`{text}` holds an unknown placeholder; expected {} or none", known.join(", "))
    })
}

/// What is left of `text` without the placeholders of ports.
fn without_ports(text: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&format!("{{{PORT}")) {
        left.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if is_port(name) => rest = after,
            _ => {
                left.push('{');
                rest = after;
            }
        }
    }
    left + rest
}

/// Whether a port can have that name: small letters, digits and `-`.
pub fn is_port(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_placeholders_whatever_they_are_called() {
        assert_eq!(unknown_placeholder("{id}={ip}:{port.peer}/{port.a-1}", &["id", "ip"]), None);
        for text in ["{port.}", "{port.A}", "{port.peer", "{ports.peer}", "{port.peer}}"] {
            let problem = unknown_placeholder(text, &["id"]).expect(text);
            assert!(problem.contains("{id}, {port.NAME}"), "{problem}");
        }
    }
}
