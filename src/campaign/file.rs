//! A campaign as it is written: TOML, from which a plan is made.
//!
//! Every `[[matrix]]` is a product of what stands in it. `docs/campaigns.md` is the contract.

use std::path::{Path, PathBuf};
use std::time::Duration;

use partita_nemesis::recipes::RECIPES;
use partita_nemesis::{LabBackend, Script};
use partita_reports::RunSpec;
use partita_reports::campaign::record::FORMAT;
use partita_reports::spec::{
    self, Document, FaultsSpec, Milliseconds, OnFinding, TargetSpec, defaults,
};
use partita_workloads::catalogue::WORKLOADS;
use serde::Deserialize;

use super::plan::{CampaignPlan, Configuration};
use super::portfolio;
use crate::exit::{Failure, FailureContext};
use crate::names::{self, Names};
use crate::run::plan::lab;
use crate::run::profile::Profile;
use crate::run::{Faults, Plan};
use crate::targets::{Target, with_program};

/// How often a run of a new bucket is played again.
const REPLAYS: u32 = 10;
/// How many runs of a bucket and version are kept.
const KEEP: u32 = 4;
/// How long shrinking a bucket may take.
const SHRINK: Duration = Duration::from_secs(600);
/// The name of a program that has no bug, where several are given.
pub const HONEST: &str = "honest";
/// How long a run of a profile is, if that is not said: long enough for some twenty rounds of faults.
pub const PROFILE_TIME: Milliseconds = Milliseconds::seconds(60);
/// The planted bug of the built-in server that every night must find.
const CANARY: &str = "leader-local-read";

/// A campaign as it is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CampaignFile {
    /// What it is called; the file's name if not given.
    pub name: Option<String>,
    /// Where its seeds come from.
    #[serde(default)]
    pub seed: u64,
    /// How long each run's clients and faults are at work.
    pub time: Option<String>,
    /// How many runs each configuration has, if neither a number of runs nor a budget ends the campaign sooner.
    pub rounds: Option<u64>,
    /// What a run does when it finds something: `continue`, or `stop` to end there.
    #[serde(default)]
    pub on_finding: OnFinding,
    /// How often a run of a new bucket is played again.
    pub replays: Option<u32>,
    /// How long shrinking a bucket may take; `0s` for not at all.
    pub shrink: Option<String>,
    /// How many runs of a bucket and version are kept.
    pub keep: Option<u32>,
    /// Whether each night first looks for a planted bug, where the target has one.
    #[serde(default = "yes")]
    pub canary: bool,
    /// Whether each night first has a run without faults.
    #[serde(default = "yes")]
    pub control: bool,
    /// What is run.
    #[serde(default)]
    pub matrix: Vec<Matrix>,
}

const fn yes() -> bool {
    true
}

/// A product of what is run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Matrix {
    /// Built-in targets or TOML files; several files may describe versions of one target.
    pub targets: Vec<String>,
    /// Workloads; if none is given, what a schedule says, or else all that fit.
    pub workloads: Vec<String>,
    /// Fault sets.
    pub faults: Vec<String>,
    /// Recipes, or files of schedules.
    pub schedules: Vec<String>,
    /// So many profiles, as default runs draw them: workload, nodes and their arguments, clients and faults.
    pub profiles: u64,
    /// Numbers of nodes.
    pub nodes: Vec<u32>,
    /// Planted bugs, each switched on alone; `none` for none.
    pub mutations: Vec<String>,
    /// Operations a second.
    pub rate: Option<f64>,
    /// Words for every node's command.
    pub node_arguments: Vec<String>,
    /// How long each run's clients and faults are at work.
    pub time: Option<String>,
    /// Its share of the CPU time beside those of others.
    pub weight: Option<f64>,
}

/// What is decided outside of the file.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Which night it is.
    pub night: u64,
    /// The lab that runs have.
    pub backend: LabBackend,
    /// How many runs; without, as many as the budget allows.
    pub runs: Option<u64>,
    /// How many runs each configuration has, whatever the file says.
    pub rounds: Option<u64>,
    /// How long each run is, whatever the file says.
    pub time: Option<Milliseconds>,
    /// Programs that take the place of the first word of the target's command, by names: each is a version,
    /// and all of them have every configuration.
    pub binaries: &'a [(String, PathBuf)],
}

impl CampaignFile {
    /// Reads a campaign.
    ///
    /// # Errors
    ///
    /// [`Failure`], naming the line and what was expected.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).or_usage(|| path.display().to_string())?;
        let mut file: Self = toml::from_str(&text).or_usage(|| path.display().to_string())?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        file.name.get_or_insert(stem);
        let beside = path.parent().unwrap_or(Path::new(""));
        for matrix in &mut file.matrix {
            for name in matrix.targets.iter_mut().chain(&mut matrix.schedules) {
                let file = beside.join(&*name);
                if file.is_file() {
                    *name = file.display().to_string();
                }
            }
        }
        Ok(file)
    }

    /// A campaign of all that can be tried with a target.
    pub fn of_target(target: &str) -> Self {
        let name = Path::new(target).file_stem().unwrap_or_default();
        let (name, matrix) = (Some(name.to_string_lossy().into_owned()), Vec::new());
        let (canary, control, seed) = (true, true, 0);
        let (time, rounds, replays, shrink, keep) = (None, None, None, None, None);
        let on_finding = OnFinding::default();
        Self {
            name,
            seed,
            time,
            rounds,
            on_finding,
            replays,
            shrink,
            keep,
            canary,
            control,
            matrix,
        }
    }

    /// The plan of a campaign with what is written, or of all that fits `target` if nothing is.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a name is unknown, or something was asked for by name that cannot be had.
    pub fn plan(&self, target: &str, setting: Setting<'_>) -> Result<CampaignPlan, Failure> {
        if self.on_finding == OnFinding::Hold {
            let problem =
                "on-finding: expected `continue` or `stop`; nobody ends a run that is held";
            return Err(Failure::usage(miette::miette!("{problem}")));
        }
        let mut configurations = Vec::new();
        for matrix in &self.matrix {
            for configuration in self.product(matrix, setting)? {
                add(&mut configurations, configuration);
            }
        }
        if self.matrix.is_empty() {
            let time = self.time(setting, None)?;
            configurations = portfolio::portfolio(target, setting.backend, time)?;
        }
        for configuration in &mut configurations {
            configuration.spec.on_finding = self.on_finding;
        }
        if !setting.binaries.is_empty() {
            configurations = on_binaries(&configurations, setting.binaries)?;
        }
        let honest = configurations.iter().find(|it| it.version == HONEST);
        let first = honest.or(configurations.first()).map(|it| it.spec.clone());
        let plain = first.map(|spec| RunSpec { mutations: Vec::new(), ..spec });
        let has_bugs = plain
            .as_ref()
            .is_some_and(|it| it.target == TargetSpec::BuiltIn(defaults::TARGET.to_owned()));
        let canary = RunSpec {
            lab: lab(setting.backend),
            mutations: vec![CANARY.to_owned()],
            on_finding: OnFinding::Stop,
            ..RunSpec::default()
        };
        let rounds = setting.rounds.or(self.rounds);
        let runs = setting.runs.or(rounds.map(|it| it * configurations.len() as u64));
        let none = || FaultsSpec::Draw("none".to_owned());
        let plan = CampaignPlan {
            format: FORMAT,
            name: self.name.clone().unwrap_or_else(|| target.to_owned()),
            night: setting.night,
            seed: self.seed,
            runs,
            configurations,
            canary: (self.canary && has_bugs && setting.backend == LabBackend::Namespaces)
                .then_some(canary),
            control: plain.filter(|_| self.control).map(|spec| RunSpec {
                faults: none(),
                on_finding: OnFinding::Continue,
                ..spec
            }),
            replays: self.replays.unwrap_or(REPLAYS),
            shrink: milliseconds(self.shrink.as_deref())?.unwrap_or_else(|| whole(SHRINK)),
            keep: self.keep.unwrap_or(KEEP),
        };
        plan.check().or_usage(|| "the campaign".to_owned())?;
        Ok(plan)
    }

    fn time(
        &self,
        setting: Setting<'_>,
        own: Option<&str>,
    ) -> Result<Option<Milliseconds>, Failure> {
        Ok(setting.time.or(milliseconds(own)?).or(milliseconds(self.time.as_deref())?))
    }

    fn product(
        &self,
        matrix: &Matrix,
        setting: Setting<'_>,
    ) -> Result<Vec<Configuration>, Failure> {
        let or = |given: &[String], other: &str| match given {
            [] => vec![other.to_owned()],
            given => given.to_vec(),
        };
        let time = self.time(setting, matrix.time.as_deref())?;
        // Before schedules are read: these may name faults that a target's description has.
        let targets = or(&matrix.targets, defaults::TARGET);
        let subjects: Vec<Subject> =
            targets.iter().map(|it| Subject::find(it)).collect::<Result<_, _>>()?;
        let choices = matrix.choices()?;
        let mut made = Vec::new();
        for subject in &subjects {
            for mutation in or(&matrix.mutations, "none") {
                let mut all = matrix.of_choices(&choices, subject, time)?;
                let profiles = 1..=matrix.profiles;
                all.extend(
                    profiles.map(|seed| subject.profile(seed, time.unwrap_or(PROFILE_TIME))),
                );
                for mut one in all {
                    one.spec.node_arguments.extend(matrix.node_arguments.iter().cloned());
                    if mutation != "none" {
                        one.spec.mutations.push(mutation.clone());
                        one.version = format!("{} with {mutation}", one.version);
                        one.name = format!("{} with {mutation}", one.name);
                    }
                    one.weight = matrix.weight.unwrap_or(1.0);
                    made.push(fitted(one, setting.backend)?);
                }
            }
        }
        Ok(made)
    }
}

impl Matrix {
    /// The faults that runs have, but for those of profiles.
    fn choices(&self) -> Result<Vec<Choice>, Failure> {
        let faults = match (self.faults.as_slice(), self.schedules.as_slice()) {
            ([], []) if self.profiles == 0 => vec![defaults::FAULTS.to_owned()],
            (faults, _) => faults.to_vec(),
        };
        let sets = faults.iter().map(|set| Ok(Choice::set(set)));
        let schedules = self.schedules.iter().map(|name| Choice::schedule(name));
        sets.chain(schedules).collect()
    }

    /// The product of faults, workloads and numbers of nodes for one target.
    fn of_choices(
        &self,
        choices: &[Choice],
        subject: &Subject,
        time: Option<Milliseconds>,
    ) -> Result<Vec<Configuration>, Failure> {
        let nodes: Vec<Option<u32>> = match self.nodes.as_slice() {
            [] => vec![None],
            given => given.iter().copied().map(Some).collect(),
        };
        let mut made = Vec::new();
        for choice in choices {
            for workload in choice.workloads(&self.workloads, subject)? {
                for nodes in &nodes {
                    let make = Make { time, nodes: *nodes, rate: self.rate };
                    let mut one = subject.configuration(choice, &workload, make);
                    if let Some(nodes) = nodes {
                        one.name = format!("{} on {nodes} nodes", one.name);
                    }
                    made.push(one);
                }
            }
        }
        Ok(made)
    }
}

/// Every configuration with each of the programs in place of the target's own.
fn on_binaries(
    configurations: &[Configuration],
    binaries: &[(String, PathBuf)],
) -> Result<Vec<Configuration>, Failure> {
    let mut made = Vec::new();
    for one in configurations {
        for (name, path) in binaries {
            let mut one = one.clone();
            let other = with_program(&one.spec.target, path);
            one.spec.target = other.or_usage(|| path.display().to_string())?;
            one.name = format!("{} of {name}", one.name);
            one.version.clone_from(name);
            made.push(one);
        }
    }
    Ok(made)
}

/// Adds a configuration, or its weight to the one that is the same: two matrices may share some,
/// such as the honest store as the control of both.
fn add(configurations: &mut Vec<Configuration>, new: Configuration) {
    let same = |it: &&mut Configuration| Configuration { weight: it.weight, ..new.clone() } == **it;
    match configurations.iter_mut().find(same) {
        Some(known) => known.weight += new.weight,
        None => configurations.push(new),
    }
}

/// A target, as configurations have it.
#[derive(Debug)]
pub struct Subject {
    spec: TargetSpec,
    target: Target,
    version: String,
}

impl Subject {
    /// The target of that name or in that file.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is none.
    pub fn find(name: &str) -> Result<Self, Failure> {
        let spec = Target::spec(name).or_usage(|| "the target".to_owned())?;
        let target = Target::of(&spec).or_usage(|| "the target".to_owned())?;
        let stem = Path::new(name).file_stem().unwrap_or_default();
        Ok(Self { spec, target, version: stem.to_string_lossy().into_owned() })
    }

    /// The workloads that fit it.
    pub fn workloads(&self) -> impl Iterator<Item = &'static str> {
        let fits =
            |it: &&partita_workloads::WorkloadInfo| it.lacking(&*self.target.protocol).is_empty();
        WORKLOADS.iter().filter(fits).map(|it| it.name)
    }

    /// What is run with the profile that a seed draws, and faults that are drawn for each run.
    pub fn profile(&self, seed: u64, time: Milliseconds) -> Configuration {
        let profile = Profile::draw(&self.target, seed);
        let faults = defaults::FAULTS;
        let name = format!("{}/{}/{faults}-{seed:02}", self.version, profile.workload.name);
        Configuration {
            name,
            target: self.target.name.clone(),
            version: self.version.clone(),
            faults: faults.to_owned(),
            weight: 1.0,
            spec: RunSpec { time, ..profile.spec(self.spec.clone(), faults.to_owned(), 0) },
        }
    }

    /// What is run with these faults and this workload.
    pub fn configuration(&self, choice: &Choice, workload: &str, make: Make) -> Configuration {
        let script = &choice.script;
        let rate = make.rate.or(script.rate.map(f64::from)).unwrap_or(defaults::RATE);
        let needed = whole(script.needs());
        let arguments = script.arguments.get(&self.target.name).cloned().unwrap_or_default();
        let name = match self.version == self.target.name {
            true => format!("{}/{workload}/{}", self.target.name, choice.name),
            false => format!("{}/{workload}/{} of {}", self.target.name, choice.name, self.version),
        };
        Configuration {
            name,
            target: self.target.name.clone(),
            version: self.version.clone(),
            faults: choice.name.clone(),
            weight: 1.0,
            spec: RunSpec {
                format: spec::FORMAT,
                target: self.spec.clone(),
                node_arguments: arguments,
                nodes: make.nodes.or(script.nodes).unwrap_or(defaults::NODES),
                workload: workload.to_owned(),
                rate,
                clients: script.clients.unwrap_or_else(|| defaults::clients(rate)),
                faults: choice.faults.clone(),
                time: make.time.unwrap_or(defaults::TIME).max(needed),
                ..RunSpec::default()
            },
        }
    }
}

/// What is not said by a target and its faults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Make {
    /// How long clients and faults are at work, at least.
    pub time: Option<Milliseconds>,
    /// How many nodes.
    pub nodes: Option<u32>,
    /// Operations a second.
    pub rate: Option<f64>,
}

/// Faults that a configuration may have.
#[derive(Debug)]
pub struct Choice {
    name: String,
    faults: FaultsSpec,
    script: Script,
}

impl Choice {
    /// Those of a set.
    pub fn set(name: &str) -> Self {
        let faults = FaultsSpec::Draw(name.to_owned());
        Self { name: name.to_owned(), faults, script: Script::default() }
    }

    /// Those of a recipe, or of a file.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is neither.
    pub fn schedule(name: &str) -> Result<Self, Failure> {
        let toml = match RECIPES.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => (*text).to_owned(),
            None if !Path::new(name).exists() => {
                return Err(Names::Recipes.unknown(name)).or_usage(|| "schedules".to_owned());
            }
            None => std::fs::read_to_string(name).or_usage(|| name.to_owned())?,
        };
        let script = Script::parse(name, &toml).or_usage(|| name.to_owned())?;
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let document = Document { name: name.to_owned(), toml };
        Ok(Self { name: stem, faults: FaultsSpec::Schedule(document), script })
    }

    /// What the schedule says that clients do.
    pub fn workload(&self) -> Option<&str> {
        self.script.workload.as_deref()
    }

    fn workloads(&self, given: &[String], subject: &Subject) -> Result<Vec<String>, Failure> {
        for name in given {
            names::workload(name).or_usage(|| "workloads".to_owned())?;
        }
        Ok(match (given, self.workload()) {
            ([], Some(own)) => vec![own.to_owned()],
            ([], None) => subject.workloads().map(str::to_owned).collect(),
            (given, _) => given.to_vec(),
        })
    }
}

/// A configuration for a lab.
///
/// # Errors
///
/// [`Failure`] if something in it is wrong, or cannot be had there.
pub fn fitted(
    mut configuration: Configuration,
    backend: LabBackend,
) -> Result<Configuration, Failure> {
    let plan = Plan::of(configuration.spec.clone(), Default::default(), String::new())?;
    let plan = plan.fitted(backend)?;
    if let Faults::Drawn(set) = &plan.faults {
        let empty = set.faults().next().is_none() && set.to_string() != "none";
        if empty {
            let name = &configuration.name;
            return Err(Failure::usage(miette::miette!("{name}: no such fault can be had here")));
        }
    }
    configuration.spec.lab = lab(backend);
    Ok(configuration)
}

fn milliseconds(text: Option<&str>) -> Result<Option<Milliseconds>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let expected = || miette::miette!("`{text}`: expected a duration such as `20s` or `10m`");
    let parsed = text.parse::<jiff::SignedDuration>().map_err(|_| Failure::usage(expected()))?;
    let time = Duration::try_from(parsed).map_err(|_| Failure::usage(expected()))?;
    Milliseconds::try_from(time).map(Some).or_usage(|| text.to_owned())
}

fn whole(time: Duration) -> Milliseconds {
    Milliseconds(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: Setting<'static> = Setting {
        night: 7,
        backend: LabBackend::Namespaces,
        runs: Some(9),
        rounds: None,
        time: None,
        binaries: &[],
    };

    fn plan(text: &str) -> Result<CampaignPlan, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("nightly.toml");
        std::fs::write(&path, text).expect("written");
        let told = |failure: Failure| failure.messages().join(": ");
        CampaignFile::read(&path).map_err(told)?.plan("raft-node", SETTING).map_err(told)
    }

    fn names(plan: &CampaignPlan) -> Vec<&str> {
        plan.configurations.iter().map(|it| it.name.as_str()).collect()
    }

    #[test]
    fn a_matrix_is_the_product_of_what_stands_in_it() {
        let plan = plan(
            "time = \"5s\"\nreplays = 3\nshrink = \"0s\"\n[[matrix]]\nworkloads = [\"register\", \
             \"append\"]\nfaults = [\"partition\"]\nschedules = [\"killed-leaders\"]\nmutations = \
             [\"none\", \"no-dedup\"]\nweight = 2.5\n",
        )
        .expect("a plan");
        assert_eq!(
            names(&plan),
            [
                "raft-node/register/partition",
                "raft-node/append/partition",
                "raft-node/register/killed-leaders",
                "raft-node/append/killed-leaders",
                "raft-node/register/partition with no-dedup",
                "raft-node/append/partition with no-dedup",
                "raft-node/register/killed-leaders with no-dedup",
                "raft-node/append/killed-leaders with no-dedup",
            ]
        );
        assert_eq!((plan.name.as_str(), plan.night, plan.runs), ("nightly", 7, Some(9)));
        assert_eq!((plan.replays, plan.shrink.0), (3, 0));
        let [first, .., last] = plan.configurations.as_slice() else { panic!("eight") };
        assert_eq!(
            (first.spec.time.0, first.weight, first.version.as_str()),
            (5_000, 2.5, "raft-node")
        );
        assert_eq!(last.spec.mutations, ["no-dedup"]);
        assert_eq!(plan.canary.expect("a canary").mutations, [CANARY]);
        assert_eq!(plan.control.expect("a control").faults, FaultsSpec::Draw("none".to_owned()));
    }

    #[test]
    fn what_is_left_out_is_what_fits() {
        let plan = plan("canary = false\n").expect("a plan");
        let is_profile = |name: &&&str| name.contains("/default-");
        assert!(names(&plan).iter().filter(is_profile).count() > 20, "{:?}", names(&plan));
        assert!(plan.canary.is_none() && plan.control.is_some());
        let recipe = self::plan("[[matrix]]\nschedules = [\"retries\"]\n").expect("a plan");
        assert_eq!(names(&recipe), ["raft-node/retry/retries"], "as the schedule says");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |text: &str| plan(text).expect_err("refused");
        assert!(problem("[[matrix]]\nworkload = [\"register\"]\n").contains("workload"));
        assert!(
            problem("[[matrix]]\nworkloads = [\"regsiter\"]\n").contains("did you mean `register`")
        );
        assert!(
            problem("[[matrix]]\nschedules = [\"kiled-leaders\"]\n").contains("killed-leaders")
        );
        assert!(problem("[[matrix]]\nfaults = [\"partitions\"]\n").contains("partition"));
        assert!(problem("time = \"20\"\n").contains("expected a duration"));
        let matrix = "[[matrix]]\nworkloads = [\"register\"]\n";
        let other_rate = &format!("{matrix}{matrix}rate = 77.0\n");
        assert!(problem(other_rate).contains("two configurations are called `raft-node/"));
    }

    #[test]
    fn what_two_matrices_share_is_one_configuration_with_the_weight_of_both() {
        let matrix = |bug: &str, weight: f64| {
            format!(
                "[[matrix]]\nprofiles = 2\nmutations = [\"none\", \"{bug}\"]\nweight = {weight}\n"
            )
        };
        let text = matrix("no-dedup", 0.5) + &matrix("commit-prior-term", 2.0);
        let plan = plan(&text).expect("a plan");
        let weights: Vec<f64> = plan.configurations.iter().map(|it| it.weight).collect();
        assert_eq!(weights, [2.5, 2.5, 0.5, 0.5, 2.0, 2.0], "{:?}", names(&plan));
    }
}
