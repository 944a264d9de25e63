//! Checks an order of transactions against a history, without trusting who made it.
//!
//! Replays the order on plain lists or registers: every read must answer what is there. Reads
//! histories anew and knows nothing of versions, edges or how the order was found.

use rustc_hash::FxHashMap;

use super::confirm::say;
use super::kind::TransactionKind;
use crate::engines::{Cancellation, Stopped};
use crate::history::{History, Operation, Outcome};
use crate::isolation::{IsolationLevel, OrderGuarantee};
use crate::value::Value;
use crate::verdict::Certificate;
use crate::verify_error::VerifyError;

/// What an order is to prove.
#[derive(Clone, Copy)]
pub(crate) struct OrderClaim<'a> {
    pub(crate) kind: TransactionKind,
    pub(crate) level: IsolationLevel,
    /// What every key holds before the first transaction.
    pub(crate) initial: &'a Value,
}

/// Whether an order proves that a history keeps a level. Transactions go by the indexes of their
/// invocations: for serializable levels in the order in which they took effect, for snapshots each
/// twice, for its start and its commit, and for weaker levels in the order of their commits.
pub(crate) fn verify(
    history: &History,
    order: &[u64],
    claim: OrderClaim<'_>,
    cancellation: &Cancellation<'_>,
) -> Result<(), VerifyError> {
    let is_snapshots = matches!(
        claim.level,
        IsolationLevel::SnapshotIsolation | IsolationLevel::StrongSessionSnapshotIsolation
    );
    let listed = listed(history, order, 1 + u8::from(is_snapshots))?;
    let done = match claim.level {
        IsolationLevel::Serializable
        | IsolationLevel::StrongSessionSerializable
        | IsolationLevel::StrictSerializable => serial(history, &listed, claim, cancellation),
        _ if is_snapshots => super::verify_snapshots::verify(history, &listed, claim, cancellation),
        _ => super::verify_commits::verify(history, &listed, claim, cancellation),
    };
    done.map_err(|problem| match problem {
        Problem::Stopped(replayed) => VerifyError::Stopped { replayed, listed: order.len() },
        Problem::Wrong(error) => error,
    })
}

/// Why an order proves nothing.
pub(super) enum Problem {
    /// The time was up, after so many operations.
    Stopped(usize),
    Wrong(VerifyError),
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        Self::Wrong(error)
    }
}

/// Replays transactions one after another.
fn serial(
    history: &History,
    listed: &[&Operation],
    claim: OrderClaim<'_>,
    cancellation: &Cancellation<'_>,
) -> Result<(), Problem> {
    match claim.level.keeps() {
        OrderGuarantee::Nothing => {}
        OrderGuarantee::Sessions => sessions(listed)?,
        OrderGuarantee::RealTime => real_time(listed)?,
    }
    let mut store = Store::new(claim);
    let mut said = Vec::new();
    for (replayed, operation) in listed.iter().enumerate() {
        say(history, operation, &mut said);
        for (name, key, value) in said.drain(..) {
            cancellation.step().map_err(|Stopped| Problem::Stopped(replayed))?;
            if name != 'r' {
                store.write(key, value);
            } else if !store.holds(key, value) {
                return Err(wrong(operation, store.shown(key)).into());
            }
        }
    }
    Ok(())
}

/// The transaction cannot have answered so.
pub(super) fn wrong(operation: &Operation, held: Value) -> VerifyError {
    VerifyError::WrongAnswer {
        index: operation.invoked.position,
        function: operation.action.function().name(),
        model: "store",
        held,
    }
}

/// The operations that are listed: all that completed, none that failed, each so often.
fn listed<'h>(
    history: &'h History,
    order: &[u64],
    often: u8,
) -> Result<Vec<&'h Operation>, VerifyError> {
    let mut seen = vec![0_u8; history.operations.len()];
    let mut listed = Vec::with_capacity(order.len());
    for &index in order {
        let place = history.operations.binary_search_by_key(&index, |one| one.invoked.position);
        let place = place.map_err(|_| VerifyError::UnknownOperation(index))?;
        let operation = &history.operations[place];
        if operation.is_failed() {
            return Err(VerifyError::FailedOperation(index));
        }
        if seen[place] == often {
            return Err(VerifyError::RepeatedOperation(index));
        }
        seen[place] += 1;
        listed.push(operation);
    }
    let mut operations = history.operations.iter().zip(&seen);
    let missing = operations.find(|(one, times)| match **times {
        0 => one.is_ok(),
        times => times < often,
    });
    match missing {
        Some((one, _)) => Err(VerifyError::MissingOperation {
            index: one.invoked.position,
            key: history.key(one.key).clone(),
        }),
        None => Ok(listed),
    }
}

/// Every process's operations stand in its order.
pub(super) fn sessions(listed: &[&Operation]) -> Result<(), VerifyError> {
    let mut last = FxHashMap::default();
    for operation in listed {
        let index = operation.invoked.position;
        match last.insert(operation.process, index) {
            Some(before) if before > index => {
                return Err(VerifyError::AgainstRealTime { index, before });
            }
            _ => {}
        }
    }
    Ok(())
}

/// No operation stands after one that was invoked after it had returned.
fn real_time(listed: &[&Operation]) -> Result<(), VerifyError> {
    let mut latest = 0;
    for operation in listed {
        let index = operation.invoked.position;
        match operation.outcome {
            Outcome::Ok(moment, _) if moment.position < latest => {
                return Err(VerifyError::AgainstRealTime { index, before: latest });
            }
            _ => latest = latest.max(index),
        }
    }
    Ok(())
}

/// Lists or registers.
pub(super) struct Store<'h> {
    claim: OrderClaim<'h>,
    lists: FxHashMap<&'h Value, Vec<&'h Value>>,
    registers: FxHashMap<&'h Value, &'h Value>,
}

impl<'h> Store<'h> {
    pub(super) fn new(claim: OrderClaim<'h>) -> Self {
        Self { claim, lists: FxHashMap::default(), registers: FxHashMap::default() }
    }

    pub(super) fn write(&mut self, key: &'h Value, value: &'h Value) {
        match self.claim.kind {
            TransactionKind::ListAppend => self.lists.entry(key).or_default().push(value),
            TransactionKind::RwRegister => {
                self.registers.insert(key, value);
            }
        }
    }

    pub(super) fn holds(&self, key: &Value, answer: &Value) -> bool {
        match self.claim.kind {
            TransactionKind::ListAppend => {
                let held = self.lists.get(key).map_or(&[][..], |held| held);
                match answer {
                    Value::List(items) => items.iter().eq(held.iter().copied()),
                    _ => answer.is_null() && held.is_empty(),
                }
            }
            TransactionKind::RwRegister => {
                answer == *self.registers.get(key).unwrap_or(&self.claim.initial)
            }
        }
    }

    /// What the key holds, for people.
    pub(super) fn shown(&self, key: &Value) -> Value {
        match self.claim.kind {
            TransactionKind::ListAppend => {
                let held = self.lists.get(key).into_iter().flatten().copied().cloned();
                Value::list(held.collect::<Vec<Value>>())
            }
            TransactionKind::RwRegister => {
                (*self.registers.get(key).unwrap_or(&self.claim.initial)).clone()
            }
        }
    }
}

/// Whether a certificate proves what is claimed: that its level implies the one claimed, and that its
/// order proves it.
pub(crate) fn verify_certificate(
    history: &History,
    certificate: &Certificate,
    claim: OrderClaim<'_>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), VerifyError> {
    let level = certificate.level;
    if !level.is_some_and(|level| level.implies(claim.level)) {
        let found = level.map_or_else(|| "none".to_owned(), |level| level.to_string());
        return Err(VerifyError::OtherLevel { expected: claim.level, found });
    }
    let order = match &*certificate.keys {
        [one] if one.key.is_null() => &one.order,
        [] => return Err(VerifyError::UnknownKey(Value::Null)),
        [one, ..] => return Err(VerifyError::UnknownKey(one.key.clone())),
    };
    let claim = OrderClaim { level: level.unwrap_or(claim.level), ..claim };
    verify(history, order, claim, &Cancellation::new(stop))
}
