//! Draws what a default run is like: how many nodes it has and how they are started, what clients do,
//! how many there are and how often they ask.
//!
//! A user does not know the name of his bug, and no single choice shows every bug: three nodes elect as
//! five do not, a key that only grows remembers what a register forgets, a read by many clients falls
//! into a moment that few miss. So the seed chooses, each part from a stream of its own: what the user
//! says himself leaves the other parts as they were. What fits a store follows from its protocol and
//! from its description ([`Target::variations`]); no choice knows any bug.

use partita_nemesis::is_hunt;
use partita_reports::RunSpec;
use partita_reports::spec::{FaultsSpec, LoadShape, TargetSpec};
use partita_workloads::WorkloadInfo;
use partita_workloads::catalogue::WORKLOADS;
use partita_workloads::random::{stream, stream_of_client};
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::targets::{Target, Variation};

/// How many nodes there can be: three elect most readily, four and five have halves and members to spare.
const NODES: [u32; 6] = [3, 3, 3, 3, 4, 5];

/// How many clients: a rate is asked for by few that are quick, or by many of which one always asks.
const CLIENTS: [u32; 4] = [30, 60, 120, 300];

/// Operations a second of all clients together.
const RATES: [f64; 3] = [500.0, 800.0, 1_200.0];

/// When clients ask: an open loop goes on asking for what a slow store has not answered.
const LOADS: [LoadShape; 4] =
    [LoadShape::Closed, LoadShape::Closed, LoadShape::Closed, LoadShape::Open];

/// How many clients share a connection, where the protocol lets them.
const PIPELINES: [u32; 6] = [1, 1, 1, 1, 4, 16];

/// How often a workload is drawn in comparison with others: more often where damage lasts, so that a later
/// answer shows it.
const WEIGHTS: [(&str, u32); 16] = [
    ("append", 10),
    ("retry", 10),
    ("register", 2),
    ("delete", 3),
    ("large", 1),
    ("expire", 1),
    // With the many unknown outcomes of dense faults their histories can cost more than a check may take.
    ("set", 0),
    ("counter", 0),
    ("transactions", 0),
    ("queue", 0),
    ("stack", 0),
    ("lock", 0),
    ("bank", 0),
    ("mixed-reads", 0),
    ("watch", 0),
    ("ids", 0),
];

/// What the seed of a default run decides beside its faults.
#[derive(Debug, Clone)]
pub struct Profile {
    /// How many nodes.
    pub nodes: u32,
    /// What clients do.
    pub workload: &'static WorkloadInfo,
    /// How many clients.
    pub clients: u32,
    /// Operations a second of all of them together.
    pub rate: f64,
    /// When clients ask.
    pub load: LoadShape,
    /// How many of them share a connection.
    pub pipeline: u32,
    /// Words that every node's command is given at its end.
    pub node_arguments: Vec<String>,
}

impl Profile {
    /// Whether a run with these faults has a profile: its faults were left to chance as well.
    pub fn is_wanted(faults: &FaultsSpec) -> bool {
        matches!(faults, FaultsSpec::Draw(set) if is_hunt(set))
    }

    /// The profile that `seed` draws for `target`.
    pub fn draw(target: &Target, seed: u64) -> Self {
        let chosen = |part: &str, numbers: &[u32]| {
            *numbers.choose(&mut stream(seed, part)).expect("numbers to choose from")
        };
        let mut node_arguments = Vec::new();
        for (name, choices) in &target.variations {
            let mut random = stream_of_client(seed, "vary", number_of(name));
            node_arguments
                .extend(choices.choose(&mut random).cloned().unwrap_or_default().arguments);
        }
        let can_pipeline = target.protocol.can_pipeline();
        Self {
            nodes: chosen("p-nodes", &NODES),
            workload: workload(target, seed),
            clients: chosen("p-client", &CLIENTS),
            rate: *RATES.choose(&mut stream(seed, "p-rate")).expect("a rate"),
            load: *LOADS.choose(&mut stream(seed, "p-load")).expect("a shape"),
            pipeline: if can_pipeline { chosen("p-pipe", &PIPELINES) } else { 1 },
            node_arguments,
        }
    }

    /// A run of `target` with this profile, whose faults are drawn from `set`, and which has all else as it
    /// is by default.
    pub fn spec(self, target: TargetSpec, set: String, seed: u64) -> RunSpec {
        RunSpec {
            target,
            nodes: self.nodes,
            node_arguments: self.node_arguments,
            workload: self.workload.name.to_owned(),
            rate: self.rate,
            clients: self.clients,
            load: self.load,
            pipeline: self.pipeline,
            faults: FaultsSpec::Draw(set),
            seed,
            ..RunSpec::default()
        }
    }

    /// What of a run's specification its seed drew, in words; none if its faults were chosen.
    pub fn in_words(spec: &RunSpec, target: &Target) -> Option<String> {
        if !Self::is_wanted(&spec.faults) {
            return None;
        }
        let Self { nodes, workload, clients, rate, load, pipeline, node_arguments } =
            Self::draw(target, spec.seed);
        let parts = [
            (nodes == spec.nodes, format!("{nodes} nodes")),
            (workload.name == spec.workload, format!("workload {}", workload.name)),
            (clients == spec.clients, format!("{clients} clients")),
            (rate.total_cmp(&spec.rate).is_eq(), format!("{rate} op/s")),
            (load == spec.load && load == LoadShape::Open, "open loop".to_owned()),
            (pipeline == spec.pipeline && pipeline > 1, format!("{pipeline} clients a connection")),
            (
                node_arguments == spec.node_arguments && !node_arguments.is_empty(),
                format!("nodes with {}", node_arguments.join(" ")),
            ),
        ];
        let drawn = parts.into_iter().filter(|(is_drawn, _)| *is_drawn).map(|(_, words)| words);
        let drawn: Vec<String> = drawn.collect();
        (!drawn.is_empty()).then(|| format!("drawn by the seed: {}", drawn.join(", ")))
    }

    /// How far the clocks of nodes with these arguments may run apart, as their target declares it.
    pub fn clock_drift(target: &Target, node_arguments: &[String]) -> Option<f64> {
        let is_chosen = |variation: &&Variation| {
            let own = &variation.arguments[..];
            !own.is_empty() && node_arguments.windows(own.len()).any(|words| words == own)
        };
        let chosen = target.variations.values().flatten().filter(is_chosen);
        let drifts = chosen.filter_map(|variation| variation.clock_drift);
        drifts.reduce(f64::min).filter(|drift| *drift > 0.0)
    }
}

/// A number that hardly any other variation's name has.
fn number_of(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn workload(target: &Target, seed: u64) -> &'static WorkloadInfo {
    let weight = |workload: &WorkloadInfo| {
        let row = WEIGHTS.iter().find(|(name, _)| *name == workload.name);
        let fits = workload.lacking(target.protocol.as_ref()).is_empty();
        row.map_or(0, |(_, weight)| *weight) * u32::from(fits)
    };
    let total: u32 = WORKLOADS.iter().map(weight).sum();
    let mut left = stream(seed, "p-work").random_range(0..total.max(1));
    for workload in WORKLOADS {
        match left.checked_sub(weight(workload)) {
            Some(rest) => left = rest,
            None => return workload,
        }
    }
    // Nothing that is drawn fits: a run says so when it is planned.
    &WORKLOADS[0]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use partita_reports::spec::defaults;

    use super::*;

    fn target(name: &str) -> Target {
        Target::find(name).expect("built in")
    }

    fn spec_of(profile: &Profile, seed: u64) -> RunSpec {
        let target = TargetSpec::BuiltIn(defaults::TARGET.to_owned());
        profile.clone().spec(target, defaults::FAULTS.to_owned(), seed)
    }

    #[test]
    fn a_seed_draws_one_profile_and_seeds_together_draw_all_there_is() {
        let target = target("raft-node");
        let (mut workloads, mut arguments, mut nodes, mut loads) =
            <(BTreeSet<_>, BTreeSet<_>, BTreeSet<_>, BTreeSet<_>)>::default();
        for seed in 0..300 {
            let profile = Profile::draw(&target, seed);
            let spec = spec_of(&profile, seed);
            assert_eq!(spec, spec_of(&Profile::draw(&target, seed), seed));
            spec.check().expect("in range");
            workloads.insert(profile.workload.name);
            arguments.extend(profile.node_arguments);
            nodes.insert(profile.nodes);
            loads.insert((profile.load.name(), profile.pipeline));
        }
        let drawn = WEIGHTS.iter().filter(|(_, weight)| *weight > 0).map(|(name, _)| *name);
        assert_eq!(workloads, drawn.collect());
        assert_eq!(nodes, BTreeSet::from([3, 4, 5]));
        let shapes = ["closed", "open"].into_iter().flat_map(|it| [1, 4, 16].map(|n| (it, n)));
        assert_eq!(loads, shapes.collect());
        let all = target.variations.values().flatten().flat_map(|it| it.arguments.clone());
        assert_eq!(arguments, all.collect());
    }

    #[test]
    fn every_workload_has_a_weight_and_only_what_fits_is_drawn() {
        for workload in WORKLOADS {
            assert!(WEIGHTS.iter().any(|(name, _)| *name == workload.name), "{}", workload.name);
        }
        assert_eq!(WEIGHTS.len(), WORKLOADS.len());
        let etcd = target("etcd");
        for seed in 0..100 {
            let profile = Profile::draw(&etcd, seed);
            assert!(profile.workload.lacking(etcd.protocol.as_ref()).is_empty());
            assert_eq!(profile.pipeline, 1, "a request at a time");
        }
    }

    #[test]
    fn clocks_run_apart_only_as_far_as_the_arguments_in_use_declare() {
        let target = target("raft-node");
        let drift = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Profile::clock_drift(&target, &words)
        };
        assert_eq!(drift(&["--heartbeat=50ms", "--lease-drift=500000"]), Some(0.5));
        assert_eq!(drift(&["--heartbeat=50ms"]), None);
        assert_eq!(drift(&[]), None);
    }

    #[test]
    fn what_the_user_chose_is_not_said_to_be_drawn() {
        let target = target("raft-node");
        let profile = Profile::draw(&target, 7);
        let drawn = spec_of(&profile, 7);
        let said = Profile::in_words(&drawn, &target).expect("all of it");
        assert!(said.contains(&format!("{} nodes, workload ", profile.nodes)), "{said}");
        let chosen = RunSpec { nodes: 9, rate: 1.5, ..drawn.clone() };
        let said = Profile::in_words(&chosen, &target).expect("the rest");
        assert!(!said.contains("op/s") && !said.contains("9 nodes"), "{said}");
        let faults = FaultsSpec::Draw("kill".to_owned());
        assert_eq!(Profile::in_words(&RunSpec { faults, ..drawn }, &target), None);
    }
}
