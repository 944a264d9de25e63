//! Finds what was meant by a name that is not known.

/// How many names are offered.
const MOST: usize = 3;

/// The known names that may have been meant by `name`, the likeliest first.
pub fn similar<'a, S: AsRef<str>>(name: &str, known: &'a [S]) -> Vec<&'a str> {
    let plain = |text: &str| text.trim().to_lowercase().replace(['_', ' '], "-");
    let typed = plain(name);
    if typed.is_empty() || typed.len() > 100 {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = known
        .iter()
        .map(AsRef::as_ref)
        .filter_map(|name: &str| {
            let distance = distance(&typed, &plain(name));
            // One slip in three letters, or a part of the name.
            let is_slip = distance <= (typed.chars().count().max(2) + 1) / 3;
            let is_part = typed.len() >= 3 && (name.contains(&typed) || typed.contains(name));
            (is_slip || is_part).then_some((distance, name))
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

/// The known names after `before`, and those that may have been meant by `name`.
pub(crate) fn or_similar(name: &str, known: &[&str], before: &str) -> String {
    let mut text = format!("{before}{}", known.join(", "));
    let meant: Vec<String> =
        similar(name, known).into_iter().map(|name| format!("`{name}`")).collect();
    if !meant.is_empty() {
        text.push_str(&format!("; did you mean {}?", meant.join(" or ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        let known = ["direction", "clients", "links", "delay"];
        assert_eq!(similar("direktion", &known), ["direction"]);
        assert_eq!(similar("Client", &known), ["clients"]);
        assert!(similar("colour", &known).is_empty() && similar("", &known).is_empty());
        let text = or_similar("dealy", &known, "it takes ");
        assert_eq!(text, "it takes direction, clients, links, delay; did you mean `delay`?");
    }

    #[test]
    fn distance_counts_slips() {
        for (one, other, slips) in
            [("kill", "kill", 0), ("kil", "kill", 1), ("ikll", "kill", 1), ("", "abc", 3)]
        {
            assert_eq!(distance(one, other), slips, "{one} {other}");
        }
    }
}
