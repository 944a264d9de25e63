//! Puts events together into a history, whatever format they come from: what a read of nil and a
//! failed compare-and-set mean is applied here, what is left out is counted here, and events are
//! sorted here if asked.

use std::mem;

use rustc_hash::FxHashSet;

use super::Format;
use super::error::ReadProblem;
use super::options::{FailedCas, NilRead, ReadOptions, is_failed_cas, names_mismatch};
use super::reading::{DecidedBy, Decision, Reading, Severity};
use crate::event::{Event, EventKind, Function, ProcessId, Record};
use crate::history::{History, HistoryBuilder, HistoryProblem, Remark};

/// What a note says that is made while a record is taken.
const ERROR_NAMED: &str = "failed compare-and-sets that name their error taken as not happened";

/// Why a whole history cannot be put together, and the line to blame.
pub(super) type Blame = (u64, ReadProblem);

/// A history that grows by one event after the other.
#[derive(Debug)]
pub(super) struct Assembly {
    builder: HistoryBuilder,
    format: Format,
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
    /// All events with their lines, if they have to be sorted.
    unsorted: Option<Vec<(Event, u64)>>,
    pub(super) reading: Reading,
}

impl Assembly {
    /// Nothing yet, for events of a file in `format`.
    pub(super) fn new(format: Format, options: &ReadOptions) -> Self {
        let by = |given: bool| if given { DecidedBy::Option } else { DecidedBy::Format };
        Self {
            builder: HistoryBuilder::new(),
            format,
            nil_read: options.nil_read.unwrap_or_else(|| format.nil_read()),
            nil_by: by(options.nil_read.is_some()),
            failed_cas: options.failed_cas.unwrap_or_else(|| format.failed_cas()),
            failed_cas_by: by(options.failed_cas.is_some()),
            conventional: 0,
            completed_reads: 0,
            left_out: 0,
            pending: Vec::new(),
            unsorted: options.sort_by_time.then(Vec::new),
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
        if let Some(unsorted) = &mut self.unsorted {
            unsorted.push((Event::from(*record), line));
            return Ok(());
        }
        self.push(record)
    }

    /// As [`Self::take`], for a read of nil that is known to be an answer.
    pub(super) fn take_known(&mut self, event: &Event, line: u64) -> Result<(), ReadProblem> {
        let meaning = mem::replace(&mut self.nil_read, NilRead::Value);
        let taken = self.take(&Record::from(event), line);
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
        let mut record = *record;
        if record.kind == EventKind::Fail {
            self.interpret_failure(&mut record);
        } else if record.kind == EventKind::Ok && record.function == Function::Read {
            self.completed_reads += 1;
            if record.value.is_null() && self.nil_read == NilRead::Unknown {
                self.left_out += 1;
                record.kind = EventKind::Fail;
            }
        }
        let pushed = self.builder.push_record(&record);
        if let Some(remark) = self.builder.remark() {
            self.pending.push((Severity::Warning, text_of(remark)));
        }
        Ok(pushed?)
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
            Some(error) if names_mismatch(error) => true,
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

    fn push_sorted(&mut self, mut events: Vec<(Event, u64)>) -> Result<(), Blame> {
        let moved = sort_by_time(&mut events);
        self.reading.decisions.push(Decision {
            subject: "order".to_owned(),
            chosen: "sorted by time".to_owned(),
            by: DecidedBy::Option,
            operations: moved,
        });
        for (event, line) in &events {
            self.push(&Record::from(event)).map_err(|problem| (*line, problem))?;
            self.note_pending(*line);
        }
        Ok(())
    }

    /// Says which meanings were used.
    fn decide(&mut self) {
        let reads = self.left_out;
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
        let _ = self.format;
    }
}

const fn text_of(remark: Remark) -> &'static str {
    match remark {
        Remark::AnswerOfDelete => "answers of deletes, which are not checked",
        Remark::ArgumentOfRead => "values in the invocations of reads, which mean nothing",
    }
}

/// How many operations have no key, if others have one.
fn keyless(history: &History) -> u64 {
    let Some(null) = history.keys.iter().position(crate::value::Value::is_null) else { return 0 };
    if history.keys.len() == 1 {
        return 0;
    }
    let without = |operation: &&crate::history::Operation| operation.key.0 as usize == null;
    history.operations.iter().filter(without).count() as u64
}

/// Sorts events by their times and numbers them anew; how many are elsewhere than before.
///
/// Of events at one time nobody knows which was first, so that invocations come first: then the
/// operations overlap. A process's own events stay in their order.
fn sort_by_time(events: &mut [(Event, u64)]) -> u64 {
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|&place| events[place].0.time);
    let mut begun: FxHashSet<ProcessId> = FxHashSet::default();
    let mut at = 0;
    while at < order.len() {
        let time = events[order[at]].0.time;
        let length = order[at..].iter().take_while(|&&one| events[one].0.time == time).count();
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        begun.clear();
        for &place in &order[at..at + length] {
            let event = &events[place].0;
            let is_first = begun.insert(event.process) && event.kind == EventKind::Invoke;
            if is_first { first.push(place) } else { rest.push(place) }
        }
        first.append(&mut rest);
        order[at..at + length].copy_from_slice(&first);
        at += length;
    }
    let moved = order.iter().enumerate().filter(|(new, old)| new != *old).count();
    let sorted: Vec<(Event, u64)> = order.iter().map(|&place| events[place].clone()).collect();
    for (index, (slot, (event, line))) in (0..).zip(events.iter_mut().zip(sorted)) {
        *slot = (Event { index, ..event }, line);
    }
    moved as u64
}

/// What is wrong with times that go back, for the reader of the file.
pub(super) fn hint_at_sorting(problem: ReadProblem) -> ReadProblem {
    match problem {
        ReadProblem::History(error)
            if matches!(error.problem, HistoryProblem::TimeGoesBack { .. }) =>
        {
            ReadProblem::OutOfOrder(error)
        }
        ReadProblem::History(error)
            if matches!(error.problem, HistoryProblem::IndexNotIncreasing { .. }) =>
        {
            ReadProblem::OutOfOrder(error)
        }
        other => other,
    }
}
