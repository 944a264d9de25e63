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
use super::network::Weather;
use super::random::{Stream, between, stream};
use super::server::Crash;
use super::world::{Setup, World};

/// What may befall the cluster.
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
}

const FAMILIES: [Family; 14] = [
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
];

/// The cluster of a seed.
pub(super) fn setup(seed: u64) -> Setup {
    let mut random = stream(seed, Stream::Plan);
    let size = [2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7][random.random_range(0..11)];
    let object = if random.random_bool(0.5) { Object::Register } else { Object::Text };
    Setup { object, ..Setup::of(size) }
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
    let families: Vec<Family> = FAMILIES.into_iter().filter(|_| random.random_bool(0.35)).collect();
    let calm = [20, 60, 200, 500][random.random_range(0..4)];
    let plan = load(&mut random);
    let keys = plan.keys;
    world.trace.line(world.now, format_args!("{plan:?}, faults {families:?}"));
    world.start_load(plan);
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
        Family::Drift => {
            let rate = world.faults.random_range(996_000..=1_004_000);
            world.drift(one, rate);
        }
        Family::WallStep => {
            let by = world.faults.random_range(-10_000..=10_000);
            world.servers[one].clock.step_wall(by * 1_000_000);
        }
        Family::Rain => world.network.weather = Weather::unreliable(),
        Family::Reorder => {
            let (duplication, straggling) = (0.1, 0.1);
            world.network.weather = Weather { duplication, straggling, ..Weather::unreliable() };
        }
        Family::SlowDisk => {
            let most = [Duration::from_millis(2), ms(20), ms(100)][world.faults.random_range(0..3)];
            world.servers[one].speed.sync = Duration::from_micros(100)..=most;
        }
    }
    Ok(())
}
