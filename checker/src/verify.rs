//! Checks a certificate against a history, without trusting whoever made it.
//!
//! Replays the order of every key on the model and looks at nothing else: that each completed
//! operation stands there once and no failed one does, that the model answers as the clients were
//! answered, and that no operation stands after one that was invoked after it had returned. Linear
//! in the size of the history. Shares nothing with the engines but the model.
//!
//! Takes the initial value from the certificate: whether that is what the store began with, the
//! caller has to know.

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::history::{History, KeyId, Operation, Outcome};
use crate::model::{Call, Model, Register};
use crate::value::{Value, ValueId};
use crate::verdict::{Certificate, KeyOrder};

/// Why a certificate does not prove a history linearizable. Operations go by the index of their
/// invocation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// It speaks of another kind of object.
    #[error("expected the model `register`, found `{0}`")]
    UnknownModel(String),
    /// It speaks of a key that the history does not have.
    #[error("key {0} is not in the history")]
    UnknownKey(Value),
    /// It has two orders for one key.
    #[error("key {0} has two orders")]
    RepeatedKey(Value),
    /// No operation was invoked there.
    #[error("event {0} is not an invocation in the history")]
    UnknownOperation(u64),
    /// The operation works on another key.
    #[error("operation {index} is on key {actual}, not on key {listed}")]
    ForeignOperation {
        /// Which.
        index: u64,
        /// The key in whose order it stands.
        listed: Value,
        /// Its own key.
        actual: Value,
    },
    /// The operation stands there twice.
    #[error("operation {0} is listed twice")]
    RepeatedOperation(u64),
    /// The operation certainly did not happen.
    #[error("operation {0} failed, so it has no place in the order")]
    FailedOperation(u64),
    /// The operation happened, yet stands nowhere.
    #[error("operation {index} on key {key} completed, but is not listed")]
    MissingOperation {
        /// Which.
        index: u64,
        /// Its key.
        key: Value,
    },
    /// The register would have answered otherwise.
    #[error(
        "operation {index}, a {function}, cannot have answered so when the register held {held}"
    )]
    WrongAnswer {
        /// Which.
        index: u64,
        /// What it does.
        function: &'static str,
        /// What the register held at that point of the order.
        held: Value,
    },
    /// The order contradicts real time.
    #[error(
        "operation {index} returned before operation {before} was invoked, but is listed after it"
    )]
    AgainstRealTime {
        /// The operation that stands too late.
        index: u64,
        /// The operation that it must come before.
        before: u64,
    },
}

/// Whether `certificate` proves that `history` is linearizable.
///
/// # Errors
///
/// If it does not: the first operation, in the order listed, that is out of place, and why.
pub fn verify(history: &History, certificate: &Certificate) -> Result<(), VerifyError> {
    if certificate.model != Register::NAME {
        return Err(VerifyError::UnknownModel(certificate.model.clone()));
    }
    let mut verifier = Verifier::new(history, &certificate.initial);
    for order in &certificate.keys {
        verifier.replay(order)?;
    }
    verifier.demand_all()
}

struct Verifier<'a> {
    history: &'a History,
    register: Register,
    initial: &'a Value,
    keys: FxHashMap<&'a Value, KeyId>,
    /// The places of the operations by the index of their invocation.
    places: FxHashMap<u64, usize>,
    seen_keys: Vec<bool>,
    seen: Vec<bool>,
}

impl<'a> Verifier<'a> {
    fn new(history: &'a History, initial: &'a Value) -> Self {
        let places = history.operations.iter().enumerate();
        Self {
            history,
            register: Register::new(initial, &history.values),
            initial,
            keys: history.keys.iter().zip((0..).map(KeyId)).collect(),
            places: places.map(|(place, operation)| (operation.invoked.position, place)).collect(),
            seen_keys: vec![false; history.keys.len()],
            seen: vec![false; history.operations.len()],
        }
    }

    fn replay(&mut self, order: &KeyOrder) -> Result<(), VerifyError> {
        let Some(&key) = self.keys.get(&order.key) else {
            return Err(VerifyError::UnknownKey(order.key.clone()));
        };
        if std::mem::replace(&mut self.seen_keys[key.0 as usize], true) {
            return Err(VerifyError::RepeatedKey(order.key.clone()));
        }
        let mut state = self.register.initial();
        let mut last_invoked = 0;
        for &index in &order.order {
            let operation = self.admit(index, key)?;
            state = self.step(state, operation)?;
            if let Outcome::Ok(returned, _) = operation.outcome
                && returned.position < last_invoked
            {
                return Err(VerifyError::AgainstRealTime { index, before: last_invoked });
            }
            last_invoked = last_invoked.max(index);
        }
        Ok(())
    }

    fn admit(&mut self, index: u64, key: KeyId) -> Result<&'a Operation, VerifyError> {
        let Some(&place) = self.places.get(&index) else {
            return Err(VerifyError::UnknownOperation(index));
        };
        let operation = &self.history.operations[place];
        if operation.key != key {
            return Err(VerifyError::ForeignOperation {
                index,
                listed: self.history.key(key).clone(),
                actual: self.history.key(operation.key).clone(),
            });
        }
        if operation.is_failed() {
            return Err(VerifyError::FailedOperation(index));
        }
        if std::mem::replace(&mut self.seen[place], true) {
            return Err(VerifyError::RepeatedOperation(index));
        }
        Ok(operation)
    }

    fn step(&self, state: ValueId, operation: &Operation) -> Result<ValueId, VerifyError> {
        let call = Call { action: operation.action, response: operation.response() };
        self.register.step(&state, call).ok_or_else(|| VerifyError::WrongAnswer {
            index: operation.invoked.position,
            function: operation.action.function().name(),
            held: if state == self.register.initial() {
                self.initial.clone()
            } else {
                self.history.values.get(state).clone()
            },
        })
    }

    fn demand_all(&self) -> Result<(), VerifyError> {
        let unseen =
            |(place, operation): &(usize, &Operation)| operation.is_ok() && !self.seen[*place];
        match self.history.operations.iter().enumerate().find(unseen) {
            None => Ok(()),
            Some((_, operation)) => Err(VerifyError::MissingOperation {
                index: operation.invoked.position,
                key: self.history.key(operation.key).clone(),
            }),
        }
    }
}
