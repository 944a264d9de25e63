//! The made-up cluster: which faults befall it, and who leads when.

use std::collections::BTreeMap;

use partita_checker::Nanoseconds;
use partita_nemesis::{Effect, Family, FaultRecord};
use partita_reports::RoleChange;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::{Finding, Plan, SECOND};

/// A time without a leader.
pub(crate) type Stall = (u64, u64);

const KINDS: [(&str, Family, &str, &str, &str); 6] = [
    ("isolate", Family::Partition, "leader", "frames dropped", "frames"),
    ("kill", Family::Process, "leader", "killed", "processes"),
    ("pause", Family::Process, "a follower", "time stopped", "ms"),
    ("delay", Family::Link, "random", "frames delayed", "frames"),
    ("clock-step", Family::Clock, "n2", "readings of moved clocks", "readings"),
    ("slow-fsync", Family::Disk, "majority", "fsyncs delayed", "calls"),
];

/// Faults at regular times, each on one node, drawn from all families.
pub(crate) fn faults(plan: &Plan, random: &mut ChaCha8Rng) -> Vec<FaultRecord> {
    if plan.fault_every == 0 {
        return Vec::new();
    }
    let (from, until) = (plan.seconds * SECOND / 10, plan.seconds * SECOND * 8 / 10);
    let mut faults = Vec::new();
    let mut began_ns = from + SECOND / 5;
    while began_ns + SECOND / 2 < until {
        let id = faults.len() as u32;
        let (fault, family, target, what, unit) = KINDS[id as usize % KINDS.len()];
        let length = random.random_range(SECOND * plan.fault_every / 4..SECOND * plan.fault_every);
        let amount = if plan.finding == Finding::Vacuous {
            0.0
        } else {
            random.random_range(1..5_000).into()
        };
        let failed = id == 4 && plan.finding != Finding::Vacuous;
        faults.push(FaultRecord {
            id,
            fault: fault.into(),
            family,
            target: target.into(),
            nodes: vec![format!("n{}", random.random_range(1..=plan.nodes))],
            parameters: match family {
                Family::Link => BTreeMap::from([
                    ("delay".into(), "50ms".into()),
                    ("jitter".into(), "10ms".into()),
                ]),
                _ => BTreeMap::new(),
            },
            began_ns,
            ended_ns: Some((began_ns + length).min(until)),
            effects: if failed {
                Vec::new()
            } else {
                vec![Effect { what: what.into(), amount, unit: unit.into() }]
            },
            error: failed.then(|| "ptrace: the node exited before its clock was taken over".into()),
            unhealed: false,
        });
        began_ns += SECOND * plan.fault_every + random.random_range(0..SECOND / 2);
    }
    faults
}

/// Who was what, and when nobody led.
pub(crate) fn roles(
    plan: &Plan,
    faults: &[FaultRecord],
    random: &mut ChaCha8Rng,
) -> (Vec<RoleChange>, Vec<Stall>) {
    let names: Vec<String> = (1..=plan.nodes).map(|number| format!("n{number}")).collect();
    let (mut roles, mut stalls) = (Vec::new(), Vec::new());
    let mut say = |at: u64, node: &str, role: &str, term: Option<u64>| {
        let (at_ns, node, role) = (Nanoseconds(at), node.to_owned(), role.to_owned());
        roles.push(RoleChange { at_ns, node, role, term });
    };
    let (mut leader, mut term) = (0, 1);
    for name in &names {
        say(SECOND / 20, name, "follower", Some(0));
    }
    say(SECOND / 4, &names[leader], "candidate", Some(term));
    say(SECOND / 4 + SECOND / 50, &names[leader], "leader", Some(term));
    for fault in faults.iter().filter(|fault| fault.had_effect()) {
        let name = fault.nodes[0].clone();
        let victim = names.iter().position(|other| *other == name).expect("a node of the cluster");
        let ended = fault.ended_ns.expect("made-up faults end");
        let gone = match fault.fault.as_str() {
            "kill" => "down",
            "pause" => "silent",
            "isolate" => "follower",
            _ => continue,
        };
        say(fault.began_ns + SECOND / 100, &name, gone, (gone == "follower").then_some(term));
        if victim == leader {
            let elected = fault.began_ns + random.random_range(SECOND / 3..SECOND * 9 / 10);
            stalls.push((fault.began_ns, elected));
            leader = (leader + 1) % plan.nodes;
            term += 1;
            say(elected - SECOND / 20, &names[leader], "candidate", Some(term));
            say(elected, &names[leader], "leader", Some(term));
            for (other, node) in names.iter().enumerate() {
                if other != leader && other != victim {
                    say(elected + SECOND / 100, node, "follower", Some(term));
                }
            }
        }
        say(ended.max(fault.began_ns + SECOND) + SECOND / 10, &name, "follower", Some(term));
    }
    roles.sort_by_key(|change| change.at_ns);
    (roles, stalls)
}
