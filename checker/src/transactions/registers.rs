//! Registers whose writes are all different: who read from whom, and what that says of the order of
//! versions.
//!
//! What a read saw is certain. Of the order of versions it is certain that the initial one is first
//! and that a transaction which read a version and wrote the key made a later one. In real time a
//! version and its reads are a block: if anything of one block came back before anything of another
//! was invoked, the first version is the older (Gibbons and Korach 1997), and the same holds of the
//! order of processes.

use super::data::{INITIAL, Lists, NONE, OperationKind, TransactionStatus, Transactions};
use super::finding::Finding;
use super::read::ByValue;
use crate::engines::{Cancellation, Stopped};
use crate::value::Value;

/// What was read from whom.
#[derive(Debug)]
pub(crate) struct Registers {
    /// The transactions that took effect.
    pub(crate) effective: Vec<bool>,
    /// Of every key the last versions of those who wrote it, by their transactions.
    pub(crate) writers: Lists,
    /// Of every version who read it from its writer.
    pub(crate) readers: Lists,
    /// Of every key who read its initial version.
    pub(crate) first_readers: Lists,
    /// Of every version the one that its writer had read of the key, or [`INITIAL`], or [`NONE`].
    pub(crate) replaced: Vec<u32>,
}

/// Matches reads with the versions that they saw. Nothing if a read may have seen two, the initial one
/// and one that was written.
pub(crate) fn resolve<'h>(
    read: &mut Transactions<'h>,
    made: &ByValue<'h>,
    initial: &Value,
    findings: &mut Vec<Finding>,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<bool>, Stopped> {
    let mut effective: Vec<bool> =
        read.all.iter().map(|one| one.fate == TransactionStatus::Committed).collect();
    let answers = std::mem::take(&mut read.answers);
    let mut unwritten = vec![None; read.all.len()];
    for (transaction, unwritten) in unwritten.iter_mut().enumerate() {
        for micro in read.span(transaction as u32) {
            cancellation.step()?;
            let one = &mut read.micro[micro];
            if one.act != OperationKind::Read {
                continue;
            }
            let value = answers[one.version as usize];
            one.version = match made.get(&(one.key, value)) {
                Some(version) => *version,
                None if value == initial => INITIAL,
                None => {
                    *unwritten = Some((one.key, value));
                    NONE
                }
            };
        }
    }
    spread(read, &mut effective, cancellation)?;
    for reader in (0..read.all.len() as u32).filter(|one| effective[*one as usize]) {
        if let Some((key, value)) = unwritten[reader as usize] {
            findings.push(Finding::Unwritten { reader, key, value: value.clone() });
        }
        for one in read.of(reader).iter().filter(|one| one.act == OperationKind::Read) {
            let is_aborted = one.version < INITIAL && {
                let writer = read.versions[one.version as usize].transaction;
                read.all[writer as usize].fate == TransactionStatus::Aborted
            };
            if is_aborted {
                findings.push(Finding::Aborted { reader, version: one.version });
            }
        }
    }
    Ok(effective)
}

/// Whoever was read from by one that took effect did so as well, even if its client never heard.
fn spread(
    read: &Transactions<'_>,
    effective: &mut [bool],
    cancellation: &Cancellation<'_>,
) -> Result<(), Stopped> {
    let mut pending: Vec<u32> =
        (0..read.all.len() as u32).filter(|one| effective[*one as usize]).collect();
    while let Some(reader) = pending.pop() {
        for one in read.of(reader) {
            cancellation.step()?;
            if one.act != OperationKind::Read || one.version >= INITIAL {
                continue;
            }
            let writer = read.versions[one.version as usize].transaction;
            let is_unknown = read.all[writer as usize].fate == TransactionStatus::Unknown;
            if is_unknown && !effective[writer as usize] {
                effective[writer as usize] = true;
                pending.push(writer);
            }
        }
    }
    Ok(())
}

impl Registers {
    /// What was read from whom, once only those reads have a version that show what others wrote.
    pub(crate) fn new(
        read: &Transactions<'_>,
        effective: Vec<bool>,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, Stopped> {
        let mut replaced = vec![NONE; read.versions.len()];
        let (mut writers, mut readers, mut first) = (Vec::new(), Vec::new(), Vec::new());
        // Of every key who was here last, with what it read and what it wrote.
        let mut here = vec![(NONE, NONE, NONE); read.keys.len()];
        for transaction in (0..read.all.len() as u32).filter(|one| effective[*one as usize]) {
            for one in read.of(transaction) {
                cancellation.step()?;
                let past = &mut here[one.key as usize];
                if past.0 != transaction {
                    *past = (transaction, NONE, NONE);
                }
                match one.act {
                    OperationKind::Write => past.2 = one.version,
                    OperationKind::Read if one.version == NONE || past.1 == one.version => {}
                    OperationKind::Read => {
                        past.1 = one.version;
                        match one.version {
                            INITIAL => first.push((one.key, transaction)),
                            version => readers.push((version, transaction)),
                        }
                    }
                }
            }
            for one in read.of(transaction).iter().filter(|one| one.act == OperationKind::Write) {
                let (_, seen, last) = here[one.key as usize];
                if last == one.version {
                    replaced[last as usize] = seen;
                    writers.push((one.key, last));
                }
            }
        }
        Ok(Self {
            effective,
            writers: Lists::new(read.keys.len(), writers.iter().copied()),
            readers: Lists::new(read.versions.len(), readers.iter().copied()),
            first_readers: Lists::new(read.keys.len(), first.iter().copied()),
            replaced,
        })
    }
}
