//! Stops, ends and restarts nodes' processes, undoes it, and measures it.
//!
//! Whatever moment a fault is healed at, in the middle of a restart as well, every node that it ended
//! is started again and seen to stay up, unless everything is about to be shut down.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::time::{sleep, sleep_until, timeout};

use crate::fault::{Fault, process};
use crate::lab::process::{NodeProcess, SignalError, StartError};
use crate::random::stream;
use crate::record::Effect;
use crate::schedule::PlannedFault;
use crate::together::all;

use super::inject::{Healed, InjectError};

/// How long a node that was started again must stay up to count as running.
const PROOF_OF_LIFE: Duration = Duration::from_millis(250);
/// How long a node may take to end when it is asked to in a rolling restart.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a node does not run again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestartError {
    #[error("starting it again: {0}")]
    Start(#[from] StartError),
    #[error("it ended within {PROOF_OF_LIFE:?} of being started again: {0}")]
    EndedAgain(ExitStatus),
    #[error(transparent)]
    Signal(#[from] SignalError),
}

/// A fault of processes in force.
pub(super) enum Processes<'a> {
    /// Nodes that are stopped.
    Paused(Vec<Paused<'a>>),
    /// Nodes that are stopped and continued again and again.
    Stutter(Vec<Stutter<'a>>),
    /// Nodes that are down until the heal.
    Down(Vec<Down<'a>>),
    /// Nodes that are restarted while the fault is in force.
    Restarts(Restarts<'a>),
}

impl<'a> Processes<'a> {
    /// Does `planned` to `nodes`.
    pub(super) async fn begin(
        planned: &PlannedFault,
        seed: u64,
        nodes: Vec<&'a NodeProcess>,
    ) -> Result<Processes<'a>, InjectError> {
        let unknown = || InjectError::Parameters(planned.fault);
        let spell = |name| process::spell(planned.word(name)).ok_or_else(unknown);
        match planned.fault {
            Fault::Pause => {
                let pauses = all(nodes.into_iter().map(Paused::begin).collect()).await;
                Ok(Processes::Paused(pauses.into_iter().collect::<Result<_, _>>()?))
            }
            Fault::Stutter => {
                let period = process::period(planned.word(process::PERIOD)).ok_or_else(unknown)?;
                let share = process::share(planned.word(process::SHARE)).ok_or_else(unknown)?;
                let stopped = period * u32::from(share) / 100;
                let begin = |node| Stutter::begin(node, stopped, period.saturating_sub(stopped));
                let stutters = all(nodes.into_iter().map(begin).collect()).await;
                Ok(Processes::Stutter(stutters.into_iter().collect::<Result<_, _>>()?))
            }
            Fault::Kill => {
                let kills = all(nodes.into_iter().map(Down::kill).collect()).await;
                Ok(Processes::Down(kills.into_iter().collect::<Result<_, _>>()?))
            }
            Fault::Terminate => {
                let limit = spell(process::LIMIT)?;
                let ends = nodes.into_iter().map(|node| Down::terminate(node, limit));
                let ends = all(ends.collect()).await;
                Ok(Processes::Down(ends.into_iter().collect::<Result<_, _>>()?))
            }
            Fault::KillAll => {
                let mut restarts = Restarts::new(nodes, Course::AllAtOnce(spell(process::DOWN)?));
                restarts.kill_all().await?;
                Ok(Processes::Restarts(restarts))
            }
            Fault::RollingRestart => {
                let between = spell(process::BETWEEN)?;
                let limit = (planned.word(process::HOW) == "terminate").then_some(PATIENCE);
                Ok(Processes::Restarts(Restarts::new(nodes, Course::Rolling { between, limit })))
            }
            Fault::RestartVoters => {
                let times = process::times(planned.word(process::TIMES)).ok_or_else(unknown)?;
                let moments =
                    moments(seed, planned.id, nodes.len(), spell(process::WITHIN)?, times);
                Ok(Processes::Restarts(Restarts::new(nodes, Course::Voters(moments))))
            }
            _ => Err(unknown()),
        }
    }

    /// Does what the fault does while it is in force, until this is dropped.
    pub(super) async fn act(&mut self) -> Infallible {
        match self {
            Processes::Paused(_) | Processes::Down(_) => pending().await,
            Processes::Stutter(stutters) => {
                all(stutters.iter_mut().map(Stutter::act).collect()).await;
                pending().await
            }
            Processes::Restarts(restarts) => {
                if let Err(error) = restarts.act().await {
                    restarts.errors.push(error);
                }
                pending().await
            }
        }
    }

    /// What it did up to now, as far as that can no longer change.
    pub(super) fn effects_so_far(&self) -> Vec<Effect> {
        match self {
            Processes::Down(down) => Down::effects(down),
            Processes::Paused(_) | Processes::Stutter(_) | Processes::Restarts(_) => Vec::new(),
        }
    }

    /// Undoes it. A node that is down stays so if everything is about to be shut down.
    pub(super) async fn heal(self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        let ((effects, error), ended_ns) = match self {
            Processes::Paused(paused) => (Paused::heal(paused), clock()),
            Processes::Stutter(stutters) => (Stutter::heal(stutters), clock()),
            Processes::Down(down) if shutting_down => ((Down::effects(&down), None), clock()),
            Processes::Down(down) => return Down::heal(down, clock).await,
            Processes::Restarts(restarts) => return restarts.heal(shutting_down, clock).await,
        };
        // Continued they are in any case; whoever ended meanwhile was ended by something else.
        Healed { ended_ns, effects, error, unhealed: false }
    }
}

/// When which node is restarted, from the beginning: each node `times` times, once within each
/// window of `within`.
fn moments(
    seed: u64,
    id: u32,
    nodes: usize,
    within: Duration,
    times: u32,
) -> Vec<(Duration, usize)> {
    let mut rng = stream(seed, &format!("moments of fault {id}"));
    let mut moments: Vec<(Duration, usize)> = (0..times)
        .flat_map(|window| (0..nodes).map(move |node| (window, node)))
        .map(|(window, node)| (within * window + rng.random_range(Duration::ZERO..=within), node))
        .collect();
    moments.sort_unstable();
    moments
}

/// Several errors as one, if there are any.
fn joined(errors: &[String]) -> Option<String> {
    (!errors.is_empty()).then(|| errors.join("; "))
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A node that is stopped until this is dropped.
pub(super) struct Paused<'a> {
    node: &'a NodeProcess,
    is_paused: bool,
}

impl<'a> Paused<'a> {
    async fn begin(node: &'a NodeProcess) -> Result<Paused<'a>, SignalError> {
        node.pause().await?;
        Ok(Paused { node, is_paused: true })
    }

    /// Continues it; how long it was stopped.
    fn end(mut self) -> Result<Duration, SignalError> {
        self.is_paused = false;
        self.node.resume()
    }

    /// Continues them; how long the one that was stopped least was stopped.
    fn heal(paused: Vec<Paused<'_>>) -> (Vec<Effect>, Option<String>) {
        let (mut least, mut errors) = (Duration::MAX, Vec::new());
        for paused in paused {
            match paused.end() {
                Ok(stopped) => least = least.min(stopped),
                Err(error) => errors.push(error.to_string()),
            }
        }
        let stopped = if errors.is_empty() { milliseconds(least) } else { 0.0 };
        (vec![Effect::new("time stopped", stopped, "ms")], joined(&errors))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if self.is_paused {
            // Fails only if the process has ended meanwhile.
            let _ = self.node.resume();
        }
    }
}

/// A node that stops and goes on again and again.
pub(super) struct Stutter<'a> {
    node: &'a NodeProcess,
    stop: Duration,
    go: Duration,
    now: Option<Paused<'a>>,
    stops: u64,
    stopped: Duration,
    error: Option<SignalError>,
}

impl<'a> Stutter<'a> {
    async fn begin(
        node: &'a NodeProcess,
        stop: Duration,
        go: Duration,
    ) -> Result<Stutter<'a>, SignalError> {
        let now = Some(Paused::begin(node).await?);
        Ok(Stutter { node, stop, go, now, stops: 1, stopped: Duration::ZERO, error: None })
    }

    async fn act(&mut self) {
        while self.error.is_none() {
            sleep(self.stop).await;
            self.go_on();
            sleep(self.go).await;
            match Paused::begin(self.node).await {
                Ok(paused) => {
                    self.now = Some(paused);
                    self.stops += 1;
                }
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn go_on(&mut self) {
        match self.now.take().map(Paused::end) {
            Some(Ok(stopped)) => self.stopped += stopped,
            Some(Err(error)) => self.error = Some(error),
            None => {}
        }
    }

    fn heal(stutters: Vec<Stutter<'_>>) -> (Vec<Effect>, Option<String>) {
        let (mut stops, mut least, mut errors) = (0, Duration::MAX, Vec::new());
        for mut stutter in stutters {
            stutter.go_on();
            stops += stutter.stops;
            least = least.min(stutter.stopped);
            errors.extend(stutter.error.map(|error| error.to_string()));
        }
        let effects = vec![
            Effect::new("time stopped", milliseconds(least), "ms"),
            Effect::new("stopped", stops as f64, "times"),
        ];
        (effects, joined(&errors))
    }
}

/// A node that was ended and is down until the heal.
pub(super) struct Down<'a> {
    node: &'a NodeProcess,
    status: ExitStatus,
    /// How long it took to end, if it was asked to.
    took: Option<Duration>,
    since: Instant,
}

impl<'a> Down<'a> {
    async fn kill(node: &'a NodeProcess) -> Result<Down<'a>, SignalError> {
        let status = node.kill().await?;
        Ok(Down { node, status, took: None, since: Instant::now() })
    }

    async fn terminate(node: &'a NodeProcess, limit: Duration) -> Result<Down<'a>, SignalError> {
        let asked = Instant::now();
        let status = node.stop(limit).await?;
        Ok(Down { node, status, took: Some(asked.elapsed()), since: Instant::now() })
    }

    fn effects(down: &[Down<'_>]) -> Vec<Effect> {
        let killed = down.iter().filter(|it| it.status.signal() == Some(libc::SIGKILL)).count();
        let by_signal = Effect::new("killed by signal 9", killed as f64, "processes");
        let Some(longest) = down.iter().filter_map(|it| it.took).max() else {
            return vec![by_signal];
        };
        let heeded = Effect::new("ended when asked", (down.len() - killed) as f64, "processes");
        let took = Effect::new("time to end", milliseconds(longest), "ms");
        if killed == 0 { vec![heeded, took] } else { vec![heeded, by_signal, took] }
    }

    /// Starts them again, and sees whether they stay up.
    async fn heal(down: Vec<Down<'_>>, clock: &impl Fn() -> u64) -> Healed {
        let mut effects = Down::effects(&down);
        let started: Vec<_> = down.iter().map(|down| down.node.start()).collect();
        // The fault is over now; that the nodes stay up is only checked.
        let ended_ns = clock();
        let least = down.iter().map(|down| down.since.elapsed()).min().unwrap_or_default();
        let lives = all(down.iter().map(|down| prove_life(down.node)).collect()).await;
        let mut errors = Vec::new();
        for ((down, started), lives) in down.iter().zip(started).zip(lives) {
            let outcome = started.map_err(RestartError::from).and(lives);
            errors.extend(outcome.err().map(|error| format!("{}: {error}", down.node.node())));
        }
        if errors.is_empty() {
            effects.push(Effect::new("time down", milliseconds(least), "ms"));
        }
        Healed { ended_ns, effects, error: joined(&errors), unhealed: !errors.is_empty() }
    }
}

/// Waits to see whether a node that was started again stays up.
pub(super) async fn prove_life(node: &NodeProcess) -> Result<(), RestartError> {
    match timeout(PROOF_OF_LIFE, node.ended()).await {
        Ok(Some(status)) => Err(RestartError::EndedAgain(status)),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// How nodes are restarted.
enum Course {
    /// All were killed at once, and are started at once after so long.
    AllAtOnce(Duration),
    /// Each when the one before is back; each is asked to end if there is a limit to wait for it.
    Rolling { between: Duration, limit: Option<Duration> },
    /// At moments of their own, from the beginning.
    Voters(Vec<(Duration, usize)>),
}

/// Nodes that are restarted.
pub(super) struct Restarts<'a> {
    nodes: Vec<&'a NodeProcess>,
    course: Course,
    /// Which are being ended, or are down.
    down: BTreeSet<usize>,
    killed: u64,
    heeded: u64,
    restarted: u64,
    errors: Vec<String>,
}

impl<'a> Restarts<'a> {
    fn new(nodes: Vec<&'a NodeProcess>, course: Course) -> Restarts<'a> {
        let (down, killed, heeded, restarted) = (BTreeSet::new(), 0, 0, 0);
        Restarts { nodes, course, down, killed, heeded, restarted, errors: Vec::new() }
    }

    async fn kill_all(&mut self) -> Result<(), SignalError> {
        self.down = (0..self.nodes.len()).collect();
        for outcome in all(self.nodes.iter().map(|node| node.kill()).collect()).await {
            self.count(outcome?);
        }
        Ok(())
    }

    fn count(&mut self, status: ExitStatus) {
        if status.signal() == Some(libc::SIGKILL) {
            self.killed += 1;
        } else {
            self.heeded += 1;
        }
    }

    async fn act(&mut self) -> Result<(), String> {
        match &self.course {
            Course::AllAtOnce(down) => {
                sleep(*down).await;
                self.start_all()
            }
            Course::Rolling { between, limit } => {
                let (between, limit) = (*between, *limit);
                for place in 0..self.nodes.len() {
                    self.restart(place, limit).await?;
                    let node = self.nodes[place];
                    prove_life(node).await.map_err(|error| format!("{}: {error}", node.node()))?;
                    sleep(between).await;
                }
                Ok(())
            }
            Course::Voters(moments) => {
                let begun = tokio::time::Instant::now();
                for (moment, place) in moments.clone() {
                    sleep_until(begun + moment).await;
                    self.restart(place, None).await?;
                }
                Ok(())
            }
        }
    }

    /// Ends a node, by SIGTERM if there is a limit to wait, and starts it again at once.
    async fn restart(&mut self, place: usize, limit: Option<Duration>) -> Result<(), String> {
        let node = self.nodes[place];
        self.down.insert(place);
        let ended = match limit {
            Some(limit) => node.stop(limit).await,
            None => node.kill().await,
        };
        self.count(ended.map_err(|error| error.to_string())?);
        self.start(place)
    }

    fn start(&mut self, place: usize) -> Result<(), String> {
        let node = self.nodes[place];
        node.start().map_err(|error| RestartError::from(error).to_string())?;
        self.down.remove(&place);
        self.restarted += 1;
        Ok(())
    }

    fn start_all(&mut self) -> Result<(), String> {
        let down: Vec<usize> = self.down.iter().copied().collect();
        let started: Vec<_> = down.into_iter().map(|place| self.start(place)).collect();
        let errors: Vec<String> = started.into_iter().filter_map(Result::err).collect();
        joined(&errors).map_or(Ok(()), Err)
    }

    async fn heal(mut self, shutting_down: bool, clock: &impl Fn() -> u64) -> Healed {
        if !shutting_down {
            // One may be in the middle of its end.
            for place in self.down.clone() {
                match self.nodes[place].kill().await {
                    Ok(status) => self.count(status),
                    // Nobody can signal it any more, but its end may not be known yet.
                    Err(SignalError::NotRunning { .. }) => {
                        self.nodes[place].ended().await;
                    }
                    Err(error) => self.errors.push(RestartError::from(error).to_string()),
                }
            }
            let started = self.start_all();
            self.errors.extend(started.err());
        }
        let ended_ns = clock();
        if !shutting_down {
            for (node, lives) in self
                .nodes
                .iter()
                .zip(all(self.nodes.iter().map(|it| prove_life(it)).collect()).await)
            {
                self.errors.extend(lives.err().map(|error| format!("{}: {error}", node.node())));
            }
        }
        let counted = [
            Effect::new("ended when asked", self.heeded as f64, "processes"),
            Effect::new("killed by signal 9", self.killed as f64, "processes"),
            Effect::new("started again", self.restarted as f64, "processes"),
        ];
        let effects = counted.into_iter().filter(|effect| effect.amount > 0.0).collect();
        let unhealed = !self.errors.is_empty();
        Healed { ended_ns, effects, error: joined(&self.errors), unhealed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voter_is_restarted_once_in_each_window() {
        let within = Duration::from_millis(400);
        let all = moments(7, 0, 3, within, 4);
        assert_eq!(all, moments(7, 0, 3, within, 4), "seeded");
        assert_ne!(all, moments(8, 0, 3, within, 4));
        assert_eq!(all.len(), 12);
        for node in 0..3 {
            let mut own = all.iter().filter(|(_, it)| *it == node).map(|(moment, _)| *moment);
            for window in 0..4 {
                let moment = own.next().expect("a moment");
                assert!((within * window..=within * (window + 1)).contains(&moment));
            }
        }
    }
}
