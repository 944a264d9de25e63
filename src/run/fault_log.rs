//! What the nemesis did, as it did it: in memory, in `schedule.jsonl`, and as events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use partita_nemesis::{FaultRecord, Moment};
use partita_reports::RunEvent;

use super::events::Events;
use super::folder::ScheduleFile;
use crate::exit::Failure;

/// The faults so far. Clones share it.
#[derive(Clone)]
pub struct FaultLog {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    file: ScheduleFile,
    faults: BTreeMap<u32, FaultRecord>,
    /// Those that were in force at some time.
    injected: BTreeSet<u32>,
    failure: Option<Failure>,
}

impl FaultLog {
    /// A log that also writes to `file`.
    pub fn new(file: ScheduleFile) -> Self {
        let inner =
            Inner { file, faults: BTreeMap::new(), injected: BTreeSet::new(), failure: None };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Takes a fault that is about to be injected, was injected, or is over.
    pub fn take(&self, moment: Moment, record: &FaultRecord, events: &Events) {
        let mut inner = self.lock();
        if let Err(failure) = inner.file.append(record) {
            inner.failure.get_or_insert(failure);
        }
        inner.faults.insert(record.id, record.clone());
        if moment == Moment::Begun {
            inner.injected.insert(record.id);
        }
        let was_injected = inner.injected.contains(&record.id);
        drop(inner);
        let record = Box::new(record.clone());
        match moment {
            Moment::Coming => {}
            Moment::Begun => events.tell(RunEvent::FaultInjected(record)),
            Moment::Over if was_injected => events.tell(RunEvent::FaultHealed(record)),
            Moment::Over => events.tell(RunEvent::FaultSkipped(record)),
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

    /// The number of a fault in force that accounts for `node` having no process, if there is one.
    pub fn explains_absence(&self, node: &str) -> Option<u32> {
        let inner = self.lock();
        let explains = |fault: &&FaultRecord| {
            fault.ended_ns.is_none()
                && fault.explains_exit()
                && fault.nodes.iter().any(|victim| victim == node)
        };
        inner.faults.values().find(explains).map(|fault| fault.id)
    }

    /// Why the file is incomplete, if it is.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.take()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
