//! What can end a run before its time.

use std::collections::BTreeSet;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_nemesis::{Cluster, NodeProcess};
use partita_reports::event::{RunEvent, StopReason};
use partita_reports::{Finding, FindingKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::clock::RunClock;
use super::events::Events;
use super::fault_log::FaultLog;
use super::folder::RunFolder;
use super::last_words;
use super::recorder::Recorder;
use crate::exit::{Failure, OrFail};

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
    /// A node ended, and nothing explains it.
    Crash(Box<Finding>),
    /// The harness failed.
    Failed(String),
}

impl Interruption {
    /// The same as a word.
    pub const fn reason(&self) -> StopReason {
        match self {
            Self::Signal => StopReason::Interrupted,
            Self::Violation => StopReason::Violation,
            Self::Crash(_) => StopReason::Crash,
            Self::Failed(_) => StopReason::Failure,
        }
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

    async fn look(&self) -> Interruption {
        let mut missing = vec![0; self.cluster.nodes().len()];
        loop {
            for (count, node) in missing.iter_mut().zip(self.cluster.nodes()) {
                *count = if self.is_accounted_for(node) { 0 } else { *count + 1 };
                if *count == LOOKS {
                    self.tell_end(node, None, false);
                    let (name, status) = (node.node(), node.status());
                    let crash = crash(name, status, &self.folder, self.clock);
                    return Interruption::Crash(Box::new(crash));
                }
            }
            if self.recorder.is_broken() {
                return Interruption::Failed("the history can no longer be written".to_owned());
            }
            if self.recorder.has_violation() {
                return Interruption::Violation;
            }
            if let Some(problem) = self.cluster.lab().network().failure() {
                return Interruption::Failed(problem);
            }
            sleep(STEP).await;
        }
    }

    /// Whether a node runs, or does not run for a reason.
    fn is_accounted_for(&self, node: &NodeProcess) -> bool {
        if node.is_running() {
            self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(node.node());
            return true;
        }
        if let Some(fault) = self.faults.explains_absence(node.node()) {
            self.tell_end(node, Some(fault), false);
            return true;
        }
        let code = node.status().and_then(|status| status.code());
        let is_expected = code.is_some_and(|code| self.expected_exits.contains(&code));
        if is_expected {
            self.tell_end(node, None, true);
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
        self.events.tell(RunEvent::NodeEnded {
            node: node.node().to_owned(),
            status: last_words::status_in_words(node.status()),
            explained_by,
            expected,
        });
    }
}

/// That a node ended on its own, with what it wrote last.
fn crash(node: &str, status: Option<ExitStatus>, folder: &RunFolder, clock: RunClock) -> Finding {
    let now = clock.now();
    let how = last_words::status_in_words(status);
    let (words, path) = last_words::of_node(node, folder);
    let title = match &words.place {
        Some(place) => format!("panic at {place}"),
        None => format!("node ended ({how})"),
    };
    let sentence = format!(
        "after {:.1} s {node} ended on its own ({how}): {} (in {})",
        now.as_seconds(),
        words.in_words(),
        path.display()
    );
    Finding {
        at_ns: Some(now),
        node: Some(node.to_owned()),
        place: words.place,
        ..Finding::new(FindingKind::Crash, title, sentence)
    }
}
