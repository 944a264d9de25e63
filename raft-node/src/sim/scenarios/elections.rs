//! The labs' part 2A: who leads.

use rand::RngExt;

use super::super::failure::Property;
use super::super::lab::Done;
use super::super::moment::ms;
use super::super::world::World;

/// A leader is elected and keeps its term while nothing fails.
pub(super) fn initial(world: &mut World) -> Done {
    world.one_leader()?;
    world.run(ms(50))?;
    let term = world.term();
    world.expect(Property::Limit, term.0 >= 1, || "no term has begun".to_owned())?;
    let before = world.messages();
    world.run(ms(2_000))?;
    // At most ten heartbeats a second to each of two followers, and their answers.
    let sent = world.messages() - before;
    world.expect(Property::Limit, sent <= 2 * 2 * 21, || {
        format!("{sent} messages in two idle seconds: more than ten heartbeats a second")
    })?;
    let later = world.term();
    world.expect(Property::Limit, later == term, || {
        format!("the term rose from {term} to {later} though nothing failed")
    })?;
    world.one_leader().map(|_| ())
}

/// A leader that is cut off is replaced; when it comes back there is still one leader.
pub(super) fn re_election(world: &mut World) -> Done {
    let first = world.one_leader()?;
    world.disconnect(first);
    world.one_leader()?;
    world.connect(first);
    let second = world.one_leader()?;
    let other = (second + 1) % 3;
    world.disconnect(second);
    world.disconnect(other);
    world.run(ms(1_000))?;
    no_new_commit_without_majority(world)?;
    let lone = (0..3).find(|at| world.leads(*at));
    world.expect(Property::Limit, lone.is_none(), || {
        format!("server {} leads without a majority after two seconds", lone.unwrap_or(0) + 1)
    })?;
    world.connect(other);
    world.one_leader()?;
    world.connect(second);
    world.one_leader().map(|_| ())
}

/// A lone server may believe for a while that it leads, but it gets nothing agreed on.
fn no_new_commit_without_majority(world: &mut World) -> Done {
    let before = world.invariants.committed();
    world.run(ms(1_000))?;
    let after = world.invariants.committed();
    world.expect(Property::Limit, before == after, || {
        format!("{} entries were committed without a majority", after - before)
    })
}

/// With three of seven cut off, the other four, or seven, always find a leader.
pub(super) fn many(world: &mut World) -> Done {
    world.one_leader()?;
    for _ in 0..10 {
        let gone: [usize; 3] = std::array::from_fn(|_| world.faults.random_range(0..7));
        for at in gone {
            world.disconnect(at);
        }
        world.one_leader()?;
        for at in gone {
            world.connect(at);
        }
    }
    world.one_leader().map(|_| ())
}
