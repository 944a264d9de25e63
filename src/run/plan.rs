//! What a run is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use partita_checker::Options;
use partita_nemesis::{Menu, PlannedCommand, Schedule, Script, ScriptError, Tier};
use partita_workloads::WorkloadInfo;
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, OrFail};
use crate::targets::Target;

/// Everything that decides a run, besides chance in the processes themselves.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The system under test.
    pub target: Target,
    /// How its hosts are made.
    pub lab: Tier,
    /// How many nodes of it.
    pub nodes: u32,
    /// What clients do.
    pub workload: &'static WorkloadInfo,
    /// Where its faults come from.
    pub faults: Faults,
    /// What every node's command is given beside what the target says.
    pub node_arguments: Vec<String>,
    /// How long clients and faults are at work.
    pub time: Duration,
    /// Where everything random comes from.
    pub seed: u64,
    /// Operations a second that all clients aim at.
    pub rate: f64,
    /// How many clients.
    pub clients: u32,
    /// How long a client waits for a reply.
    pub reply_timeout: Duration,
    /// How long the checker may search.
    pub check_timeout: Duration,
    /// Whether to end the run at the first violation.
    pub stop_on_violation: bool,
    /// Planted bugs to switch on.
    pub mutations: Vec<String>,
    /// Where run folders go.
    pub out: PathBuf,
    /// Whether to capture what links deliver.
    pub pcap: bool,
    /// Whether to keep the nodes' data in any case.
    pub keep_data: bool,
    /// Whether to print the result as JSON.
    pub json: bool,
    /// The most that is kept of what a node writes to its standard streams, in bytes.
    pub node_log_limit: u64,
}

/// The most that is kept of a node's output unless told otherwise, in bytes.
pub const NODE_LOG_LIMIT: u64 = 256 << 20;

/// The lab that a run has where it can: what one types need not say so.
const BEST: &str = Tier::Namespaces.name();

/// Where a run's faults come from.
#[derive(Debug, Clone)]
pub enum Faults {
    /// They are drawn from a menu.
    Drawn(Menu),
    /// Somebody wrote them down.
    Written(Script),
}

impl Faults {
    /// The faults of a run on `nodes`.
    ///
    /// # Errors
    ///
    /// If one that was written down does not fit into the run.
    pub fn schedule(
        &self,
        nodes: &[String],
        duration: Duration,
        seed: u64,
    ) -> Result<Schedule, ScriptError> {
        match self {
            Self::Drawn(menu) => Ok(Schedule::draw_with_scenes(menu, nodes, duration, seed)),
            Self::Written(script) => script.for_run(duration, seed),
        }
    }

    /// What they are called in reports.
    pub fn name(&self) -> String {
        match self {
            Self::Drawn(menu) => menu.to_string(),
            Self::Written(script) => script.name.clone(),
        }
    }
}

impl Plan {
    /// The plan for a lab of this tier, without the faults that it cannot have.
    ///
    /// # Errors
    ///
    /// [`Failure`] if something was asked for by name that cannot be had there.
    pub fn fitted(mut self, tier: Tier) -> Result<Self, Failure> {
        self.lab = tier;
        if self.pcap && tier != Tier::Namespaces {
            let problem = "--pcap: only a lab of namespaces has frames that can be captured";
            return Err(Failure::usage(miette::miette!("{problem}")));
        }
        if tier == Tier::Proxies && !self.target.can_be_relayed() {
            return Err(Failure::usage(miette::miette!(
                "--lab proxies: target `{}` tells its nodes where they listen, but not apart from \
                 that where others are reached: its description needs {{advertised-ip}}",
                self.target.name
            )));
        }
        if let Faults::Drawn(menu) = self.faults {
            let menu = menu.fitted(tier).or_usage(|| "--nemesis".to_owned())?;
            self.faults = Faults::Drawn(menu);
        }
        let schedule = self.schedule().or_usage(|| "--schedule".to_owned())?;
        schedule.check_tier(tier).or_usage(|| self.faults.name())?;
        Ok(self)
    }

    /// The names of the nodes.
    pub fn names(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| format!("n{number}")).collect()
    }

    /// The faults of the run.
    ///
    /// # Errors
    ///
    /// If one that was written down does not fit into the run.
    pub fn schedule(&self) -> Result<Schedule, ScriptError> {
        self.faults.schedule(&self.names(), self.time, self.seed)
    }

    /// What an operator says meanwhile.
    pub fn commands(&self) -> Vec<PlannedCommand> {
        match &self.faults {
            Faults::Drawn(_) => Vec::new(),
            Faults::Written(script) => {
                script.commands_for_run(&self.target.name, self.time, self.seed)
            }
        }
    }

    /// What its history is checked against.
    pub fn options(&self) -> Options {
        Options { model: self.workload.model, ..Options::default() }
    }

    /// The command that does this run again, as one would type it. Defaults are left out where they
    /// do not depend on anything.
    pub fn command(&self) -> String {
        let words = self.arguments().into_iter().map(|word| partita_reports::quoted(&word));
        std::iter::once("partita run".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// What `partita run` is given to do this run again. What a schedule says for itself is left out.
    pub fn arguments(&self) -> Vec<String> {
        match &self.faults {
            Faults::Drawn(menu) => {
                let menu = menu.to_string().replace(' ', "");
                self.arguments_with(("nemesis", &menu), &Script::default(), BEST)
            }
            Faults::Written(script) => {
                self.arguments_with(("schedule", &script.name), script, BEST)
            }
        }
    }

    /// What `partita run` is given, beside a schedule of its own that says nothing but its faults, to
    /// do the same.
    fn bare_arguments(&self) -> Vec<String> {
        self.arguments_with(("nemesis", "default"), &Script::default(), "auto")
    }

    fn arguments_with(
        &self,
        (kind, faults): (&str, &str),
        script: &Script,
        ordinary_lab: &str,
    ) -> Vec<String> {
        let mut words = Vec::new();
        let mut option = |name: &str, value: String, default: &str| {
            if value != default {
                words.extend([format!("--{name}"), value]);
            }
        };
        option("lab", self.lab.to_string(), ordinary_lab);
        option("target", self.target.source.clone(), "raft-node");
        option("nodes", self.nodes.to_string(), &script.nodes.unwrap_or(3).to_string());
        let workload = script.workload.as_deref().unwrap_or("register");
        option("workload", self.workload.name.to_owned(), workload);
        option(kind, faults.to_owned(), "default");
        option("time", in_words(self.time), "");
        option("seed", self.seed.to_string(), "");
        option("rate", self.rate.to_string(), &script.rate.unwrap_or(500).to_string());
        option("clients", self.clients.to_string(), &script.clients.unwrap_or(15).to_string());
        option("reply-timeout", in_words(self.reply_timeout), "1s");
        option("check-timeout", in_words(self.check_timeout), "60s");
        option("node-log-limit", self.node_log_limit.to_string(), &NODE_LOG_LIMIT.to_string());
        for mutation in &self.mutations {
            option("mutation", mutation.clone(), "");
        }
        let written = script.arguments.get(&self.target.name).map_or(0, Vec::len);
        for argument in self.node_arguments.iter().skip(written) {
            words.push(format!("--node-argument={argument}"));
        }
        if self.stop_on_violation {
            words.push("--stop-on-violation".to_owned());
        }
        words
    }
}

/// What was asked: the content of `plan.json`, which is there from a run's beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Partita's version.
    pub version: String,
    /// The command that does this run again, as one would type it.
    pub command: String,
    /// What `partita run` is given to play the run's own `schedule.toml`, which goes after it.
    pub arguments: Vec<String>,
}

impl PlanRecord {
    /// The record of `plan`.
    pub fn of(plan: &Plan) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: plan.command(),
            arguments: plan.bare_arguments(),
        }
    }
}

/// A duration as the command line takes it.
fn in_words(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}
