//! Moves a node's clocks, keeps them moving, and measures what the node saw of it.
//!
//! What counts as moved is what the node's own programs were told while the fault was in force
//! ([`Seen`]); where none of them asked, what the page would have told them, and the record's count
//! of readings, zero, says that nobody did.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::parameters::{Change, Clocks};
use super::{NodeClock, Seen};
use crate::lab::process::NodeProcess;
use crate::record::Effect;

/// How long a program that is just beginning may take to get its clocks.
const COVER_LIMIT: Duration = Duration::from_millis(500);
/// How often it is looked at.
const COVER_STEP: Duration = Duration::from_millis(5);

/// Why a node's clocks were not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error("{0} was started without clocks of its own")]
    NoClock(String),
    #[error("{0} is not running")]
    NotRunning(String),
    #[error("process {pid} of {node} does not see the node's clocks: {why}")]
    Uncovered { node: String, pid: i32, why: String },
    #[error("{node}: starting a thread that strobes its clock: {source}")]
    Thread { node: String, source: std::io::Error },
}

/// Clocks that are off until this is dropped.
#[derive(Debug)]
pub(crate) struct Moved {
    clock: Arc<NodeClock>,
    change: Change,
    before: [Seen; 2],
    misses_before: u64,
    strobe: Option<Strobe>,
    is_moved: bool,
}

impl Moved {
    /// Moves the clocks of `node`, which is running and all of whose processes see them.
    pub(crate) async fn begin(node: &NodeProcess, change: Change) -> Result<Moved, MoveError> {
        let name = || node.node().to_owned();
        let clock = Arc::clone(node.clock().ok_or_else(|| MoveError::NoClock(name()))?);
        await_cover(node, &clock).await?;
        clock.forget();
        let before = clock.seen();
        let mut moved = Moved {
            clock: Arc::clone(&clock),
            change,
            before,
            misses_before: clock.misses(),
            strobe: None,
            is_moved: true,
        };
        match change {
            Change::Step { by_ns } => clock.set_realtime(by_ns),
            Change::Rate { factor, clocks } => clock.run_at(factor, clocks),
            Change::Strobe { by_ns, period } => {
                let strobe = Strobe::start(clock, by_ns, period);
                moved.strobe =
                    Some(strobe.map_err(|source| MoveError::Thread { node: name(), source })?);
            }
        }
        Ok(moved)
    }

    /// Brings the clocks back; what the node saw, and what kept some of it from seeing that.
    pub(crate) fn heal(mut self) -> (Vec<Effect>, Option<String>) {
        let mut furthest = self.furthest();
        let mut effects = Vec::new();
        if let Some(strobe) = self.strobe.take() {
            let (peak_ns, jumps) = strobe.stop();
            if peak_ns != 0 {
                furthest[0] = peak_ns;
            }
            effects.push(Effect::new("jumps of realtime", jumps as f64, "jumps"));
        }
        self.bring_back();
        let after = self.clock.seen();
        let is_asked = self.kinds();
        let what = ["realtime moved", "monotonic moved"];
        let mut readings = 0;
        for kind in (0..2).filter(|kind| is_asked[*kind]) {
            let milliseconds = furthest[kind].unsigned_abs() as f64 / 1e6;
            effects.push(Effect::new(what[kind], milliseconds, "ms"));
            readings += after[kind].readings.wrapping_sub(self.before[kind].readings);
        }
        effects.push(Effect::new("readings of moved clocks", readings as f64, "readings"));
        // What was moved comes first.
        effects.sort_by_key(|effect| effect.unit != "ms");
        (effects, self.escape())
    }

    /// What began without the clocks while they were moved.
    fn escape(&self) -> Option<String> {
        let misses = self.clock.misses() - self.misses_before;
        let why = self.clock.latest_miss().filter(|_| misses > 0)?;
        let node = &self.clock.node;
        Some(format!("{misses} programs of {node} began without the node's clocks: {why}"))
    }

    /// How far from the truth the node saw its clocks, or would have.
    fn furthest(&self) -> [i64; 2] {
        let (seen, shift) = (self.clock.seen(), self.clock.shift());
        let by_page = [shift.realtime_ns, shift.monotonic_ns];
        [0, 1].map(|kind| match seen[kind].furthest_ns {
            0 => by_page[kind],
            furthest_ns => furthest_ns,
        })
    }

    /// Whether realtime, and monotonic, is moved.
    fn kinds(&self) -> [bool; 2] {
        match self.change {
            Change::Step { .. } | Change::Strobe { .. } => [true, false],
            Change::Rate { clocks, .. } => {
                [clocks != Clocks::Monotonic, clocks != Clocks::Realtime]
            }
        }
    }

    fn bring_back(&mut self) {
        self.strobe = None;
        if self.is_moved {
            self.clock.heal();
            self.is_moved = false;
        }
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.bring_back();
    }
}

/// Waits until every process of the node sees its clocks.
async fn await_cover(node: &NodeProcess, clock: &NodeClock) -> Result<(), MoveError> {
    let begun = Instant::now();
    loop {
        let covered: Vec<(i32, bool)> =
            node.members().into_iter().filter_map(|pid| Some((pid, clock.covers(pid)?))).collect();
        let uncovered = covered.iter().find(|(_, is_covered)| !is_covered);
        let Some((pid, _)) = uncovered.copied() else {
            let name = || node.node().to_owned();
            return if covered.is_empty() { Err(MoveError::NotRunning(name())) } else { Ok(()) };
        };
        if begun.elapsed() > COVER_LIMIT {
            let why = clock.latest_miss().unwrap_or_else(|| "it was never given them".to_owned());
            return Err(MoveError::Uncovered { node: node.node().to_owned(), pid, why });
        }
        sleep(COVER_STEP).await;
    }
}

/// A thread that lets realtime jump there and back again. Dropping it ends it.
#[derive(Debug)]
struct Strobe {
    // The thread ends when nobody can tell it anything any more.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    so_far: Arc<Mutex<(i64, u64)>>,
}

impl Strobe {
    fn start(clock: Arc<NodeClock>, by_ns: i64, period: Duration) -> std::io::Result<Strobe> {
        let (end, ended) = channel();
        let so_far = Arc::new(Mutex::new((0, 0)));
        let shared = Arc::clone(&so_far);
        let thread = thread::Builder::new()
            .name(format!("strobe {}", clock.node))
            .spawn(move || strobe(&clock, by_ns, period, &ended, &shared))?;
        Ok(Strobe { end: Some(end), thread: Some(thread), so_far })
    }

    /// The furthest that the node saw, or would have seen, in nanoseconds, and how often it jumped.
    fn stop(mut self) -> (i64, u64) {
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

impl Drop for Strobe {
    fn drop(&mut self) {
        self.finish();
    }
}

fn strobe(
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
