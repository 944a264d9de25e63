//! What can end a run before its time.

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_nemesis::{Cluster, NodeProcess};
use partita_reports::Finding;
use partita_reports::event::{RunEvent, StopReason};
use partita_reports::spec::OnFinding;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use super::clock::RunClock;
use super::events::Events;
use super::exit_excerpt;
use super::fault_log::FaultLog;
use super::findings::Findings;
use super::folder::RunFolder;
use super::recorder::Recorder;
use super::sidecars::{self, SidecarWatch};
use super::supervisor::Supervisor;
use crate::exit::{Failure, FailureContext};

/// Time between two looks at nodes, network and recorder.
const STEP: Duration = Duration::from_millis(100);

/// Looks in a row that must find a node without a process before that counts: the nemesis reports a
/// kill a moment after it is done.
const LOOKS: usize = 3;

/// Why a run ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// Ctrl-C, SIGTERM or SIGHUP.
    Signal,
    /// Clients saw what they must not, and the plan says to stop at that.
    Violation,
    /// Something was found, and the plan says to stop at that, or a node ended that is not started again.
    Finding(Box<Finding>),
    /// The harness failed.
    Failed(String),
}

impl Interruption {
    /// The same as a word.
    pub const fn reason(&self) -> StopReason {
        match self {
            Self::Signal => StopReason::Interrupted,
            Self::Violation | Self::Finding(_) => StopReason::Finding,
            Self::Failed(_) => StopReason::Failure,
        }
    }

    /// Whether something was found.
    const fn is_finding(&self) -> bool {
        matches!(self, Self::Violation | Self::Finding(_))
    }
}

/// Ctrl-C, SIGTERM and SIGHUP. The first ends the run in order, a second one ends the process at once.
pub struct Interrupts {
    signals: [Signal; 3],
}

impl Interrupts {
    /// From now on, signals arrive here.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the kernel refuses.
    pub fn install() -> Result<Self, Failure> {
        let take = |kind| signal(kind).or_harness(|| "signals".to_owned());
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(take);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// What is watched over.
pub struct Watch {
    /// The nodes and their network.
    pub cluster: Arc<Cluster>,
    /// Knows which node is dead on purpose.
    pub faults: FaultLog,
    /// May run out of disk.
    pub recorder: Arc<Recorder>,
    /// Where nodes leave their last words.
    pub folder: RunFolder,
    /// Exit codes with which a node may end on its own.
    pub expected_exits: Vec<i32>,
    /// Starts nodes again that ended on their own.
    pub supervisor: Supervisor,
    /// What was found so far.
    pub findings: Findings,
    /// What to do when something is found.
    pub on_finding: OnFinding,
    /// How nodes are reached by a person.
    pub reached_by: Vec<String>,
    /// Ends clients, so that a cluster that is held stays as it is.
    pub stop_clients: watch::Sender<bool>,
    /// When it is.
    pub clock: RunClock,
    /// Who is told of nodes that end.
    pub events: Events,
    /// The nodes without a process of which that was told.
    pub told: Mutex<BTreeSet<String>>,
}

impl Watch {
    /// Waits until something ends the run, or a signal comes; says what.
    pub async fn interruption(&self, interrupts: &mut Interrupts) -> Interruption {
        tokio::select! {
            () = interrupts.next() => Interruption::Signal,
            interruption = self.look() => interruption,
        }
    }

    /// Keeps the cluster as it is, with all faults in force, until a signal comes, if something was found
    /// and the plan says so.
    pub async fn hold(&self, interruption: &Interruption, interrupts: &mut Interrupts) {
        if self.on_finding != OnFinding::Hold || !interruption.is_finding() {
            return;
        }
        // The receivers are gone if every client has ended, which is what is wanted.
        let _ = self.stop_clients.send(true);
        self.events.tell(RunEvent::Holding { commands: self.reached_by.clone() });
        interrupts.next().await;
    }

    async fn look(&self) -> Interruption {
        let mut missing = vec![0; self.cluster.nodes().len()];
        let mut sidecars = SidecarWatch::default();
        loop {
            for (count, node) in missing.iter_mut().zip(self.cluster.nodes()) {
                *count = if self.is_accounted_for(node) { 0 } else { *count + 1 };
                if *count == LOOKS
                    && let Some(interruption) = self.end_on_its_own(node)
                {
                    return interruption;
                }
                if let Some(interruption) = self.look_at_sidecars(node, &mut sidecars) {
                    return interruption;
                }
            }
            if let Some(interruption) = self.problem() {
                return interruption;
            }
            sleep(STEP).await;
        }
    }

    /// Reports sidecars that ended and that nothing explains. They end the run unless they are started again.
    fn look_at_sidecars(
        &self,
        node: &NodeProcess,
        sidecars: &mut SidecarWatch,
    ) -> Option<Interruption> {
        let is_explained = self.faults.explains_absence(node.node()).is_some();
        let mut interruption = None;
        for ended in sidecars.look(node, is_explained, &self.expected_exits) {
            let crash = sidecars::crash(node.node(), &ended, &self.folder, self.clock);
            self.findings.report(crash.clone());
            if !self.supervisor.restart_sidecar(node, &ended.0, ended.1) {
                interruption = Some(Interruption::Finding(Box::new(crash)));
            }
        }
        interruption
    }

    /// What ends the run, besides nodes that end.
    fn problem(&self) -> Option<Interruption> {
        if self.recorder.is_broken() {
            let what = "the history can no longer be written";
            return Some(Interruption::Failed(what.to_owned()));
        }
        if self.recorder.has_violation() {
            return Some(Interruption::Violation);
        }
        let found = self.findings.first().filter(|_| self.on_finding.stops());
        if let Some(finding) = found {
            return Some(Interruption::Finding(Box::new(finding)));
        }
        self.cluster.lab().network().failure().map(Interruption::Failed)
    }

    /// Reports a node that ended and that nothing explains. It ends the run unless it is started again.
    fn end_on_its_own(&self, node: &NodeProcess) -> Option<Interruption> {
        let since = self.supervisor.read_until(node.node());
        let crash = crash(node.node(), node.status(), &self.folder, since, self.clock);
        self.findings.report(crash.clone());
        self.tell_end(node, None, false);
        let is_restarted = self.supervisor.plan_restart(node);
        (!is_restarted).then(|| Interruption::Finding(Box::new(crash)))
    }

    /// Whether a node runs, or does not run for a reason.
    fn is_accounted_for(&self, node: &NodeProcess) -> bool {
        if node.is_running() {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(node.node());
            return true;
        }
        if let Some(fault) = self.faults.explains_absence(node.node()) {
            self.tell_end(node, Some(fault), false);
            self.supervisor.leave(node.node());
            return true;
        }
        if self.supervisor.restarts(node, &self.events) {
            return true;
        }
        let code = node.status().and_then(|status| status.code());
        let is_expected = code.is_some_and(|code| self.expected_exits.contains(&code));
        if is_expected {
            self.tell_end(node, None, true);
            self.supervisor.plan_restart(node);
        }
        is_expected
    }

    /// Tells, once, that a node has no process any more.
    fn tell_end(&self, node: &NodeProcess, explained_by: Option<u32>, expected: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.insert(node.node().to_owned()) {
            return;
        }
        drop(told);
        self.supervisor.note_end(node.node(), &self.folder);
        if explained_by.is_none() {
            self.findings.note_end(node.node(), self.clock.now());
        }
        self.events.tell(RunEvent::NodeEnded {
            node: node.node().to_owned(),
            status: exit_excerpt::status_in_words(node.status()),
            explained_by,
            expected,
        });
    }
}

/// That a node ended on its own, with what it wrote after `since`.
fn crash(
    node: &str,
    status: Option<ExitStatus>,
    folder: &RunFolder,
    since: [u64; 2],
    clock: RunClock,
) -> Finding {
    let how = exit_excerpt::status_in_words(status);
    let (words, path) = exit_excerpt::of_node(node, folder, since);
    let title = match &words.place {
        Some(place) => format!("panic at {place}"),
        None => format!("node ended ({how})"),
    };
    let end = format!("{node} ended on its own ({how})");
    words.crash(node, title, &end, &path, clock.now())
}
