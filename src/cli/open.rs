//! `partita open`: a run's report in a browser.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;

use crate::exit::{Exit, Failure, FailureContext};
use crate::outln;

/// Opens the report of a run in a browser: what the variable BROWSER names, or else `xdg-open`.
///
/// Exits with 2 if there is no report, and with 4 if no browser can be started.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita open\n  partita open partita-runs/latest --print")]
pub struct Arguments {
    /// The run's folder, or a campaign's.
    #[arg(default_value = "partita-runs/latest", value_name = "RUN")]
    run: PathBuf,
    /// Print where the report is and open nothing.
    #[arg(long)]
    print: bool,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there is no report, or no browser can be started.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let name = arguments.run.display();
    let page = ["report.html", "index.html"].map(|page| arguments.run.join(page));
    let Some(page) = page.into_iter().find(|page| page.is_file()) else {
        let hint = match arguments.run.join("events.jsonl").is_file() {
            true => "the run has no report yet; `partita serve` shows how it goes",
            false => "expected the folder of a run, with report.html in it",
        };
        return Err(Failure::usage(miette::miette!("{name}: {hint}")));
    };
    let page = page.canonicalize().or_usage(|| name.to_string())?;
    outln!("{}", page.display());
    if arguments.print {
        return Ok(Exit::Valid);
    }
    let browser = std::env::var_os("BROWSER").filter(|name| !name.is_empty());
    let browser = browser.unwrap_or_else(|| "xdg-open".into());
    let mut command = Command::new(&browser);
    command.arg(&page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().or_harness(|| format!("cannot start {}", browser.display()))?;
    if !status.success() {
        let problem = format!("{} could not open the report: {status}", browser.display());
        return Err(Failure::harness(miette::miette!("{problem}")));
    }
    Ok(Exit::Valid)
}
