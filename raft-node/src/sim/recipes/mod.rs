//! For each planted bug the situation in which it shows, and how to get there.
//!
//! A random mix of faults does not reach the rare ones within a sensible time: a voter must restart
//! within one election, a follower must lag across a snapshot, the power must go in the middle of a
//! sync. A recipe steers the cluster towards that situation, over and over, and leaves the details
//! to the seed. One recipe serves several bugs. Honest servers pass every recipe.

mod disks;
mod elections;
mod leases;
mod logs;
mod members;
mod reads;
mod requests;
mod snapshots;

use super::history::Object;
use super::lab::Done;
use super::load::LoadPlan;
use super::moment::ms;
use super::scenarios::{Group, Scenario};
use super::world::{Setup, World};
use crate::core::Compaction;
use crate::mutations::Mutation;

/// A scenario and the planted bugs that it exposes: by their names, each with a seed that does.
#[derive(Debug)]
struct Recipe {
    scenario: Scenario,
    exposes: &'static [(&'static str, u64)],
}

impl Recipe {
    /// The seed with which it exposes a planted bug, if it is aimed at that.
    fn exposing_seed(&self, mutation: Mutation) -> Option<u64> {
        let name = mutation.name();
        self.exposes.iter().find(|(exposed, _)| *exposed == name).map(|(_, seed)| *seed)
    }
}

/// Planted bugs that no client and no invariant can tell from the honest server, and why.
const EQUIVALENT: &[(&str, &str)] = &[
    (
        "lease-not-rechecked",
        "the core looks at the lease in the step in which the read arrives, with a clock that was read \
         after the read was taken from its queue; a read that is served later was invoked before that \
         moment, at which no other leader existed, and may take its place in the order there, however \
         late its answer is",
    ),
    (
        "applied-kept",
        "it is all right but for the memory that it takes, which a simulator does not measure: a limit on \
         that of real processes finds it",
    ),
];

/// Why a planted bug cannot be found, if that is so.
#[must_use]
pub fn equivalence(mutation: Mutation) -> Option<&'static str> {
    EQUIVALENT.iter().find(|(name, _)| *name == mutation.name()).map(|(_, why)| *why)
}

/// The scenarios that expose a planted bug: its recipe, or random runs if it has none.
#[must_use]
pub fn of(mutation: Mutation) -> Vec<&'static Scenario> {
    let aimed = RECIPES.iter().filter(|recipe| recipe.exposing_seed(mutation).is_some());
    let aimed: Vec<_> = aimed.map(|recipe| &recipe.scenario).collect();
    if aimed.is_empty() { super::scenarios::find("random") } else { aimed }
}

/// A seed with which a planted bug's recipe exposed it when this was written: where a short search
/// begins, since any change of the servers or the simulator moves what a seed leads to.
#[must_use]
pub fn exposing_seed(mutation: Mutation) -> Option<u64> {
    RECIPES.iter().find_map(|recipe| recipe.exposing_seed(mutation))
}

/// Every recipe, as a scenario.
#[must_use]
pub fn recipes() -> Vec<&'static Scenario> {
    RECIPES.iter().map(|recipe| &recipe.scenario).collect()
}

/// Keys that the clients of most recipes use.
const KEYS: u32 = 2;

/// Clients that are quick to ask, so that short moments are seen.
fn busy() -> LoadPlan {
    LoadPlan {
        clients: 5,
        keys: KEYS,
        gap: ms(1)..=ms(12),
        patience: ms(700),
        ..LoadPlan::default()
    }
}

fn texts(size: usize) -> Setup {
    Setup { object: Object::Text, ..Setup::of(size) }
}

fn text_3(_seed: u64) -> Setup {
    texts(3)
}

fn text_5(_seed: u64) -> Setup {
    texts(5)
}

fn register_3(_seed: u64) -> Setup {
    Setup::of(3)
}

fn four(_seed: u64) -> Setup {
    texts(4)
}

/// Servers whose election timeouts lie close together.
fn contested(_seed: u64) -> Setup {
    Setup { election_timeout: ms(250)..=ms(262), ..texts(5) }
}

/// Servers that take snapshots often and send them in small pieces.
fn compacting(size: usize) -> Setup {
    let compaction = Compaction { log_bytes: 2 << 10, keep_entries: 2, chunk_bytes: 1_024 };
    Setup { compaction, segment_bytes: 4 << 10, ..Setup::of(size) }
}

fn compacting_texts(_seed: u64) -> Setup {
    Setup { object: Object::Text, ..compacting(3) }
}

fn compacting_registers(_seed: u64) -> Setup {
    compacting(3)
}

/// The same, with snapshots that fit into one message.
fn compacting_whole(_seed: u64) -> Setup {
    let setup = compacting(3);
    Setup { compaction: Compaction { chunk_bytes: 64 << 10, ..setup.compaction }, ..setup }
}

fn segmented(_seed: u64) -> Setup {
    Setup { segment_bytes: 1 << 10, ..texts(3) }
}

/// Waits a little before the next round, a random time of up to this many milliseconds.
fn pause_up_to(world: &mut World, most: u64) -> Done {
    let gap = super::random::between(&mut world.faults, &(ms(1)..=ms(most)));
    world.run(gap)
}

/// A server other than this one, by chance.
fn another(world: &mut World, not: usize) -> usize {
    use rand::RngExt;
    let size = world.size();
    (not + world.faults.random_range(1..size)) % size
}

macro_rules! recipes {
    ($($name:literal $setup:path, $play:path, $about:literal, [$($exposes:literal $seed:literal),+];)+) => {
        const RECIPES: &[Recipe] = &[$(Recipe {
            scenario: Scenario {
                name: $name,
                group: Group::Recipe,
                about: $about,
                setup: $setup,
                play: $play,
            },
            exposes: &[$(($exposes, $seed)),+],
        }),+];
    };
}

recipes! {
    "contested-elections" contested, elections::contested,
        "several candidates at a time, and voters that restart in the midst of it",
        ["vote-not-persisted" 1, "term-not-persisted" 1, "vote-erased-same-term" 1];
    "doubled-votes" text_5, elections::doubled_votes,
        "a minority votes, and every message arrives twice",
        ["duplicate-votes-counted" 1];
    "lagging-candidate" text_3, elections::lagging_candidate,
        "a server that missed writes stands for election",
        ["no-log-check" 1, "follower-local-read" 2];
    "split-of-four" four, elections::split_of_four,
        "four servers split in two halves",
        ["quorum-off-by-one" 1];
    "flapping-follower" text_3, elections::flapping,
        "a follower that comes and goes must not depose the leader",
        ["no-prevote" 1];
    "deaf-leader" text_3, elections::deaf_leader,
        "a leader that is heard but hears nobody must give way",
        ["no-check-quorum" 1, "fail-for-maybe" 3];
    "tied-timers" elections::tied, elections::tied_timers,
        "three servers of which all must vote for one lose their leader at the same moment",
        ["fixed-timer" 1];
    "spamming-candidate" text_3, elections::spamming_candidate,
        "a server that cannot win stands again and again",
        ["timer-reset-on-any-rpc" 1];
    "old-leader-hears-followers" register_3, reads::old_leader_hears_followers,
        "an old leader hears from the followers, but not from the new leader",
        ["no-step-down" 1];
    "paused-leaders" register_3, reads::paused_leaders,
        "leaders are paused and go on with what waited for them",
        ["stale-append-accepted" 21, "leader-local-read" 71, "readindex-no-round" 55,
         "readindex-term-race" 25];
    "killed-leaders" register_3, reads::killed_leaders,
        "leaders are killed while clients read",
        ["readindex-without-noop" 2, "condition-checked-early" 1];
    "figure-8-rotation" text_5, super::scenarios::persistence::figure_8_unreliable,
        "leaders are cut off in rotation while messages overtake each other",
        ["commit-prior-term" 14];
    "divergent-tails" text_5, logs::divergent_tails,
        "leaders are cut off with entries that nobody else has, and come back",
        ["heartbeat-skips-prevlog" 1, "stale-tail-kept" 1, "commit-beyond-last-new" 1,
         "optimistic-match" 1, "reply-by-index-only" 1, "apply-before-commit" 1,
         "leader-remembered" 1, "panic-on-conflict" 1, "elected-without-votes" 1,
         "followers-skip-apply" 1,
         "tail-acknowledged" 1, "log-applied-on-restart" 2, "forward-sent-again" 2];
    "late-appends" text_3, logs::late_appends,
        "one direction is held while others go on",
        ["truncate-on-stale-append" 1];
    "truncation-and-power-loss" text_5, logs::truncation_and_power_loss,
        "entries are replaced on slow disks whose power goes",
        ["stale-last-written" 6];
    "power-loss-of-a-quorum" text_3, disks::power_loss_of_a_quorum,
        "the power of most servers goes at once",
        ["ack-before-fsync" 2];
    "slow-leader-disk" text_3, disks::slow_leader_disk,
        "the leader's disk is slow, and its power goes",
        ["leader-counts-unsynced" 1];
    "failing-syncs" text_3, disks::failing_syncs,
        "syncs fail, and then the power goes",
        ["fsync-error-ignored" 86, "disk-error-index-reuse" 1];
    "torn-writes" text_3, disks::torn_writes,
        "the power goes in the middle of writes",
        ["torn-tail-accepted" 329];
    "flipped-bits" text_3, disks::flipped_bits,
        "a bit of one server's log is flipped while it is down",
        ["corruption-truncates-then-votes" 1];
    "new-segments" segmented, disks::new_segments,
        "the power goes soon after a segment was begun",
        ["directory-not-synced" 1];
    "leases-and-wall-clocks" leases::leased, leases::wall_clocks,
        "wall clocks are stepped back while leaders are cut off",
        ["lease-wall-clock" 1];
    "leases-and-drift" leases::drifting, leases::drift,
        "leaders with slow clocks are cut off, within the bound on drift",
        ["lease-no-margin" 2];
    "leases-and-transfers" leases::leased, leases::transfers,
        "leadership is handed over, and the old leader cut off",
        ["lease-kept-on-transfer" 1, "successor-unchecked" 1];
    "retries" text_3, logs::retries,
        "answers are lost and requests are sent again",
        ["no-dedup" 1];
    "snapshots-and-retries" compacting_texts, snapshots::retries,
        "requests are sent again across snapshots and restarts",
        ["dedup-not-in-snapshot" 1, "apply-twice-on-restart" 1, "snapshot-log-gap" 1,
         "term-regress-on-snapshot" 2];
    "lagging-follower" compacting_registers, snapshots::lagging_follower,
        "a follower lags behind a snapshot, over a network that loses and reorders",
        ["purged-prevlog-conflict" 1, "install-without-reset" 15, "partial-snapshot-installed" 1,
         "sessions-not-installed" 2];
    "late-snapshots" compacting_whole, snapshots::lagging_follower,
        "the same, with snapshots that arrive in one piece, twice and late",
        ["older-snapshot-installed" 5];
    "snapshots-and-power-loss" compacting_texts, snapshots::power_loss,
        "the power goes soon after a snapshot was taken",
        ["snapshot-not-synced" 1];
    "expiring-keys" register_3, logs::expiring_keys,
        "keys expire while wall clocks differ",
        ["nondeterministic-apply" 1];
    "restarted-followers" text_3, requests::restarted_followers,
        "followers restart while what they forwarded is on its way",
        ["boots-not-counted" 31];
    "transactions" register_3, requests::transactions,
        "transactions on the same keys, while leaders are cut off",
        ["transaction-answered-early" 2, "transaction-reads-unlogged" 1,
         "transaction-in-two-steps" 1, "checks-made-early" 1];
    "changing-members" members::spares, members::changing,
        "servers are added and removed while the cluster is divided",
        ["early-membership-change" 5, "uncommitted-config-ignored" 1, "learner-counted" 1,
         "joint-left-early" 1, "joiner-counted" 8];
}
