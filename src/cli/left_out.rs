//! What a run has where the command line says nothing: as its schedule says, as the seed draws, or by
//! default.

use partita_nemesis::Script;
use partita_reports::spec::{FaultsSpec, LoadShape, defaults};

use crate::run::profile::Profile;
use crate::targets::Target;

/// What a run has where the command line says nothing.
#[derive(Debug)]
pub struct LeftOut {
    /// How many nodes.
    pub nodes: u32,
    /// What clients do.
    pub workload: String,
    /// Operations a second.
    pub rate: f64,
    /// When clients ask.
    pub load: LoadShape,
    /// How many clients share a connection.
    pub pipeline: u32,
    clients: Option<u32>,
    arguments: Vec<String>,
    /// Whether words of one's own take the place of these, rather than standing after them.
    are_replaced: bool,
}

impl LeftOut {
    /// Of a run of `target` with these faults, which are those of `script` if they were written.
    pub fn of(faults: &FaultsSpec, script: &Script, target: &Target, seed: u64) -> Self {
        if Profile::is_wanted(faults) {
            let profile = Profile::draw(target, seed);
            return Self {
                nodes: profile.nodes,
                workload: profile.workload.name.to_owned(),
                rate: profile.rate,
                load: profile.load,
                pipeline: profile.pipeline,
                clients: Some(profile.clients),
                arguments: profile.node_arguments,
                are_replaced: true,
            };
        }
        Self {
            nodes: script.nodes.unwrap_or(defaults::NODES),
            workload: script.workload.clone().unwrap_or_else(|| defaults::WORKLOAD.to_owned()),
            rate: script.rate.map_or(defaults::RATE, f64::from),
            load: LoadShape::default(),
            pipeline: 1,
            clients: script.clients,
            arguments: script.arguments.get(&target.name).cloned().unwrap_or_default(),
            are_replaced: false,
        }
    }

    /// How many clients a run with this rate has.
    pub fn clients(&self, rate: f64) -> u32 {
        self.clients.unwrap_or_else(|| defaults::clients(rate))
    }

    /// The words that every node's command ends with if these were given.
    pub fn node_arguments(&self, given: &[String]) -> Vec<String> {
        let given_any = !given.is_empty();
        let kept = if given_any && self.are_replaced { &[][..] } else { &self.arguments[..] };
        kept.iter().chain(given.iter().filter(|word| !word.is_empty())).cloned().collect()
    }

    /// What must be given for every node's command to end with these words.
    pub fn to_be_given(&self, words: &[String]) -> Vec<String> {
        if !self.are_replaced {
            return words.strip_prefix(&self.arguments[..]).unwrap_or(words).to_vec();
        }
        match words {
            words if words == self.arguments => Vec::new(),
            [] => vec![String::new()],
            words => words.to_vec(),
        }
    }
}
