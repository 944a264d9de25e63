//! Writes where the server stands in the form of Redis's `INFO`: sections of `name:value` lines.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::metrics::Metrics;
use crate::core::Status;

/// What `INFO` tells about.
#[derive(Debug)]
pub(super) struct InfoReply<'a> {
    pub(super) status: &'a Status,
    pub(super) metrics: &'a Metrics,
    /// Where clients reach the leader, if that is known.
    pub(super) leader_address: Option<SocketAddr>,
    /// The members in words.
    pub(super) members: String,
    pub(super) uptime: Duration,
    pub(super) max_clients: usize,
}

/// The version of Redis whose commands and replies these are like, for clients that look.
const LIKE_REDIS: &str = "7.2.0";

type Lines = Vec<(&'static str, String)>;
type Section<'a> = (&'static str, fn(&InfoReply<'a>) -> Lines);

impl<'a> InfoReply<'a> {
    /// The sections asked for, all if none is named; unknown ones are left out, as Redis does.
    pub(super) fn text(&self, asked: &[Bytes]) -> String {
        let sections: [Section<'a>; 5] = [
            ("Server", Self::server),
            ("Clients", Self::clients),
            ("Stats", Self::statistics),
            ("Raft", Self::raft),
            ("Keyspace", Self::keyspace),
        ];
        let every = |word: &Bytes| {
            ["all", "default", "everything"]
                .iter()
                .any(|all| word.eq_ignore_ascii_case(all.as_bytes()))
        };
        let mut text = String::new();
        for (name, lines) in sections {
            let wanted = asked.is_empty()
                || asked
                    .iter()
                    .any(|word| every(word) || word.eq_ignore_ascii_case(name.as_bytes()));
            if wanted {
                let gap = if text.is_empty() { "" } else { "\r\n" };
                let _ = write!(text, "{gap}# {name}\r\n");
                for (key, value) in lines(self) {
                    let _ = write!(text, "{key}:{value}\r\n");
                }
            }
        }
        text
    }

    fn server(&self) -> Lines {
        vec![
            ("server_name", "partita-raft-node".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("redis_version", LIKE_REDIS.to_owned()),
            ("redis_mode", "standalone".to_owned()),
            ("process_id", std::process::id().to_string()),
            ("uptime_in_seconds", self.uptime.as_secs().to_string()),
        ]
    }

    fn clients(&self) -> Lines {
        vec![
            ("connected_clients", self.metrics.clients.get().to_string()),
            ("maxclients", self.max_clients.to_string()),
            ("pending_requests", self.status.requests.to_string()),
        ]
    }

    fn statistics(&self) -> Lines {
        let metrics = self.metrics;
        vec![
            ("total_connections_received", metrics.accepted.get().to_string()),
            ("rejected_connections", metrics.overcrowded.get().to_string()),
            ("total_reads", metrics.reads.count().to_string()),
            ("total_writes", metrics.writes.count().to_string()),
            ("refused_requests", metrics.refused.get().to_string()),
            ("slow_requests", metrics.slow.get().to_string()),
            ("syncs", metrics.syncs.count().to_string()),
            ("records_synced", metrics.records.get().to_string()),
        ]
    }

    fn raft(&self) -> Lines {
        let status = self.status;
        let address = self.leader_address;
        let snapshot = status.snapshot.map_or(0, |snapshot| snapshot.index.0);
        vec![
            ("id", status.banner.server.to_string()),
            ("role", status.role.to_owned()),
            ("term", status.banner.term.to_string()),
            ("leader_id", status.leader.map(|leader| leader.to_string()).unwrap_or_default()),
            ("leader_address", address.map(|address| address.to_string()).unwrap_or_default()),
            ("commit_index", status.banner.commit.to_string()),
            ("applied_index", status.applied.to_string()),
            ("durable_index", status.durable.to_string()),
            ("last_index", status.last.to_string()),
            ("first_index", status.first.to_string()),
            ("snapshot_index", snapshot.to_string()),
            ("sessions", status.sessions.to_string()),
            ("members", self.members.clone()),
        ]
    }

    fn keyspace(&self) -> Lines {
        // As Redis, which lists no empty database.
        if self.status.keys == 0 {
            return Vec::new();
        }
        let Status { keys, expiring, .. } = self.status;
        vec![("db0", format!("keys={keys},expires={expiring}"))]
    }
}
