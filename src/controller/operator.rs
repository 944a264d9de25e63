//! Says to the store what its operator would: changes of the members, transfers of leadership.
//!
//! A schedule has such commands in the words of one target, each for whoever leads at its moment.
//! They are given from inside the leader's own host, so that a partition does not keep an operator
//! from the node he means, and they are no part of the history: what they answer, a refusal included,
//! decides nothing. A name like `{n4}` in them stands for the address where others reach that node. `commands.jsonl` has a line for each with its answer.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use partita_nemesis::PlannedCommand;
use partita_workloads::client::Connection;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::folder::RunFolder;
use super::observer::{Observer, Watched};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(3);

/// What became of a command.
#[derive(Debug, Serialize)]
struct Said {
    at_ms: u64,
    node: Option<String>,
    words: String,
    answer: String,
}

/// Gives `commands` at their times from now on, whatever the ones before them came to. Ends when the
/// last was answered; writes down what was when dropped or ended.
pub async fn give(
    commands: &[PlannedCommand],
    nodes: &[Watched],
    observer: &Observer,
    folder: &RunFolder,
) {
    let began = Instant::now();
    let addressed = |word: &String| {
        nodes.iter().fold(word.clone(), |word, node| {
            word.replace(&format!("{{{}}}", node.name), &node.advertised.to_string())
        })
    };
    let mut under_way = JoinSet::new();
    let mut log = Log { text: String::new(), folder };
    for command in commands {
        sleep_until(began + command.at).await;
        let leader = observer.leader();
        let node = nodes.iter().find(|node| Some(&node.name) == leader.as_ref()).cloned();
        let words = command.words.iter().map(addressed).collect();
        under_way.spawn(say(PlannedCommand { words, ..*command }, node));
        while let Some(said) = under_way.try_join_next() {
            log.add(said.ok());
        }
    }
    while let Some(said) = under_way.join_next().await {
        log.add(said.ok());
    }
}

async fn say(command: PlannedCommand, node: Option<Watched>) -> Said {
    let at_ms = u64::try_from(command.at.as_millis()).unwrap_or(u64::MAX);
    let words = command.words.join(" ");
    let Some(node) = node else {
        return Said { at_ms, node: None, words, answer: "nobody leads".to_owned() };
    };
    let command: Vec<Bytes> = command.words.into_iter().map(Bytes::from).collect();
    let answer = match Connection::open(&node.dial, node.address, LIMIT).await {
        Ok(mut connection) => match connection.request(&command, LIMIT).await {
            Ok(reply) => format!("{reply:?}"),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    Said { at_ms, node: Some(node.name), words, answer }
}

/// What was said so far; written down in the end, however that comes.
struct Log<'a> {
    text: String,
    folder: &'a RunFolder,
}

impl Log<'_> {
    fn add(&mut self, said: Option<Said>) {
        if let Some(Ok(line)) = said.map(|said| serde_json::to_string(&said)) {
            let _ = writeln!(self.text, "{line}");
        }
    }
}

impl Drop for Log<'_> {
    fn drop(&mut self) {
        // A note for people: what a run proves does not rest on it.
        if !self.text.is_empty() {
            let _ = self.folder.write("commands.jsonl", &self.text);
        }
    }
}
