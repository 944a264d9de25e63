//! A node that leaves the members and is taken down, and comes back.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeKind};
use super::{CHANGED, DRAWN, needs};
use crate::fault::description::{Description, Resource, Victims};
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::record::Family;

/// Removes the victim from the members and kills it; at the heal, starts and adds it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceNode {}

impl FaultType for ReplaceNode {
    const DESCRIPTION: Description = Description {
        name: "replace-node",
        family: Family::Membership,
        summary: "remove one node from the members and kill it; later start it and add it again",
        was: "replaced",
        victims: Victims::ONE,
        parameters: &[],
        needs: needs(4, false),
        holds: &[Resource::Membership, Resource::Process, Resource::Power],
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: true,
        drawn: DRAWN,
        evidence: CHANGED,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> ReplaceNode {
        ReplaceNode {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Change::inject(site, ChangeKind::Replace)
    }
}
