//! Nodes that are restarted one after the other.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::restarts::{Course, Restarting, Restarts};
use super::{ALL_OR_SOME, HOLDS, NEEDS, Spell, ended, prove_life};
use crate::fault::description::{Description, Drawn, ExcludedNodes, Parameter, ShownBy};
use crate::fault::site::{Active, Later};
use crate::fault::values::words;
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Restarts the victims, each when the one before is back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollingRestart {
    /// RestartMethod each is ended.
    pub how: RestartMethod,
    /// RestartMethod long the next is left alone once one is back.
    pub between: Spell,
}

impl Default for RollingRestart {
    fn default() -> RollingRestart {
        RollingRestart { how: RestartMethod::Terminate, between: Spell::millis(300) }
    }
}

impl FaultType for RollingRestart {
    const DESCRIPTION: Description = Description {
        name: "rolling-restart",
        family: Family::Process,
        summary: "restart one node after the other, each when the one before is back",
        was: "restarted one after the other",
        victims: ALL_OR_SOME,
        parameters: &[
            Parameter::of::<RestartMethod>(
                "how",
                "how each is ended: SIGTERM, after 2s SIGKILL, or SIGKILL at once",
            ),
            Parameter::of::<Spell>("between", "how long the next is left alone once one is back"),
        ],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: false,
        drawn: Drawn {
            // Three nodes take two seconds, and five take four.
            shortest_ms: 3_000,
            longest_ms: 5_000,
            keeps: ExcludedNodes::All,
        },
        evidence: ended(ShownBy::Across),
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> RollingRestart {
        let how = one_of(rng, &[RestartMethod::Terminate, RestartMethod::Kill]);
        RollingRestart { how, ..RollingRestart::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let restarts = Restarts::new(site.nodes);
        let limit = match self.how {
            RestartMethod::Terminate => Some(LIMIT),
            RestartMethod::Kill => None,
        };
        let course = OneByOne { between: self.between.get(), limit };
        let rolling = Restarting { restarts, course };
        Box::pin(async { Ok(Box::new(rolling) as Box<dyn Active + 'a>) })
    }
}

/// RestartMethod long a node may take to end when it is asked to.
const LIMIT: Duration = Duration::from_secs(2);

/// RestartMethod a node is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartMethod {
    /// By SIGTERM, after 2 s by SIGKILL.
    Terminate,
    /// By SIGKILL.
    Kill,
}

words!(RestartMethod, "terminate or kill", "terminate" => RestartMethod::Terminate, "kill" => RestartMethod::Kill);

/// Each node when the one before is back; each is asked to end if there is a limit to wait for it.
struct OneByOne {
    between: Duration,
    limit: Option<Duration>,
}

impl Course for OneByOne {
    fn run<'r, 'a: 'r>(&'r self, restarts: &'r mut Restarts<'a>) -> Later<'r, Result<(), String>> {
        Box::pin(async {
            for place in 0..restarts.len() {
                restarts.restart(place, self.limit).await?;
                let node = restarts.node(place);
                prove_life(node).await.map_err(|error| format!("{}: {error}", node.node()))?;
                sleep(self.between).await;
            }
            Ok(())
        })
    }
}
