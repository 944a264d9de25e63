//! Polls every node's status from inside its own host, so that a partition does not blind it.
//!
//! What it learns is a sample every [`INTERVAL`], not proof: it picks targets for faults and draws the
//! report's lanes of roles. No verdict depends on it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_nemesis::NodeSeen;
use partita_nemesis::guide::SampledNode;
use partita_reports::{RoleChange, RunEvent};
use partita_workloads::client::probe::Dialled;
use partita_workloads::client::{Dial, Endpoint, Probe, ProbeError, Protocol, Status};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Instrument;

use super::clock::RunClock;
use super::events::Events;

/// Time between two polls of a node.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// How long a node may take to tell its status before it counts as silent.
const LIMIT: Duration = Duration::from_millis(150);

/// A node as it is reached from inside its own host, past every partition.
#[derive(Clone)]
pub struct InsideNode {
    /// Where it listens for clients.
    pub endpoint: Endpoint,
    /// Connects from inside the node's own host.
    pub dial: Dial,
    /// Where others reach it.
    pub advertised: Ipv4Addr,
}

impl InsideNode {
    /// The node's name.
    pub fn name(&self) -> &str {
        &self.endpoint.node
    }
}

/// What the last poll of a node told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// It is ready, and told this.
    Ready(Status),
    /// Nothing listens there: no process.
    Down,
    /// Something is there but does not tell its status, and what it does instead: it is paused, or
    /// stuck, or its answer is no status.
    Silent(String),
}

impl NodeState {
    fn role(&self) -> &str {
        match self {
            Self::Ready(status) => status.role.as_deref().unwrap_or("ready"),
            Self::Down => "down",
            Self::Silent(_) => "silent",
        }
    }

    const fn status(&self) -> Option<&Status> {
        match self {
            Self::Ready(status) => Some(status),
            Self::Down | Self::Silent(_) => None,
        }
    }

    fn term(&self) -> Option<u64> {
        self.status()?.term
    }
}

#[derive(Default)]
struct Polled {
    latest: Vec<Option<NodeState>>,
    changes: Vec<RoleChange>,
}

/// What the nodes told. Clones share it.
#[derive(Clone)]
pub struct Poller {
    nodes: Arc<[InsideNode]>,
    polled: Arc<Mutex<Polled>>,
    events: Events,
}

impl Poller {
    /// Starts polling `nodes`, which speak `protocol`; the tasks end when the returned set is dropped.
    pub fn start(
        protocol: &dyn Protocol,
        nodes: Vec<InsideNode>,
        clock: RunClock,
        events: Events,
    ) -> (Self, JoinSet<()>) {
        let polled = Polled { latest: vec![None; nodes.len()], ..Polled::default() };
        let poller = Self { nodes: nodes.into(), polled: Arc::new(Mutex::new(polled)), events };
        let mut tasks = JoinSet::new();
        for (place, node) in poller.nodes.iter().enumerate() {
            let probe = protocol
                .probe(&node.endpoint, &node.dial, LIMIT)
                .unwrap_or_else(|| Box::new(Dialled::new(&node.endpoint, &node.dial, LIMIT)));
            let span = tracing::error_span!("poller", node = node.name());
            tasks.spawn(poll(poller.clone(), place, probe, clock).instrument(span));
        }
        (poller, tasks)
    }

    /// The node that says it leads in the highest term, if any.
    pub fn leader(&self) -> Option<String> {
        let polled = self.lock();
        let statuses = polled.latest.iter().map(|state| state.as_ref().and_then(NodeState::status));
        let leaders = statuses.zip(self.nodes.iter()).filter_map(|(status, node)| {
            let status = status.filter(|status| status.leads())?;
            Some((status.term, node))
        });
        leaders.max_by_key(|(term, _)| *term).map(|(_, node)| node.name().to_owned())
    }

    /// Whether the cluster is at rest, as far as its nodes tell: every node is ready; all that tell a
    /// term are in one; if any tells a role exactly one leads; and every node that tells has applied
    /// what the leader had committed.
    pub fn is_settled(&self) -> bool {
        let polled = self.lock();
        let statuses = polled.latest.iter().map(|state| state.as_ref()?.status());
        statuses.collect::<Option<Vec<_>>>().is_some_and(|statuses| are_settled(&statuses))
    }

    /// Whether the node is ready.
    pub fn is_up(&self, name: &str) -> bool {
        let polled = self.lock();
        let place = self.nodes.iter().position(|node| node.name() == name);
        place.is_some_and(|place| matches!(polled.latest[place], Some(NodeState::Ready(_))))
    }

    /// One phrase on every node, for an error message.
    pub fn describe(&self) -> String {
        let nodes: Vec<String> = self.nodes_now().into_iter().map(|(_, says)| says).collect();
        nodes.join(", ")
    }

    /// Of every node, in order: whether it is ready, and what it says of itself.
    pub fn nodes_now(&self) -> Vec<(bool, String)> {
        let polled = self.lock();
        let phrase = |(state, node): (&Option<NodeState>, &InsideNode)| {
            let name = node.name();
            let says = match state {
                None => format!("{name} not polled yet"),
                Some(NodeState::Silent(why)) => format!("{name} silent ({why})"),
                Some(state) => format!("{name} {}{}", state.role(), position(state)),
            };
            (matches!(state, Some(NodeState::Ready(_))), says)
        };
        polled.latest.iter().zip(self.nodes.iter()).map(phrase).collect()
    }

    /// Of every node, in order: the indexes of its log that it last said it had applied and knew to be
    /// committed.
    pub fn indexes(&self) -> Vec<(Option<u64>, Option<u64>)> {
        let polled = self.lock();
        let statuses = polled.latest.iter().map(|state| state.as_ref()?.status());
        let told = |status: Option<&Status>| {
            status.map(|status| (status.applied_index, status.commit_index)).unwrap_or_default()
        };
        statuses.map(told).collect()
    }

    /// Whether all nodes are ready.
    pub fn are_all_ready(&self) -> bool {
        let polled = self.lock();
        polled.latest.iter().all(|state| matches!(state, Some(NodeState::Ready(_))))
    }

    /// Whether every node is ready and follows one leader in one term, as far as nodes tell; what they
    /// have applied aside.
    pub fn is_led(&self) -> bool {
        let polled = self.lock();
        let statuses = polled.latest.iter().map(|state| state.as_ref()?.status());
        statuses.collect::<Option<Vec<_>>>().is_some_and(|statuses| are_led(&statuses))
    }

    /// Of every node, in order, what a fault that waits may wait for.
    pub fn seen(&self) -> Vec<NodeSeen> {
        let polled = self.lock();
        let seen = |state: &Option<NodeState>| {
            let Some(status) = state.as_ref().and_then(NodeState::status) else {
                return NodeSeen::default();
            };
            NodeSeen {
                is_up: true,
                leads: status.leads(),
                stands: status.role.as_deref().is_some_and(|role| role.contains("candidate")),
                term: status.term,
                applied: status.applied_index,
            }
        };
        polled.latest.iter().map(seen).collect()
    }

    /// Of every node, in order, what it said of itself last.
    pub fn sampled(&self) -> Vec<SampledNode> {
        let polled = self.lock();
        let sample = |state: &Option<NodeState>| {
            let status = state.as_ref().and_then(NodeState::status);
            SampledNode {
                role: state.as_ref().map_or("silent", NodeState::role).to_owned(),
                leads: status.is_some_and(Status::leads),
                term: status.and_then(|status| status.term),
                applied: status.and_then(|status| status.applied_index),
                ..SampledNode::default()
            }
        };
        polled.latest.iter().map(sample).collect()
    }

    /// Every change of role or term, by time.
    pub fn changes(&self) -> Vec<RoleChange> {
        self.lock().changes.clone()
    }

    fn note(&self, place: usize, state: NodeState, clock: RunClock) {
        let mut polled = self.lock();
        let before = polled.latest[place].as_ref().map(|state| (state.role(), state.term()));
        if before != Some((state.role(), state.term())) {
            let change = RoleChange {
                at_ns: clock.now(),
                node: self.nodes[place].name().to_owned(),
                role: state.role().to_owned(),
                term: state.term(),
            };
            self.events.tell(RunEvent::RoleChanged {
                node: change.node.clone(),
                role: change.role.clone(),
                term: change.term,
            });
            polled.changes.push(change);
        }
        polled.latest[place] = Some(state);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Polled> {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// ` in term 7, applied 40 of 42`, as far as it is told.
fn position(state: &NodeState) -> String {
    let term = state.term().map_or(String::new(), |term| format!(" in term {term}"));
    let status = state.status();
    match status.map(|status| (status.applied_index, status.commit_index)) {
        Some((Some(applied), Some(committed))) => {
            format!("{term}, applied {applied} of {committed}")
        }
        Some((Some(applied), None)) => format!("{term}, applied {applied}"),
        _ => term,
    }
}

fn are_led(statuses: &[&Status]) -> bool {
    let mut terms = statuses.iter().filter_map(|status| status.term);
    let term = terms.next();
    if terms.any(|other| Some(other) != term) {
        return false;
    }
    let leaders = statuses.iter().filter(|status| status.leads()).count();
    leaders == 1 || statuses.iter().all(|status| status.role.is_none())
}

fn are_settled(statuses: &[&Status]) -> bool {
    if !are_led(statuses) {
        return false;
    }
    let Some(leader) = statuses.iter().find(|status| status.leads()) else { return true };
    statuses.iter().all(|status| match (status.applied_index, leader.commit_index) {
        (Some(applied), Some(committed)) => applied >= committed,
        _ => true,
    })
}

async fn poll(poller: Poller, place: usize, mut probe: Box<dyn Probe>, clock: RunClock) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let state = match probe.status().await {
            Ok(status) => NodeState::Ready(status),
            Err(ProbeError::Down(_)) => NodeState::Down,
            Err(ProbeError::Silent(why)) => NodeState::Silent(why),
        };
        poller.note(place, state, clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(role: &str, term: u64, committed: u64, applied: u64) -> Status {
        Status {
            role: Some(role.to_owned()),
            term: Some(term),
            commit_index: Some(committed),
            applied_index: Some(applied),
        }
    }

    #[test]
    fn a_cluster_is_settled_once_all_follow_one_leader_and_have_caught_up() {
        let leader = status("leader", 3, 9, 9);
        let behind = status("follower", 3, 9, 8);
        let follower = status("follower", 3, 9, 9);
        let ahead = status("follower", 4, 9, 9);
        assert!(are_settled(&[&leader, &follower, &follower]));
        for other in [&behind, &ahead, &leader] {
            assert!(!are_settled(&[&leader, &follower, other]), "{other:?}");
        }
        assert!(!are_settled(&[&follower, &follower]), "no node leads");
    }

    #[test]
    fn what_nodes_do_not_tell_keeps_no_cluster_from_being_settled() {
        let ready = Status::default();
        assert!(are_settled(&[&ready, &ready]));
        let leader = Status { role: Some("leader".to_owned()), ..Status::default() };
        assert!(are_settled(&[&leader, &ready]));
        assert!(!are_settled(&[&leader, &leader]));
    }
}
