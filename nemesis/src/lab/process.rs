//! A node: the program of its own on a host, and what runs beside it.
//!
//! What is done to a node is done to its own program. Sidecars go on, unless they share its faults: then
//! they are killed, stopped, paused and continued with it. When the power is lost everything on the
//! host ends, and whenever the node is started again, whatever does not run is.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::host::Host;
use crate::clock::NodeClock;
use crate::disk::Disk;
use crate::join_all::all;

pub(crate) use super::host_process::await_exit;
pub use super::host_process::{HostProcess, Program, SignalError, StartError};

/// The place among a host's programs of what is run there once.
const ONCE: u32 = u32::MAX;

/// A program that runs on a node's host beside the node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    /// What it is called.
    pub name: String,
    /// What is run.
    pub program: Program,
    /// Whether it is killed, stopped and paused with the node's own program.
    pub shares_faults: bool,
}

/// A node's program and its sidecars. Dropping it kills them.
#[derive(Debug)]
pub struct NodeProcess {
    own: HostProcess,
    sidecars: Vec<SidecarProcess>,
    /// What asks it to end in place of SIGTERM.
    stop_command: Option<HostProcess>,
}

#[derive(Debug)]
struct SidecarProcess {
    name: String,
    process: HostProcess,
    shares_faults: bool,
}

impl NodeProcess {
    /// A node on `host` that will run `program`; nothing is started yet.
    pub fn new(host: &Host, program: Program) -> NodeProcess {
        let own = HostProcess::new(host, program);
        NodeProcess { own, sidecars: Vec::new(), stop_command: None }
    }

    /// From the next start on, has a program run beside it on its `host`.
    pub fn add_sidecar(&mut self, host: &Host, sidecar: Sidecar) {
        let place = 1 + self.sidecars.len() as u32;
        let Sidecar { name, program, shares_faults } = sidecar;
        let called = format!("{name} of {}", host.name());
        let mut process = HostProcess::besides(host, called, place, program);
        if let Some(clock) = self.own.clock() {
            process.give_clock(Arc::clone(clock));
        }
        if let Some(disk) = self.own.disk() {
            process.watch_disk(disk.clone());
        }
        self.sidecars.push(SidecarProcess { name, process, shares_faults });
    }

    /// Has it asked to end by a command, which is run on its `host`, in place of SIGTERM.
    pub fn stop_by(&mut self, host: &Host, command: Program) {
        self.stop_command = Some(once(host, command));
    }

    /// Gives every process that is started from now on these clocks instead of the machine's.
    pub fn give_clock(&mut self, clock: Arc<NodeClock>) {
        for beside in &mut self.sidecars {
            beside.process.give_clock(Arc::clone(&clock));
        }
        self.own.give_clock(clock);
    }

    /// The clocks that its processes are given, if they are not the machine's.
    pub fn clock(&self) -> Option<&Arc<NodeClock>> {
        self.own.clock()
    }

    /// From the next start on, watches what the node does to `disk`, so that it can be broken.
    pub fn watch_disk(&mut self, disk: Disk) {
        for beside in &mut self.sidecars {
            beside.process.watch_disk(disk.clone());
        }
        self.own.watch_disk(disk);
    }

    /// The node's disk, if it is watched.
    pub fn disk(&self) -> Option<&Disk> {
        self.own.disk()
    }

    /// From the next start on, runs another program.
    pub fn set_program(&self, program: Program) {
        self.own.set_program(program);
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        self.own.node()
    }

    /// Starts the node's program, whose process number this is, and the sidecars that do not run.
    ///
    /// # Errors
    ///
    /// If it runs already, or one of them cannot be run.
    pub fn start(&self) -> Result<i32, StartError> {
        let pid = self.own.start()?;
        for beside in self.sidecars.iter().filter(|beside| !beside.process.is_running()) {
            beside.process.start()?;
        }
        Ok(pid)
    }

    /// Starts the sidecar of that name unless it runs; there may be none.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn start_sidecar(&self, name: &str) -> Result<(), StartError> {
        let named = self.sidecars.iter().find(|beside| beside.name == name);
        match named.filter(|beside| !beside.process.is_running()) {
            Some(beside) => beside.process.start().map(drop),
            None => Ok(()),
        }
    }

    /// How the latest process of its program ended: none if it still runs or was never started.
    pub fn status(&self) -> Option<ExitStatus> {
        self.own.status()
    }

    /// Whether its program runs, be it paused.
    pub fn is_running(&self) -> bool {
        self.own.is_running()
    }

    /// The sidecars that were started and have ended, and how.
    pub fn ended_sidecars(&self) -> Vec<(&str, ExitStatus)> {
        let ended = |beside: &'_ SidecarProcess| beside.process.status();
        self.sidecars.iter().filter_map(|it| Some((&*it.name, ended(it)?))).collect()
    }

    /// Waits for the latest process of its program to end. Returns at once if none was ever started.
    pub async fn ended(&self) -> Option<ExitStatus> {
        self.own.ended().await
    }

    /// Kills the program with SIGKILL, and the sidecars that share its faults; how the program ended.
    ///
    /// # Errors
    ///
    /// If it is not running, or does not end within ten seconds.
    pub async fn kill(&self) -> Result<ExitStatus, SignalError> {
        self.kill_with(|beside| beside.shares_faults).await
    }

    /// Kills everything on the host at once, as when the power is lost; how the node's program ended.
    ///
    /// # Errors
    ///
    /// If that is not running, or something does not end within ten seconds.
    pub async fn cut_power(&self) -> Result<ExitStatus, SignalError> {
        self.kill_with(|_| true).await
    }

    async fn kill_with(&self, hit: fn(&SidecarProcess) -> bool) -> Result<ExitStatus, SignalError> {
        let beside = self.sidecars.iter().filter(|it| hit(it)).map(|it| &it.process);
        let kills = [&self.own].into_iter().chain(beside).map(HostProcess::kill);
        let mut ends = all(kills.collect()).await.into_iter();
        let own = ends.next().expect("the node's own program is among them");
        forgive_absence(ends)?;
        own
    }

    /// Stops the program, and the sidecars that share its faults: by the stop command, if there is one,
    /// or SIGTERM, and SIGKILL to what still runs after `limit`; how the program ended. A paused process
    /// is continued first, since it could not heed the request.
    ///
    /// # Errors
    ///
    /// If it is not running, or does not even end after SIGKILL.
    pub async fn stop(&self, limit: Duration) -> Result<ExitStatus, SignalError> {
        let stopped = self.own.stop_by(self.stop_command.as_ref(), limit).await;
        let shared = self.sidecars.iter().filter(|beside| beside.shares_faults);
        let ends = all(shared.map(|beside| beside.process.stop(limit)).collect()).await;
        forgive_absence(ends.into_iter())?;
        stopped
    }

    /// Stops the program and all sidecars, as [`NodeProcess::stop`] does.
    ///
    /// # Errors
    ///
    /// As [`NodeProcess::stop`].
    pub async fn shut_down(&self, limit: Duration) -> Result<ExitStatus, SignalError> {
        let stopped = self.own.stop_by(self.stop_command.as_ref(), limit).await;
        let ends = self.sidecars.iter().map(|beside| beside.process.stop(limit));
        forgive_absence(all(ends.collect()).await.into_iter())?;
        stopped
    }

    /// Pauses the program, and the sidecars that share its faults, with SIGSTOP, and waits until every
    /// process of them is stopped.
    ///
    /// # Errors
    ///
    /// If it is not running, or one is not stopped within two seconds; then all are continued.
    pub async fn pause(&self) -> Result<(), SignalError> {
        self.own.pause().await?;
        let mut unpaused = Unpaused { node: self, armed: true };
        let shared = self.sidecars.iter().filter(|beside| beside.shares_faults);
        let pauses = all(shared.map(|beside| beside.process.pause()).collect()).await;
        forgive_absence(pauses.into_iter())?;
        unpaused.armed = false;
        Ok(())
    }

    /// Continues a paused node; for how long its program was stopped.
    ///
    /// # Errors
    ///
    /// If it is not running, or was not paused all the time. It is sent SIGCONT anyway.
    pub fn resume(&self) -> Result<Duration, SignalError> {
        let stopped = self.own.resume();
        for beside in self.sidecars.iter().filter(|beside| beside.shares_faults) {
            // Fails if it has ended meanwhile, or was not there to be paused.
            let _ = beside.process.resume();
        }
        stopped
    }

    /// The number of its program's process while it runs, be it paused.
    pub fn pid(&self) -> Option<i32> {
        self.own.pid()
    }

    /// The numbers of the living processes of all its programs. Looks at every process of the machine.
    pub fn members(&self) -> Vec<i32> {
        let beside = self.sidecars.iter().map(|beside| &beside.process);
        [&self.own].into_iter().chain(beside).flat_map(HostProcess::members).collect()
    }
}

/// Something that is run on `host` once, beside what runs there.
pub fn once(host: &Host, program: Program) -> HostProcess {
    HostProcess::besides(host, format!("a command on {}", host.name()), ONCE, program)
}

/// Sidecars that do not run are left alone.
fn forgive_absence<T>(
    mut outcomes: impl Iterator<Item = Result<T, SignalError>>,
) -> Result<(), SignalError> {
    let is_failure = |outcome: &Result<T, SignalError>| {
        !matches!(outcome, Ok(_) | Err(SignalError::NotRunning { .. }))
    };
    outcomes.find(is_failure).map_or(Ok(()), |outcome| outcome.map(drop))
}

/// Continues a node whose pausing was given up or cancelled.
struct Unpaused<'a> {
    node: &'a NodeProcess,
    armed: bool,
}

impl Drop for Unpaused<'_> {
    fn drop(&mut self) {
        if self.armed {
            // If there is no process any more, there is nothing to continue.
            let _ = self.node.resume();
        }
    }
}
