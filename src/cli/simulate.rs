//! `partita simulate`: batches of simulated clusters, each from its own seed.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use partita_checker::formats::jsonl::read_history;
use partita_checker::{ModelKind, Options, Verdict, check};
use partita_raft_node::mutations::{Mutation, Mutations};
use partita_raft_node::sim::{self, Object, Property, Run, Scenario, Wanted};
use rayon::ThreadPoolBuilder;
use serde::Serialize;

use crate::exit::{Exit, Failure, FailureContext};
use crate::names::{self, Names};
use crate::{errln, outln, terminal};

/// Runs clusters of the built-in Raft server in simulated time and checks every step of them.
///
/// Each run is drawn from a seed and happens the same way every time: `--seed S` replays it. A run
/// fails if an invariant of Raft breaks, if a healed cluster makes no progress, if a limit of the scenario is exceeded, or if what the clients saw is not linearizable. The trace and the history
/// of a failing run are kept below `--out`. Exits with 0 if every run passed, with 1 if one
/// failed, with 3 if a history stayed undecided.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita simulate --test 2A --count 3000\n  \
                        partita simulate --test random --count 10000 --jobs 2\n  \
                        partita simulate --test figure-8 --seed 7 --trace trace.log\n  \
                        partita simulate --mutation commit-prior-term")]
pub struct Arguments {
    /// What to run: a part of the Raft labs (2A, 2B, 2C, 2D, 3), a scenario, `random`, or `all`;
    /// for a planted bug the recipe that is aimed at it, if not given.
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
    /// How often to run each scenario, with one seed after the other; 10 if not given, and for a
    /// planted bug as often as it takes to find it, up to 2000.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How many runs at a time; as many as there are processors if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=512))]
    jobs: Option<u64>,
    /// The seed of the first run; drawn from the time of day if not given.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// A planted bug to switch on; `partita list mutations` names them.
    #[arg(long, value_name = "NAME", value_parser = names::mutation)]
    mutation: Option<Mutation>,
    /// Go on after a failure instead of stopping.
    #[arg(long)]
    keep_going: bool,
    /// Where to write the trace; needs a single run.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// The folder that keeps what failing runs leave.
    #[arg(long, default_value = "partita-runs/simulate", value_name = "FOLDER")]
    out: PathBuf,
    /// Print what came of the runs as a line of JSON, instead of text; progress and failures are
    /// told on standard error.
    #[arg(long)]
    json: bool,
}

/// Runs for a planted bug without `--count`.
const RUNS_FOR_A_BUG: u64 = 2_000;
/// How long the checker may search in one history.
const CHECK_LIMIT: Duration = Duration::from_secs(20);

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] for bad arguments, or when what a failing run leaves cannot be written.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let batch = Batch::new(arguments)?;
    if let Some(why) = arguments.mutation.and_then(sim::recipes::equivalence) {
        let note = format!("note: no run can fail by this planted bug: {why}");
        if arguments.json { errln!("{note}") } else { outln!("{note}") }
    }
    if arguments.trace.is_some() && batch.total != 1 {
        let problem = "--trace needs a single run: give one scenario, and --count 1";
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    // A server's assertion is a finding, which the report names: no need to print it twice.
    std::panic::set_hook(Box::new(|_| {}));
    let result = batch.run();
    let _ = std::panic::take_hook();
    let found = result?;
    if let Some(path) = &arguments.trace {
        let (scenario, seed) = batch.job(0);
        let run = sim::run(scenario, seed, batch.mutations, Wanted::Lines);
        write(path, run.lines.unwrap_or_default().as_bytes())?;
        let note = format!("trace in {}, hash {:016x}", path.display(), run.trace_hash);
        if arguments.json { errln!("{note}") } else { outln!("{note}") }
    }
    Ok(found)
}

/// What to run.
struct Batch {
    scenarios: Vec<&'static Scenario>,
    total: u64,
    seed: u64,
    jobs: usize,
    mutation: Option<Mutation>,
    mutations: Mutations,
    keep_going: bool,
    out: PathBuf,
    json: bool,
}

/// What all runs came to.
#[derive(Debug, Default)]
struct Tally {
    runs: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    events: AtomicU64,
    operations: AtomicU64,
    simulated_ms: AtomicU64,
    stop: AtomicBool,
    trouble: Mutex<Option<Failure>>,
    /// The runs that did not pass.
    findings: Mutex<Vec<Finding>>,
}

/// A run that did not pass.
#[derive(Debug, Serialize)]
struct Finding {
    scenario: &'static str,
    seed: u64,
    /// What broke; nothing if the history stayed undecided.
    failure: Option<String>,
    folder: Option<PathBuf>,
    /// The command that replays it.
    again: String,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    seed: u64,
    mutation: Option<&'a str>,
    runs: u64,
    failed: u64,
    undecided: u64,
    operations: u64,
    events: u64,
    simulated_ms: u64,
    elapsed_ms: u64,
    findings: &'a [Finding],
}

/// The form of [`Document`].
const FORMAT: u32 = 1;

impl Tally {
    fn found(&self, finding: Finding) {
        self.findings.lock().expect("no thread panics with it").push(finding);
    }
}

impl Batch {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let mut scenarios = Vec::new();
        for name in &arguments.test {
            let found = if name == "all" {
                sim::scenarios::scenarios().iter().collect()
            } else {
                sim::scenarios::find(name)
            };
            if found.is_empty() {
                return Err(Names::Scenarios.unknown(name)).or_usage(|| "--test".to_owned());
            }
            scenarios.extend(found);
        }
        if scenarios.is_empty() {
            scenarios = match arguments.mutation {
                Some(mutation) => sim::recipes::of(mutation),
                None => sim::scenarios::scenarios().iter().collect(),
            };
        }
        let default = if arguments.mutation.is_some() { RUNS_FOR_A_BUG } else { 10 };
        let count = arguments.count.unwrap_or(default);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let switched_on: Vec<Mutation> = arguments.mutation.into_iter().collect();
        Ok(Self {
            total: count.saturating_mul(scenarios.len() as u64),
            scenarios,
            seed: arguments.seed.unwrap_or_else(seed_of_the_day),
            jobs: arguments.jobs.map_or(processors, |jobs| usize::try_from(jobs).unwrap_or(1)),
            mutation: arguments.mutation,
            mutations: Mutations::new(&switched_on),
            keep_going: arguments.keep_going,
            out: arguments.out.clone(),
            json: arguments.json,
        })
    }

    /// The n-th run: the scenarios take turns, and then the next seed.
    fn job(&self, number: u64) -> (&'static Scenario, u64) {
        let kinds = self.scenarios.len() as u64;
        let position = usize::try_from(number % kinds).expect("an index");
        (self.scenarios[position], self.seed.wrapping_add(number / kinds))
    }

    fn run(&self) -> Result<Exit, Failure> {
        let began = Instant::now();
        let tally = Tally::default();
        let progress = Progress::new(self.total, self.json);
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    // Histories are short: to wake other threads for one costs more than it saves.
                    let alone = ThreadPoolBuilder::new().num_threads(1).use_current_thread();
                    let _alone = alone.build().expect("the thread is new, and in no other pool");
                    while !tally.stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= self.total {
                            return;
                        }
                        self.one(number, &tally, &progress);
                    }
                });
            }
        });
        progress.finish();
        if let Some(trouble) = tally.trouble.lock().expect("no thread panics with it").take() {
            return Err(trouble);
        }
        self.tell(&tally, began.elapsed())?;
        Ok(match (tally.failed.into_inner(), tally.unknown.into_inner()) {
            (0, 0) => Exit::Valid,
            (0, _) => Exit::Unknown,
            _ => Exit::Finding,
        })
    }

    /// Says what the runs came to.
    fn tell(&self, tally: &Tally, took: Duration) -> Result<(), Failure> {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        if self.json {
            return terminal::document(&Document {
                format: FORMAT,
                seed: self.seed,
                mutation: self.mutation.map(Mutation::name),
                runs: count(&tally.runs),
                failed: count(&tally.failed),
                undecided: count(&tally.unknown),
                operations: count(&tally.operations),
                events: count(&tally.events),
                simulated_ms: count(&tally.simulated_ms),
                elapsed_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                findings: &tally.findings.lock().expect("no thread panics with it"),
            });
        }
        let took = took.as_secs_f64();
        outln!(
            "{} runs, {} failed, {} undecided; {} operations, {} events in {:.0} s of simulated \
             time; {took:.1} s, {:.0} events a second",
            count(&tally.runs),
            count(&tally.failed),
            count(&tally.unknown),
            count(&tally.operations),
            count(&tally.events),
            count(&tally.simulated_ms) as f64 / 1e3,
            count(&tally.events) as f64 / took,
        );
        Ok(())
    }

    /// Runs one, and keeps what it leaves if it failed.
    fn one(&self, number: u64, tally: &Tally, progress: &Progress) {
        let (scenario, seed) = self.job(number);
        let mut run = sim::run(scenario, seed, self.mutations, Wanted::Verdict);
        let undecided = run.failure.is_none() && judge(&mut run) == Verdict::Unknown;
        tally.runs.fetch_add(1, Ordering::Relaxed);
        tally.events.fetch_add(run.events, Ordering::Relaxed);
        tally.operations.fetch_add(run.history.events.len() as u64 / 2, Ordering::Relaxed);
        let simulated = u64::try_from(run.simulated.as_millis()).unwrap_or(u64::MAX);
        tally.simulated_ms.fetch_add(simulated, Ordering::Relaxed);
        if undecided {
            tally.unknown.fetch_add(1, Ordering::Relaxed);
            progress.say(&format!("{} with seed {seed}: undecided", scenario.name));
            tally.found(self.finding(scenario, seed, None, None));
        }
        if let Some(failure) = &run.failure {
            tally.failed.fetch_add(1, Ordering::Relaxed);
            if !self.keep_going {
                tally.stop.store(true, Ordering::Relaxed);
            }
            match self.keep(scenario, seed, &run) {
                Ok(folder) => {
                    progress.say(&format!("{} with seed {seed} failed: {failure}", scenario.name));
                    progress.say(&format!("  kept in {}", folder.display()));
                    progress.say(&format!("  again: {}", self.again(scenario, seed)));
                    let failure = Some(failure.to_string());
                    tally.found(self.finding(scenario, seed, failure, Some(folder)));
                }
                Err(trouble) => {
                    *tally.trouble.lock().expect("no thread panics with it") = Some(trouble);
                    tally.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        progress.advance(tally);
    }

    fn finding(
        &self,
        scenario: &Scenario,
        seed: u64,
        failure: Option<String>,
        folder: Option<PathBuf>,
    ) -> Finding {
        let again = self.again(scenario, seed);
        Finding { scenario: scenario.name, seed, failure, folder, again }
    }

    /// The command that replays a run.
    fn again(&self, scenario: &Scenario, seed: u64) -> String {
        let name = scenario.name;
        let mut command = format!("partita simulate --test {name} --count 1 --seed {seed}");
        if let Some(mutation) = self.mutation {
            command.push_str(" --mutation ");
            command.push_str(mutation.name());
        }
        command + " --trace trace.log"
    }

    /// Plays a failing run again for its trace, and writes down what there is to see.
    fn keep(&self, scenario: &Scenario, seed: u64, run: &Run) -> Result<PathBuf, Failure> {
        let folder = self.out.join(format!("{}-{seed}", scenario.name));
        fs::create_dir_all(&folder).or_harness(|| folder.display().to_string())?;
        let replayed = sim::run(scenario, seed, self.mutations, Wanted::Lines);
        let mut lines = replayed.lines.unwrap_or_default();
        if replayed.trace_hash != run.trace_hash {
            lines.push_str("this replay differs from the run that failed\n");
        }
        write(&folder.join("trace.log"), lines.as_bytes())?;
        write(&folder.join("history.jsonl"), run.history.json_lines().as_bytes())?;
        let failure = run.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        let about = format!(
            "{failure}\n{}\ntrace hash {:016x}\n",
            self.again(scenario, seed),
            run.trace_hash
        );
        write(&folder.join("failure.txt"), about.as_bytes())?;
        Ok(folder)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).or_harness(|| path.display().to_string())
}

fn seed_of_the_day() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Few enough digits to be typed.
    u64::try_from(now.as_millis()).unwrap_or(0) % 1_000_000_000
}

/// Judges what the clients saw, and writes it into the run if it is not linearizable.
fn judge(run: &mut Run) -> Verdict {
    if run.history.events.is_empty() {
        return Verdict::Valid;
    }
    let lines = run.history.json_lines();
    let history = match read_history("the simulated clients", lines.as_bytes()) {
        Ok(history) => history,
        Err(error) => {
            let what = format!("the history cannot be read: {error}");
            run.failure = Some(sim::Failure { property: Property::Assertion, at: end(run), what });
            return Verdict::Violation;
        }
    };
    let model = match run.history.object {
        Object::Register => ModelKind::Register,
        Object::Text => ModelKind::Append,
    };
    let began = Instant::now();
    let options = Options::of(model);
    let (analysis, _) = check(&history, &options, &|| began.elapsed() > CHECK_LIMIT);
    if analysis.verdict == Verdict::Violation {
        let found = analysis.counterexample;
        let what = found.map_or_else(String::new, |found| found.sentence);
        run.failure =
            Some(sim::Failure { property: Property::Linearizability, at: end(run), what });
    }
    analysis.verdict
}

fn end(run: &Run) -> sim::Moment {
    sim::Moment::START.plus(run.simulated)
}

/// The live count on a terminal; plain lines elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    said: AtomicU64,
    /// Whether standard output is kept for a document.
    is_aside: bool,
}

impl Progress {
    fn new(total: u64, is_aside: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = "{elapsed_precise} {wide_bar} {pos}/{len} {msg}";
            let style = ProgressStyle::with_template(template).expect("a template that parses");
            bar.set_style(style);
            bar
        });
        Self { bar, total, said: AtomicU64::new(0), is_aside }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(terminal::shown(line)),
            None if self.is_aside => errln!("{line}"),
            None => outln!("{line}"),
        }
    }

    fn advance(&self, tally: &Tally) {
        let runs = tally.runs.load(Ordering::Relaxed);
        let failed = tally.failed.load(Ordering::Relaxed);
        match &self.bar {
            Some(bar) => {
                bar.set_position(runs);
                bar.set_message(format!("{failed} failed"));
            }
            None => {
                // One line for each tenth of a batch.
                let tenth = runs * 10 / self.total;
                if self.said.fetch_max(tenth, Ordering::Relaxed) < tenth {
                    self.say(&format!("{runs}/{} runs, {failed} failed", self.total));
                }
            }
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
