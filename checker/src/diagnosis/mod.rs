//! Names a violation by what the store did, as far as the history tells.
//!
//! An engine stops at the first rule that breaks: which one that is depends on the engine, and on
//! chance. So no engine's word is taken for the name. Given the operations that prove a violation,
//! this looks at *all* operations on the key, the final reads among them, and gives the name that
//! the [definitions](https://docs.rs/partita-checker) of `docs/anomalies.md` give: a read that
//! missed a write is stale if a later read shows the write, or what replaced it; if none does, the
//! write was lost.
//!
//! Names only what is certain. Where the same value was written more than once, a read of it may
//! owe it to any of these writes, and all of them have to be too old before it is called stale.
//! What has no certain name keeps the one that its engine can prove, or none.
//!
//! Runs for violations only, in time linear in the operations of the key.

mod append;
mod containers;
mod counter;
mod lock;
mod register;
mod sets;
mod sightings;
mod transactions;

use crate::engines::{Cancellation, Stopped};
use crate::event::Nanoseconds;
use crate::history::{Action, History, Operation, Outcome, Response};
use crate::model::ModelKind;
use crate::sentences;
use crate::value::{Value, ValueId};
use crate::verdict::{Anomaly, Counterexample};
use crate::words;

/// What is known of one key: all its operations, and how it began.
pub(crate) struct Key<'a> {
    pub history: &'a History,
    /// By invocation. Failed ones are there, too.
    pub operations: Vec<&'a Operation>,
    pub initial: &'a Value,
    pub model: ModelKind,
    /// What ends the work.
    pub cancellation: &'a Cancellation<'a>,
}

/// What a violation is.
pub(crate) struct Diagnosis {
    pub anomaly: Anomaly,
    pub sentence: String,
    /// For what was read too late: how long at least.
    pub stale_for: Option<Nanoseconds>,
    /// For what was read too late: by how many values at least.
    pub versions: Option<u64>,
    /// An operation, by its place among the key's, that shows what the proof does not: that a write
    /// that was missed is there after all.
    pub context: Option<usize>,
}

impl Diagnosis {
    fn new(anomaly: Anomaly, sentence: String) -> Self {
        Self { anomaly, sentence, stale_for: None, versions: None, context: None }
    }
}

/// The certain name of the violation, if it has one.
///
/// # Errors
///
/// [`Stopped`] if the time is up.
pub(crate) fn diagnose(
    key: &Key<'_>,
    found: &Counterexample,
) -> Result<Option<Diagnosis>, Stopped> {
    let proof = key.proof(found);
    match key.model {
        ModelKind::Register => register::diagnose(key, &proof, found.anomaly),
        ModelKind::Append => append::diagnose(key, &proof, found.anomaly),
        ModelKind::Set => sets::diagnose(key, &proof),
        ModelKind::Counter => counter::diagnose(key, &proof),
        ModelKind::Queue | ModelKind::Stack => containers::diagnose(key, &proof, found.anomaly),
        ModelKind::Lock => lock::diagnose(key, &proof),
        ModelKind::MultiRegister => transactions::diagnose(key, &proof, found.anomaly),
        // Their cycles have names.
        ModelKind::ListAppend | ModelKind::RwRegister => Ok(None),
    }
}

/// Fewer operations that prove the same, where the engines' own means find too many: for locks,
/// whose operations all rely on each other. By their places among the key's.
pub(crate) fn fewer(key: &Key<'_>, found: &Counterexample) -> Option<Vec<usize>> {
    match key.model {
        ModelKind::Lock => lock::fewer(key, &key.proof(found)),
        _ => None,
    }
}

impl<'a> Key<'a> {
    /// The places of the operations that prove it, latest invocation first.
    fn proof(&self, found: &Counterexample) -> Vec<usize> {
        let place = |index: u64| {
            self.operations.binary_search_by_key(&index, |it| it.invoked.position).ok()
        };
        let mut places: Vec<usize> = found.proof().filter_map(|it| place(it.index)).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        places
    }

    fn get(&self, place: usize) -> &'a Operation {
        self.operations[place]
    }

    fn value(&self, id: ValueId) -> &'a Value {
        self.history.values.get(id)
    }

    /// "process 3 (via n1)"
    fn who(&self, place: usize) -> String {
        sentences::who(&self.history.witness(self.get(place)))
    }

    fn name(&self) -> &'a Value {
        match self.model {
            ModelKind::MultiRegister => &Value::Null,
            _ => self.history.key(self.get(0).key),
        }
    }

    /// " on key k1", or nothing where there is one object only.
    fn on_key(&self) -> String {
        match self.name() {
            Value::Null => String::new(),
            key => format!(" on key {}", key.in_words()),
        }
    }

    /// "set s1", or "the set" where there is one object only.
    fn object(&self) -> String {
        match self.name() {
            Value::Null => format!("the {}", self.model.name()),
            key => format!("{} {key}", self.model.name()),
        }
    }

    fn instant(&self, time: Nanoseconds) -> String {
        words::instant(time, self.history.has_clock())
    }

    /// "812 ms after", "12 events after"
    fn duration(&self, time: Nanoseconds) -> String {
        words::duration(time, self.history.has_clock())
    }

    /// The first that was to do such a thing and certainly did not.
    fn failed(&self, is_it: impl Fn(Action) -> bool) -> Option<usize> {
        self.operations.iter().position(|operation| {
            let refused = operation.is_failed()
                || matches!(operation.response(), Some(Response::Mismatch(_)));
            refused && is_it(operation.action)
        })
    }

    /// A read that shows what is known not to have been done, or what was not done at all. `saw` is
    /// a clause, `who` did something else than `did`.
    fn read_from_nowhere(
        &self,
        saw: &str,
        failed: Option<usize>,
        did: &str,
        verb: &str,
    ) -> Diagnosis {
        let saw = words::capital(saw);
        let Some(failed) = failed else {
            let sentence = format!("{saw}, which nobody {did}: a value from nowhere.");
            return Diagnosis::new(Anomaly::ValueFromNowhere, sentence);
        };
        let operation = self.get(failed);
        let who = self.who(failed);
        if !operation.is_failed() {
            let sentence = format!(
                "{saw}, which only {who} tried to {verb}, in a compare-and-set that did not match: \
                 a read of what was refused."
            );
            return Diagnosis::new(Anomaly::AbortedRead, sentence);
        }
        let sentence = format!(
            "{saw}, which only {who} tried to {verb}, and that is recorded as failed: either the \
             store did what it had refused, or it only timed out, and its outcome was unknown \
             (info) rather than a failure (fail)."
        );
        Diagnosis::new(Anomaly::AbortedRead, sentence)
    }
}

/// The position of the completion of an operation that is known to have happened; otherwise the end
/// of time.
const fn returned(operation: &Operation) -> u64 {
    match operation.outcome {
        Outcome::Ok(moment, _) => moment.position,
        Outcome::Fail(_) | Outcome::Info(_) => u64::MAX,
    }
}

/// When it came back, for people.
fn ended(operation: &Operation) -> Nanoseconds {
    operation.completion().map_or(operation.invoked.time, |(_, moment)| moment.time)
}
