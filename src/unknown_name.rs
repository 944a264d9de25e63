//! The one sentence for a name that is none of its kind, with "did you mean" for a slip of the finger.

use partita_reports::text::visible::{LABEL_CHARACTERS, brief};
use thiserror::Error;

/// What may be given instead of a name that a file can describe as well.
pub(crate) const TOML_FILE: &str = ", or a TOML file";

/// A name that is none of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UnknownName(String);

impl UnknownName {
    /// That `name` is none of the `known` names of this `kind`, and which was perhaps meant. `instead` ends
    /// the list: what may be given besides names.
    pub fn new(kind: &str, name: &str, known: &[String], instead: &str) -> Self {
        let mut message = format!(
            "unknown {kind} `{}`; expected {}{instead}",
            brief(name, LABEL_CHARACTERS),
            known.join(", "),
        );
        let meant: Vec<String> =
            similar(name, known).into_iter().map(|name| format!("`{name}`")).collect();
        if !meant.is_empty() {
            message.push_str(&format!("; did you mean {}?", meant.join(" or ")));
        }
        Self(message)
    }
}

/// How many names are offered.
const MOST: usize = 3;

/// The names that somebody may have meant who typed `name`, the likeliest first.
pub(crate) fn similar<'a>(name: &str, known: &'a [String]) -> Vec<&'a str> {
    let plain = |text: &str| text.trim().to_lowercase().replace(['_', ' '], "-");
    let typed = plain(name);
    if typed.is_empty() || typed.len() > 100 {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|name| {
            let distance = distance(&typed, &plain(name));
            // One slip in three letters, or a part of the name.
            let is_slip = distance <= (typed.chars().count().max(2) + 1) / 3;
            let is_part = typed.len() >= 3 && (name.contains(&typed) || typed.contains(name));
            (is_slip || is_part).then_some((distance, name.as_str()))
        })
        .collect();
    found.sort();
    let least = found.first().map_or(0, |(distance, _)| *distance);
    // What is much less like it than the best was not meant.
    found.retain(|(distance, _)| least > 0 && *distance <= least + 1 || *distance == least);
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// How many letters must be changed, added, left out or swapped with the next to come from one to
/// the other.
fn distance(one: &str, other: &str) -> usize {
    let [one, other] = [one, other].map(|text| text.chars().collect::<Vec<_>>());
    // The last rows of the table of distances between beginnings.
    let mut before_last = vec![0; other.len() + 1];
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let changed = last[column] + usize::from(letter != wanted);
            let mut least = changed.min(last[column + 1] + 1).min(next[column] + 1);
            let crossed = row > 0 && column > 0;
            if crossed && *letter == other[column - 1] && one[row - 1] == *wanted {
                least = least.min(before_last[column - 1] + 1);
            }
            next.push(least);
        }
        (before_last, last) = (last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (one, other, slips) in
            [("kill", "kill", 0), ("kil", "kill", 1), ("ikll", "kill", 1), ("", "abc", 3)]
        {
            assert_eq!(distance(one, other), slips, "{one} {other}");
        }
    }
}
