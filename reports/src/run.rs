//! What was asked of a run and what was found: the content of `run.json`, and the input of reports.

use partita_checker::{Analysis, Certificate, History, Nanoseconds, Verdict};
use partita_nemesis::FaultRecord;
use serde::{Deserialize, Serialize};

use crate::elections::Elections;
use crate::exit::Exit;
use crate::finding::Finding;
use crate::outcomes::Outcomes;
use crate::recovery::Recovery;
use crate::roles::RoleChange;

/// A run's plan, surroundings, course and verdict.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    /// Partita's version.
    pub version: String,
    /// The run's name: the name of its folder.
    pub name: String,
    /// The run's folder, as one would type it from where the run was started.
    pub folder: String,
    /// When the run began, UTC, RFC 3339.
    pub started_at: String,
    /// The command that does this run again, as one would type it.
    pub command: String,
    /// Everything random came from it.
    pub seed: u64,
    /// The system under test: `raft-node`.
    pub target: String,
    /// What the clients did: `register`.
    pub workload: String,
    /// Which faults were drawn: `default`, `partition`, `none`.
    pub nemesis: String,
    /// The planted bug that was switched on, if any.
    pub mutation: Option<String>,
    /// The clients' number.
    pub clients: u32,
    /// The rate aimed at by all clients together, in operations a second.
    pub rate: f64,
    /// The rate that they reached, in operations a second: what they sent in the phases `lead-in`,
    /// `faults` and `heal`, by the length of these. Absent if there were no such phases.
    #[serde(default)]
    pub rate_reached: Option<f64>,
    /// How long clients and faults were at work, in seconds.
    pub duration_s: f64,
    /// The machine.
    pub host: HostRecord,
    /// The nodes, in order.
    pub nodes: Vec<NodeRecord>,
    /// The run's phases, in order: `start`, `lead-in`, `faults`, `heal`, `settle`, `final reads`.
    pub phases: Vec<Phase>,
    /// What became of the operations.
    pub counts: Counts,
    /// The same by kind of operation, what went wrong with them, and what nodes sent against their
    /// protocol.
    #[serde(default)]
    pub outcomes: Outcomes,
    /// Who was what when, as seen from outside every node. By time.
    pub roles: Vec<RoleChange>,
    /// What was found of the system under test, the violation among it.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// The verdict on the history; *unknown* where it would be valid and the run was vacuous or did not
    /// come to its end.
    pub verdict: Verdict,
    /// Why the verdict is unknown, or what else a reader must know. One sentence each.
    pub remarks: Vec<String>,
    /// What does not touch the verdict and should be known all the same. One sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How many of the faults count as evidence.
    #[serde(default)]
    pub faults_counted: u64,
    /// What clients saw of each fault: how long they went without an answer, and how soon one came
    /// after the heal.
    #[serde(default)]
    pub recovery: Vec<Recovery>,
    /// What elections came to, if that is all that was judged: the run had no clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elections: Option<Elections>,
    /// When the controller itself stood still for longer than a tenth of a client's time-out.
    #[serde(default)]
    pub stalls: Vec<Stall>,
    /// What failed of the harness, or why the target could not be started, if the run ended before its
    /// time by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl RunRecord {
    /// What the run ends with.
    pub fn exit(&self) -> Exit {
        Exit::of_run(&self.findings, self.failure.is_some(), self.verdict)
    }
}

/// A time during which the controller itself did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stall {
    /// When it stopped, at the latest.
    pub began_ns: Nanoseconds,
    /// For how long.
    pub length_ns: Nanoseconds,
}

/// The machine that a run ran on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HostRecord {
    /// The kernel's release.
    pub kernel: String,
    /// Processor cores available.
    pub cores: u32,
    /// The kind of lab: `user namespaces`, `root namespaces`, `loopback proxies`, `signals only`.
    pub lab: String,
}

/// One node of the system under test.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name: `n1`.
    pub name: String,
    /// Its address inside the lab.
    pub address: String,
    /// How often it ended on its own and was started again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// What its program says of its version, if the target's description asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A stretch of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it began.
    pub began_ns: Nanoseconds,
    /// When it ended.
    pub ended_ns: Nanoseconds,
}

/// What became of the operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Invoked.
    pub invoked: u64,
    /// Came back with an answer.
    pub ok: u64,
    /// Certainly did not happen.
    pub fail: u64,
    /// May or may not have happened.
    pub info: u64,
    /// Of the `ok` ones, those that came back while a fault was in force.
    pub ok_during_faults: u64,
}

/// Everything that is known of one finished run: what the reports are made from.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The plan and the course.
    pub record: &'a RunRecord,
    /// What the clients did and saw.
    pub history: &'a History,
    /// The faults as they happened, in the order of the schedule.
    pub faults: &'a [FaultRecord],
    /// What the checker found.
    pub analysis: &'a Analysis,
    /// The orders that prove the history, where it is proved.
    pub certificate: Option<&'a Certificate>,
}

impl Run<'_> {
    /// The verdict that reports show: the worse of the run's and the checker's, so that no
    /// disagreement between the two can hide a violation.
    pub fn verdict(&self) -> Verdict {
        self.record.verdict.max(self.analysis.verdict)
    }

    /// When the last thing on record happened; at least one millisecond, so that charts have a
    /// width.
    pub fn end(&self) -> Nanoseconds {
        let phases = self.record.phases.iter().map(|phase| phase.ended_ns.0);
        let roles = self.record.roles.iter().map(|change| change.at_ns.0);
        let faults = self.faults.iter().map(|fault| fault.ended_ns.unwrap_or(fault.began_ns));
        let operations = self.history.operations().iter().map(|operation| {
            operation.completed().map_or(operation.invoked.time.0, |moment| moment.time.0)
        });
        let end = phases.chain(roles).chain(faults).chain(operations).max().unwrap_or(0);
        Nanoseconds(end.max(1_000_000))
    }
}
