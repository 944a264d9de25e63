//! A node that stops in its tracks and later goes on.

use std::convert::Infallible;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::paused::PausedNode;
use super::{HOLDS, NEEDS, STOPPED, drawn, milliseconds};
use crate::fault::description::{Description, ExcludedNodes, Victims};
use crate::fault::site::{Active, Clock, Healed, Later, idle, joined};
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::join_all::all;
use crate::record::{Effect, Family};

/// Stops the victims' processes, and continues them at the heal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {}

impl FaultType for Pause {
    const DESCRIPTION: Description = Description {
        name: "pause",
        family: Family::Process,
        summary: "stop one node's processes with SIGSTOP, later continue them",
        was: "paused",
        victims: Victims::ANY,
        parameters: &[],
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

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Pause {
        Pause {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Box::pin(async move {
            let pauses = all(site.nodes.into_iter().map(PausedNode::begin).collect()).await;
            let paused = Pauses(pauses.into_iter().collect::<Result<_, _>>()?);
            Ok(Box::new(paused) as Box<dyn Active + 'a>)
        })
    }
}

/// Nodes that are stopped.
struct Pauses<'a>(Vec<PausedNode<'a>>);

impl Active for Pauses<'_> {
    fn act(&mut self) -> Later<'_, Infallible> {
        idle()
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
            let (mut least, mut errors) = (Duration::MAX, Vec::new());
            for paused in self.0 {
                match paused.end() {
                    Ok(stopped) => least = least.min(stopped),
                    Err(error) => errors.push(error.to_string()),
                }
            }
            let stopped = if errors.is_empty() { milliseconds(least) } else { 0.0 };
            let effects = vec![Effect::new("time stopped", stopped, "ms")];
            // All are continued in any case; what ended meanwhile was ended by something else.
            Healed { ended_ns: clock(), effects, error: joined(&errors), unhealed: false }
        })
    }
}
