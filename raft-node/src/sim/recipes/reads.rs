//! Leaders that are none any more, and clients who ask them.

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::{ms, secs};
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::World;
use super::{KEYS, busy, pause_up_to};

/// Clients that mostly read.
fn readers() -> LoadPlan {
    LoadPlan { reads: 0.6, clients: 8, gap: ms(1)..=ms(5), ..busy() }
}

/// The old leader comes back into a network in which all can talk, but for the new leader to it.
pub(super) fn old_leader_hears_followers(world: &mut World) -> Done {
    world.start_load(readers());
    for _ in 0..6 {
        let old = world.elect(None)?;
        world.disconnect(old);
        world.run_until(secs(2), |world| world.leader().is_some())?;
        let Some(new) = world.leader() else { continue };
        world.connect(old);
        world.network.block(new, old);
        world.network.block(old, new);
        world.run(ms(400))?;
        world.heal();
        world.run(ms(400))?;
    }
    world.settle(KEYS)
}

/// Leaders are paused until another one leads, and go on with what waited for them.
pub(super) fn paused_leaders(world: &mut World) -> Done {
    let straggling = if world.strikes(0.5) { 0.1 } else { 0.0 };
    world.network.conditions = NetworkConditions { straggling, ..NetworkConditions::fair() };
    world.start_load(readers());
    for _ in 0..8 {
        let old = world.elect(None)?;
        pause_up_to(world, 60)?;
        world.pause(old);
        world.run_until(secs(2), |world| world.leader().is_some())?;
        pause_up_to(world, 120)?;
        world.resume(old)?;
        world.run(ms(200))?;
    }
    world.settle(KEYS)
}

/// Leaders are killed, and their successors asked at once.
pub(super) fn killed_leaders(world: &mut World) -> Done {
    world.network.conditions.delay = ms(1)..=ms(20);
    world.start_load(LoadPlan { reads: 0.7, clients: 12, gap: ms(0)..=ms(3), ..busy() });
    for _ in 0..8 {
        let old = world.elect(None)?;
        pause_up_to(world, 120)?;
        world.crash(old, Crash::Process);
        world.elect(Some(old))?;
        world.run(ms(100))?;
        world.restart(old)?;
        world.run(ms(200))?;
    }
    world.settle(KEYS)
}
