//! Clusters whose members change while they are divided.

use rand::RngExt;

use super::super::history::Object;
use super::super::lab::Done;
use super::super::load::LoadPlan;
use super::super::moment::ms;
use super::super::world::{Setup, World};
use super::{KEYS, busy, pause_up_to};
use crate::core::{Admin, Operation};

/// Three members and three servers that wait to be added.
pub(super) fn spares(_seed: u64) -> Setup {
    Setup { object: Object::Text, members: 3, ..Setup::of(6) }
}

/// Servers are added and removed at whatever server believes that it leads, while the network is
/// divided, and divided otherwise before the change is through.
pub(super) fn changing(world: &mut World) -> Done {
    world.start_load(LoadPlan { reads: 0.4, gap: ms(1)..=ms(10), clients: 6, ..busy() });
    world.run(ms(800))?;
    for _ in 0..25 {
        let size = world.size();
        let target = world.faults.random_range(0..size);
        let id = world.servers[target].id();
        let admin = if world.strikes(0.55) {
            Admin::Add { id, address: bytes::Bytes::new() }
        } else {
            Admin::Remove { id }
        };
        for at in 0..size {
            if world.leads(at) {
                world.submit(at, Operation::Admin(admin.clone()))?;
            }
        }
        pause_up_to(world, 30)?;
        match world.faults.random_range(0..4) {
            0 => world.heal(),
            1 => {
                if let Some(leader) = world.leader() {
                    let with = super::another(world, leader);
                    let sides: Vec<bool> = (0..size).map(|at| at == leader || at == with).collect();
                    world.divide(&sides);
                }
            }
            2 => {
                let sides: Vec<bool> = (0..size).map(|_| world.faults.random_bool(0.5)).collect();
                world.divide(&sides);
            }
            _ => {}
        }
        pause_up_to(world, 700)?;
        if world.strikes(0.3) {
            world.heal();
            world.run(ms(600))?;
        }
    }
    world.settle(KEYS)
}
