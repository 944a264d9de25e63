//! What a run found of the system under test. The kinds and their names are a contract:
//! `docs/exit-codes.md`.

use std::fmt;

use partita_checker::{Analysis, Nanoseconds, Verdict};
use serde::{Deserialize, Serialize};

/// Something that a run found of the system under test. Any of them makes the run end with exit code 1,
/// whatever the verdict on the history is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What sort of thing.
    pub kind: FindingKind,
    /// A few words that are the same whenever the same happens: `stale read`, `n2 panicked`.
    pub title: String,
    /// What was found, in a sentence.
    pub sentence: String,
    /// When it was seen, since the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ns: Option<Nanoseconds>,
    /// The node that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where in the store's source, if that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<SourcePlace>,
    /// How often the same was seen: findings of one kind, title and node count as one, told as the
    /// first of them was.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
}

const fn once() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_once(times: &u64) -> bool {
    *times == 1
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// No order of operations explains what clients saw.
    Violation,
    /// A node ended although no fault explains it and its description does not expect it, or wrote a
    /// line that its description calls an alarm.
    Crash,
    /// A cluster that could have worked did not: no update was answered within a limit, or its nodes
    /// did not come to agree.
    NoRecovery,
    /// Replicas that had applied the same hold different data.
    ReplicasDiffer,
    /// Two nodes led in one term.
    TwoLeaders,
    /// A limit that the store was to keep was broken.
    LimitBroken,
    /// Of a newer version.
    #[serde(other)]
    Unrecognized,
}

impl FindingKind {
    /// The kinds that this version knows.
    pub const ALL: [Self; 6] = [
        Self::Violation,
        Self::Crash,
        Self::NoRecovery,
        Self::ReplicasDiffer,
        Self::TwoLeaders,
        Self::LimitBroken,
    ];

    /// The word for it, in documents and in sentences.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Crash => "crash",
            Self::NoRecovery => "no-recovery",
            Self::ReplicasDiffer => "replicas-differ",
            Self::TwoLeaders => "two-leaders",
            Self::LimitBroken => "limit-broken",
            Self::Unrecognized => "finding",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place in a program's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlace {
    /// The file, as the program names it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Finding {
    /// A finding that is about no node and no moment.
    pub fn new(kind: FindingKind, title: impl Into<String>, sentence: impl Into<String>) -> Self {
        let (title, sentence) = (title.into(), sentence.into());
        Self { kind, title, sentence, at_ns: None, node: None, place: None, times: 1 }
    }

    /// The violation that a checker found, if it found one.
    pub fn violation(analysis: &Analysis) -> Option<Self> {
        if analysis.verdict != Verdict::Violation {
            return None;
        }
        let Some(found) = &analysis.counterexample else {
            let sentence = "no order of operations explains what clients saw";
            return Some(Self::new(FindingKind::Violation, "not linearizable", sentence));
        };
        let finding =
            Self::new(FindingKind::Violation, found.anomaly.title(), found.sentence.clone());
        let at_ns = found.operations.iter().filter_map(|operation| operation.completed).max();
        Some(Self { at_ns, ..finding })
    }

    /// Whether `other` is the same once more.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind, &self.title, &self.node) == (other.kind, &other.title, &other.node)
    }

    /// `crash: n2 panicked`, with how often if that was more than once.
    pub fn in_words(&self) -> String {
        match self.times {
            1 => format!("{}: {}", self.kind, self.title),
            times => format!("{}: {} ({times} times)", self.kind, self.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_those_of_the_contract_and_unknown_ones_are_read() {
        let contract = include_str!("../../docs/exit-codes.md");
        for kind in FindingKind::ALL {
            let name = serde_json::to_value(kind).expect("JSON");
            assert_eq!(name, kind.name());
            assert!(contract.contains(&format!("| `{kind}` |")), "{kind}");
        }
        let newer = r#"{"kind":"slow-reads","title":"a","sentence":"b","percentile":99}"#;
        let finding: Finding = serde_json::from_str(newer).expect("a finding");
        assert_eq!(finding.kind, FindingKind::Unrecognized);
    }
}
