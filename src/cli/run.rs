//! `partita run`: one run, from start to report.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use partita_nemesis::doctor::best_tier;
use partita_nemesis::recipes;
use partita_nemesis::{Entered, Fault, LabKind, Script, Tier, enter_tier, inside};

use crate::exit::{Exit, Failure, FailureDocument, OrFail};
use crate::names::{self, Names};
use crate::run::folder::RunFolder;
use crate::run::node_logs;
use crate::run::{self, Faults, Plan};
use crate::targets::Target;
use crate::{telemetry, terminal};

/// Starts a store's processes on hosts of its own making, breaks their network and lives on a
/// schedule drawn from the seed, records every client operation, and decides whether the history
/// is linearizable.
///
/// Writes a folder below `--out`, with the report in `report.html`. Exits with 0 if the history is
/// linearizable, with 1 if it is not, with 3 if nothing was proved, with 4 if the store or the
/// harness failed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita run\n  partita run --time 60s --seed 7 --nodes 5\n  \
                        partita run --mutation leader-local-read --nemesis partition")]
pub struct Arguments {
    /// The system under test: a built-in name or a TOML file.
    #[arg(long, default_value = "raft-node")]
    target: String,
    /// What the nodes' hosts are made of: the best that this machine allows (`partita doctor`), of
    /// namespaces, of loopback addresses with proxies between them, or of loopback addresses alone,
    /// with faults of processes, clocks and disks.
    #[arg(long, default_value = "auto", value_name = "LAB")]
    lab: LabChoice,
    /// How many nodes: 3, or as many as the schedule is meant for.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9))]
    nodes: Option<u32>,
    /// A word to add to every node's command, such as `--node-argument=--snapshot-every=64KiB`; may
    /// be repeated.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    node_argument: Vec<String>,
    /// What the clients do (`partita list workloads`): register, or what the schedule says.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Which faults to draw: `default`, `all`, a family (`partition`, `link`, `process`, `clock`,
    /// `disk`, `membership`), `none`, or names joined by commas.
    #[arg(long, default_value = "default", value_name = "FAULTS")]
    nemesis: String,
    /// Play this schedule instead of drawing faults: the name of a recipe (`partita list recipes`) or
    /// a TOML file, such as the `schedule.toml` of an earlier run.
    #[arg(long, value_name = "RECIPE|FILE", conflicts_with = "nemesis")]
    schedule: Option<String>,
    /// How long clients and faults are at work: 20s, or as long as the schedule needs.
    #[arg(long, value_name = "DURATION", value_parser = super::positive_duration)]
    time: Option<Duration>,
    /// Where everything random comes from; drawn from the time of day if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// The rate that all clients together aim at, in operations a second: 500, or what the schedule
    /// says.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// How many clients: as the schedule says, or enough for the rate.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    clients: Option<u32>,
    /// How long a client waits for a reply before the outcome is unknown.
    #[arg(long, default_value = "1s", value_name = "DURATION",
          value_parser = super::positive_duration)]
    reply_timeout: Duration,
    /// How long the checker may search before it gives up as unknown.
    #[arg(long, default_value = "60s", value_name = "DURATION",
          value_parser = super::positive_duration)]
    check_timeout: Duration,
    /// End the run at the first violation instead of seeing it through.
    #[arg(long)]
    stop_on_violation: bool,
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
    /// Print what `run.json` holds, as a line of JSON, instead of words; what happens meanwhile is told
    /// on standard error.
    #[arg(long)]
    json: bool,
    /// The most that is kept of what a node writes to its standard streams, such as `64MiB`; of more,
    /// the beginning and the end are kept. At least 512 KiB.
    #[arg(long, default_value = "256MiB", value_name = "SIZE", value_parser = log_limit)]
    node_log_limit: u64,
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

impl LabChoice {
    /// The lab for `target`: of what is asked for, or the best that works here. Tries real operations
    /// in child processes if that must be found out.
    fn tier(self, target: &Target) -> Tier {
        match self {
            Self::Namespaces => Tier::Namespaces,
            Self::Proxies => Tier::Proxies,
            Self::Signals => Tier::Signals,
            Self::Auto => match best_tier().0 {
                Tier::Proxies if !target.can_be_relayed() => Tier::Signals,
                best => best,
            },
        }
    }
}

/// How long a run takes if nobody says.
const ORDINARY_TIME: Duration = Duration::from_secs(20);

/// What its clients do then.
const ORDINARY_WORKLOAD: &str = "register";

/// The rate they aim at then, in operations a second.
const ORDINARY_RATE: f64 = 500.0;

/// How many nodes it has then.
const ORDINARY_NODES: u32 = 3;

/// Operations a second that one client is good for when the cluster is healthy.
const RATE_OF_A_CLIENT: f64 = 40.0;

/// The fewest clients: enough to keep several operations open on one key.
const FEWEST_CLIENTS: u32 = 15;

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("expected a number of operations a second, greater than zero".to_owned()),
    }
}

/// Reads a size that can be kept of a node's output.
fn log_limit(text: &str) -> Result<u64, String> {
    let limit = super::size(text)? as u64;
    if limit < node_logs::LEAST {
        return Err("expected at least 512KiB".to_owned());
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
    let plan = plan(arguments)?;
    let tier = inside().map_or_else(|| arguments.lab.tier(&plan.target), LabKind::tier);
    let plan = plan.fitted(tier)?;
    let folder = folder(&plan)?;
    telemetry::write_to(folder.path())?;
    tracing::info!(lab = %tier, "entering the lab");
    // Nothing above starts a thread: entering a lab needs a process that has only one.
    let entered = enter_tier(tier)
        .or_harness(|| "no lab can be built here; `partita doctor` says why".to_owned());
    match entered {
        Ok(Entered::Inside(kind)) => run::run(&plan, &folder, kind),
        Ok(Entered::Finished(code)) if code <= Exit::Harness.code() => {
            Ok(Exit::of_code(code.into()))
        }
        Ok(Entered::Finished(code)) => {
            tracing::info!(code, "the controller has ended before it came to a result");
            run::conclude_for(&plan, &folder, code)
        }
        Err(failure) => {
            tracing::error!(target: telemetry::SHOWN, "{}", failure.messages().join(": "));
            run::conclude_without_lab(&plan, &folder, &failure)
        }
    }
}

/// Where the run's folder is, for the controller, and a mark of everything that the run starts.
const RUN: &str = "PARTITA_RUN";

/// The seed that was drawn for the run, for the controller: what the folder says was played is played.
const RUN_SEED: &str = "PARTITA_RUN_SEED";

/// The run's folder: made by the process that the user started, which can still judge what is in it
/// should the controller be killed, and handed on to the controller.
#[expect(unsafe_code, reason = "the environment belongs to the whole process")]
fn folder(plan: &Plan) -> Result<RunFolder, Failure> {
    if inside().is_some()
        && let Some(path) = std::env::var_os(RUN)
    {
        return Ok(RunFolder::made(path.into()));
    }
    let folder = run::begin(plan)?;
    // SAFETY: this process has no other thread that could read the environment meanwhile.
    unsafe {
        std::env::set_var(RUN, folder.path());
        std::env::set_var(RUN_SEED, plan.seed.to_string());
    }
    Ok(folder)
}

fn plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let target = Target::find(&arguments.target).or_usage(|| "--target".to_owned())?;
    let faults = possible(faults(arguments)?, &target)?;
    check_mutations(&target, &arguments.mutation)?;
    let drawn = Script::default();
    let script = if let Faults::Written(script) = &faults { script } else { &drawn };
    let workload = arguments.workload.as_deref().or(script.workload.as_deref());
    let workload = names::workload(workload.unwrap_or(ORDINARY_WORKLOAD))
        .or_usage(|| "--workload".to_owned())?;
    let rate = arguments.rate.or(script.rate.map(f64::from)).unwrap_or(ORDINARY_RATE);
    let clients = arguments.clients.or(script.clients).unwrap_or_else(|| {
        let wanted = (rate / RATE_OF_A_CLIENT).ceil().min(2_000.0);
        (wanted as u32).max(FEWEST_CLIENTS)
    });
    let (nodes, time) = (script.nodes, script.needs().max(ORDINARY_TIME));
    let mut node_arguments = script.arguments.get(&target.name).cloned().unwrap_or_default();
    node_arguments.extend(arguments.node_argument.iter().cloned());
    Ok(Plan {
        target,
        lab: Tier::Namespaces,
        nodes: arguments.nodes.or(nodes).unwrap_or(ORDINARY_NODES),
        workload,
        faults,
        node_arguments,
        time: arguments.time.unwrap_or(time),
        seed: arguments.seed.or_else(drawn_seed).unwrap_or_else(seed_of_the_day),
        rate,
        clients,
        reply_timeout: arguments.reply_timeout,
        check_timeout: arguments.check_timeout,
        stop_on_violation: arguments.stop_on_violation,
        mutations: arguments.mutation.clone(),
        out: arguments.out.clone(),
        pcap: arguments.pcap,
        keep_data: arguments.keep_data,
        json: arguments.json,
        node_log_limit: arguments.node_log_limit,
    })
}

/// The faults asked for.
fn faults(arguments: &Arguments) -> Result<Faults, Failure> {
    let Some(name) = &arguments.schedule else {
        return names::faults(&arguments.nemesis).map(Faults::Drawn);
    };
    if let Some(recipe) = recipes::find(name) {
        return Ok(Faults::Written(recipe));
    }
    if !Path::new(name).exists() {
        return Err(Names::Recipes.unknown(name)).or_usage(|| "--schedule".to_owned());
    }
    let text = std::fs::read_to_string(name).or_usage(|| name.clone())?;
    Script::parse(name, &text).map(Faults::Written).or_usage(|| "--schedule".to_owned())
}

/// The faults that the target can have. What was not asked for by name is left out without a word.
fn possible(faults: Faults, target: &Target) -> Result<Faults, Failure> {
    let cannot = |fault: Fault| !target.can_have(fault);
    match faults {
        Faults::Drawn(menu) => {
            let menu = menu.without(cannot).map_err(|fault| target.refusal(fault));
            Ok(Faults::Drawn(menu.or_usage(|| "--nemesis".to_owned())?))
        }
        Faults::Written(script) => {
            if let Some(fault) = script.kinds().find(|fault| cannot(*fault)) {
                return Err(target.refusal(fault))
                    .or_usage(|| format!("--schedule {}", script.name));
            }
            Ok(Faults::Written(script))
        }
    }
}

fn check_mutations(target: &Target, mutations: &[String]) -> Result<(), Failure> {
    if mutations.is_empty() {
        return Ok(());
    }
    if target.each_mutation.is_empty() {
        let problem = format!("--mutation: target `{}` has no planted bugs", target.name);
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    // Only the built-in target's bugs are known here; another target judges its own names.
    if target.name == "raft-node" {
        for mutation in mutations {
            names::mutation(mutation).or_usage(|| "--mutation".to_owned())?;
        }
    }
    Ok(())
}

/// The seed that the process drew that this one was started by to carry out the run.
fn drawn_seed() -> Option<u64> {
    inside().and_then(|_| std::env::var(RUN_SEED).ok()?.parse().ok())
}

/// A seed short enough to be typed.
fn seed_of_the_day() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (now.as_secs() & 0xffff)
}
