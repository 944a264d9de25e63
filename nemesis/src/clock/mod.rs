//! Gives a node clocks of its own, which can be moved while the machine's stay as they are.
//!
//! Every program of a node that is started with a [`NodeClock`] gets the node's clocks before its
//! first instruction, by way of its vDSO (`install`); execs are reported by a seccomp filter
//! (`crate::seccomp`) and followed (`gate`), forks and threads inherit. From then on nothing is traced and nothing is called: the
//! controller writes a page of memory (`page`) that code in the node applies to what the kernel
//! says (`stub`, `timeline`). Realtime can be stepped and strobed; realtime and monotonic can
//! go at another rate, the latter without ever going back. Starting a program takes less than 1 ms
//! more, asking for the time 24 ns more (docs/faults-clock.md has the command that measures both).
//!
//! Leaves out: programs that make the system call themselves instead of asking the vDSO, programs
//! of 32 bits, and the clocks of CPU time: they see the truth. So do the kernel's own timers; a
//! wait until an *absolute* time of a moved clock (`pthread_cond_timedwait`, `FUTEX_WAIT_BITSET`)
//! ends early or late by as much as the clock is off. Works on x86-64 only.

#[cfg(target_arch = "x86_64")]
mod exec_interceptor;
#[cfg(target_arch = "x86_64")]
mod install;
mod page;
#[cfg(target_arch = "x86_64")]
mod stub;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
mod timeline;
#[cfg(target_arch = "x86_64")]
mod tracee;
#[cfg(target_arch = "x86_64")]
mod vdso;

use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;

pub use page::ClockReadings;
use page::{CLOCKS, Page, true_times};
use timeline::{Rate, Timeline};

use crate::seccomp::listener::{Listener, Notice};

/// How far the kernel's coarse clocks may lag behind the fine ones: a tick, at 50 Hz and above.
/// Monotonic clocks are changed less often, for the stub knows only so much of their past.
const COARSE_LAG: Duration = Duration::from_millis(20);
/// The name under which the page appears in a node's memory map.
const FILE: &str = "/memfd:partita-clock";

/// Which clocks change their rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// Realtime and monotonic.
    Both,
    /// Those that tell the time of day.
    Realtime,
    /// Those that only ever go forward.
    Monotonic,
}

impl Clocks {
    /// Whether those that tell the time of day are among them.
    pub fn realtime(self) -> bool {
        self != Clocks::Monotonic
    }

    /// Whether those that only ever go forward are among them.
    pub fn monotonic(self) -> bool {
        self != Clocks::Realtime
    }
}

/// The clocks of one node, whatever processes it consists of over time.
#[derive(Debug)]
pub struct NodeClock {
    node: String,
    page: Page,
    state: Mutex<State>,
    gate: Mutex<GateLog>,
}

#[derive(Debug)]
struct State {
    /// In the order of [`CLOCKS`].
    timelines: [Timeline; CLOCKS.len()],
    /// When the rate of the monotonic clocks was last changed.
    changed: Option<Instant>,
}

/// What came of the execs of a node's programs.
#[derive(Debug, Default)]
struct GateLog {
    installed: u64,
    /// How many programs began without the clocks, and why the latest did.
    misses: u64,
    latest_miss: Option<String>,
}

/// Why a node has no clocks of its own.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// Another kind of processor.
    #[error("moving a node's clock is for x86-64; not on this architecture ({0})")]
    Architecture(&'static str),
    /// The page cannot be had.
    #[error("{node}: making the page of its clocks: {source}")]
    Page {
        /// The node.
        node: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// How far a node's clocks are from the truth, in nanoseconds; positive if they are ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// `CLOCK_REALTIME`.
    pub realtime_ns: i64,
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: i64,
}

impl NodeClock {
    /// Clocks for the node of that name, which show the truth.
    ///
    /// # Errors
    ///
    /// On other processors than x86-64, or if the kernel gives no memory.
    pub fn new(node: &str) -> Result<NodeClock, ClockError> {
        if !cfg!(target_arch = "x86_64") {
            return Err(ClockError::Architecture(std::env::consts::ARCH));
        }
        let page = Page::new(c"partita-clock")
            .map_err(|source| ClockError::Page { node: node.to_owned(), source })?;
        let timelines = std::array::from_fn(|_| Timeline::truth());
        let state = Mutex::new(State { timelines, changed: None });
        Ok(NodeClock { node: node.to_owned(), page, state, gate: Mutex::default() })
    }

    /// The name of the node whose clocks they are.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Sets the realtime clocks so far from the truth, in nanoseconds, to go on at the true rate.
    pub fn set_realtime(&self, offset_ns: i64) {
        let mut state = locked(&self.state);
        self.page.change(&mut state.timelines, |timelines, now| {
            for clock in REALTIME {
                timelines[clock].jump(now[clock], offset_ns);
            }
        });
    }

    /// Lets clocks go on at so many times the true rate, 0.5 to 2, from what they show now. May
    /// wait for 20 ms if the monotonic ones were changed a moment ago.
    pub fn run_at(&self, factor: f64, clocks: Clocks) {
        let rate = Rate::times(factor.clamp(0.5, 2.0));
        let mut state = self.changeable(clocks.monotonic());
        self.page.change(&mut state.timelines, |timelines, now| {
            let realtime = REALTIME.iter().filter(|_| clocks.realtime());
            let monotonic = MONOTONIC.iter().filter(|_| clocks.monotonic());
            for clock in realtime.chain(monotonic) {
                timelines[*clock].run_at(now[*clock], rate);
            }
        });
    }

    /// Brings all clocks back to the truth: realtime at once; monotonic, which must not go back, at
    /// half speed if it is ahead and at double speed if it is behind. May wait for 20 ms.
    pub fn heal(&self) {
        let is_monotonic_moved = self.shift().monotonic_ns != 0;
        let mut state = self.changeable(is_monotonic_moved);
        self.page.change(&mut state.timelines, |timelines, now| {
            for clock in REALTIME {
                timelines[clock].jump(now[clock], 0);
            }
            for clock in MONOTONIC.into_iter().filter(|_| is_monotonic_moved) {
                timelines[clock].slew(now[clock]);
            }
        });
    }

    /// How far the clocks are from the truth now, by the page.
    pub fn shift(&self) -> ClockOffset {
        let state = locked(&self.state);
        let now = true_times();
        let shift = |clock: usize| state.timelines[clock].at(now[clock]) - now[clock];
        ClockOffset { realtime_ns: shift(REALTIME[0]), monotonic_ns: shift(MONOTONIC[0]) }
    }

    /// What the node's programs were told of the realtime clocks, and of the monotonic ones.
    pub fn seen(&self) -> [ClockReadings; 2] {
        self.page.seen()
    }

    /// Forgets how far from the truth earlier answers were; goes on counting.
    pub fn forget(&self) {
        self.page.forget();
    }

    /// How many programs were given these clocks.
    pub fn installed(&self) -> u64 {
        locked(&self.gate).installed
    }

    /// Whether the process of that number sees these clocks. None if it has ended.
    pub fn covers(&self, pid: i32) -> Option<bool> {
        let inode = fstat(self.page.file()).ok()?.st_ino.to_string();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        // One that has ended but was not reaped has no memory.
        if maps.is_empty() {
            return None;
        }
        let is_page = |line: &str| {
            let mut fields = line.split_ascii_whitespace().skip(4);
            fields.next() == Some(&inode) && fields.next() == Some(FILE)
        };
        Some(maps.lines().any(is_page))
    }

    /// How many programs of the node began without these clocks.
    pub fn misses(&self) -> u64 {
        locked(&self.gate).misses
    }

    /// Why a program of the node last began without these clocks, if one did.
    pub fn latest_miss(&self) -> Option<String> {
        locked(&self.gate).latest_miss.clone()
    }

    /// Answers the report of an exec, and gives the new program these clocks. Blocks until that is
    /// done; the calling thread must not trace anything else, and another one must answer what
    /// else is reported meanwhile.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn attend(&self, listener: &Listener, exec: &Notice) {
        self.note(exec_interceptor::attend(listener, exec, self));
    }

    /// There are no clocks elsewhere: [`NodeClock::new`] has refused.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn attend(&self, _: &Listener, _: &Notice) {}

    #[cfg(target_arch = "x86_64")]
    fn note(&self, outcome: Result<bool, install::InstallError>) {
        let mut gate = locked(&self.gate);
        match outcome {
            Ok(is_new_program) => gate.installed += u64::from(is_new_program),
            Err(error) => {
                gate.misses += 1;
                gate.latest_miss = Some(error.to_string());
            }
        }
    }

    /// The state, once the monotonic clocks may be changed if they shall be.
    fn changeable(&self, monotonic: bool) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        if monotonic {
            let since = state.changed.map(|changed| changed.elapsed());
            thread::sleep(since.map_or(Duration::ZERO, |since| COARSE_LAG.saturating_sub(since)));
            state.changed = Some(Instant::now());
        }
        state
    }
}

/// The clocks of [`CLOCKS`] that can be set, and those that never go back.
const REALTIME: [usize; 2] = [0, 4];
const MONOTONIC: [usize; 3] = [1, 2, 3];

/// Locks even after a panic elsewhere: a clock must be healed all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
