//! Nodes that are restarted at moments within an election.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::restarts::{Course, Restarting, Restarts};
use super::{ALL_OR_SOME, HOLDS, NEEDS, Spell, drawn, ended};
use crate::fault::description::{Description, ExcludedNodes, Parameter, ShownBy};
use crate::fault::site::{Active, Later};
use crate::fault::values::Count;
use crate::fault::{Aim, FaultType, Injecting, Site, one_of};
use crate::random::stream;
use crate::record::Family;

/// Kills the victims and starts them again at once, at random moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartVoters {
    /// Each time, a node is restarted once within so long.
    pub within: Spell,
    /// How often each node is restarted.
    pub times: Count<1, 1_000>,
}

impl Default for RestartVoters {
    fn default() -> RestartVoters {
        RestartVoters { within: Spell::millis(400), times: Count::new(3) }
    }
}

impl FaultType for RestartVoters {
    const DESCRIPTION: Description = Description {
        name: "restart-voters",
        family: Family::Process,
        summary: "kill nodes and start them again at once, at moments within an election",
        was: "restarted again and again",
        victims: ALL_OR_SOME,
        parameters: &[
            Parameter::of::<Spell>("within", "each time, a node is restarted once within so long"),
            Parameter::of::<Count<1, 1_000>>("times", "how often each node is restarted"),
        ],
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

    fn draw(rng: &mut ChaCha8Rng, _: &[String]) -> RestartVoters {
        let within = one_of(rng, &[200, 400].map(Spell::millis));
        RestartVoters { within, ..RestartVoters::default() }
    }

    fn inject<'a>(&'a self, site: Site<'a>) -> Injecting<'a> {
        let restarts = Restarts::new(site.nodes);
        let rng = stream(site.ground.seed, &format!("moments of fault {}", site.id));
        let moments = moments(rng, restarts.len(), self.within.get(), self.times.get());
        let voters = Restarting { restarts, course: AtMoments(moments) };
        Box::pin(async { Ok(Box::new(voters) as Box<dyn Active + 'a>) })
    }
}

/// At moments of their own, from the beginning.
struct AtMoments(Vec<(Duration, usize)>);

impl Course for AtMoments {
    fn run<'r, 'a: 'r>(&'r self, restarts: &'r mut Restarts<'a>) -> Later<'r, Result<(), String>> {
        Box::pin(async {
            let begun = Instant::now();
            for (moment, place) in &self.0 {
                sleep_until(begun + *moment).await;
                restarts.restart(*place, None).await?;
            }
            Ok(())
        })
    }
}

/// When which node is restarted, from the beginning: each node `times` times, once within each
/// window of `within`.
fn moments(
    mut rng: ChaCha8Rng,
    nodes: usize,
    within: Duration,
    times: u32,
) -> Vec<(Duration, usize)> {
    let mut moments: Vec<(Duration, usize)> = (0..times)
        .flat_map(|window| (0..nodes).map(move |node| (window, node)))
        .map(|(window, node)| (within * window + rng.random_range(Duration::ZERO..=within), node))
        .collect();
    moments.sort_unstable();
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voter_is_restarted_once_in_each_window() {
        let within = Duration::from_millis(400);
        let of_seed = |seed| moments(stream(seed, "moments of fault 0"), 3, within, 4);
        let all = of_seed(7);
        assert_eq!(all, of_seed(7), "seeded");
        assert_ne!(all, of_seed(8));
        assert_eq!(all.len(), 12);
        for node in 0..3 {
            let mut own = all.iter().filter(|(_, it)| *it == node).map(|(moment, _)| *moment);
            for window in 0..4 {
                let moment = own.next().expect("a moment");
                assert!((within * window..=within * (window + 1)).contains(&moment));
            }
        }
    }
}
