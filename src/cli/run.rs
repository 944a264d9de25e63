//! `partita run`: one run, from start to report.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use partita_nemesis::doctor::best_backend;
use partita_nemesis::recipes::RECIPES;
use partita_nemesis::{Entered, LabBackend, LabKind, Script, enter_backend, inside};
use partita_reports::RunSpec;
use partita_reports::spec::{
    self, Bytes, Document, FaultsSpec, LEAST_NODE_LOG_LIMIT, Limit, LoadShape, Milliseconds,
    OnFinding, defaults,
};

use super::left_out::LeftOut;
use super::log_sink::LogSink;
use super::status::StatusLine;
use super::{command, run_result};
use crate::exit::{Exit, Failure, FailureContext, FailureDocument};
use crate::names::{self, Names};
use crate::run::folder::RunFolder;
use crate::run::lab_access::OUTER;
use crate::run::{self, Concluded, Faults, Plan};
use crate::targets::Target;
use crate::{telemetry, terminal};

/// Starts a store's processes on hosts of its own making, breaks their network and lives on a
/// schedule drawn from the seed, records every client operation, and decides whether the history
/// is linearizable.
///
/// Writes a folder below `--out`, with the report in `report.html`. Exits with 0 if the history is
/// linearizable, with 1 if it is not or a node crashed, with 3 if nothing was proved, with 4 if the
/// harness failed or the store could not be started.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita run\n  partita run --time 60s --seed 7 --nodes 5\n  \
                        partita run --mutation leader-local-read --nemesis partition\n  \
                        partita run --spec partita-runs/latest/spec.json")]
pub struct Arguments {
    /// The system under test: a built-in name or a TOML file.
    #[arg(long, default_value = defaults::TARGET)]
    target: String,
    /// What hosts are made of: the best lab that this machine supports (`partita doctor`), of
    /// namespaces, of loopback addresses with proxies between them, or of loopback addresses alone,
    /// with faults of processes, clocks and disks.
    #[arg(long, default_value = "auto", value_name = "LAB")]
    lab: LabChoice,
    #[arg(long, value_parser = clap::value_parser!(u32).range(bounds(&spec::NODES)),
          help = format!("How many nodes: as the seed draws, {} with faults of one's own choice, or as many \
                          as the schedule is meant for", defaults::NODES))]
    nodes: Option<u32>,
    /// A word to add to every node's command, such as `--node-argument=--snapshot-every=64KiB`; may
    /// be repeated. In place of what the seed draws; an empty word leaves that out.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    node_argument: Vec<String>,
    #[arg(long, value_name = "NAME",
          help = format!("What the clients do (`partita list workloads`): as the seed draws, {} with faults \
                          of one's own choice, or what the schedule says", defaults::WORKLOAD))]
    workload: Option<String>,
    /// Which faults to draw: `default`, `all`, a family (`partition`, `link`, `process`, `clock`,
    /// `disk`, `membership`), `none`, or names joined by commas.
    #[arg(long, default_value = defaults::FAULTS, value_name = "FAULTS")]
    nemesis: String,
    /// Play this schedule instead of drawing faults: the name of a recipe (`partita list recipes`) or
    /// a TOML file, such as the `schedule.toml` of an earlier run.
    #[arg(long, value_name = "RECIPE|FILE", conflicts_with = "nemesis")]
    schedule: Option<String>,
    #[arg(long, value_name = "DURATION", value_parser = milliseconds,
          help = format!("How long clients and faults are at work: {}, or as long as the schedule \
                          needs", defaults::TIME))]
    time: Option<Milliseconds>,
    /// Random seed; drawn from the time of day if not given.
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, value_name = "RATE", value_parser = rate,
          help = format!("The rate that all clients together aim at, in operations a second: as the seed \
                          draws, {} with faults of one's own choice, or what the schedule says", defaults::RATE))]
    rate: Option<f64>,
    /// How many clients: as the seed draws, as the schedule says, or enough for the rate.
    #[arg(long, value_parser = clap::value_parser!(u32).range(bounds(&spec::CLIENTS)))]
    clients: Option<u32>,
    /// When clients ask: in a closed loop each once it has the reply to what it asked before, in an open one
    /// at random at the rate, as many in flight as there are clients, the rest shed. As the seed draws, or
    /// closed with faults of one's own choice.
    #[arg(long, value_name = "SHAPE")]
    load: Option<LoadChoice>,
    /// How many clients share a connection, each with a request in flight on it: as the seed draws, or 1
    /// with faults of one's own choice. RESP only; transactions have connections of their own.
    #[arg(long, value_name = "CLIENTS", value_parser = clap::value_parser!(u32).range(bounds(&spec::PIPELINE)))]
    pipeline: Option<u32>,
    /// How long a client waits for a reply before the outcome is unknown.
    #[arg(long, default_value_t = defaults::REPLY_TIMEOUT, value_name = "DURATION",
          value_parser = milliseconds)]
    reply_timeout: Milliseconds,
    /// How long the checker may search before it gives up as unknown.
    #[arg(long, default_value_t = defaults::CHECK_TIMEOUT, value_name = "DURATION",
          value_parser = milliseconds)]
    check_timeout: Milliseconds,
    /// End the run at the first finding instead of seeing it through, and look for violations meanwhile.
    #[arg(long)]
    stop_on_finding: bool,
    /// What to do at the first finding: see the run through, stop, or hold, which is to keep the cluster
    /// with all faults as it is for a debugger, until Ctrl-C, and then stop.
    #[arg(
        long,
        default_value = "continue",
        value_name = "WHAT",
        conflicts_with = "stop_on_finding"
    )]
    on_finding: OnFindingChoice,
    /// Limits that the store must keep, such as `recovery < 5s`, `unavailable < 2s under isolate`, `memory <
    /// 512MiB`, `open-files < 1000`, `log-size < 1GiB`, `latency < 200ms`; may be repeated.
    #[arg(long, value_name = "LIMIT")]
    limit: Vec<Limit>,
    /// A planted bug to switch on in the target; `partita list mutations` names them.
    #[arg(long, value_name = "NAME")]
    mutation: Vec<String>,
    /// The folder that run folders go into.
    #[arg(long, default_value = "partita-runs", value_name = "FOLDER")]
    out: PathBuf,
    /// Capture what every link delivers: `pcap/n1-to-n2.pcap` and so on in the run's folder, for
    /// tshark or Wireshark.
    #[arg(long)]
    pcap: bool,
    /// Keep the nodes' data even if nothing went wrong.
    #[arg(long)]
    keep_data: bool,
    /// Print what `run.json` holds, as a line of JSON, instead of text; what happens meanwhile is told
    /// on standard error.
    #[arg(long)]
    json: bool,
    /// The most that is kept of what a node writes to its standard streams, such as `64MiB`; of more,
    /// the beginning and the end are kept. At least 512 KiB.
    #[arg(long, default_value_t = defaults::NODE_LOG_LIMIT, value_name = "SIZE",
          value_parser = log_limit)]
    node_log_limit: Bytes,
    /// Do the run of this specification (docs/run-spec.md), such as the `spec.json` of an earlier run;
    /// `-` is standard input. Nothing that says what the run is can be given besides.
    #[arg(long, value_name = "FILE|-", conflicts_with_all = OF_THE_SPECIFICATION)]
    spec: Option<PathBuf>,
    /// Print the run's specification as a line of JSON, and run nothing.
    #[arg(long)]
    print_spec: bool,
}

/// The arguments that say what the run is.
const OF_THE_SPECIFICATION: [&str; 22] = [
    "target",
    "lab",
    "nodes",
    "node_argument",
    "workload",
    "nemesis",
    "schedule",
    "time",
    "seed",
    "rate",
    "clients",
    "load",
    "pipeline",
    "reply_timeout",
    "check_timeout",
    "stop_on_finding",
    "on_finding",
    "limit",
    "mutation",
    "pcap",
    "keep_data",
    "node_log_limit",
];

/// What to do when something is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnFindingChoice {
    /// See the run through.
    Continue,
    /// End it.
    Stop,
    /// Keep the cluster as it is until Ctrl-C, then end it.
    Hold,
}

impl From<OnFindingChoice> for OnFinding {
    fn from(choice: OnFindingChoice) -> Self {
        match choice {
            OnFindingChoice::Continue => Self::Continue,
            OnFindingChoice::Stop => Self::Stop,
            OnFindingChoice::Hold => Self::Hold,
        }
    }
}

/// When clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LoadChoice {
    /// Each once it has the reply to what it asked before.
    Closed,
    /// At random at the rate, whatever became of earlier requests.
    Open,
}

impl From<LoadChoice> for LoadShape {
    fn from(choice: LoadChoice) -> Self {
        match choice {
            LoadChoice::Closed => Self::Closed,
            LoadChoice::Open => Self::Open,
        }
    }
}

/// Which lab is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LabChoice {
    /// The best there is.
    Auto,
    /// Hosts of namespaces, joined by a switch.
    Namespaces,
    /// Hosts of loopback addresses, joined by relays.
    Proxies,
    /// Hosts of loopback addresses, joined by nothing.
    Signals,
}

impl From<LabChoice> for spec::LabChoice {
    fn from(choice: LabChoice) -> Self {
        match choice {
            LabChoice::Auto => Self::Auto,
            LabChoice::Namespaces => Self::Namespaces,
            LabChoice::Proxies => Self::Proxies,
            LabChoice::Signals => Self::Signals,
        }
    }
}

/// The lab for a run: what is asked for, or the best that works here. Tries real operations in child
/// processes if that must be found out.
fn backend(spec: &RunSpec, target: &Target) -> LabBackend {
    match spec.lab {
        spec::LabChoice::Namespaces => LabBackend::Namespaces,
        spec::LabChoice::Proxies => LabBackend::Proxies,
        spec::LabChoice::Signals => LabBackend::Signals,
        spec::LabChoice::Auto => match best_backend().0 {
            LabBackend::Proxies if !target.can_be_relayed() => LabBackend::Signals,
            best => best,
        },
    }
}

fn bounds(range: &std::ops::RangeInclusive<u32>) -> std::ops::RangeInclusive<i64> {
    i64::from(*range.start())..=i64::from(*range.end())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("expected a number of operations a second, greater than zero".to_owned()),
    }
}

/// Reads a duration of whole milliseconds that is longer than nothing.
pub(super) fn milliseconds(text: &str) -> Result<Milliseconds, String> {
    let time = super::positive_duration(text)?;
    Milliseconds::try_from(time).map_err(|error| error.to_string())
}

/// Reads a size that can be kept of a node's output.
fn log_limit(text: &str) -> Result<Bytes, String> {
    let limit = Bytes(super::size(text)? as u64);
    if limit < LEAST_NODE_LOG_LIMIT {
        return Err(format!("expected at least {LEAST_NODE_LOG_LIMIT}"));
    }
    Ok(limit)
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] for bad arguments, or when the lab or the target cannot be had.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let ended = run(arguments);
    if let (true, Err(failure)) = (arguments.json, &ended) {
        terminal::document(&FailureDocument::of(failure))?;
    }
    ended
}

fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    // The process that the user started has made the folder, and written down what was asked.
    let made =
        inside().and_then(|_| std::env::var_os(RUN)).map(|path| RunFolder::made(path.into()));
    let spec = match &made {
        Some(folder) => folder.spec()?,
        None => arguments.spec()?,
    };
    if arguments.print_spec {
        Plan::of(spec.clone(), PathBuf::new(), String::new())?;
        terminal::document(&spec)?;
        return Ok(Exit::Valid);
    }
    let plan = plan(spec, arguments.out.clone())?;
    let folder = match made {
        Some(folder) => folder,
        None => folder(&plan)?,
    };
    telemetry::write_to(folder.path())?;
    tracing::info!(lab = %plan.lab, "entering the lab");
    // Nothing above starts a thread: entering a lab needs a process that has only one.
    let entered = enter_backend(plan.lab)
        .or_harness(|| "no lab can be built here; `partita doctor` says why".to_owned());
    let concluded = match entered {
        Ok(Entered::Inside(kind)) => {
            run::run(&plan, &folder, kind, vec![Box::new(LogSink), Box::new(StatusLine::new())])
        }
        Ok(Entered::Finished(code)) if code <= Exit::Harness.code() => {
            return Ok(Exit::of_code(code.into()));
        }
        Ok(Entered::Finished(code)) => {
            tracing::info!(code, "the controller has ended before it came to a result");
            run::conclude_for(&plan, &folder, code)
        }
        Err(failure) => {
            tracing::error!(target: telemetry::SHOWN, "{}", failure.messages().join(": "));
            run::conclude_without_lab(&plan, &folder, &failure)
        }
    };
    told(&concluded?, arguments)
}

/// Prints the result; what the run ends with.
fn told(concluded: &Concluded, arguments: &Arguments) -> Result<Exit, Failure> {
    run_result::print(concluded, arguments.json)?;
    Ok(concluded.record.exit())
}

/// The plan of a specification, for the lab that it has here.
fn plan(mut spec: RunSpec, out: PathBuf) -> Result<Plan, Failure> {
    let target = Target::of(&spec.target).or_usage(|| "the target".to_owned())?;
    let backend = inside().map_or_else(|| backend(&spec, &target), LabKind::backend);
    spec.lab = run::plan::lab(backend);
    let command = command::of(&spec);
    Plan::of(spec, out, command)?.fitted(backend)
}

/// Where the run's folder is, for the controller, and a mark of everything that the run starts.
const RUN: &str = "PARTITA_RUN";

/// The seed of the run, for everything that the run starts.
const RUN_SEED: &str = "PARTITA_RUN_SEED";

/// The run's folder: made by the process that the user started, which can still judge what is in it
/// should the controller be killed, and handed on to the controller.
#[expect(unsafe_code, reason = "the environment belongs to the whole process")]
fn folder(plan: &Plan) -> Result<RunFolder, Failure> {
    let folder = run::begin(plan)?;
    // SAFETY: this process has no other thread that could read the environment meanwhile.
    unsafe {
        std::env::set_var(RUN, folder.path());
        std::env::set_var(RUN_SEED, plan.spec.seed.to_string());
        std::env::set_var(OUTER, std::process::id().to_string());
    }
    Ok(folder)
}

impl Arguments {
    /// The specification that they come to.
    fn spec(&self) -> Result<RunSpec, Failure> {
        match &self.spec {
            Some(path) => read_spec(path),
            None => self.made_spec(),
        }
    }

    fn made_spec(&self) -> Result<RunSpec, Failure> {
        let target = Target::spec(&self.target).or_usage(|| "--target".to_owned())?;
        let described = Target::of(&target).or_usage(|| "--target".to_owned())?;
        let (faults, seed) = (self.faults()?, self.seed.unwrap_or_else(seed_of_the_day));
        let script = match Faults::of(&faults, &described)? {
            Faults::Written(script) => script,
            Faults::Drawn(_) => Script::default(),
        };
        let left = LeftOut::of(&faults, &script, &described, seed);
        let workload = self.workload.as_deref().unwrap_or(&left.workload);
        names::workload(workload).or_usage(|| "--workload".to_owned())?;
        let rate = self.rate.unwrap_or(left.rate);
        let needed = Milliseconds(script.needs().as_nanos().div_ceil(1_000_000) as u64);
        Ok(RunSpec {
            format: spec::FORMAT,
            target,
            lab: self.lab.into(),
            nodes: self.nodes.unwrap_or(left.nodes),
            node_arguments: left.node_arguments(&self.node_argument),
            mutations: self.mutation.clone(),
            workload: workload.to_owned(),
            rate,
            clients: self.clients.unwrap_or_else(|| left.clients(rate)),
            load: self.load.map_or(left.load, LoadShape::from),
            pipeline: self.pipeline.unwrap_or(left.pipeline),
            faults,
            time: self.time.unwrap_or_else(|| needed.max(defaults::TIME)),
            seed,
            reply_timeout: self.reply_timeout,
            check_timeout: self.check_timeout,
            on_finding: self.on_finding(),
            limits: self.limit.clone(),
            pcap: self.pcap,
            keep_data: self.keep_data,
            node_log_limit: self.node_log_limit,
        })
    }

    fn on_finding(&self) -> OnFinding {
        if self.stop_on_finding { OnFinding::Stop } else { self.on_finding.into() }
    }

    /// The faults asked for.
    fn faults(&self) -> Result<FaultsSpec, Failure> {
        let Some(name) = &self.schedule else {
            names::faults(&self.nemesis)?;
            return Ok(FaultsSpec::Draw(self.nemesis.clone()));
        };
        let schedule = |toml: String| FaultsSpec::Schedule(Document { name: name.clone(), toml });
        if let Some((_, toml)) = RECIPES.iter().find(|(known, _)| known == name) {
            return Ok(schedule((*toml).to_owned()));
        }
        if !Path::new(name).exists() {
            return Err(Names::Recipes.unknown(name)).or_usage(|| "--schedule".to_owned());
        }
        std::fs::read_to_string(name).map(schedule).or_usage(|| name.clone())
    }
}

/// Reads a specification from a file, or from standard input.
fn read_spec(path: &Path) -> Result<RunSpec, Failure> {
    let name = || format!("--spec {}", path.display());
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).or_usage(name)?;
    } else {
        text = std::fs::read_to_string(path).or_usage(name)?;
    }
    RunSpec::parse(&text).or_usage(name)
}

/// A seed short enough to be typed.
fn seed_of_the_day() -> u64 {
    let now: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xffff)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::run::profile::Profile;

    fn arguments(line: &str) -> Arguments {
        let cli = Cli::try_parse_from(["partita", "run"].into_iter().chain(line.split(' ')));
        match cli.expect("well-formed").command {
            Command::Run(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn with_faults_of_ones_own_choice_a_run_has_the_defaults_of_the_specification() {
        let spec = arguments("--seed 7 --nemesis kill").spec().expect("a specification");
        let faults = FaultsSpec::Draw("kill".to_owned());
        assert_eq!(spec, RunSpec { seed: 7, faults, ..RunSpec::default() });
        let spec =
            arguments("--seed 7 --nemesis kill --rate 3000").spec().expect("a specification");
        assert_eq!(spec.clients, 75);
    }

    #[test]
    fn what_is_not_chosen_is_drawn_and_what_is_leaves_the_rest_as_it_was() {
        let drawn = arguments("--seed 9").spec().expect("a specification");
        let profile = Profile::draw(&Target::find("raft-node").expect("built in"), 9);
        let all = (drawn.nodes, drawn.clients, drawn.node_arguments.clone());
        assert_eq!(all, (profile.nodes, profile.clients, profile.node_arguments));
        let chosen = arguments("--seed 9 --nodes 7 --node-argument=--heartbeat=9ms");
        let expected = RunSpec {
            nodes: 7,
            node_arguments: vec!["--heartbeat=9ms".to_owned()],
            ..drawn.clone()
        };
        assert_eq!(chosen.spec().expect("a specification"), expected);
        let bare = arguments("--seed 9 --node-argument=").spec().expect("a specification");
        assert_eq!(bare, RunSpec { node_arguments: Vec::new(), ..drawn });
    }

    #[test]
    fn a_specification_is_made_again_by_the_command_that_it_comes_to() {
        for line in [
            "--seed 3",
            "--seed 1 --nodes 3 --workload register --rate 500",
            "--seed 3 --node-argument= --time 60s",
            "--seed 3 --nodes 5 --rate 0.5 --clients 20 --time 1500ms --stop-on-finding",
            "--seed 3 --lab proxies --nemesis partition,kill --mutation no-log-check",
            "--seed 3 --schedule figure-8 --node-argument=--more --reply-timeout 250ms",
            "--seed 3 --schedule retries --node-log-limit 1MiB --check-timeout 5s",
            "--seed 3 --on-finding=hold",
            "--seed 3 --load open --pipeline 4",
            "--seed 3 --nemesis kill --load open --pipeline 16 --clients 64",
        ] {
            let spec = arguments(line).spec().expect("a specification");
            let command = command::of(&spec);
            let again = arguments(command.strip_prefix("partita run ").expect("a run"));
            assert_eq!(again.spec().expect("a specification"), spec, "{command}");
        }
    }

    #[test]
    fn every_argument_is_either_of_the_specification_or_about_files_and_output() {
        let cli = Cli::command();
        let run = cli.find_subcommand("run").expect("a command");
        let besides = ["out", "json", "spec", "print_spec"];
        for argument in run.get_arguments().map(|it| it.get_id().as_str()) {
            let is_listed = OF_THE_SPECIFICATION.contains(&argument);
            assert_ne!(is_listed, besides.contains(&argument), "{argument}");
        }
        assert_eq!(run.get_arguments().count(), OF_THE_SPECIFICATION.len() + besides.len());
    }
}
