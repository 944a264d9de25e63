//! The labs' part 2D: logs that are cut short by snapshots.

use rand::RngExt;

use super::super::failure::Property;
use super::super::lab::Done;
use super::super::moment::ms;
use super::super::network::NetworkConditions;
use super::super::server::Crash;
use super::super::world::World;

/// Entries that a log may have once everything is applied. A snapshot is due after some 40 of them,
/// 10 are kept before it, and some come while it is written. The labs allow 8 times what makes a
/// snapshot due.
const LOG_LIMIT: u64 = 100;

/// What happens to the victim of each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Nothing,
    CutOff,
    Crashes,
}

pub(super) fn basic(world: &mut World) -> Done {
    rounds(world, Fate::Nothing)
}

pub(super) fn install(world: &mut World) -> Done {
    rounds(world, Fate::CutOff)
}

pub(super) fn install_unreliable(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::unreliable();
    rounds(world, Fate::CutOff)
}

pub(super) fn install_crash(world: &mut World) -> Done {
    rounds(world, Fate::Crashes)
}

pub(super) fn install_unreliable_crash(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::unreliable();
    rounds(world, Fate::Crashes)
}

/// A server misses so many entries that it can only catch up by a snapshot, thirty times.
fn rounds(world: &mut World, fate: Fate) -> Done {
    world.one(1, 3)?;
    for round in 0..30 {
        let leader = world.one_leader()?;
        let (victim, sender) =
            if round % 3 == 1 { (leader, (leader + 1) % 3) } else { ((leader + 1) % 3, leader) };
        match fate {
            Fate::Nothing => {}
            Fate::CutOff => world.disconnect(victim),
            Fate::Crashes => world.crash(victim, Crash::Power),
        }
        if fate != Fate::Nothing {
            world.one(round * 1_000, 2)?;
        }
        let many = 100 + world.faults.random_range(0..100);
        for value in 0..many {
            let leader = world.leader().unwrap_or(sender);
            world.start_sized(leader, round * 1_000 + value, 64)?;
            if value % 10 == 0 {
                world.run(ms(4))?;
            }
        }
        // The others agree on what is left of it.
        let servers = if fate == Fate::Nothing { 3 } else { 2 };
        world.one(round * 1_000 + 500, servers)?;
        logs_are_short(world, (fate != Fate::Nothing).then_some(victim))?;
        match fate {
            Fate::Nothing => {}
            Fate::CutOff => world.connect(victim),
            Fate::Crashes => world.restart(victim)?,
        }
        world.one(round * 1_000 + 501, 3)?;
    }
    Ok(())
}

/// Nobody, but for one who is away, keeps a log much longer than what was applied since a snapshot.
pub(super) fn logs_are_short(world: &mut World, away: Option<usize>) -> Done {
    world.run(ms(50))?;
    for at in (0..world.size()).filter(|at| Some(*at) != away) {
        let Some(status) = world.status(at) else { continue };
        let length = (status.last.0 + 1).saturating_sub(status.first.0);
        world.expect(Property::Limit, length <= LOG_LIMIT, || {
            format!("server {} keeps {length} entries, over {LOG_LIMIT}", at + 1)
        })?;
    }
    Ok(())
}

/// All servers go down and come back right after their first snapshot, twice.
pub(super) fn init(world: &mut World) -> Done {
    world.one(1, 3)?;
    // A few more than a snapshot takes.
    for value in 0..60 {
        world.one_sized(1_000 + value, 3, 64)?;
    }
    for round in 0..2 {
        for at in 0..3 {
            let snapshot = world.status(at).and_then(|status| status.snapshot);
            world.expect(Property::Limit, snapshot.is_some(), || {
                format!("server {} took no snapshot", at + 1)
            })?;
            world.crash(at, Crash::Process);
        }
        for at in 0..3 {
            world.restart(at)?;
        }
        world.one(2_000 + round, 3)?;
    }
    Ok(())
}

/// All servers go down at once, and come back with what their snapshots and logs say.
pub(super) fn all_crash(world: &mut World) -> Done {
    world.one(1, 3)?;
    for round in 0..5 {
        let many = 100 + world.faults.random_range(0..100);
        for value in 0..many {
            if let Some(leader) = world.leader() {
                world.start_sized(leader, round * 1_000 + value, 64)?;
            }
            if value % 10 == 0 {
                world.run(ms(4))?;
            }
        }
        let before = world.one(round * 1_000 + 500, 3)?;
        for at in 0..3 {
            world.crash(at, Crash::Power);
        }
        world.run(ms(100))?;
        for at in 0..3 {
            world.restart(at)?;
        }
        let after = world.one(round * 1_000 + 501, 3)?;
        world.expect(Property::Limit, after > before, || {
            format!("entry {after} was agreed on after entry {before} and a restart")
        })?;
    }
    Ok(())
}
