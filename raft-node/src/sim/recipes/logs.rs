//! Logs that part, requests that are sent again, and keys that expire.

use bytes::Bytes;
use rand::RngExt;

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::{ms, secs};
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::World;
use super::{KEYS, another, busy, pause_up_to};
use crate::core::Operation;
use crate::core::operation::{Command, Write};

/// Clients that mostly write.
fn writers() -> LoadPlan {
    LoadPlan { reads: 0.3, clients: 8, sessions: 0.3, gap: ms(1)..=ms(8), ..busy() }
}

/// Leaders are cut off, alone or with a follower, while clients write to them; then they come back
/// to meet other leaders' entries.
pub(super) fn divergent_tails(world: &mut World) -> Done {
    world.network.conditions.delay = ms(0)..=ms(8);
    world.start_load(writers());
    for _ in 0..12 {
        let Some(old) = world.leader() else {
            world.heal();
            world.run(ms(400))?;
            continue;
        };
        let with = another(world, old);
        let accompanied = world.strikes(0.5);
        let sides: Vec<bool> =
            (0..world.size()).map(|at| at == old || (accompanied && at == with)).collect();
        world.divide(&sides);
        let cut = world.faults.random_range(30..900);
        world.run(ms(cut))?;
        if world.strikes(0.3) {
            world.crash_and_restart(old)?;
        }
        world.heal();
        pause_up_to(world, 150)?;
    }
    world.settle(KEYS)
}

/// What a leader sends to one follower is held until later messages, or later leaders, were heard.
pub(super) fn late_appends(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions {
        straggling: 0.2,
        long_delay: ms(10)..=ms(150),
        duplication: 0.2,
        ..NetworkConditions::fair()
    };
    world.start_load(writers());
    for _ in 0..12 {
        let leader = world.elect(None)?;
        let follower = another(world, leader);
        world.network.hold(leader, follower);
        pause_up_to(world, 120)?;
        let held = world.network.release();
        world.arrive(held);
        pause_up_to(world, 60)?;
        if world.strikes(0.6) {
            let other = (0..3).find(|at| *at != leader && *at != follower).unwrap_or(follower);
            world.disconnect(other);
            pause_up_to(world, 60)?;
            world.crash(leader, Crash::Process);
            world.connect(other);
            world.run(ms(600))?;
            world.restart(leader)?;
        }
        world.heal();
    }
    world.settle(KEYS)
}

/// Tails are replaced on disks that are slow to sync, and then the power goes.
pub(super) fn truncation_and_power_loss(world: &mut World) -> Done {
    for server in &mut world.servers {
        server.speed.sync = ms(5)..=ms(40);
    }
    world.start_load(writers());
    for _ in 0..12 {
        let old = world.elect(None)?;
        world.disconnect(old);
        world.run(ms(700))?;
        world.connect(old);
        pause_up_to(world, 160)?;
        world.crash(old, Crash::Power);
        world.restart(old)?;
        pause_up_to(world, 100)?;
    }
    world.settle(KEYS)
}

/// Answers and requests are lost between clients and servers, and between servers.
pub(super) fn retries(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::unreliable();
    world.start_load(LoadPlan {
        sessions: 1.0,
        loss: 0.2,
        duplication: 0.1,
        patience: ms(200),
        ..busy()
    });
    world.run(secs(4))?;
    world.settle(KEYS)
}

/// Keys live for a short time, on servers whose wall clocks differ.
pub(super) fn expiring_keys(world: &mut World) -> Done {
    world.start_load(busy());
    for round in 0..25 {
        let by = world.faults.random_range(-5_000..=5_000) * 1_000_000;
        let at = world.faults.random_range(0..world.size());
        world.servers[at].clock.step_wall(by);
        let leader = world.elect(None)?;
        let key = Bytes::from(format!("brief{}", round % 4));
        let value = Bytes::from_static(b"1");
        let set = Command::set(key.clone(), value);
        world.submit(leader, Operation::from(Write::Plain(set)))?;
        let life = ms(world.faults.random_range(20..200));
        let expire = Command::Expire { key, life };
        world.submit(leader, Operation::from(Write::Plain(expire)))?;
        pause_up_to(world, 150)?;
    }
    world.settle(KEYS)
}
