//! Texts with placeholders in braces.

use std::collections::BTreeMap;

/// `text` with each `{name}` replaced by what it stands for. Other braces stay.
pub fn fill(text: &str, names: &BTreeMap<&'static str, String>) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// What is wrong with `text`, if it holds a placeholder that is none of `known`, or a single brace.
pub fn unknown_placeholder(text: &str, known: &[&str]) -> Option<String> {
    let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
    let left = known.iter().fold(text.to_owned(), |left, known| left.replace(known, ""));
    left.contains(['{', '}']).then(|| {
        format!("`{text}` holds an unknown placeholder; expected {} or none", known.join(", "))
    })
}
