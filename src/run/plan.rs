//! A run's specification made ready to be carried out: names looked up, texts read, the lab chosen.

use std::path::PathBuf;

use partita_checker::Options;
use partita_nemesis::{
    FaultKind, FaultSet, HuntContext, LabBackend, PlannedCommand, Schedule, Script, ScriptError,
};
use partita_reports::RunSpec;
use partita_reports::spec::{FaultsSpec, LabChoice, Limit};
use partita_workloads::{Judged, WorkloadInfo};

use super::profile::Profile;
use crate::exit::{Failure, FailureContext};
use crate::names::{self, Names};
use crate::targets::Target;

/// A run that can be carried out. It follows from its specification and the lab alone.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What was asked.
    pub spec: RunSpec,
    /// The system under test.
    pub target: Target,
    /// How its hosts are made.
    pub lab: LabBackend,
    /// What clients do.
    pub workload: &'static WorkloadInfo,
    /// Where its faults come from.
    pub faults: Faults,
    /// Where run folders go.
    pub out: PathBuf,
    /// The command that does this run again, as one would type it; for reports.
    pub command: String,
}

/// Where a run's faults come from.
#[derive(Debug, Clone)]
pub enum Faults {
    /// They are drawn from a fault set.
    Drawn(FaultSet),
    /// They are those of a schedule that was written.
    Written(Script),
}

impl Faults {
    /// The faults of a specification that a `target` can have. Of what was not asked for by name, those
    /// that it cannot have are left out.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a name is unknown, a schedule has a mistake, or the target cannot have what was
    /// asked for by name.
    pub fn of(spec: &FaultsSpec, target: &Target) -> Result<Self, Failure> {
        let cannot = |fault: FaultKind| !target.can_have(fault);
        match spec {
            FaultsSpec::Draw(set) => {
                let possible = target.with_own_faults(names::faults(set)?).without(cannot);
                let possible = possible.map_err(|fault| target.refusal(fault));
                let possible = possible.or_usage(|| format!("faults {set}"))?;
                // A red result should be a broken promise.
                let (promised, _) = possible.leaving_out(|fault| !target.promises.hold(fault));
                Ok(Self::Drawn(promised))
            }
            FaultsSpec::Schedule(document) => {
                let script = Script::parse(&document.name, &document.toml)
                    .or_usage(|| "the schedule".to_owned())?;
                if let Some(fault) = script.kinds().find(|fault| cannot(*fault)) {
                    return Err(target.refusal(fault))
                        .or_usage(|| format!("schedule {}", script.name));
                }
                Ok(Self::Written(script))
            }
        }
    }

    /// The faults of a run on `nodes`.
    ///
    /// # Errors
    ///
    /// If one that was written down does not fit into the run.
    pub fn schedule(
        &self,
        nodes: &[String],
        spec: &RunSpec,
        target: &Target,
    ) -> Result<Schedule, ScriptError> {
        let (time, seed) = (spec.time.duration(), spec.seed);
        match self {
            Self::Drawn(set) => {
                let clock_drift = Profile::clock_drift(target, &spec.node_arguments);
                Ok(Schedule::for_hunt(HuntContext { set, nodes, time, seed, clock_drift }))
            }
            Self::Written(script) => script.for_run(time, seed),
        }
    }

    /// What was left out of what was asked for, and why: a sentence for each reason.
    pub fn left_out(spec: &FaultsSpec, target: &Target) -> Vec<String> {
        match spec {
            FaultsSpec::Draw(set) => {
                names::faults(set).map(|set| target.left_out(set)).unwrap_or_default()
            }
            FaultsSpec::Schedule(_) => Vec::new(),
        }
    }

    /// What they are called in reports.
    pub fn name(&self) -> String {
        match self {
            Self::Drawn(set) => set.to_string(),
            Self::Written(script) => script.name.clone(),
        }
    }

    /// Whether the run is to have any.
    pub fn are_wanted(&self) -> bool {
        match self {
            Self::Drawn(set) => set.faults().next().is_some(),
            Self::Written(script) => !script.faults.is_empty(),
        }
    }
}

impl Plan {
    /// The plan that `spec` comes to in a lab that can have every fault. Its folder goes into `out`;
    /// `command` does the run again.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a name is unknown, a text has a mistake, or a number is out of its range.
    pub fn of(spec: RunSpec, out: PathBuf, command: String) -> Result<Self, Failure> {
        spec.check().or_usage(|| "the run's specification".to_owned())?;
        let target = Target::of(&spec.target).or_usage(|| "the target".to_owned())?;
        target.check_secrets().or_usage(|| "the target".to_owned())?;
        target.check_size(spec.nodes).or_usage(|| "the target".to_owned())?;
        target.account().or_usage(|| "the target".to_owned())?;
        check_mutations(&target, &spec.mutations)?;
        let workload = names::workload(&spec.workload).or_usage(|| "the workload".to_owned())?;
        check_fit(workload, &target)?;
        check_pipeline(&spec, &target)?;
        let faults = Faults::of(&spec.faults, &target)?;
        for fault in spec.limits.iter().filter_map(|limit| limit.under.as_ref()) {
            let known = FaultKind::named(fault).ok_or_else(|| Names::Faults.unknown(fault));
            known.or_usage(|| "the limits".to_owned())?;
        }
        Ok(Self { spec, target, lab: LabBackend::Namespaces, workload, faults, out, command })
    }

    /// The plan for a lab of this backend, without the faults that it cannot have.
    ///
    /// # Errors
    ///
    /// [`Failure`] if something was asked for by name that cannot be had there.
    pub fn fitted(mut self, backend: LabBackend) -> Result<Self, Failure> {
        self.lab = backend;
        self.spec.lab = lab(backend);
        if self.spec.pcap && backend != LabBackend::Namespaces {
            let problem = "pcap: only a lab of namespaces has frames that can be captured";
            return Err(Failure::usage(miette::miette!("{problem}")));
        }
        if backend == LabBackend::Proxies && !self.target.can_be_relayed() {
            return Err(Failure::usage(miette::miette!(
                "a lab of proxies: target `{}` tells its nodes where they listen, but not apart from \
                 that where others are reached: its description needs {{advertised-ip}}",
                self.target.name
            )));
        }
        if let Faults::Drawn(set) = self.faults {
            let set = set.fitted(backend).or_usage(|| "the faults".to_owned())?;
            self.faults = Faults::Drawn(set);
        }
        let schedule = self.schedule().or_usage(|| "the schedule".to_owned())?;
        schedule.check_tier(backend).or_usage(|| self.faults.name())?;
        Ok(self)
    }

    /// The names of the nodes.
    pub fn names(&self) -> Vec<String> {
        (1..=self.spec.nodes).map(|number| format!("n{number}")).collect()
    }

    /// The faults of the run.
    ///
    /// # Errors
    ///
    /// If one that was written down does not fit into the run.
    pub fn schedule(&self) -> Result<Schedule, ScriptError> {
        self.faults.schedule(&self.names(), &self.spec, &self.target)
    }

    /// What an operator says meanwhile.
    pub fn commands(&self) -> Vec<PlannedCommand> {
        let (time, seed) = (self.spec.time.duration(), self.spec.seed);
        match &self.faults {
            Faults::Drawn(_) => Vec::new(),
            Faults::Written(script) => script.commands_for_run(&self.target.name, time, seed),
        }
    }

    /// What the store is to keep: what its description says, but for what the specification says instead.
    pub fn limits(&self) -> Vec<Limit> {
        let asked = &self.spec.limits;
        let is_replaced = |limit: &&Limit| asked.iter().any(|it| it.replaces(limit));
        let described = self.target.limits.iter().filter(|limit| !is_replaced(limit));
        described.chain(asked).cloned().collect()
    }

    /// What its history is checked against while it is made, where that can be done.
    pub fn streaming(&self) -> Option<Options> {
        match self.workload.model {
            Judged::Model(model) => Some(Options::of(model)),
            Judged::Object(_) => None,
        }
    }
}

/// The choice that always comes to a lab of this backend.
pub const fn lab(backend: LabBackend) -> LabChoice {
    match backend {
        LabBackend::Namespaces => LabChoice::Namespaces,
        LabBackend::Proxies => LabChoice::Proxies,
        LabBackend::Signals => LabChoice::Signals,
    }
}

fn check_fit(workload: &WorkloadInfo, target: &Target) -> Result<(), Failure> {
    match &workload.lacking(target.protocol.as_ref())[..] {
        [] => Ok(()),
        lacks => Err(Failure::usage(miette::miette!(
            "workload `{}` does not fit target `{}`: its protocol has no {} \
             (`partita list workloads --target {}`)",
            workload.name,
            target.name,
            lacks.join(", no "),
            target.name
        ))),
    }
}

fn check_pipeline(spec: &RunSpec, target: &Target) -> Result<(), Failure> {
    if spec.pipeline <= 1 || target.protocol.can_pipeline() {
        return Ok(());
    }
    Err(Failure::usage(miette::miette!(
        "pipeline: the protocol of target `{}` has one request at a time on a connection",
        target.name
    )))
}

fn check_mutations(target: &Target, mutations: &[String]) -> Result<(), Failure> {
    if mutations.is_empty() {
        return Ok(());
    }
    if target.each_mutation.is_empty() {
        let problem = format!("mutations: target `{}` has no planted bugs", target.name);
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    // Only the built-in target's bugs are known here; another target judges its own names.
    if target.name == "raft-node" {
        for mutation in mutations {
            names::mutation(mutation).or_usage(|| "the mutations".to_owned())?;
        }
    }
    Ok(())
}
