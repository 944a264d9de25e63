//! A node that leaves the members and comes back.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeKind};
use super::{CHANGED, DRAWN, needs};
use crate::fault::description::{Description, Resource, Victims};
use crate::fault::{Aim, FaultType, Injecting, Site};
use crate::record::Family;

/// Removes the victim from the members, and adds it again at the heal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveNode {}

impl FaultType for RemoveNode {
    const DESCRIPTION: Description = Description {
        name: "remove-node",
        family: Family::Membership,
        summary: "remove one node from the members, later add it again; its process runs all the time",
        was: "no member",
        victims: Victims::ONE,
        parameters: &[],
        needs: needs(4, false),
        holds: &[Resource::Membership],
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: true,
        drawn: DRAWN,
        evidence: CHANGED,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(_: &mut ChaCha8Rng, _: &[String]) -> RemoveNode {
        RemoveNode {}
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Change::inject(site, ChangeKind::Remove)
    }
}
