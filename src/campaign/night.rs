//! What a campaign does next: a state machine without input or output.
//!
//! It is made from the plan and the lines that are written down already, and told of each line that is
//! added, so that a campaign that was killed goes on from its files. In this order: the canary and the
//! control; buckets of earlier nights; then runs by index, and beside them, for up to half of the time, what
//! there is to learn of new buckets: replays, and the faults that are left.

use std::collections::{BTreeMap, BTreeSet};

use partita_reports::campaign::record::{HARNESS, ReplayLine, RunLine, RunResult, Signature};
use partita_reports::campaign::statistics::Ratio;

use super::fair_queue::Share;
use super::plan::{CampaignPlan, Shard};

/// How often the canary is tried before the night is taken to be blind.
const CANARY_ATTEMPTS: u32 = 3;

/// One process to start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// A planted bug that must be found.
    Canary {
        /// Which run, from 0.
        attempt: u32,
    },
    /// A run without faults.
    Control {
        /// Which run, from 0.
        attempt: u32,
    },
    /// A bucket of an earlier night once more.
    Past {
        /// The bucket.
        bucket: String,
        /// Which trial, from 0.
        attempt: u32,
    },
    /// The run of an index.
    Run {
        /// The index.
        index: u64,
    },
    /// A run of a bucket once more.
    Replay {
        /// The bucket.
        bucket: String,
        /// The run's index.
        of: u64,
        /// Which replay of it, from 0.
        attempt: u32,
    },
    /// The fewest faults that still give what a run found.
    Shrink {
        /// The bucket.
        bucket: String,
        /// The run's index.
        of: u64,
    },
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Start this.
    Start(Job),
    /// Something that is under way decides.
    Wait,
    /// Nothing is left.
    Done,
}

/// When a campaign ends before its budget or its runs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StopRule {
    /// At the first finding of the store.
    pub at_first: bool,
    /// When there are so many buckets of the store.
    pub buckets: Option<usize>,
}

/// The state of a campaign.
#[derive(Debug)]
pub struct Night<'a> {
    plan: &'a CampaignPlan,
    stop: StopRule,
    share: Share<'a>,
    under_way: BTreeSet<Job>,
    buckets: BTreeMap<String, Bucket>,
    canary: Vec<Option<bool>>,
    control: Vec<Option<bool>>,
    past: Vec<Job>,
    /// Milliseconds that processes took: runs by index, and everything else.
    spent_ms: [u64; 2],
    no_new_runs: bool,
}

#[derive(Debug, Default)]
struct Bucket {
    kind: String,
    /// Kept runs by version.
    kept: BTreeMap<String, u32>,
    /// The first run that is kept: it is played again.
    example: Option<u64>,
    /// By attempt.
    replays: BTreeMap<u32, Option<bool>>,
    is_shrunk: bool,
}

impl<'a> Night<'a> {
    /// Of a plan, what of it is done, and how often buckets of earlier nights are to be tried.
    pub fn new(
        plan: &'a CampaignPlan,
        shard: Shard,
        stop: StopRule,
        past: &[(String, u32)],
        runs: &[RunLine],
        replays: &[ReplayLine],
    ) -> Self {
        let jobs = past.iter().flat_map(|(bucket, trials)| {
            (0..*trials).map(|attempt| Job::Past { bucket: bucket.clone(), attempt })
        });
        let mut night = Self {
            plan,
            stop,
            share: Share::new(plan, shard),
            under_way: BTreeSet::new(),
            buckets: BTreeMap::new(),
            canary: Vec::new(),
            control: Vec::new(),
            past: jobs.rev_collect(),
            spent_ms: [0; 2],
            no_new_runs: false,
        };
        for line in runs {
            night.run_done(line);
        }
        for line in replays {
            night.replay_done(line, 0);
        }
        night
    }

    /// That no run by index is to be started any more, as there is no time for one.
    pub fn no_new_runs(&mut self) {
        self.no_new_runs = true;
    }

    /// What to do now.
    pub fn step(&mut self) -> Next {
        match self.choose() {
            Some(job) => {
                self.under_way.insert(job.clone());
                Next::Start(job)
            }
            None if self.under_way.is_empty() => Next::Done,
            None => Next::Wait,
        }
    }

    fn choose(&mut self) -> Option<Job> {
        if let Some(job) = self.check_of_the_night() {
            return Some(job);
        }
        if let Some(job) = self.past.pop() {
            return Some(job);
        }
        let evidence = self.evidence();
        if self.is_stopped() {
            return evidence.filter(|_| !self.stop.at_first);
        }
        let [runs_ms, others_ms] = self.spent_ms;
        let others_under_way = self.under_way.iter().filter(|job| !is_run(job)).count();
        // By what was spent, and of what is under way no more than half.
        let may_learn = others_ms <= runs_ms && others_under_way * 2 <= self.under_way.len();
        if may_learn && evidence.is_some() {
            return evidence;
        }
        let run = if self.no_new_runs { None } else { self.share.take() };
        run.map(|index| Job::Run { index }).or(evidence)
    }

    fn check_of_the_night(&self) -> Option<Job> {
        if self.plan.control.is_some() && self.control.is_empty() {
            let job = Job::Control { attempt: 0 };
            return (!self.under_way.contains(&job)).then_some(job);
        }
        let attempt = self.canary.len() as u32;
        let is_found = self.canary.contains(&Some(true));
        if self.plan.canary.is_none() || is_found || attempt >= CANARY_ATTEMPTS {
            return None;
        }
        let job = Job::Canary { attempt };
        (!self.under_way.contains(&job)).then_some(job)
    }

    /// What there is to learn of the buckets.
    fn evidence(&self) -> Option<Job> {
        self.buckets.iter().find_map(|(name, bucket)| {
            let of = bucket.example?;
            let attempts = 0..self.plan.replays;
            let replay = attempts.filter(|attempt| !bucket.replays.contains_key(attempt)).find_map(
                |attempt| {
                    let job = Job::Replay { bucket: name.clone(), of, attempt };
                    (!self.under_way.contains(&job)).then_some(job)
                },
            );
            if replay.is_some() || (bucket.replays.len() as u32) < self.plan.replays {
                return replay;
            }
            let job = Job::Shrink { bucket: name.clone(), of };
            let is_wanted = bucket.kind != HARNESS && self.plan.shrink.0 > 0;
            let reproduces = Ratio::of(bucket.replays.values().copied()).k > 0;
            let is_open = !bucket.is_shrunk && !self.under_way.contains(&job);
            (is_wanted && reproduces && is_open).then_some(job)
        })
    }

    /// Whether the campaign is to end before its time.
    pub fn is_stopped(&self) -> bool {
        let found = self.buckets.values().filter(|bucket| bucket.kind != HARNESS).count();
        (self.stop.at_first && found > 0) || self.stop.buckets.is_some_and(|most| found >= most)
    }

    /// In which bucket the folder of a run is kept: the first of its buckets that does not have enough of
    /// the version.
    pub fn home(&self, signatures: &[(String, Signature)], version: &str) -> Option<String> {
        let has_room = |bucket: &&(String, Signature)| {
            let kept = self.buckets.get(&bucket.0).and_then(|it| it.kept.get(version));
            kept.copied().unwrap_or(0) < self.plan.keep
        };
        signatures.iter().find(has_room).map(|(name, _)| name.clone())
    }

    /// The kind of finding that a bucket is of; empty if it is not there.
    pub fn kind_of(&self, bucket: &str) -> &str {
        self.buckets.get(bucket).map_or("", |bucket| &bucket.kind)
    }

    /// Whether a bucket is there already.
    pub fn knows(&self, bucket: &str) -> bool {
        self.buckets.contains_key(bucket)
    }

    /// That a run is written down.
    pub fn run_done(&mut self, line: &RunLine) {
        self.under_way.remove(&Job::Run { index: line.index });
        self.share.done(line.index, line.cpu_ms);
        self.spent_ms[0] += line.wall_ms;
        let version = self.plan.configuration(line.index).version.clone();
        for sighting in &line.sightings {
            let bucket = self.buckets.entry(sighting.bucket.clone()).or_default();
            bucket.kind.clone_from(&sighting.signature.kind);
            let is_home = line
                .kept
                .as_ref()
                .is_some_and(|kept| kept.split('/').nth(1) == Some(sighting.bucket.as_str()));
            if is_home {
                *bucket.kept.entry(version.clone()).or_default() += 1;
                if line.result == RunResult::Finding && !sighting.signature.is_harness() {
                    bucket.example.get_or_insert(line.index);
                }
            }
        }
    }

    /// That something else than a run is written down, which took so long.
    pub fn replay_done(&mut self, line: &ReplayLine, wall_ms: u64) {
        self.spent_ms[1] += wall_ms;
        match line {
            ReplayLine::Replay { bucket, of, attempt, outcome } => {
                let (bucket, of, attempt) = (bucket.clone(), *of, *attempt);
                self.under_way.remove(&Job::Replay { bucket: bucket.clone(), of, attempt });
                let bucket = self.buckets.entry(bucket).or_default();
                bucket.replays.insert(attempt, outcome.counts());
            }
            ReplayLine::Shrunk { bucket, of, .. } => {
                self.under_way.remove(&Job::Shrink { bucket: bucket.clone(), of: *of });
                self.buckets.entry(bucket.clone()).or_default().is_shrunk = true;
            }
            ReplayLine::Past { bucket, attempt, .. } => {
                let job = Job::Past { bucket: bucket.clone(), attempt: *attempt };
                self.under_way.remove(&job);
                self.past.retain(|open| *open != job);
            }
            ReplayLine::Canary { attempt, outcome } => {
                self.under_way.remove(&Job::Canary { attempt: *attempt });
                self.canary.push(outcome.counts());
            }
            ReplayLine::Control { attempt, outcome } => {
                self.under_way.remove(&Job::Control { attempt: *attempt });
                self.control.push(outcome.counts());
            }
        }
    }

    /// That a job did not come to its end and is not written down. It is not started again.
    pub fn abandoned(&mut self, job: &Job) {
        self.under_way.remove(job);
        if let Job::Run { index } = job {
            self.share.given_back(*index);
        }
    }
}

const fn is_run(job: &Job) -> bool {
    matches!(job, Job::Run { .. })
}

/// Collects from the last to the first, for a list that is emptied from its end.
trait RevCollect: Iterator + Sized {
    fn rev_collect(self) -> Vec<Self::Item> {
        let mut all: Vec<_> = self.collect();
        all.reverse();
        all
    }
}

impl<I: Iterator> RevCollect for I {}

#[cfg(test)]
mod tests {
    use partita_reports::campaign::record::{Replayed, Sighting};
    use partita_reports::spec::Milliseconds;

    use super::super::plan::tests::plan;
    use super::*;

    fn signature(what: &str) -> Signature {
        Signature {
            target: "raft-node".to_owned(),
            workload: "register".to_owned(),
            kind: "violation".to_owned(),
            what: what.to_owned(),
            shape: Vec::new(),
        }
    }

    fn line(plan: &CampaignPlan, index: u64, found: Option<&str>, kept: bool) -> RunLine {
        let sighting = |what: &str| Sighting {
            bucket: signature(what).id(),
            signature: signature(what),
            sentence: "A sentence.".to_owned(),
            at_ms: None,
        };
        RunLine {
            index,
            configuration: plan.configuration(index).name.clone(),
            seed: plan.seed_of(index),
            started_ms: 0,
            wall_ms: 1_000,
            cpu_ms: 1_000,
            result: if found.is_some() { RunResult::Finding } else { RunResult::Valid },
            sightings: found.map(sighting).into_iter().collect(),
            reason: None,
            operations: 1,
            exercised: Vec::new(),
            kept: found
                .filter(|_| kept)
                .map(|what| format!("failing/{}/{index}", signature(what).id())),
            spec: None,
        }
    }

    fn night<'a>(plan: &'a CampaignPlan, past: &[(String, u32)]) -> Night<'a> {
        Night::new(plan, Shard::WHOLE, StopRule::default(), past, &[], &[])
    }

    fn start(night: &mut Night<'_>) -> Job {
        match night.step() {
            Next::Start(job) => job,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_canary_and_past_buckets_come_before_runs() {
        let mut plan = plan(1);
        plan.runs = Some(1);
        plan.canary = Some(plan.spec(0));
        plan.control = Some(plan.spec(0));
        let mut night = night(&plan, &[("old".to_owned(), 2)]);
        assert_eq!(start(&mut night), Job::Control { attempt: 0 });
        night.replay_done(&ReplayLine::Control { attempt: 0, outcome: Replayed::Yes }, 1);
        assert_eq!(start(&mut night), Job::Canary { attempt: 0 });
        let missed = Replayed::No("valid".to_owned());
        night.replay_done(&ReplayLine::Canary { attempt: 0, outcome: missed }, 1);
        assert_eq!(start(&mut night), Job::Canary { attempt: 1 });
        // While it is out, past buckets are tried.
        assert_eq!(start(&mut night), Job::Past { bucket: "old".to_owned(), attempt: 0 });
        assert_eq!(start(&mut night), Job::Past { bucket: "old".to_owned(), attempt: 1 });
        night.replay_done(&ReplayLine::Canary { attempt: 1, outcome: Replayed::Yes }, 1);
        assert_eq!(start(&mut night), Job::Run { index: 0 });
        assert_eq!(night.step(), Next::Wait);
    }

    #[test]
    fn a_new_bucket_is_played_again_and_shrunk_once() {
        let mut plan = plan(1);
        plan.runs = Some(2);
        plan.replays = 2;
        plan.shrink = Milliseconds(1_000);
        let mut night = night(&plan, &[]);
        assert_eq!(start(&mut night), Job::Run { index: 0 });
        night.run_done(&line(&plan, 0, Some("stale read"), true));
        let bucket = signature("stale read").id();
        for attempt in 0..2 {
            assert_eq!(start(&mut night), Job::Replay { bucket: bucket.clone(), of: 0, attempt });
            let outcome =
                if attempt == 0 { Replayed::Yes } else { Replayed::Failed(String::new()) };
            let line = ReplayLine::Replay { bucket: bucket.clone(), of: 0, attempt, outcome };
            night.replay_done(&line, 1);
        }
        assert_eq!(start(&mut night), Job::Shrink { bucket: bucket.clone(), of: 0 });
        let shrunk = ReplayLine::Shrunk {
            bucket,
            of: 0,
            faults: Vec::new(),
            reproduced: None,
            of_replays: None,
            schedule: None,
            reason: None,
        };
        night.replay_done(&shrunk, 1);
        assert_eq!(start(&mut night), Job::Run { index: 1 });
        night.run_done(&line(&plan, 1, Some("stale read"), true));
        assert_eq!(night.step(), Next::Done);
    }

    #[test]
    fn learning_takes_no_more_than_half_of_the_time_while_there_are_runs() {
        let plan = plan(1);
        let mut night = night(&plan, &[]);
        let mut counts = [0, 0];
        for round in 0..200 {
            match start(&mut night) {
                Job::Run { index } => {
                    let what = format!("anomaly {round}");
                    night.run_done(&line(&plan, index, Some(&what), true));
                    counts[0] += 1;
                }
                Job::Replay { bucket, of, attempt } => {
                    let outcome = Replayed::Yes;
                    night.replay_done(&ReplayLine::Replay { bucket, of, attempt, outcome }, 1_000);
                    counts[1] += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(counts[0] >= 99, "{counts:?}");
    }

    #[test]
    fn a_campaign_that_was_killed_goes_on_where_its_files_end() {
        let mut plan = plan(2);
        plan.runs = Some(8);
        plan.replays = 1;
        let mut whole = night(&plan, &[]);
        let mut lines = Vec::new();
        let mut replays = Vec::new();
        // After every step another process goes on from the lines.
        loop {
            let stop = StopRule::default();
            let mut again = Night::new(&plan, Shard::WHOLE, stop, &[], &lines, &replays);
            // Whatever was under way is forgotten.
            let _ = again.step();
            let mut again = Night::new(&plan, Shard::WHOLE, stop, &[], &lines, &replays);
            match again.step() {
                Next::Start(Job::Run { index }) => {
                    lines.push(line(&plan, index, (index == 3).then_some("lost write"), true));
                }
                Next::Start(Job::Replay { bucket, of, attempt }) => {
                    let outcome = Replayed::Yes;
                    replays.push(ReplayLine::Replay { bucket, of, attempt, outcome });
                }
                Next::Done => break,
                other => panic!("{other:?}"),
            }
        }
        let mut indices: Vec<u64> = lines.iter().map(|line| line.index).collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..8).collect::<Vec<_>>());
        assert_eq!(replays.len(), 1);
        let uninterrupted: BTreeSet<Job> = (0..8).map(|_| start(&mut whole)).collect();
        assert_eq!(uninterrupted.len(), 8);
    }

    #[test]
    fn only_so_many_runs_of_a_bucket_and_version_are_kept() {
        let mut plan = plan(1);
        plan.keep = 2;
        let mut night = night(&plan, &[]);
        let found = [(signature("stale read").id(), signature("stale read"))];
        for index in 0..2 {
            assert!(night.home(&found, "raft-node").is_some());
            night.run_done(&line(&plan, index, Some("stale read"), true));
        }
        assert_eq!(night.home(&found, "raft-node"), None);
        assert!(night.home(&found, "raft-node 2").is_some(), "another version");
    }

    #[test]
    fn it_stops_at_so_many_buckets_of_the_store() {
        let plan = plan(1);
        let stop = StopRule { at_first: false, buckets: Some(2) };
        let mut night = Night::new(&plan, Shard::WHOLE, stop, &[], &[], &[]);
        night.run_done(&line(&plan, 0, Some("stale read"), false));
        night.run_done(&line(&plan, 1, Some("stale read"), false));
        assert!(!night.is_stopped());
        night.run_done(&line(&plan, 2, Some("lost write"), false));
        assert!(night.is_stopped());
        assert_eq!(night.step(), Next::Done);
    }
}
