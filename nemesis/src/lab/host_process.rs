//! Starts a program on a host, and stops, pauses and kills it.
//!
//! A program is a process group: what is done to it is done to everything that it started. Each
//! process has a *keeper*, a thread that starts it, waits for it and reaps it. The keeper lives as
//! long as the process, because PR_SET_PDEATHSIG follows the thread that started it, not the
//! program (prctl(2)). When the group's leader ends, the rest of the group is killed, so that two
//! generations never share a data directory. Leaves out programs that leave their process group;
//! those end with the lab.

#![expect(unsafe_code, reason = "entering a namespace between fork and exec needs pre_exec")]

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigSet, Signal, killpg, signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::account::{Account, RunAs};
use super::host::{Host, Occupants};
use super::namespaces::MARKER;
use super::processes;
use crate::clock::NodeClock;
use crate::disk::Disk;
use crate::watch::Watch;

/// How long a killed process may take to end: past it, the kernel itself is stuck.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How long a process group may take to stop.
const PAUSE_LIMIT: Duration = Duration::from_secs(2);
/// How often a stopping process group is looked at.
const PAUSE_STEP: Duration = Duration::from_millis(1);
/// How many looks it gets before it is let go for a moment and stopped again.
const PAUSE_STEPS: u32 = 50;
/// How often a process that is held still while its clocks are put in is looked at.
const HELD_STEP: Duration = Duration::from_millis(1);

/// What to run on a node's host, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file to run, looked up in `PATH` unless it has a slash.
    pub path: PathBuf,
    /// What it is given.
    pub arguments: Vec<OsString>,
    /// What is added to the controller's own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub directory: PathBuf,
    /// As whom it runs, if not as the controller's user.
    pub user: Option<RunAs>,
    /// The file its standard output is appended to.
    pub stdout: PathBuf,
    /// The file its standard error is appended to.
    pub stderr: PathBuf,
}

/// A program on a node's host, started any number of times, once at a time. Dropping it kills the
/// process.
#[derive(Debug)]
pub struct HostProcess {
    /// The node, and which of its programs it is unless it is the node itself: `n1`, `sentinel of n1`.
    node: String,
    /// Which of the host's programs it is.
    place: u32,
    /// The host's network, if it is not the machine's.
    namespace: Option<Arc<OwnedFd>>,
    occupants: Arc<Occupants>,
    program: Mutex<Program>,
    clock: Option<Arc<NodeClock>>,
    disk: Option<Disk>,
    latest: Mutex<Option<Arc<Generation>>>,
}

/// One process from start to end.
#[derive(Debug)]
struct Generation {
    pid: Pid,
    /// Held while signals are sent and while the process is reaped: its number is its own only
    /// until then.
    life: Mutex<Life>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

#[derive(Debug, Default)]
struct Life {
    reaped: bool,
    paused_at: Option<Instant>,
}

/// Why a node's program was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The one before still runs.
    #[error("{node} is running already, as process {pid}")]
    Running {
        /// The node.
        node: String,
        /// Its process.
        pid: i32,
    },
    /// A file for its output.
    #[error("{node}: opening {path}: {source}")]
    Output {
        /// The node.
        node: String,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// What belongs to the user as whom it runs.
    #[error("{node}: giving {path} to the user of its programs: {source}")]
    Ownership {
        /// The node.
        node: String,
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The supervisor of its calls.
    #[error("{node}: watching its system calls: {source}")]
    Watch {
        /// The node.
        node: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The program itself.
    #[error("{node}: running {program}: {source}{}", not_found(source))]
    Program {
        /// The node.
        node: String,
        /// The program.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What to look at where there is no program.
fn not_found(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; is it installed, and a path or in PATH?",
        _ => "",
    }
}

/// Why a node's process was not killed, paused, continued or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// There is no process.
    #[error("{node} is not running")]
    NotRunning {
        /// The node.
        node: String,
    },
    /// The kernel refused.
    #[error("{node}: sending {signal}: {source}")]
    Refused {
        /// The node.
        node: String,
        /// What was sent.
        signal: Signal,
        /// What the kernel said.
        source: io::Error,
    },
    /// It had no effect in time.
    #[error("{node}: {signal} had no effect within {limit:?}")]
    NoEffect {
        /// The node.
        node: String,
        /// What was sent.
        signal: Signal,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It is not paused, or something else continued it.
    #[error("{node} is not paused")]
    NotPaused {
        /// The node.
        node: String,
    },
}

impl HostProcess {
    /// A node on `host` that will run `program`; nothing is started yet.
    pub fn new(host: &Host, program: Program) -> HostProcess {
        HostProcess::besides(host, host.name.clone(), 0, program)
    }

    /// The program in `place` on `host`, which is called so in messages.
    pub(crate) fn besides(host: &Host, name: String, place: u32, program: Program) -> HostProcess {
        HostProcess {
            node: name,
            place,
            namespace: host.own.as_ref().map(|own| Arc::clone(&own.namespace)),
            occupants: Arc::clone(&host.occupants),
            program: Mutex::new(program),
            clock: None,
            disk: None,
            latest: Mutex::default(),
        }
    }

    /// Gives every process that is started from now on these clocks instead of the machine's.
    pub fn give_clock(&mut self, clock: Arc<NodeClock>) {
        self.clock = Some(clock);
    }

    /// The clocks that its processes are given, if they are not the machine's.
    pub fn clock(&self) -> Option<&Arc<NodeClock>> {
        self.clock.as_ref()
    }

    /// From the next start on, watches what the node does to `disk`, so that it can be broken.
    pub fn watch_disk(&mut self, disk: Disk) {
        self.disk = Some(disk);
    }

    /// The node's disk, if it is watched.
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// From the next start on, runs another program.
    pub fn set_program(&self, program: Program) {
        *locked(&self.program) = program;
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Starts the program; its process number. Call it also to start it again after its end.
    ///
    /// # Errors
    ///
    /// If it runs already, or cannot be run.
    pub fn start(&self) -> Result<i32, StartError> {
        let mut latest = locked(&self.latest);
        if let Some(running) = latest.as_ref().filter(|generation| generation.status().is_none()) {
            let (node, pid) = (self.node.clone(), running.pid.as_raw());
            return Err(StartError::Running { node, pid });
        }
        let failed = |source| StartError::Program {
            node: self.node.clone(),
            program: locked(&self.program).path.clone(),
            source,
        };
        let command = self.command()?;
        // Not its environment, which may hold secrets.
        debug!(node = self.node, program = ?command.get_program(), arguments = ?command.get_args(), "starting");
        let (started, outcome) = mpsc::sync_channel(1);
        let node = self.node.clone();
        thread::Builder::new()
            .name(format!("keeper {}", self.node))
            .spawn(move || keep(&node, command, &started))
            .map_err(failed)?;
        // The keeper answers as soon as exec has succeeded or not, and cannot end without: this
        // waits for the kernel only.
        let generation = outcome.recv().expect("the keeper answers").map_err(failed)?;
        let pid = generation.pid.as_raw();
        self.occupants.note(self.place, pid);
        info!(node = self.node, pid, "started");
        *latest = Some(generation);
        Ok(pid)
    }

    /// How the latest process ended: none if it still runs or was never started.
    pub fn status(&self) -> Option<ExitStatus> {
        self.latest().and_then(|generation| generation.status())
    }

    /// Whether there is a process, be it paused.
    pub fn is_running(&self) -> bool {
        self.latest().is_some_and(|generation| generation.status().is_none())
    }

    /// Waits for the latest process to end. Returns at once if none was ever started.
    pub async fn ended(&self) -> Option<ExitStatus> {
        self.latest()?.ended().await
    }

    /// Kills the process group with SIGKILL and waits for its end; how it ended.
    ///
    /// # Errors
    ///
    /// If it is not running, or does not end within ten seconds.
    pub async fn kill(&self) -> Result<ExitStatus, SignalError> {
        let generation = self.running()?;
        self.send(&generation, Signal::SIGKILL)?;
        self.await_end(&generation, Signal::SIGKILL, KILL_LIMIT).await
    }

    /// Stops the process group: SIGTERM, and SIGKILL to what still runs after `limit`; how it
    /// ended. A paused process is continued first, since it could not heed the request.
    ///
    /// # Errors
    ///
    /// If it is not running, or does not even end after SIGKILL.
    pub async fn stop(&self, limit: Duration) -> Result<ExitStatus, SignalError> {
        self.stop_by(None, limit).await
    }

    /// As [`HostProcess::stop`], by a command that is run in place of SIGTERM. One that cannot be run
    /// is answered with SIGTERM.
    ///
    /// # Errors
    ///
    /// As [`HostProcess::stop`].
    pub async fn stop_by(
        &self,
        command: Option<&HostProcess>,
        limit: Duration,
    ) -> Result<ExitStatus, SignalError> {
        let generation = self.running()?;
        if command.is_none_or(|command| command.start().is_err()) {
            self.send(&generation, Signal::SIGTERM)?;
        }
        for (signal, limit) in [(Signal::SIGCONT, limit), (Signal::SIGKILL, KILL_LIMIT)] {
            match self.send(&generation, signal) {
                // It has ended already, and says how below.
                Ok(()) | Err(SignalError::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Ok(status) = self.await_end(&generation, signal, limit).await {
                return Ok(status);
            }
        }
        let (node, limit) = (self.node.clone(), KILL_LIMIT);
        Err(SignalError::NoEffect { node, signal: Signal::SIGKILL, limit })
    }

    /// Pauses the process group with SIGSTOP and waits until every process of it is stopped.
    ///
    /// # Errors
    ///
    /// If it is not running, or not stopped within two seconds; then it is continued.
    pub async fn pause(&self) -> Result<(), SignalError> {
        let generation = self.running()?;
        let mut unpaused = Unpaused { process: self, generation: &generation, armed: true };
        let stopped = timeout(PAUSE_LIMIT, self.stop_all(&generation)).await;
        let (node, limit) = (self.node.clone(), PAUSE_LIMIT);
        stopped.map_err(|_| SignalError::NoEffect { node, signal: Signal::SIGSTOP, limit })??;
        unpaused.armed = false;
        locked(&generation.life).paused_at = Some(Instant::now());
        debug!(node = self.node, pid = generation.pid.as_raw(), "every process is stopped");
        Ok(())
    }

    /// Continues a paused process group; for how long it was stopped.
    ///
    /// # Errors
    ///
    /// If it is not running, or was not paused all the time. It is sent SIGCONT anyway.
    pub fn resume(&self) -> Result<Duration, SignalError> {
        let generation = self.running()?;
        let paused_at = locked(&generation.life).paused_at.take();
        let was_stopped = is_stopped(generation.pid);
        let stopped_for = paused_at.map(|paused_at| paused_at.elapsed());
        self.send(&generation, Signal::SIGCONT)?;
        stopped_for
            .filter(|_| was_stopped)
            .ok_or_else(|| SignalError::NotPaused { node: self.node.clone() })
    }

    /// Sends SIGSTOP until every process of the group is stopped. Once is not always enough: one
    /// that waits for its vfork child to exec does not stop as long as that child is stopped.
    async fn stop_all(&self, generation: &Generation) -> Result<(), SignalError> {
        loop {
            self.send(generation, Signal::SIGSTOP)?;
            for _ in 0..PAUSE_STEPS {
                if is_stopped(generation.pid) {
                    return Ok(());
                }
                sleep(PAUSE_STEP).await;
            }
            self.send(generation, Signal::SIGCONT)?;
            sleep(PAUSE_STEP).await;
        }
    }

    /// Its process number while it runs, be it paused.
    pub(super) fn pid(&self) -> Option<i32> {
        self.running().ok().map(|generation| generation.pid.as_raw())
    }

    /// The numbers of the living processes of its group. Looks at every process of the machine.
    pub(super) fn members(&self) -> Vec<i32> {
        let Ok(generation) = self.running() else { return Vec::new() };
        group_members(generation.pid).into_iter().map(|(pid, _)| pid).collect()
    }

    fn latest(&self) -> Option<Arc<Generation>> {
        locked(&self.latest).clone()
    }

    fn running(&self) -> Result<Arc<Generation>, SignalError> {
        self.latest()
            .filter(|generation| generation.status().is_none())
            .ok_or_else(|| SignalError::NotRunning { node: self.node.clone() })
    }

    fn send(&self, generation: &Generation, signal: Signal) -> Result<(), SignalError> {
        let node = || self.node.clone();
        let life = locked(&generation.life);
        if life.reaped {
            return Err(SignalError::NotRunning { node: node() });
        }
        let sent = killpg(generation.pid, signal);
        drop(life);
        let (node_name, pid) = (&self.node, generation.pid.as_raw());
        match sent {
            Ok(()) => debug!(node = node_name, pid, %signal, "sent a signal"),
            Err(errno) => debug!(node = node_name, pid, %signal, error = %errno, "cannot signal"),
        }
        sent.map_err(|errno| SignalError::Refused { node: node(), signal, source: errno.into() })
    }

    async fn await_end(
        &self,
        generation: &Generation,
        signal: Signal,
        limit: Duration,
    ) -> Result<ExitStatus, SignalError> {
        let ended = timeout(limit, generation.ended()).await.ok().flatten();
        ended.ok_or_else(|| SignalError::NoEffect { node: self.node.clone(), signal, limit })
    }

    fn command(&self) -> Result<Command, StartError> {
        let open = |path: &PathBuf| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map_err(|source| StartError::Output {
                node: self.node.clone(),
                path: path.clone(),
                source,
            })
        };
        let program = locked(&self.program).clone();
        if let Some(user) = &program.user {
            user.give_folder().map_err(|source| StartError::Ownership {
                node: self.node.clone(),
                path: user.folder.clone(),
                source,
            })?;
        }
        let account = program.user.map(|user| user.account);
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .env_remove(MARKER)
            .current_dir(&program.directory)
            .stdin(Stdio::null())
            .stdout(open(&program.stdout)?)
            .stderr(open(&program.stderr)?)
            .process_group(0);
        let namespace = self.namespace.clone();
        let controller = getpid();
        // SAFETY: between fork and exec, this makes system calls only, and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                let namespace = namespace.as_ref().map(|it| it.as_fd());
                Ok(enter_host(namespace, account.as_ref(), controller)?)
            });
        }
        if self.clock.is_some() || self.disk.is_some() {
            let watch = Watch::new(&self.node, self.clock.clone(), self.disk.clone());
            let watch =
                watch.map_err(|source| StartError::Watch { node: self.node.clone(), source })?;
            // Last: from here on, its calls wait for the supervisor.
            watch.attach(&mut command);
        }
        Ok(command)
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        if let Some(generation) = self.latest() {
            // Not running, or unkillable: the keeper reaps it, and the lab's end ends it.
            let _ = self.send(&generation, Signal::SIGKILL);
        }
    }
}

/// Continues a process group whose pausing was given up or cancelled.
struct Unpaused<'a> {
    process: &'a HostProcess,
    generation: &'a Generation,
    armed: bool,
}

impl Drop for Unpaused<'_> {
    fn drop(&mut self) {
        if self.armed {
            // If there is no process any more, there is nothing to continue.
            let _ = self.process.send(self.generation, Signal::SIGCONT);
        }
    }
}

impl Generation {
    fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    async fn ended(&self) -> Option<ExitStatus> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok().and_then(|status| *status)
    }
}

/// In the child, before exec: onto the host's network, as its user, and tied to the keeper's life.
fn enter_host(
    namespace: Option<std::os::fd::BorrowedFd<'_>>,
    account: Option<&Account>,
    controller: Pid,
) -> Result<(), Errno> {
    if let Some(namespace) = namespace {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
    }
    // Before the signal is asked for below: whoever becomes another user is no longer sent it (prctl(2)).
    if let Some(account) = account {
        account.become_it()?;
    }
    SigSet::empty().thread_set_mask()?;
    // SAFETY: the default disposition runs no code of ours. The controller ignores this signal.
    unsafe { signal(Signal::SIGTTOU, SigHandler::SigDfl) }?;
    set_pdeathsig(Signal::SIGKILL)?;
    // The controller may have ended before that.
    if getppid() == controller { Ok(()) } else { Err(Errno::ESRCH) }
}

/// The keeper: starts a process, says how that went, waits for its end and reaps it.
fn keep(node: &str, mut command: Command, started: &mpsc::SyncSender<io::Result<Arc<Generation>>>) {
    let spawned = command.spawn();
    // Holds the files it was to write to, and the host's namespace.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            info!(node, %error, "cannot be started");
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_raw(child.id().cast_signed());
    let (publish, ended) = watch::channel(None);
    let generation = Arc::new(Generation { pid, life: Mutex::default(), ended });
    // The receiver waits for exactly this.
    let _ = started.send(Ok(Arc::clone(&generation)));

    await_exit(pid);
    let mut life = locked(&generation.life);
    // Until the leader is reaped its group's number is taken, so this hits no other process.
    let _ = killpg(pid, Signal::SIGKILL);
    let status = reap(&mut child);
    life.reaped = true;
    drop(life);
    info!(node, pid = pid.as_raw(), %status, "ended");
    publish.send_replace(Some(status));
}

/// Waits for a child to end, but leaves it to be reaped.
pub(crate) fn await_exit(pid: Pid) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::Pid(pid), flags) {
            Err(Errno::EINTR) => {}
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD) => return,
            // Its clocks are being put in: while another thread of this program holds a child
            // still, the kernel shows that to every thread that waits for it (ptrace(2)).
            Ok(_) | Err(_) => thread::sleep(HELD_STEP),
        }
    }
}

fn reap(child: &mut Child) -> ExitStatus {
    // Fails only if other code reaps this program's children, which none may.
    child.wait().expect("the keeper alone reaps its process")
}

/// Whether every process of a group is stopped, and there is one.
fn is_stopped(group: Pid) -> bool {
    let members = group_members(group);
    !members.is_empty() && members.iter().all(|(_, state)| *state == 'T')
}

/// The numbers and states of a group's processes, those left out that have ended.
fn group_members(group: Pid) -> Vec<(i32, char)> {
    processes::all()
        .into_iter()
        .filter(|process| process.group == group.as_raw() && !process.has_ended())
        .map(|process| (process.pid, process.state))
        .collect()
}

/// Locks even after a panic elsewhere: a process must be killed and reaped all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
