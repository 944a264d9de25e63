//! What the nemesis did, as it did it: in memory, in `schedule.jsonl`, and in words.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use partita_nemesis::{Effect, FaultRecord, Moment};

use super::folder::ScheduleFile;
use super::status::StatusLine;
use crate::exit::Failure;

/// The faults so far. Clones share it.
#[derive(Clone)]
pub struct FaultLog {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    file: ScheduleFile,
    faults: BTreeMap<u32, FaultRecord>,
    failure: Option<Failure>,
}

impl FaultLog {
    /// A log that also writes to `file`.
    pub fn new(file: ScheduleFile) -> Self {
        let inner = Inner { file, faults: BTreeMap::new(), failure: None };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Takes a fault that is about to be injected, was injected, or is over.
    pub fn take(&self, moment: Moment, record: &FaultRecord, status: &StatusLine) {
        let mut inner = self.lock();
        if let Err(failure) = inner.file.append(record) {
            inner.failure.get_or_insert(failure);
        }
        inner.faults.insert(record.id, record.clone());
        drop(inner);
        if moment != Moment::Coming {
            status.say(&sentence(record));
        }
    }

    /// All faults, as far as is known, by number.
    pub fn all(&self) -> Vec<FaultRecord> {
        self.lock().faults.values().cloned().collect()
    }

    /// What is in force now, in words.
    pub fn in_force(&self) -> Vec<String> {
        let inner = self.lock();
        let open = inner.faults.values().filter(|fault| fault.ended_ns.is_none());
        open.map(|fault| format!("{} {}", fault.fault, fault.nodes.join(", "))).collect()
    }

    /// Whether a fault in force accounts for `node` having no process.
    pub fn explains_absence(&self, node: &str) -> bool {
        let inner = self.lock();
        inner.faults.values().any(|fault| {
            fault.ended_ns.is_none()
                && fault.may_end_processes()
                && fault.nodes.iter().any(|victim| victim == node)
        })
    }

    /// Why the file is incomplete, if it is.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a fault, as far as its record goes.
pub fn sentence(fault: &FaultRecord) -> String {
    let what = format!("{} {} ({})", fault.fault, fault.nodes.join(", "), fault.target);
    match (&fault.error, fault.ended_ns) {
        (Some(error), _) => format!("{what} went wrong: {error}"),
        (None, None) => format!("{what} begins"),
        (None, Some(_)) => {
            let effects: Vec<String> = fault.effects.iter().map(in_words).collect();
            format!("{what} healed; {}", effects.join(", "))
        }
    }
}

/// `frames dropped: 115`, `time stopped: 1516 ms`.
fn in_words(effect: &Effect) -> String {
    let Effect { what, amount, unit } = effect;
    if what.contains(unit.as_str()) || unit == "processes" {
        format!("{what}: {amount:.0}")
    } else {
        format!("{what}: {amount:.0} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_says_its_unit_once() {
        let effect = |what: &str, amount, unit: &str| {
            in_words(&Effect { what: what.to_owned(), amount, unit: unit.to_owned() })
        };
        assert_eq!(effect("frames dropped", 115.0, "frames"), "frames dropped: 115");
        assert_eq!(effect("time stopped", 1516.4, "ms"), "time stopped: 1516 ms");
        assert_eq!(effect("killed by signal 9", 1.0, "processes"), "killed by signal 9: 1");
    }
}
