//! A node that dies by SIGKILL and is started again.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::down::{Down, DownNode};
use super::{HOLDS, NEEDS, drawn, ended};
use crate::fault::description::{Description, ExcludedNodes, ShownBy, Victims};
use crate::fault::site::Active;
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::join_all::all;
use crate::record::Family;

/// Kills the victims' processes, and starts them again at the heal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {}

impl FaultType for Kill {
    const DESCRIPTION: Description = Description {
        name: "kill",
        family: Family::Process,
        summary: "kill one node's processes with SIGKILL, later start it again",
        was: "killed",
        victims: Victims::ANY,
        parameters: &[],
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

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> Kill {
        Kill {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Box::pin(async move {
            let kills = all(site.nodes.into_iter().map(DownNode::kill).collect()).await;
            let down = Down(kills.into_iter().collect::<Result<_, _>>()?);
            Ok(Box::new(down) as Box<dyn Active + 'a>)
        })
    }
}
