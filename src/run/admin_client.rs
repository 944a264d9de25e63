//! Speaks to the nodes as an operator does, from inside their own hosts, so that no partition comes
//! between: for faults of membership, and for the commands of a schedule.
//!
//! What is sent and answered is no part of the history and decides nothing. `commands.jsonl` has a
//! line for every request that was to change something.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_nemesis::administration::Pending;
use partita_nemesis::{Administration, AdministrationError, Configuration, PlannedCommand, View};
use partita_workloads::client::{Admin, Change, Member, Members, Protocol};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::folder::RunFolder;
use super::own_faults::{Done, OwnFaults, Turn};
use super::poller::{InsideNode, Poller};

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(3);

/// How long a node may take to tell the members before it counts as silent.
const VIEW_LIMIT: Duration = Duration::from_millis(150);

/// The one client of the nodes' administration. Clones share its log.
#[derive(Clone)]
pub struct AdminClient(Arc<Inner>);

struct Inner {
    nodes: Vec<Administered>,
    members: Vec<Member>,
    poller: Poller,
    own_faults: OwnFaults,
    log: CommandLog,
}

/// A node, and who speaks to it if its protocol has that.
struct Administered {
    node: InsideNode,
    admin: Option<Box<dyn Admin>>,
}

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminClient").field("members", &self.0.members).finish_non_exhaustive()
    }
}

impl AdminClient {
    /// Reaches `nodes`, which are `members` in the same order, and knows the description's `own_faults`. What is sent is written to `folder`
    /// when the last clone is dropped.
    pub fn new(
        protocol: &dyn Protocol,
        nodes: Vec<InsideNode>,
        members: Vec<Member>,
        poller: Poller,
        own_faults: OwnFaults,
        folder: RunFolder,
    ) -> Self {
        let administered = |node: InsideNode| {
            let admin = protocol.admin(&node.endpoint, &node.dial);
            Administered { node, admin }
        };
        let nodes = nodes.into_iter().map(administered).collect();
        let log = CommandLog { folder, began: Instant::now(), lines: Mutex::default() };
        Self(Arc::new(Inner { nodes, members, poller, own_faults, log }))
    }

    /// Sends each of `commands` at its time from now on to the node that leads then, whatever the ones
    /// before it came to. A name like `{n4}` in them stands for the address where others reach that
    /// node. Ends when the last was answered.
    pub async fn send_all(&self, commands: &[PlannedCommand]) {
        let began = Instant::now();
        let addressed = |word: &String| {
            self.0.nodes.iter().fold(word.clone(), |word, Administered { node, .. }| {
                word.replace(&format!("{{{}}}", node.name()), &node.advertised.to_string())
            })
        };
        let mut under_way = JoinSet::new();
        for planned in commands {
            sleep_until(began + planned.at).await;
            let words: Vec<String> = planned.words.iter().map(addressed).collect();
            let client = self.clone();
            under_way.spawn(async move {
                // Refused or not, it is in the log.
                let _ = client.ask_leader(Request::Command(&words)).await;
            });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Asks the node that leads, and logs what was asked and what came of it.
    async fn ask_leader(&self, request: Request<'_>) -> Result<(), AdministrationError> {
        let Inner { nodes, poller, log, .. } = &*self.0;
        let at = log.began.elapsed();
        let leader = poller.leader();
        let found = nodes.iter().find(|it| Some(it.node.name()) == leader.as_deref());
        let Some(Administered { node, admin }) = found else {
            log.note(at, None, &request.to_string(), "no node leads");
            return Err(AdministrationError::NoLeader);
        };
        let Some(admin) = admin else {
            return Err(AdministrationError::Unspoken(request.to_string()));
        };
        let exchange = match request {
            Request::Change(change, member) => admin.change(change, member, LIMIT).await,
            Request::Command(words) => admin.command(words, LIMIT).await,
        };
        let (Ok(answer) | Err(answer)) = &exchange.answer;
        log.note(at, Some(node.name()), &exchange.request, answer);
        let refused =
            |answer| AdministrationError::Refused { node: node.name().to_owned(), answer };
        exchange.answer.map(drop).map_err(refused)
    }

    /// Has a change made that is about `node`.
    async fn change(&self, change: Change, node: &str) -> Result<(), AdministrationError> {
        match self.0.members.iter().find(|member| member.name == node) {
            Some(member) => self.ask_leader(Request::Change(change, member)).await,
            None => Err(AdministrationError::Unspoken(format!("{change} {node}"))),
        }
    }

    /// Has a fault of the description begin or end on `node`, and logs what was done and what came of it.
    async fn act(&self, turn: Turn, fault: &str, node: &str) -> Result<(), AdministrationError> {
        let Inner { own_faults, log, .. } = &*self.0;
        let at = log.began.elapsed();
        let Done { what, outcome } = own_faults.act(turn, fault, node).await;
        let answer = match &outcome {
            Ok(answer) => answer.clone(),
            Err(error) => error.to_string(),
        };
        if !what.is_empty() {
            log.note(at, Some(node), &what, &answer);
        }
        outcome.map(drop)
    }

    /// What the node in this place says of the members, if it does.
    async fn view(self, place: usize) -> Option<View> {
        let Administered { node, admin } = &self.0.nodes[place];
        let members = admin.as_ref()?.members(&self.0.members, VIEW_LIMIT).await?;
        let Members { voters, learners, leaving } = members;
        let members = Configuration { voters, learners, leaving };
        Some(View { node: node.name().to_owned(), members })
    }
}

/// What a leader is asked for.
enum Request<'a> {
    Change(Change, &'a Member),
    Command(&'a [String]),
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change, member) => write!(f, "{change} {}", member.name),
            Self::Command(words) => f.write_str(&words.join(" ")),
        }
    }
}

impl Administration for AdminClient {
    fn transfer<'a>(&'a self, to: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.change(Change::Transfer, to))
    }

    fn add<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.change(Change::Add, node))
    }

    fn remove<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.change(Change::Remove, node))
    }

    fn inject<'a>(
        &'a self,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.act(Turn::Inject, fault, node))
    }

    fn heal<'a>(
        &'a self,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.act(Turn::Heal, fault, node))
    }

    fn views(&self) -> Pending<'_, Vec<View>> {
        let mut asked = JoinSet::new();
        for place in 0..self.0.nodes.len() {
            asked.spawn(self.clone().view(place));
        }
        Box::pin(async move { asked.join_all().await.into_iter().flatten().collect() })
    }
}

/// Requests and answers, which become `commands.jsonl` at the end.
struct CommandLog {
    folder: RunFolder,
    began: Instant,
    lines: Mutex<String>,
}

/// A line of the log.
#[derive(Debug, Serialize)]
struct CommandRecord<'a> {
    at_ms: u64,
    node: Option<&'a str>,
    words: &'a str,
    answer: &'a str,
}

impl CommandLog {
    fn note(&self, at: Duration, node: Option<&str>, words: &str, answer: &str) {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let record = CommandRecord { at_ms, node, words, answer };
        if let Ok(line) = serde_json::to_string(&record) {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(lines, "{line}");
        }
    }
}

impl Drop for CommandLog {
    fn drop(&mut self) {
        let lines = self.lines.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A note for people: what a run proves does not rest on it.
        if !lines.is_empty() {
            let _ = self.folder.write("commands.jsonl", lines);
        }
    }
}
