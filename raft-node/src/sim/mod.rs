//! Runs whole clusters in simulated time, breaks whatever can break, and checks after every step
//! what Raft promises.
//!
//! A run is a pure function of a [`Scenario`] and a seed: no thread, no clock, no socket, no disk.
//! Each server is a real [`Core`](crate::core::Core); network, disks, clocks and clients are
//! simulated. The same seed gives the same run, byte for byte, so that a failure can be looked at
//! as often as one likes: [`run`] with [`Wanted::Lines`] gives the log of every step.
//!
//! * `world`, `server`: the event loop, and what drives one core.
//! * `network`, `disk`, `clock`: what goes wrong, and how.
//! * `load`, `history`: the clients and what they saw; the history is judged by others.
//! * `mixed`: clients of lists, sets, locks and transactions, which check their own answers.
//! * `invariants`: Figure 3 of the Raft paper, checked after every step.
//! * `lab`, [`scenarios`]: the Raft labs' tests, by their names; `swarm`: runs drawn from a seed.
//! * `recipes`: for every planted bug the situation in which it shows.
//!
//! Costs a few hundred nanoseconds an event beyond what the cores cost. Leaves out: the RESP server
//! and the sockets (the real-process tests run those), and threads: a turn of a server is atomic.

mod clock;
mod disks;
mod failure;
mod history;
mod invariants;
mod lab;
mod load;
mod mixed;
mod moment;
mod network;
mod queue;
mod random;
pub mod recipes;
pub mod scenarios;
mod server;
mod swarm;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

pub use self::failure::{Failure, Property};
pub use self::history::{Action, ClientEvent, History, Kind, Object};
pub use self::moment::Moment;
pub use self::scenarios::{Group, Scenario};
use self::world::World;
use crate::mutations::Mutations;

/// How much of a run to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The verdict, the history and the hash of the trace.
    Verdict,
    /// The lines of the trace as well.
    Lines,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// What did not hold, if anything; whether the history is linearizable is for the caller to
    /// judge.
    pub failure: Option<Failure>,
    /// What the clients saw.
    pub history: History,
    /// The running hash of everything that happened, in order.
    pub trace_hash: u64,
    /// The lines of the trace, if they were wanted.
    pub lines: Option<String>,
    /// How many events were taken.
    pub events: u64,
    /// How much simulated time passed.
    pub simulated: Duration,
    /// How many log entries were committed.
    pub committed: usize,
}

/// Plays a scenario with a seed.
#[must_use]
pub fn run(scenario: &Scenario, seed: u64, mutations: Mutations, wanted: Wanted) -> Run {
    let setup = (scenario.setup)(seed);
    let mut world = World::new(setup, seed, mutations, wanted == Wanted::Lines);
    // A server's own assertion is a finding like any other; the world is only looked at after it.
    let played = catch_unwind(AssertUnwindSafe(|| {
        world.start_all()?;
        (scenario.play)(&mut world)
    }));
    let failure = match played {
        Ok(played) => played.err(),
        Err(panic) => {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Some(world.fail(Property::Assertion, what.to_owned()))
        }
    };
    Run {
        failure,
        trace_hash: world.trace.hash(),
        events: world.events,
        simulated: world.elapsed(),
        committed: world.invariants.committed(),
        lines: world.trace.into_lines(),
        history: world.history,
    }
}

#[cfg(test)]
mod tests;
