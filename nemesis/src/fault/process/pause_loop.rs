//! A node that stops and goes on again and again: slow, but never down.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::paused::PausedNode;
use super::{HOLDS, NEEDS, STOPPED, drawn, milliseconds};
use crate::fault::description::{Description, ExcludedNodes, Parameter, Victims};
use crate::fault::site::{Active, Clock, Healed, Later, joined};
use crate::fault::values::{Percent, Time};
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::join_all::all;
use crate::lab::process::{NodeProcess, SignalError};
use crate::record::{Effect, Family};

/// Stops and continues the victims' processes in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseLoop {
    /// How long a stop and a go take together.
    pub period: Time<10, 10_000>,
    /// How much of it they are stopped.
    pub share: Percent<1, 99>,
}

impl Default for PauseLoop {
    fn default() -> PauseLoop {
        PauseLoop { period: Time::millis(100), share: Percent::new(50) }
    }
}

impl FaultType for PauseLoop {
    const DESCRIPTION: Description = Description {
        name: "pause-loop",
        family: Family::Process,
        summary: "stop and continue one node's processes again and again",
        was: "stopped again and again",
        victims: Victims::ANY,
        parameters: &[
            Parameter::of::<Time<10, 10_000>>("period", "how long a stop and a go take together"),
            Parameter::of::<Percent<1, 99>>("share", "how much of it they are stopped"),
        ],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: STOPPED,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> PauseLoop {
        PauseLoop {
            period: one_of(rng, &[50, 200, 1_000].map(Time::millis)),
            share: one_of(rng, &[20, 50, 90].map(Percent::new)),
        }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let period = self.period.get();
        let stop = period * u32::from(self.share.get()) / 100;
        let go = period.saturating_sub(stop);
        Box::pin(async move {
            let begin = |node| PausingNode::begin(node, stop, go);
            let nodes = all(site.nodes.into_iter().map(begin).collect()).await;
            let pausing = Pausing(nodes.into_iter().collect::<Result<_, _>>()?);
            Ok(Box::new(pausing) as Box<dyn Active + 'a>)
        })
    }
}

/// A node that is stopped and continued.
struct PausingNode<'a> {
    node: &'a NodeProcess,
    stop: Duration,
    go: Duration,
    now: Option<PausedNode<'a>>,
    stops: u64,
    stopped: Duration,
    error: Option<SignalError>,
}

impl<'a> PausingNode<'a> {
    async fn begin(
        node: &'a NodeProcess,
        stop: Duration,
        go: Duration,
    ) -> Result<PausingNode<'a>, SignalError> {
        let now = Some(PausedNode::begin(node).await?);
        Ok(PausingNode { node, stop, go, now, stops: 1, stopped: Duration::ZERO, error: None })
    }

    async fn act(&mut self) {
        while self.error.is_none() {
            sleep(self.stop).await;
            self.resume();
            sleep(self.go).await;
            match PausedNode::begin(self.node).await {
                Ok(paused) => {
                    self.now = Some(paused);
                    self.stops += 1;
                }
                Err(error) => self.error = Some(error),
            }
        }
    }

    fn resume(&mut self) {
        match self.now.take().map(PausedNode::end) {
            Some(Ok(stopped)) => self.stopped += stopped,
            Some(Err(error)) => self.error = Some(error),
            None => {}
        }
    }
}

/// Nodes that are stopped and continued.
struct Pausing<'a>(Vec<PausingNode<'a>>);

impl Active for Pausing<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        Box::pin(async {
            all(self.0.iter_mut().map(PausingNode::act).collect()).await;
            pending().await
        })
    }

    fn effects_so_far(&self) -> Vec<Effect> {
        Vec::new()
    }

    /// Measures how long the one that was stopped least was stopped.
    fn heal<'s>(self: Box<Self>, _: bool, clock: Clock<'s>) -> Later<'s, Healed>
    where
        Self: 's,
    {
        Box::pin(async move {
            let (mut stops, mut least, mut errors) = (0, Duration::MAX, Vec::new());
            for mut node in self.0 {
                node.resume();
                stops += node.stops;
                least = least.min(node.stopped);
                errors.extend(node.error.map(|error| error.to_string()));
            }
            let effects = vec![
                Effect::new("time stopped", milliseconds(least), "ms"),
                Effect::new("stopped", stops as f64, "times"),
            ];
            // All are continued in any case; what ended meanwhile was ended by something else.
            Healed { ended_ns: clock(), effects, error: joined(&errors), unhealed: false }
        })
    }
}
