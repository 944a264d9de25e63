//! Writes down what clients do, in real-time order, as they do it.
//!
//! The index and the time of an event are given out under one lock, so that their order is the
//! order in which the events happened: an invocation is recorded before its request is sent, a
//! completion after its reply came. A thread of its own writes the file, and hands what it has to the
//! kernel whenever nothing waits: what was recorded survives this process. If the disk cannot keep up
//! the queue between them fills and clients wait; an event is never dropped. The same thread looks
//! for violations as events pass, if it is asked to.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use partita_checker::formats::jsonl;
use partita_checker::streaming::StreamingChecker;
use partita_checker::{Event, EventKind, Nanoseconds, Options};

use super::clock::RunClock;
use super::outcomes::OutcomeCounter;

/// Events that may wait for the disk.
const QUEUE: usize = 65_536;

/// Keys that are watched for violations at a time: more than a workload has in use.
const WATCHED_KEYS: usize = 64;

/// What became of operations so far, for the status line.
#[derive(Debug, Default)]
pub struct Tally {
    /// Invoked.
    pub invoked: AtomicU64,
    /// Came back with an answer.
    pub ok: AtomicU64,
    /// Certainly did not happen.
    pub fail: AtomicU64,
    /// May or may not have happened.
    pub info: AtomicU64,
}

impl Tally {
    fn count(&self, kind: EventKind) {
        let counter = match kind {
            EventKind::Invoke => &self.invoked,
            EventKind::Ok => &self.ok,
            EventKind::Fail => &self.fail,
            EventKind::Info => &self.info,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

struct Order {
    next_index: u64,
    queue: SyncSender<Event>,
}

/// Takes events from all clients.
pub struct Recorder {
    clock: RunClock,
    order: Mutex<Order>,
    tally: Tally,
    outcomes: OutcomeCounter,
    signs: Arc<WriterStatus>,
}

/// What the writer tells everybody else.
#[derive(Debug, Default)]
struct WriterStatus {
    broken: AtomicBool,
    violation: AtomicBool,
}

/// The thread that writes; ends when the last [`Recorder`] is gone.
pub struct Writer {
    thread: JoinHandle<std::io::Result<()>>,
}

impl Recorder {
    /// Creates the history file at `path` and starts its writer, which looks for violations if
    /// it is told against what.
    ///
    /// # Errors
    ///
    /// If the file or the thread cannot be made.
    pub fn create(
        path: &Path,
        clock: RunClock,
        watch: Option<Options>,
    ) -> std::io::Result<(Arc<Self>, Writer)> {
        let file = std::fs::File::create(path)?;
        let (queue, events) = sync_channel(QUEUE);
        let signs = Arc::new(WriterStatus::default());
        let theirs = Arc::clone(&signs);
        let thread = std::thread::Builder::new().name("history".to_owned()).spawn(move || {
            let checker = watch.map(|options| StreamingChecker::new(options, WATCHED_KEYS));
            let result = write_all(file, &events, checker, &theirs);
            theirs.broken.store(result.is_err(), Ordering::Release);
            result
        })?;
        let order = Mutex::new(Order { next_index: 0, queue });
        let (tally, outcomes) = (Tally::default(), OutcomeCounter::default());
        let recorder = Self { clock, order, tally, outcomes, signs };
        Ok((Arc::new(recorder), Writer { thread }))
    }

    /// Records the event that `make` builds from its index and time.
    pub fn record(&self, make: impl FnOnce(u64, Nanoseconds) -> Event) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let event = make(order.next_index, self.clock.now());
        order.next_index += 1;
        self.tally.count(event.kind);
        // Fails only when the writer has ended on an error, which `is_broken` and `finish` tell.
        let _ = order.queue.send(event);
    }

    /// What became of operations so far.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The same by kind and error.
    pub const fn outcomes(&self) -> &OutcomeCounter {
        &self.outcomes
    }

    /// Whether the history can no longer be written. The run must end: what clients do from here
    /// on is not recorded.
    pub fn is_broken(&self) -> bool {
        self.signs.broken.load(Ordering::Acquire)
    }

    /// Whether what was recorded so far is not linearizable.
    pub fn has_violation(&self) -> bool {
        self.signs.violation.load(Ordering::Acquire)
    }
}

impl Writer {
    /// Waits until everything recorded is in the file.
    ///
    /// Every clone of the [`Recorder`] must be gone, or this waits for it.
    ///
    /// # Errors
    ///
    /// If the file could not be written; the history is incomplete.
    pub fn finish(self) -> std::io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer panicked")))
    }
}

fn write_all(
    file: std::fs::File,
    events: &Receiver<Event>,
    mut checker: Option<StreamingChecker>,
    signs: &WriterStatus,
) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(256 * 1024, file);
    loop {
        let event = match events.try_recv() {
            Ok(event) => event,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                file.flush()?;
                let Ok(event) = events.recv() else { break };
                event
            }
        };
        jsonl::write_event(&mut file, &event)?;
        let Some(watching) = &mut checker else { continue };
        // An error would be the recorder's own; the check of the whole names it.
        if watching.push(&event, &|| false).is_ok_and(|found| found.is_some()) {
            signs.violation.store(true, Ordering::Release);
            checker = None;
        }
    }
    file.flush()?;
    file.get_ref().sync_all()
}
