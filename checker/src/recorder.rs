//! Records what clients do to an object while they do it, and checks it.
//!
//! A [`Recorder`] is shared by the threads or tasks of a test. It gives out the index and the time of
//! an event under one lock: an invocation has its place before the operation begins, a completion
//! after it is over, so the order of events is one that the clients saw. Who performs an operation is
//! found out by itself: each thread is a process as long as it does one thing at a time.
//!
//! RecordedEvent happened to an operation is one of three things, and the difference decides what a verdict
//! is worth. It was *answered*. It *failed*: it certainly never took effect and never will, as when
//! the connection was refused. Or its outcome is *unknown*: it may have taken effect or may do so at
//! any later time, as after a time-out. The last is what a recorder takes it for unless told
//! otherwise: when the thread panics, the future is dropped or an error is not known to be definite.

mod clock;
mod report;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::engines::EngineChoice;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::history::{History, HistoryError};
use crate::spec::{Named, Names, Spec, Streamed};
use crate::streaming::Prefixes;
use crate::value::Value;
use crate::verdict::{Analysis, Certificate};
use crate::verify_error::VerifyError;

pub use report::{CheckError, Report};

/// Keeps what clients of an object asked and were answered, from whatever thread or task.
///
/// A clone records into the same history.
pub struct Recorder<S: Spec> {
    shared: Arc<Shared<S>>,
}

struct Shared<S: Spec> {
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    log: Mutex<Log<S>>,
}

struct Log<S: Spec> {
    entries: Vec<Entry<S>>,
    processes: Processes,
}

struct Entry<S: Spec> {
    process: u32,
    time: Nanoseconds,
    node: Option<Arc<str>>,
    what: RecordedEvent<S>,
}

enum RecordedEvent<S: Spec> {
    Invoked(S::Op),
    /// The other end of the operation that was invoked with this entry.
    Completed(usize, Completion<S::Ret>),
}

enum Completion<R> {
    Answered(R),
    Failed,
    Unknown,
}

/// Who performs operations.
#[derive(Default)]
struct Processes {
    /// How many there were.
    count: u32,
    /// The process that each thread is, and whether it is doing something.
    own: HashMap<ThreadId, (u32, bool)>,
    /// Those that are no thread and do nothing.
    spare: Vec<u32>,
}

impl Processes {
    /// A process for an operation that the calling thread begins.
    fn take(&mut self) -> u32 {
        let count = &mut self.count;
        let mut new = || {
            *count += 1;
            *count - 1
        };
        let (own, busy) = self.own.entry(thread::current().id()).or_insert_with(|| (new(), false));
        if !std::mem::replace(busy, true) {
            return *own;
        }
        // A task that gave way to this one on its thread.
        self.spare.pop().unwrap_or_else(new)
    }

    /// An operation of the process is over. One of unknown outcome may still go on, so its process
    /// does nothing else.
    fn give_back(&mut self, process: u32, is_known: bool) {
        let own = self.own.iter_mut().find(|(_, (own, _))| *own == process);
        match (own, is_known) {
            (Some((_, (_, busy))), true) => *busy = false,
            (Some((&thread, _)), false) => {
                self.own.remove(&thread);
            }
            (None, true) => self.spare.push(process),
            (None, false) => {}
        }
    }
}

/// RecordedEvent a check may use. [`Duration`] is one with the defaults for all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// How long it may take.
    pub time: Duration,
    /// Bytes of memory that all searches may use together; 512 MiB unless said otherwise.
    pub memory: usize,
    /// Which engine is to decide; any, unless said otherwise.
    pub engine: EngineChoice,
}

impl From<Duration> for Budget {
    fn from(time: Duration) -> Self {
        let crate::Options { memory, engine, .. } = crate::Options::default();
        Self { time, memory, engine }
    }
}

impl Budget {
    /// The same with so many bytes of memory.
    #[must_use]
    pub const fn with_memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }

    /// The same with one engine.
    #[must_use]
    pub const fn with_engine(self, engine: EngineChoice) -> Self {
        Self { engine, ..self }
    }

    /// Says true once its time, which begins now, is up.
    fn deadline(self) -> impl Fn() -> bool + Sync {
        let elapsed = clock::stopwatch();
        move || elapsed() >= self.time
    }
}

impl<S: Spec> Default for Recorder<S> {
    /// A recorder with the machine's monotonic clock.
    fn default() -> Self {
        Self::with_clock(clock::stopwatch())
    }
}

impl<S: Spec> Clone for Recorder<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<S: Spec> fmt::Debug for Recorder<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Recorder").field("events", &self.events()).finish_non_exhaustive()
    }
}

impl<S: Spec> Recorder<S> {
    /// A recorder whose events bear the time since its beginning by `clock`, such as that of a
    /// simulation. The clock is read under the recorder's lock; if it goes back, it stands still.
    pub fn with_clock(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let log = Log { entries: Vec::new(), processes: Processes::default() };
        Self { shared: Arc::new(Shared { clock: Box::new(clock), log: Mutex::new(log) }) }
    }

    /// Performs `op` by calling `perform`, and records what it answers. If `perform` panics, the
    /// outcome is unknown.
    pub fn record(&self, op: S::Op, perform: impl FnOnce() -> S::Ret) -> S::Ret {
        let pending = self.invoke(op);
        pending.answered(perform())
    }

    /// Performs `op` by calling `perform`, and records what it answers, or that it failed if
    /// `is_definite` says of the error that the operation never took effect and never will. Of any
    /// other error the outcome is unknown.
    ///
    /// # Errors
    ///
    /// As `perform` returns it.
    pub fn try_record<E>(
        &self,
        op: S::Op,
        perform: impl FnOnce() -> Result<S::Ret, E>,
        is_definite: impl FnOnce(&E) -> bool,
    ) -> Result<S::Ret, E> {
        let pending = self.invoke(op);
        pending.ended(perform(), is_definite)
    }

    /// Performs `op` by awaiting what `perform` returns, and records what it answers. If this future
    /// is dropped before it is ready, the outcome is unknown.
    pub async fn record_async<F: Future<Output = S::Ret>>(
        &self,
        op: S::Op,
        perform: impl FnOnce() -> F,
    ) -> S::Ret {
        let pending = self.invoke(op);
        pending.answered(perform().await)
    }

    /// [`try_record`](Self::try_record) for async code. If this future is dropped before it is
    /// ready, the outcome is unknown.
    ///
    /// # Errors
    ///
    /// As the future of `perform` returns it.
    pub async fn try_record_async<E, F: Future<Output = Result<S::Ret, E>>>(
        &self,
        op: S::Op,
        perform: impl FnOnce() -> F,
        is_definite: impl FnOnce(&E) -> bool,
    ) -> Result<S::Ret, E> {
        let pending = self.invoke(op);
        pending.ended(perform().await, is_definite)
    }

    /// Records that `op` is about to be performed. RecordedEvent became of it is for the result to be told;
    /// if that is dropped instead, the outcome is unknown.
    pub fn invoke(&self, op: S::Op) -> Pending<S> {
        let mut log = self.lock();
        let process = log.processes.take();
        let invoked = log.entries.len();
        let time = self.now(&log);
        log.entries.push(Entry { process, time, node: None, what: RecordedEvent::Invoked(op) });
        drop(log);
        Pending { recorder: self.clone(), process, invoked, node: None, is_over: false }
    }

    /// How many events there are: an invocation and a completion for every operation that is over.
    pub fn events(&self) -> usize {
        self.lock().entries.len()
    }

    /// RecordedEvent was recorded so far, in the form that checks, files and reports have; operations have
    /// the names that [`Debug`](fmt::Debug) gives them. RecordedEvent is not over has an unknown outcome.
    pub fn history(&self, spec: &S) -> History {
        self.named_history(spec).0
    }

    /// Checks what was recorded so far. The budget is a [`Duration`] or a [`Budget`].
    ///
    /// # Errors
    ///
    /// [`CheckError::Violation`] if no order of the operations explains what was answered, with a
    /// counterexample; [`CheckError::Unknown`] if the budget ran out or nothing was answered.
    pub fn check(&self, spec: &S, budget: impl Into<Budget>) -> Result<Report, CheckError> {
        let budget = budget.into();
        self.check_until(spec, budget, &budget.deadline())
    }

    /// [`check`](Self::check) that ends early once `stop` says true, whatever the budget's time; it
    /// is asked again and again, from several threads.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn check_until(
        &self,
        spec: &S,
        budget: impl Into<Budget>,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Report, CheckError> {
        let Budget { memory, engine, .. } = budget.into();
        let (history, names) = self.named_history(spec);
        let named = Named { spec, names: &names };
        let (analysis, certificate) = named.check(&history, (memory, engine), stop);
        Report { model: spec.name(), history, analysis, certificate }.judged()
    }

    /// Whether `certificate` proves that what was recorded so far is linearizable. Looks at nothing
    /// but the order in the certificate and the spec.
    ///
    /// # Errors
    ///
    /// If it does not, and why.
    pub fn verify(&self, spec: &S, certificate: &Certificate) -> Result<(), VerifyError> {
        use crate::check::Subject;
        let (history, names) = self.named_history(spec);
        Named { spec, names: &names }.verify(&history, certificate, &|| false)
    }

    /// Checks what is recorded while it is being recorded, from now on.
    pub fn streaming(&self, spec: S) -> Streaming<S> {
        Streaming {
            recorder: self.clone(),
            spec,
            names: Names::default(),
            prefixes: Prefixes::new(Streaming::<S>::MOST_KEYS),
            taken: 0,
        }
    }

    fn named_history(&self, spec: &S) -> (History, Names<S>) {
        let mut names = Names::default();
        let events = self.events_from(0, spec, &mut names);
        // The lock and the processes see to the rules of a history.
        let history = History::from_events(events).expect("what was recorded is a history");
        (history, names)
    }

    /// The events from that index on.
    fn events_from(&self, first: usize, spec: &S, names: &mut Names<S>) -> Vec<Event> {
        let log = self.lock();
        let new = log.entries.iter().enumerate().skip(first);
        new.map(|(index, entry)| log.event(index, entry, spec, names)).collect()
    }

    fn complete(&self, pending: &mut Pending<S>, completion: Completion<S::Ret>) {
        pending.is_over = true;
        let mut log = self.lock();
        let is_known = !matches!(completion, Completion::Unknown);
        log.processes.give_back(pending.process, is_known);
        let time = self.now(&log);
        let (process, node) = (pending.process, pending.node.take());
        let what = RecordedEvent::Completed(pending.invoked, completion);
        log.entries.push(Entry { process, time, node, what });
    }

    /// The time of the next event.
    fn now(&self, log: &Log<S>) -> Nanoseconds {
        let time = (self.shared.clock)().as_nanos();
        let time = Nanoseconds(u64::try_from(time).unwrap_or(u64::MAX).min((1 << 63) - 1));
        log.entries.last().map_or(time, |last| last.time.max(time))
    }

    /// Locks even after a panic elsewhere, which is an outcome like any other.
    fn lock(&self) -> MutexGuard<'_, Log<S>> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Spec> Log<S> {
    fn event(&self, index: usize, entry: &Entry<S>, spec: &S, names: &mut Names<S>) -> Event {
        let invoked = match entry.what {
            RecordedEvent::Invoked(_) => index,
            RecordedEvent::Completed(invoked, _) => invoked,
        };
        let RecordedEvent::Invoked(op) = &self.entries[invoked].what else {
            unreachable!("an operation begins with its invocation");
        };
        let (kind, value) = match &entry.what {
            RecordedEvent::Invoked(op) => (EventKind::Invoke, names.op(op)),
            RecordedEvent::Completed(_, Completion::Answered(ret)) => {
                (EventKind::Ok, names.ret(ret))
            }
            RecordedEvent::Completed(_, Completion::Failed) => (EventKind::Fail, Value::Null),
            RecordedEvent::Completed(_, Completion::Unknown) => (EventKind::Info, Value::Null),
        };
        Event {
            index: index as u64,
            time: entry.time,
            process: ProcessId(entry.process),
            kind,
            function: Function::Apply,
            key: spec.key(op),
            value,
            swapped: None,
            saw: None,
            node: entry.node.clone(),
            error: None,
            level: None,
            revision: None,
        }
    }
}

/// An operation that is being performed. Its outcome is unknown if this is dropped.
#[must_use = "an operation of which nothing is told has an unknown outcome"]
pub struct Pending<S: Spec> {
    recorder: Recorder<S>,
    process: u32,
    /// The index of its invocation.
    invoked: usize,
    node: Option<Arc<str>>,
    is_over: bool,
}

impl<S: Spec> Pending<S> {
    /// Says by which node it is served, for counterexamples and reports.
    pub fn via(mut self, node: impl Into<Arc<str>>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// Records the answer, and gives it back.
    pub fn answered(mut self, ret: S::Ret) -> S::Ret {
        let recorder = self.recorder.clone();
        recorder.complete(&mut self, Completion::Answered(ret.clone()));
        ret
    }

    /// Records that it certainly never took effect and never will.
    pub fn failed(mut self) {
        let recorder = self.recorder.clone();
        recorder.complete(&mut self, Completion::Failed);
    }

    /// Records that it may have taken effect, or may yet: the same as dropping it.
    pub fn unknown(self) {
        drop(self);
    }

    fn ended<E>(
        self,
        result: Result<S::Ret, E>,
        is_definite: impl FnOnce(&E) -> bool,
    ) -> Result<S::Ret, E> {
        match result {
            Ok(ret) => Ok(self.answered(ret)),
            Err(error) => {
                if is_definite(&error) {
                    self.failed();
                }
                Err(error)
            }
        }
    }
}

impl<S: Spec> Drop for Pending<S> {
    fn drop(&mut self) {
        if !self.is_over {
            let recorder = self.recorder.clone();
            recorder.complete(self, Completion::Unknown);
        }
    }
}

impl<S: Spec> fmt::Debug for Pending<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = out.debug_struct("Pending");
        shown.field("process", &self.process).field("invoked", &self.invoked);
        shown.finish_non_exhaustive()
    }
}

/// Checks what a recorder records while it is being recorded: an early warning. The verdict on the
/// whole is [`Recorder::check`]'s. See [`streaming`](crate::streaming) for when a violation is found.
pub struct Streaming<S: Spec> {
    recorder: Recorder<S>,
    spec: S,
    names: Names<S>,
    prefixes: Prefixes,
    /// How many events were looked at.
    taken: usize,
}

impl<S: Spec> Streaming<S> {
    /// How many keys it keeps the events of.
    const MOST_KEYS: usize = 4_096;

    /// Takes what was recorded since the last time, and returns the analysis of a key if that is a
    /// violation. RecordedEvent the budget does not suffice for is found later or not at all.
    ///
    /// # Errors
    ///
    /// If the events of a key are no history, which no recorder makes.
    pub fn advance(&mut self, budget: impl Into<Budget>) -> Result<Option<Analysis>, HistoryError> {
        let budget = budget.into();
        let stop = budget.deadline();
        let events = self.recorder.events_from(self.taken, &self.spec, &mut self.names);
        for event in events {
            self.taken += 1;
            let named = Named { spec: &self.spec, names: &self.names };
            let judge = Streamed { named, budget: (budget.memory, budget.engine) };
            let found = self.prefixes.push(&event, &judge, &stop)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

impl<S: Spec> fmt::Debug for Streaming<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Streaming").field("taken", &self.taken).finish_non_exhaustive()
    }
}
