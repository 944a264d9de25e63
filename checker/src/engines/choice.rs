//! The catalogue of engines, by the names that people give them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Which engine is to decide. One that cannot leaves the verdict unknown: no other one steps in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EngineChoice {
    /// The monitor where it is exact, and otherwise both searches.
    #[default]
    Auto,
    /// The algorithm made for the model, in O(n log n), where it is exact.
    Monitor,
    /// The monitor of registers and growing strings.
    Zones,
    /// A search breadth first along time, over all states that may be there.
    Frontier,
    /// A search depth first for one order, which remembers what led nowhere.
    Wgl,
}

/// What there is to say of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineEntry {
    /// Which.
    pub choice: EngineChoice,
    /// Its name.
    pub name: &'static str,
    /// What it does, in half a sentence.
    pub about: &'static str,
}

/// All choices.
pub const ENGINES: [EngineEntry; 5] = [
    EngineEntry {
        choice: EngineChoice::Auto,
        name: "auto",
        about: "the monitor where it is exact, else both searches, and the first answer",
    },
    EngineEntry {
        choice: EngineChoice::Monitor,
        name: "monitor",
        about: "the model's own algorithm, in O(n log n), where it is exact",
    },
    EngineEntry {
        choice: EngineChoice::Zones,
        name: "zones",
        about: "the monitor of registers and growing strings",
    },
    EngineEntry {
        choice: EngineChoice::Frontier,
        name: "frontier",
        about: "a search breadth first along time",
    },
    EngineEntry {
        choice: EngineChoice::Wgl,
        name: "wgl",
        about: "a search depth first, with memory",
    },
];

impl EngineChoice {
    /// What there is to say of it.
    pub fn entry(self) -> &'static EngineEntry {
        let found = ENGINES.iter().find(|entry| entry.choice == self);
        found.expect("every choice is in the catalogue")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().name
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// There is no engine of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected an engine, one of {}; found `{name}`", ENGINES.map(|entry| entry.name).join(", "))]
pub struct UnknownEngine {
    /// The name.
    pub name: String,
}

impl FromStr for EngineChoice {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        let found = ENGINES.iter().find(|entry| entry.name == name);
        found.map(|entry| entry.choice).ok_or_else(|| UnknownEngine { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_engine() {
        for entry in &ENGINES {
            assert_eq!(entry.choice.entry(), entry);
            assert_eq!(entry.choice.to_string().parse(), Ok(entry.choice));
        }
    }

    #[test]
    fn unknown_name_is_answered_with_the_known_ones() {
        let error = "magic".parse::<EngineChoice>().unwrap_err().to_string();
        let expected =
            "expected an engine, one of auto, monitor, zones, frontier, wgl; found `magic`";
        assert_eq!(error, expected);
    }
}
