//! What a store promises: the names of levels, and what each asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::Nanoseconds;

/// What a store promises of a history of operations on single keys, or of one operation.
///
/// `docs/levels.md` defines each; [`implies`](Self::implies) is their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Level {
    /// Every operation takes effect at one moment between its invocation and its return.
    #[default]
    Linearizable,
    /// One order of all operations explains every answer and keeps each session's own order.
    Sequential,
    /// All four session guarantees together, under one order of writes: causal consistency.
    Session,
    /// A session's reads show its own writes before them, or newer ones.
    ReadYourWrites,
    /// A session's reads of a key never go back to an older write.
    MonotonicReads,
    /// A session that has read a write never misses an earlier write by the same writer.
    MonotonicWrites,
    /// A session that has read a write never misses what its writer had read before.
    WritesFollowReads,
    /// Changes are linearizable; a read shows a state that was, as late as it likes within a bound.
    Stale(Staleness),
}

/// How old the state may be that a read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Staleness {
    /// Any state that was.
    Any,
    /// A state that was less than so long before the read was invoked, or later.
    Time(Nanoseconds),
    /// At most so many changes had come after it when the read took effect.
    Versions(u32),
}

/// The session guarantees, each with its name.
const PLAIN: [(Level, &str); 7] = [
    (Level::Linearizable, "linearizable"),
    (Level::Sequential, "sequential"),
    (Level::Session, "session"),
    (Level::ReadYourWrites, "read-your-writes"),
    (Level::MonotonicReads, "monotonic-reads"),
    (Level::MonotonicWrites, "monotonic-writes"),
    (Level::WritesFollowReads, "writes-follow-reads"),
];

/// Words of stores for what an operation was asked for with.
const SYNONYMS: [(&str, Level); 12] = [
    ("strict", Level::Linearizable),
    ("strong", Level::Linearizable),
    ("quorum", Level::Linearizable),
    ("consistent", Level::Linearizable),
    ("serializable", Level::Stale(Staleness::Any)),
    ("eventual", Level::Stale(Staleness::Any)),
    ("weak", Level::Stale(Staleness::Any)),
    ("local", Level::Stale(Staleness::Any)),
    ("follower", Level::Stale(Staleness::Any)),
    ("none", Level::Stale(Staleness::Any)),
    ("any", Level::Stale(Staleness::Any)),
    ("possibly-stale", Level::Stale(Staleness::Any)),
];

impl Level {
    /// Every level without a bound, strongest first.
    pub const ALL: [Self; 8] = [
        Self::Linearizable,
        Self::Sequential,
        Self::Session,
        Self::ReadYourWrites,
        Self::MonotonicReads,
        Self::MonotonicWrites,
        Self::WritesFollowReads,
        Self::Stale(Staleness::Any),
    ];

    /// What it asks for, in half a sentence.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Linearizable => "every operation takes effect between its invocation and return",
            Self::Sequential => "one order of all operations that keeps each session's own order",
            Self::Session => "all four session guarantees under one order of writes (causal)",
            Self::ReadYourWrites => "a session's reads show its own writes, or newer ones",
            Self::MonotonicReads => "a session's reads of a key never go back",
            Self::MonotonicWrites => {
                "a session that read a write misses none before it by its writer"
            }
            Self::WritesFollowReads => {
                "a session that read a write misses nothing its writer had read"
            }
            Self::Stale(_) => {
                "changes are linearizable, reads show a state that was; also stale:500ms and \
                 stale:3-versions"
            }
        }
    }

    /// Whether whatever satisfies this level satisfies `other` as well.
    pub fn implies(self, other: Self) -> bool {
        match (self, other) {
            (one, other) if one == other => true,
            (Self::Linearizable, _) => true,
            (Self::Sequential, weaker) => !matches!(weaker, Self::Linearizable | Self::Stale(_)),
            (Self::Session, weaker) => matches!(
                weaker,
                Self::ReadYourWrites
                    | Self::MonotonicReads
                    | Self::MonotonicWrites
                    | Self::WritesFollowReads
            ),
            (Self::Stale(_), Self::Stale(Staleness::Any)) => true,
            (Self::Stale(Staleness::Time(one)), Self::Stale(Staleness::Time(other))) => {
                one <= other
            }
            (Self::Stale(Staleness::Versions(one)), Self::Stale(Staleness::Versions(other))) => {
                one <= other
            }
            _ => false,
        }
    }

    /// The level that a word of some store's names, as clients record what they asked for.
    pub fn of_word(word: &str) -> Option<Self> {
        let word = word.trim_start_matches(':').to_ascii_lowercase().replace('_', "-");
        let synonym = SYNONYMS.iter().find(|(known, _)| *known == word);
        word.parse().ok().or_else(|| synonym.map(|&(_, level)| level))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = PLAIN.iter().find(|(level, _)| level == self);
        match (plain, self) {
            (Some((_, name)), _) => out.write_str(name),
            (None, Self::Stale(Staleness::Time(time))) => write!(out, "stale:{}", amount(*time)),
            (None, Self::Stale(Staleness::Versions(1))) => out.write_str("stale:1-version"),
            (None, Self::Stale(Staleness::Versions(number))) => {
                write!(out, "stale:{number}-versions")
            }
            (None, _) => out.write_str("stale"),
        }
    }
}

/// The time in the greatest unit that tells it in whole numbers.
fn amount(time: Nanoseconds) -> String {
    let unit = UNITS.iter().find(|(_, length)| time.0.is_multiple_of(*length));
    let (name, length) = unit.unwrap_or(&("ns", 1));
    format!("{}{name}", time.0 / length)
}

/// Units of bounds in time, greatest first.
const UNITS: [(&str, u64); 5] =
    [("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// There is no level of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "expected a level, one of linearizable, sequential, session, read-your-writes, \
     monotonic-reads, monotonic-writes, writes-follow-reads, stale, stale:500ms, \
     stale:3-versions; found `{name}`"
)]
pub struct UnknownLevel {
    /// The name.
    pub name: String,
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        let unknown = || UnknownLevel { name: name.to_owned() };
        if let Some((level, _)) = PLAIN.iter().find(|(_, known)| *known == name) {
            return Ok(*level);
        }
        match name.strip_prefix("stale").ok_or_else(unknown)? {
            "" => Ok(Self::Stale(Staleness::Any)),
            bound => {
                let bound = bound.strip_prefix(':').and_then(staleness).ok_or_else(unknown)?;
                Ok(Self::Stale(bound))
            }
        }
    }
}

fn staleness(bound: &str) -> Option<Staleness> {
    let digits = bound.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = bound.split_at(digits);
    if matches!(unit, "-versions" | "-version") {
        return number.parse().ok().map(Staleness::Versions);
    }
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let time = number.parse::<u64>().ok()?.checked_mul(*length)?;
    Some(Staleness::Time(Nanoseconds(time)))
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let bounds =
            ["stale:500ms", "stale:1-version", "stale:3-versions", "stale:2s", "stale:0ns"];
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        for name in bounds {
            let level: Level = name.parse().unwrap();
            assert_eq!(level.to_string().parse(), Ok(level), "{name}");
        }
        assert_eq!("stale:1500ms".parse::<Level>().unwrap().to_string(), "stale:1500ms");
        for name in ["stale:", "stale:5", "stale:ms", "stale:-1ms", "Sequential", "stale500ms"] {
            assert!(name.parse::<Level>().is_err(), "{name}");
        }
    }

    #[test]
    fn implications_are_an_order() {
        let mut all = Level::ALL.to_vec();
        let bounds = ["stale:1ms", "stale:2ms", "stale:0-versions"];
        all.extend(bounds.map(|it| it.parse::<Level>().unwrap()));
        for &a in &all {
            assert!(a.implies(a));
            for &b in &all {
                assert!(a == b || !(a.implies(b) && b.implies(a)), "{a} {b}");
                for &c in &all {
                    assert!(!(a.implies(b) && b.implies(c)) || a.implies(c), "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    fn words_of_stores_are_known() {
        assert_eq!(Level::of_word("serializable"), Some(Level::Stale(Staleness::Any)));
        assert_eq!(Level::of_word(":STRONG"), Some(Level::Linearizable));
        assert_eq!(Level::of_word("monotonic_reads"), Some(Level::MonotonicReads));
        assert_eq!(Level::of_word("info"), None);
    }
}
