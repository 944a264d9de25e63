//! What a campaign writes down as it goes: the lines of `runs.jsonl` and `replays.jsonl`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::spec::RunSpec;

/// The number of the form of a campaign's folder: it stands in `campaign.json` and holds for every file
/// beside it. It is raised when an older version would misread one of them.
pub const FORMAT: u32 = 1;

/// The longest readable part of a bucket's name.
const LONGEST_SLUG: usize = 60;

/// One finished run: a line of `runs.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLine {
    /// Its place in the campaign; the plan makes its specification from it.
    pub index: u64,
    /// The name of the plan's configuration that it belongs to.
    pub configuration: String,
    /// The run's seed.
    pub seed: u64,
    /// When it was started, in milliseconds since 1970, UTC.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// The CPU time that it took, of all its processes that were waited for, in milliseconds.
    pub cpu_ms: u64,
    /// What came of it.
    pub result: RunResult,
    /// The buckets that it falls into, each with the signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<Sighting>,
    /// Why it proved nothing or failed, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Operations that clients sent.
    #[serde(default)]
    pub operations: u64,
    /// Which faults had a measurable effect on whom: `isolate leader`. In order, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exercised: Vec<String>,
    /// Where its folder is kept, from the campaign's folder on; absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The specification, where it does not follow from the plan and the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Box<RunSpec>>,
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// Every verdict is valid.
    Valid,
    /// Nothing was proved.
    Unknown,
    /// The machine was too slow to hold anything against the store.
    Starved,
    /// The harness failed, or the store could not be started.
    Harness,
    /// Something was found of the store.
    Finding,
}

impl RunResult {
    /// Every result, the best first.
    pub const ALL: [Self; 5] =
        [Self::Valid, Self::Unknown, Self::Starved, Self::Harness, Self::Finding];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Starved => "starved",
            Self::Harness => "harness",
            Self::Finding => "finding",
        }
    }
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// That a run falls into a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The bucket's name: [`Signature::id`].
    pub bucket: String,
    /// What the runs of the bucket have in common.
    pub signature: Signature,
    /// What was found, in a sentence.
    pub sentence: String,
    /// How far into the run it showed, in milliseconds, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
}

/// What findings have in common that are likely to have one cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// The system under test.
    pub target: String,
    /// What clients did.
    pub workload: String,
    /// `violation`, `crash` and so on; `harness` for trouble that is not the store's.
    pub kind: String,
    /// A few words: the anomaly, or the last words of a crash without what differs from run to run.
    pub what: String,
    /// The reasons in the counterexample's cycle, in order, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<String>,
}

impl Signature {
    /// The name of the bucket: what it is about, and a hash of all of the signature.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        for part in
            [&self.target, &self.workload, &self.kind, &self.what].into_iter().chain(&self.shape)
        {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash: String =
            hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{hash}", slug(&self.words()))
    }

    fn words(&self) -> String {
        format!("{} {} {}", self.target, self.workload, self.what)
    }

    /// The name of the bucket once it is known which faults it takes: they and the roles that they are aimed
    /// at stand before the hash, which stays. The same as [`Self::id`] if none is known.
    pub fn name(&self, left: &[FaultLeft]) -> String {
        let id = self.id();
        let Some((_, hash)) = id.rsplit_once('-').filter(|_| !left.is_empty()) else { return id };
        let left: Vec<String> = left.iter().map(|it| slug(&it.to_string())).collect();
        let mut left = left.join("-");
        left.truncate(LONGEST_SLUG);
        format!("{}-after-{}-{hash}", slug(&self.words()), left.trim_end_matches('-'))
    }

    /// Whether it is trouble of the harness or the machine, and not of the store.
    pub fn is_harness(&self) -> bool {
        self.kind == HARNESS
    }

    /// `violation: stale read`.
    pub fn in_words(&self) -> String {
        format!("{}: {}", self.kind, self.what)
    }
}

/// The [kind](Signature::kind) of trouble that is not the store's.
pub const HARNESS: &str = "harness";

/// Words as a part of a file's name.
pub fn slug(words: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let text: String = words.chars().map(plain).collect();
    let mut slug = text.split_whitespace().collect::<Vec<_>>().join("-");
    slug.truncate(LONGEST_SLUG);
    slug.trim_end_matches('-').to_owned()
}

/// What was learnt of buckets and of the campaign itself besides its runs: a line of `replays.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ReplayLine {
    /// A run of a bucket was played again, with the faults it had.
    Replay {
        /// The bucket.
        bucket: String,
        /// The run's index.
        of: u64,
        /// Which replay of that run, from 0.
        attempt: u32,
        /// What came of it.
        outcome: Replayed,
    },
    /// The faults of a run of a bucket were shrunk.
    Shrunk {
        /// The bucket.
        bucket: String,
        /// The run's index.
        of: u64,
        /// The faults that are left and whom they are aimed at; empty if shrinking came to no result.
        faults: Vec<FaultLeft>,
        /// How many of [`Self::Shrunk::of_replays`] of the result gave the finding.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reproduced: Option<u32>,
        /// Replays of the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of_replays: Option<u32>,
        /// Where the shrunk schedule is, from the campaign's folder on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schedule: Option<String>,
        /// Why there is no result, if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A bucket of an earlier night was tried again.
    Past {
        /// The bucket.
        bucket: String,
        /// Which trial, from 0.
        attempt: u32,
        /// What came of it.
        outcome: Replayed,
    },
    /// A planted bug that must be found.
    Canary {
        /// Which run, from 0.
        attempt: u32,
        /// What came of it: `Yes` if the bug was found.
        outcome: Replayed,
    },
    /// A run without faults that must be valid.
    Control {
        /// Which run, from 0.
        attempt: u32,
        /// What came of it: `Yes` if it was valid.
        outcome: Replayed,
    },
}

/// Whether a run gave what it was played for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reproduced", content = "saw")]
pub enum Replayed {
    /// It did.
    Yes,
    /// It gave this instead.
    No(String),
    /// The harness failed or the machine was too slow, so that it says nothing.
    Failed(String),
}

impl Replayed {
    /// Whether it did, if it says anything.
    pub fn counts(&self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No(_) => Some(false),
            Self::Failed(_) => None,
        }
    }
}

/// A fault that is left after shrinking.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FaultLeft {
    /// Its name: `isolate`.
    pub fault: String,
    /// Whom it is aimed at: `leader`, `a follower`.
    pub target: String,
}

impl fmt::Display for FaultLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some hit all nodes alike, and name no target.
        match self.target.as_str() {
            "" => f.write_str(&self.fault),
            target => write!(f, "{} {target}", self.fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature() -> Signature {
        Signature {
            target: "raft-node".to_owned(),
            workload: "register".to_owned(),
            kind: "violation".to_owned(),
            what: "stale read".to_owned(),
            shape: vec!["overwritten-before".to_owned(), "real-time".to_owned()],
        }
    }

    #[test]
    fn a_bucket_is_named_by_every_part_of_its_signature() {
        let id = signature().id();
        assert!(id.starts_with("raft-node-register-stale-read-"), "{id}");
        assert_eq!(id.len(), "raft-node-register-stale-read-".len() + 8);
        let others = [
            Signature { target: "etcd".to_owned(), ..signature() },
            Signature { workload: "append".to_owned(), ..signature() },
            Signature { kind: "crash".to_owned(), ..signature() },
            Signature { what: "stale-read".to_owned(), ..signature() },
            Signature { shape: Vec::new(), ..signature() },
            // The parts are told apart from each other.
            Signature {
                kind: "violationstale".to_owned(),
                what: " read".to_owned(),
                ..signature()
            },
        ];
        for other in others {
            assert_ne!(other.id(), id, "{other:?}");
        }
    }

    #[test]
    fn the_faults_that_are_left_stand_in_a_buckets_name_and_change_no_hash() {
        let left = |fault: &str, target: &str| FaultLeft {
            fault: fault.to_owned(),
            target: target.to_owned(),
        };
        let id = signature().id();
        assert_eq!(signature().name(&[]), id);
        let name = signature().name(&[left("isolate", "leader"), left("kill", "a follower")]);
        let hash = &id[id.len() - 9..];
        let words = "raft-node-register-stale-read-after-isolate-leader-kill-a-follower";
        assert_eq!(name, format!("{words}{hash}"));
        let many: Vec<FaultLeft> = (0..30).map(|_| left("isolate", "leader")).collect();
        assert!(signature().name(&many).len() < 150);
    }

    #[test]
    fn a_long_or_foreign_text_makes_a_name_that_a_file_can_have() {
        let what = "panic: ../../ÄÖ \u{202e}\n".repeat(20);
        let id = Signature { what, ..signature() }.id();
        assert!(id.len() < 80, "{id}");
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{id}");
        assert_eq!(slug(""), "");
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let line = RunLine {
            index: 7,
            configuration: "raft-node/register/default".to_owned(),
            seed: u64::MAX,
            started_ms: 1,
            wall_ms: 2,
            cpu_ms: 3,
            result: RunResult::Finding,
            sightings: vec![Sighting {
                bucket: signature().id(),
                signature: signature(),
                sentence: "A sentence.".to_owned(),
                at_ms: Some(2_500),
            }],
            reason: None,
            operations: 4,
            exercised: vec!["isolate leader".to_owned()],
            kept: Some("failing/a/7".to_owned()),
            spec: Some(Box::default()),
        };
        let text = serde_json::to_string(&line).expect("JSON");
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<RunLine>(&text).expect("a line"), line);
        let outcome = Replayed::No("valid".to_owned());
        let replay = ReplayLine::Replay { bucket: "b".to_owned(), of: 7, attempt: 0, outcome };
        let text = serde_json::to_string(&replay).expect("JSON");
        assert_eq!(serde_json::from_str::<ReplayLine>(&text).expect("a line"), replay);
    }
}
