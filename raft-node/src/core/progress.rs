//! Follows one follower's log from the leader's side: what it has, what is on its way, what next.
//!
//! While the leader does not know where the two logs agree it *probes*: one empty Append at a time,
//! each rejection backing up by a whole term (Raft §5.3, last paragraphs). Once an Append is
//! accepted it *streams*: batches follow one another without waiting, up to a window in number and
//! in bytes. A lost batch shows as a rejection of what follows, heartbeats included, and the leader
//! probes again. If the follower lacks what the leader has trimmed, the leader sends its *snapshot*
//! (§7): a few chunks at a time, beginning again after the last acknowledged one when nothing comes
//! for a while.
//!
//! Replies may be late, doubled or out of order: what a follower accepted in this term it keeps
//! throughout the term, so the greatest counts, and rejections count only if they are about what
//! the leader still believes.

use std::collections::VecDeque;
use std::time::Duration;

use super::log::Entry;
use super::snapshot::SnapshotId;
use super::units::Index;

/// Batches that may be on their way to one follower.
const WINDOW: usize = 64;
/// Bytes of entries that may be on their way to one follower, and one batch more.
const WINDOW_BYTES: usize = 4 << 20;
/// Chunks of a snapshot that may be on their way to one follower.
const CHUNK_WINDOW: u64 = 4;

/// What the leader knows of one follower.
#[derive(Debug)]
pub(super) struct Progress {
    /// The last index at which its durable log is known to agree; never falls in a term.
    pub(super) matched: Index,
    /// The next index to send.
    pub(super) next: Index,
    pub(super) state: State,
    /// The last index and the bytes of each batch on its way.
    in_flight: VecDeque<(Index, usize)>,
    in_flight_bytes: usize,
    /// The latest round it confirmed.
    pub(super) round: u64,
    /// When it was last heard, or when this server became leader.
    pub(super) heard: Duration,
}

/// How a follower is brought in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The logs' point of agreement is being looked for.
    Probing {
        /// Whether a probe is out and no heartbeat has passed since.
        waiting: bool,
    },
    /// Batches follow one another.
    Streaming,
    /// It gets the snapshot.
    Snapshot(Sending),
}

/// A snapshot on its way to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub(super) id: SnapshotId,
    /// Its length.
    pub(super) total: u64,
    pub(super) checksum: u32,
    /// How much the follower has.
    acknowledged: u64,
    /// How much was sent.
    sent: u64,
    /// When either last changed.
    moved: Duration,
}

impl Sending {
    pub(super) fn new(id: SnapshotId, (total, checksum): (u64, u32), now: Duration) -> Self {
        Self { id, total, checksum, acknowledged: 0, sent: 0, moved: now }
    }

    /// The next chunk to send: its offset and length.
    pub(super) fn next_chunk(&mut self, chunk: u32, now: Duration) -> Option<(u64, u32)> {
        let window = self.acknowledged + CHUNK_WINDOW * u64::from(chunk);
        let left = self.total - self.sent;
        if left == 0 || self.sent >= window {
            return None;
        }
        let offset = self.sent;
        let length = u32::try_from(left).unwrap_or(u32::MAX).min(chunk);
        self.sent += u64::from(length);
        self.moved = now;
        Some((offset, length))
    }

    /// The follower has this much.
    pub(super) fn kept(&mut self, offset: u64, now: Duration) {
        if offset > self.acknowledged && offset <= self.total {
            self.acknowledged = offset;
            self.sent = self.sent.max(offset);
            self.moved = now;
        } else if offset == 0 {
            // It began anew, perhaps after a restart.
            self.acknowledged = 0;
        }
    }

    /// Sends again what was not acknowledged, if nothing moved for this long.
    pub(super) fn retry(&mut self, now: Duration, patience: Duration) {
        if now >= self.moved + patience {
            // What was acknowledged whole may have been lost in a restart: ask with the last byte.
            self.sent = self.acknowledged.min(self.total.saturating_sub(1));
            self.moved = now;
        }
    }
}

impl Progress {
    /// A follower of which nothing is known yet.
    pub(super) fn new(next: Index, now: Duration) -> Self {
        Self {
            matched: Index::ZERO,
            next,
            state: State::Probing { waiting: false },
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            round: 0,
            heard: now,
        }
    }

    /// The follower accepted all up to `matched`; `base` is where the leader's log begins.
    pub(super) fn accepted(&mut self, matched: Index, base: Index) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched.next());
        while let Some((_, bytes)) = self.in_flight.pop_front_if(|(last, _)| *last <= self.matched)
        {
            self.in_flight_bytes -= bytes;
        }
        match self.state {
            State::Snapshot(_) if self.matched < base => {}
            State::Snapshot(_) => {
                self.next = self.matched.next();
                self.state = State::Streaming;
            }
            _ => self.state = State::Streaming,
        }
    }

    /// Backs up to `next`, if the rejection is about something still believed.
    pub(super) fn rejected(&mut self, previous: Index, next: Index) {
        let believed = match self.state {
            State::Probing { .. } => previous == self.next.previous(),
            State::Streaming => previous < self.next,
            State::Snapshot(_) => false,
        };
        if !believed || previous <= self.matched {
            return;
        }
        self.next = next.clamp(self.matched.next(), previous);
        self.state = State::Probing { waiting: false };
        self.clear_window();
    }

    /// Begins to send a snapshot.
    pub(super) fn send_snapshot(&mut self, sending: Sending) {
        self.clear_window();
        self.state = State::Snapshot(sending);
    }

    fn clear_window(&mut self) {
        self.in_flight.clear();
        self.in_flight_bytes = 0;
    }

    /// Whether another batch may go out.
    pub(super) fn has_room(&self) -> bool {
        self.state == State::Streaming
            && self.in_flight.len() < WINDOW
            && self.in_flight_bytes < WINDOW_BYTES
    }

    /// Notes that a batch goes out.
    pub(super) fn sent(&mut self, entries: &[Entry]) {
        if let Some(last) = entries.last() {
            let bytes = entries.iter().map(Entry::size).sum();
            self.next = last.index.next();
            self.in_flight.push_back((last.index, bytes));
            self.in_flight_bytes += bytes;
        }
    }

    /// The state's name.
    pub(super) fn state_name(&self) -> &'static str {
        match self.state {
            State::Probing { .. } => "probing",
            State::Streaming => "streaming",
            State::Snapshot(_) => "snapshot",
        }
    }
}
