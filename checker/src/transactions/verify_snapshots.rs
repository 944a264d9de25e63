//! Checks an order of starts and commits: every transaction reads what is committed when it starts,
//! besides its own writes, and none commits that wrote a key which another wrote since.

use rustc_hash::FxHashMap;

use super::confirm::said;
use super::kind::TransactionKind;
use super::verify::{OrderClaim, Problem, Store, sessions, wrong};
use crate::engines::{Cancellation, Stopped};
use crate::history::{History, Operation};
use crate::isolation::OrderGuarantee;
use crate::value::Value;
use crate::verify_error::VerifyError;

/// Replays starts and commits, which are the first and the second mention of each operation.
pub(super) fn verify(
    history: &History,
    listed: &[&Operation],
    claim: OrderClaim<'_>,
    cancellation: &Cancellation<'_>,
) -> Result<(), Problem> {
    let mut store = Store::new(claim);
    let mut started: FxHashMap<u64, usize> = FxHashMap::default();
    // When each key was written last.
    let mut written: FxHashMap<&Value, (usize, u64)> = FxHashMap::default();
    let mut last_commit = FxHashMap::default();
    let mut commits = Vec::with_capacity(listed.len() / 2);
    for (at, operation) in listed.iter().enumerate() {
        let index = operation.invoked.position;
        cancellation.step().map_err(|Stopped| Problem::Stopped(at))?;
        let Some(start) = started.remove(&index) else {
            started.insert(index, at);
            read(history, operation, &store, claim.kind)?;
            continue;
        };
        if claim.level.keeps() == OrderGuarantee::Sessions
            && let Some((commit, before)) = last_commit.insert(operation.process, (at, index))
            && commit > start
        {
            return Err(VerifyError::AgainstRealTime { index: before, before: index }.into());
        }
        let said = said(history, operation);
        for (_, key, _) in said.iter().filter(|one| one.0 != 'r') {
            match written.get(key) {
                Some((when, who)) if *when > start && *who != index => {
                    return Err(wrong(operation, store.shown(key)).into());
                }
                _ => written.insert(key, (at, index)),
            };
        }
        for (_, key, value) in said.into_iter().filter(|one| one.0 != 'r') {
            store.write(key, value);
        }
        commits.push(*operation);
    }
    if claim.level.keeps() == OrderGuarantee::Sessions {
        sessions(&commits)?;
    }
    Ok(())
}

/// Whether a transaction that starts now answers as it did.
fn read(
    history: &History,
    operation: &Operation,
    store: &Store<'_>,
    kind: TransactionKind,
) -> Result<(), Problem> {
    let mut own: Vec<(&Value, &Value)> = Vec::new();
    for (name, key, value) in said(history, operation) {
        if name != 'r' {
            own.push((key, value));
            continue;
        }
        let mine: Vec<&Value> = own.iter().filter(|one| one.0 == key).map(|one| one.1).collect();
        let is_right = match (kind, mine.last()) {
            (_, None) => store.holds(key, value),
            (TransactionKind::RwRegister, Some(last)) => *last == value,
            (TransactionKind::ListAppend, Some(_)) => match value {
                Value::List(items) if items.len() >= mine.len() => {
                    let (others, ends) = items.split_at(items.len() - mine.len());
                    ends.iter().eq(mine.iter().copied())
                        && store.holds(key, &Value::list(others.to_vec()))
                }
                _ => false,
            },
        };
        if !is_right {
            return Err(wrong(operation, store.shown(key)).into());
        }
    }
    Ok(())
}
