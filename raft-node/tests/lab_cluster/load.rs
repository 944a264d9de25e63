//! Writes to a cluster from several clients at once, and checks what became of each write.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

use super::cluster::{Client, Cluster};
use super::insist;

/// Tokens that go to one key, so that its value stays short.
const TOKENS_A_KEY: usize = 5_000;
/// How long a client waits before it tries again after a refusal.
const PAUSE: Duration = Duration::from_millis(5);

/// Clients that append rising tokens to keys of their own.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<Written>>,
}

/// What one client was told.
pub(crate) struct Written {
    writer: usize,
    tokens: usize,
    acknowledged: Vec<usize>,
    refused: Vec<usize>,
}

fn key(writer: usize, token: usize) -> String {
    format!("list{writer}.{}", token / TOKENS_A_KEY)
}

impl Load {
    /// Starts clients that take the servers in turn.
    pub(crate) fn start(writers: usize, servers: &[SocketAddr]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let spawn = |writer| {
            let servers = servers.to_vec();
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            thread::spawn(move || write(writer, &servers, &stop, &count))
        };
        let writers = (0..writers).map(spawn).collect();
        Self { stop, acknowledged, writers }
    }

    /// How many writes were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(self) -> Vec<Written> {
        self.stop.store(true, Ordering::Relaxed);
        self.writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    }
}

fn write(writer: usize, servers: &[SocketAddr], stop: &AtomicBool, count: &AtomicUsize) -> Written {
    let (mut acknowledged, mut refused) = (Vec::new(), Vec::new());
    let mut client = None;
    let mut token = 0;
    let mut server = writer;
    while !stop.load(Ordering::Relaxed) {
        let Some(connected) = client.as_mut() else {
            server += 1;
            client = Client::connect(servers[server % servers.len()]);
            if client.is_none() {
                sleep(PAUSE);
            }
            continue;
        };
        token += 1;
        let reply = connected.call(&["APPEND", &key(writer, token), &format!("{token},")]);
        match reply {
            Some(reply) if reply.starts_with(':') => {
                acknowledged.push(token);
                count.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Some(reply) if reply.starts_with('-') && !reply.starts_with("-UNCERTAIN") => {
                refused.push(token);
            }
            _ => {}
        }
        client = None;
        sleep(PAUSE);
    }
    Written { writer, tokens: token, acknowledged, refused }
}

impl Written {
    /// Checks that a server has what was acknowledged, in order, and nothing that was refused.
    pub(crate) fn check(&self, cluster: &Cluster, server: usize) {
        let mut present = Vec::new();
        for first in (0..=self.tokens).step_by(TOKENS_A_KEY) {
            let list = insist(cluster, server, &["GET", &key(self.writer, first)]);
            let list = if list == "nil" { "" } else { &list };
            let tokens =
                list.split_terminator(',').map(|token| token.parse::<usize>().expect("a token"));
            present.extend(tokens);
        }
        assert!(present.is_sorted_by(|a, b| a < b), "one client's writes keep their order");
        let missing = |token: &&usize| present.binary_search(token).is_err();
        let lost: Vec<_> = self.acknowledged.iter().filter(missing).take(5).collect();
        assert!(lost.is_empty(), "acknowledged, but not on server {}: {lost:?}", server + 1);
        let risen: Vec<_> = self.refused.iter().filter(|token| !missing(token)).take(5).collect();
        assert!(risen.is_empty(), "refused for certain, but on server {}: {risen:?}", server + 1);
    }
}
