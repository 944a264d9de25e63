//! What was recorded around the moment of a finding, beside the run's own record.

use partita_checker::{Counterexample, Nanoseconds};

use crate::logs::Stream;
use crate::messages::MessageLog;
use crate::run::Run;
use crate::samples::NodeSample;
use crate::traffic::LinkPeriod;

/// How long before the operation that completes a proof is told of, at least.
const BEFORE: u64 = 1_000_000_000;
/// The same at most, however long before the proof begins.
const LONG_BEFORE: u64 = 4_000_000_000;
/// How long after it.
const AFTER: u64 = 300_000_000;

/// What was recorded beside the run's own record. Empty where nothing was, or where it is not known.
#[derive(Debug, Clone, Default)]
pub struct RunArtifacts {
    /// What links did, over the whole run, by time.
    pub links: Vec<LinkPeriod>,
    /// Messages between nodes, the latest of the run.
    pub messages: MessageLog,
    /// What nodes used and told, over the whole run, by time.
    pub samples: Vec<NodeSample>,
    /// What nodes wrote around the finding, by time.
    pub lines: Vec<LoggedLine>,
    /// How many more they wrote then.
    pub lines_left_out: u64,
}

/// A line that a node wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// Who wrote it.
    pub node: String,
    /// When it was seen to be there.
    pub at: Nanoseconds,
    /// Where it was written to.
    pub stream: Stream,
    /// What it says.
    pub text: String,
}

/// A stretch of time around a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// When it begins.
    pub from: Nanoseconds,
    /// When the finding was complete.
    pub at: Nanoseconds,
    /// When it ends.
    pub to: Nanoseconds,
}

impl Window {
    /// The time around what was found in a run; `None` if nothing was, or its time is not known.
    pub fn of(run: &Run<'_>) -> Option<Self> {
        let proof = run.analysis.counterexample.as_ref().and_then(proof_span);
        let first_at = || run.record.findings.iter().find_map(|finding| finding.at_ns);
        let (begun, at) = proof.or_else(|| first_at().map(|at| (at, at)))?;
        let before = at.since(begun).0.clamp(BEFORE, LONG_BEFORE);
        let from = Nanoseconds(at.0.saturating_sub(before));
        Some(Self { from, at, to: Nanoseconds(at.0.saturating_add(AFTER)) })
    }

    /// Whether a time is in it.
    pub fn has(&self, at: Nanoseconds) -> bool {
        self.from <= at && at <= self.to
    }
}

/// From the first invocation of a proof to its last return.
fn proof_span(found: &Counterexample) -> Option<(Nanoseconds, Nanoseconds)> {
    let begun = found.proof().map(|witness| witness.invoked).min()?;
    let ends = found.proof().map(|witness| witness.completed.unwrap_or(witness.invoked));
    Some((begun, ends.max()?))
}
