//! Requests on their way from server to server, and those of several steps.

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::ms;
use super::super::world::World;
use super::{KEYS, another, busy, pause_up_to};

/// Followers restart within moments, over a network in which answers take longer than that.
pub(super) fn restarted_followers(world: &mut World) -> Done {
    world.network.conditions.delay = ms(5)..=ms(40);
    world.start_load(LoadPlan { sessions: 0.0, clients: 8, reads: 0.3, ..busy() });
    for _ in 0..30 {
        let leader = world.elect(None)?;
        pause_up_to(world, 200)?;
        let follower = another(world, leader);
        world.crash_and_restart(follower)?;
        world.run(ms(150))?;
    }
    world.settle(KEYS)
}

/// Transactions that read what they write, at leaders that lose their followers.
pub(super) fn transactions(world: &mut World) -> Done {
    world.start_load(busy());
    world.start_mixed(6);
    for _ in 0..6 {
        let leader = world.elect(None)?;
        pause_up_to(world, 200)?;
        world.disconnect(leader);
        world.run(ms(600))?;
        world.connect(leader);
        world.run(ms(300))?;
    }
    world.settle(KEYS)
}
