//! Watches every node from inside its own host, so that a partition does not blind it.
//!
//! What it sees is a sample every [`INTERVAL`], not proof: it picks targets for faults and draws the
//! report's lanes of roles. No verdict depends on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_reports::{RoleChange, RunEvent};
use partita_workloads::client::{Connection, Dial, OpenError, Status, StatusError};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::RunClock;
use super::events::Events;

/// Time between two looks at a node.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// How long a node may take to tell its status before it counts as silent.
const LIMIT: Duration = Duration::from_millis(150);

/// A node as the observer reaches it.
#[derive(Clone)]
pub struct Watched {
    /// The node's name.
    pub name: String,
    /// Makes sockets inside the node's own host.
    pub dial: Dial,
    /// Where it listens for clients.
    pub address: SocketAddr,
    /// Where others reach it.
    pub advertised: Ipv4Addr,
}

/// What the last look at a node told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It answered.
    Status(Status),
    /// Nothing listens there: no process.
    Down,
    /// Something is there but does not tell its status, and what it does instead: it is paused, or
    /// stuck, or its answer is no status.
    Silent(String),
}

impl Sight {
    fn role(&self) -> &str {
        match self {
            Self::Status(status) => &status.role,
            Self::Down => "down",
            Self::Silent(_) => "silent",
        }
    }

    const fn term(&self) -> Option<u64> {
        match self {
            Self::Status(status) => Some(status.term),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Seen {
    latest: Vec<Option<Sight>>,
    changes: Vec<RoleChange>,
}

/// What was seen of the nodes. Clones share it.
#[derive(Clone)]
pub struct Observer {
    nodes: Arc<[Watched]>,
    seen: Arc<Mutex<Seen>>,
    events: Events,
}

impl Observer {
    /// Starts watching `nodes`; the tasks end when the returned set is dropped.
    pub fn start(nodes: Vec<Watched>, clock: RunClock, events: Events) -> (Self, JoinSet<()>) {
        let seen = Seen { latest: vec![None; nodes.len()], changes: Vec::new() };
        let observer = Self { nodes: nodes.into(), seen: Arc::new(Mutex::new(seen)), events };
        let mut tasks = JoinSet::new();
        for place in 0..observer.nodes.len() {
            tasks.spawn(watch(observer.clone(), place, clock));
        }
        (observer, tasks)
    }

    /// The node that says it leads in the highest term, if any.
    pub fn leader(&self) -> Option<String> {
        let seen = self.lock();
        let leaders =
            seen.latest.iter().zip(self.nodes.iter()).filter_map(|(sight, node)| match sight {
                Some(Sight::Status(status)) if status.role == "leader" => Some((status.term, node)),
                _ => None,
            });
        leaders.max_by_key(|(term, _)| *term).map(|(_, node)| node.name.clone())
    }

    /// The term of the current leader.
    pub fn leader_term(&self) -> Option<u64> {
        let seen = self.lock();
        let terms = seen.latest.iter().filter_map(|sight| match sight {
            Some(Sight::Status(status)) if status.role == "leader" => Some(status.term),
            _ => None,
        });
        terms.max()
    }

    /// Whether every node answers, all are in one term, exactly one leads, and every node has
    /// applied what the leader had committed.
    pub fn is_settled(&self) -> bool {
        let seen = self.lock();
        let mut statuses = Vec::new();
        for sight in &seen.latest {
            let Some(Sight::Status(status)) = sight else { return false };
            statuses.push(status);
        }
        let mut leaders = statuses.iter().filter(|status| status.role == "leader");
        let (Some(leader), None) = (leaders.next(), leaders.next()) else { return false };
        statuses
            .iter()
            .all(|status| status.term == leader.term && status.applied_index >= leader.commit_index)
    }

    /// Whether the node answers.
    pub fn is_up(&self, name: &str) -> bool {
        let seen = self.lock();
        let place = self.nodes.iter().position(|node| node.name == name);
        place.is_some_and(|place| matches!(seen.latest[place], Some(Sight::Status(_))))
    }

    /// One phrase on every node, for an error message.
    pub fn describe(&self) -> String {
        let seen = self.lock();
        let phrase = |(sight, node): (&Option<Sight>, &Watched)| match sight {
            None => format!("{} not seen yet", node.name),
            Some(Sight::Status(status)) => {
                format!("{} {} in term {}", node.name, status.role, status.term)
            }
            Some(Sight::Down) => format!("{} down", node.name),
            Some(Sight::Silent(why)) => format!("{} silent ({why})", node.name),
        };
        seen.latest.iter().zip(self.nodes.iter()).map(phrase).collect::<Vec<_>>().join(", ")
    }

    /// Every change of role or term seen, by time.
    pub fn changes(&self) -> Vec<RoleChange> {
        self.lock().changes.clone()
    }

    fn note(&self, place: usize, sight: Sight, clock: RunClock) {
        let mut seen = self.lock();
        let before = seen.latest[place].as_ref().map(|sight| (sight.role(), sight.term()));
        if before != Some((sight.role(), sight.term())) {
            let change = RoleChange {
                at_ns: clock.now(),
                node: self.nodes[place].name.clone(),
                role: sight.role().to_owned(),
                term: sight.term(),
            };
            self.events.tell(RunEvent::RoleChanged {
                node: change.node.clone(),
                role: change.role.clone(),
                term: change.term,
            });
            seen.changes.push(change);
        }
        seen.latest[place] = Some(sight);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(observer: Observer, place: usize, clock: RunClock) {
    let node = observer.nodes[place].clone();
    let mut connection = None;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sight = look(&node, &mut connection).await;
        observer.note(place, sight, clock);
    }
}

async fn look(node: &Watched, kept: &mut Option<Connection>) -> Sight {
    let mut connection = match kept.take().filter(Connection::is_quiet) {
        Some(connection) => connection,
        None => match Connection::open(&node.dial, node.address, LIMIT).await {
            Ok(connection) => connection,
            Err(OpenError::Refused(_)) => return Sight::Down,
            Err(error @ OpenError::Timeout(_)) => return Sight::Silent(error.to_string()),
        },
    };
    match Status::ask(&mut connection, LIMIT).await {
        Ok(status) => {
            *kept = Some(connection);
            Sight::Status(status)
        }
        Err(StatusError::Open(OpenError::Refused(_))) => Sight::Down,
        Err(error) => Sight::Silent(error.to_string()),
    }
}
