//! Carries a campaign out: threads that each take the next job, wait for its process, and write down what
//! came of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use partita_reports::campaign::record::{FaultLeft, ReplayLine, Replayed, RunLine, RunResult};
use partita_reports::spec::{Document, FaultsSpec};
use partita_reports::{RunSpec, campaign::record::Signature};
use serde::Serialize;

use super::folder::{CampaignFolder, Opened};
use super::log::{Log, LogError};
use super::night::{Job, Next, Night, StopRule};
use super::outcome::{Outcome, RunOutcome};
use super::plan::{CampaignPlan, Shard};
use super::runner::Runner;
use super::signature::normalised;
use crate::exit::{Exit, Failure, FailureContext};

/// Jobs at a time for each core, until it is known what runs need: most of a run is waiting.
const JOBS_A_CORE: usize = 2;

/// The most jobs at a time for each core, however little runs need.
const MOST_JOBS_A_CORE: usize = 4;

/// The part of the cores that runs may need together.
const BUSY: f64 = 0.85;

/// Memory that a run is taken to need, in bytes.
const MEMORY: u64 = 400 << 20;

/// How many runs must be over before what they needed counts.
const MEASURED: u64 = 4;

/// How long a thread waits for news before it looks again.
const LOOK: Duration = Duration::from_millis(200);

/// What a campaign may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// How long it may start runs, and let them end; without a limit, until its plan is done.
    pub budget: Option<Duration>,
    /// How many processes at a time; as many as the machine can take if not given.
    pub jobs: Option<usize>,
    /// When it ends before that.
    pub stop: StopRule,
}

/// A bucket of an earlier night, to be tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct PastBucket {
    /// Its name.
    pub bucket: String,
    /// A run that gave it, with its faults; with the newest version of its target.
    pub spec: RunSpec,
    /// The target's name.
    pub target: String,
    /// How often it is tried.
    pub trials: u32,
}

/// What happens in a campaign, as it happens: what `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum CampaignEvent {
    /// It began, or goes on.
    Started {
        /// The number of the form of these events.
        format: u32,
        /// What it is called.
        name: String,
        /// The night.
        night: u64,
        /// Configurations in the plan.
        configurations: usize,
        /// Runs that were done before.
        done: usize,
    },
    /// A bucket that the campaign had not seen before.
    NewBucket {
        /// The bucket.
        bucket: String,
        /// What its runs have in common.
        signature: Signature,
        /// What was found, in a sentence.
        sentence: String,
    },
    /// A run is over.
    Run(Box<RunLine>),
    /// Something else was learnt: a line of `replays.jsonl`.
    Learnt(ReplayLine),
}

/// Why a campaign's work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its plan is done.
    Done,
    /// Its time is over.
    Budget,
    /// It was to stop at what was found.
    Stopped,
    /// It was told to end.
    Interrupted,
}

/// A campaign that can be worked on.
pub struct Work<'a> {
    /// The plan.
    pub plan: &'a CampaignPlan,
    /// Which part of it.
    pub shard: Shard,
    /// Where it is written down.
    pub folder: &'a CampaignFolder,
    /// What plays the runs.
    pub runner: &'a dyn Runner,
    /// What it may take.
    pub limits: Limits,
    /// Buckets of earlier nights.
    pub past: &'a [PastBucket],
    /// Set from outside to end it in order.
    pub stop: &'a AtomicBool,
    /// RunSummary of what happens.
    pub tell: &'a (dyn Fn(&CampaignEvent) + Sync),
}

/// What the threads share.
struct State<'a> {
    night: Night<'a>,
    run_log: Log,
    replay_log: Log,
    running: usize,
    /// Wall and CPU time of the runs so far, in milliseconds, and how many.
    measured: (u64, u64, u64),
    failure: Option<Failure>,
    is_late: bool,
}

impl Work<'_> {
    /// Works until nothing is left, or something ends it.
    ///
    /// # Errors
    ///
    /// [`Failure`] if what came of a run cannot be written down, as on a full disk. Everything before is.
    pub fn run(&self, opened: Opened) -> Result<Ending, Failure> {
        let past: Vec<_> = self.past.iter().map(|it| (it.bucket.clone(), it.trials)).collect();
        let Opened { runs, replays, run_log, replay_log, .. } = opened;
        let night = Night::new(self.plan, self.shard, self.limits.stop, &past, &runs, &replays);
        (self.tell)(&CampaignEvent::Started {
            format: 1,
            name: self.plan.name.clone(),
            night: self.plan.night,
            configurations: self.plan.configurations.len(),
            done: runs.len(),
        });
        let state = Mutex::new(State {
            night,
            run_log,
            replay_log,
            running: 0,
            measured: (0, 0, 0),
            failure: None,
            is_late: false,
        });
        // Processes are ended by `end`, be it set by the caller or by a failure here.
        let (news, began) = (Condvar::new(), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..self.most_jobs() {
                scope.spawn(|| self.take_jobs(&state, &news, began));
            }
        });
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failure {
            Some(failure) => Err(failure),
            None if self.is_to_end() => Ok(Ending::Interrupted),
            None if state.night.is_stopped() => Ok(Ending::Stopped),
            None if state.is_late => Ok(Ending::Budget),
            None => Ok(Ending::Done),
        }
    }

    fn is_to_end(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn most_jobs(&self) -> usize {
        self.limits.jobs.unwrap_or_else(|| cores() * MOST_JOBS_A_CORE)
    }

    /// How many jobs may be under way now.
    fn jobs(&self, state: &State<'_>) -> usize {
        let (wall_ms, cpu_ms, runs) = state.measured;
        match self.limits.jobs {
            Some(jobs) => jobs,
            None if runs < MEASURED => (cores() * JOBS_A_CORE).min(in_memory()).max(1),
            None => {
                let need = (cpu_ms as f64 / wall_ms.max(1) as f64).max(0.01);
                let possible = (cores() as f64 * BUSY / need).floor() as usize;
                possible.min(cores() * MOST_JOBS_A_CORE).min(in_memory()).max(1)
            }
        }
    }

    fn take_jobs<'a>(&'a self, state: &Mutex<State<'a>>, news: &Condvar, began: Instant) {
        let mut guard = lock(state);
        loop {
            if self.is_to_end() || guard.failure.is_some() {
                return news.notify_all();
            }
            self.mind_the_time(&mut guard, began);
            let is_busy = guard.running >= self.jobs(&guard);
            let next = if is_busy { Next::Wait } else { guard.night.step() };
            let job = match next {
                Next::Done => return news.notify_all(),
                Next::Wait => {
                    let waited = news.wait_timeout(guard, LOOK);
                    guard = waited.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                Next::Start(job) => job,
            };
            if guard.is_late && !matches!(job, Job::Run { .. }) && self.is_over(began) {
                guard.night.abandoned(&job);
                return news.notify_all();
            }
            guard.running += 1;
            let kind = guard.night.kind_of(bucket_of(&job)).to_owned();
            drop(guard);
            let done = self.perform(&job, &kind, began);
            guard = lock(state);
            guard.running -= 1;
            if let Err(failure) = self.write_down(&mut guard, &job, done) {
                guard.failure = Some(failure);
            }
            news.notify_all();
        }
    }

    /// Starts no run that has no time to end.
    fn mind_the_time(&self, state: &mut State<'_>, began: Instant) {
        let Some(budget) = self.limits.budget else { return };
        let (wall_ms, _, runs) = state.measured;
        let one = Duration::from_millis(wall_ms.checked_div(runs).unwrap_or(0));
        if began.elapsed() + one >= budget && !state.is_late {
            state.is_late = true;
            state.night.no_new_runs();
        }
    }

    fn is_over(&self, began: Instant) -> bool {
        self.limits.budget.is_some_and(|budget| began.elapsed() >= budget)
    }

    /// Does a job, for a bucket of that kind if it is about one; nothing shared is held meanwhile.
    fn perform(&self, job: &Job, kind: &str, began: Instant) -> Result<Performed, Failure> {
        let broken = |error: std::io::Error| {
            Err(error).or_harness(|| self.folder.path().display().to_string())
        };
        if let Job::Shrink { bucket, of } = job {
            return Ok(self.shrink(bucket, *of, kind, began));
        }
        let spec = self.spec(job)?;
        let home = match self.folder.workplace(&workplace(job)) {
            Ok(home) => home,
            Err(error) => return broken(error),
        };
        let started_ms = now_ms();
        let played = self.runner.play(&spec, &home, self.stop);
        let outcome = Outcome::of(self.target(job), &spec, &played);
        Ok(Performed::Run(Box::new(Over { spec, home, played, outcome, started_ms })))
    }

    fn target(&self, job: &Job) -> &str {
        match job {
            Job::Run { index } | Job::Replay { of: index, .. } | Job::Shrink { of: index, .. } => {
                &self.plan.configuration(*index).target
            }
            Job::Past { bucket, .. } => {
                self.past.iter().find(|it| it.bucket == *bucket).map_or("", |it| &it.target)
            }
            Job::Canary { .. } | Job::Control { .. } => "",
        }
    }

    /// What is to be run.
    fn spec(&self, job: &Job) -> Result<RunSpec, Failure> {
        let missing = || Failure::harness(miette::miette!("a job that the plan does not have"));
        let other_seed = |spec: &Option<RunSpec>, attempt: u32| {
            let spec = spec.clone().ok_or_else(missing)?;
            Ok(RunSpec { seed: self.plan.seed_of(u64::from(attempt)), ..spec })
        };
        match job {
            Job::Run { index } => Ok(self.plan.spec(*index)),
            Job::Canary { attempt } => other_seed(&self.plan.canary, *attempt),
            Job::Control { attempt } => other_seed(&self.plan.control, *attempt),
            Job::Past { bucket, .. } => {
                let past = self.past.iter().find(|it| it.bucket == *bucket);
                past.map(|it| it.spec.clone()).ok_or_else(missing)
            }
            Job::Replay { bucket, of, .. } | Job::Shrink { bucket, of } => {
                replay_of(&self.kept(bucket, *of))
            }
        }
    }

    fn kept(&self, bucket: &str, index: u64) -> PathBuf {
        self.folder.file(&format!("{}/{bucket}/{index}", super::folder::FAILING))
    }

    fn shrink(&self, bucket: &str, of: u64, kind: &str, began: Instant) -> Performed {
        let left = self.limits.budget.map(|budget| budget.saturating_sub(began.elapsed()));
        let limit = self.plan.shrink.duration().min(left.unwrap_or(Duration::MAX));
        let began = Instant::now();
        let kept = self.kept(bucket, of);
        let shrunk = self.runner.shrink(&kept, kind, limit, self.stop);
        let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_interrupted = self.is_to_end();
        let (bucket, none) = (bucket.to_owned(), None);
        let line = match shrunk {
            Ok(shrunk) => ReplayLine::Shrunk {
                bucket,
                of,
                faults: faults_left(&shrunk.schedule),
                reproduced: shrunk.reproduced.map(|it| it.0),
                of_replays: shrunk.reproduced.map(|it| it.1),
                schedule: shrunk
                    .schedule
                    .strip_prefix(self.folder.path())
                    .ok()
                    .map(|path| path.display().to_string()),
                reason: none,
            },
            Err(reason) => ReplayLine::Shrunk {
                bucket,
                of,
                faults: Vec::new(),
                reproduced: None,
                of_replays: None,
                schedule: none.clone(),
                reason: Some(reason),
            },
        };
        Performed::Shrunk { line, wall_ms, is_interrupted }
    }

    /// Writes down what came of a job, and keeps its files if they are worth it.
    fn write_down(
        &self,
        state: &mut State<'_>,
        job: &Job,
        done: Result<Performed, Failure>,
    ) -> Result<(), Failure> {
        match done {
            // Its folder is gone: somebody made room.
            Err(failure) if matches!(job, Job::Replay { .. }) => {
                let why = Replayed::Failed(failure.messages().join(": "));
                let line = learnt_from(job, why);
                line.map_or(Ok(()), |line| self.learnt(state, line, 0))
            }
            Err(failure) => {
                state.night.abandoned(job);
                Err(failure)
            }
            Ok(Performed::Shrunk { is_interrupted: true, .. }) => {
                state.night.abandoned(job);
                Ok(())
            }
            Ok(Performed::Shrunk { line, wall_ms, .. }) => self.learnt(state, line, wall_ms),
            Ok(Performed::Run(over)) if over.played.is_interrupted => {
                state.night.abandoned(job);
                self.folder.clear(&over.home);
                Ok(())
            }
            Ok(Performed::Run(over)) => {
                let home = over.home.clone();
                let written = match job {
                    Job::Run { index } => self.run_over(state, *index, *over),
                    _ => {
                        let line = learnt_from(job, said_of(job, &over.outcome));
                        line.map_or(Ok(()), |line| self.learnt(state, line, over.played.wall_ms))
                    }
                };
                self.folder.clear(&home);
                written
            }
        }
    }

    fn run_over(&self, state: &mut State<'_>, index: u64, over: Over) -> Result<(), Failure> {
        let Over { spec, played, outcome, started_ms, .. } = over;
        let configuration = self.plan.configuration(index);
        let told = played.told.as_ref();
        let mut line = RunLine {
            index,
            configuration: configuration.name.clone(),
            seed: spec.seed,
            started_ms,
            wall_ms: played.wall_ms,
            cpu_ms: played.cpu_ms,
            result: outcome.result,
            sightings: outcome.sightings,
            reason: outcome.reason,
            operations: told.map_or(0, |told| told.counts.invoked),
            exercised: outcome.exercised,
            kept: None,
            spec: played.spec.clone(),
        };
        line.kept = self.keep(
            state,
            &line,
            &configuration.version,
            told.and_then(|told| told.folder.as_deref()),
        )?;
        state.run_log.append(&line).map_err(|error| unwritten(&error))?;
        let new = line.sightings.iter().filter(|sighting| !state.night.knows(&sighting.bucket));
        for sighting in new {
            let sighting = sighting.clone();
            (self.tell)(&CampaignEvent::NewBucket {
                bucket: sighting.bucket,
                signature: sighting.signature,
                sentence: sighting.sentence,
            });
        }
        state.night.run_done(&line);
        let (wall_ms, cpu_ms, runs) = &mut state.measured;
        *wall_ms += line.wall_ms;
        *cpu_ms += line.cpu_ms;
        *runs += 1;
        (self.tell)(&CampaignEvent::Run(Box::new(line)));
        Ok(())
    }

    /// Moves the run's folder to where it is kept, if it is worth it.
    fn keep(
        &self,
        state: &State<'_>,
        line: &RunLine,
        version: &str,
        folder: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let buckets: Vec<_> =
            line.sightings.iter().map(|it| (it.bucket.clone(), it.signature.clone())).collect();
        let home = state.night.home(&buckets, version);
        let (Some(bucket), Some(folder)) = (home, folder) else { return Ok(None) };
        let is_worth_it = matches!(line.result, RunResult::Finding | RunResult::Harness);
        if !is_worth_it || !Path::new(folder).is_dir() {
            return Ok(None);
        }
        let kept = self.folder.keep(&bucket, line.index, Path::new(folder));
        kept.map(Some).or_harness(|| format!("keeping the run of index {}", line.index))
    }

    fn learnt(&self, state: &mut State<'_>, line: ReplayLine, wall_ms: u64) -> Result<(), Failure> {
        state.replay_log.append(&line).map_err(|error| unwritten(&error))?;
        state.night.replay_done(&line, wall_ms);
        (self.tell)(&CampaignEvent::Learnt(line));
        Ok(())
    }
}

/// What came of a job.
enum Performed {
    /// A run.
    Run(Box<Over>),
    /// A search for fewer faults.
    Shrunk { line: ReplayLine, wall_ms: u64, is_interrupted: bool },
}

/// A run that is over.
struct Over {
    spec: RunSpec,
    /// Where its files are.
    home: PathBuf,
    played: RunOutcome,
    outcome: Outcome,
    started_ms: u64,
}

/// What a run says that is none of the plan's indices.
fn said_of(job: &Job, outcome: &Outcome) -> Replayed {
    let wanted = match job {
        Job::Canary { .. } => RunResult::Finding,
        Job::Control { .. } => RunResult::Valid,
        Job::Past { bucket, .. } | Job::Replay { bucket, .. } | Job::Shrink { bucket, .. } => {
            return outcome.reproduces(bucket);
        }
        Job::Run { .. } => outcome.result,
    };
    match outcome.result {
        seen if seen == wanted => Replayed::Yes,
        RunResult::Harness | RunResult::Starved => {
            Replayed::Failed(outcome.reason.clone().unwrap_or_default())
        }
        seen => Replayed::No(seen.name().to_owned()),
    }
}

/// The line of a job that is no run of the plan's indices.
fn learnt_from(job: &Job, outcome: Replayed) -> Option<ReplayLine> {
    Some(match job.clone() {
        Job::Canary { attempt } => ReplayLine::Canary { attempt, outcome },
        Job::Control { attempt } => ReplayLine::Control { attempt, outcome },
        Job::Past { bucket, attempt } => ReplayLine::Past { bucket, attempt, outcome },
        Job::Replay { bucket, of, attempt } => ReplayLine::Replay { bucket, of, attempt, outcome },
        Job::Run { .. } | Job::Shrink { .. } => return None,
    })
}

/// A kept run once more: with the faults that it had, and no longer than it must.
///
/// # Errors
///
/// [`Failure`] if its folder does not hold them.
pub fn replay_of(folder: &Path) -> Result<RunSpec, Failure> {
    let path = folder.join("spec.json");
    let text = std::fs::read_to_string(&path).or_harness(|| path.display().to_string())?;
    let spec = RunSpec::parse(&text).or_harness(|| path.display().to_string())?;
    let name = folder.join("schedule.toml");
    let toml = std::fs::read_to_string(&name).or_harness(|| name.display().to_string())?;
    let faults = FaultsSpec::Schedule(Document { name: name.display().to_string(), toml });
    Ok(RunSpec { faults, pcap: false, keep_data: false, ..spec })
}

/// The faults of a schedule and whom they are aimed at, in order, each once.
fn faults_left(schedule: &Path) -> Vec<FaultLeft> {
    let text = std::fs::read_to_string(schedule).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    let faults = table.get("faults").and_then(toml::Value::as_array);
    let word = |fault: &toml::Value, name: &str| {
        fault.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let mut left: Vec<FaultLeft> = faults
        .into_iter()
        .flatten()
        .map(|fault| FaultLeft {
            fault: word(fault, "fault"),
            target: normalised(&word(fault, "target")),
        })
        .collect();
    left.sort_unstable();
    left.dedup();
    left
}

fn unwritten(error: &LogError) -> Failure {
    let (exit, hint) = match error.is_full() {
        true => (Exit::Harness, "; everything before it is written down: `--resume` goes on"),
        false => (Exit::Harness, ""),
    };
    Failure { exit, report: miette::miette!("{error}{hint}") }
}

/// The bucket that a job is about; empty if it is about none.
fn bucket_of(job: &Job) -> &str {
    match job {
        Job::Past { bucket, .. } | Job::Replay { bucket, .. } | Job::Shrink { bucket, .. } => {
            bucket
        }
        Job::Canary { .. } | Job::Control { .. } | Job::Run { .. } => "",
    }
}

fn workplace(job: &Job) -> String {
    match job {
        Job::Canary { attempt } => format!("canary-{attempt}"),
        Job::Control { attempt } => format!("control-{attempt}"),
        Job::Past { bucket, attempt } => format!("past-{bucket}-{attempt}"),
        Job::Run { index } => format!("run-{index}"),
        Job::Replay { bucket, of, attempt } => format!("replay-{bucket}-{of}-{attempt}"),
        Job::Shrink { bucket, of } => format!("shrink-{bucket}-{of}"),
    }
}

fn lock<'a, 'b>(state: &'a Mutex<State<'b>>) -> MutexGuard<'a, State<'b>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many runs fit into the memory that is free.
fn in_memory() -> usize {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or(usize::MAX, |kib| ((kib << 10) / MEMORY) as usize)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
