//! Leaders that trust their clocks.

use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::{ms, secs};
use super::super::world::{Setup, World};
use super::{another, busy, pause_up_to};
use crate::core::{Admin, Lease, Operation};

/// How far clocks may drift apart in these runs, in millionths: 10 %.
const DRIFT_PPM: u32 = 100_000;

pub(super) fn leased(_seed: u64) -> Setup {
    Setup { lease: Some(Lease::ORDINARY), ..Setup::of(3) }
}

/// Elections as early as they can be, and a wide bound on drift.
pub(super) fn drifting(_seed: u64) -> Setup {
    let lease = Some(Lease { drift_ppm: DRIFT_PPM });
    Setup { lease, election_timeout: ms(250)..=ms(255), ..Setup::of(3) }
}

fn readers() -> LoadPlan {
    LoadPlan { reads: 0.7, keys: 1, clients: 12, gap: ms(0)..=ms(3), sessions: 0.0, ..busy() }
}

/// Wall clocks go back again and again, by more than a lease.
pub(super) fn wall_clocks(world: &mut World) -> Done {
    world.start_load(readers());
    for _ in 0..8 {
        let old = world.elect(None)?;
        world.run(ms(200))?;
        world.disconnect(old);
        for _ in 0..12 {
            world.servers[old].clock.step_wall(-100_000_000);
            world.run(ms(40))?;
        }
        world.connect(old);
        world.run(ms(300))?;
    }
    world.settle(1)
}

/// The leader's clock is slow and the others' are fast, together within the bound.
pub(super) fn drift(world: &mut World) -> Done {
    world.start_load(readers());
    for _ in 0..8 {
        let old = world.elect(None)?;
        for at in 0..world.size() {
            world.drift(at, if at == old { 956_000 } else { 1_044_000 });
        }
        pause_up_to(world, 400)?;
        world.disconnect(old);
        world.run(ms(500))?;
        world.connect(old);
        world.run(ms(300))?;
    }
    world.settle(1)
}

/// Leadership is handed over while the old leader loses touch with everyone but its clients.
pub(super) fn transfers(world: &mut World) -> Done {
    world.start_load(readers());
    for _ in 0..8 {
        let old = world.elect(None)?;
        world.run(ms(150))?;
        let to = another(world, old);
        let to = Some(world.servers[to].id());
        world.submit(old, Operation::Admin(Admin::Transfer { to }))?;
        pause_up_to(world, 4)?;
        world.disconnect(old);
        world.run_until(secs(1), |world| world.leader().is_some())?;
        world.run(ms(350))?;
        world.connect(old);
        world.run(ms(300))?;
    }
    world.settle(1)
}
