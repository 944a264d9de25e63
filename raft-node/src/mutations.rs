//! Names the planted bugs: real mistakes of real systems, to be switched on one by one so that a
//! tester can show that it finds them.
//!
//! One table, below, makes the enum, its names and the texts of `partita list mutations`. Each bug
//! is one branch at one named place of the server, `if self.mutations.has(Mutation::…)`. Without
//! the cargo feature `mutations`, [`Mutations::has`] is the constant `false` and the branches are
//! compiled out; with it, a server without `--mutation` still takes none of them.

/// What a planted bug can be recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The clients' history is not linearizable, or a final read lost a write.
    Clients,
    /// Only an invariant inside the servers breaks.
    WhiteBox,
    /// The cluster makes no progress after every fault was healed.
    Liveness,
}

/// One row of the table of planted bugs.
#[derive(Clone, Copy, Debug)]
pub struct MutationInfo {
    /// Which bug.
    pub mutation: Mutation,
    /// Its name on the command line.
    pub name: &'static str,
    /// What is wrong.
    pub wrong: &'static str,
    /// The fault it takes to matter.
    pub fault: &'static str,
    /// What it can be recognised by.
    pub shows: &'static [Shows],
    /// Where it was seen in the wild; empty when nowhere in particular.
    pub seen_in: &'static [&'static str],
}

macro_rules! mutations {
    ($($name:literal $mutation:ident: $wrong:literal, $fault:literal, [$($shows:ident),+],
        [$($seen:literal),*];)+) => {
        /// A planted bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutation {
            $(#[doc = $wrong] $mutation,)+
        }

        const TABLE: &[MutationInfo] = &[$(MutationInfo {
            mutation: Mutation::$mutation,
            name: $name,
            wrong: $wrong,
            fault: $fault,
            shows: &[$(Shows::$shows),+],
            seen_in: &[$($seen),*],
        }),+];
    };
}

mutations! {
    "leader-local-read" LeaderLocalRead:
        "a leader reads without asking a quorum",
        "isolate or pause the leader", [Clients], ["etcd#741", "consul#54"];
    "stale-append-accepted" StaleAppendAccepted:
        "the term of AppendEntries is not checked",
        "pause the old leader, elect, resume", [Clients], [];
    "no-log-check" NoLogCheck:
        "votes are granted whatever the candidate's log",
        "isolate a follower, write, isolate the leader", [Clients], [];
    "commit-prior-term" CommitPriorTerm:
        "replicas of older terms' entries count, so a term begins without an entry of its own",
        "isolate leaders in rotation while writing, five nodes", [Clients],
        ["logcabin#44", "async-raft#108", "canonical/raft#220"];
    "no-dedup" NoDedup:
        "a retried request is applied again",
        "lost replies, client retry", [Clients], ["ra#145"];
    "ack-before-fsync" AckBeforeFsync:
        "what was written counts as durable before it was synced",
        "power loss on a quorum", [Clients], ["nats-server#7564", "hiqlite#361"];
    "fsync-error-ignored" FsyncErrorIgnored:
        "an error from fsync is swallowed",
        "I/O error on fsync, power loss", [Clients], [];
    "apply-twice-on-restart" ApplyTwiceOnRestart:
        "a restart takes the applied index from the log, not from the snapshot",
        "snapshot, kill before the log is trimmed as far", [Clients], ["etcd#13766"];
    "snapshot-log-gap" SnapshotLogGap:
        "a restart drops what follows the snapshot in a log that was not trimmed yet",
        "kill between snapshot and trim", [Clients], ["redisraft#43"];
    "snapshot-not-synced" SnapshotNotSynced:
        "the log is trimmed before the snapshot is durable, and a missing snapshot is no error",
        "power loss", [Clients], [];
    "torn-tail-accepted" TornTailAccepted:
        "the last batch's checksum is not checked",
        "power loss, torn write", [Clients], ["canonical/raft#407"];
    "corruption-truncates-then-votes" CorruptionTruncatesThenVotes:
        "a bad checksum in the middle truncates the log, then the server votes",
        "bit flip in the log, restart", [Clients], ["nats-server#7587", "NuRaft#185"];
    "directory-not-synced" DirectoryNotSynced:
        "a new segment's directory entry is not synced",
        "power loss", [Clients], [];
}

/// Every planted bug, in the order of the table.
#[must_use]
pub fn table() -> &'static [MutationInfo] {
    TABLE
}

impl Mutation {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        let row = TABLE.iter().find(|info| info.mutation == self);
        row.map_or("", |info| info.name)
    }
}

/// No planted bug has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mutation `{name}`; known are {}", known())]
pub struct UnknownMutation {
    name: String,
}

fn known() -> String {
    TABLE.iter().map(|info| info.name).collect::<Vec<_>>().join(", ")
}

impl std::str::FromStr for Mutation {
    type Err = UnknownMutation;

    fn from_str(name: &str) -> Result<Self, UnknownMutation> {
        let found = TABLE.iter().find(|info| info.name == name);
        found.map(|info| info.mutation).ok_or_else(|| UnknownMutation { name: name.to_owned() })
    }
}

/// The planted bugs that are switched on; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mutations {
    #[cfg(feature = "mutations")]
    bits: u128,
}

impl Mutations {
    /// Switches these bugs on and no others.
    #[cfg(feature = "mutations")]
    #[must_use]
    pub fn new(switched_on: &[Mutation]) -> Self {
        let bits = switched_on.iter().fold(0, |bits, mutation| bits | 1 << *mutation as u32);
        Self { bits }
    }

    /// Whether a bug is switched on.
    #[must_use]
    pub const fn has(self, mutation: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        let on = self.bits & (1 << mutation as u32) != 0;
        #[cfg(not(feature = "mutations"))]
        let on = {
            let _ = mutation;
            false
        };
        on
    }

    /// Whether no bug is switched on, so that the core's invariants may be asserted.
    #[must_use]
    pub const fn none(self) -> bool {
        #[cfg(feature = "mutations")]
        let none = self.bits == 0;
        #[cfg(not(feature = "mutations"))]
        let none = true;
        none
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_to_their_mutation() {
        for info in table() {
            assert_eq!(info.name.parse(), Ok(info.mutation));
            assert_eq!(table().iter().filter(|other| other.name == info.name).count(), 1);
        }
    }

    #[test]
    fn unknown_name_lists_the_known_ones() {
        let error = "no-such-bug".parse::<Mutation>().unwrap_err().to_string();
        assert!(error.contains("`no-such-bug`"), "{error}");
        assert!(table().iter().all(|info| error.contains(info.name)), "{error}");
    }

    #[test]
    fn no_mutation_is_on_unless_switched_on() {
        assert!(table().iter().all(|info| !Mutations::default().has(info.mutation)));
        assert!(Mutations::default().none());
    }
}
