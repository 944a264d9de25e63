//! Nodes that a fault ends, and that are down until it is healed.

use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{RestartError, milliseconds, prove_life};
use crate::fault::site::{Active, Clock, Healed, Later, idle, joined};
use crate::join_all::all;
use crate::lab::process::{NodeProcess, SignalError};
use crate::record::Effect;

/// A node that was ended and is down until the heal.
pub(super) struct DownNode<'a> {
    node: &'a NodeProcess,
    status: ExitStatus,
    /// How long it took to end, if it was asked to.
    took: Option<Duration>,
    since: Instant,
}

impl<'a> DownNode<'a> {
    pub(super) async fn kill(node: &'a NodeProcess) -> Result<DownNode<'a>, SignalError> {
        let status = node.kill().await?;
        Ok(DownNode { node, status, took: None, since: Instant::now() })
    }

    pub(super) async fn terminate(
        node: &'a NodeProcess,
        limit: Duration,
    ) -> Result<DownNode<'a>, SignalError> {
        let asked = Instant::now();
        let status = node.stop(limit).await?;
        Ok(DownNode { node, status, took: Some(asked.elapsed()), since: Instant::now() })
    }
}

/// Nodes that were ended and are down until the heal.
pub(super) struct Down<'a>(pub(super) Vec<DownNode<'a>>);

impl Active for Down<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        let down = &self.0;
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
    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let mut effects = self.effects_so_far();
            if shutting_down {
                return Healed::now(effects, None, clock);
            }
            let started: Vec<_> = self.0.iter().map(|down| down.node.start()).collect();
            // The fault is over now; that the nodes stay up is only checked.
            let ended_ns = clock();
            let least = self.0.iter().map(|down| down.since.elapsed()).min().unwrap_or_default();
            let lives = all(self.0.iter().map(|down| prove_life(down.node)).collect()).await;
            let mut errors = Vec::new();
            for ((down, started), lives) in self.0.iter().zip(started).zip(lives) {
                let outcome = started.map_err(RestartError::from).and(lives);
                errors.extend(outcome.err().map(|error| format!("{}: {error}", down.node.node())));
            }
            if errors.is_empty() {
                effects.push(Effect::new("time down", milliseconds(least), "ms"));
            }
            let unhealed = !errors.is_empty();
            Healed { ended_ns, effects, error: joined(&errors), unhealed }
        })
    }
}
