//! A node that is asked to end and is started again.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::down::{Down, DownNode};
use super::{HOLDS, NEEDS, Spell, drawn, ended};
use crate::fault::description::{Description, ExcludedNodes, Parameter, ShownBy, Victims};
use crate::fault::site::Active;
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::join_all::all;
use crate::record::Family;

/// Asks the victims to end by SIGTERM, and starts them again at the heal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terminate {
    /// How long each may take before it is killed.
    pub limit: Spell,
}

impl Default for Terminate {
    fn default() -> Terminate {
        Terminate { limit: Spell::millis(2_000) }
    }
}

impl FaultType for Terminate {
    const DESCRIPTION: Description = Description {
        name: "terminate",
        family: Family::Process,
        summary: "ask one node to end with SIGTERM, later start it again",
        was: "asked to end",
        victims: Victims::ANY,
        parameters: &[Parameter::of::<Spell>(
            "limit",
            "how long it may take before it is killed with SIGKILL",
        )],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::Victims),
        evidence: ended(ShownBy::Majority),
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Terminate {
        Terminate::default()
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let limit = self.limit.get();
        Box::pin(async move {
            let ends = site.nodes.into_iter().map(|node| DownNode::terminate(node, limit));
            let ends = all(ends.collect()).await;
            let down = Down(ends.into_iter().collect::<Result<_, _>>()?);
            Ok(Box::new(down) as Box<dyn Active + 'a>)
        })
    }
}
