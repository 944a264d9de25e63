//! Reads which links a fault of the network concerns: by name, or through the victims they join.

use crate::lab::Link;

/// The name of the parameter that names links one by one.
pub(crate) const LINKS: &str = "links";
/// The name of the parameter that says whether clients are concerned.
pub(crate) const CLIENTS: &str = "clients";
/// The value of [`LINKS`] that leaves the choice to the target.
pub(crate) const BY_TARGET: &str = "by-target";

/// Which of a victim's directions a fault of the network concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the victim hears.
    In,
    /// What the victim says.
    Out,
    /// Both of these.
    Both,
}

/// Whether links between a victim and the clients are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Links between nodes only.
    No,
    /// Links to clients as well.
    Too,
    /// Links to clients only.
    Only,
}

/// The direction of that name.
pub(crate) fn direction(text: &str) -> Option<Direction> {
    match text {
        "in" => Some(Direction::In),
        "out" => Some(Direction::Out),
        "both" => Some(Direction::Both),
        _ => None,
    }
}

/// Which clients' links that means.
pub(crate) fn clients(text: &str) -> Option<Clients> {
    match text {
        "no" => Some(Clients::No),
        "too" => Some(Clients::Too),
        "only" => Some(Clients::Only),
        _ => None,
    }
}

/// Links by name, each once: `n1>n2` is one direction, `n1<>n2` both; several are joined by commas.
pub(crate) fn links(text: &str) -> Option<Vec<Link>> {
    let mut links = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('>')?;
        let (from, both) = match from.strip_suffix('<') {
            Some(from) => (from, true),
            None => (from, false),
        };
        let (from, to) = (from.trim(), to.trim());
        let is_name = |name: &str| !name.is_empty() && !name.contains(['<', '>']);
        if !is_name(from) || !is_name(to) || from == to {
            return None;
        }
        links.push(Link::new(from, to));
        links.extend(both.then(|| Link::new(to, from)));
    }
    links.sort();
    links.dedup();
    Some(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_named_by_both_ends_and_an_arrow() {
        let named = |text| links(text).map(|all| all.into_iter().map(|l| (l.from, l.to)).collect());
        let expected = |pairs: &[(&str, &str)]| -> Option<Vec<(String, String)>> {
            Some(pairs.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect())
        };
        assert_eq!(named("n1>n2, n2>n3"), expected(&[("n1", "n2"), ("n2", "n3")]));
        assert_eq!(named("n2 <> n1,n1>n2"), expected(&[("n1", "n2"), ("n2", "n1")]));
        for wrong in ["", "n1", "n1>", ">n1", "n1>n1", "n1>n2,", "n1>n2>n3", "n1<n2", "<>n1"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }
}
