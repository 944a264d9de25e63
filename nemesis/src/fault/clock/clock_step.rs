//! A clock that is set wrong.

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::moved::{Kinds, move_clocks};
use super::{HOLDS, Jump, NEEDS, READ};
use crate::fault::description::{Description, Drawn, ExcludedNodes, Parameter, Victims};
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::record::Family;

/// Sets the victim's realtime clock ahead or back, at the heal right again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockStep {
    /// How far realtime jumps.
    pub by: Jump,
}

impl Default for ClockStep {
    fn default() -> ClockStep {
        ClockStep { by: Jump::millis(3_600_000) }
    }
}

impl FaultType for ClockStep {
    const DESCRIPTION: Description = Description {
        name: "clock-step",
        family: Family::Clock,
        summary: "set one node's clock ahead or back, later right again",
        was: "on a clock that was set wrong",
        victims: Victims::ONE,
        parameters: &[Parameter::of::<Jump>("by", "how far realtime jumps")],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: false,
        destroys_synced_data: false,
        changes_members: false,
        drawn: Drawn { shortest_ms: 1_500, longest_ms: 3_500, keeps: ExcludedNodes::Nobody },
        evidence: READ,
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> ClockStep {
        // Past every timeout, and past no more than a few of them.
        let by = [-3_600_000, -10_000, -500, 500, 10_000, 3_600_000].map(Jump::millis);
        ClockStep { by: one_of(rng, &by) }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let by_ns = self.by.ns();
        move_clocks(site, Kinds::REALTIME, move |clock| {
            clock.set_realtime(by_ns);
            Ok(None)
        })
    }
}
