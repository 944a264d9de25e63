//! Disks that forget, fail, or are damaged.

use rand::RngExt;

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::ms;
use super::super::server::Crash;
use super::super::world::World;
use super::{KEYS, another, busy, pause_up_to};
use crate::storage::simulated::Operation;

fn writers() -> LoadPlan {
    LoadPlan { reads: 0.3, clients: 6, gap: ms(1)..=ms(10), ..busy() }
}

/// The power of some or all servers goes at the same moment.
pub(super) fn power_loss_of_a_quorum(world: &mut World) -> Done {
    world.start_load(writers());
    for _ in 0..12 {
        pause_up_to(world, 400)?;
        let spared = world.faults.random_range(0..=world.size());
        for at in (0..world.size()).filter(|at| *at != spared) {
            world.crash(at, Crash::Power);
        }
        world.run(ms(20))?;
        for at in 0..world.size() {
            world.restart(at)?;
        }
    }
    world.settle(KEYS)
}

/// One follower is down, the leader's disk is slow, its power goes; then the two that do not have
/// what was agreed on meet first.
pub(super) fn slow_leader_disk(world: &mut World) -> Done {
    world.start_load(writers());
    for _ in 0..8 {
        let leader = world.elect(None)?;
        let down = another(world, leader);
        let other = 3 - leader - down;
        world.crash(down, Crash::Process);
        world.servers[leader].speed.sync = ms(60)..=ms(120);
        pause_up_to(world, 150)?;
        world.crash(leader, Crash::Power);
        world.crash(other, Crash::Process);
        world.servers[leader].speed.sync = ms(1)..=ms(2);
        world.restart(leader)?;
        world.restart(down)?;
        world.run(ms(900))?;
        world.restart(other)?;
        world.run(ms(300))?;
    }
    world.settle(KEYS)
}

/// Syncs and writes fail now and then; what was not written well is gone when the power goes.
pub(super) fn failing_syncs(world: &mut World) -> Done {
    world.start_load(writers());
    for _ in 0..12 {
        let at = world.faults.random_range(0..world.size());
        let after = world.faults.random_range(0..6);
        let operation = if world.strikes(0.7) { Operation::Sync } else { Operation::Write };
        world.fail_disk(at, operation, after);
        pause_up_to(world, 150)?;
        world.crash(at, Crash::Power);
        world.servers[at].disk.repair();
        world.run(ms(30))?;
        world.restart(at)?;
        pause_up_to(world, 150)?;
    }
    world.settle(KEYS)
}

/// The power of one server after the other goes, often in the middle of a write.
pub(super) fn torn_writes(world: &mut World) -> Done {
    for server in &mut world.servers {
        server.speed.sync = ms(2)..=ms(10);
    }
    world.start_load(LoadPlan { clients: 12, gap: ms(0)..=ms(4), ..writers() });
    for _ in 0..40 {
        pause_up_to(world, 80)?;
        let at = world.faults.random_range(0..world.size());
        world.crash(at, Crash::Power);
        world.run(ms(5))?;
        world.restart(at)?;
    }
    world.settle(KEYS)
}

/// A bit of what one server has on its disk is flipped while it is down. It may stay down for good;
/// it must not go on without what it acknowledged.
pub(super) fn flipped_bits(world: &mut World) -> Done {
    world.start_load(writers());
    world.run(ms(1_500))?;
    let at = world.faults.random_range(0..world.size());
    world.crash(at, Crash::Process);
    world.run(ms(300))?;
    world.flip_bit(at);
    world.restart(at)?;
    world.run(ms(500))?;
    if let Some(leader) = world.leader().filter(|leader| *leader != at) {
        world.crash(leader, Crash::Process);
        world.run(ms(900))?;
        world.restart(leader)?;
    }
    world.settle(KEYS)
}

/// Segments are begun every few entries, and the power goes soon after.
pub(super) fn new_segments(world: &mut World) -> Done {
    world.start_load(writers());
    for _ in 0..20 {
        pause_up_to(world, 200)?;
        let at = world.faults.random_range(0..world.size());
        world.crash(at, Crash::Power);
        world.restart(at)?;
    }
    world.settle(KEYS)
}
