//! Draws a whole run from its seed: how large the cluster is, which families of faults it meets and
//! how often, what its clients do (swarm testing: Groce et al., ISSTA 2012).
//!
//! Leaving whole families out makes the others more frequent, and combinations of few reach where a
//! mix of everything does not. First safety, while faults go on; then everything is healed, and the
//! cluster must make progress.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::history::Object;
use super::lab::Done;
use super::load::LoadPlan;
use super::moment::ms;
use super::network::NetworkConditions;
use super::random::{Stream, between, stream};
use super::server::Crash;
use super::world::{Setup, World};
use crate::core::{Admin, Compaction, Lease, Operation};
use crate::storage::simulated as disk;

/// What can happen to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Isolate,
    IsolateLeader,
    Split,
    OneWay,
    Hold,
    Kill,
    PowerLoss,
    PowerLossOfAll,
    Pause,
    Drift,
    WallStep,
    Rain,
    Reorder,
    SlowDisk,
    DiskError,
    DiskFull,
    BitFlip,
    Snapshot,
    Transfer,
    Members,
}

const FAMILIES: [Family; 20] = [
    Family::Isolate,
    Family::IsolateLeader,
    Family::Split,
    Family::OneWay,
    Family::Hold,
    Family::Kill,
    Family::PowerLoss,
    Family::PowerLossOfAll,
    Family::Pause,
    Family::Drift,
    Family::WallStep,
    Family::Rain,
    Family::Reorder,
    Family::SlowDisk,
    Family::DiskError,
    Family::DiskFull,
    Family::BitFlip,
    Family::Snapshot,
    Family::Transfer,
    Family::Members,
];

/// The cluster of a seed.
pub(super) fn setup(seed: u64) -> Setup {
    let mut random = stream(seed, Stream::Plan);
    let members = [1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7][random.random_range(0..12)];
    let spares = if random.random_bool(0.25) { random.random_range(1..=2) } else { 0 };
    let object = if random.random_bool(0.5) { Object::Register } else { Object::Text };
    let compaction = Compaction {
        log_bytes: random.random_range(1_000..=16_000),
        keep_entries: random.random_range(0..=30),
        chunk_bytes: random.random_range(500..=9_000),
    };
    let compacts = random.random_bool(0.6);
    Setup {
        object,
        members,
        compaction: if compacts { compaction } else { Compaction::default() },
        lease: random.random_bool(0.3).then_some(Lease::ORDINARY),
        segment_bytes: [1 << 10, 16 << 10, 1 << 20][random.random_range(0..3)],
        ..Setup::of(members + spares)
    }
}

fn load(random: &mut ChaCha8Rng) -> LoadPlan {
    let most = [5, 20, 60, 200][random.random_range(0..4)];
    LoadPlan {
        clients: random.random_range(1..=8),
        keys: random.random_range(1..=4),
        sessions: [0.0, 0.5, 1.0][random.random_range(0..3)],
        reads: [0.1, 0.5, 0.8][random.random_range(0..3)],
        gap: ms(1)..=ms(most),
        loss: [0.0, 0.0, 0.05][random.random_range(0..3)],
        duplication: [0.0, 0.0, 0.1][random.random_range(0..3)],
        ..LoadPlan::default()
    }
}

/// Plays the run of the world's seed.
pub(super) fn play(world: &mut World) -> Done {
    let mut random = world.plan_random();
    let mut families: Vec<Family> =
        FAMILIES.into_iter().filter(|_| random.random_bool(0.3)).collect();
    // Damage must spare a quorum, of which nobody can be sure while the members change.
    let changes = families.contains(&Family::Members);
    families.retain(|family| *family != Family::BitFlip || (!changes && world.setup.members > 2));
    let calm = [20, 60, 200, 500][random.random_range(0..4)];
    let plan = load(&mut random);
    let keys = plan.keys;
    world.trace.line(world.now, format_args!("{plan:?}, faults {families:?}"));
    world.start_load(plan);
    let mixed = world.mixed.draw_clients();
    world.start_mixed(mixed);
    let end = world.now.plus(ms(random.random_range(2_000..=6_000)));
    while world.now < end {
        let gap = between(&mut world.faults, &(ms(1)..=ms(calm * 2)));
        world.run(gap)?;
        let heals = world.strikes(0.35);
        let drawn = super::random::pick(&mut world.faults, &families);
        match drawn {
            Some(family) if !heals => strike(world, family)?,
            _ => recover(world)?,
        }
        if drawn == Some(Family::BitFlip) && !heals {
            // One server's damage is all that three can bear.
            families.retain(|family| *family != Family::BitFlip);
        }
    }
    world.settle(keys)
}

/// Ends some of what goes wrong.
fn recover(world: &mut World) -> Done {
    match world.faults.random_range(0..4) {
        0 => world.heal(),
        1 => {
            for at in 0..world.size() {
                world.restart(at)?;
            }
        }
        2 => {
            for at in 0..world.size() {
                if world.servers[at].paused {
                    world.resume(at)?;
                }
            }
        }
        _ => world.mend()?,
    }
    Ok(())
}

fn strike(world: &mut World, family: Family) -> Done {
    let size = world.size();
    let (one, other) = (world.faults.random_range(0..size), world.faults.random_range(0..size));
    match family {
        Family::Isolate => world.disconnect(one),
        Family::IsolateLeader => {
            if let Some(leader) = world.leader() {
                world.disconnect(leader);
            }
        }
        Family::Split => {
            let sides: Vec<bool> = (0..size).map(|_| world.faults.random_bool(0.5)).collect();
            world.divide(&sides);
        }
        Family::OneWay => world.network.block(one, other),
        Family::Hold => world.network.hold(one, other),
        Family::Kill => world.crash(one, Crash::Process),
        Family::PowerLoss => world.crash(one, Crash::Power),
        Family::PowerLossOfAll => {
            for at in 0..size {
                world.crash(at, Crash::Power);
            }
            let dark = between(&mut world.faults, &(ms(1)..=ms(200)));
            world.run(dark)?;
            for at in 0..size {
                world.restart(at)?;
            }
        }
        Family::Pause => world.pause(one),
        Family::DiskError | Family::DiskFull | Family::BitFlip => damage(world, family, one),
        Family::Snapshot | Family::Transfer | Family::Members => {
            let admin = admin(world, family, other);
            // As often as not the server that is asked leads.
            let leader = world.leader().filter(|_| family != Family::Snapshot);
            let at = leader.unwrap_or(one);
            world.trace.line(world.now, format_args!("server {} is asked: {admin:?}", at + 1));
            world.submit(at, Operation::Admin(admin))?;
        }
        Family::Drift => {
            let rate = world.faults.random_range(996_000..=1_004_000);
            world.drift(one, rate);
        }
        Family::WallStep => {
            let by = world.faults.random_range(-10_000..=10_000);
            world.servers[one].clock.step_wall(by * 1_000_000);
        }
        Family::Rain => world.network.conditions = NetworkConditions::unreliable(),
        Family::Reorder => {
            let (duplication, straggling) = (0.1, 0.1);
            world.network.conditions =
                NetworkConditions { duplication, straggling, ..NetworkConditions::unreliable() };
        }
        Family::SlowDisk => {
            let most = [Duration::from_millis(2), ms(20), ms(100)][world.faults.random_range(0..3)];
            world.servers[one].speed.sync = Duration::from_micros(100)..=most;
        }
    }
    Ok(())
}

fn damage(world: &mut World, family: Family, at: usize) {
    match family {
        Family::DiskError => {
            let sync = world.strikes(0.5);
            let operation = if sync { disk::Operation::Sync } else { disk::Operation::Write };
            let after = world.faults.random_range(0..10);
            world.fail_disk(at, operation, after);
        }
        Family::DiskFull => {
            let free = world.faults.random_range(0..20_000);
            world.fill_disk(at, free);
        }
        // After a power loss the storage cannot tell damage to the last batch from a torn write, as
        // it says itself: a fair test damages what a killed process left.
        _ if world.servers[at].is_up() => {
            world.crash(at, Crash::Process);
            world.flip_bit(at);
        }
        _ => {}
    }
}

fn admin(world: &World, family: Family, at: usize) -> Admin {
    let id = world.servers[at].id();
    let voter = world.leader().is_some_and(|leader| {
        let core = world.servers[leader].core.as_ref();
        core.is_some_and(|core| core.configuration().is_voter(id))
    });
    match family {
        Family::Snapshot => Admin::Snapshot,
        Family::Transfer => Admin::Transfer { to: Some(id) },
        _ if voter => Admin::Remove { id },
        _ => Admin::Add { id, address: bytes::Bytes::new() },
    }
}
