//! `partita campaign`: many runs of a plan, on one machine or on many.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use partita_nemesis::doctor::best_backend;
use partita_reports::campaign::overview::Overview;
use partita_reports::spec::{Milliseconds, defaults};
use partita_reports::text::number::counted;
use tokio::signal::unix::{SignalKind, signal};

use crate::campaign::file::{CampaignFile, Setting};
use crate::campaign::folder::{Campaign, CampaignFolder, in_json, replace};
use crate::campaign::history::History;
use crate::campaign::known::Known;
use crate::campaign::merge::merge;
use crate::campaign::night::StopRule;
use crate::campaign::overview::{Context, FailOn, exit};
use crate::campaign::retention::{self, Retention};
use crate::campaign::store::{self, Store};
use crate::campaign::work::{CampaignEvent, Ending};
use crate::campaign::{
    CampaignPlan, GuidedRunner, Limits, ProcessRunner, Runner, Shard, Work, documents, shards,
};
use crate::exit::{Exit, Failure, FailureContext};
use crate::{errln, outln, terminal};

/// How long a campaign takes that was told neither a time nor a number of runs.
const BUDGET: Duration = Duration::from_secs(30 * 60);

/// Runs a store again and again, with everything that fits it or with what a file says, and puts what is
/// found into buckets, each with a run that shows it again.
///
/// Writes a folder with `index.html`, `summary.md` and `junit.xml`. It may be killed at any moment; `--resume`
/// goes on where it was. Exits with 1 if a bucket is new or back, with 4 if the campaign was invalid: the canary
/// was not found, or most runs failed for reasons that are not the store's.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  partita campaign --budget 30m\n  \
                        partita campaign nightly.toml --budget 4h --history history\n  \
                        partita campaign plan nightly.toml --runs 1000 -o plan.json\n  \
                        partita campaign work plan.json --shard 3/8 --budget 1h --out shard-3\n  \
                        partita campaign merge shard-* -o night"
)]
pub struct Arguments {
    /// What is done with a campaign that many machines work on.
    #[command(subcommand)]
    part: Option<Part>,
    /// What is run, and when it ends.
    #[command(flatten)]
    whole: Whole,
}

/// The parts of a campaign on many machines.
#[derive(Debug, Subcommand)]
enum Part {
    /// Write the plan of a campaign, from which every shard's runs follow.
    Plan(PlanArguments),
    /// Do one shard's runs of a plan.
    Work(WorkArguments),
    /// Put the folders of shards together, in any order.
    Merge(MergeArguments),
}

/// What a campaign tries.
#[derive(Debug, Args)]
struct PlanOptions {
    /// The campaign's file (docs/campaigns.md); without, everything that fits the target is tried.
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// The system under test, if there is no file: a built-in name or a TOML file.
    #[arg(long, default_value = defaults::TARGET, conflicts_with = "file")]
    target: String,
    /// How many runs to do, instead of as many as there is time for.
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// How many runs of each configuration to do.
    #[arg(long, value_name = "N", conflicts_with = "runs", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Programs to run everything on, each in the place of the first word of the target's command, by names:
    /// versions of one target. The control is `honest`, or else the first.
    #[arg(long, value_name = "NAME=PATH", value_delimiter = ',', value_parser = super::binary)]
    binaries: Vec<(String, PathBuf)>,
    /// How long clients and faults of each run are at work: 20s, or what the file says. A schedule that needs
    /// longer has longer.
    #[arg(long, value_name = "DURATION", value_parser = super::positive_duration)]
    time: Option<Duration>,
    /// Number of the night: no seed is used in two of them. Days since 1970 if not given.
    #[arg(long, value_name = "N")]
    night: Option<u64>,
}

/// When a campaign ends, and what it ends with.
#[derive(Debug, Args)]
struct RunOptions {
    /// How long to start runs: 30m, or without end if a number of runs is given.
    #[arg(long, value_name = "DURATION", value_parser = super::positive_duration)]
    budget: Option<Duration>,
    /// How many processes at a time; as many as the machine can take if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    jobs: Option<u16>,
    /// Where the faults of runs that hunt come from: the seed alone, or what earlier runs came to.
    #[arg(long, value_name = "STRATEGY", default_value = "random")]
    strategy: Strategy,
    /// Go on with the campaign in the folder.
    #[arg(long)]
    resume: bool,
    /// End at the first finding.
    #[arg(long, conflicts_with = "until_buckets")]
    stop_on_finding: bool,
    /// End when there are so many buckets of the store.
    #[arg(long, value_name = "N")]
    until_buckets: Option<usize>,
    /// Earlier nights: their buckets are tried first, and this one is added.
    #[arg(long, value_name = "FOLDER")]
    history: Option<PathBuf>,
    /// The most that kept run folders may hold together, besides the first of each bucket.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = super::size)]
    keep_size: usize,
    /// How old kept run folders may get, besides the first of each bucket.
    #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = super::positive_duration)]
    keep_age: Duration,
    /// Where the folder goes as well, as a shard that `merge` reads: s3://BUCKET/PREFIX or file:///FOLDER.
    /// A shard that is there and not here is gone on with.
    #[arg(long, value_name = "URL")]
    upload: Option<String>,
    /// Print what happens as lines of JSON.
    #[arg(long)]
    json: bool,
    /// The program that does the runs, for tests: `PROGRAM run --json --spec - --out FOLDER`.
    #[arg(long, value_name = "PROGRAM", hide = true)]
    run_program: Option<PathBuf>,
    /// When the campaign fails.
    #[command(flatten)]
    judged: Judged,
}

/// Where the faults of runs that hunt come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Strategy {
    /// Each run's seed.
    Random,
    /// The rounds of faults of earlier runs that led to something new, changed a little.
    Guided,
}

/// What a night fails by.
#[derive(Debug, Args)]
struct Judged {
    /// Which findings make it exit with 1.
    #[arg(long, value_name = "WHICH", default_value = "new")]
    fail_on: Which,
    /// Known issues (docs/campaigns.md).
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
}

/// Which findings make a night fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Those that are new, back, or overdue.
    New,
    /// All of the store.
    Any,
}

/// A campaign on one machine.
#[derive(Debug, Args)]
struct Whole {
    #[command(flatten)]
    what: PlanOptions,
    #[command(flatten)]
    how: RunOptions,
    /// The campaign's folder: `partita-campaigns/NAME-NIGHT` if not given.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PlanArguments {
    #[command(flatten)]
    what: PlanOptions,
    /// Where the plan is written.
    #[arg(long, short, value_name = "FILE", default_value = "plan.json")]
    output: PathBuf,
}

#[derive(Debug, Args)]
struct WorkArguments {
    /// The plan.
    #[arg(value_name = "plan.json")]
    plan: PathBuf,
    /// Which shard of how many, such as `0/8`. If not given, what Kubernetes, Slurm, GitLab or Buildkite say.
    #[arg(long, value_name = "I/N", value_parser = shards::parse)]
    shard: Option<Shard>,
    #[command(flatten)]
    how: RunOptions,
    /// The shard's folder: `shard-I` if not given.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct MergeArguments {
    /// Folders of shards, and stores with several: s3://BUCKET/PREFIX or file:///FOLDER.
    #[arg(value_name = "FOLDER|URL", required = true)]
    folders: Vec<PathBuf>,
    /// Where they are put together.
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    /// Earlier nights, to which this one is added.
    #[arg(long, value_name = "FOLDER")]
    history: Option<PathBuf>,
    #[command(flatten)]
    judged: Judged,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if the plan or a folder is wrong, or what came of a run cannot be written down.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.part {
        Some(Part::Plan(part)) => {
            let plan = part.what.plan()?;
            replace(&part.output, &in_json(&plan)?)
                .or_usage(|| part.output.display().to_string())?;
            outln!("{} configurations: {}", plan.configurations.len(), part.output.display());
            Ok(Exit::Valid)
        }
        Some(Part::Work(part)) => part.perform(),
        Some(Part::Merge(part)) => part.perform(),
        None => arguments.whole.perform(),
    }
}

impl PlanOptions {
    fn plan(&self) -> Result<CampaignPlan, Failure> {
        let file = match &self.file {
            Some(path) => CampaignFile::read(path)?,
            None => CampaignFile::of_target(&self.target),
        };
        let time = self.time.map(Milliseconds::try_from).transpose();
        let time = time.or_usage(|| "--time".to_owned())?;
        let (night, backend) = (self.night.unwrap_or_else(tonight), best_backend().0);
        let binaries = self.binaries.as_slice();
        let setting =
            Setting { night, backend, runs: self.runs, rounds: self.rounds, time, binaries };
        file.plan(&self.target, setting)
    }
}

/// Days since 1970, UTC.
fn tonight() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / 86_400
}

impl Whole {
    fn perform(&self) -> Result<Exit, Failure> {
        let open = |out: PathBuf| CampaignFolder::at(out);
        if let (Some(out), true, Some(store)) = (&self.out, self.how.resume, self.how.store()?) {
            let folder = open(out.clone());
            if !folder.exists() {
                store.fetch(&folder, Shard::WHOLE)?;
            }
        }
        let (folder, campaign) = match (&self.out, self.how.resume) {
            (Some(out), true) if open(out.clone()).exists() => {
                let folder = open(out.clone());
                let campaign = folder.campaign()?;
                (folder, campaign)
            }
            (out, resume) => {
                let plan = self.what.plan()?;
                let name = format!("partita-campaigns/{}-{}", plan.name, plan.night);
                let folder = open(out.clone().unwrap_or_else(|| name.into()));
                if resume && folder.exists() {
                    let campaign = folder.campaign()?;
                    (folder, campaign)
                } else {
                    let campaign = Campaign::of(plan, Shard::WHOLE);
                    folder.create(&campaign)?;
                    (folder, campaign)
                }
            }
        };
        self.how.work(&folder, &campaign, Shard::WHOLE)
    }
}

impl WorkArguments {
    fn perform(&self) -> Result<Exit, Failure> {
        let wrong = |problem: String| Failure::usage(miette::miette!("{problem}"));
        let shard = match self.shard {
            Some(shard) => shard,
            None => shards::of_environment(|name| std::env::var(name).ok())
                .map_err(wrong)?
                .ok_or_else(|| wrong("which shard it is must be given: --shard I/N".to_owned()))?,
        };
        let text =
            std::fs::read_to_string(&self.plan).or_usage(|| self.plan.display().to_string())?;
        let plan = CampaignPlan::parse(&text).or_usage(|| self.plan.display().to_string())?;
        let out = self.out.clone().unwrap_or_else(|| format!("shard-{}", shard.index).into());
        let folder = CampaignFolder::at(out);
        let campaign = Campaign::of(plan, shard);
        let store = self.how.store()?;
        // A shard that is started once more, after its machine was lost, goes on where it was.
        if let Some(store) = store.as_ref().filter(|_| !folder.exists()) {
            store.fetch(&folder, shard)?;
        }
        if folder.exists() {
            if folder.campaign()? != campaign {
                let path = folder.path().display();
                return Err(wrong(format!("{path}: it is of another plan or shard")));
            }
        } else {
            folder.create(&campaign)?;
        }
        self.how.work(&folder, &campaign, shard)
    }
}

impl MergeArguments {
    fn perform(&self) -> Result<Exit, Failure> {
        let fetched = Fetched::of(&self.folders, &self.output)?;
        let merged = merge(&fetched.folders, &self.output)?;
        let folder = CampaignFolder::at(&self.output);
        let history = read_history(self.history.as_ref())?;
        let known = self.judged.known()?;
        let context = Context { history: &history, known: &known, today: today() };
        let (campaign, runs, replays) = (&merged.campaign, &merged.runs, &merged.replays);
        let overview = documents::write(&folder, campaign, runs, replays, context)?;
        if let Some(path) = &self.history {
            history.record(path, &folder, campaign, runs, replays)?;
        }
        tell(&folder, &overview);
        Ok(exit(&overview, self.judged.fail_on()))
    }
}

/// The folders of shards, those of stores fetched to this machine for as long as this is there.
struct Fetched {
    folders: Vec<PathBuf>,
    home: PathBuf,
}

impl Fetched {
    fn of(named: &[PathBuf], out: &Path) -> Result<Self, Failure> {
        let mut home = out.file_name().unwrap_or_default().to_owned();
        home.push(".fetched");
        let mut fetched = Self { folders: Vec::new(), home: out.with_file_name(home) };
        for (place, name) in named.iter().enumerate() {
            match name.to_str().filter(|name| store::is_url(name)) {
                Some(url) => {
                    let home = fetched.home.join(place.to_string());
                    fetched.folders.extend(Store::open(url)?.fetch_all(&home)?);
                }
                None => fetched.folders.push(name.clone()),
            }
        }
        Ok(fetched)
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if self.home.exists()
            && let Err(error) = std::fs::remove_dir_all(&self.home)
        {
            tracing::warn!(path = %self.home.display(), %error, "not removed");
        }
    }
}

impl Judged {
    fn known(&self) -> Result<Known, Failure> {
        self.known.as_ref().map_or_else(|| Ok(Known::default()), |path| Known::read(path))
    }

    const fn fail_on(&self) -> FailOn {
        match self.fail_on {
            Which::New => FailOn::New,
            Which::Any => FailOn::Any,
        }
    }
}

fn read_history(path: Option<&PathBuf>) -> Result<History, Failure> {
    path.map_or_else(|| Ok(History::default()), |path| History::read(path))
}

fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

impl RunOptions {
    /// Works on a shard and writes what came of it.
    fn work(
        &self,
        folder: &CampaignFolder,
        campaign: &Campaign,
        shard: Shard,
    ) -> Result<Exit, Failure> {
        let store = self.store()?;
        let history = read_history(self.history.as_ref())?;
        let known = self.judged.known()?;
        let opened = folder.open()?;
        let stop = stop_at_signals()?;
        let processes = ProcessRunner { program: self.program()? };
        let guided = GuidedRunner::new(&processes, campaign.plan.seed ^ campaign.plan.night);
        let runner: &dyn Runner = match self.strategy {
            Strategy::Random => &processes,
            Strategy::Guided => &guided,
        };
        let past = history.to_try(&campaign.plan, shard);
        let budget = self.budget.or(campaign.plan.runs.is_none().then_some(BUDGET));
        let at = StopRule { at_first: self.stop_on_finding, buckets: self.until_buckets };
        let work = Work {
            plan: &campaign.plan,
            shard,
            folder,
            runner,
            limits: Limits { budget, jobs: self.jobs.map(usize::from), stop: at },
            past: &past,
            stop: &stop,
            tell: &|event| self.tell(event),
        };
        let ending = work.run(opened);
        // Also of a campaign that could not go on: what is written down counts.
        let (runs, replays) = folder.lines()?;
        let context = Context { history: &history, known: &known, today: today() };
        let written = documents::write(folder, campaign, &runs, &replays, context);
        let ending = ending?;
        let overview = written?;
        let retention = Retention { bytes: self.keep_size as u64, age: self.keep_age };
        retention::apply(folder, &runs, retention).or_harness(|| "kept runs".to_owned())?;
        if let Some(path) = self.history.as_ref().filter(|_| shard == Shard::WHOLE) {
            history.record(path, folder, campaign, &runs, &replays)?;
        }
        if let Some(store) = store {
            store.upload(folder, shard)?;
        }
        if self.json {
            terminal::document(&overview)?;
        } else {
            tell(folder, &overview);
        }
        if ending == Ending::Interrupted {
            errln!("interrupted; `--resume` goes on");
        }
        Ok(exit(&overview, self.judged.fail_on()))
    }

    fn store(&self) -> Result<Option<Store>, Failure> {
        self.upload.as_deref().map(Store::open).transpose()
    }

    fn program(&self) -> Result<PathBuf, Failure> {
        match &self.run_program {
            Some(program) => Ok(program.clone()),
            None => std::env::current_exe().or_harness(|| "finding this program".to_owned()),
        }
    }

    fn tell(&self, event: &CampaignEvent) {
        if self.json {
            // Nobody listens; the files say the same.
            let _ = terminal::document(event);
            return;
        }
        match event {
            CampaignEvent::Started { name, night, configurations, done, .. } => {
                outln!("{name}, night {night}: {configurations} configurations, {done} runs done");
            }
            CampaignEvent::NewBucket { bucket, signature, sentence } => {
                outln!(
                    "new bucket: {}, {}: {}",
                    signature.target,
                    signature.workload,
                    signature.in_words()
                );
                outln!("  {sentence}");
                outln!("  {bucket}");
            }
            CampaignEvent::Run(line) => {
                let seconds = line.wall_ms as f64 / 1_000.0;
                errln!(
                    "run {}: {}, {} ({seconds:.0} s)",
                    line.index,
                    line.result,
                    line.configuration
                );
            }
            CampaignEvent::Learnt(_) => {}
        }
    }
}

/// What there is to say in the end.
fn tell(folder: &CampaignFolder, overview: &Overview) {
    outln!("{}", overview.title());
    outln!("  {}", overview.lead());
    for problem in &overview.problems {
        outln!("  note: {problem}");
    }
    for row in overview.buckets.iter().filter(|row| row.status.is_open()) {
        outln!(
            "  {}: {}, in {}, {}",
            row.status.name(),
            row.name,
            counted(row.runs, "run"),
            row.replays_in_words()
                .map_or_else(|| "not played again".to_owned(), |it| format!("played again: {it}"))
        );
        if let Some(command) = &row.command {
            let here = format!(" {}/failing/", folder.path().display());
            outln!("    again: {}", command.replacen(" failing/", &here, 1));
        }
    }
    outln!("  page: {}", folder.file("index.html").display());
}

/// Is set at Ctrl-C, SIGTERM or SIGHUP.
pub(super) fn stop_at_signals() -> Result<Arc<AtomicBool>, Failure> {
    let failed = || "waiting for signals".to_owned();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().build().or_harness(failed)?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let stop = Arc::new(AtomicBool::new(false));
    let signals = {
        let _inside = runtime.enter();
        kinds.into_iter().map(signal).collect::<Result<Vec<_>, _>>().or_harness(failed)?
    };
    let heard = Arc::clone(&stop);
    std::thread::spawn(move || {
        runtime.block_on(async {
            let mut signals = signals;
            let [first, second, third] = signals.as_mut_slice() else { return };
            tokio::select! {
                _ = first.recv() => {}
                _ = second.recv() => {}
                _ = third.recv() => {}
            }
            heard.store(true, Ordering::Relaxed);
        });
    });
    Ok(stop)
}
