//! Checks a whole history: key by key, each with the engine that suits it.
//!
//! Linearizability is local (Herlihy & Wing 1990, §3.3): keys are checked on their own, in
//! parallel, and the worst verdict is that of the history. A key goes to
//! [zones], which are exact and fast, if every value was written once, and
//! otherwise to the [search](crate::engines::wgl).
//!
//! No engine is taken at its word: an order is replayed by the [verifier](mod@crate::verify), a
//! counterexample is searched again on its own. If that fails, or an engine panics, the verdict is
//! unknown, and says so.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::prelude::*;

use crate::engines::wgl::{self, Cause, Limits, Search};
use crate::engines::{Span, auto, spans, witness, zones};
use crate::history::{History, KeyId};
use crate::model::{Model, Register};
use crate::value::Value;
use crate::verdict::{
    Analysis, Anomaly, Certificate, Counterexample, KeyAnalysis, KeyOrder, Verdict,
};
use crate::verify::verify;
use crate::words;

/// What a check assumes and may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The value of every key before the first operation.
    pub initial: Value,
    /// Bytes of memory that each search may use; as many searches run at once as there are threads.
    pub memory: usize,
}

impl Default for Options {
    /// Keys begin without a value; a search may use 512 MiB.
    fn default() -> Self {
        Self { initial: Value::Null, memory: 512 << 20 }
    }
}

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
    let checker = Checker {
        history,
        options,
        register: Register::new(&options.initial, &history.values),
        stop,
    };
    let findings: Vec<Finding> = history
        .operations_by_key()
        .par_iter()
        .enumerate()
        .map_init(
            || zones::Slots::new(history.values.len()),
            |slots, (key, places)| checker.guarded(KeyId(key as u32), places, slots),
        )
        .collect();
    checker.merge(findings)
}

/// What was found for one key.
struct Finding {
    analysis: KeyAnalysis,
    proof: Proof,
}

enum Proof {
    Order(Vec<u64>),
    Counterexample(Box<Counterexample>),
    None,
}

struct Checker<'a> {
    history: &'a History,
    options: &'a Options,
    register: Register,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Checker<'_> {
    fn guarded(&self, key: KeyId, places: &[u32], slots: &mut zones::Slots) -> Finding {
        let found = catch_unwind(AssertUnwindSafe(|| self.check_key(key, places, slots)));
        found.unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            self.unknown(key, places, "none", format!("the checker panicked: {message}"))
        })
    }

    fn check_key(&self, key: KeyId, places: &[u32], slots: &mut zones::Slots) -> Finding {
        let spans = spans(self.history, places, &self.register);
        match zones::decide(&spans, self.register, slots) {
            zones::Decision::Valid(order) => self.valid(key, places, "zones", &spans, &order),
            zones::Decision::Violation(evidence) => {
                let counterexample = zones::tell(self.history, &spans, &evidence);
                self.violation(key, places, "zones", counterexample)
            }
            zones::Decision::Inexact(_) => self.search(key, places, &spans, slots),
        }
    }

    fn search(
        &self,
        key: KeyId,
        places: &[u32],
        spans: &[Span],
        slots: &mut zones::Slots,
    ) -> Finding {
        let limits = self.limits();
        match auto::search(&self.register, spans, &limits) {
            Search::Valid(order) => self.valid(key, places, "wgl", spans, &order),
            Search::Violation { proven_at } => {
                let part = wgl::minimise(&self.register, spans, proven_at, &limits);
                // A part this small often has each value once, which allows to say what is wrong.
                let counterexample = match zones::decide(&part, self.register, slots) {
                    zones::Decision::Violation(evidence) => {
                        zones::tell(self.history, &part, &evidence)
                    }
                    _ => self.unnamed(key, &part),
                };
                self.violation(key, places, "wgl", counterexample)
            }
            Search::Unknown { cause, ordered, completed, .. } => {
                let cause = match cause {
                    Cause::Stopped => "the time ran out".to_owned(),
                    Cause::Memory => {
                        format!("the search used up its {} MiB", self.options.memory >> 20)
                    }
                    Cause::NoMeaning => self.without_meaning(spans),
                };
                let reason = format!(
                    "{cause}; the longest order found holds {ordered} of {completed} completed \
                     operations"
                );
                self.unknown(key, places, "wgl", reason)
            }
        }
    }

    fn limits(&self) -> Limits<'_> {
        Limits { memory: self.options.memory, stop: self.stop }
    }

    fn without_meaning(&self, spans: &[Span]) -> String {
        let function = spans
            .iter()
            .find(|span| !self.register.knows(span.call))
            .map_or("such a call", |span| span.call.action.function().name());
        format!("a register has no `{function}`")
    }

    fn unnamed(&self, key: KeyId, part: &[Span]) -> Counterexample {
        let history = self.history;
        let operations: Vec<_> = part.iter().map(|span| witness(history, span, false)).collect();
        Counterexample {
            key: history.key(key).clone(),
            anomaly: Anomaly::NotLinearizable,
            sentence: words::unexplained(history.key(key), &operations),
            stale_for: None,
            operations,
            cycle: Vec::new(),
        }
    }

    fn valid(
        &self,
        key: KeyId,
        places: &[u32],
        engine: &str,
        spans: &[Span],
        order: &[u32],
    ) -> Finding {
        let position = |&span: &u32| {
            let operation = spans[span as usize].operation as usize;
            self.history.operations[operation].invoked.position
        };
        let proof = Proof::Order(order.iter().map(position).collect());
        Finding { analysis: self.analysis(key, places, engine, Verdict::Valid, None), proof }
    }

    fn violation(
        &self,
        key: KeyId,
        places: &[u32],
        engine: &str,
        counterexample: Counterexample,
    ) -> Finding {
        if let Err(reason) = self.confirm(&counterexample) {
            return self.unknown(key, places, engine, reason);
        }
        let analysis = self.analysis(key, places, engine, Verdict::Violation, None);
        Finding { analysis, proof: Proof::Counterexample(Box::new(counterexample)) }
    }

    /// Searches the counterexample on its own.
    fn confirm(&self, counterexample: &Counterexample) -> Result<(), String> {
        let history = History::from_events(counterexample.events())
            .map_err(|error| format!("the counterexample is no history: {error}"))?;
        let register = Register::new(&self.options.initial, &history.values);
        let places: Vec<u32> = (0..history.operations.len() as u32).collect();
        let spans = spans(&history, &places, &register);
        match wgl::search(&register, &spans, &self.limits()) {
            Search::Valid(_) => Err("the engines disagree about the counterexample".to_owned()),
            Search::Violation { .. } | Search::Unknown { .. } => Ok(()),
        }
    }

    fn unknown(&self, key: KeyId, places: &[u32], engine: &str, reason: String) -> Finding {
        let analysis = self.analysis(key, places, engine, Verdict::Unknown, Some(reason));
        Finding { analysis, proof: Proof::None }
    }

    fn analysis(
        &self,
        key: KeyId,
        places: &[u32],
        engine: &str,
        verdict: Verdict,
        reason: Option<String>,
    ) -> KeyAnalysis {
        let failed = |&&place: &&u32| self.history.operations[place as usize].is_failed();
        KeyAnalysis {
            key: self.history.key(key).clone(),
            verdict,
            engine: engine.to_owned(),
            operations: places.len() - places.iter().filter(failed).count(),
            reason,
        }
    }

    fn merge(&self, findings: Vec<Finding>) -> (Analysis, Option<Certificate>) {
        let mut analysis = Analysis {
            verdict: Verdict::Valid,
            keys: Vec::with_capacity(findings.len()),
            counterexample: None,
            reasons: Vec::new(),
        };
        let mut orders = Vec::with_capacity(findings.len());
        for Finding { analysis: key, proof } in findings {
            analysis.verdict = analysis.verdict.max(key.verdict);
            if let Some(reason) = &key.reason {
                analysis.reasons.push(format!("{}: {reason}", words::key(&key.key)));
            }
            match proof {
                Proof::Order(order) => orders.push(KeyOrder { key: key.key.clone(), order }),
                Proof::Counterexample(found) => {
                    let best = &mut analysis.counterexample;
                    if best.as_ref().is_none_or(|best| found.proven_at() < best.proven_at()) {
                        *best = Some(*found);
                    }
                }
                Proof::None => {}
            }
            analysis.keys.push(key);
        }
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
            return doubt(analysis, "no operation completed: nothing was tested".to_owned());
        }
        let initial = self.options.initial.clone();
        let certificate = Certificate { model: Register::NAME.to_owned(), initial, keys };
        if let Err(error) = verify(self.history, &certificate) {
            for key in &mut analysis.keys {
                key.verdict = Verdict::Unknown;
            }
            return doubt(analysis, format!("the verifier rejects the order found: {error}"));
        }
        (analysis, Some(certificate))
    }
}
