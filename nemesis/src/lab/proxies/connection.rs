//! Relays one connection: two streams, each by the policy of its own link.
//!
//! A stream keeps what it has read until its link lets it go, up to a limit; past that it reads no
//! more, and TCP holds the sender back. The end of one side is passed on behind its last byte, as the
//! link has it: a finish as a finish, a reset as a reset.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, trace};

use super::relay_listener::RelayListener;
use super::streams::{Chunk, End, Leave, Streams};
use super::{Entry, Shared, abort, lock};
use crate::lab::fabric::Port;

/// The most bytes that a stream keeps.
const KEPT: usize = 256 << 10;
/// The most bytes that are read at once.
const READ: usize = 16 << 10;
/// How long a node that listens may take to let a relay connect.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Serves a connection that `from` dialled, to its end.
pub(super) async fn serve(gate: Arc<RelayListener>, from: Port, stream: TcpStream) {
    let shared = Arc::clone(&gate.shared);
    let (there, back) = ((from, gate.node), (gate.node, from));
    let dialler = Arc::new(stream);
    // Delays are the links' alone.
    let _ = dialler.set_nodelay(true);
    let entry = shared.register(there, &dialler);
    pass(&shared, there).await;
    if entry.is_reset() {
        return;
    }
    let connected = timeout(CONNECT_LIMIT, TcpStream::connect(SocketAddr::from(gate.target))).await;
    let Ok(Ok(node)) = connected else {
        match connected {
            Ok(Err(error)) => debug!(connection = entry.number, %error, "the node refused"),
            _ => debug!(connection = entry.number, limit = ?CONNECT_LIMIT, "the node is silent"),
        }
        gate.suspect();
        pass(&shared, back).await;
        abort(&dialler);
        return;
    };
    let _ = node.set_nodelay(true);
    let node = Arc::new(node);
    if !entry.join(&node) {
        abort(&node);
        return;
    }
    debug!(connection = entry.number, node = %gate.target, "connected to the node");
    Relay {
        shared: &shared,
        entry: &entry,
        ends: [&dialler, &node],
        streams: [Stream::new(there), Stream::new(back)],
    }
    .run(&gate)
    .await;
}

/// Waits until a link lets something pass that begins now and has no bytes: a connection being
/// opened, or being refused.
async fn pass(shared: &Shared, link: (Port, Port)) {
    let mut changes = shared.changes.subscribe();
    let mut chunk = lock(&shared.core).streams.admit(link, Vec::new(), None, shared.now_ns());
    loop {
        changes.mark_unchanged();
        let leave = lock(&shared.core).streams.ask(link, &mut chunk, shared.now_ns());
        let due = match leave {
            Leave::Now => return,
            Leave::At(due_ns) => Some(shared.moment(due_ns)),
            Leave::Changed => None,
        };
        tokio::select! {
            _ = changes.changed() => {}
            () = at(due), if due.is_some() => {}
        }
    }
}

/// Waits for a moment, if there is one.
async fn at(moment: Option<Instant>) {
    if let Some(moment) = moment {
        sleep_until(moment).await;
    }
}

/// One direction of a connection.
#[derive(Debug)]
struct Stream {
    link: (Port, Port),
    kept: VecDeque<Chunk>,
    kept_bytes: usize,
    /// Whether its end is among what is kept, or has left.
    has_ended: bool,
    /// Whether everything has left, its end included.
    is_over: bool,
    /// Whether its receiver is gone: what still arrives is discarded.
    is_dead: bool,
}

/// Why a stream stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StallReason {
    /// It has nothing to send, or must wait for its link's policy to change.
    Waiting,
    /// Until then, its link keeps what comes next.
    Until(u64),
    /// The receiver has no room.
    Full,
    /// The receiver is gone.
    Broken,
    /// It has passed a reset on.
    Reset,
}

impl Stream {
    fn new(link: (Port, Port)) -> Stream {
        let kept = VecDeque::new();
        let (has_ended, is_over, is_dead) = (false, false, false);
        Stream { link, kept, kept_bytes: 0, has_ended, is_over, is_dead }
    }

    /// Whether it wants to read.
    fn reads(&self) -> bool {
        !self.has_ended && self.kept_bytes < KEPT
    }

    /// Takes what there is to read from `source`, as far as there is room.
    fn read(&mut self, shared: &Shared, source: &TcpStream) {
        let mut buffer = [0; READ];
        while self.reads() {
            let (bytes, end) = match source.try_read(&mut buffer) {
                Ok(0) => (Vec::new(), Some(End::Finished)),
                Ok(length) => (buffer[..length].to_vec(), None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => (Vec::new(), Some(End::Reset)),
            };
            self.take(&mut lock(&shared.core).streams, bytes, end, shared.now_ns());
        }
    }

    fn take(&mut self, streams: &mut Streams, bytes: Vec<u8>, end: Option<End>, now_ns: u64) {
        self.has_ended |= end.is_some();
        if self.is_dead {
            self.is_over |= self.has_ended;
            return;
        }
        self.kept_bytes += bytes.len();
        self.kept.push_back(streams.admit(self.link, bytes, end, now_ns));
    }

    /// Sends what may leave to `sink`.
    fn send(&mut self, shared: &Shared, sink: &TcpStream) -> StallReason {
        // Held while bytes are sent: once a policy has changed, no byte passes by the old one.
        let mut core = lock(&shared.core);
        let streams = &mut core.streams;
        let now_ns = shared.now_ns();
        for chunk in self.kept.iter_mut().skip(1) {
            streams.withhold(self.link, chunk, now_ns);
        }
        while let Some(chunk) = self.kept.front_mut() {
            match streams.ask(self.link, chunk, now_ns) {
                Leave::Now => {}
                Leave::At(due_ns) => return StallReason::Until(due_ns),
                Leave::Changed => return StallReason::Waiting,
            }
            match chunk.end {
                Some(End::Reset) => return StallReason::Reset,
                Some(End::Finished) => {
                    // Fails if the receiver is gone, and then it knows.
                    let _ = shutdown(sink.as_raw_fd(), Shutdown::Write);
                    self.is_over = true;
                }
                None => match sink.try_write(&chunk.bytes[chunk.sent..]) {
                    Ok(length) => {
                        chunk.sent += length;
                        self.kept_bytes -= length;
                        let whole = chunk.sent == chunk.bytes.len();
                        streams.left(self.link, length, whole, now_ns);
                        let (from, to) = (&shared.names[self.link.0], &shared.names[self.link.1]);
                        trace!(from, to, bytes = length, "sent");
                        if !whole {
                            continue;
                        }
                        streams.note(self.link, chunk, true, now_ns);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return StallReason::Full;
                    }
                    Err(_) => return StallReason::Broken,
                },
            }
            self.kept.pop_front();
        }
        StallReason::Waiting
    }

    /// Discards what it keeps and what still arrives: the receiver is gone.
    fn die(&mut self, shared: &Shared) {
        self.is_dead = true;
        self.kept_bytes = 0;
        let mut core = lock(&shared.core);
        for chunk in self.kept.drain(..) {
            core.streams.note(self.link, &chunk, false, shared.now_ns());
        }
    }
}

/// A connection that is relayed. The first stream leads from the dialler to the node.
struct Relay<'a> {
    shared: &'a Shared,
    entry: &'a Entry,
    ends: [&'a TcpStream; 2],
    streams: [Stream; 2],
}

impl Relay<'_> {
    async fn run(mut self, gate: &RelayListener) {
        let mut changes = self.shared.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if self.entry.is_reset() {
                return;
            }
            let mut full = [false; 2];
            let mut due_ns = None;
            for side in [0, 1] {
                match self.streams[side].send(self.shared, self.ends[1 - side]) {
                    StallReason::Waiting => {}
                    StallReason::Until(at_ns) => {
                        due_ns = Some(due_ns.map_or(at_ns, |other: u64| other.min(at_ns)));
                    }
                    StallReason::Full => full[side] = true,
                    StallReason::Broken => self.lose(1 - side),
                    StallReason::Reset => return self.end(),
                }
            }
            if self.streams.iter().all(|stream| stream.is_over) {
                return;
            }
            let due = due_ns.map(|at_ns| self.shared.moment(at_ns));
            let wanted = [0, 1].map(|side| {
                let reads = self.streams[side].reads().then_some(Interest::READABLE);
                let writes = full[1 - side].then_some(Interest::WRITABLE);
                match (reads, writes) {
                    (Some(reads), Some(writes)) => Some(reads | writes),
                    (reads, writes) => reads.or(writes),
                }
            });
            tokio::select! {
                _ = changes.changed() => {}
                () = at(due), if due.is_some() => {}
                () = ready(self.ends[0], wanted[0]), if wanted[0].is_some() => self.read(0, gate),
                () = ready(self.ends[1], wanted[1]), if wanted[1].is_some() => self.read(1, gate),
            }
        }
    }

    /// Reads what an end sent.
    fn read(&mut self, side: usize, gate: &RelayListener) {
        let had_ended = self.streams[side].has_ended;
        self.streams[side].read(self.shared, self.ends[side]);
        if side == 1 && self.streams[1].has_ended && !had_ended {
            gate.suspect();
        }
    }

    /// One end is gone: resets the other, as far as the link lets the reset pass.
    fn lose(&mut self, side: usize) {
        self.streams[1 - side].die(self.shared);
        let now_ns = self.shared.now_ns();
        let stream = &mut self.streams[side];
        if !stream.has_ended {
            let mut core = lock(&self.shared.core);
            stream.take(&mut core.streams, Vec::new(), Some(End::Reset), now_ns);
        } else if stream.is_over {
            // It said that it would send no more, and was heard: there is nothing left to tell.
            self.end();
        }
    }

    /// Ends both ends at once.
    fn end(&mut self) {
        self.ends.iter().for_each(|end| abort(end));
        self.streams.iter_mut().for_each(|stream| stream.is_over = true);
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        self.streams.iter_mut().for_each(|stream| stream.die(self.shared));
    }
}

/// Waits until an end is ready.
async fn ready(end: &TcpStream, wanted: Option<Interest>) {
    if let Some(interest) = wanted {
        // An error shows when the end is read from or written to.
        let _ = end.ready(interest).await;
    }
}
