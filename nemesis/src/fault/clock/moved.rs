//! Moves a node's clocks, keeps them moving, and measures what the node saw of it.
//!
//! What counts as moved is what the node's own programs were told while the fault was in force
//! ([`ClockReadings`]); where none of them asked, what the page would have told them, and the record's count
//! of readings, zero, says that nobody did.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::clock_strobe::Jumps;
use crate::clock::{ClockReadings, NodeClock};
use crate::fault::site::{Active, Clock, Healed, InjectError, Injecting, Later, Site, idle};
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

/// Which clocks a fault moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) realtime: bool,
    pub(super) monotonic: bool,
}

impl Kinds {
    pub(super) const REALTIME: Kinds = Kinds { realtime: true, monotonic: false };
}

/// Clocks that are off until this is dropped.
struct Moved {
    clock: Arc<NodeClock>,
    kinds: Kinds,
    before: [ClockReadings; 2],
    misses_before: u64,
    jumps: Option<Jumps>,
    is_moved: bool,
}

/// Moves the clocks of the victim, which is running and all of whose processes see them.
pub(super) fn move_clocks<'a>(
    site: Site<'a>,
    kinds: Kinds,
    change: impl FnOnce(&Arc<NodeClock>) -> std::io::Result<Option<Jumps>> + Send + 'a,
) -> Injecting<'a> {
    Box::pin(async move {
        let node = *site.nodes.first().ok_or(InjectError::NoVictim)?;
        let moved = Moved::begin(node, kinds, change).await?;
        Ok(Box::new(moved) as Box<dyn Active + 'a>)
    })
}

impl Moved {
    async fn begin(
        node: &NodeProcess,
        kinds: Kinds,
        change: impl FnOnce(&Arc<NodeClock>) -> std::io::Result<Option<Jumps>>,
    ) -> Result<Moved, MoveError> {
        let name = || node.node().to_owned();
        let clock = Arc::clone(node.clock().ok_or_else(|| MoveError::NoClock(name()))?);
        await_cover(node, &clock).await?;
        clock.forget();
        let (before, misses_before) = (clock.seen(), clock.misses());
        let mut moved = Moved {
            clock: Arc::clone(&clock),
            kinds,
            before,
            misses_before,
            jumps: None,
            is_moved: true,
        };
        let jumps = change(&clock);
        moved.jumps = jumps.map_err(|source| MoveError::Thread { node: name(), source })?;
        Ok(moved)
    }

    /// Brings the clocks back; what the node saw, and what kept some of it from seeing that.
    fn measure(&mut self) -> (Vec<Effect>, Option<String>) {
        let mut furthest = self.furthest();
        let mut effects = Vec::new();
        if let Some(jumps) = self.jumps.take() {
            let (peak_ns, jumps) = jumps.stop();
            if peak_ns != 0 {
                furthest[0] = peak_ns;
            }
            effects.push(Effect::new("jumps of realtime", jumps as f64, "jumps"));
        }
        self.bring_back();
        let after = self.clock.seen();
        let is_asked = [self.kinds.realtime, self.kinds.monotonic];
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
        let node = self.clock.node();
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

    fn bring_back(&mut self) {
        self.jumps = None;
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

impl Active for Moved {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(mut self: Box<Self>, _: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let (effects, error) = self.measure();
            // A clock is right again whatever kept a program from seeing it wrong.
            Healed { ended_ns: clock(), effects, error, unhealed: false }
        })
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
