//! Keeps what a server persists, and forgets what was not synced when the power goes.

use std::time::Duration;

use crate::core::{Record, Restored};

/// One server's disk: records in the order written.
#[derive(Debug, Default)]
pub(super) struct Disk {
    records: Vec<Record>,
    /// How many of them a power loss cannot take.
    durable: usize,
}

/// How a server goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process is killed: what it wrote is with the operating system, and stays.
    Process,
    /// The power goes: what was not synced is gone.
    Power,
}

impl Disk {
    pub(super) fn write(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Makes the first `count` records durable.
    pub(super) fn synced(&mut self, count: usize) {
        self.durable = self.durable.max(count);
    }

    pub(super) fn durable(&self) -> usize {
        self.durable
    }

    pub(super) fn written(&self) -> usize {
        self.records.len()
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        if crash == Crash::Power {
            self.records.truncate(self.durable);
        }
        self.durable = self.records.len();
    }

    /// What a restart finds.
    pub(super) fn restore(&self) -> Restored {
        let mut restored = Restored::default();
        for record in &self.records {
            restored.replay(record.clone()).expect("records replay in the order they were made");
        }
        restored
    }
}

/// How long a sync takes on a good day.
pub(super) const SYNC: std::ops::RangeInclusive<Duration> =
    Duration::from_micros(100)..=Duration::from_micros(800);
