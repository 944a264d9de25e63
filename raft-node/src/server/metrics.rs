//! Counts what the server does, and writes it in the text format of Prometheus.
//!
//! Counters are relaxed atomics: each is right by itself, and two of them may be a moment apart.
//! Times go into histograms with fixed bounds, from 100 µs to 10 s. Format: Prometheus exposition
//! formats, text, version 0.0.4. What the server *is* (role, term, indexes) is not counted but
//! taken from its published state when someone asks.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::core::Status;

/// The upper bounds of a histogram's buckets, in microseconds.
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A number that is only counted up, or up and down if it says what is there now.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    pub(super) fn increment(&self) {
        self.add(1);
    }

    pub(super) fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something took how long.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// One per bound, and one for what took longer.
    buckets: [Count; BOUNDS.len() + 1],
    micros: Count,
}

impl Histogram {
    pub(super) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].increment();
        self.micros.add(usize::try_from(micros).unwrap_or(usize::MAX));
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(Count::get).sum()
    }

    fn put(&self, out: &mut String, name: &str, label: &str) {
        let comma = if label.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            count += bucket.get();
            let seconds = bound as f64 / 1e6;
            let _ = writeln!(out, "{name}_bucket{{{label}{comma}le=\"{seconds}\"}} {count}");
        }
        count += self.buckets[BOUNDS.len()].get();
        let _ = writeln!(out, "{name}_bucket{{{label}{comma}le=\"+Inf\"}} {count}");
        let braced = if label.is_empty() { String::new() } else { format!("{{{label}}}") };
        let seconds = self.micros.get() as f64 / 1e6;
        let _ = writeln!(out, "{name}_sum{braced} {seconds}");
        let _ = writeln!(out, "{name}_count{braced} {count}");
    }
}

/// All that is counted in one life of the server.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// From a request's submission to its outcome.
    pub(super) writes: Histogram,
    /// The same for reads.
    pub(super) reads: Histogram,
    /// One write to the log and its sync.
    pub(super) syncs: Histogram,
    /// Records made durable.
    pub(super) records: Count,
    /// Requests that were not carried out, or whose outcome is unknown.
    pub(super) refused: Count,
    /// Requests that took longer than the limit for slow ones.
    pub(super) slow: Count,
    /// Clients connected now.
    pub(super) clients: Count,
    /// Clients' connections ever accepted.
    pub(super) accepted: Count,
    /// Clients' connections refused because there were too many.
    pub(super) overcrowded: Count,
    /// Clients' connections closed because what they sent is not RESP.
    pub(super) client_garbage: Count,
    /// Connections to the peer port closed because what they sent makes no sense.
    pub(super) peer_garbage: Count,
    /// Messages handed to a connection to another server.
    pub(super) sent: Count,
    /// Messages dropped for want of a connection, or because too many wait for it.
    pub(super) dropped: Count,
    /// Messages that arrived.
    pub(super) received: Count,
    /// Snapshots of its own that became durable.
    pub(super) snapshots: Count,
    /// Snapshots of another server that were installed.
    pub(super) installed: Count,
    /// Elections won.
    pub(super) elections_won: Count,
}

impl Metrics {
    /// Everything, as text.
    pub(super) fn text(&self, status: &Status) -> String {
        let mut out = String::new();
        put_status(&mut out, status);
        let counters = [
            ("requests_refused_total", "requests refused or of unknown outcome", &self.refused),
            ("requests_slow_total", "requests over the limit for slow ones", &self.slow),
            ("client_connections_total", "clients' connections accepted", &self.accepted),
            ("client_connections_refused_total", "connections over the limit", &self.overcrowded),
            ("client_garbage_total", "client connections that broke RESP", &self.client_garbage),
            ("peer_garbage_total", "peer connections that made no sense", &self.peer_garbage),
            ("messages_sent_total", "messages handed to a connection", &self.sent),
            ("messages_dropped_total", "messages that found no way out", &self.dropped),
            ("messages_received_total", "messages that arrived", &self.received),
            ("records_synced_total", "records made durable", &self.records),
            ("snapshots_taken_total", "own snapshots made durable", &self.snapshots),
            ("snapshots_installed_total", "snapshots of a leader installed", &self.installed),
            ("elections_won_total", "elections won", &self.elections_won),
        ];
        for (name, help, count) in counters {
            put(&mut out, "counter", name, help, count.get());
        }
        put(&mut out, "gauge", "client_connections", "clients connected", self.clients.get());
        let name = "raft_node_request_seconds";
        put_head(&mut out, "histogram", name, "from a request's submission to its outcome");
        self.reads.put(&mut out, name, "kind=\"read\"");
        self.writes.put(&mut out, name, "kind=\"write\"");
        let name = "raft_node_sync_seconds";
        put_head(&mut out, "histogram", name, "one write to the log and its sync");
        self.syncs.put(&mut out, name, "");
        out
    }
}

fn put_status(out: &mut String, status: &Status) {
    put_head(out, "gauge", "raft_node_role", "1 for the role that the server has");
    for role in ["leader", "candidate", "follower", "learner"] {
        let is = u8::from(status.role == role);
        let _ = writeln!(out, "raft_node_role{{role=\"{role}\"}} {is}");
    }
    let leader = status.leader.map_or(0, |leader| u64::from(leader.0));
    let snapshot = status.snapshot.map_or(0, |snapshot| snapshot.index.0);
    let gauges = [
        ("term", "the current term", status.banner.term.0),
        ("leader_id", "the leader's id, 0 if none is known", leader),
        ("commit_index", "the last entry known to be committed", status.banner.commit.0),
        ("applied_index", "the last entry applied", status.applied.0),
        ("durable_index", "the last entry that is durable here", status.durable.0),
        ("last_index", "the last entry of the log", status.last.0),
        ("first_index", "the first entry still in the log", status.first.0),
        ("snapshot_index", "the last entry of the latest snapshot", snapshot),
        ("keys", "keys in the applied state", status.keys as u64),
        ("sessions", "client sessions in the applied state", status.sessions as u64),
        ("requests_pending", "requests that wait for an outcome", status.requests as u64),
    ];
    for (name, help, value) in gauges {
        put(out, "gauge", name, help, value);
    }
}

fn put(out: &mut String, kind: &str, name: &str, help: &str, value: u64) {
    let name = format!("raft_node_{name}");
    put_head(out, kind, &name, help);
    let _ = writeln!(out, "{name} {value}");
}

fn put_head(out: &mut String, kind: &str, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_buckets_are_cumulative_and_bounds_inclusive() {
        let histogram = Histogram::default();
        for micros in [100, 101, 20_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut out = String::new();
        histogram.put(&mut out, "x", "k=\"v\"");
        assert!(out.contains("x_bucket{k=\"v\",le=\"0.0001\"} 1\n"), "{out}");
        assert!(out.contains("x_bucket{k=\"v\",le=\"0.00025\"} 2\n"), "{out}");
        assert!(out.contains("x_bucket{k=\"v\",le=\"10\"} 2\n"), "{out}");
        assert!(out.contains("x_bucket{k=\"v\",le=\"+Inf\"} 3\n"), "{out}");
        assert!(out.ends_with("x_sum{k=\"v\"} 20.000201\nx_count{k=\"v\"} 3\n"), "{out}");
    }
}
