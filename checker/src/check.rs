//! Checks a whole history: object by object, each with the engine that suits it.
//!
//! Linearizability is local (Herlihy & Wing 1990, §3.3): where every key is an object, keys are
//! checked on their own, in parallel, and the worst verdict is that of the history. An object goes
//! to its model's monitor, which is exact and fast where it applies, and otherwise to
//! searches; [`Options::engine`] can ask for one engine alone.
//!
//! No engine is taken at its word: an order is replayed by the [verifier](mod@crate::verify), a
//! counterexample is searched again on its own. If that fails, or an engine panics, the verdict is
//! unknown, and says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::engines::auto::{self, Found};
use crate::engines::parts::{self, InParts};
use crate::engines::wgl::{self, Cause, Limits, Search};
use crate::engines::{
    Cancellation, Decision, EngineChoice, Monitored, Span, Stopped, frontier, spans_until, witness,
};
use crate::event::Level;
use crate::history::{History, OperationCounts, Outcome};
use crate::initial::Begins;
use crate::levels;
use crate::model::with_model;
use crate::options::Options;
use crate::progress::{Progress, SearchProgress};
use crate::sentences;
use crate::transactions::{self, TransactionKind};
use crate::value::Value;
use crate::verdict::{
    Analysis, Anomaly, Certificate, Counterexample, KeyAnalysis, KeyOrder, NOTHING_TESTED, Verdict,
};
use crate::verify_error::VerifyError;
use crate::words;

/// Whether `history` is linearizable, with the proof: a certificate exactly if it is, and in the
/// analysis a counterexample exactly if it is not.
///
/// Ends early, with verdicts of unknown, once `stop` says true; it is asked again and again, from
/// several threads.
pub fn check(
    history: &History,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
) -> (Analysis, Option<Certificate>) {
    check_watched(history, options, stop, &Progress::default())
}

/// As [`check`], with `progress` to be watched from another thread.
pub fn check_watched(
    history: &History,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
    progress: &Progress,
) -> (Analysis, Option<Certificate>) {
    if let Some(kind) = TransactionKind::of(options.model) {
        let search = |options: &Options| check(history, options, stop);
        return transactions::check(history, kind, options, stop, &search);
    }
    if !history.levels.is_empty() {
        return check_level(history, options, Level::Linearizable, stop);
    }
    let Options { model, initial, .. } = options;
    let checked = with_model!(model, initial, &history.values, model => {
        let (subject, budget) = (BuiltIn::new(options), (options.memory, options.engine));
        check_model(history, &model, &subject, budget, stop, progress)
    });
    checked.unwrap_or_else(|error| (Analysis::unknown(vec![error.to_string()]), None))
}

/// Whether `history` is of `level`, with the proof: a certificate exactly if it is, and in the analysis
/// a counterexample exactly if it is not. Operations that have a level of their own are taken by that
/// where `level` is linearizable or stale; other levels are about all operations.
///
/// Ends early, with a verdict of unknown, once `stop` says true.
pub fn check_level(
    history: &History,
    options: &Options,
    level: Level,
    stop: &(dyn Fn() -> bool + Sync),
) -> (Analysis, Option<Certificate>) {
    let linearizable = |history: &History| check(history, options, stop);
    levels::check(history, options, level, stop, &linearizable)
}

mod begun;
mod subject;
mod violation;

use subject::BuiltIn;
pub(crate) use subject::{Subject, confirm_model, tighten_model};

/// As [`check_watched`], for any model. The budget is the memory and which engine is to decide.
pub(crate) fn check_model<'h, M: Monitored + Begins<'h>>(
    history: &'h History,
    model: &M,
    subject: &dyn Subject,
    (memory, choice): (usize, EngineChoice),
    stop: &(dyn Fn() -> bool + Sync),
    progress: &Progress,
) -> (Analysis, Option<Certificate>) {
    let polls = &AtomicUsize::new(0);
    let stop = &|| {
        polls.fetch_add(1, Ordering::Relaxed);
        stop()
    };
    let end = End::default();
    Checker { history, subject, choice, stop, polls, progress, memory, end, model }.check()
}

/// How often the minimisation of a counterexample goes on after it was told to stop: this share of
/// what was asked before, within bounds, and, for the tables, so often per so many operations. That
/// is a few hundredths of the time.
const GRACE_SHARE: usize = 16;
const GRACE_POLLS: std::ops::RangeInclusive<usize> = 4..=64;
const GRACE_PER_OPERATIONS: (usize, usize) = (8, 1 << 14);

/// What was found for one object.
struct Finding {
    analysis: KeyAnalysis,
    proof: Proof,
}

enum Proof {
    Order(Vec<u64>),
    Counterexample(Box<Counterexample>),
    None,
}

/// One object: its key, or null if all keys are one, and its operations.
struct Object {
    key: Value,
    /// Their places.
    places: Vec<u32>,
    counts: OperationCounts,
}

/// What the history's last event is like.
#[derive(Default, Clone, Copy)]
struct End {
    position: u64,
    /// Whether times are those of a clock.
    has_clock: bool,
}

struct Checker<'a, 'h, M> {
    history: &'h History,
    subject: &'a dyn Subject,
    /// Which engine is to decide.
    choice: EngineChoice,
    stop: &'a (dyn Fn() -> bool + Sync),
    /// How often that was asked.
    polls: &'a AtomicUsize,
    progress: &'a Progress,
    /// Bytes for one search.
    memory: usize,
    end: End,
    model: &'a M,
}

impl<'h, M: Monitored + Begins<'h>> Checker<'_, 'h, M> {
    fn check(mut self) -> (Analysis, Option<Certificate>) {
        let mut objects = self.objects();
        self.memory /= objects.len().clamp(1, rayon::current_num_threads());
        self.progress.begin(objects.iter().map(|object| object.counts.invoked));
        if self.place(&mut objects) == Err(Stopped) {
            let findings = objects.iter().map(|object| self.out_of_time(object, "none"));
            return self.merge(findings.collect());
        }
        let findings: Vec<Finding> = objects
            .par_iter()
            .map_init(
                || self.model.scratch(self.history),
                |scratch, object| {
                    let finding = self.guarded(object, scratch);
                    self.progress.decide(object.counts.invoked);
                    finding
                },
            )
            .collect();
        self.merge(findings)
    }

    /// The objects, each with the numbers of its operations. Those are said of it in any case, so
    /// there is no end to this, but it is one quick pass.
    fn objects(&mut self) -> Vec<Object> {
        let by_key = self.subject.splits_by_key();
        let keys = if by_key { &self.history.keys[..] } else { &[Value::Null] };
        let object = |key: &Value| Object {
            key: key.clone(),
            places: Vec::new(),
            counts: OperationCounts::default(),
        };
        let mut objects: Vec<Object> = keys.iter().map(object).collect();
        for operation in &self.history.operations {
            let number = if by_key { operation.key.0 as usize } else { 0 };
            objects[number].counts.add(operation);
            let last = operation.completion().map_or(operation.invoked, |(_, moment)| moment);
            self.end.position = self.end.position.max(last.position);
            self.end.has_clock = self.end.has_clock || operation.has_clock();
        }
        objects
    }

    /// Says of all objects where their operations are.
    fn place(&self, objects: &mut [Object]) -> Result<(), Stopped> {
        let cancellation = Cancellation::new(self.stop);
        let by_key = self.subject.splits_by_key();
        for object in &mut *objects {
            object.places.reserve_exact(object.counts.invoked);
        }
        for (place, operation) in self.history.operations.iter().enumerate() {
            cancellation.step()?;
            let number = if by_key { operation.key.0 as usize } else { 0 };
            let place = u32::try_from(place).expect("at most 2^32 operations");
            objects[number].places.push(place);
        }
        Ok(())
    }

    fn guarded(&self, object: &Object, scratch: &mut M::Scratch) -> Finding {
        let found = catch_unwind(AssertUnwindSafe(|| self.check_begun(object, scratch)));
        found.unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            self.unknown(object, "none", format!("the checker panicked: {message}"))
        })
    }

    fn check_object(&self, object: &Object, scratch: &mut M::Scratch) -> Finding {
        let cancellation = Cancellation::new(self.stop);
        let begun = cancellation.ask().and_then(|()| {
            let spans = spans_until(self.history, &object.places, self.model, &cancellation)?;
            let unknown = cancellation.count(&spans, |span| !self.model.knows(span.call))?;
            Ok((spans, unknown))
        });
        let Ok((spans, unknown)) = begun else { return self.out_of_time(object, "none") };
        if unknown > 0 {
            let span = spans.iter().find(|span| !self.model.knows(span.call));
            let span = span.expect("one was counted");
            return self.unknown(object, "none", self.without_meaning(span));
        }
        let choice = self.choice;
        if matches!(choice, EngineChoice::Frontier | EngineChoice::Wgl) {
            return self.search(object, &spans, scratch);
        }
        if choice == EngineChoice::Zones && M::ENGINE != choice.name() {
            let model = words::a(self.model.name());
            return self.unknown(object, choice.name(), format!("{model} has no zones"));
        }
        match self.model.monitor(self.history, &spans, scratch, &cancellation) {
            Decision::Valid(order) => self.valid(object, M::ENGINE, &spans, &order),
            Decision::Stopped => self.out_of_time(object, M::ENGINE),
            Decision::Violation(found) => self.violation(object, M::ENGINE, *found),
            Decision::Inexact(_) if choice == EngineChoice::Auto => {
                self.search(object, &spans, scratch)
            }
            Decision::Inexact(obstacle) => {
                let reason = format!("the engine asked for is not exact here: {obstacle}");
                self.unknown(object, M::ENGINE, reason)
            }
        }
    }

    fn search(&self, object: &Object, spans: &[Span], scratch: &mut M::Scratch) -> Finding {
        let limits = self.limits();
        let choice = self.choice;
        let by = |search| Found { search, engine: choice };
        let course = SearchProgress::new(self.progress);
        let watch = Some(&course);
        let decide = |spans: &[Span]| match choice {
            EngineChoice::Frontier => by(frontier::search_on(self.model, spans, &limits, watch)),
            EngineChoice::Wgl => by(wgl::search(self.model, spans, &limits)),
            _ => auto::decide_on(self.model, spans, &limits, watch),
        };
        let InParts { found, violated } = parts::decide(spans, &self.model.parts(spans), decide);
        let Found { search, engine } = found;
        let engine = engine.name();
        match search {
            Search::Valid(order) => self.valid(object, engine, spans, &order),
            Search::Violation { proven_at } => {
                let spans = violated.as_deref().unwrap_or(spans);
                // A violation found in the last moment is told in a few words, too.
                let (grace, polls) = (self.grace(spans.len()), AtomicUsize::new(0));
                let stop = || (self.stop)() && polls.fetch_add(1, Ordering::Relaxed) >= grace;
                let limits = Limits { stop: &stop, ..limits };
                let part = self.model.minimise(spans, proven_at, &limits);
                // A part this small often has each value once, which allows to say what is wrong.
                let cancellation = Cancellation::new(&stop);
                let found = self.model.monitor(self.history, &part, scratch, &cancellation);
                let counterexample = match found {
                    Decision::Violation(found) => *found,
                    _ => self.unnamed(object, &part),
                };
                self.violation(object, engine, counterexample)
            }
            Search::Unknown { cause, ordered, completed, passed } => {
                let mut reason = self.ran_out(cause, ordered, completed);
                reason.extend(self.decided_up_to(object, passed));
                self.unknown(object, engine, reason)
            }
        }
    }

    /// How often a violation among so many spans may go on after it was told to stop.
    fn grace(&self, spans: usize) -> usize {
        let (often, operations) = GRACE_PER_OPERATIONS;
        let share = self.polls.load(Ordering::Relaxed) / GRACE_SHARE;
        share.clamp(*GRACE_POLLS.start(), *GRACE_POLLS.end()) + often * (spans / operations)
    }

    /// The time was up before anything was found about the object.
    fn out_of_time(&self, object: &Object, engine: &str) -> Finding {
        self.unknown(object, engine, self.ran_out(Cause::Stopped, 0, object.counts.ok))
    }

    /// Which event a search along time had come to when it ended, if it had come to any. `passed` is
    /// the last return up to which there is an order.
    fn decided_up_to(&self, object: &Object, passed: u64) -> Option<String> {
        let position = passed.checked_sub(1)?;
        let operations = &self.history.operations;
        let returned = |place: &u32| match operations[*place as usize].outcome {
            Outcome::Ok(moment, _) if moment.position == position => Some(moment),
            _ => None,
        };
        // It was not invoked long before, as a rule.
        let before = |&place: &u32| operations[place as usize].invoked.position < position;
        let until = object.places.partition_point(before);
        let at = object.places[..until].iter().rev().find_map(returned)?;
        let End { position: last, has_clock } = self.end;
        let seconds = at.time.as_seconds();
        let time = if has_clock { format!(" ({seconds:.1} s)") } else { String::new() };
        Some(format!("; decided up to event {position} of {last}{time}"))
    }

    /// What ran out, and how far the search had come.
    fn ran_out(&self, cause: Cause, ordered: usize, completed: usize) -> String {
        let cause = match cause {
            Cause::Stopped => "the time ran out".to_owned(),
            Cause::Memory => format!("the search used up its {} MiB", self.memory >> 20),
            Cause::NoMeaning => "a call has no meaning".to_owned(),
        };
        format!(
            "{cause}; the longest order found holds {ordered} of {completed} completed operations"
        )
    }

    fn limits(&self) -> Limits<'_> {
        Limits { memory: self.memory, stop: self.stop }
    }

    fn without_meaning(&self, span: &Span) -> String {
        let operation = &self.history.operations[span.operation as usize];
        let function = operation.action.function();
        let model = words::a(self.model.name());
        let witness = self.history.witness(operation);
        let asked = crate::model::Call { response: None, ..span.call };
        if self.model.knows(asked) {
            format!("{model} does not answer `{function}` with {}", witness.value.in_words())
        } else {
            match witness.asked() {
                Value::Null => format!("{model} has no `{function}`"),
                argument => format!("{model} has no `{function}` of {}", argument.in_words()),
            }
        }
    }

    fn unnamed(&self, object: &Object, part: &[Span]) -> Counterexample {
        let history = self.history;
        let operations: Vec<_> = part.iter().map(|span| witness(history, span, false)).collect();
        let unexplained =
            || (Anomaly::NotLinearizable, sentences::unexplained(&object.key, &operations));
        let (anomaly, sentence) = self.model.diagnose(history, part).unwrap_or_else(unexplained);
        Counterexample {
            key: object.key.clone(),
            anomaly,
            sentence,
            stale_for: None,
            stale_by_versions: None,
            operations,
            cycle: Vec::new(),
            impasse: None,
            hint: None,
        }
    }

    fn valid(&self, object: &Object, engine: &str, spans: &[Span], order: &[u32]) -> Finding {
        let position = |&span: &u32| {
            let operation = spans[span as usize].operation as usize;
            self.history.operations[operation].invoked.position
        };
        let Ok(order) = Cancellation::new(self.stop).collect(order.iter().map(position)) else {
            let completed = object.counts.ok;
            return self.unknown(
                object,
                engine,
                self.ran_out(Cause::Stopped, completed, completed),
            );
        };
        let proof = Proof::Order(order);
        Finding { analysis: self.analysis(object, engine, Verdict::Valid, None), proof }
    }

    fn unknown(&self, object: &Object, engine: &str, reason: String) -> Finding {
        let analysis = self.analysis(object, engine, Verdict::Unknown, Some(reason));
        Finding { analysis, proof: Proof::None }
    }

    fn analysis(
        &self,
        object: &Object,
        engine: &str,
        verdict: Verdict,
        reason: Option<String>,
    ) -> KeyAnalysis {
        let operations = object.counts.invoked - object.counts.fail;
        KeyAnalysis { reason, ..KeyAnalysis::new(object.key.clone(), verdict, engine, operations) }
    }

    fn merge(&self, findings: Vec<Finding>) -> (Analysis, Option<Certificate>) {
        let mut orders = Vec::with_capacity(findings.len());
        let keys = findings.into_iter().map(|Finding { analysis: mut key, proof }| {
            match proof {
                Proof::Order(order) => {
                    let initial = key.initial.clone();
                    orders.push(KeyOrder { key: key.key.clone(), order, initial });
                }
                Proof::Counterexample(found) => key.counterexample = Some(found),
                Proof::None => {}
            }
            key
        });
        let analysis = Analysis::of_keys(keys.collect());
        self.certify(analysis, orders)
    }

    fn certify(
        &self,
        mut analysis: Analysis,
        keys: Vec<KeyOrder>,
    ) -> (Analysis, Option<Certificate>) {
        if analysis.verdict != Verdict::Valid {
            return (analysis, None);
        }
        let doubt = |mut analysis: Analysis, reason: String| {
            analysis.verdict = Verdict::Unknown;
            analysis.reasons.push(reason);
            (analysis, None)
        };
        if !self.history.operations.iter().any(crate::Operation::is_ok) {
            return doubt(analysis, NOTHING_TESTED.to_owned());
        }
        let certificate = self.subject.certificate(keys);
        if let Err(error) = self.subject.verify(self.history, &certificate, self.stop) {
            for key in &mut analysis.keys {
                key.verdict = Verdict::Unknown;
            }
            let what = match error {
                VerifyError::Stopped { .. } => "the order found was not verified",
                _ => "the verifier rejects the order found",
            };
            return doubt(analysis, format!("{what}: {error}"));
        }
        (analysis, Some(certificate))
    }
}
