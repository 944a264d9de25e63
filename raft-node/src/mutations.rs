//! Names the planted bugs: real mistakes of real systems, to be switched on one by one so that a
//! tester can show that it finds them.
//!
//! One table, below, makes the enum, its names and the texts of `partita list mutations`. Each bug
//! is one branch at one named place of the server, `if self.mutations.has(Mutation::…)`; where more
//! than one place must decide alike, a function names the decision and holds the branch. Without
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
    /// A server ends on its own.
    Crash,
    /// A server uses ever more of what the machine has.
    Resources,
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
    "vote-not-persisted" VoteNotPersisted:
        "votedFor lives in memory only",
        "kill and restart a voter inside one election", [Clients, WhiteBox],
        ["nodedb#161", "barge#5"];
    "term-not-persisted" TermNotPersisted:
        "currentTerm restarts at an old value",
        "kill, restart", [WhiteBox], ["nodedb#161"];
    "vote-erased-same-term" VoteErasedSameTerm:
        "votedFor cleared when the term's leader is heard; no pre-vote or first entry hides it",
        "two candidates in one term, a late RequestVote", [Clients, WhiteBox],
        ["redpanda#19", "hazelcast#16643", "camunda#5356", "CCF#8094", "etcd#2461",
         "akka-raft#56"];
    "duplicate-votes-counted" DuplicateVotesCounted:
        "counts replies, not voters",
        "connection reset and RPC retry", [Clients, WhiteBox], ["akka-raft"];
    "no-log-check" NoLogCheck:
        "votes are granted whatever the candidate's log",
        "isolate a follower, write, isolate the leader", [Clients], [];
    "quorum-off-by-one" QuorumOffByOne:
        "n/2 is enough",
        "four nodes, split in two", [Clients], [];
    "no-step-down" NoStepDown:
        "ignores a higher term in replies",
        "partition and heal", [Clients], [];
    "stale-append-accepted" StaleAppendAccepted:
        "the term of AppendEntries is not checked",
        "pause the old leader, elect, resume", [Clients], [];
    "no-prevote" NoPrevote:
        "a rejoining node deposes the leader again and again",
        "flapping or one-way link", [Liveness], [];
    "no-check-quorum" NoCheckQuorum:
        "a leader that hears no majority stays",
        "one-way partition", [Liveness, Clients], ["cockroach#79699"];
    "fixed-timer" FixedTimer:
        "election timeout not randomised",
        "kill the leader", [Liveness], [];
    "timer-reset-on-any-rpc" TimerResetOnAnyRpc:
        "a refused vote or stale append resets it",
        "partition with a spamming candidate", [Liveness], [];
    "term-regress-on-snapshot" TermRegressOnSnapshot:
        "currentTerm := the snapshot's term",
        "snapshot, restart", [WhiteBox], ["willemt/raft#118"];
    "commit-prior-term" CommitPriorTerm:
        "replicas of older terms' entries count, so a term begins without an entry of its own",
        "isolate leaders in rotation while writing, five nodes", [Clients],
        ["logcabin#44", "async-raft#108", "canonical/raft#220"];
    "heartbeat-skips-prevlog" HeartbeatSkipsPrevlog:
        "an empty AppendEntries always succeeds",
        "partition, heal", [Clients], [];
    "truncate-on-stale-append" TruncateOnStaleAppend:
        "truncates after prevLog without a conflict",
        "held direction, retry", [Clients], ["raftos#26"];
    "stale-tail-kept" StaleTailKept:
        "overwrites the conflict, keeps what follows",
        "isolate a leader with a long tail", [Clients], ["mofa#1150"];
    "commit-beyond-last-new" CommitBeyondLastNew:
        "commit = min(leaderCommit, last index)",
        "divergent tail, empty heartbeat", [Clients], ["copycat#265", "scylladb#9965"];
    "optimistic-match" OptimisticMatch:
        "matchIndex := nextIndex − 1",
        "fast leader changes", [Clients], [];
    "ack-before-fsync" AckBeforeFsync:
        "acknowledges after write(2)",
        "power loss on a quorum", [Clients], ["nats-server#7564", "hiqlite#361"];
    "leader-counts-unsynced" LeaderCountsUnsynced:
        "the leader counts its own unsynced entry",
        "power loss of the leader, a follower down", [Clients], [];
    "stale-last-written" StaleLastWritten:
        "the durable index is not lowered on truncation",
        "leader changes, power loss", [Clients], ["ra#637"];
    "disk-error-index-reuse" DiskErrorIndexReuse:
        "after a failed write the same index and term are used again",
        "I/O error", [Clients, WhiteBox], ["canonical/raft#320"];
    "reply-by-index-only" ReplyByIndexOnly:
        "a waiting client is matched by index, not by index and term",
        "partition the leader with work pending", [Clients], [];
    "purged-prevlog-conflict" PurgedPrevlogConflict:
        "a compacted previous entry is taken for a conflict",
        "snapshot, lagging follower, restart", [Clients], ["openraft#509"];
    "leader-local-read" LeaderLocalRead:
        "a leader asks no quorum, neither before it answers a read nor whether it still leads",
        "isolate or pause the leader", [Clients], ["etcd#741", "consul#54"];
    "readindex-without-noop" ReadindexWithoutNoop:
        "a new leader reads before committing in its own term",
        "kill the leader, read at once", [Clients], ["etcd#7331", "redisraft#19"];
    "readindex-term-race" ReadindexTermRace:
        "the confirming round belongs to an older request",
        "pause, leader change", [Clients], ["etcd#20418"];
    "readindex-no-round" ReadindexNoRound:
        "ReadIndex without confirming leadership",
        "pause, partition", [Clients], [];
    "lease-wall-clock" LeaseWallClock:
        "the lease is measured with CLOCK_REALTIME",
        "clock steps back, isolate the leader", [Clients], ["tikv#964"];
    "lease-no-margin" LeaseNoMargin:
        "the lease is as long as the election timeout",
        "clock rate, isolate the leader", [Clients], ["sofa-jraft#34"];
    "lease-not-rechecked" LeaseNotRechecked:
        "the lease is checked, then the read served late",
        "pause", [Clients], ["etcd#6005"];
    "lease-kept-on-transfer" LeaseKeptOnTransfer:
        "the old leader keeps its lease",
        "leadership transfer", [Clients], [];
    "no-dedup" NoDedup:
        "a retried request is applied again",
        "lost replies, client retry", [Clients], ["ra#145"];
    "dedup-not-in-snapshot" DedupNotInSnapshot:
        "the session table is not in the snapshot",
        "snapshot, retry", [Clients], [];
    "fail-for-maybe" FailForMaybe:
        "a definite error while the entry may still commit",
        "kill, isolate the leader", [Clients], ["redisraft#23"];
    "apply-twice-on-restart" ApplyTwiceOnRestart:
        "applied index and state not saved together",
        "kill", [Clients], ["etcd#13766"];
    "apply-before-commit" ApplyBeforeCommit:
        "applied when appended",
        "isolate the leader", [Clients], [];
    "nondeterministic-apply" NondeterministicApply:
        "apply reads the local clock (TTL)",
        "clock skew", [Clients, WhiteBox], [];
    "older-snapshot-installed" OlderSnapshotInstalled:
        "the index is not checked",
        "held direction, retried InstallSnapshot", [Clients], ["openraft#543"];
    "install-without-reset" InstallWithoutReset:
        "the old state is not cleared",
        "lagging follower, deletes", [Clients], ["jgroups-raft#301"];
    "snapshot-log-gap" SnapshotLogGap:
        "a restart between a snapshot and the trim drops the entries after the snapshot",
        "kill between snapshot and trim", [Clients], ["redisraft#43"];
    "partial-snapshot-installed" PartialSnapshotInstalled:
        "a lost chunk goes unnoticed",
        "reset during the transfer", [Clients], [];
    "snapshot-not-synced" SnapshotNotSynced:
        "the log is trimmed before the snapshot is durable",
        "power loss", [Clients], [];
    "early-membership-change" EarlyMembershipChange:
        "a change before committing in one's own term",
        "membership change, partition", [Clients], ["openraft#2051", "braft#182"];
    "uncommitted-config-ignored" UncommittedConfigIgnored:
        "a new leader forgets an uncommitted configuration",
        "membership change, partition", [Clients], ["NuRaft#67"];
    "learner-counted" LearnerCounted:
        "a learner counts towards the quorum",
        "membership change, partition", [Clients], ["RedisLabs/raft#13"];
    "joint-left-early" JointLeftEarly:
        "leaves the joint configuration before it is committed",
        "membership change, partition", [Clients], ["camunda#60086"];
    "fsync-error-ignored" FsyncErrorIgnored:
        "an error from fsync is swallowed",
        "I/O error on fsync, power loss", [Clients], [];
    "torn-tail-accepted" TornTailAccepted:
        "the last batch's checksum is not checked",
        "power loss, torn write", [Clients], ["canonical/raft#407"];
    "corruption-truncates-then-votes" CorruptionTruncatesThenVotes:
        "a bad checksum in the middle truncates the log, then the server votes",
        "bit flip in the log, restart", [Clients], ["nats-server#7587", "NuRaft#185"];
    "directory-not-synced" DirectoryNotSynced:
        "a new segment's directory entry is not synced",
        "power loss", [Clients], [];
    "leader-remembered" LeaderRemembered:
        "a server that ever heard a leader hears no candidate any more",
        "isolate the leader", [Liveness], [];
    "panic-on-conflict" PanicOnConflict:
        "a follower takes an entry that conflicts with its own for impossible",
        "isolate a leader that goes on appending, heal", [Crash], [];
    "applied-kept" AppliedKept:
        "the buffers of applied entries are never freed",
        "load", [Resources], [];
    "followers-skip-apply" FollowersSkipApply:
        "only the leader applies entries, the others merely count them",
        "none", [WhiteBox], [];
    "elected-without-votes" ElectedWithoutVotes:
        "a candidate that hears of nobody announces that it was elected",
        "isolate the leader", [WhiteBox], [];
    "transaction-answered-early" TransactionAnsweredEarly:
        "a transaction is answered when appended, by what it would do to the leader's present state",
        "none, or isolate the leader", [Clients], [];
    "transaction-reads-unlogged" TransactionReadsUnlogged:
        "a transaction's reads show the leader's state when it is appended; only its writes go through the log",
        "none", [Clients], [];
    "transaction-in-two-steps" TransactionInTwoSteps:
        "the last write of a transaction is applied only behind the next entry",
        "none", [Clients], [];
    "checks-made-early" ChecksMadeEarly:
        "the leader makes a transaction's checks when it appends it, not when it is applied",
        "none", [Clients], [];
    "condition-checked-early" ConditionCheckedEarly:
        "the leader checks a compare-and-set's condition when it appends the write, not when it is applied",
        "none", [Clients], [];
    "tail-acknowledged" TailAcknowledged:
        "an acknowledgement of one batch covers the follower's whole log",
        "isolate a leader with a long tail", [Clients, WhiteBox], [];
    "log-applied-on-restart" LogAppliedOnRestart:
        "a restart takes all of the log for committed",
        "isolate the leader, kill it, restart", [Clients, WhiteBox], [];
    "successor-unchecked" SuccessorUnchecked:
        "leadership is handed over without waiting for the successor's log, and voters do not look at it",
        "leadership transfer under load", [Clients, WhiteBox], [];
    "forward-sent-again" ForwardSentAgain:
        "a write whose leader is gone is forwarded to the next one, too",
        "pause or isolate the leader", [Clients], [];
    "follower-local-read" FollowerLocalRead:
        "a follower answers reads from its own state",
        "none, or isolate a follower", [Clients], [];
    "joiner-counted" JoinerCounted:
        "a server that joins counts as having the leader's whole log",
        "membership change, partition", [Clients, WhiteBox], [];
    "sessions-not-installed" SessionsNotInstalled:
        "a snapshot of the leader replaces the keys, not the sessions",
        "lagging follower, retry", [Clients, WhiteBox], [];
    "boots-not-counted" BootsNotCounted:
        "a restarted server's forwards are taken for those of its earlier life",
        "kill a follower, restart", [Clients, Liveness], [];
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

    /// The catalogue of bugs that a tester of consensus should know.
    const CATALOGUE: &str = "\
        vote-not-persisted term-not-persisted vote-erased-same-term duplicate-votes-counted \
        no-log-check quorum-off-by-one no-step-down stale-append-accepted no-prevote \
        no-check-quorum fixed-timer timer-reset-on-any-rpc term-regress-on-snapshot \
        commit-prior-term heartbeat-skips-prevlog truncate-on-stale-append stale-tail-kept \
        commit-beyond-last-new optimistic-match ack-before-fsync leader-counts-unsynced \
        stale-last-written disk-error-index-reuse fsync-error-ignored reply-by-index-only \
        purged-prevlog-conflict leader-local-read readindex-without-noop readindex-term-race \
        readindex-no-round lease-wall-clock lease-no-margin lease-not-rechecked \
        lease-kept-on-transfer no-dedup dedup-not-in-snapshot fail-for-maybe \
        apply-twice-on-restart apply-before-commit nondeterministic-apply \
        older-snapshot-installed install-without-reset snapshot-log-gap \
        partial-snapshot-installed snapshot-not-synced early-membership-change \
        uncommitted-config-ignored learner-counted joint-left-early torn-tail-accepted \
        corruption-truncates-then-votes directory-not-synced leader-remembered panic-on-conflict \
        applied-kept followers-skip-apply elected-without-votes \
        transaction-answered-early transaction-reads-unlogged transaction-in-two-steps \
        checks-made-early \
        condition-checked-early tail-acknowledged log-applied-on-restart successor-unchecked \
        forward-sent-again follower-local-read joiner-counted sessions-not-installed \
        boots-not-counted";

    #[test]
    fn table_holds_the_whole_catalogue_and_nothing_else() {
        let known: std::collections::BTreeSet<&str> = table().iter().map(|it| it.name).collect();
        let expected = CATALOGUE.split_whitespace().collect();
        assert_eq!(known, expected);
    }

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
