//! Chooses the nodes that a fault hits, when it begins.
//!
//! Roles are asked for; everything else comes from a random stream named after the fault, so that
//! one fault's choice does not depend on which others were played before.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::time::{sleep, timeout};

use super::Roles;
use super::links::sides;
use crate::fault::disk::destructible;
use crate::fault::target::minority;
use crate::fault::{Aim, LinkChoice, SplitSize, Target, Victims as Choice};
use crate::lab::Link;
use crate::random::stream;
use crate::schedule::PlannedFault;

/// How long it may take to learn who leads. A fault is healed on time however late it began.
const LOOK_UP_LIMIT: Duration = Duration::from_millis(500);
/// How long, where a node must lead for anything to be done.
const LONG_LOOK_UP_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait before asking again.
const LOOK_UP_STEP: Duration = Duration::from_millis(25);

/// Who was chosen, and how, in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Victims {
    pub(super) how: String,
    pub(super) nodes: Vec<String>,
}

/// Chooses the victims of `planned` among `names`, where they are not named themselves only such as
/// `is_free` allows.
pub(super) async fn choose(
    planned: &PlannedFault,
    seed: u64,
    names: &[String],
    roles: &impl Roles,
    is_free: impl Fn(&str) -> bool,
) -> Victims {
    let (aim, description) = (planned.fault.aim(), planned.fault.kind().description());
    if let Aim::Links(LinkChoice { named: Some(named), .. }) = &aim {
        return ends(named.links(), &named.to_string(), names);
    }
    let mut rng = stream(seed, &format!("victims of fault {}", planned.id));
    let target = match &description.victims {
        Choice::Fixed(target) => target,
        Choice::Chosen { .. } => &planned.target,
    };
    let free: Vec<String> = names.iter().filter(|name| is_free(name)).cloned().collect();
    let victims = match target {
        Target::All if aim == Aim::Ring => {
            let mut ring = names.to_vec();
            ring.shuffle(&mut rng);
            Victims { how: "all nodes, in the order of the ring".to_owned(), nodes: ring }
        }
        Target::All if description.victims.all_are_free() && free.len() < names.len() => {
            Victims { how: "all nodes that are not hit already".to_owned(), nodes: free }
        }
        Target::All => Victims { how: "all nodes".to_owned(), nodes: names.to_vec() },
        Target::Nodes(nodes) => Victims { how: nodes.join(", "), nodes: nodes.clone() },
        _ if description.destroys_synced_data => {
            let spared = "a node of the minority whose disks may be destroyed";
            let mut candidates = destructible(seed, names);
            candidates.retain(|name| free.contains(name));
            random(&candidates, spared, &mut rng)
        }
        role => {
            let asks = matches!(role, Target::Leader | Target::Follower | Target::Followers);
            // Nothing can be asked of a store that is not led.
            let needs_leader = planned.fault.kind().moves_leadership();
            let limit = if needs_leader { LONG_LOOK_UP_LIMIT } else { LOOK_UP_LIMIT };
            let leader = if asks { leader(names, roles, limit).await } else { None };
            by_role(role, leader, names, &free, &mut rng)
        }
    };
    completed(victims, &aim, planned.id, seed, names, &mut rng)
}

/// The nodes that have one of these links.
fn ends(links: &[Link], how: &str, names: &[String]) -> Victims {
    let is_end = |name: &&String| links.iter().any(|it| it.from == **name || it.to == **name);
    Victims { how: how.to_owned(), nodes: names.iter().filter(is_end).cloned().collect() }
}

fn by_role(
    role: &Target,
    leader: Option<String>,
    names: &[String],
    free: &[String],
    rng: &mut ChaCha8Rng,
) -> Victims {
    match (role, leader) {
        (Target::Minority, _) => sample(free, minority(names.len()), "a minority", rng),
        (Target::Majority, _) => sample(free, names.len() / 2 + 1, "a majority", rng),
        (Target::Leader, Some(leader)) if free.contains(&leader) => {
            Victims { how: "leader".to_owned(), nodes: vec![leader] }
        }
        (Target::Follower, Some(leader)) => {
            let others: Vec<String> =
                free.iter().filter(|name| **name != leader).cloned().collect();
            random(&others, "a follower", rng)
        }
        (Target::Followers, Some(leader)) => {
            let nodes = free.iter().filter(|name| **name != leader).cloned().collect();
            Victims { how: "all followers".to_owned(), nodes }
        }
        (Target::Followers, None) => {
            let how = "all nodes but one, no leader being known";
            sample(free, names.len() - 1, how, rng)
        }
        (Target::Leader, Some(_)) => {
            random(free, "a random node, the leader being hit already", rng)
        }
        (Target::Leader | Target::Follower, None) => {
            random(free, "a random node, no leader being known", rng)
        }
        _ => random(free, "a random node", rng),
    }
}

/// Adds what the fault needs beside its target: the rest of a half, the sides of a bridge.
fn completed(
    mut victims: Victims,
    aim: &Aim,
    id: u32,
    seed: u64,
    names: &[String],
    rng: &mut ChaCha8Rng,
) -> Victims {
    match aim {
        Aim::Split(size) => {
            let most = minority(names.len());
            let size = match *size {
                SplitSize::Half => (names.len() / 2).max(1),
                SplitSize::LargestMinority => most,
                SplitSize::AnyMinority => rng.random_range(1..=most),
                SplitSize::Exactly(size) => size,
            };
            fill_up(&mut victims, size, names, rng);
        }
        Aim::Bridge => {
            let [one, other] = sides(seed, id, names, &victims.nodes);
            let joins = format!(", joining {} and {}", one.join(" "), other.join(" "));
            victims.how.push_str(&joins);
        }
        Aim::Nodes | Aim::Links(_) | Aim::Ring => {}
    }
    victims
}

/// So many of `names`, or all if they are fewer.
fn sample(names: &[String], count: usize, how: &str, rng: &mut ChaCha8Rng) -> Victims {
    let mut nodes: Vec<String> = names.sample(rng, count).cloned().collect();
    nodes.sort();
    Victims { how: how.to_owned(), nodes }
}

/// Adds random nodes until the victims are so many.
fn fill_up(victims: &mut Victims, size: usize, names: &[String], rng: &mut ChaCha8Rng) {
    let mut others: Vec<String> =
        names.iter().filter(|name| !victims.nodes.contains(name)).cloned().collect();
    others.shuffle(rng);
    let missing = size.saturating_sub(victims.nodes.len());
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
async fn leader(names: &[String], roles: &impl Roles, limit: Duration) -> Option<String> {
    let known = async {
        loop {
            if let Some(leader) = roles.leader().await.filter(|leader| names.contains(leader)) {
                return leader;
            }
            sleep(LOOK_UP_STEP).await;
        }
    };
    timeout(limit, known).await.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fault::partition::{Halves, Isolate, MajorityMinority};
    use crate::fault::process::{Kill, Pause};
    use crate::fault::{FAULTS, FaultKind};
    use crate::nemesis::links::hit;
    use crate::random::fnv1a;

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

    fn chosen(
        kind: FaultKind,
        target: &str,
        seed: u64,
        nodes: usize,
        roles: &impl Roles,
    ) -> Victims {
        let target = target.parse().expect("a target");
        let fault = kind.with_defaults();
        let planned =
            PlannedFault { id: 3, at_ms: 0, trigger: None, duration_ms: 1, fault, target };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(choose(&planned, seed, &names(nodes), roles, |_| true))
    }

    #[test]
    fn the_leader_is_the_one_that_leads_when_the_fault_begins() {
        let victims = chosen(Isolate::KIND, "leader", 1, 3, &Led(Some("n2")));
        assert_eq!(victims, Victims { how: "leader".into(), nodes: vec!["n2".into()] });
    }

    #[test]
    fn a_follower_is_anyone_but_the_leader() {
        let followers: BTreeSet<String> = (0..32)
            .flat_map(|seed| chosen(Kill::KIND, "follower", seed, 3, &Led(Some("n2"))).nodes)
            .collect();
        assert_eq!(followers, BTreeSet::from(["n1".to_owned(), "n3".to_owned()]));
    }

    #[test]
    fn an_unknown_leader_is_replaced_by_a_random_node_and_the_record_says_so() {
        for unknown in [Led(None), Led(Some("n9"))] {
            let victims = chosen(Pause::KIND, "leader", 1, 3, &unknown);
            assert!(victims.how.contains("no leader"), "{victims:?}");
            assert_eq!(victims, chosen(Pause::KIND, "leader", 1, 3, &Mute), "seeded");
            assert_eq!(victims.nodes.len(), 1);
        }
    }

    #[test]
    fn halves_are_even_minorities_leave_a_majority_and_both_contain_their_target() {
        for (nodes, fault) in
            (2..8).flat_map(|nodes| [(nodes, Halves::KIND), (nodes, MajorityMinority::KIND)])
        {
            let victims = chosen(fault, "leader", 1, nodes, &Led(Some("n2")));
            let size = if fault == Halves::KIND { nodes / 2 } else { minority(nodes) };
            assert_eq!(victims.nodes.len(), size);
            assert!(victims.nodes.contains(&"n2".to_owned()), "{victims:?}");
            let distinct: BTreeSet<&String> = victims.nodes.iter().collect();
            assert_eq!(distinct.len(), victims.nodes.len());
        }
    }

    #[test]
    fn numbers_of_nodes_are_drawn_from_those_that_are_free() {
        let among = |target: &str, taken: &'static str| {
            let planned = PlannedFault {
                id: 1,
                at_ms: 0,
                trigger: None,
                duration_ms: 1,
                fault: Kill::default().into(),
                target: target.parse().expect("a target"),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let free = move |name: &str| name != taken;
            let names = names(5);
            let chosen = choose(&planned, 1, &names, &Led(Some("n2")), free);
            runtime.expect("a runtime").block_on(chosen).nodes
        };
        assert_eq!(among("majority", "").len(), 3);
        assert_eq!(among("minority", "").len(), 2);
        assert_eq!(among("followers", "n5"), ["n1", "n3", "n4"]);
        assert!(!among("leader", "n2").contains(&"n2".to_owned()));
        assert_eq!(among("all", "").len(), 5);
    }

    #[test]
    fn a_seed_chooses_the_victims_and_links_that_it_chose_in_every_earlier_version() {
        let choices = [
            ("leader", 1, 3),
            ("follower", 2, 5),
            ("minority", 3, 5),
            ("random", 4, 4),
            ("n1", 5, 4),
            ("all", 6, 5),
        ];
        let mut text = String::new();
        for (kind, (target, seed, nodes)) in
            FAULTS.into_iter().flat_map(|kind| choices.map(|choice| (kind, choice)))
        {
            let Victims { how, nodes: victims } =
                chosen(kind, target, seed, nodes, &Led(Some("n2")));
            let (fault, target) = (kind.with_defaults(), target.parse().expect("a target"));
            let planned =
                PlannedFault { id: 3, at_ms: 0, trigger: None, duration_ms: 1, fault, target };
            let links = hit(&planned, seed, &names(nodes), &victims);
            text.push_str(&format!("{kind} {how} {victims:?}"));
            text.extend(links.iter().map(|link| format!(" {}>{}", link.from, link.to)));
            text.push('\n');
        }
        let hash = fnv1a(text.as_bytes());
        assert_eq!(hash, 0x5185_8775_e3d3_f16b, "{hash:#x}");
    }
}
