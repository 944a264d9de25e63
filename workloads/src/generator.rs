//! What every workload is: a source of operations, and of those that end a run.

use partita_checker::Value;

use crate::operation::{Completion, Invocation};

/// Draws the operations of all clients of a run from its seed and from what came back so far.
pub trait Generator: Send {
    /// The next operation.
    fn next_invocation(&mut self) -> Invocation;

    /// An operation that changes nothing, for a read-only phase; none if the workload has no such
    /// operation, and clients pause.
    fn next_read(&mut self) -> Option<Invocation>;

    /// Learns what came of an operation.
    fn completed(&mut self, invocation: &Invocation, completion: &Completion);

    /// What ends the run once everything is healed, in order; every node is asked for all of it.
    fn closing(&self) -> Vec<Closing>;
}

/// An operation that ends a run. Whatever was acknowledged must still be there, through every node:
/// this is where a loss shows that no client happened to meet in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The operation.
    pub invocation: Invocation,
    /// When a node has done its part.
    pub until: Until,
}

/// When a node has done its part of a closing operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It answered.
    Answered,
    /// It answered that there is nothing left: a queue is drained.
    Nothing,
}

impl Until {
    /// Whether a node that completed the operation like this has done its part.
    pub fn is_met(self, completion: &Completion) -> bool {
        match (self, completion) {
            (_, Completion::Fail(_) | Completion::Unknown(_) | Completion::Scheduled) => false,
            (Self::Answered, _) => true,
            (Self::Nothing, completion) => *completion == Completion::Answered(Value::Null),
        }
    }
}

/// Reads each of `keys` once: what ends a run on registers and strings.
pub(crate) fn reads(keys: &[Value]) -> Vec<Closing> {
    let read =
        |key: &Value| Closing { invocation: Invocation::read(key.clone()), until: Until::Answered };
    keys.iter().map(read).collect()
}
