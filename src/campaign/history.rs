//! What nights leave to later nights: a folder that may be a branch's checkout or a cache.
//!
//! `nights/NIGHT.json` says what a night saw and tried, `buckets/BUCKET.json` how a bucket is seen again.
//! Each is written once a night, whole or not at all, so that two branches of the history merge file by
//! file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use partita_reports::RunSpec;
use partita_reports::campaign::overview::Status;
use partita_reports::campaign::record::{FaultLeft, ReplayLine, Replayed, RunLine, Signature};
use partita_reports::campaign::statistics::Ratio;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::folder::{Campaign, CampaignFolder, entries, in_json, replace};
use super::plan::{CampaignPlan, Shard};
use super::work::{PastBucket, replay_of};
use crate::exit::{Failure, FailureContext};

/// The number of the form of both files.
const FORMAT: u32 = 1;

/// The most that a bucket of an earlier night is tried.
const MOST_TRIALS: u64 = 5;

/// What earlier nights left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    nights: BTreeMap<u64, NightRecord>,
    buckets: BTreeMap<String, BucketRecord>,
}

/// What a night saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightRecord {
    format: u32,
    night: u64,
    /// Runs of its plan.
    runs: u64,
    /// Buckets of the store that were seen, each with the number of runs.
    seen: BTreeMap<String, u64>,
    /// How often buckets of earlier nights were tried and not seen.
    clean_trials: BTreeMap<String, u64>,
    /// Trouble of the machine and the harness, likewise. It is not tried again, and is never closed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    trouble: BTreeMap<String, u64>,
}

/// How a bucket is seen again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketRecord {
    format: u32,
    /// Its name.
    pub bucket: String,
    /// What its runs have in common.
    pub signature: Signature,
    /// What was found, in a sentence.
    pub sentence: String,
    /// The night that saw it first.
    pub first_night: u64,
    /// How often replays gave it, when it was new.
    pub replayed: Ratio,
    /// The faults that were left of those of its run, when it was new; empty if that is not known.
    #[serde(default)]
    pub faults: Vec<FaultLeft>,
    /// The configuration of the run that is played again.
    configuration: String,
    /// The version that it was seen in.
    version: String,
    /// That run, with its faults; absent if its folder was not kept.
    spec: Option<RunSpec>,
}

impl History {
    /// Reads what is in the folder; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`Failure`], naming the file that is none of a history or of a newer format.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let mut history = Self::default();
        for path in files(folder, "nights")? {
            let record: NightRecord = parse(&path)?;
            history.nights.insert(record.night, record);
        }
        for path in files(folder, "buckets")? {
            let record: BucketRecord = parse(&path)?;
            history.buckets.insert(record.bucket.clone(), record);
        }
        Ok(history)
    }

    /// The buckets of earlier nights.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketRecord> {
        self.buckets.values()
    }

    /// The faults that a bucket takes, if an earlier night found them out.
    pub fn faults(&self, bucket: &str) -> Option<&[FaultLeft]> {
        let record = self.buckets.get(bucket).filter(|record| !record.faults.is_empty());
        record.map(|record| record.faults.as_slice())
    }

    /// Nights on record.
    pub fn nights(&self) -> impl Iterator<Item = u64> + '_ {
        self.nights.keys().copied()
    }

    /// The nights before this one in which a bucket was seen.
    pub fn seen_before(&self, bucket: &str, night: u64) -> Vec<u64> {
        let before = self.nights.range(..night);
        let saw =
            |it: &NightRecord| it.seen.contains_key(bucket) || it.trouble.contains_key(bucket);
        before.filter(|(_, it)| saw(it)).map(|(night, _)| *night).collect()
    }

    /// How a bucket stands in a night that has seen it or not, after so many clean trials in that night.
    pub fn status(&self, bucket: &str, night: u64, is_seen: bool, clean_trials: u64) -> Status {
        let Some(last) = self.seen_before(bucket, night).last().copied() else {
            return Status::New;
        };
        let since = || self.nights.range(last + 1..night).map(|(_, record)| record);
        let earlier: u64 = since().filter_map(|it| it.clean_trials.get(bucket)).sum();
        let needed = self.buckets.get(bucket).and_then(|it| it.replayed.clean_trials_to_close());
        let is_closed = |trials: u64| needed.is_some_and(|needed| trials >= needed);
        let nights = since().count() as u64 + 1;
        match (is_seen, is_closed(earlier)) {
            (true, true) => Status::Back,
            (true, false) => Status::Known,
            (false, _) if is_closed(earlier + clean_trials) => Status::Closed(nights),
            (false, _) => Status::Gone(nights),
        }
    }

    /// The buckets that a shard of a night tries first, with the versions that its plan has now.
    pub fn to_try(&self, plan: &CampaignPlan, shard: Shard) -> Vec<PastBucket> {
        let is_open = |record: &&BucketRecord| {
            let status = self.status(&record.bucket, plan.night, false, 0);
            record.first_night < plan.night && !matches!(status, Status::Closed(_))
        };
        let open = self.buckets.values().filter(is_open);
        let mine =
            (0..).zip(open).filter(|(place, _)| shard.owns(*place)).map(|(_, record)| record);
        mine.filter_map(|record| record.past(plan)).collect()
    }

    /// Writes down what a night has seen.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a file cannot be written.
    pub fn record(
        &self,
        folder: &Path,
        home: &CampaignFolder,
        campaign: &Campaign,
        runs: &[RunLine],
        replays: &[ReplayLine],
    ) -> Result<(), Failure> {
        let night = NightRecord::of(&campaign.plan, runs, replays);
        let mut made = Vec::new();
        for bucket in night.seen.keys().filter(|bucket| self.is_new(bucket, night.night)) {
            made.extend(BucketRecord::of(bucket, home, &campaign.plan, runs, replays));
        }
        for record in made {
            let path = folder.join("buckets").join(format!("{}.json", record.bucket));
            write(&path, &record)?;
        }
        write(&folder.join("nights").join(format!("{:08}.json", night.night)), &night)
    }

    /// Whether no night before has left a bucket, or none with a run that can be played again.
    fn is_new(&self, bucket: &str, night: u64) -> bool {
        self.buckets.get(bucket).is_none_or(|it| it.first_night >= night || it.spec.is_none())
    }
}

impl NightRecord {
    fn of(plan: &CampaignPlan, runs: &[RunLine], replays: &[ReplayLine]) -> Self {
        let mut night = Self { format: FORMAT, night: plan.night, ..Self::default() };
        night.runs = runs.len() as u64;
        for sighting in runs.iter().flat_map(|line| &line.sightings) {
            let is_harness = sighting.signature.is_harness();
            let counts = if is_harness { &mut night.trouble } else { &mut night.seen };
            *counts.entry(sighting.bucket.clone()).or_default() += 1;
        }
        for (bucket, counts) in past(replays) {
            if counts.k > 0 {
                *night.seen.entry(bucket).or_default() += counts.k;
            } else if !night.seen.contains_key(&bucket) {
                night.clean_trials.insert(bucket, counts.n);
            }
        }
        night
    }
}

/// How often buckets of earlier nights were seen when they were tried.
pub fn past(replays: &[ReplayLine]) -> BTreeMap<String, Ratio> {
    let mut trials: BTreeMap<String, Vec<Option<bool>>> = BTreeMap::new();
    for line in replays {
        if let ReplayLine::Past { bucket, outcome, .. } = line {
            trials.entry(bucket.clone()).or_default().push(outcome.counts());
        }
    }
    trials.into_iter().map(|(bucket, outcomes)| (bucket, Ratio::of(outcomes))).collect()
}

/// How often replays of a bucket's runs gave it again.
pub fn replayed(bucket: &str, replays: &[ReplayLine]) -> Ratio {
    Ratio::of(replays.iter().filter_map(|line| match line {
        ReplayLine::Replay { bucket: of, outcome, .. } if of == bucket => Some(outcome.counts()),
        _ => None,
    }))
}

/// What the replays of a bucket's runs came to that did not give it again, and how many of them.
pub fn otherwise(bucket: &str, replays: &[ReplayLine]) -> BTreeMap<String, u64> {
    let mut otherwise = BTreeMap::new();
    for line in replays {
        if let ReplayLine::Replay { bucket: of, outcome: Replayed::No(saw), .. } = line
            && of == bucket
        {
            *otherwise.entry(saw.clone()).or_default() += 1;
        }
    }
    otherwise
}

/// The faults that are left of the first run of a bucket that was shrunk.
fn faults(bucket: &str, replays: &[ReplayLine]) -> Vec<FaultLeft> {
    let left = replays.iter().filter_map(|line| match line {
        ReplayLine::Shrunk { bucket: it, of, faults, .. } if it == bucket => Some((of, faults)),
        _ => None,
    });
    let first = left.filter(|(_, faults)| !faults.is_empty()).min_by_key(|(of, _)| **of);
    first.map(|(_, faults)| faults.clone()).unwrap_or_default()
}

impl BucketRecord {
    fn of(
        bucket: &str,
        home: &CampaignFolder,
        plan: &CampaignPlan,
        runs: &[RunLine],
        replays: &[ReplayLine],
    ) -> Option<Self> {
        let sees = |line: &&RunLine| line.sightings.iter().any(|it| it.bucket == bucket);
        let kept = |line: &&RunLine| line.kept.is_some();
        let line = runs.iter().filter(sees).find(kept).or_else(|| runs.iter().find(sees))?;
        let sighting = line.sightings.iter().find(|it| it.bucket == bucket)?;
        let folder = line.kept.as_ref().map(|kept| home.file(kept));
        let configuration = plan.configuration(line.index);
        Some(Self {
            format: FORMAT,
            bucket: bucket.to_owned(),
            signature: sighting.signature.clone(),
            sentence: sighting.sentence.clone(),
            first_night: plan.night,
            replayed: replayed(bucket, replays),
            faults: faults(bucket, replays),
            configuration: line.configuration.clone(),
            version: configuration.version.clone(),
            spec: folder.and_then(|folder| replay_of(&folder).ok()),
        })
    }

    /// The run that is played again, with the version of the target that the plan has now.
    fn past(&self, plan: &CampaignPlan) -> Option<PastBucket> {
        let spec = self.spec.clone()?;
        let target = &self.signature.target;
        let of_target = || plan.configurations.iter().filter(|it| it.target == *target);
        let same = of_target().find(|it| it.name == self.configuration);
        let version = same.or_else(|| of_target().find(|it| it.version == self.version));
        let now = version.or_else(|| of_target().next())?;
        let trials = self.replayed.clean_trials_to_close().unwrap_or(MOST_TRIALS).min(MOST_TRIALS);
        Some(PastBucket {
            bucket: self.bucket.clone(),
            spec: RunSpec {
                target: now.spec.target.clone(),
                mutations: now.spec.mutations.clone(),
                lab: now.spec.lab,
                ..spec
            },
            target: target.clone(),
            trials: u32::try_from(trials).unwrap_or(1),
        })
    }
}

fn files(folder: &Path, kind: &str) -> Result<Vec<PathBuf>, Failure> {
    let path = folder.join(kind);
    let found = entries(&path).or_usage(|| path.display().to_string())?;
    Ok(found.into_iter().filter(|path| path.extension().is_some_and(|it| it == "json")).collect())
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    #[derive(Deserialize)]
    struct Header {
        format: u32,
    }
    let context = || path.display().to_string();
    let text = std::fs::read_to_string(path).or_usage(context)?;
    let Header { format } = serde_json::from_str(&text).or_usage(context)?;
    if format > FORMAT {
        return Err(Failure::usage(miette::miette!(
            "{}: it has format {format}, and this version reads format {FORMAT}",
            path.display()
        )));
    }
    serde_json::from_str(&text).or_usage(context)
}

fn write(path: &Path, document: &impl Serialize) -> Result<(), Failure> {
    let context = || path.display().to_string();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).or_harness(context)?;
    }
    replace(path, &in_json(document)?).or_harness(context)
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    fn record(bucket: &str, k: u64) -> BucketRecord {
        BucketRecord {
            format: FORMAT,
            bucket: bucket.to_owned(),
            signature: Signature {
                target: "raft-node".to_owned(),
                workload: "register".to_owned(),
                kind: "violation".to_owned(),
                what: "stale read".to_owned(),
                shape: Vec::new(),
            },
            sentence: "A sentence.".to_owned(),
            first_night: 1,
            replayed: Ratio { k, n: 10 },
            faults: Vec::new(),
            configuration: "raft-node/w0/default".to_owned(),
            version: "raft-node".to_owned(),
            spec: Some(RunSpec { mutations: vec!["no-dedup".to_owned()], ..RunSpec::default() }),
        }
    }

    fn night(number: u64, seen: &[&str], clean: &[(&str, u64)]) -> NightRecord {
        NightRecord {
            format: FORMAT,
            night: number,
            runs: 10,
            seen: seen.iter().map(|it| ((*it).to_owned(), 1)).collect(),
            clean_trials: clean.iter().map(|(it, n)| ((*it).to_owned(), *n)).collect(),
            trouble: BTreeMap::new(),
        }
    }

    fn history(nights: Vec<NightRecord>, buckets: Vec<BucketRecord>) -> History {
        History {
            nights: nights.into_iter().map(|it| (it.night, it)).collect(),
            buckets: buckets.into_iter().map(|it| (it.bucket.clone(), it)).collect(),
        }
    }

    #[test]
    fn trouble_that_a_night_had_is_known_the_night_after_and_never_tried_again() {
        let sighting =
            super::super::signature::of_trouble("store", "append", "disk quota exceeded");
        let bucket = sighting.bucket.clone();
        let line = serde_json::json!({
            "index": 0, "configuration": "raft-node/w0/default", "seed": 1, "started_ms": 0,
            "wall_ms": 1, "cpu_ms": 1, "result": "harness", "sightings": [sighting],
        });
        let line: RunLine = serde_json::from_value(line).expect("a line of a run");
        let plan = CampaignPlan { night: 1, ..plan(2) };
        let history = history(vec![NightRecord::of(&plan, &[line], &[])], Vec::new());
        assert_eq!(history.status(&bucket, 1, true, 0), Status::New);
        assert_eq!(history.status(&bucket, 2, true, 0), Status::Known);
        assert_eq!(history.seen_before(&bucket, 2), [1]);
        assert!(history.to_try(&plan, Shard::WHOLE).is_empty());
    }

    #[test]
    fn a_bucket_is_new_then_known_then_gone_then_closed_then_back() {
        let nights = vec![night(1, &["b"], &[]), night(2, &["b"], &[]), night(3, &[], &[("b", 2)])];
        // Ten of ten: three clean trials close it.
        let history = history(nights, vec![record("b", 10)]);
        let status = |at, is_seen, clean| history.status("b", at, is_seen, clean);
        assert_eq!(status(1, true, 0), Status::New);
        assert_eq!(status(2, true, 0), Status::Known);
        assert_eq!(status(3, false, 2), Status::Gone(1));
        assert_eq!(status(4, false, 0), Status::Gone(2), "not tried is not clean");
        assert_eq!(status(4, false, 1), Status::Closed(2));
        assert_eq!(status(4, true, 0), Status::Known, "it was not closed yet");
        let mut closed = history.clone();
        closed.nights.insert(4, night(4, &[], &[("b", 1)]));
        assert_eq!(closed.status("b", 5, true, 0), Status::Back);
        assert_eq!(closed.status("c", 5, true, 0), Status::New);
    }

    #[test]
    fn a_rare_bucket_is_not_closed_by_few_clean_trials() {
        let nights = vec![night(1, &["b"], &[]), night(2, &[], &[("b", 5)])];
        let history = history(nights, vec![record("b", 1)]);
        assert_eq!(history.status("b", 3, false, 5), Status::Gone(2));
    }

    #[test]
    fn past_buckets_are_tried_with_the_version_of_today_and_by_one_shard_each() {
        let plan = plan(2);
        let nights = vec![night(1, &["a", "b", "c"], &[])];
        let records = ["a", "b", "c"].map(|it| record(it, 10)).to_vec();
        let history = history(nights, records);
        let all = history.to_try(&plan, Shard::WHOLE);
        assert_eq!(all.len(), 3);
        // The planted bug of that night is not there any more.
        assert!(all[0].spec.mutations.is_empty());
        assert_eq!(all[0].trials, 3);
        let of = |index| history.to_try(&plan, Shard { index, of: 2 });
        let names: Vec<_> = of(0).into_iter().chain(of(1)).map(|it| it.bucket).collect();
        assert_eq!(names, ["a", "c", "b"]);
    }

    #[test]
    fn a_history_is_read_as_it_was_written_and_a_newer_one_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let expected = history(vec![night(1, &["b"], &[("c", 2)])], vec![record("b", 3)]);
        write(&path("nights/00000001.json"), &expected.nights[&1]).expect("written");
        write(&path("buckets/b.json"), &expected.buckets["b"]).expect("written");
        assert_eq!(History::read(folder.path()).expect("a history"), expected);
        assert_eq!(History::read(&path("none")).expect("nothing"), History::default());
        write(&path("nights/2.json"), &NightRecord { format: 2, ..night(2, &[], &[]) })
            .expect("written");
        let problem = History::read(folder.path()).expect_err("refused").messages().join(": ");
        assert!(problem.contains("format 2"), "{problem}");
    }
}
