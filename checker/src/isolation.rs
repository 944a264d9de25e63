//! Isolation levels, as a partial order.
//!
//! Every level says that there is an order in which committed transactions took effect, and what
//! they must have seen of it. `docs/transactions.md` has the definitions with their sources.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a store may promise about transactions.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum IsolationLevel {
    /// No G0, G1a, G1b or G1c: Adya's PL-2.
    ReadCommitted,
    /// What was seen of a transaction stays seen for the rest of the reader: Bailis et al. 2013;
    /// *read committed* in Biswas and Enea 2019, there with sessions.
    MonotonicAtomicView,
    /// A transaction is seen whole or not at all: Bailis et al. 2014, Cerone et al. 2015.
    ReadAtomic,
    /// What happened before, by sessions and reads, is seen before: Biswas and Enea 2019.
    Causal,
    /// All reads are of one moment, and no two transactions write a key at once: Adya's PL-SI
    /// without real time.
    SnapshotIsolation,
    /// As if one after another: Papadimitriou 1979, Adya's PL-3.
    Serializable,
    /// Snapshot isolation in which a session sees what it did before: Daudjee and Salem 2006.
    StrongSessionSnapshotIsolation,
    /// Serializable in an order that keeps that of every session: Daudjee and Salem 2004.
    StrongSessionSerializable,
    /// Serializable in an order that keeps real time: Papadimitriou 1979; Herlihy and Wing 1990.
    #[default]
    StrictSerializable,
}

/// Which order of transactions a level has to keep besides what they read and wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrderGuarantee {
    /// None.
    Nothing,
    /// That of each process.
    Sessions,
    /// That of what came back before another was invoked.
    RealTime,
}

/// What there is to say of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsolationEntry {
    /// Which.
    pub level: IsolationLevel,
    /// Its name in files and on the command line.
    pub name: &'static str,
    /// Other names that people know it under.
    pub aliases: &'static [&'static str],
    /// What it promises, in half a sentence.
    pub about: &'static str,
    /// The strongest levels that hold wherever it does.
    pub implies: &'static [IsolationLevel],
}

/// All levels; none stands before one that it implies.
pub const ISOLATION_LEVELS: [IsolationEntry; 9] = {
    use IsolationLevel::{
        Causal, MonotonicAtomicView, ReadAtomic, ReadCommitted, Serializable, SnapshotIsolation,
        StrictSerializable, StrongSessionSerializable, StrongSessionSnapshotIsolation,
    };
    [
        IsolationEntry {
            level: ReadCommitted,
            name: "read-committed",
            aliases: &["pl-2"],
            about: "nothing is read that was aborted, unfinished, or in a circle",
            implies: &[],
        },
        IsolationEntry {
            level: MonotonicAtomicView,
            name: "monotonic-atomic-view",
            aliases: &["mav"],
            about: "what a transaction has seen of another it goes on seeing",
            implies: &[ReadCommitted],
        },
        IsolationEntry {
            level: ReadAtomic,
            name: "read-atomic",
            aliases: &[],
            about: "a transaction is seen whole or not at all",
            implies: &[MonotonicAtomicView],
        },
        IsolationEntry {
            level: Causal,
            name: "causal",
            aliases: &["causal-consistency"],
            about: "what is seen comes with all that it depends on, by sessions and reads",
            implies: &[ReadAtomic],
        },
        IsolationEntry {
            level: SnapshotIsolation,
            name: "snapshot-isolation",
            aliases: &["si"],
            about: "reads of one moment; no two writers of a key at once",
            implies: &[ReadAtomic],
        },
        IsolationEntry {
            level: Serializable,
            name: "serializable",
            aliases: &["pl-3"],
            about: "as if transactions had run one after another, in some order",
            implies: &[SnapshotIsolation],
        },
        IsolationEntry {
            level: StrongSessionSnapshotIsolation,
            name: "strong-session-snapshot-isolation",
            aliases: &["strong-session-si"],
            about: "snapshot isolation in which processes see what they did before",
            implies: &[Causal, SnapshotIsolation],
        },
        IsolationEntry {
            level: StrongSessionSerializable,
            name: "strong-session-serializable",
            aliases: &["strong-session-pl-3"],
            about: "serializable in an order that keeps that of every process",
            implies: &[Serializable, StrongSessionSnapshotIsolation],
        },
        IsolationEntry {
            level: StrictSerializable,
            name: "strict-serializable",
            aliases: &["strong-serializable", "strict"],
            about: "serializable in an order that keeps real time",
            implies: &[StrongSessionSerializable],
        },
    ]
};

impl IsolationLevel {
    /// All, none before one that it implies.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        ISOLATION_LEVELS.iter().map(|entry| entry.level)
    }

    /// What there is to say of it.
    pub fn entry(self) -> &'static IsolationEntry {
        let found = ISOLATION_LEVELS.iter().find(|entry| entry.level == self);
        found.expect("every level is in the table")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// Whether `other` holds wherever this one does; of a level itself, too.
    pub fn implies(self, other: Self) -> bool {
        self == other || self.entry().implies.iter().any(|weaker| weaker.implies(other))
    }

    /// What order it keeps.
    pub const fn keeps(self) -> OrderGuarantee {
        match self {
            Self::StrictSerializable => OrderGuarantee::RealTime,
            Self::Causal
            | Self::StrongSessionSnapshotIsolation
            | Self::StrongSessionSerializable => OrderGuarantee::Sessions,
            _ => OrderGuarantee::Nothing,
        }
    }
}

impl fmt::Display for IsolationLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// There is no level of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an isolation level; found `{0}`")]
pub struct UnknownLevel(pub String);

impl FromStr for IsolationLevel {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        let mut entries = ISOLATION_LEVELS.iter();
        let found = entries.find(|entry| entry.name == name || entry.aliases.contains(&name));
        found.map(|entry| entry.level).ok_or_else(|| UnknownLevel(name.to_owned()))
    }
}

/// What is known of every level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The level that was asked for.
    pub asked: IsolationLevel,
    /// The strongest levels that were shown to hold; they imply all others that were.
    pub holds: Vec<IsolationLevel>,
    /// The weakest levels that were shown not to hold; they are implied by all others that were.
    pub violated: Vec<IsolationLevel>,
    /// Those of which neither was shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undecided: Vec<IsolationLevel>,
}

/// What was found of each level, while it is found.
#[derive(Debug, Clone, Default)]
pub(crate) struct LevelFindings {
    holds: Vec<IsolationLevel>,
    violated: Vec<IsolationLevel>,
}

impl LevelFindings {
    /// The level holds, and all that it implies.
    pub(crate) fn hold(&mut self, level: IsolationLevel) {
        self.holds.push(level);
    }

    /// The level does not hold, nor does any that implies it.
    pub(crate) fn violate(&mut self, level: IsolationLevel) {
        self.violated.push(level);
    }

    /// Whether the level holds, if that is known.
    pub(crate) fn of(&self, level: IsolationLevel) -> Option<bool> {
        if self.violated.iter().any(|weaker| level.implies(*weaker)) {
            return Some(false);
        }
        self.holds.iter().any(|stronger| stronger.implies(level)).then_some(true)
    }

    /// What is known of all levels, `asked` being the one asked for.
    pub(crate) fn summary(&self, asked: IsolationLevel) -> Isolation {
        let with = |wanted: Option<bool>| -> Vec<IsolationLevel> {
            IsolationLevel::all().filter(|level| self.of(*level) == wanted).collect()
        };
        let (holds, violated) = (with(Some(true)), with(Some(false)));
        let is_strongest = |level: &IsolationLevel| {
            !holds.iter().any(|other| other != level && other.implies(*level))
        };
        let is_weakest = |level: &IsolationLevel| {
            !violated.iter().any(|other| other != level && level.implies(*other))
        };
        Isolation {
            asked,
            holds: holds.iter().copied().filter(is_strongest).collect(),
            violated: violated.iter().copied().filter(is_weakest).collect(),
            undecided: with(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_level() {
        for entry in &ISOLATION_LEVELS {
            assert_eq!(entry.level.entry(), entry);
            for name in [entry.name].iter().chain(entry.aliases) {
                assert_eq!(name.parse(), Ok(entry.level));
            }
        }
        assert!("serialisable".parse::<IsolationLevel>().is_err());
    }

    #[test]
    fn levels_are_a_partial_order_with_one_top_and_one_bottom() {
        let all: Vec<_> = IsolationLevel::all().collect();
        for &one in &all {
            assert!(IsolationLevel::StrictSerializable.implies(one));
            assert!(one.implies(IsolationLevel::ReadCommitted));
            for &other in &all {
                assert!(one == other || !(one.implies(other) && other.implies(one)));
                for &third in &all {
                    assert!(!(one.implies(other) && other.implies(third)) || one.implies(third));
                }
            }
        }
        assert!(!IsolationLevel::Serializable.implies(IsolationLevel::Causal));
        assert!(!IsolationLevel::Causal.implies(IsolationLevel::SnapshotIsolation));
    }

    #[test]
    fn ladder_names_the_strongest_that_hold_and_the_weakest_that_do_not() {
        let mut ladder = LevelFindings::default();
        ladder.hold(IsolationLevel::Causal);
        ladder.violate(IsolationLevel::Serializable);
        let summary = ladder.summary(IsolationLevel::StrictSerializable);
        assert_eq!(summary.holds, [IsolationLevel::Causal]);
        assert_eq!(summary.violated, [IsolationLevel::Serializable]);
        let undecided =
            [IsolationLevel::SnapshotIsolation, IsolationLevel::StrongSessionSnapshotIsolation];
        assert_eq!(summary.undecided, undecided);
        assert_eq!(ladder.of(IsolationLevel::StrictSerializable), Some(false));
        assert_eq!(ladder.of(IsolationLevel::ReadAtomic), Some(true));
    }
}
