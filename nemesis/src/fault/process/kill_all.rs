//! All nodes die at once and are started again.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::restarts::{Course, Restarting, Restarts};
use super::{HOLDS, NEEDS, Spell, drawn, ended};
use crate::fault::description::{Description, ExcludedNodes, Parameter, ShownBy, Victims};
use crate::fault::site::{Active, Later};
use crate::fault::{Aim, FaultType, Injecting, Site, Target, one_of};
use crate::record::Family;

/// Kills all nodes at once, and starts them again while the fault is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KillAll {
    /// How long they stay down.
    pub down: Spell,
}

impl Default for KillAll {
    fn default() -> KillAll {
        KillAll { down: Spell::millis(0) }
    }
}

impl FaultType for KillAll {
    const DESCRIPTION: Description = Description {
        name: "kill-all",
        family: Family::Process,
        summary: "kill all nodes at once with SIGKILL and start them again; watch them recover",
        was: "killed at once",
        victims: Victims::Fixed(Target::All),
        parameters: &[Parameter::of::<Spell>("down", "how long they stay down")],
        needs: NEEDS,
        holds: HOLDS,
        explains_exit: true,
        destroys_synced_data: false,
        changes_members: false,
        drawn: drawn(ExcludedNodes::All),
        evidence: ended(ShownBy::Across),
    };

    fn aim(&self) -> Aim {
        Aim::Nodes
    }

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> KillAll {
        KillAll { down: one_of(rng, &[0, 500].map(Spell::millis)) }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let mut restarts = Restarts::new(site.nodes);
        let course = AllAtOnce { down: self.down.get() };
        Box::pin(async move {
            restarts.kill_all().await?;
            Ok(Box::new(Restarting { restarts, course }) as Box<dyn Active + 'a>)
        })
    }
}

/// Nodes that were all killed, and are all started after so long.
struct AllAtOnce {
    down: Duration,
}

impl Course for AllAtOnce {
    fn run<'r, 'a: 'r>(&'r self, restarts: &'r mut Restarts<'a>) -> Later<'r, Result<(), String>> {
        Box::pin(async {
            sleep(self.down).await;
            restarts.start_all()
        })
    }
}
