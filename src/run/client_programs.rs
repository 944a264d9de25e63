//! Starts the program that speaks for clients, where a target has one: on the clients' host for clients, on the
//! node's own for its probe, so that links are as blocked or open for it as for a connection from there.
//!
//! It runs in the run's folder `plug-in/`, which holds the files that the description names. What it writes to its
//! standard error goes to `plug-in/n1.log`, named after the node that it speaks to, up to 1 MiB.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use partita_nemesis::Cluster;
use partita_nemesis::lab::{Guest, Host};
use partita_reports::spec::TargetSpec;
use partita_workloads::client::{BoxStream, ClientProgram, Dial, Endpoint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::folder::RunFolder;
use super::plan::Plan;
use super::poller::InsideNode;
use crate::exit::{Failure, FailureContext};

/// The folder where programs run, in that of the run.
const FOLDER: &str = "plug-in";

/// The most that is kept of what one process of the program writes to its standard error, in bytes.
const LOG_LIMIT: usize = 1 << 20;

/// Writes the files that the description gives its program into the run's folder.
///
/// # Errors
///
/// [`Failure`] if one cannot be written.
pub fn install(plan: &Plan, folder: &RunFolder) -> Result<(), Failure> {
    if plan.target.protocol.program().is_none() {
        return Ok(());
    }
    let home = folder.file(FOLDER);
    std::fs::create_dir_all(&home).or_harness(|| home.display().to_string())?;
    let TargetSpec::Described(described) = &plan.spec.target else { return Ok(()) };
    for (name, text) in &described.files {
        let path = home.join(name);
        std::fs::write(&path, text).or_harness(|| path.display().to_string())?;
    }
    Ok(())
}

/// What clients dial by: `plain`, secured as the description says, unless the target has a program that speaks for them.
pub fn for_clients(plan: &Plan, cluster: &Arc<Cluster>, folder: &RunFolder, plain: Dial) -> Dial {
    match plan.target.protocol.program() {
        None => plan.target.protocol.secured(plain),
        Some(program) => {
            let cluster = Arc::clone(cluster);
            starting(program.clone(), folder, move |command| {
                start_on(cluster.lab().clients(), command)
            })
        }
    }
}

/// The nodes as probes reach them: as they are, unless the target has a program that speaks for clients.
pub fn for_probes(
    plan: &Plan,
    cluster: &Arc<Cluster>,
    folder: &RunFolder,
    nodes: Vec<InsideNode>,
) -> Vec<InsideNode> {
    let Some(program) = plan.target.protocol.program() else { return nodes };
    let by_program = |(place, node): (usize, InsideNode)| {
        let cluster = Arc::clone(cluster);
        let dial = starting(program.clone(), folder, move |command| {
            start_on(&cluster.lab().nodes()[place], command)
        });
        InsideNode { dial, ..node }
    };
    nodes.into_iter().enumerate().map(by_program).collect()
}

/// Starts it on the host. A process belongs to the network of the thread that started it, or is told to be the
/// host's where hosts have no networks of their own.
fn start_on(host: &Host, mut command: Command) -> io::Result<(Child, Option<Guest>)> {
    let child = host.enter(|| command.spawn())??;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let guest = pid.map(|pid| host.guest(pid));
    Ok((child, guest))
}

/// Dials by starting `program` by means of `start`.
fn starting(
    program: ClientProgram,
    folder: &RunFolder,
    start: impl Fn(Command) -> io::Result<(Child, Option<Guest>)> + Send + Sync + 'static,
) -> Dial {
    let home = folder.file(FOLDER);
    let start = Arc::new(start);
    Arc::new(move |to: Endpoint| {
        let (words, home, start) = (program.command_line(&to), home.clone(), Arc::clone(&start));
        Box::pin(async move {
            let log = home.join(format!("{}.log", to.node));
            let started = start(command(&words, home));
            let (mut child, guest) = started.map_err(|error| {
                io::Error::new(error.kind(), format!("starting {}: {error}", words.join(" ")))
            })?;
            let (Some(input), Some(output), Some(errors)) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take())
            else {
                return Err(io::Error::other("the program has no standard streams"));
            };
            let log = OpenOptions::new().create(true).append(true).open(log)?;
            tokio::spawn(keep(errors, log));
            Ok(Box::new(Running { child, input, output, _guest: guest }) as BoxStream)
        })
    })
}

fn command(words: &[String], home: PathBuf) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command
        .args(words.iter().skip(1))
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Keeps what a program writes to its standard error, and takes what is more, so that the program goes on.
async fn keep(mut errors: ChildStderr, mut log: File) {
    let mut chunk = [0; 4096];
    let mut room = LOG_LIMIT;
    while let Ok(count @ 1..) = errors.read(&mut chunk).await {
        let kept = count.min(room);
        // A note for people: what a run proves does not rest on it.
        let _ = log.write_all(&chunk[..kept]);
        if kept < count && room > 0 {
            let _ = log.write_all(b"\n[more was left out]\n");
        }
        room -= kept;
    }
}

/// A process of the program, as the stream of its standard input and output. Dropping it ends the process and
/// all that it started in its group.
struct Running {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    _guest: Option<Guest>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The number is its own until it is reaped, which is not before this.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl AsyncRead for Running {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Running {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}
