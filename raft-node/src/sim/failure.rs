//! Says what a run found wrong, in the terms of the Raft paper.

use std::fmt;

use super::moment::Moment;

/// What should have held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// At most one leader can be elected in a term (Raft Figure 3).
    ElectionSafety,
    /// A leader never overwrites or deletes entries in its log (Raft Figure 3).
    LeaderAppendOnly,
    /// Two logs that have an entry of the same index and term are the same up to it (Raft Figure
    /// 3).
    LogMatching,
    /// An entry committed in a term is in the logs of the leaders of all later terms (Raft Figure
    /// 3).
    LeaderCompleteness,
    /// No two servers apply different entries at the same index (Raft Figure 3).
    StateMachineSafety,
    /// A commit index never falls while a server lives.
    CommitMonotonicity,
    /// A term never falls, not even over a restart.
    TermMonotonicity,
    /// A server votes for one candidate in a term, restarts included (Raft §5.2).
    OneVotePerTerm,
    /// What a server acknowledged is still there when it restarts.
    Durability,
    /// A leader changes the members only once the change before is committed, and an entry of its
    /// own term (thesis §4); the latest configuration in a log is the one in effect.
    Membership,
    /// A healed cluster makes progress.
    Liveness,
    /// An answer to a client of lists, sets, locks and transactions, or what is left of them at the
    /// end, cannot be.
    ClientAnswers,
    /// A limit of the scenario: how many messages, how large a log, who must lead.
    Limit,
    /// An assertion of the server's own code.
    Assertion,
    /// What clients saw is explained by some order of their operations. Judged outside this crate.
    Linearizability,
}

impl Property {
    /// The property's name in the words of the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ElectionSafety => "Election Safety",
            Self::LeaderAppendOnly => "Leader Append-Only",
            Self::LogMatching => "Log Matching",
            Self::LeaderCompleteness => "Leader Completeness",
            Self::StateMachineSafety => "State Machine Safety",
            Self::CommitMonotonicity => "commit monotonicity",
            Self::TermMonotonicity => "term monotonicity",
            Self::OneVotePerTerm => "one vote per term",
            Self::Durability => "durability",
            Self::Membership => "membership",
            Self::Liveness => "liveness",
            Self::ClientAnswers => "client answers",
            Self::Limit => "limit",
            Self::Assertion => "assertion",
            Self::Linearizability => "linearizability",
        }
    }
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which.
    pub property: Property,
    /// When it was seen.
    pub at: Moment,
    /// Who and what, in a sentence.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        write!(f, "{} at {} s: {}", self.property.name(), at.trim_start(), self.what)
    }
}

impl std::error::Error for Failure {}
