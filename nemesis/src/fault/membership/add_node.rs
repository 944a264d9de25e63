//! A node that joins the members.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeKind};
use super::{CHANGED, DRAWN, needs};
use crate::fault::description::{Description, Parameter, Resource, Victims};
use crate::fault::values::Time;
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Adds the victim to the members; one that is a member is removed before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddNode {
    /// How long it is out before it is added, if it had to be removed for that.
    pub out: Time<0, 60_000>,
}

impl Default for AddNode {
    fn default() -> AddNode {
        AddNode { out: Time::millis(500) }
    }
}

impl FaultType for AddNode {
    const DESCRIPTION: Description = Description {
        name: "add-node",
        family: Family::Membership,
        summary: "add one node to the members while clients write; one that is a member is removed before",
        was: "added to the members",
        victims: Victims::ONE,
        parameters: &[Parameter::of::<Time<0, 60_000>>(
            "out",
            "how long it is out before it is added, if it had to be removed for that",
        )],
        needs: needs(4, true),
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> AddNode {
        AddNode { out: one_of(rng, &[0, 300, 1_000].map(Time::millis)) }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        Change::inject(site, ChangeKind::Add { out_for: self.out.get() })
    }
}
