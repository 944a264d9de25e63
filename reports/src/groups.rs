//! Sums up the violations of all keys: how many there are, of which anomalies, under which faults.
//!
//! A key counts under a fault if the fault was in force from the invocation to the return of the
//! operation that completes the key's proof, and did something measurable. A read that misses a
//! write long after the fault that lost it counts under none: nothing is claimed that the records do
//! not hold.

use std::collections::BTreeSet;

use partita_checker::{
    Analysis, Anomaly, Counterexample, CounterexampleOperation, EventKind, KeyAnalysis,
    Nanoseconds, Value, Verdict,
};
use partita_nemesis::FaultRecord;
use serde::Serialize;

use crate::text::number::{count, counted};

/// The violations of a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Groups {
    /// How many keys were checked.
    pub keys: u64,
    /// How many of them hold a violation.
    pub violating: u64,
    /// The violating keys by what is wrong with them and the faults meanwhile, the largest group
    /// first.
    pub groups: Vec<Group>,
}

/// Keys with the same anomaly under the same faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What is wrong.
    pub anomaly: Anomaly,
    /// What was done to the cluster meanwhile: `n3 was cut off`; nothing if no fault was in force.
    pub faults: Vec<String>,
    /// The keys, in order of first appearance.
    pub keys: Vec<Value>,
    /// The place among all keys of the one whose proof is complete first, to show.
    #[serde(skip)]
    shown: usize,
}

impl Groups {
    /// The violations in `analysis`, `faults` being what was done meanwhile. Nothing if there are
    /// none.
    pub fn of(analysis: &Analysis, faults: &[FaultRecord]) -> Option<Self> {
        let mut groups: Vec<Group> = Vec::new();
        for (place, key) in analysis.keys.iter().enumerate() {
            if key.verdict != Verdict::Violation {
                continue;
            }
            let found = found(analysis, key);
            let anomaly = found.map_or(Anomaly::NotLinearizable, |found| found.anomaly);
            let faults: Vec<String> = found
                .map_or_else(BTreeSet::new, |found| in_force(found, faults))
                .into_iter()
                .collect();
            match groups.iter_mut().find(|it| it.anomaly == anomaly && it.faults == faults) {
                Some(group) => {
                    group.keys.push(key.key.clone());
                    let proven = |place: usize| {
                        let found = self::found(analysis, &analysis.keys[place]);
                        found.map_or(u64::MAX, Counterexample::proven_at)
                    };
                    if proven(place) < proven(group.shown) {
                        group.shown = place;
                    }
                }
                None => {
                    let keys = vec![key.key.clone()];
                    groups.push(Group { anomaly, faults, keys, shown: place });
                }
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.keys.len()));
        let violating: usize = groups.iter().map(|group| group.keys.len()).sum();
        let keys = analysis.keys.len() as u64;
        (violating > 0).then_some(Self { keys, violating: violating as u64, groups })
    }

    /// All of it in a line: `6 of 26 keys: 5 stale read, 1 lost write; all while n3 was cut off`.
    pub fn in_words(&self) -> String {
        let mut words = match (self.violating, self.keys) {
            (1, 1) => "1 key".to_owned(),
            (violating, keys) => format!("{} of {}", count(violating), counted(keys, "key")),
        };
        words.push_str(&format!(": {}", self.anomalies()));
        if let Some(when) = self.when() {
            words.push_str(&format!("; {when}"));
        }
        words
    }

    /// `5 stale read, 1 lost write`; without a number if all are of one.
    fn anomalies(&self) -> String {
        let mut anomalies: Vec<(Anomaly, u64)> = Vec::new();
        for group in &self.groups {
            let keys = group.keys.len() as u64;
            match anomalies.iter_mut().find(|(anomaly, _)| *anomaly == group.anomaly) {
                Some((_, number)) => *number += keys,
                None => anomalies.push((group.anomaly, keys)),
            }
        }
        anomalies.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        match anomalies.as_slice() {
            [(anomaly, _)] => anomaly.title().to_owned(),
            several => {
                let part = |(anomaly, number): &(Anomaly, u64)| {
                    format!("{} {}", count(*number), anomaly.title())
                };
                several.iter().map(part).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Under which faults: `all while n3 was cut off`, or how many under which.
    fn when(&self) -> Option<String> {
        let all: BTreeSet<&String> = self.groups.iter().flat_map(|group| &group.faults).collect();
        let holds_for_each =
            |fault: &&&String| self.groups.iter().all(|group| group.faults.contains(fault));
        let common: Vec<&str> =
            all.iter().filter(holds_for_each).map(|fault| fault.as_str()).collect();
        if !common.is_empty() {
            let all = if self.violating == 1 { "" } else { "all " };
            return Some(format!("{all}while {}", common.join(" and ")));
        }
        let number = |is_it: &dyn Fn(&Group) -> bool| {
            let groups = self.groups.iter().filter(|group| is_it(group));
            groups.map(|group| group.keys.len() as u64).sum::<u64>()
        };
        let mut parts: Vec<(u64, String)> = all
            .iter()
            .map(|fault| (number(&|group| group.faults.contains(fault)), format!("while {fault}")))
            .collect();
        parts.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let calm = number(&|group| group.faults.is_empty());
        if !parts.is_empty() && calm > 0 {
            parts.push((calm, "while no fault was in force".to_owned()));
        }
        let parts: Vec<String> =
            parts.iter().map(|(number, what)| format!("{} {what}", count(*number))).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// A counterexample of each group but the one that holds the counterexample shown first.
    pub fn others<'a>(
        &'a self,
        analysis: &'a Analysis,
    ) -> impl Iterator<Item = (&'a Group, &'a Counterexample)> {
        let first = analysis.counterexample.as_ref().map(|found| &found.key);
        let holds_first = move |group: &&Group| !group.keys.iter().any(|key| Some(key) == first);
        let example = |group: &'a Group| Some((group, group.example(analysis)?));
        self.groups.iter().filter(holds_first).filter_map(example)
    }
}

impl Group {
    /// What proves it for the key to show.
    pub fn example<'a>(&self, analysis: &'a Analysis) -> Option<&'a Counterexample> {
        analysis.keys.get(self.shown).and_then(|key| found(analysis, key))
    }

    /// The group in a few words: `lost write, 2 keys, while n3 was cut off`.
    pub fn in_words(&self) -> String {
        let keys = counted(self.keys.len() as u64, "key");
        let when = match self.faults.is_empty() {
            true => String::new(),
            false => format!(", while {}", self.faults.join(" and ")),
        };
        format!("{}, {keys}{when}", self.anomaly.title())
    }
}

/// What proves the violation of a key.
fn found<'a>(analysis: &'a Analysis, key: &'a KeyAnalysis) -> Option<&'a Counterexample> {
    let shown = analysis.counterexample.as_ref().filter(|found| found.key == key.key);
    key.counterexample.as_deref().or(shown)
}

/// What was done to the cluster while the operation ran that completes the proof.
fn in_force(found: &Counterexample, faults: &[FaultRecord]) -> BTreeSet<String> {
    let end = |witness: &&CounterexampleOperation| match witness.outcome {
        EventKind::Ok => witness.completed_index.unwrap_or(witness.index),
        _ => witness.index,
    };
    let Some(last) = found.proof().max_by_key(end).filter(|last| last.has_clock()) else {
        return BTreeSet::new();
    };
    let Nanoseconds(from) = last.invoked;
    let Nanoseconds(until) = last.completed.unwrap_or(last.invoked);
    let covers = |fault: &&FaultRecord| {
        fault.error.is_none()
            && fault.had_effect()
            && fault.began_ns <= from
            && fault.ended_ns.is_none_or(|ended| until <= ended)
    };
    faults.iter().filter(covers).map(FaultRecord::in_words).collect()
}

#[cfg(test)]
mod tests;
