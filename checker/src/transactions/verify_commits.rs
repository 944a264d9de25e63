//! Checks an order of commits for the levels below snapshots: every read shows a version that the
//! order makes, of a transaction that committed before, and misses nothing that its level demands.

use rustc_hash::FxHashMap;

use super::confirm::said;
use super::kind::TransactionKind;
use super::verify::{OrderClaim, Problem, sessions, wrong};
use crate::engines::{Cancellation, Stopped};
use crate::history::{History, Operation};
use crate::isolation::IsolationLevel;
use crate::value::Value;

/// The versions of a key, by the order of commits.
#[derive(Default)]
struct Versions<'h> {
    /// What was written, and by which commit.
    written: Vec<(&'h Value, usize)>,
    /// Of every value, where it stands there.
    places: FxHashMap<&'h Value, usize>,
}

/// A read of what others wrote: the key, and the commit that wrote it, if any did.
type Seen<'h> = (&'h Value, Option<usize>);

struct Commits<'h> {
    listed: &'h [&'h Operation],
    versions: FxHashMap<&'h Value, Versions<'h>>,
    claim: OrderClaim<'h>,
}

/// Whether the commits can have been in this order.
pub(super) fn verify(
    history: &History,
    listed: &[&Operation],
    claim: OrderClaim<'_>,
    cancellation: &Cancellation<'_>,
) -> Result<(), Problem> {
    let mut commits = Commits { listed, versions: FxHashMap::default(), claim };
    for (at, operation) in listed.iter().enumerate() {
        cancellation.step().map_err(|Stopped| Problem::Stopped(at))?;
        for (_, key, value) in said(history, operation).into_iter().filter(|one| one.0 != 'r') {
            let versions = commits.versions.entry(key).or_default();
            versions.places.insert(value, versions.written.len());
            versions.written.push((value, at));
        }
    }
    let mut reads: Vec<Vec<Seen<'_>>> = Vec::with_capacity(listed.len());
    for (at, operation) in listed.iter().enumerate() {
        cancellation.step().map_err(|Stopped| Problem::Stopped(at))?;
        reads.push(commits.reads(history, at, operation)?);
    }
    match claim.level {
        IsolationLevel::MonotonicAtomicView | IsolationLevel::ReadAtomic => {
            commits.atomic(history, &reads, cancellation)
        }
        IsolationLevel::Causal => {
            sessions(listed)?;
            commits.causal(history, &reads, cancellation)
        }
        _ => Ok(()),
    }
}

impl<'h> Commits<'h> {
    /// What the transaction read of others, if each of its answers is a version.
    fn reads(
        &self,
        history: &'h History,
        at: usize,
        operation: &Operation,
    ) -> Result<Vec<Seen<'h>>, Problem> {
        let refuse = || Problem::from(wrong(operation, Value::Null));
        let mut own: Vec<(&Value, &Value)> = Vec::new();
        let mut seen: Vec<Seen<'h>> = Vec::new();
        // How many versions of a key came before its own.
        let mut before: Vec<(&Value, usize)> = Vec::new();
        for (name, key, value) in said(history, operation) {
            if name != 'r' {
                own.push((key, value));
                continue;
            }
            let mine: Vec<&Value> =
                own.iter().filter(|one| one.0 == key).map(|one| one.1).collect();
            let count = match self.claim.kind {
                TransactionKind::ListAppend => self.list(at, key, value, mine.len()),
                TransactionKind::RwRegister => match mine.last() {
                    Some(last) if *last == value => continue,
                    Some(_) => None,
                    None => self.register(at, key, value),
                },
            };
            let count = count.ok_or_else(refuse)?;
            let repeats = !matches!(
                self.claim.level,
                IsolationLevel::ReadCommitted | IsolationLevel::MonotonicAtomicView
            );
            if repeats && before.iter().any(|one| one.0 == key && one.1 != count) {
                return Err(refuse());
            }
            before.push((key, count));
            if mine.is_empty() {
                let last = count.checked_sub(1).map(|last| self.versions[key].written[last].1);
                seen.push((key, last));
            }
        }
        Ok(seen)
    }

    /// How many elements others had appended that a list shows, besides so many own ones.
    fn list(&self, at: usize, key: &Value, answer: &Value, own: usize) -> Option<usize> {
        let nothing = Versions::default();
        let written = &self.versions.get(key).unwrap_or(&nothing).written;
        let items = match answer {
            Value::List(items) => &items[..],
            _ => &[],
        };
        let shown = written.get(..items.len())?;
        if !items.iter().eq(shown.iter().map(|one| one.0)) {
            return None;
        }
        let count = items.len().checked_sub(own)?;
        let is_whole = match own {
            0 => {
                let last = count.checked_sub(1).map(|last| written[last].1);
                last.is_none_or(|last| last < at)
                    && (last.is_none() || written.get(count).map(|next| next.1) != last)
            }
            _ => {
                shown[count..].iter().all(|one| one.1 == at)
                    && count.checked_sub(1).is_none_or(|last| written[last].1 != at)
            }
        };
        is_whole.then_some(count)
    }

    /// How many values a register had had, if the answer is the last of one writer.
    fn register(&self, at: usize, key: &Value, answer: &Value) -> Option<usize> {
        let place = self.versions.get(key).and_then(|one| Some((one, *one.places.get(answer)?)));
        let Some((versions, place)) = place else {
            return (answer == self.claim.initial).then_some(0);
        };
        let writer = versions.written[place].1;
        let is_last = versions.written.get(place + 1).is_none_or(|next| next.1 != writer);
        (writer < at && is_last).then_some(place + 1)
    }

    /// Whether a commit that a read has in its past wrote the key after the one that was read.
    fn atomic(
        &self,
        history: &'h History,
        reads: &[Vec<Seen<'h>>],
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Problem> {
        for (at, seen) in reads.iter().enumerate() {
            let mut newest: FxHashMap<&Value, usize> = FxHashMap::default();
            let all = self.claim.level == IsolationLevel::ReadAtomic;
            let see = |writer: usize, newest: &mut FxHashMap<&'h Value, usize>| {
                let said = said(history, self.listed[writer]);
                cancellation.spend(said.len()).map_err(|Stopped| Problem::Stopped(at))?;
                for (_, key, _) in said.into_iter().filter(|one| one.0 != 'r') {
                    let known = newest.entry(key).or_default();
                    *known = writer.max(*known);
                }
                Ok::<(), Problem>(())
            };
            if all {
                for writer in seen.iter().filter_map(|one| one.1) {
                    see(writer, &mut newest)?;
                }
            }
            for (key, writer) in seen {
                let missed =
                    newest.get(key).is_some_and(|known| writer.is_none_or(|one| one < *known));
                if missed {
                    return Err(wrong(self.listed[at], Value::Null).into());
                }
                if let Some(writer) = writer {
                    see(*writer, &mut newest)?;
                }
            }
        }
        Ok(())
    }

    /// As [`Self::atomic`], where all is in the past that happened before by processes and reads.
    fn causal(
        &self,
        history: &'h History,
        reads: &[Vec<Seen<'h>>],
        cancellation: &Cancellation<'_>,
    ) -> Result<(), Problem> {
        let mut processes: FxHashMap<u32, usize> = FxHashMap::default();
        for operation in self.listed {
            let next = processes.len();
            processes.entry(operation.process.0).or_insert(next);
        }
        // Of each commit, up to which commit it knows each process; of each key, who wrote it.
        let mut known: Vec<Vec<usize>> = Vec::with_capacity(self.listed.len());
        let mut last: Vec<Option<usize>> = vec![None; processes.len()];
        let mut writers: FxHashMap<&Value, Vec<Vec<usize>>> = FxHashMap::default();
        for (at, seen) in reads.iter().enumerate() {
            cancellation.spend(processes.len()).map_err(|Stopped| Problem::Stopped(at))?;
            let process = processes[&self.listed[at].process.0];
            let mut clock = vec![0; processes.len()];
            for before in seen.iter().filter_map(|one| one.1).chain(last[process]) {
                for (mine, other) in clock.iter_mut().zip(&known[before]) {
                    *mine = (*other).max(*mine);
                }
            }
            for (key, read) in seen {
                let of_key = writers.get(key).map_or(&[][..], |of_key| of_key);
                cancellation.spend(of_key.len()).map_err(|Stopped| Problem::Stopped(at))?;
                let newest = of_key.iter().zip(&clock).filter_map(|(commits, until)| {
                    let count = commits.partition_point(|commit| commit < until);
                    count.checked_sub(1).map(|last| commits[last])
                });
                if newest.max().is_some_and(|newest| read.is_none_or(|read| read < newest)) {
                    return Err(wrong(self.listed[at], Value::Null).into());
                }
            }
            for (_, key, _) in said(history, self.listed[at]).into_iter().filter(|it| it.0 != 'r') {
                let of_key = writers.entry(key).or_default();
                of_key.resize(processes.len(), Vec::new());
                of_key[process].push(at);
            }
            clock[process] = at + 1;
            last[process] = Some(at);
            known.push(clock);
        }
        Ok(())
    }
}
