//! Chooses the nodes that a fault befalls, when it begins.
//!
//! Roles are asked for; everything else comes from a random stream named after the fault, so that
//! one fault's choice does not depend on which others were played before.

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::time::{sleep, timeout};

use super::Roles;
use crate::disk::parameters::{destroys, destructible};
use crate::fault::{Fault, Target};
use crate::random::stream;
use crate::schedule::{PlannedFault, minority};

/// How long it may take to learn who leads. A fault is healed on time however late it began.
const LOOK_UP_LIMIT: Duration = Duration::from_millis(500);
/// How long to wait before asking again.
const LOOK_UP_STEP: Duration = Duration::from_millis(25);

/// Who was chosen, and how, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Victims {
    pub(super) how: String,
    pub(super) nodes: Vec<String>,
}

/// Chooses the victims of `planned` among `names`.
pub(super) async fn choose(
    planned: &PlannedFault,
    seed: u64,
    names: &[String],
    roles: &impl Roles,
) -> Victims {
    let mut rng = stream(seed, &format!("victims of fault {}", planned.id));
    if planned.fault == Fault::PowerLossAll {
        return Victims { how: "all nodes".to_owned(), nodes: names.to_vec() };
    }
    if destroys(planned.fault) && !matches!(planned.target, Target::Nodes(_)) {
        let spared = "a node of the minority whose disks may be destroyed";
        return random(&destructible(seed, names), spared, &mut rng);
    }
    let mut victims = match &planned.target {
        Target::Nodes(nodes) => Victims { how: nodes.join(", "), nodes: nodes.clone() },
        Target::Random => random(names, "a random node", &mut rng),
        Target::Leader => match leader(names, roles).await {
            Some(leader) => Victims { how: "leader".to_owned(), nodes: vec![leader] },
            None => random(names, "a random node, no leader being known", &mut rng),
        },
        Target::Follower => match leader(names, roles).await {
            Some(leader) => {
                let others: Vec<String> =
                    names.iter().filter(|name| **name != leader).cloned().collect();
                random(&others, "a follower", &mut rng)
            }
            None => random(names, "a random node, no leader being known", &mut rng),
        },
    };
    if planned.fault == Fault::Halves {
        fill_up(&mut victims, names, &mut rng);
    }
    victims
}

/// Adds random nodes until the victims are as many as can be cut off from a majority.
fn fill_up(victims: &mut Victims, names: &[String], rng: &mut ChaCha8Rng) {
    let mut others: Vec<String> =
        names.iter().filter(|name| !victims.nodes.contains(name)).cloned().collect();
    others.shuffle(rng);
    let missing = minority(names.len()).saturating_sub(victims.nodes.len());
    if missing > 0 && !others.is_empty() {
        victims.how.push_str(" and random others");
    }
    victims.nodes.extend(others.into_iter().take(missing));
    victims.nodes.sort();
}

fn random(names: &[String], how: &str, rng: &mut ChaCha8Rng) -> Victims {
    Victims { how: how.to_owned(), nodes: names.choose(rng).cloned().into_iter().collect() }
}

/// The leader, if one of `names` is known to lead within the limit.
async fn leader(names: &[String], roles: &impl Roles) -> Option<String> {
    let known = async {
        loop {
            if let Some(leader) = roles.leader().await.filter(|leader| names.contains(leader)) {
                return leader;
            }
            sleep(LOOK_UP_STEP).await;
        }
    };
    timeout(LOOK_UP_LIMIT, known).await.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    struct Led(Option<&'static str>);

    impl Roles for Led {
        async fn leader(&self) -> Option<String> {
            self.0.map(str::to_owned)
        }
    }

    /// A cluster that never says who leads.
    struct Mute;

    impl Roles for Mute {
        async fn leader(&self) -> Option<String> {
            std::future::pending().await
        }
    }

    fn names(number: usize) -> Vec<String> {
        (1..=number).map(|i| format!("n{i}")).collect()
    }

    fn chosen(fault: Fault, target: &str, seed: u64, nodes: usize, roles: &impl Roles) -> Victims {
        let target = target.parse().expect("a target");
        let parameters = BTreeMap::new();
        let planned = PlannedFault { id: 3, at_ms: 0, duration_ms: 1, fault, target, parameters };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(choose(&planned, seed, &names(nodes), roles))
    }

    #[test]
    fn the_leader_is_whoever_leads_when_the_fault_begins() {
        let victims = chosen(Fault::Isolate, "leader", 1, 3, &Led(Some("n2")));
        assert_eq!(victims, Victims { how: "leader".into(), nodes: vec!["n2".into()] });
    }

    #[test]
    fn a_follower_is_anyone_but_the_leader() {
        let followers: BTreeSet<String> = (0..32)
            .flat_map(|seed| chosen(Fault::Kill, "follower", seed, 3, &Led(Some("n2"))).nodes)
            .collect();
        assert_eq!(followers, BTreeSet::from(["n1".to_owned(), "n3".to_owned()]));
    }

    #[test]
    fn an_unknown_leader_is_replaced_by_a_random_node_and_the_record_says_so() {
        for unknown in [Led(None), Led(Some("n9"))] {
            let victims = chosen(Fault::Pause, "leader", 1, 3, &unknown);
            assert!(victims.how.contains("no leader"), "{victims:?}");
            assert_eq!(victims, chosen(Fault::Pause, "leader", 1, 3, &Mute), "seeded");
            assert_eq!(victims.nodes.len(), 1);
        }
    }

    #[test]
    fn halves_leave_a_majority_and_contain_their_target() {
        for nodes in 2..8 {
            let victims = chosen(Fault::Halves, "leader", 1, nodes, &Led(Some("n2")));
            assert_eq!(victims.nodes.len(), minority(nodes));
            assert!(victims.nodes.contains(&"n2".to_owned()), "{victims:?}");
            let distinct: BTreeSet<&String> = victims.nodes.iter().collect();
            assert_eq!(distinct.len(), victims.nodes.len());
        }
    }
}
