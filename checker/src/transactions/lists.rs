//! The order of versions of lists, which their reads show.
//!
//! A list that is only appended to shows all its versions: those before it are its beginnings. So
//! the longest list that was read of a key has the order of all versions that any read saw; every
//! other must be a beginning of it. What was appended and never seen comes after all that was.

use super::data::{INITIAL, Lists, NONE, OperationKind, TransactionStatus, Transactions};
use super::finding::Finding;
use super::order::Order;
use super::read::ByValue;
use crate::engines::{Cancellation, Stopped};
use crate::value::Value;

/// The longest list that was read of a key.
#[derive(Clone, Copy)]
struct Longest<'h> {
    reader: u32,
    items: &'h [Value],
}

/// Matches reads with the versions that they saw, and finds the versions' order.
pub(crate) fn order<'h>(
    read: &mut Transactions<'h>,
    made: &ByValue<'h>,
    findings: &mut Vec<Finding>,
    cancellation: &Cancellation<'_>,
) -> Result<Order, Stopped> {
    let longest = longest(read, made, findings, cancellation)?;
    let mut position = vec![NONE; read.versions.len()];
    let mut pairs = Vec::new();
    for (key, one) in (0..).zip(&longest) {
        let Some(one) = one else { continue };
        for (place, value) in (0..).zip(one.items) {
            cancellation.step()?;
            let Some(version) = seen(read, made, one.reader, (key, value), findings) else {
                break;
            };
            if position[version as usize] != NONE {
                let value = value.clone();
                findings.push(Finding::Duplicate { reader: one.reader, key, value });
                break;
            }
            position[version as usize] = place;
            pairs.push((key, version));
        }
    }
    let observed = Lists::new(read.keys.len(), pairs.iter().copied());
    if findings.is_empty() {
        match_reads(read, &observed, cancellation)?;
    }
    Ok(Order::new(read, position, observed))
}

fn items(answer: &Value) -> &[Value] {
    match answer {
        Value::List(items) => items,
        _ => &[],
    }
}

/// The longest list of each key that was read.
fn longest<'h>(
    read: &Transactions<'h>,
    made: &ByValue<'h>,
    findings: &mut Vec<Finding>,
    cancellation: &Cancellation<'_>,
) -> Result<Vec<Option<Longest<'h>>>, Stopped> {
    let mut longest: Vec<Option<Longest<'h>>> = vec![None; read.keys.len()];
    for reader in 0..read.all.len() as u32 {
        if read.all[reader as usize].fate != TransactionStatus::Committed {
            continue;
        }
        for one in read.of(reader).iter().filter(|one| one.act == OperationKind::Read) {
            let items = items(read.answers[one.version as usize]);
            cancellation.spend(1 + items.len() / 8)?;
            let Some(known) = &mut longest[one.key as usize] else {
                longest[one.key as usize] = Some(Longest { reader, items });
                continue;
            };
            let common = known.items.len().min(items.len());
            if known.items[..common] != items[..common] {
                incompatible(read, made, one.key, [*known, Longest { reader, items }], findings);
            }
            if items.len() > common {
                *known = Longest { reader, items };
            }
        }
    }
    Ok(longest)
}

/// What is wrong with two lists of a key, neither of which is a beginning of the other.
fn incompatible<'h>(
    read: &Transactions<'h>,
    made: &ByValue<'h>,
    key: u32,
    two: [Longest<'h>; 2],
    findings: &mut Vec<Finding>,
) {
    let known = findings.len();
    for one in two {
        let mut shown = Vec::with_capacity(one.items.len());
        for value in one.items {
            shown.extend(seen(read, made, one.reader, (key, value), findings));
        }
        shown.sort_unstable();
        if let Some(pair) = shown.windows(2).find(|pair| pair[0] == pair[1]) {
            let value = read.versions[pair[0] as usize].value.clone();
            findings.push(Finding::Duplicate { reader: one.reader, key, value });
        }
    }
    if findings.len() == known {
        findings.push(Finding::Incompatible { readers: two.map(|one| one.reader), key });
    }
}

/// The version that an element is, if somebody wrote it who did not fail.
fn seen<'h>(
    read: &Transactions<'h>,
    made: &ByValue<'h>,
    reader: u32,
    (key, value): (u32, &'h Value),
    findings: &mut Vec<Finding>,
) -> Option<u32> {
    let Some(&version) = made.get(&(key, value)) else {
        findings.push(Finding::Unwritten { reader, key, value: value.clone() });
        return None;
    };
    let writer = read.versions[version as usize].transaction;
    if read.all[writer as usize].fate == TransactionStatus::Aborted {
        findings.push(Finding::Aborted { reader, version });
        return None;
    }
    Some(version)
}

/// Puts in the place of every answer the version that it shows.
fn match_reads(
    read: &mut Transactions<'_>,
    observed: &Lists,
    cancellation: &Cancellation<'_>,
) -> Result<(), Stopped> {
    for one in read.micro.iter_mut().filter(|one| one.act == OperationKind::Read) {
        cancellation.step()?;
        let length = items(read.answers[one.version as usize]).len();
        one.version = match length.checked_sub(1) {
            None => INITIAL,
            Some(last) => observed.of(one.key)[last],
        };
    }
    Ok(())
}
