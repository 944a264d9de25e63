//! Makes counterexamples: the transactions that contradict each other, and why, in words.

use super::cycles::{self, DependencyEdge};
use super::data::Transactions;
use super::evidence::Evidence;
use super::finding::Finding;
use super::graph::kind;
use super::saturate::Inferred;
use crate::value::Value;
use crate::verdict::{Anomaly, Counterexample, Edge, Relation};
use crate::words::{self, capital};

/// The counterexample of a cycle.
pub(crate) fn cycle(
    evidence: &Evidence<'_, '_>,
    links: &[DependencyEdge],
    inferred: &[Inferred],
) -> Counterexample {
    let reason = |link: &DependencyEdge| {
        let same = |one: &&Inferred| (one.before, one.after) == (link.from, link.to);
        match inferred.iter().find(same).filter(|_| link.kind == kind::COMMIT) {
            Some(one) => evidence.inferred(one),
            None => evidence.reason(*link),
        }
    };
    let reasons: Vec<_> = links.iter().map(reason).collect();
    let mut shown: Vec<u32> = links.iter().map(|link| link.from).collect();
    shown.extend(reasons.iter().filter_map(|reason| reason.shown_by));
    let keys = [&reasons[0].key, &reasons[1 % reasons.len()].key];
    let anomaly = match cycles::name(links) {
        // Both wrote the key after they had read the same version of it.
        name @ (Anomaly::GSingle | Anomaly::WriteSkew)
            if links.len() == 2 && keys[0].is_some() && keys[0] == keys[1] =>
        {
            let is_overwritten = links.iter().all(|link| matches!(link.kind, kind::WW | kind::RW));
            if is_overwritten { Anomaly::LostUpdate } else { name }
        }
        // What is inferred is that a reader missed something of its past.
        _ if links.iter().any(|link| link.kind == kind::COMMIT) => Anomaly::GSingle,
        other => other,
    };
    let call = |one: u32| evidence.call(one);
    let steps: Vec<String> = links
        .iter()
        .zip(&reasons)
        .map(|(link, reason)| {
            format!("{} before {}, since {}", call(link.from), call(link.to), reason.text)
        })
        .collect();
    let sentence = format!("No order is left: {}.", steps.join("; "));
    let mut found = shell(evidence.read, anomaly, sentence, shown);
    let place = |found: &Counterexample, one: u32| {
        let index = evidence.read.index(one);
        found.operations.iter().position(|operation| operation.index == index).unwrap_or(0)
    };
    found.cycle = links
        .iter()
        .map(|link| Edge {
            from: place(&found, link.from),
            to: place(&found, link.to),
            relation: match link.kind {
                kind::WR => Relation::ReadsFrom,
                kind::RW => Relation::OverwrittenBefore,
                kind::WW => Relation::VersionOrder,
                kind::SESSION => Relation::Session,
                kind::REAL_TIME => Relation::RealTime,
                _ => Relation::Inferred,
            },
            given: Vec::new(),
        })
        .collect();
    found
}

/// The counterexample of something that is wrong without a cycle.
pub(crate) fn finding(evidence: &Evidence<'_, '_>, finding: &Finding) -> Counterexample {
    let read = evidence.read;
    let call = |one: u32| evidence.call(one);
    let key = |key: u32| words::brief(read.keys[key as usize]);
    let version = |one: u32| {
        let version = &read.versions[one as usize];
        (words::brief(version.value), key(version.key), version.transaction)
    };
    let (sentence, shown) = match finding {
        Finding::Unwritten { reader, key: of, value } => {
            let (value, key) = (words::brief(value), key(*of));
            (format!("{} saw {value} in {key}, which nobody wrote", call(*reader)), vec![*reader])
        }
        Finding::Aborted { reader, version: seen } => {
            let (value, key, writer) = version(*seen);
            let (saw, wrote) = (call(*reader), call(writer));
            let text =
                format!("{saw} saw {value} in {key}, which {wrote} wrote, and {wrote} failed");
            (text, vec![*reader, writer])
        }
        Finding::Intermediate { reader, version: seen } => {
            let (value, key, writer) = version(*seen);
            let (saw, wrote) = (call(*reader), call(writer));
            let text = format!(
                "{saw} saw {key} at {value}, which {wrote} wrote and replaced before it ended"
            );
            (text, vec![*reader, writer])
        }
        Finding::Duplicate { reader, key: of, value } => {
            let (value, key) = (words::brief(value), key(*of));
            (format!("{} saw {value} twice in {key}", call(*reader)), vec![*reader])
        }
        Finding::Incompatible { readers, key: of } => {
            let [a, b] = readers.map(call);
            let key = key(*of);
            let text = format!(
                "{a} and {b} read lists of {key} of which neither begins with the other, although \
                 it is only appended to"
            );
            (text, readers.to_vec())
        }
        Finding::Internal { transaction, micro } => {
            let of = read.micro[*micro as usize].key;
            let number = *micro as usize - read.span(*transaction).start + 1;
            let text = format!(
                "{}, in its micro-operation {number}, does not see in {} what it wrote itself, or \
                 sees it before it wrote it",
                call(*transaction),
                key(of)
            );
            (text, vec![*transaction])
        }
        Finding::Reordered { transaction, versions } => {
            let [(first, key, _), (second, ..)] = versions.map(version);
            let text = format!(
                "{} wrote {first} to {key} before {second}, yet {second} is there and {first} is \
                 not there before it",
                call(*transaction)
            );
            (text, vec![*transaction])
        }
        Finding::NonRepeatable { transaction, micro } => {
            let of = read.micro[micro[0] as usize].key;
            let text = format!("{} saw two versions of {}", call(*transaction), key(of));
            (text, vec![*transaction])
        }
    };
    shell(read, finding.anomaly(), format!("{}.", capital(&sentence)), shown)
}

/// The counterexample of transactions of which all orders were tried.
pub(crate) fn tried(evidence: &Evidence<'_, '_>, transactions: &[u32]) -> Counterexample {
    let called: Vec<String> = transactions.iter().map(|one| evidence.call(*one)).collect();
    let sentence = format!(
        "{} wrote the same keys, so none of them ran at once with another, yet each order of them \
         has one that missed what another wrote.",
        called.join(" and ")
    );
    shell(evidence.read, Anomaly::LostUpdate, sentence, transactions.to_vec())
}

/// A counterexample that shows those transactions.
fn shell(
    read: &Transactions<'_>,
    anomaly: Anomaly,
    sentence: String,
    mut shown: Vec<u32>,
) -> Counterexample {
    shown.sort_unstable();
    shown.dedup();
    let history = read.history;
    let witness = |one: &u32| {
        history.witness(&history.operations[read.all[*one as usize].operation as usize])
    };
    Counterexample {
        key: Value::Null,
        anomaly,
        sentence,
        stale_for: None,
        stale_by_versions: None,
        operations: shown.iter().map(witness).collect(),
        cycle: Vec::new(),
        impasse: None,
        hint: None,
    }
}
