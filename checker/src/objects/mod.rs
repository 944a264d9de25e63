//! Objects beyond registers that Raft stores have: ids, timestamps, locks of other kinds, registers
//! with versions, logs with offsets, and two stores as a whole.
//!
//! Each is a `Model` like the built-in ones, `Thing`, and is checked by the
//! same engines; `docs/models.md` says of each what it means and how a history of it looks. Some
//! histories are prepared first: what clients told in their own forms, such as the owner of
//! a lock by its process, is put where the model looks for it.

mod bank;
mod etcd;
mod guide;
mod kind;
mod lease;
mod prepare;
mod stream;
mod thing;
mod words;

pub use kind::{OBJECTS, ObjectEntry, ObjectKind};
pub use lease::{Lease, Leased, with_expiries};

use crate::check::{Subject, check_model, confirm_model, tighten_model};
use crate::constraints::Explanation;
use crate::engines::EngineChoice;
use crate::engines::wgl::Limits;
use crate::history::History;
use crate::model::BadInitial;
use crate::progress::Progress;
use crate::value::Value;
use crate::verdict::{Analysis, Certificate, CounterexampleOperation, KeyOrder};
use crate::verify::verify_model;
use crate::verify_error::VerifyError;
use thing::Thing;

/// What a check of an object assumes and may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectOptions {
    /// What the object is.
    pub kind: ObjectKind,
    /// What every object begins with: of a semaphore how many permits it has, of a register with
    /// versions its value.
    pub initial: Value,
    /// Bytes of memory that searches may use.
    pub memory: usize,
}

/// Whether `history` is linearizable as an object, with the proof, as [`check`](crate::check()) has it.
pub fn check(
    history: &History,
    options: &ObjectOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> (Analysis, Option<Certificate>) {
    let prepared = prepare::prepare(history, options.kind);
    let checked = Thing::new(options.kind, &options.initial, &prepared.values).map(|model| {
        let model = model.guided_by(&prepared);
        let budget = (options.memory, EngineChoice::Auto);
        check_model(&prepared, &model, options, budget, stop, &Progress::default())
    });
    match checked {
        Ok((mut analysis, certificate)) => {
            words::name(&mut analysis, options.kind);
            show_original(&mut analysis, history);
            (analysis, certificate)
        }
        Err(error) => (Analysis::unknown(vec![error.to_string()]), None),
    }
}

/// Shows operations as clients recorded them, not as they were prepared.
fn show_original(analysis: &mut Analysis, history: &History) {
    let own = analysis.keys.iter_mut().filter_map(|key| key.counterexample.as_deref_mut());
    let all = own.chain(&mut analysis.counterexample);
    for witness in all.flat_map(|found| &mut found.operations) {
        let index = witness.index;
        let place = history.operations.partition_point(|it| it.invoked.position < index);
        if let Some(operation) = history.operations.get(place) {
            let context = witness.context;
            *witness = CounterexampleOperation { context, ..history.witness(operation) };
        }
    }
}

/// Whether `certificate` proves that `history` is linearizable as this object.
///
/// # Errors
///
/// If it does not, and why.
pub fn verify(
    history: &History,
    certificate: &Certificate,
    options: &ObjectOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), VerifyError> {
    let prepared = prepare::prepare(history, options.kind);
    options.verify(&prepared, certificate, stop)
}

impl ObjectOptions {
    fn model<'a>(&self, history: &'a History) -> Result<Thing<'a>, BadInitial> {
        Thing::new(self.kind, &self.initial, &history.values)
    }
}

impl Subject for ObjectOptions {
    fn splits_by_key(&self) -> bool {
        true
    }

    fn confirm(
        &self,
        history: &History,
        limits: &Limits<'_>,
    ) -> Result<Option<Explanation>, String> {
        let model = self.model(history).map_err(|error| error.to_string())?;
        confirm_model(history, &model, limits)
    }

    fn tighten(&self, history: &History, limits: &Limits<'_>) -> Option<Vec<u64>> {
        Some(tighten_model(history, &self.model(history).ok()?, limits))
    }

    fn certificate(&self, keys: Vec<KeyOrder>) -> Certificate {
        Certificate {
            model: self.kind.name().to_owned(),
            initial: self.initial.clone(),
            level: None,
            consistency: None,
            keys,
            saw: Vec::new(),
        }
    }

    fn verify(
        &self,
        history: &History,
        certificate: &Certificate,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), VerifyError> {
        if certificate.model != self.kind.name() {
            let (expected, found) = (self.kind.name().to_owned(), certificate.model.clone());
            return Err(VerifyError::OtherModel { expected, found });
        }
        if certificate.initial != self.initial {
            let (expected, found) = (self.initial.clone(), certificate.initial.clone());
            return Err(VerifyError::OtherInitial { expected, found });
        }
        let model = self.model(history)?;
        verify_model(history, certificate, (&model, &self.initial), stop)
    }
}
