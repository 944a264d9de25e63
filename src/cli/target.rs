//! `partita target check`: does a description read its store rightly?

use std::path::PathBuf;

use clap::{Args, Subcommand};
use partita_nemesis::doctor::best_backend;
use partita_nemesis::{Entered, LabBackend, enter_backend, inside};
use serde::Serialize;

use crate::exit::{Exit, Failure, FailureContext, FailureDocument};
use crate::run::target_check::{TargetReport, check};
use crate::targets::Target;
use crate::{outln, terminal};

/// Works on the descriptions of targets.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    command: TargetCommand,
}

#[derive(Debug, Subcommand)]
enum TargetCommand {
    /// Perform every operation that a description has, provoke errors, and show how each answer is read.
    Check(CheckArguments),
}

/// Starts one node, then several; performs every operation against a known state and shows request, reply and what
/// it was read as; lets nodes end, be alone and be paused, and shows what each error is taken for.
///
/// Exits with 0 if nothing contradicts itself, with 1 if something does, with 2 if the description has a mistake,
/// and with 4 if a node cannot be started.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  partita target check my-store.toml\n  partita target check etcd --nodes 5"
)]
struct CheckArguments {
    /// A built-in target, or the file of a description.
    target: String,
    /// How many nodes there are the second time.
    #[arg(long, value_name = "NUMBER", default_value = "3",
          value_parser = clap::value_parser!(u32).range(1..=9))]
    nodes: u32,
    /// Print a JSON document instead of text: `format`, `operations`, `errors`, `notes`, `contradictions`.
    #[arg(long)]
    json: bool,
}

/// The form of the document that `--json` prints.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    target: &'a str,
    #[serde(flatten)]
    report: &'a TargetReport,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] for a mistake in the description, or if no node can be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let TargetCommand::Check(arguments) = &arguments.command;
    let checked = check_target(arguments);
    if let (true, Err(failure)) = (arguments.json, &checked) {
        terminal::document(&FailureDocument::of(failure))?;
    }
    checked
}

fn check_target(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let spec = Target::spec(&arguments.target).or_usage(|| "target".to_owned())?;
    let target = Target::of(&spec).or_usage(|| "target".to_owned())?;
    let backend = match inside() {
        Some(kind) => kind.backend(),
        None => match best_backend().0 {
            LabBackend::Proxies if !target.can_be_relayed() => LabBackend::Signals,
            best => best,
        },
    };
    // Nothing above starts a thread: entering a lab needs a process that has only one.
    match enter_backend(backend)
        .or_harness(|| "no lab can be built here; `partita doctor` says why".to_owned())?
    {
        Entered::Finished(code) => return Ok(Exit::of_code(code.into())),
        Entered::Inside(_) => {}
    }
    let home = home(&target.name)?;
    let mut told = |line: String| {
        if !arguments.json {
            outln!("{line}");
        }
    };
    let checked = check(&spec, backend, arguments.nodes, &home, &mut told);
    let is_right = checked.as_ref().is_ok_and(|report| report.contradictions.is_empty());
    if is_right {
        // Nothing in it is of use any more.
        let _ = std::fs::remove_dir_all(&home);
    }
    let report = checked?;
    if arguments.json {
        terminal::document(&Document { format: FORMAT, target: &target.name, report: &report })?;
    } else {
        conclude(&report, &home);
    }
    Ok(report.exit())
}

/// A folder of this check's own.
fn home(name: &str) -> Result<PathBuf, Failure> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%fZ");
    let home = std::env::temp_dir().join(format!("partita-check-{name}-{stamp}"));
    std::fs::create_dir_all(&home).or_harness(|| home.display().to_string())?;
    Ok(home)
}

fn conclude(report: &TargetReport, home: &std::path::Path) {
    for note in &report.notes {
        outln!("note: {note}");
    }
    for contradiction in &report.contradictions {
        outln!("contradiction: {contradiction}");
    }
    match report.contradictions.len() {
        0 => outln!("nothing contradicts itself in {} operations", report.operations.len()),
        count => outln!("{count} contradictions; what nodes wrote is in {}", home.display()),
    }
}
