//! Puts events together into a history, whatever format they come from: what a read of nil and a
//! failed compare-and-set mean is applied here, what is left out is counted here, and events are
//! sorted here if asked.

use std::mem;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Format;
use super::error::ReadProblem;
use super::options::{FailedCas, NilRead, ReadOptions, is_failed_cas, names_mismatch};
use super::reading::{DecidedBy, Decision, Reading, Severity};
use super::tuples::{self, Shapes};
use super::vocabulary::quote_value;
use crate::event::{Event, EventKind, Function, ProcessId, Record};
use crate::history::{BuilderNote, History, HistoryBuilder, HistoryProblem};
use crate::value::Value;

/// What a note says that is made while a record is taken.
const ERROR_NAMED: &str = "failed compare-and-sets that name their error taken as not happened";

/// What a note says of one whose error says why.
const MISMATCH_NAMED: &str =
    "failed compare-and-sets whose error says that another value was there, taken as that answer";

/// What a note says of a read that is invoked with a value.
const ARGUMENT_OF_READ: &str = "values in the invocations of reads, which mean nothing";

/// Why a whole history cannot be put together, and the line to blame.
pub(super) type Blame = (u64, ReadProblem);

/// A history that grows by one event after the other.
#[derive(Debug)]
pub(super) struct Assembly {
    builder: HistoryBuilder,
    nil_read: NilRead,
    nil_by: DecidedBy,
    failed_cas: FailedCas,
    failed_cas_by: DecidedBy,
    /// Failed compare-and-sets of which only the convention says what they mean.
    conventional: u64,
    completed_reads: u64,
    left_out: u64,
    /// What is to be noted of the record taken last.
    pending: Vec<(Severity, &'static str)>,
    /// All events, if they have to be sorted.
    unsorted: Option<Vec<PendingEvent>>,
    tuples: Tuples,
    /// The line of the record that is taken.
    line: u64,
    /// The key of transactions.
    transactions: Option<Value>,
    pub(super) reading: Reading,
}

/// An event that waits until all are there.
#[derive(Debug, Clone)]
struct PendingEvent {
    event: Event,
    line: u64,
    /// Whether a read of nil is known to be an answer.
    known: bool,
}

/// What is done with values that may be `[key value]`.
#[derive(Debug)]
enum Tuples {
    /// They are what they are.
    No,
    /// They are split; the keys of open operations.
    Split(FxHashMap<ProcessId, Value>),
    /// Nobody said; what values look like.
    Unsaid(Shapes<u64>),
}

impl Assembly {
    /// Nothing yet, for events of a file in `format`.
    pub(super) fn new(format: Format, options: &ReadOptions) -> Self {
        let by = |given: bool| if given { DecidedBy::Option } else { DecidedBy::Format };
        Self {
            builder: HistoryBuilder::new(),
            nil_read: options.nil_read.unwrap_or_else(|| format.nil_read()),
            nil_by: by(options.nil_read.is_some()),
            failed_cas: options.failed_cas.unwrap_or_else(|| format.failed_cas()),
            failed_cas_by: by(options.failed_cas.is_some()),
            conventional: 0,
            completed_reads: 0,
            left_out: 0,
            pending: Vec::new(),
            unsorted: options.sort_by_time.then(Vec::new),
            tuples: match options.independent {
                None => Tuples::Unsaid(Shapes::default()),
                Some(true) => Tuples::Split(FxHashMap::default()),
                Some(false) => Tuples::No,
            },
            line: 0,
            transactions: None,
            reading: Reading::of(format),
        }
    }

    /// As [`Self::new`], where a read of nil means `nil_read` unless an option says otherwise.
    pub(super) fn with_nil_read(mut self, nil_read: NilRead) -> Self {
        if self.nil_by != DecidedBy::Option {
            self.nil_read = nil_read;
        }
        self
    }

    /// Takes an event, which is on `line` if that is known already.
    pub(super) fn take(&mut self, record: &Record<'_>, line: u64) -> Result<(), ReadProblem> {
        self.line = line;
        if let Some(unsorted) = &mut self.unsorted {
            unsorted.push(PendingEvent { event: Event::from(*record), line, known: false });
            return Ok(());
        }
        self.push_whole(record)
    }

    /// Says that values are no tuples, or that those have been split.
    pub(super) fn without_tuples(mut self) -> Self {
        self.tuples = Tuples::No;
        self
    }

    fn push_whole(&mut self, record: &Record<'_>) -> Result<(), ReadProblem> {
        let Tuples::Split(open) = &mut self.tuples else { return self.push(record) };
        let mut event = Event::from(*record);
        split(&mut event, open)?;
        self.push(&Record::from(&event))
    }

    /// As [`Self::take`], for a read of nil that is known to be an answer.
    pub(super) fn take_known(&mut self, event: &Event, line: u64) -> Result<(), ReadProblem> {
        if let Some(unsorted) = &mut self.unsorted {
            unsorted.push(PendingEvent { event: event.clone(), line, known: true });
            return Ok(());
        }
        self.push_known(event)
    }

    fn push_known(&mut self, event: &Event) -> Result<(), ReadProblem> {
        let meaning = mem::replace(&mut self.nil_read, NilRead::Value);
        let taken = self.push_whole(&Record::from(event));
        self.nil_read = meaning;
        taken
    }

    /// The key of what `process` is doing; not known where events are to be sorted.
    pub(super) fn open_key(&self, process: ProcessId) -> Option<&crate::value::Value> {
        self.builder.open_key(process)
    }

    /// Notes what there was to say of the record taken last, which was on `line`.
    #[inline]
    pub(super) fn note_pending(&mut self, line: u64) {
        if !self.pending.is_empty() {
            for (severity, text) in mem::take(&mut self.pending) {
                self.reading.note(severity, text, line);
            }
        }
    }

    fn push(&mut self, record: &Record<'_>) -> Result<(), ReadProblem> {
        if let Tuples::Unsaid(shapes) = &mut self.tuples {
            shapes.see(record, self.line);
        }
        if record.kind == EventKind::Invoke && record.function == Function::Txn {
            self.refuse_keys_of_transactions(record)?;
        }
        let mut record = *record;
        let meant = record.kind;
        if record.kind == EventKind::Fail {
            self.interpret_failure(&mut record);
        } else if record.kind == EventKind::Ok && record.function == Function::Read {
            self.completed_reads += 1;
            if record.value.is_null() && self.nil_read == NilRead::Unknown {
                self.left_out += 1;
                record.kind = EventKind::Fail;
            }
        }
        if let Err(mut error) = self.builder.push_record(&record) {
            // It names what the file has.
            if let HistoryProblem::NothingOpen { kind, .. } = &mut error.problem {
                *kind = meant.name();
            }
            return Err(error.into());
        }
        if let Some(remark) = self.builder.remark() {
            self.pending.push((Severity::Warning, text_of(remark)));
        }
        Ok(())
    }

    /// Transactions work on one object whatever their key is, so that they may have one only.
    fn refuse_keys_of_transactions(&mut self, record: &Record<'_>) -> Result<(), ReadProblem> {
        let key = record.key.to_value();
        let first = self.transactions.get_or_insert_with(|| key.clone());
        if *first == key {
            return Ok(());
        }
        let expected = format!(
            "the key {} of the transactions before, since the transactions of each key are a \
             history of their own",
            first.in_words()
        );
        Err(ReadProblem::unexpected(expected, quote_value(&key)))
    }

    /// Makes an answer of a compare-and-set that failed because another value was there.
    fn interpret_failure(&mut self, record: &mut Record<'_>) {
        if !is_failed_cas(record) {
            return;
        }
        let never = (self.failed_cas, self.failed_cas_by) == (FailedCas::Ignore, DecidedBy::Option);
        let found_another = match record.error {
            _ if never => {
                self.conventional += 1;
                false
            }
            Some(error) if names_mismatch(error) => {
                self.pending.push((Severity::Information, MISMATCH_NAMED));
                true
            }
            Some(_) => {
                self.pending.push((Severity::Information, ERROR_NAMED));
                false
            }
            None => {
                self.conventional += 1;
                self.failed_cas == FailedCas::Mismatch
            }
        };
        if found_another {
            (record.kind, record.swapped) = (EventKind::Ok, Some(false));
        }
    }

    /// The history, and how it was read.
    pub(super) fn finish(mut self) -> Result<(History, Reading), Blame> {
        if let Some(unsorted) = self.unsorted.take() {
            self.push_sorted(unsorted)?;
        }
        if let Tuples::Unsaid(shapes) = &self.tuples {
            shapes.refuse()?;
            if let Some((count, line)) = shapes.pairs() {
                self.reading.note_many(Severity::Warning, tuples::PAIRS, count, line);
            }
        }
        self.decide();
        let history = self.builder.finish();
        let keyless = keyless(&history);
        if keyless > 0 {
            let text = "operations without a key, among others that have one";
            self.reading.notes.push(super::Note {
                severity: Severity::Warning,
                text: text.to_owned(),
                count: keyless,
                first_line: 0,
            });
        }
        Ok((history, self.reading))
    }

    fn push_sorted(&mut self, mut events: Vec<PendingEvent>) -> Result<(), Blame> {
        let moved = sort_by_time(&mut events);
        self.reading.decisions.push(Decision {
            subject: "order".to_owned(),
            chosen: "sorted by time".to_owned(),
            by: DecidedBy::Option,
            operations: moved,
        });
        for PendingEvent { event, line, known } in &events {
            self.line = *line;
            let pushed = match known {
                true => self.push_known(event),
                false => self.push_whole(&Record::from(event)),
            };
            pushed.map_err(|problem| (*line, problem))?;
            self.note_pending(*line);
        }
        Ok(())
    }

    /// Says which meanings were used.
    fn decide(&mut self) {
        let reads = self.left_out;
        if let Tuples::Split(_) = self.tuples {
            self.reading.decisions.push(Decision {
                subject: "values".to_owned(),
                chosen: "[key value] tuples".to_owned(),
                by: DecidedBy::Option,
                operations: self.builder.operations() as u64,
            });
        }
        self.reading.completed_reads = self.completed_reads;
        self.reading.reads_left_out = reads;
        if reads > 0 || self.nil_by == DecidedBy::Option {
            let chosen = match self.nil_read {
                NilRead::Value => "an answer: no value".to_owned(),
                NilRead::Unknown => format!(
                    "not known: {reads} of {} completed reads left out",
                    self.completed_reads
                ),
            };
            let subject = "nil read".to_owned();
            self.reading.decisions.push(Decision {
                subject,
                chosen,
                by: self.nil_by,
                operations: reads,
            });
        }
        if self.conventional > 0 || self.failed_cas_by == DecidedBy::Option {
            let chosen = match self.failed_cas {
                FailedCas::Mismatch => "another value was there",
                FailedCas::Ignore => "did not happen",
            };
            self.reading.decisions.push(Decision {
                subject: "failed cas".to_owned(),
                chosen: chosen.to_owned(),
                by: self.failed_cas_by,
                operations: self.conventional,
            });
        }
    }
}

const fn text_of(remark: BuilderNote) -> &'static str {
    match remark {
        BuilderNote::AnswerOfDelete => "answers of deletes, which are not checked",
        BuilderNote::ArgumentOfRead => ARGUMENT_OF_READ,
    }
}

/// Makes a key and a value of a tuple. What failed or may have happened has the key of its invocation.
fn split(event: &mut Event, open: &mut FxHashMap<ProcessId, Value>) -> Result<(), ReadProblem> {
    if matches!(event.kind, EventKind::Fail | EventKind::Info) {
        event.key = open.remove(&event.process).unwrap_or_default();
        event.value = Value::Null;
        return Ok(());
    }
    let (key, value) = match &event.value {
        Value::List(items) if items.len() == 2 => (items[0].clone(), items[1].clone()),
        other => {
            let expected = "a value of [key, value], as `independent` has it";
            return Err(ReadProblem::unexpected(expected, quote_value(other)));
        }
    };
    if event.kind == EventKind::Invoke {
        open.insert(event.process, key.clone());
    }
    (event.key, event.value) = (key, value);
    Ok(())
}

/// How many operations have no key, if others have one.
fn keyless(history: &History) -> u64 {
    let Some(null) = history.keys.iter().position(Value::is_null) else { return 0 };
    if history.keys.len() == 1 {
        return 0;
    }
    let without = |operation: &&crate::history::Operation| operation.key.0 as usize == null;
    history.operations.iter().filter(without).count() as u64
}

/// Sorts events by their times and renumbers them; how many are elsewhere than before.
///
/// The order of events at one time is unknown, so that invocations come first: then the
/// operations overlap. A process's own events stay in their order.
fn sort_by_time(events: &mut [PendingEvent]) -> u64 {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|&place| events[place].event.time);
    let mut begun: FxHashSet<ProcessId> = FxHashSet::default();
    let mut at = 0;
    while at < order.len() {
        let time = events[order[at]].event.time;
        let length = order[at..].iter().take_while(|&&one| events[one].event.time == time).count();
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        begun.clear();
        for &place in &order[at..at + length] {
            let event = &events[place].event;
            let is_first = begun.insert(event.process) && event.kind == EventKind::Invoke;
            if is_first { first.push(place) } else { rest.push(place) }
        }
        first.append(&mut rest);
        order[at..at + length].copy_from_slice(&first);
        at += length;
    }
    let moved = order.iter().enumerate().filter(|(new, old)| new != *old).count();
    let sorted: Vec<PendingEvent> = order.iter().map(|&place| events[place].clone()).collect();
    for (index, (slot, kept)) in (0..).zip(events.iter_mut().zip(sorted)) {
        *slot = kept;
        slot.event.index = index;
    }
    moved as u64
}

/// What is wrong with times that go back, for the reader of the file.
pub(super) fn hint_at_sorting(problem: ReadProblem) -> ReadProblem {
    match problem {
        ReadProblem::History(error)
            if matches!(error.problem, HistoryProblem::TimeGoesBack { .. }) =>
        {
            ReadProblem::OutOfOrder(Box::new(error))
        }
        ReadProblem::History(error)
            if matches!(error.problem, HistoryProblem::IndexNotIncreasing { .. }) =>
        {
            ReadProblem::OutOfOrder(Box::new(error))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
