//! Nodes that a fault ends and starts again while it is in force.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::{RestartError, prove_life};
use crate::fault::site::{Active, Clock, Healed, Later, joined};
use crate::join_all::all;
use crate::lab::process::{NodeProcess, SignalError};
use crate::record::Effect;

/// In which order, and when, nodes are restarted.
pub(super) trait Course: Send + Sync {
    /// Restarts them, each as often as is due; why it could not, if it could not.
    fn run<'r, 'a: 'r>(&'r self, restarts: &'r mut Restarts<'a>) -> Later<'r, Result<(), String>>;
}

/// Nodes that are restarted.
pub(super) struct Restarts<'a> {
    nodes: Vec<&'a NodeProcess>,
    /// Which are being ended, or are down.
    down: BTreeSet<usize>,
    killed: u64,
    heeded: u64,
    restarted: u64,
    errors: Vec<String>,
}

impl<'a> Restarts<'a> {
    pub(super) fn new(nodes: Vec<&'a NodeProcess>) -> Restarts<'a> {
        let (down, killed, heeded, restarted) = (BTreeSet::new(), 0, 0, 0);
        Restarts { nodes, down, killed, heeded, restarted, errors: Vec::new() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// One of them.
    pub(super) fn node(&self, place: usize) -> &'a NodeProcess {
        self.nodes[place]
    }

    /// Kills all of them.
    pub(super) async fn kill_all(&mut self) -> Result<(), SignalError> {
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

    /// Ends a node, by SIGTERM if there is a limit to wait, and starts it again at once.
    pub(super) async fn restart(
        &mut self,
        place: usize,
        limit: Option<Duration>,
    ) -> Result<(), String> {
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

    /// Starts all that are down.
    pub(super) fn start_all(&mut self) -> Result<(), String> {
        let down: Vec<usize> = self.down.iter().copied().collect();
        let started: Vec<_> = down.into_iter().map(|place| self.start(place)).collect();
        let errors: Vec<String> = started.into_iter().filter_map(Result::err).collect();
        joined(&errors).map_or(Ok(()), Err)
    }

    /// Starts all that are down, and sees whether all stay up.
    async fn heal(mut self, shutting_down: bool, clock: Clock<'_>) -> Healed {
        if !shutting_down {
            self.end_ending().await;
            let started = self.start_all();
            self.errors.extend(started.err());
        }
        let ended_ns = clock();
        if !shutting_down {
            let lives = all(self.nodes.iter().map(|node| prove_life(node)).collect()).await;
            for (node, lives) in self.nodes.iter().zip(lives) {
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

    /// Ends those that are in the middle of their end.
    async fn end_ending(&mut self) {
        for place in self.down.clone() {
            match self.nodes[place].kill().await {
                Ok(status) => self.count(status),
                // It can no longer be signalled, but its end may not be known yet.
                Err(SignalError::NotRunning { .. }) => {
                    self.nodes[place].ended().await;
                }
                Err(error) => self.errors.push(RestartError::from(error).to_string()),
            }
        }
    }
}

/// Nodes that are being restarted in the order of a course.
pub(super) struct Restarting<'a, C> {
    pub(super) restarts: Restarts<'a>,
    pub(super) course: C,
}

impl<C: Course> Active for Restarting<'_, C> {
    fn act(&mut self) -> Later<'_, Infallible> {
        Box::pin(async {
            if let Err(error) = self.course.run(&mut self.restarts).await {
                self.restarts.errors.push(error);
            }
            pending().await
        })
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn heal<'s>(self: Box<Self>, shutting_down: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(self.restarts.heal(shutting_down, clock))
    }
}
