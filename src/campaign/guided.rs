//! Plays runs whose faults are drawn from what earlier runs came to.
//!
//! It stands between a campaign and what plays its runs. A run whose faults are a hunt gets others instead,
//! written down as a schedule, so that its folder has all that is needed to play it again; every other run is
//! left as it is. Each subject, a target with its planted bugs, has a guide of its own, which lasts as long as this
//! process does: a campaign that is resumed begins to learn anew.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use partita_nemesis::doctor::best_backend;
use partita_nemesis::{FeedbackScheduler, HuntContext, LabBackend, Schedule, Script, is_hunt};
use partita_reports::RunSpec;
use partita_reports::spec::{Document, FaultsSpec, LabChoice};

use super::outcome::RunOutcome;
use super::runner::{Runner, Shrunk};
use crate::exit::{Failure, FailureContext};
use crate::run::profile::Profile;
use crate::run::{Faults, samples};
use crate::targets::Target;

/// What the schedules of guided runs are called.
pub const NAME: &str = "guided";

/// What is known of the subjects of a row of runs.
#[derive(Debug)]
pub struct Guidance {
    seed: u64,
    backend: OnceLock<LabBackend>,
    guides: Mutex<BTreeMap<String, FeedbackScheduler>>,
}

impl Guidance {
    /// Nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, backend: OnceLock::new(), guides: Mutex::default() }
    }

    /// The run with faults by what is known of its subject; as it is, if they are no hunt.
    pub fn next(&self, spec: &RunSpec) -> RunSpec {
        // What cannot be guided is refused by the run itself, with its reason.
        self.guided(spec).ok().flatten().unwrap_or_else(|| spec.clone())
    }

    fn guides(&self) -> MutexGuard<'_, BTreeMap<String, FeedbackScheduler>> {
        self.guides.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run with faults that the subject's guide proposes, or none if it has nothing to say of it.
    fn guided(&self, spec: &RunSpec) -> Result<Option<RunSpec>, Failure> {
        let FaultsSpec::Draw(name) = &spec.faults else { return Ok(None) };
        if !is_hunt(name) {
            return Ok(None);
        }
        let target = Target::of(&spec.target).or_usage(|| "the target".to_owned())?;
        let Faults::Drawn(set) = Faults::of(&spec.faults, &target)? else { return Ok(None) };
        let set = set.fitted(self.backend(spec)).or_usage(|| "the faults".to_owned())?;
        let nodes: Vec<String> = (1..=spec.nodes).map(|number| format!("n{number}")).collect();
        let ground = HuntContext {
            set: &set,
            nodes: &nodes,
            time: spec.time.duration(),
            seed: spec.seed,
            clock_drift: Profile::clock_drift(&target, &spec.node_arguments),
        };
        let mut guides = self.guides();
        let guide =
            guides.entry(subject(spec)).or_insert_with(|| FeedbackScheduler::new(self.seed));
        let schedule = guide.propose(ground);
        drop(guides);
        if schedule.faults.is_empty() {
            return Ok(None);
        }
        let toml = schedule.written("drawn from what earlier runs came to");
        let faults = FaultsSpec::Schedule(Document { name: NAME.to_owned(), toml });
        Ok(Some(RunSpec { faults, ..spec.clone() }))
    }

    fn backend(&self, spec: &RunSpec) -> LabBackend {
        match spec.lab {
            LabChoice::Namespaces => LabBackend::Namespaces,
            LabChoice::Proxies => LabBackend::Proxies,
            LabChoice::Signals => LabBackend::Signals,
            LabChoice::Auto => *self.backend.get_or_init(|| best_backend().0),
        }
    }

    /// Learns from the folder of a run.
    pub fn learn(&self, spec: &RunSpec, folder: &Path) {
        let Some(schedule) = schedule(folder) else { return };
        let samples = samples::read(folder);
        let mut guides = self.guides();
        let guide =
            guides.entry(subject(spec)).or_insert_with(|| FeedbackScheduler::new(self.seed));
        let learnt = guide.learn(&schedule, &samples);
        tracing::info!(?learnt, seed = spec.seed, "a guided run is over");
    }
}

/// What runs on one subject have in common.
fn subject(spec: &RunSpec) -> String {
    serde_json::to_string(&(&spec.target, &spec.mutations)).unwrap_or_default()
}

/// The faults of a run, as its folder has them.
fn schedule(folder: &Path) -> Option<Schedule> {
    let toml = std::fs::read_to_string(folder.join("schedule.toml")).ok()?;
    let script = Script::parse(NAME, &toml).ok()?;
    script.for_run(script.needs(), script.seed.unwrap_or_default()).ok()
}

/// What plays guided runs.
pub struct GuidedRunner<'a> {
    runner: &'a dyn Runner,
    guidance: Guidance,
}

impl<'a> GuidedRunner<'a> {
    /// One that knows nothing yet; `runner` does the runs.
    pub fn new(runner: &'a dyn Runner, seed: u64) -> Self {
        Self { runner, guidance: Guidance::new(seed) }
    }
}

impl Runner for GuidedRunner<'_> {
    fn play(&self, spec: &RunSpec, home: &Path, stop: &AtomicBool) -> RunOutcome {
        let guided = self.guidance.next(spec);
        let played = self.runner.play(&guided, home, stop);
        let folder = played.told.as_ref().and_then(|told| told.folder.as_deref());
        if let Some(folder) = folder.filter(|_| guided != *spec) {
            self.guidance.learn(spec, Path::new(folder));
        }
        let spec = (guided != *spec).then(|| Box::new(guided));
        RunOutcome { spec, ..played }
    }

    fn shrink(
        &self,
        folder: &Path,
        kind: &str,
        limit: Duration,
        stop: &AtomicBool,
    ) -> Result<Shrunk, String> {
        self.runner.shrink(folder, kind, limit, stop)
    }
}

#[cfg(test)]
mod tests {
    use partita_nemesis::guide::{Sample, SampledNode};

    use super::super::outcome::RunSummary;
    use super::*;

    /// Notes what it is to play, and leaves behind what a run does.
    #[derive(Default)]
    struct Fake(Mutex<Vec<RunSpec>>);

    impl Runner for Fake {
        fn play(&self, spec: &RunSpec, home: &Path, _: &AtomicBool) -> RunOutcome {
            let mut played = self.0.lock().expect("no panic");
            played.push(spec.clone());
            if let FaultsSpec::Schedule(document) = &spec.faults {
                std::fs::write(home.join("schedule.toml"), &document.toml).expect("written");
            }
            let sample = |at: u64| {
                let role = format!("{} of run {}", at % 7, played.len());
                let node = SampledNode { role, ..SampledNode::default() };
                Sample { at_ms: at * 500, nodes: vec![node], ..Sample::default() }
            };
            let lines = (1..40).map(|at| serde_json::to_string(&sample(at)).expect("JSON") + "\n");
            let text = format!("{}\n{}", samples::HEADER, lines.collect::<String>());
            std::fs::write(home.join(samples::FILE), text).expect("written");
            let folder = Some(home.display().to_string());
            RunOutcome {
                told: Some(RunSummary { folder, ..RunSummary::default() }),
                ..RunOutcome::default()
            }
        }

        fn shrink(&self, _: &Path, _: &str, _: Duration, _: &AtomicBool) -> Result<Shrunk, String> {
            Err("not asked for".to_owned())
        }
    }

    #[test]
    fn hunts_are_guided_by_the_runs_before_and_other_runs_are_left_as_they_are() {
        let (fake, home) = (Fake::default(), tempfile::tempdir().expect("a folder"));
        let guided = GuidedRunner::new(&fake, 7);
        let spec = |seed| RunSpec { lab: LabChoice::Signals, seed, ..RunSpec::default() };
        let other = RunSpec { faults: FaultsSpec::Draw("none".to_owned()), ..spec(3) };
        let bug = RunSpec { mutations: vec!["no-dedup".to_owned()], ..spec(5) };
        let mut told = Vec::new();
        for spec in [spec(5), spec(5), other.clone(), bug] {
            told.push(guided.play(&spec, home.path(), &AtomicBool::new(false)).spec);
        }
        let played = fake.0.into_inner().expect("no panic");
        let toml = |spec: &RunSpec| match &spec.faults {
            FaultsSpec::Schedule(document) => document.toml.clone(),
            FaultsSpec::Draw(set) => set.clone(),
        };
        assert_eq!(played[2], other);
        let all = [Some(&played[0]), Some(&played[1]), None, Some(&played[3])];
        assert_eq!(told.iter().map(Option::as_deref).collect::<Vec<_>>(), all);
        assert_ne!(toml(&played[0]), toml(&played[1]), "it learnt from the first");
        assert_eq!(toml(&played[3]), toml(&played[0]), "of another subject nothing is known");
        let expected = RunSpec { faults: played[1].faults.clone(), ..spec(5) };
        assert_eq!(played[1], expected, "nothing but the faults");
        let again = RunSpec::parse(&serde_json::to_string(&played[1]).expect("JSON"));
        assert_eq!(again.expect("a specification"), played[1]);
    }
}
