//! Says which links a fault of the network hits: by name, or through the victims that they join.

use std::fmt;

use super::values::{Value, text_value, words};
use crate::lab::Link;

/// Which of a victim's directions a fault of the network hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the victim hears.
    In,
    /// What the victim says.
    Out,
    /// Both of these.
    Both,
}

words!(Direction, "in, out or both",
    "in" => Direction::In, "out" => Direction::Out, "both" => Direction::Both);

/// Whether links between a victim and the clients are hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Links between nodes only.
    No,
    /// Links to clients as well.
    Too,
    /// Links to clients only.
    Only,
}

words!(Clients, "no, too or only",
    "no" => Clients::No, "too" => Clients::Too, "only" => Clients::Only);

/// Links by name: `n1>n2` is one direction, `n1<>n2` both; several are joined by commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLinks(Vec<Link>);

impl NamedLinks {
    /// These links, each once.
    pub fn new(links: impl IntoIterator<Item = Link>) -> NamedLinks {
        let mut named = Vec::new();
        for link in links {
            if !named.contains(&link) {
                named.push(link);
            }
        }
        NamedLinks(named)
    }

    /// The links.
    pub fn links(&self) -> &[Link] {
        &self.0
    }
}

impl Value for NamedLinks {
    fn expected() -> String {
        "links like n1>n2,n2<>n3".to_owned()
    }

    fn read(text: &str) -> Option<NamedLinks> {
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
        Some(NamedLinks::new(links))
    }
}

impl fmt::Display for NamedLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.0[..];
        let mut comma = "";
        while let [link, others @ ..] = rest {
            let is_back = |it: &&Link| it.from == link.to && it.to == link.from;
            let (arrow, after) = match others.first().filter(is_back) {
                Some(_) => ("<>", &others[1..]),
                None => (">", others),
            };
            write!(f, "{comma}{}{arrow}{}", link.from, link.to)?;
            (rest, comma) = (after, ",");
        }
        Ok(())
    }
}

text_value!(NamedLinks);

/// The links of a fault that can name them in place of its target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Links {
    /// Those of the target.
    ByTarget,
    /// These.
    Named(NamedLinks),
}

/// The word for the target's links.
const BY_TARGET: &str = "by-target";

impl Value for Links {
    fn expected() -> String {
        format!("{BY_TARGET}, or {}", NamedLinks::expected())
    }

    fn read(text: &str) -> Option<Links> {
        match text {
            BY_TARGET => Some(Links::ByTarget),
            named => NamedLinks::read(named).map(Links::Named),
        }
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Links::ByTarget => f.write_str(BY_TARGET),
            Links::Named(named) => named.fmt(f),
        }
    }
}

text_value!(Links);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_named_by_both_ends_and_an_arrow() {
        let named = |text| {
            let links = NamedLinks::read(text)?.0;
            Some(links.into_iter().map(|link| (link.from, link.to)).collect())
        };
        let expected = |pairs: &[(&str, &str)]| -> Option<Vec<(String, String)>> {
            Some(pairs.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect())
        };
        assert_eq!(named("n1>n2, n2>n3"), expected(&[("n1", "n2"), ("n2", "n3")]));
        assert_eq!(named("n2 <> n1,n1>n2"), expected(&[("n2", "n1"), ("n1", "n2")]));
        for wrong in ["", "n1", "n1>", ">n1", "n1>n1", "n1>n2,", "n1>n2>n3", "n1<n2", "<>n1"] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn links_are_written_as_they_are_read() {
        for text in ["n1>n2", "n1<>n2", "n2>n1,n3<>clients", "n1>n2,n3>n1"] {
            assert_eq!(NamedLinks::read(text).map(|it| it.to_string()).as_deref(), Some(text));
            assert_eq!(Links::read(text).map(|it| it.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Links::read("by-target"), Some(Links::ByTarget));
    }
}
