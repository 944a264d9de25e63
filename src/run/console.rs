//! Speaks to the nodes as an operator does: from inside their own hosts, so that no partition keeps
//! him from the node he means.
//!
//! What is said and answered is no part of the history and decides nothing. `commands.jsonl` has a
//! line for everything that was to change something.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use partita_workloads::client::{Answer, CommandError, command};
use serde::Serialize;
use tokio::time::Instant;

use super::folder::RunFolder;
use super::observer::{Observer, Watched};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Where an operator sits.
pub struct Console {
    nodes: Vec<Watched>,
    observer: Observer,
    folder: RunFolder,
    began: Instant,
    log: Mutex<String>,
}

/// What became of a command.
#[derive(Debug, Serialize)]
struct Said<'a> {
    at_ms: u64,
    node: Option<&'a str>,
    words: &'a str,
    answer: &'a str,
}

impl Console {
    /// A console that reaches `nodes`. Writes down what was said when it is dropped.
    pub fn new(nodes: Vec<Watched>, observer: Observer, folder: RunFolder) -> Self {
        Self { nodes, observer, folder, began: Instant::now(), log: Mutex::default() }
    }

    /// The nodes that it reaches, in order.
    pub fn nodes(&self) -> &[Watched] {
        &self.nodes
    }

    /// Says `words` to whoever leads: the node's name, and its answer or why there is none. `None` if
    /// nobody is known to lead.
    pub async fn tell_leader(
        &self,
        words: &[String],
    ) -> Option<(String, Result<Answer, CommandError>)> {
        let at = self.began.elapsed();
        let leader = self.observer.leader();
        let node = self.nodes.iter().find(|node| Some(&node.name) == leader.as_ref());
        let Some(node) = node else {
            self.note(at, None, words, "nobody leads");
            return None;
        };
        let answer = command(&node.dial, node.address, words, LIMIT).await;
        let told = answer.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        self.note(at, Some(&node.name), words, &told);
        Some((node.name.clone(), answer))
    }

    /// Asks `node` something that changes nothing, within `limit`.
    ///
    /// # Errors
    ///
    /// [`CommandError`].
    pub async fn ask(
        &self,
        node: &Watched,
        words: &[String],
        limit: Duration,
    ) -> Result<Answer, CommandError> {
        command(&node.dial, node.address, words, limit).await
    }

    fn note(&self, at: Duration, node: Option<&str>, words: &[String], answer: &str) {
        let at_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let words = words.join(" ");
        let said = Said { at_ms, node, words: &words, answer };
        if let Ok(line) = serde_json::to_string(&said) {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(log, "{line}");
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let log = self.log.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A note for people: what a run proves does not rest on it.
        if !log.is_empty() {
            let _ = self.folder.write("commands.jsonl", log);
        }
    }
}
