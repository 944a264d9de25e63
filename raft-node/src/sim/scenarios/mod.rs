//! The catalogue of scenarios: short programs that put a cluster through a situation and say what
//! must be true of it.
//!
//! Most are the tests of the Raft labs of MIT's course 6.5840, by their names and with their
//! limits; the groups are the labs' parts.

mod agreement;
mod elections;
pub(super) mod persistence;
mod service;
mod snapshots;

use super::lab::Done;
use super::world::{Setup, World};
use crate::core::Compaction;

/// A part of the labs, or what goes beyond them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Leader election.
    Elections,
    /// The log.
    Agreement,
    /// Persistence.
    Persistence,
    /// Log compaction.
    Snapshots,
    /// The key/value service.
    Service,
    /// A cluster, faults and clients drawn from the seed.
    Random,
    /// A situation in which a planted bug shows.
    Recipe,
}

impl Group {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elections => "2A",
            Self::Agreement => "2B",
            Self::Persistence => "2C",
            Self::Snapshots => "2D",
            Self::Service => "3",
            Self::Random => "random",
            Self::Recipe => "recipes",
        }
    }
}

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// The part it belongs to.
    pub group: Group,
    /// What it puts the cluster through.
    pub about: &'static str,
    pub(super) setup: fn(u64) -> Setup,
    pub(super) play: fn(&mut World) -> Done,
}

/// Every scenario, in the order of the labs.
#[must_use]
pub fn scenarios() -> &'static [Scenario] {
    SCENARIOS
}

fn three(_seed: u64) -> Setup {
    Setup::of(3)
}

fn five(_seed: u64) -> Setup {
    Setup::of(5)
}

fn seven(_seed: u64) -> Setup {
    Setup::of(7)
}

fn three_counting(_seed: u64) -> Setup {
    Setup { counts_bytes: true, ..Setup::of(3) }
}

/// Servers that take a snapshot every few dozen entries.
fn compacting(size: usize) -> Setup {
    let compaction = Compaction { log_bytes: 8 << 10, keep_entries: 10, chunk_bytes: 4 << 10 };
    Setup { compaction, segment_bytes: 16 << 10, ..Setup::of(size) }
}

fn three_compacting(_seed: u64) -> Setup {
    compacting(3)
}

/// Servers that take a snapshot as soon as the labs' do, after a thousand bytes: clients that take
/// their time write little more.
fn compacting_early(size: usize) -> Setup {
    let early = compacting(size);
    Setup { compaction: Compaction { log_bytes: 1_000, ..early.compaction }, ..early }
}

fn five_compacting(_seed: u64) -> Setup {
    compacting_early(5)
}

fn seven_compacting(_seed: u64) -> Setup {
    compacting_early(7)
}

macro_rules! catalogue {
    ($($group:ident $name:literal $setup:expr, $play:path, $about:literal;)+) => {
        const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: $name,
            group: Group::$group,
            about: $about,
            setup: $setup,
            play: $play,
        }),+];
    };
}

catalogue! {
    Elections "initial-election" three, elections::initial,
        "a leader is elected, and stays while nothing happens";
    Elections "re-election" three, elections::re_election,
        "leaders are cut off and come back; without a majority nobody leads";
    Elections "many-elections" seven, elections::many,
        "three of seven are cut off, again and again";
    Agreement "basic-agreement" three, agreement::basic,
        "commands are agreed on, one by one";
    Agreement "rpc-bytes" three_counting, agreement::rpc_bytes,
        "each command is sent to each follower just once";
    Agreement "follower-failure" three, agreement::follower_failure,
        "followers are cut off, at last all of them";
    Agreement "leader-failure" three, agreement::leader_failure,
        "leaders are cut off, at last without a majority";
    Agreement "fail-agree" three, agreement::fail_agree,
        "a follower is cut off and catches up";
    Agreement "fail-no-agree" five, agreement::fail_no_agree,
        "no agreement without a majority";
    Agreement "concurrent-starts" three, agreement::concurrent_starts,
        "commands that arrive together all get places";
    Agreement "rejoin" three, agreement::rejoin,
        "a leader comes back with entries that nobody else has";
    Agreement "backup" five, agreement::backup,
        "long wrong tails are given up quickly";
    Agreement "count" three, agreement::count,
        "elections, agreement and idleness take few messages";
    Persistence "persist-1" three, persistence::persist_1,
        "servers restart one by one";
    Persistence "persist-2" five, persistence::persist_2,
        "servers restart while others are cut off";
    Persistence "persist-3" three, persistence::persist_3,
        "the leader and a follower restart while one is cut off";
    Persistence "figure-8" five, persistence::figure_8,
        "leaders crash soon after they took a command";
    Persistence "unreliable-agree" five, persistence::unreliable_agree,
        "agreement over a network that loses a tenth";
    Persistence "figure-8-unreliable" five, persistence::figure_8_unreliable,
        "leaders are cut off while messages are lost and overtake each other";
    Persistence "reliable-churn" five, persistence::reliable_churn,
        "crashes, restarts and partitions under load";
    Persistence "unreliable-churn" five, persistence::unreliable_churn,
        "the same over a network that loses a tenth";
    Snapshots "snapshot-basic" three_compacting, snapshots::basic,
        "logs stay short";
    Snapshots "snapshot-install" three_compacting, snapshots::install,
        "a server that was cut off catches up by a snapshot";
    Snapshots "snapshot-install-unreliable" three_compacting, snapshots::install_unreliable,
        "the same over a network that loses a tenth";
    Snapshots "snapshot-install-crash" three_compacting, snapshots::install_crash,
        "a server that was down catches up by a snapshot";
    Snapshots "snapshot-install-unreliable-crash"
        three_compacting, snapshots::install_unreliable_crash,
        "the same over a network that loses a tenth";
    Snapshots "snapshot-init" three_compacting, snapshots::init,
        "all servers restart right after their first snapshot, twice";
    Snapshots "snapshot-all-crash" three_compacting, snapshots::all_crash,
        "all servers restart from snapshots and logs";
    Service "service" five, service::reliable,
        "clients of the key/value service, and nothing goes wrong";
    Service "service-speed" three, service::speed,
        "a thousand writes, one after another, three or more to a heartbeat";
    Service "service-unreliable" five, service::unreliable,
        "clients over a network that loses a tenth";
    Service "service-restarts" five, service::restarts,
        "clients while all servers restart at once";
    Service "service-partitions" five, service::partitions,
        "clients while the cluster splits in random halves";
    Service "service-unreliable-restarts-partitions" seven, service::everything,
        "clients while all of that happens";
    Service "service-snapshots" five_compacting, service::unreliable,
        "clients, snapshots, and a network that loses a tenth";
    Service "service-snapshots-unreliable-restarts-partitions" seven_compacting,
        service::everything,
        "clients and snapshots while all of that happens";
    Random "random" super::swarm::setup, super::swarm::play,
        "a cluster, faults and clients drawn from the seed";
}

/// Scenarios by a name on the command line: a scenario's, or a group's.
#[must_use]
pub fn find(name: &str) -> Vec<&'static Scenario> {
    let named = |scenario: &&Scenario| scenario.name == name || scenario.group.name() == name;
    SCENARIOS.iter().chain(super::recipes::recipes()).filter(named).collect()
}
