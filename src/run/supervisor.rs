//! Starts nodes again that ended on their own, as the target's restart policy says.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use partita_nemesis::NodeProcess;
use partita_nemesis::lab::process::StartError;
use partita_reports::event::RunEvent;

use super::events::Events;
use super::exit_excerpt;
use super::folder::RunFolder;
use crate::targets::RestartPolicy;

/// The pause before the first start; each one after another end doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What runs as long as this has been started well: the next pause is the first again.
const RAN_WELL: Duration = Duration::from_secs(10);

/// What keeps nodes alive.
#[derive(Debug)]
pub struct Supervisor {
    policy: RestartPolicy,
    nodes: Mutex<BTreeMap<String, Node>>,
}

#[derive(Debug, Default)]
struct Node {
    /// When it is started again, if it is to be.
    due: Option<Instant>,
    started: Option<Instant>,
    restarts: u32,
    /// Ends in a row, each soon after the start.
    failures: u32,
    /// How long its files were when its process before this one ended.
    since: [u64; 2],
}

impl Supervisor {
    /// One that does as `policy` says.
    pub fn new(policy: RestartPolicy) -> Self {
        Self { policy, nodes: Mutex::default() }
    }

    /// How often each node was started again.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        self.lock().iter().map(|(name, node)| (name.clone(), node.restarts)).collect()
    }

    /// How much of its files a node's present or last process did not write.
    pub fn read_until(&self, node: &str) -> [u64; 2] {
        self.lock().get(node).map_or([0; 2], |node| node.since)
    }

    /// Notes that the node's process has ended: what is in its files now is of no later one.
    pub fn note_end(&self, node: &str, folder: &RunFolder) {
        let lengths = exit_excerpt::files(node, folder)
            .map(|path| std::fs::metadata(path).map_or(0, |data| data.len()));
        self.lock().entry(node.to_owned()).or_default().since = lengths;
    }

    /// Leaves a node to a fault that has ended it, and that starts it again.
    pub fn leave(&self, node: &str) {
        if let Some(node) = self.lock().get_mut(node) {
            node.due = None;
        }
    }

    /// Whether the policy has something started again that ended like this.
    fn is_restarted(&self, status: Option<ExitStatus>) -> bool {
        match self.policy {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => status.is_none_or(|status| !status.success()),
            RestartPolicy::Always => true,
        }
    }

    /// Starts a sidecar of `process` again that ended like this, if the policy says so; whether it does.
    pub fn restart_sidecar(&self, process: &NodeProcess, name: &str, status: ExitStatus) -> bool {
        let is_restarted = self.is_restarted(Some(status));
        if is_restarted && let Err(error) = process.start_sidecar(name) {
            tracing::warn!(node = process.node(), sidecar = name, %error, "cannot be started again");
        }
        is_restarted
    }

    /// Plans to start a node again that has ended, if the policy says so.
    pub fn plan_restart(&self, process: &NodeProcess) -> bool {
        if !self.is_restarted(process.status()) {
            return false;
        }
        let mut nodes = self.lock();
        let node = nodes.entry(process.node().to_owned()).or_default();
        let ran_well = node.started.is_none_or(|started| started.elapsed() >= RAN_WELL);
        node.failures = if ran_well { 0 } else { node.failures.saturating_add(1) };
        let pause = FIRST_PAUSE.saturating_mul(1 << node.failures.min(16)).min(LONGEST_PAUSE);
        node.due = Some(Instant::now() + pause);
        true
    }

    /// Whether a node that does not run is to be started again; starts it if it is time.
    pub fn restarts(&self, process: &NodeProcess, events: &Events) -> bool {
        let mut nodes = self.lock();
        let Some(node) = nodes.get_mut(process.node()) else { return false };
        let Some(due) = node.due else { return false };
        if Instant::now() < due {
            return true;
        }
        match process.start() {
            Ok(_) => {
                (node.due, node.started) = (None, Some(Instant::now()));
                node.restarts += 1;
                let restarts = node.restarts;
                drop(nodes);
                let node = process.node().to_owned();
                events.tell(RunEvent::NodeRestarted { node, restarts });
            }
            // A fault was faster.
            Err(StartError::Running { .. }) => node.due = None,
            Err(error) => {
                tracing::warn!(node = process.node(), %error, "cannot be started again");
                node.due = Some(Instant::now() + LONGEST_PAUSE);
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
