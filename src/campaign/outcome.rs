//! From what a run's process told to the line that is kept of it.

use std::collections::{BTreeMap, BTreeSet};

use partita_checker::{Analysis, Counterexample, Verdict};
use partita_nemesis::FaultRecord;
use partita_reports::campaign::record::{Replayed, RunResult, Sighting, slug};
use partita_reports::recovery::Recovery;
use partita_reports::{Counts, Exit, Finding, FindingKind, RunSpec, Stall};
use serde::Deserialize;

use super::signature;

/// The part of its time for which the controller stood still that makes a run say nothing of time.
const STARVED: f64 = 0.1;

/// What `partita run --json` prints, as far as a campaign reads it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RunSummary {
    /// The run's folder.
    #[serde(default)]
    pub folder: Option<String>,
    /// The verdict on the history.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// What was found.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Why the verdict is unknown.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// What failed of the harness.
    #[serde(default)]
    pub failure: Option<String>,
    /// Why there was no run at all.
    #[serde(default)]
    pub error: Option<String>,
    /// What became of the operations.
    #[serde(default)]
    pub counts: Counts,
    /// Whom the faults hit.
    #[serde(default)]
    pub recovery: Vec<Recovery>,
    /// When the controller stood still.
    #[serde(default)]
    pub stalls: Vec<Stall>,
}

/// What came of a run's process.
#[derive(Debug, Clone, Default)]
pub struct RunOutcome {
    /// What it told; nothing if it came to no result.
    pub told: Option<RunSummary>,
    /// Its exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    /// Why it came to no result, if it did not.
    pub failure: Option<String>,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// The CPU time that it took, in milliseconds.
    pub cpu_ms: u64,
    /// The faults as they happened.
    pub faults: Vec<FaultRecord>,
    /// The specification, if it was another one than was asked for: that of a guided run.
    pub spec: Option<Box<RunSpec>>,
    /// What the checker found.
    pub analysis: Option<Analysis>,
    /// Whether it was ended because the campaign ends: it says nothing.
    pub is_interrupted: bool,
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// In a word.
    pub result: RunResult,
    /// The buckets.
    pub sightings: Vec<Sighting>,
    /// Why it proved nothing or failed.
    pub reason: Option<String>,
    /// Which faults had an effect on whom.
    pub exercised: Vec<String>,
}

impl RunOutcome {
    fn exit(&self) -> Exit {
        match (&self.told, self.code) {
            (Some(told), Some(code)) if told.error.is_none() => Exit::of_code(code),
            (_, Some(code)) if code == i32::from(Exit::Usage.code()) => Exit::Usage,
            _ => Exit::Harness,
        }
    }

    fn why_it_failed(&self) -> String {
        let told = self.told.as_ref();
        let said = told.and_then(|told| told.error.clone().or_else(|| told.failure.clone()));
        let said = said.or_else(|| self.failure.clone());
        said.unwrap_or_else(|| format!("ended with code {:?}", self.code))
    }

    fn counterexample(&self) -> Option<&Counterexample> {
        self.analysis.as_ref()?.counterexample.as_ref()
    }

    /// Whether the controller stood still for so long that nothing can be said of time-outs.
    fn is_starved(&self, spec: &RunSpec) -> bool {
        let stalls = self.told.iter().flat_map(|told| &told.stalls);
        let still: u64 = stalls.map(|stall| stall.length_ns.0 / 1_000_000).sum();
        still as f64 > spec.time.0 as f64 * STARVED
    }
}

/// Whether a finding may be that of a machine that is too slow.
const fn is_of_time(kind: FindingKind) -> bool {
    matches!(kind, FindingKind::NoRecovery | FindingKind::LimitBroken)
}

impl Outcome {
    /// Of a run of `target` as `spec` says.
    pub fn of(target: &str, spec: &RunSpec, played: &RunOutcome) -> Self {
        let empty = Vec::new();
        let findings = played.told.as_ref().map_or(&empty, |told| &told.findings);
        let is_starved = played.is_starved(spec);
        let counts = |finding: &&Finding| !(is_starved && is_of_time(finding.kind));
        let sighting = |finding: &Finding| {
            signature::of_finding(target, &spec.workload, finding, played.counterexample())
        };
        let mut sightings: Vec<Sighting> = findings.iter().filter(counts).map(sighting).collect();
        sightings.dedup_by(|a, b| a.bucket == b.bucket);
        let remark = || played.told.as_ref().and_then(|told| told.remarks.first().cloned());
        let (result, reason) = match played.exit() {
            _ if !sightings.is_empty() => (RunResult::Finding, None),
            Exit::Finding if is_starved => (RunResult::Starved, remark()),
            // It says that it found something and does not say what: not to be lost.
            Exit::Finding => {
                let unnamed =
                    Finding::new(FindingKind::Unrecognized, "not named", "It is not told.");
                sightings.push(sighting(&unnamed));
                (RunResult::Finding, None)
            }
            Exit::Valid => (RunResult::Valid, None),
            Exit::Unknown if is_starved => (RunResult::Starved, remark()),
            Exit::Unknown => (RunResult::Unknown, remark()),
            Exit::Harness | Exit::Usage => {
                let why = played.why_it_failed();
                sightings.push(signature::of_trouble(target, &spec.workload, &why));
                (RunResult::Harness, Some(why))
            }
        };
        Self { result, sightings, reason, exercised: exercised(played) }
    }

    /// Whether it falls into a bucket, as a replay is asked.
    pub fn reproduces(&self, bucket: &str) -> Replayed {
        if self.sightings.iter().any(|sighting| sighting.bucket == bucket) {
            return Replayed::Yes;
        }
        match (self.result, self.sightings.first()) {
            (RunResult::Finding, Some(other)) => Replayed::No(other.signature.in_words()),
            (RunResult::Harness | RunResult::Starved, _) => {
                Replayed::Failed(self.reason.clone().unwrap_or_default())
            }
            (result, _) => Replayed::No(result.name().to_owned()),
        }
    }
}

/// Which faults had a measurable effect, and what those were that they hit: `isolate leader`.
fn exercised(played: &RunOutcome) -> Vec<String> {
    let Some(told) = &played.told else { return Vec::new() };
    let victims: BTreeMap<u32, &Recovery> = told.recovery.iter().map(|it| (it.fault, it)).collect();
    let mut all = BTreeSet::new();
    for fault in played.faults.iter().filter(|fault| !fault.effects.is_empty()) {
        let victims = victims.get(&fault.id).map(|it| it.victims.as_slice()).unwrap_or_default();
        let roles = victims.iter().filter_map(|victim| victim.role.as_deref());
        let mut roles: Vec<String> = roles.map(slug).collect();
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            all.insert(fault.fault.clone());
        }
        all.extend(roles.iter().map(|role| format!("{} {role}", fault.fault)));
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use partita_checker::Nanoseconds;

    use super::*;

    fn played(code: i32, told: RunSummary) -> RunOutcome {
        RunOutcome { told: Some(told), code: Some(code), ..RunOutcome::default() }
    }

    fn outcome(played: &RunOutcome) -> Outcome {
        Outcome::of("store", &RunSpec::default(), played)
    }

    fn starved(told: RunSummary) -> RunSummary {
        let stall = Stall { began_ns: Nanoseconds(0), length_ns: Nanoseconds(5_000_000_000) };
        RunSummary { stalls: vec![stall], ..told }
    }

    fn with(kind: FindingKind) -> RunSummary {
        RunSummary {
            findings: vec![Finding::new(kind, "a title", "A sentence.")],
            ..RunSummary::default()
        }
    }

    #[test]
    fn a_slow_machine_excuses_what_is_about_time_and_never_a_violation() {
        let of = |code, told| outcome(&played(code, told)).result;
        assert_eq!(of(1, with(FindingKind::NoRecovery)), RunResult::Finding);
        assert_eq!(of(1, starved(with(FindingKind::NoRecovery))), RunResult::Starved);
        assert_eq!(of(1, starved(with(FindingKind::LimitBroken))), RunResult::Starved);
        for kind in [FindingKind::Violation, FindingKind::Crash, FindingKind::ReplicasDiffer] {
            assert_eq!(of(1, starved(with(kind))), RunResult::Finding, "{kind}");
        }
        assert_eq!(of(3, RunSummary::default()), RunResult::Unknown);
        assert_eq!(of(3, starved(RunSummary::default())), RunResult::Starved);
        assert_eq!(of(0, starved(RunSummary::default())), RunResult::Valid);
        // Both at once: the violation stands.
        let mut both = starved(with(FindingKind::NoRecovery));
        both.findings.extend(with(FindingKind::Violation).findings);
        let both = outcome(&played(1, both));
        assert_eq!((both.result, both.sightings.len()), (RunResult::Finding, 1));
    }

    #[test]
    fn a_finding_is_never_lost_by_the_way_it_is_told() {
        let silent = outcome(&played(1, RunSummary::default()));
        assert_eq!((silent.result, silent.sightings.len()), (RunResult::Finding, 1));
    }

    #[test]
    fn what_is_not_the_stores_is_a_class_of_its_own() {
        let killed =
            RunOutcome { failure: Some("signal: 9 (SIGKILL)".to_owned()), ..RunOutcome::default() };
        let killed = outcome(&killed);
        assert_eq!(killed.result, RunResult::Harness);
        assert_eq!(killed.sightings[0].signature.what, "out of memory");
        let told = RunSummary {
            error: Some("--target: no such file".to_owned()),
            ..RunSummary::default()
        };
        let wrong = outcome(&played(2, told));
        assert_eq!(wrong.result, RunResult::Harness);
        assert!(wrong.sightings[0].signature.is_harness());
        assert_eq!(wrong.reason.as_deref(), Some("--target: no such file"));
    }

    #[test]
    fn a_replay_reproduces_its_own_bucket_only() {
        let found = outcome(&played(1, with(FindingKind::Violation)));
        let bucket = found.sightings[0].bucket.clone();
        assert_eq!(found.reproduces(&bucket), Replayed::Yes);
        let crashed = outcome(&played(1, with(FindingKind::Crash)));
        assert_eq!(crashed.reproduces(&bucket), Replayed::No("crash: a title".to_owned()));
        let valid = outcome(&played(0, RunSummary::default()));
        assert_eq!(valid.reproduces(&bucket), Replayed::No("valid".to_owned()));
        let failed = outcome(&played(
            4,
            RunSummary { failure: Some("no".to_owned()), ..RunSummary::default() },
        ));
        assert_eq!(failed.reproduces(&bucket), Replayed::Failed("no".to_owned()));
    }
}
