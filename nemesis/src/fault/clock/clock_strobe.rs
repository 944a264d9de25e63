//! A clock that jumps there and back again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::moved::{Kinds, move_clocks};
use super::{HOLDS, Jump, NEEDS, READ};
use crate::clock::NodeClock;
use crate::fault::description::{Description, Drawn, ExcludedNodes, Parameter, Victims};
use crate::fault::values::Time;
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Lets the victim's realtime clock jump there and back again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockStrobe {
    /// How far realtime jumps.
    pub by: Jump,
    /// How long it stays before it jumps.
    pub period: Time<1, 10_000>,
}

impl Default for ClockStrobe {
    fn default() -> ClockStrobe {
        ClockStrobe { by: Jump::millis(200), period: Time::millis(50) }
    }
}

impl FaultType for ClockStrobe {
    const DESCRIPTION: Description = Description {
        name: "clock-strobe",
        family: Family::Clock,
        summary: "let one node's clock jump there and back again and again",
        was: "on a clock that jumped to and fro",
        victims: Victims::ONE,
        parameters: &[
            Parameter::of::<Jump>("by", "how far realtime jumps"),
            Parameter::of::<Time<1, 10_000>>("period", "how long it stays before it jumps"),
        ],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: Drawn { shortest_ms: 1_500, longest_ms: 3_500, keeps: ExcludedNodes::Nobody },
        evidence: READ,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> ClockStrobe {
        ClockStrobe {
            by: one_of(rng, &[-2_000, -100, 100, 2_000].map(Jump::millis)),
            period: one_of(rng, &[5, 50, 200].map(Time::millis)),
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let (by_ns, period) = (self.by.ns(), self.period.get());
        move_clocks(site, Kinds::REALTIME, move |clock| {
            Jumps::start(Arc::clone(clock), by_ns, period).map(Some)
        })
    }
}

/// A thread that lets realtime jump there and back again. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Jumps {
    // The thread ends when this does.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    so_far: Arc<Mutex<(i64, u64)>>,
}

impl Jumps {
    fn start(clock: Arc<NodeClock>, by_ns: i64, period: Duration) -> std::io::Result<Jumps> {
        let (end, ended) = channel();
        let so_far = Arc::new(Mutex::new((0, 0)));
        let shared = Arc::clone(&so_far);
        let thread = thread::Builder::new()
            .name(format!("strobe {}", clock.node()))
            .spawn(move || jump_to_and_fro(&clock, by_ns, period, &ended, &shared))?;
        Ok(Jumps { end: Some(end), thread: Some(thread), so_far })
    }

    /// The furthest that the node saw, or would have seen, in nanoseconds, and how often it jumped.
    pub(super) fn stop(mut self) -> (i64, u64) {
        self.finish();
        *self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but this.
            let _ = thread.join();
        }
    }
}

impl Drop for Jumps {
    fn drop(&mut self) {
        self.finish();
    }
}

fn jump_to_and_fro(
    clock: &NodeClock,
    by_ns: i64,
    period: Duration,
    ended: &Receiver<()>,
    so_far: &Mutex<(i64, u64)>,
) {
    for offset_ns in [by_ns, 0].into_iter().cycle() {
        clock.set_realtime(offset_ns);
        let is_over = ended.recv_timeout(period) != Err(RecvTimeoutError::Timeout);
        let seen_ns = clock.seen()[0].furthest_ns;
        let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
        let (peak_ns, jumps) = &mut *so_far;
        *jumps += 1;
        for ns in [seen_ns, offset_ns] {
            if ns.unsigned_abs() > peak_ns.unsigned_abs() {
                *peak_ns = ns;
            }
        }
        if is_over {
            return;
        }
    }
}
