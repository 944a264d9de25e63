//! Snapshots that are taken, sent, installed, and lost.

use rand::RngExt;

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::ms;
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::World;
use super::{KEYS, another, busy, pause_up_to};
use crate::core::{Admin, Operation};

/// Asks a server for a snapshot.
fn snapshot(world: &mut World, at: usize) -> Done {
    world.submit(at, Operation::Admin(Admin::Snapshot)).map(|_| ())
}

/// Clients with sessions send requests again while servers take snapshots, restart, and catch up.
pub(super) fn retries(world: &mut World) -> Done {
    world.network.conditions =
        NetworkConditions { request_loss: 0.02, reply_loss: 0.05, ..NetworkConditions::fair() };
    world.start_load(LoadPlan {
        sessions: 1.0,
        loss: 0.15,
        duplication: 0.1,
        patience: ms(250),
        reads: 0.3,
        ..busy()
    });
    for _ in 0..14 {
        let at = world.faults.random_range(0..world.size());
        snapshot(world, at)?;
        // Between the snapshot and the trim that follows it, or after.
        let most = if world.strikes(0.6) { 16 } else { 200 };
        pause_up_to(world, most)?;
        if world.strikes(0.25) {
            for at in 0..world.size() {
                world.crash(at, Crash::Process);
            }
        } else {
            world.crash(at, Crash::Process);
        }
        world.run(ms(10))?;
        for at in 0..world.size() {
            world.restart(at)?;
        }
        pause_up_to(world, 300)?;
    }
    world.settle(KEYS)
}

/// A follower misses more than the leader's log still has.
pub(super) fn lagging_follower(world: &mut World) -> Done {
    world.start_load(LoadPlan {
        clients: 8,
        keys: 6,
        reads: 0.3,
        deletes: 0.3,
        gap: ms(1)..=ms(6),
        ..busy()
    });
    for _ in 0..8 {
        let leader = world.elect(None)?;
        let lags = another(world, leader);
        world.disconnect(lags);
        pause_up_to(world, 500)?;
        snapshot(world, leader)?;
        world.run(ms(100))?;
        let conditions = NetworkConditions {
            straggling: 0.3,
            long_delay: ms(5)..=ms(400),
            duplication: 0.3,
            request_loss: 0.05,
            ..NetworkConditions::fair()
        };
        world.network.conditions = conditions;
        world.connect(lags);
        pause_up_to(world, 400)?;
        if world.strikes(0.3) {
            world.crash_and_restart(lags)?;
        }
        world.network.conditions = NetworkConditions::fair();
        world.run(ms(300))?;
        // Whoever caught up by a snapshot gets to answer for it.
        if world.strikes(0.6) {
            world.disconnect(leader);
            world.stand(lags)?;
            world.run(ms(600))?;
            world.connect(leader);
        }
    }
    world.settle(6)
}

/// The power goes soon after a snapshot.
pub(super) fn power_loss(world: &mut World) -> Done {
    world.start_load(LoadPlan { reads: 0.3, clients: 8, gap: ms(1)..=ms(6), ..busy() });
    for _ in 0..14 {
        pause_up_to(world, 200)?;
        let at = world.faults.random_range(0..world.size());
        snapshot(world, at)?;
        pause_up_to(world, 25)?;
        if world.strikes(0.3) {
            for at in 0..world.size() {
                world.crash(at, Crash::Power);
            }
        } else {
            world.crash(at, Crash::Power);
        }
        world.run(ms(10))?;
        for at in 0..world.size() {
            world.restart(at)?;
        }
    }
    world.settle(KEYS)
}
