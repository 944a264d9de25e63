//! The labs' part 2B: what is agreed on, and at what cost.

use rand::RngExt;

use super::super::failure::Property;
use super::super::lab::Done;
use super::super::moment::{ms, secs};
use super::super::network::NetworkConditions;
use super::super::world::World;

pub(super) fn basic(world: &mut World) -> Done {
    for value in 1..=3 {
        world.one(value * 100, 3)?;
    }
    Ok(())
}

/// Each command crosses the network once for each follower, and little else does.
pub(super) fn rpc_bytes(world: &mut World) -> Done {
    const BYTES: usize = 5_000;
    world.one(99, 3)?;
    let before = world.bytes();
    for value in 100..110 {
        world.one_sized(value, 3, BYTES)?;
    }
    let used = world.bytes() - before;
    let expected = 10 * 2 * BYTES as u64;
    world.expect(Property::Limit, used <= expected + 50_000, || {
        format!("{used} bytes for commands that make {expected}")
    })
}

pub(super) fn follower_failure(world: &mut World) -> Done {
    world.one(101, 3)?;
    let leader = world.one_leader()?;
    world.disconnect((leader + 1) % 3);
    world.one(102, 2)?;
    world.run(ms(1_000))?;
    world.one(103, 2)?;
    let leader = world.one_leader()?;
    world.disconnect((leader + 1) % 3);
    world.disconnect((leader + 2) % 3);
    not_agreed(world, leader, 104)
}

pub(super) fn leader_failure(world: &mut World) -> Done {
    world.one(101, 3)?;
    let first = world.one_leader()?;
    world.disconnect(first);
    world.one(102, 2)?;
    world.run(ms(1_000))?;
    world.one(103, 2)?;
    let second = world.one_leader()?;
    world.disconnect(second);
    for at in 0..3 {
        not_agreed(world, at, 104)?;
    }
    Ok(())
}

/// What a server takes now must not be agreed on for two seconds.
fn not_agreed(world: &mut World, at: usize, value: u64) -> Done {
    let started = world.start(at, value)?;
    world.run(secs(2))?;
    if let Some((index, term)) = started {
        let count = world.committed_on(index, term);
        world.expect(Property::Limit, count == 0, || {
            format!("{value} was agreed on by {count} servers without a majority")
        })?;
    }
    Ok(())
}

pub(super) fn fail_agree(world: &mut World) -> Done {
    world.one(101, 3)?;
    let leader = world.one_leader()?;
    world.disconnect((leader + 1) % 3);
    world.one(102, 2)?;
    world.one(103, 2)?;
    world.run(ms(1_000))?;
    world.one(104, 2)?;
    world.one(105, 2)?;
    world.connect((leader + 1) % 3);
    world.one(106, 3)?;
    world.run(ms(1_000))?;
    world.one(107, 3).map(|_| ())
}

pub(super) fn fail_no_agree(world: &mut World) -> Done {
    world.one(10, 5)?;
    let leader = world.one_leader()?;
    for offset in 1..=3 {
        world.disconnect((leader + offset) % 5);
    }
    not_agreed(world, leader, 20)?;
    for offset in 1..=3 {
        world.connect((leader + offset) % 5);
    }
    let second = world.one_leader()?;
    world.start(second, 30)?;
    world.one(1_000, 5).map(|_| ())
}

/// Commands that reach a leader at the same time each get a place of their own.
pub(super) fn concurrent_starts(world: &mut World) -> Done {
    for _ in 0..5 {
        let leader = world.one_leader()?;
        let term = world.term();
        let mut places = Vec::new();
        for value in 0..5 {
            places.extend(world.start(leader, 100 + value)?);
        }
        world.run_until(secs(5), |world| {
            places.iter().all(|(index, term)| world.committed_on(*index, *term) == 3)
        })?;
        if world.term() != term || places.len() < 5 {
            continue;
        }
        let agreed =
            places.iter().filter(|(index, term)| world.committed_on(*index, *term) == 3).count();
        let distinct: std::collections::BTreeSet<_> = places.iter().collect();
        return world.expect(Property::Limit, agreed == 5 && distinct.len() == 5, || {
            format!("of five commands {agreed} were agreed on, at {places:?}")
        });
    }
    let what = "the term changed in each of five attempts".to_owned();
    Err(world.fail(Property::Limit, what))
}

pub(super) fn rejoin(world: &mut World) -> Done {
    world.one(101, 3)?;
    let first = world.one_leader()?;
    world.disconnect(first);
    for value in 102..=104 {
        world.start(first, value)?;
    }
    world.one(103, 2)?;
    let second = world.one_leader()?;
    world.disconnect(second);
    world.connect(first);
    world.one(104, 2)?;
    world.connect(second);
    world.one(105, 3).map(|_| ())
}

/// Long tails of entries that were never committed are given up, and quickly.
pub(super) fn backup(world: &mut World) -> Done {
    let mut value = 0;
    let mut next = || {
        value += 1;
        value
    };
    world.one(next(), 5)?;
    let first = world.one_leader()?;
    for offset in 2..=4 {
        world.disconnect((first + offset) % 5);
    }
    for _ in 0..50 {
        world.start(first, next())?;
    }
    world.run(ms(250))?;
    world.disconnect(first);
    world.disconnect((first + 1) % 5);
    for offset in 2..=4 {
        world.connect((first + offset) % 5);
    }
    for _ in 0..50 {
        world.one(next(), 3)?;
    }
    let second = world.one_leader()?;
    let mut other = (first + 2) % 5;
    if other == second {
        other = (second + 1) % 5;
    }
    world.disconnect(other);
    for _ in 0..50 {
        world.start(second, next())?;
    }
    world.run(ms(250))?;
    for at in 0..5 {
        world.disconnect(at);
    }
    for at in [first, (first + 1) % 5, other] {
        world.connect(at);
    }
    for _ in 0..50 {
        world.one(next(), 3)?;
    }
    for at in 0..5 {
        world.connect(at);
    }
    let begun = world.now;
    world.one(next(), 5)?;
    let took = world.now.since(begun);
    world.expect(Property::Limit, took <= secs(5), || {
        format!("it took {took:?} until all five agreed")
    })
}

/// How many messages it takes to elect a leader, to agree, and to do nothing, over a network that
/// keeps their order.
pub(super) fn count(world: &mut World) -> Done {
    world.network.conditions = NetworkConditions::orderly();
    world.one_leader()?;
    let elected = world.messages();
    // 30 requests and replies as in the labs, and the pre-votes of two elections, which they lack.
    world.expect(Property::Limit, (1..=60 + 16).contains(&elected), || {
        format!("{elected} messages until the first leader settled")
    })?;
    for _ in 0..5 {
        let leader = world.one_leader()?;
        let (term, before) = (world.term(), world.messages());
        let mut places = Vec::new();
        for _ in 0..10 {
            let value = world.faults.random_range(1..1_000_000);
            places.extend(world.start(leader, value)?);
        }
        world.run_until(secs(2), |world| {
            places.iter().all(|(index, term)| world.committed_on(*index, *term) == 3)
        })?;
        if world.term() != term || places.len() < 10 {
            continue;
        }
        let used = world.messages() - before;
        world.expect(Property::Limit, used <= (10 + 1 + 3) * 3 * 2, || {
            format!("{used} messages for ten commands")
        })?;
        let before = world.messages();
        world.run(ms(1_000))?;
        let idle = world.messages() - before;
        return world.expect(Property::Limit, idle <= 3 * 20, || {
            format!("{idle} messages in an idle second")
        });
    }
    let what = "the term changed in each of five attempts".to_owned();
    Err(world.fail(Property::Limit, what))
}
