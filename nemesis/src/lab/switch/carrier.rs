//! The thread that moves frames from socket to socket.
//!
//! It waits for frames on all sockets and takes them in batches. Frames of a batch that pass
//! unhindered to one receiver leave together: the cost of a system call is shared by as many frames
//! as there are. Before it sleeps it looks around for a few microseconds more: the answer to a
//! frame often comes sooner than a sleeper wakes up, which measurably shortens a round trip.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;
use tracing::trace;

use super::{Core, Shared, lock};
use crate::lab::fabric::{Decision, Due, Port, Route};
use crate::lab::packet::Batch;

/// How often frames are offered to a receiver without room, a millisecond apart.
const ATTEMPTS: usize = 5;
/// How long it stays awake after the last frame, in nanoseconds. It does not yield meanwhile: that
/// would cost it its turn, and the frames milliseconds, whenever others want the processor.
const ALERT_NS: u64 = 30_000;

impl Shared {
    /// Carries frames until told to stop.
    pub(super) fn carry(&self) -> io::Result<()> {
        // Held frames must leave on time, not up to 50 µs late to save power.
        nix::sys::prctl::set_timerslack(1)?;
        let mut batch = Batch::new();
        let mut waiting: Vec<PollFd<'_>> =
            self.sockets.iter().map(|socket| readable(socket.as_fd())).collect();
        waiting.push(readable(self.wake.as_fd()));
        let mut alert_until_ns = 0;
        loop {
            let next_due_ns = lock(&self.core).fabric.next_due_ns();
            let now_ns = self.now_ns();
            let timeout = if now_ns < alert_until_ns {
                Some(Duration::ZERO)
            } else {
                next_due_ns.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(now_ns)))
            };
            match ppoll(&mut waiting, timeout.map(TimeSpec::from_duration), None) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            if is_ready(&waiting[self.sockets.len()]) {
                // Resets the counter; an error says that it was zero.
                let _ = self.wake.read();
                if lock(&self.state).stop {
                    return Ok(());
                }
            }
            self.release();
            for (port, socket) in self.sockets.iter().enumerate() {
                if is_ready(&waiting[port]) {
                    socket.receive(&mut batch)?;
                    if !batch.is_empty() {
                        self.forward(port, &batch);
                        alert_until_ns = self.now_ns() + ALERT_NS;
                    }
                }
            }
        }
    }

    /// Decides about every frame of a batch and sends those that pass.
    fn forward(&self, from: Port, batch: &Batch) {
        let mut core = lock(&self.core);
        let now_ns = self.now_ns();
        let mut passing = Passing { link: (from, from), frames: Vec::new(), came_ns: now_ns };
        for frame in batch.frames() {
            match core.fabric.route(from, frame) {
                Route::To(to) => self.pass(&mut core, (from, to), frame, now_ns, &mut passing),
                Route::All => {
                    for to in (0..core.fabric.ports()).filter(|to| *to != from) {
                        self.pass(&mut core, (from, to), frame, now_ns, &mut passing);
                    }
                }
                Route::Nowhere => {}
            }
        }
        self.flush(&mut core, &mut passing);
        self.send_forged(&mut core);
    }

    /// Decides about a frame on a link; if it passes, it joins the others that do.
    fn pass<'a>(
        &self,
        core: &mut Core,
        link: (Port, Port),
        frame: &'a [u8],
        now_ns: u64,
        passing: &mut Passing<'a>,
    ) {
        let decision = core.fabric.admit(link.0, link.1, frame, now_ns);
        trace!(from = link.0, to = link.1, bytes = frame.len(), ?decision, "frame");
        match decision {
            Decision::Forward => {
                if passing.link != link {
                    self.flush(core, passing);
                    passing.link = link;
                }
                passing.frames.push(frame);
            }
            Decision::Hold => {
                // What is due at once must not fall behind the frames that come next.
                self.flush(core, passing);
                self.send_due(core, now_ns);
            }
            Decision::Drop(_) => {}
        }
    }

    fn flush(&self, core: &mut Core, passing: &mut Passing<'_>) {
        self.transmit(core, passing.link, &passing.frames, passing.came_ns);
        passing.frames.clear();
    }

    /// Sends the frames that have waited long enough, and those that were made up.
    fn release(&self) {
        let mut core = lock(&self.core);
        self.send_due(&mut core, self.now_ns());
        self.send_forged(&mut core);
    }

    fn send_due(&self, core: &mut Core, now_ns: u64) {
        while let Some(Due { from, to, frame, came_ns }) = core.fabric.pop_due(now_ns) {
            self.transmit(core, (from, to), &[&frame], came_ns);
        }
    }

    pub(super) fn send_forged(&self, core: &mut Core) {
        while let Some(Due { from, to, frame, .. }) = core.fabric.pop_forged() {
            let taken = |_: &[u8], was_taken| {
                if let Some(sink) = core.sink.as_ref().filter(|_| was_taken) {
                    sink.take((from, to), &frame, self.now_ns());
                }
            };
            self.offer(to, &[&frame], taken);
        }
    }

    /// Sends frames that came at `came_ns`.
    fn transmit(&self, core: &mut Core, (from, to): (Port, Port), frames: &[&[u8]], came_ns: u64) {
        let Core { fabric, sink } = core;
        let mut now_ns = None;
        self.offer(to, frames, |frame, was_taken| {
            let now_ns = *now_ns.get_or_insert_with(|| self.now_ns());
            if !was_taken {
                fabric.lost((from, to), frame, (came_ns, now_ns));
                return;
            }
            fabric.delivered((from, to), frame, (came_ns, now_ns));
            if let Some(sink) = sink {
                sink.take((from, to), frame, now_ns);
            }
        });
    }

    /// Offers frames to the receiver's interface, which is given a few milliseconds to make room,
    /// and tells of each whether it was taken.
    fn offer(&self, to: Port, frames: &[&[u8]], mut tell: impl FnMut(&[u8], bool)) {
        let socket = &self.sockets[to];
        let (mut rest, mut refusals) = (frames, 0);
        while let [first, others @ ..] = rest {
            match socket.send(rest) {
                Ok(taken @ 1..) => {
                    let (taken, left) = rest.split_at(taken.min(rest.len()));
                    taken.iter().for_each(|frame| tell(frame, true));
                    rest = left;
                    continue;
                }
                Err(Errno::EAGAIN) if refusals < ATTEMPTS => {
                    let mut room = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
                    let _ = poll(&mut room, PollTimeout::from(1_u8));
                }
                Err(Errno::ENOBUFS) if refusals < ATTEMPTS => {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(0) | Err(_) => {
                    tell(first, false);
                    rest = others;
                    continue;
                }
            }
            refusals += 1;
        }
    }
}

/// Frames of one batch that pass a link one after the other.
struct Passing<'a> {
    link: (Port, Port),
    frames: Vec<&'a [u8]>,
    came_ns: u64,
}

fn is_ready(waiting: &PollFd<'_>) -> bool {
    waiting.revents().is_some_and(|events| !events.is_empty())
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}
