//! What can end a run before its time.

use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::Cluster;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::cluster_setup::describe_end;
use super::fault_log::FaultLog;
use super::folder::RunFolder;
use super::recorder::Recorder;
use crate::exit::{Failure, OrFail};

/// Time between two looks at nodes, network and recorder.
const STEP: Duration = Duration::from_millis(100);

/// Looks in a row that must find a node without a process before that counts: the nemesis reports a
/// kill a moment after it is done.
const LOOKS: usize = 3;

/// Why a run ended before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Somebody pressed ctrl-C or sent SIGTERM.
    Interrupted,
    /// Clients saw what they must not, and the plan says to stop at that.
    Violation,
    /// The harness or a node failed.
    Failed(String),
}

/// Ctrl-C, SIGTERM and SIGHUP. The first asks the run to end; whoever asks again is obeyed at once.
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
}

impl Watch {
    /// Waits until something is wrong, or a signal comes; says what.
    pub async fn trouble(&self, interrupts: &mut Interrupts) -> Trouble {
        tokio::select! {
            () = interrupts.next() => Trouble::Interrupted,
            trouble = self.look() => trouble,
        }
    }

    async fn look(&self) -> Trouble {
        let mut missing = vec![0; self.cluster.nodes().len()];
        loop {
            for (count, node) in missing.iter_mut().zip(self.cluster.nodes()) {
                if node.is_running() || self.faults.explains_absence(node.node()) {
                    *count = 0;
                    continue;
                }
                *count += 1;
                if *count == LOOKS {
                    let ended = describe_end(node.node(), node.status(), &self.folder);
                    return Trouble::Failed(ended);
                }
            }
            if self.recorder.is_broken() {
                return Trouble::Failed("the history can no longer be written".to_owned());
            }
            if self.recorder.has_violation() {
                return Trouble::Violation;
            }
            if let Some(problem) = self.cluster.lab().medium().failure() {
                return Trouble::Failed(problem);
            }
            sleep(STEP).await;
        }
    }
}
