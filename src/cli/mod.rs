//! The command line: one module per command.

pub mod bisect;
pub mod campaign;
pub mod catalogue;
pub mod check;
pub mod command;
pub mod compare;
pub mod doctor;
pub mod export;
pub mod generate;
pub mod init;
pub mod initial;
pub mod input;
pub mod left_out;
pub mod list;
pub mod log_sink;
pub mod logs;
pub mod maelstrom_node;
pub mod model_choice;
pub mod open;
pub mod pace;
pub mod progress;
pub mod read_as;
pub mod replay;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod run_result;
pub mod score;
pub mod serve;
pub mod shell;
pub mod show;
pub mod shrink;
pub mod simulate;
pub mod status;
pub mod stored;
pub mod target;
pub mod trial;
pub mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use partita_checker::Value;

use crate::exit::{Exit, Failure, FailureContext};
use crate::telemetry::{self, Verbosity};

/// Puts a replicated store through chaos and proves what its clients saw.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Verbosity.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  every verdict is valid
  1  something was found of the system under test: a violation, a crash
  2  bad arguments or bad input
  3  unknown: a budget ran out, or nothing was tested
  4  the harness failed, or the system under test could not be started

Start here:
  partita run                                   three Raft nodes through 20 s of chaos
  partita run --mutation leader-local-read      the same with a planted bug, which it finds";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a store, break what it runs on, and judge what its clients saw.
    Run(run::Arguments),
    /// Play an earlier run again, with the faults it had.
    Replay(replay::Arguments),
    /// Run a store again and again, and put what is found into buckets.
    Campaign(Box<campaign::Arguments>),
    /// Find the first version of a store that reproduces what a run found.
    Bisect(bisect::Arguments),
    /// Measure which planted bugs, or bugs of your own, default runs find, and how soon.
    Score(score::Arguments),
    /// Find the fewest and shortest faults that still give a run's violation.
    Shrink(shrink::Arguments),
    /// Print what nodes and the harness wrote in a run, in the order of its clock.
    Logs(logs::Arguments),
    /// Decide whether recorded histories are linearizable.
    Check(check::Arguments),
    /// Re-check a certificate against its history, sharing no code with the search.
    Verify(verify::Arguments),
    /// Make the reports of a run again, from its folder.
    Report(report::Arguments),
    /// Compare two runs and show where they first diverge
    Compare(compare::Arguments),
    /// Show a folder of runs as a site, with those that are going on.
    Serve(serve::Arguments),
    /// Open a run's report in a browser.
    Open(open::Arguments),
    /// Write a history or a run in another format, for other checkers and viewers.
    Export(export::Arguments),
    /// Make a history, linearizable or damaged on purpose.
    Generate(generate::Arguments),
    /// Run clusters of the built-in server in simulated time, and check every step.
    Simulate(simulate::Arguments),
    /// Run a node of the built-in Raft key/value server.
    Node(partita_raft_node::Arguments),
    /// List the targets, workloads, faults, planted bugs and other names.
    List(list::Arguments),
    /// Write the description of a store of your own, to begin from.
    Init(init::Arguments),
    /// Check how the description of a target reads its store.
    Target(target::Arguments),
    /// Run a program that was written for Maelstrom as a node.
    #[command(hide = true)]
    MaelstromNode(maelstrom_node::Arguments),
    /// Check which labs this machine supports, and how to enable more
    Doctor(doctor::Arguments),
    /// Print a script that completes commands in a shell.
    Completions(shell::Completions),
    /// Write manual pages.
    Man(shell::Man),
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`], for `main` to print.
pub fn perform(cli: Cli) -> Result<Exit, Failure> {
    // A node logs in its own way, to its standard error.
    if !matches!(cli.command, Command::Node(_) | Command::MaelstromNode(_)) {
        telemetry::init(cli.verbosity)?;
    }
    match cli.command {
        Command::Run(arguments) => run::perform(&arguments),
        Command::Campaign(arguments) => campaign::perform(&arguments),
        Command::Bisect(arguments) => bisect::perform(&arguments),
        Command::Replay(arguments) => replay::perform(&arguments),
        Command::Score(arguments) => score::perform(&arguments),
        Command::Shrink(arguments) => shrink::perform(&arguments),
        Command::Logs(arguments) => logs::perform(&arguments),
        Command::Check(arguments) => check::perform(&arguments),
        Command::Verify(arguments) => verify::perform(&arguments),
        Command::Report(arguments) => report::perform(&arguments),
        Command::Compare(arguments) => compare::perform(&arguments),
        Command::Serve(arguments) => serve::perform(&arguments),
        Command::Open(arguments) => open::perform(&arguments),
        Command::Export(arguments) => export::perform(&arguments),
        Command::Generate(arguments) => generate::perform(&arguments),
        Command::Simulate(arguments) => simulate::perform(&arguments),
        Command::Node(arguments) => {
            let settings = arguments.settings().or_usage(|| "node".to_owned())?;
            let done = partita_raft_node::run(&settings).map(|()| Exit::Valid);
            done.or_harness(|| "node".to_owned())
        }
        Command::List(arguments) => list::perform(&arguments),
        Command::Init(arguments) => init::perform(&arguments),
        Command::Target(arguments) => target::perform(&arguments),
        Command::MaelstromNode(arguments) => maelstrom_node::perform(&arguments),
        Command::Doctor(arguments) => doctor::perform(&arguments),
        Command::Completions(arguments) => Ok(arguments.perform()),
        Command::Man(arguments) => arguments.perform(),
    }
}

/// Reads `30s`, `5m`, `1m 30s`, `250ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text
        .parse::<jiff::SignedDuration>()
        .map_err(|_| "expected a duration such as `30s`, `5m` or `250ms`".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "expected a duration that is not negative".to_owned())
}

/// Reads a value as histories hold it.
fn value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| "expected JSON, such as 0, null or '\"x\"'".to_owned())
}

/// Reads `64MiB`, `2GiB`, `1000`: bytes, with a binary unit or none.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("expected a size such as `64MiB` or `2GiB`".to_owned()),
    };
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "expected a size such as `64MiB` or `2GiB`".to_owned())
}

/// Reads the name of a program and its path.
fn binary(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected NAME=PATH, such as honest=./my-store".to_owned()),
    }
}

/// Reads a duration that is longer than nothing.
fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("expected a duration longer than zero".to_owned()),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn binaries_are_named() {
        assert_eq!(binary("bug1=/bin/true"), Ok(("bug1".to_owned(), "/bin/true".into())));
        assert!(binary("bug1").is_err() && binary("=x").is_err() && binary("x=").is_err());
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!(size("1000"), Ok(1000));
        for wrong in ["", "MiB", "64MB", "-1", "99999999999999999999", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_written_as_people_write_them() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("30").is_err());
        assert!(duration("-3s").is_err());
        assert!(positive_duration("0s").is_err());
    }
}
