//! `partita serve`: a folder of runs as a site.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use partita_reports::Comparison;
use tokio::runtime::Builder;

use super::stored::StoredRun;
use crate::exit::{Exit, Failure, FailureContext};
use crate::outln;
use crate::serve::{Settings, serve};

/// Shows a folder of runs as a site: a list with filters, trends, two runs side by side, runs that are
/// going on, reports and files.
///
/// Nothing is written, and nothing outside of the folder is shown. On loopback every local user may view it; elsewhere the address that is printed ends with a token, which is needed. There is no
/// encryption. It ends with Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  partita serve\n  partita serve /srv/runs --listen 127.0.0.1:0\n  \
                        partita serve --listen 0.0.0.0:4180"
)]
pub struct Arguments {
    /// The folder of runs and campaigns.
    #[arg(default_value = "partita-runs", value_name = "DIR")]
    folder: PathBuf,
    /// The address to listen on; port 0 is any that is free.
    #[arg(long, default_value = "127.0.0.1:4180", value_name = "ADDRESS")]
    listen: SocketAddr,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there is no such folder, or the address cannot be listened on.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = arguments.folder.display().to_string();
    if !arguments.folder.is_dir() {
        let problem =
            format!("{folder}: expected a folder of runs; `partita run` makes partita-runs");
        return Err(Failure::usage(miette::miette!("{problem}")));
    }
    let settings = Settings {
        folder: arguments.folder.clone(),
        listen: arguments.listen,
        token: token().or_harness(|| "a token".to_owned())?,
        compare: Box::new(compared),
    };
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(16).enable_all().build();
    let runtime = runtime.or_harness(|| "a runtime".to_owned())?;
    let end = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let served = runtime.block_on(serve(settings, |address| outln!("{address}"), end));
    // What streams still send ends with the process.
    runtime.shutdown_background();
    served.or_usage(|| format!("cannot serve {folder} at {}", arguments.listen))?;
    Ok(Exit::Valid)
}

/// 128 random bits.
fn token() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn compared(folders: [&Path; 2]) -> Result<Comparison, String> {
    let read = |folder| StoredRun::read(folder).map_err(|failure| failure.messages().join(": "));
    let [first, second] = folders;
    let (first, second) = (read(first)?, read(second)?);
    Ok(Comparison::of(&first.run(), &second.run()))
}
