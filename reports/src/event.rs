//! What happens in a run, as it happens: the lines of `events.jsonl`, and what every sink of a run gets.
//!
//! One type, live and stored; `docs/events.md` is the contract.

use std::fmt;
use std::time::Duration;

use partita_checker::{Nanoseconds, ProgressReport, Verdict};
use partita_nemesis::FaultRecord;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::finding::Finding;

/// The number of the form that this version writes. A new kind of event or a new field keeps it; it is
/// raised when an older reader would misread what it knows. Nothing is appended to a file of a newer
/// format.
pub const FORMAT: u32 = 1;

/// An event and its moment: a line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When, since the run began. No event is earlier than the one before it.
    pub at_ns: Nanoseconds,
    /// What.
    #[serde(flatten)]
    pub event: RunEvent,
}

/// Something that happens in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The run began. Always first.
    Started(Started),
    /// The nodes are up and one of them leads; clients begin next.
    ClusterUp {
        /// How many nodes.
        nodes: u32,
        /// The leader, if one is known.
        leader: Option<String>,
    },
    /// A phase began, and with it the one before ended: those of `run.json`, and then `judging`.
    Phase {
        /// Its name.
        phase: String,
    },
    /// A fault is in force.
    FaultInjected(Box<FaultRecord>),
    /// A fault is over. If it could not be undone, its `error` says why.
    FaultHealed(Box<FaultRecord>),
    /// A fault could not be injected, for the reason in its `error`.
    FaultSkipped(Box<FaultRecord>),
    /// A node says that it is something else than before, or in another term.
    RoleChanged {
        /// The node.
        node: String,
        /// `leader`, `follower`, `candidate`, `down` (no process) or `silent` (it does not answer).
        role: String,
        /// The term it is in, where known.
        term: Option<u64>,
    },
    /// What became of operations so far; several times a second while clients are at work.
    Tally(Tally),
    /// A node has no process any more.
    NodeEnded {
        /// The node.
        node: String,
        /// How it ended: `exit status: 101`, `signal: 9 (SIGKILL)`.
        status: String,
        /// The number of the fault that explains it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        explained_by: Option<u32>,
        /// Whether the target's description expects it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        expected: bool,
    },
    /// A node that had ended on its own was started again, as the target's restart policy says.
    NodeRestarted {
        /// The node.
        node: String,
        /// How often that was done to it so far.
        restarts: u32,
    },
    /// Something was found of the system under test; told at the first time that it is seen.
    Found {
        /// What.
        finding: Box<Finding>,
    },
    /// The cluster is kept as it is until the run is interrupted.
    Holding {
        /// Commands that reach its nodes, one each.
        commands: Vec<String>,
    },
    /// Something that a reader of the run should know.
    Remark {
        /// A sentence.
        text: String,
    },
    /// The run ends before its time.
    Stopping {
        /// Why.
        reason: StopReason,
        /// The same in a sentence.
        text: String,
    },
    /// How far the checker has come, if it takes long.
    Checking(CheckProgress),
    /// The checker is done.
    Judged {
        /// The verdict on the history, as `run.json` has it.
        verdict: Verdict,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// The run is over and its files are written. Always last; a file without it belongs to a run that
    /// is under way, or that was killed with everything that watched over it.
    Finished {
        /// The verdict on the history.
        verdict: Verdict,
        /// What the run ends with.
        exit: Exit,
        /// What failed of the harness, if anything did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// Of a newer version; to be skipped.
    #[serde(other)]
    Unrecognized,
}

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The number of the form of this and all events that follow: [`FORMAT`].
    pub format: u32,
    /// Partita's version.
    pub partita: String,
    /// The run's name: the name of its folder.
    pub run: String,
    /// The system under test.
    pub target: String,
    /// What clients do.
    pub workload: String,
    /// Where everything random comes from.
    pub seed: u64,
    /// The kind of lab, as in `run.json`.
    pub lab: String,
    /// The nodes, in order.
    pub nodes: Vec<String>,
}

/// What became of operations so far, and how the cluster is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Sent.
    pub invoked: u64,
    /// Came back with an answer.
    pub ok: u64,
    /// Certainly did not happen.
    pub fail: u64,
    /// May or may not have happened.
    pub info: u64,
    /// Operations that came back with an answer, a second, since the tally before this one.
    pub ok_per_s: f64,
    /// How long the phase still lasts, in milliseconds.
    pub left_ms: u64,
    /// Who leads, if that is known.
    pub leader: Option<String>,
    /// The faults in force, in words: `isolate n1`.
    pub in_force: Vec<String>,
}

/// How far the checker has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckProgress {
    /// Keys in all.
    pub keys: u64,
    /// Keys that are decided.
    pub decided_keys: u64,
    /// Operations in all.
    pub operations: u64,
    /// Operations on keys that are decided.
    pub decided_operations: u64,
    /// Operations that searches of other keys have passed.
    pub passed_operations: u64,
    /// How long the check takes so far, in milliseconds.
    pub elapsed_ms: u64,
    /// How long it may take, in milliseconds.
    pub budget_ms: u64,
}

impl CheckProgress {
    /// The progress of a check that has taken `elapsed` of its `budget`.
    pub fn of(report: ProgressReport, elapsed: Duration, budget: Duration) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            keys: report.keys as u64,
            decided_keys: report.decided_keys as u64,
            operations: report.operations as u64,
            decided_operations: report.decided_operations as u64,
            passed_operations: report.passed_operations as u64,
            elapsed_ms: milliseconds(elapsed),
            budget_ms: milliseconds(budget),
        }
    }
}

/// Why a run ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
    /// Something was found, and the specification says to stop at that, or the cluster cannot go on.
    Finding,
    /// The harness failed.
    Failure,
    /// Of a newer version.
    #[serde(other)]
    Unrecognized,
}

impl fmt::Display for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&line)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use partita_nemesis::Family;

    use super::*;
    use crate::finding::FindingKind;

    fn fault() -> Box<FaultRecord> {
        Box::new(FaultRecord {
            id: 3,
            fault: "isolate".to_owned(),
            family: Family::Partition,
            target: "leader".to_owned(),
            nodes: vec!["n1".to_owned()],
            parameters: BTreeMap::from([("direction".to_owned(), "both".to_owned())]),
            began_ns: 7,
            ended_ns: Some(u64::MAX),
            effects: Vec::new(),
            error: None,
            unhealed: false,
        })
    }

    fn every_kind() -> Vec<RunEvent> {
        let text = || "n2 ended".to_owned();
        let nodes = vec!["n1".to_owned(), "n2".to_owned()];
        let started = Started {
            format: FORMAT,
            partita: "0.1.0".to_owned(),
            run: "r".to_owned(),
            target: "raft-node".to_owned(),
            workload: "register".to_owned(),
            seed: u64::MAX,
            lab: "signals only".to_owned(),
            nodes: nodes.clone(),
        };
        let tally = Tally {
            invoked: 9,
            ok: 4,
            fail: 1,
            info: 2,
            ok_per_s: 12.5,
            left_ms: 900,
            leader: None,
            in_force: nodes,
        };
        let checking = CheckProgress {
            keys: 3,
            decided_keys: 1,
            operations: 40,
            decided_operations: 12,
            passed_operations: 5,
            elapsed_ms: 2_000,
            budget_ms: 60_000,
        };
        let status = "exit status: 101".to_owned();
        let findings = vec![Finding::new(FindingKind::Crash, "n2 panicked", text())];
        let verdict = Verdict::Unknown;
        vec![
            RunEvent::Started(started),
            RunEvent::ClusterUp { nodes: 3, leader: Some("n2".to_owned()) },
            RunEvent::Phase { phase: "lead-in".to_owned() },
            RunEvent::FaultInjected(fault()),
            RunEvent::FaultHealed(fault()),
            RunEvent::FaultSkipped(fault()),
            RunEvent::RoleChanged { node: "n1".to_owned(), role: "down".to_owned(), term: None },
            RunEvent::Tally(tally),
            RunEvent::NodeEnded {
                node: "n2".to_owned(),
                status,
                explained_by: Some(3),
                expected: false,
            },
            RunEvent::NodeRestarted { node: "n2".to_owned(), restarts: 2 },
            RunEvent::Found { finding: Box::new(findings[0].clone()) },
            RunEvent::Holding { commands: vec![text()] },
            RunEvent::Remark { text: text() },
            RunEvent::Stopping { reason: StopReason::Finding, text: text() },
            RunEvent::Checking(checking),
            RunEvent::Judged { verdict, findings },
            RunEvent::Finished { verdict, exit: Exit::Finding, failure: None },
        ]
    }

    #[test]
    fn every_event_is_read_as_it_was_written_and_stands_in_the_contract() {
        let contract = include_str!("../../docs/events.md");
        for (at, event) in (0..).zip(every_kind()) {
            let stamped = Stamped { at_ns: Nanoseconds(at), event };
            let line = stamped.to_string();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Stamped>(&line).expect("an event"), stamped);
            let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let kind = value["type"].as_str().expect("a type");
            assert!(contract.contains(&format!("| `{kind}` |")), "{kind}");
        }
    }

    #[test]
    fn an_event_of_a_newer_version_is_skipped_and_new_fields_are_not_minded() {
        let newer = r#"{"at_ns":5,"type":"replica-compared","nodes":["n1"],"equal":true}"#;
        let read: Stamped = serde_json::from_str(newer).expect("an event");
        assert_eq!(read, Stamped { at_ns: Nanoseconds(5), event: RunEvent::Unrecognized });
        let more = r#"{"at_ns":5,"type":"phase","phase":"heal","for_ms":1000}"#;
        let read: Stamped = serde_json::from_str(more).expect("an event");
        assert_eq!(read.event, RunEvent::Phase { phase: "heal".to_owned() });
        let stopped = r#"{"at_ns":5,"type":"stopping","reason":"budget","text":"t"}"#;
        let read: Stamped = serde_json::from_str(stopped).expect("an event");
        assert!(matches!(read.event, RunEvent::Stopping { reason: StopReason::Unrecognized, .. }));
    }
}
