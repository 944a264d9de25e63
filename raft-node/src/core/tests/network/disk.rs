//! Keeps one server's records and snapshots, and loses at a crash what was not synced.

use super::decode;
use crate::core::message::Message;
use crate::core::units::{Boot, NodeId, RecordId};
use crate::core::{Record, Restored};

#[derive(Default)]
pub(super) struct Disk {
    records: Vec<Record>,
    /// How many of them are from earlier lives.
    before: usize,
    pub(super) written: RecordId,
    pub(super) synced: RecordId,
    /// The durable snapshot, and the one that is coming in.
    pub(super) snapshot: Vec<u8>,
    pub(super) incoming: Vec<u8>,
    /// Messages that wait for a record.
    held: Vec<(RecordId, NodeId, Message)>,
}

impl Disk {
    pub(super) fn write(&mut self, record: Record) {
        self.records.push(record);
        self.written.0 += 1;
    }

    /// Keeps a message until a record is durable, unless it is.
    pub(super) fn hold(
        &mut self,
        after: RecordId,
        to: NodeId,
        message: Message,
    ) -> Option<Message> {
        if after <= self.synced {
            return Some(message);
        }
        self.held.push((after, to, message));
        None
    }

    /// The records up to this one are durable; returns the messages that waited for it.
    pub(super) fn sync(&mut self, record: RecordId) -> Vec<(NodeId, Message)> {
        self.synced = self.synced.max(record);
        let synced = self.synced;
        let ready = self.held.extract_if(.., |(after, ..)| *after <= synced);
        ready.map(|(_, to, message)| (to, message)).collect()
    }

    /// What was not synced is gone.
    pub(super) fn lose_power(&mut self) {
        let synced = usize::try_from(self.synced.0).expect("small");
        self.records.truncate(self.before + synced);
        self.held.clear();
        self.incoming.clear();
    }

    /// Begins another life.
    pub(super) fn restore(&mut self, boot: Boot, mutated: bool) -> Restored {
        self.records.push(Record::Boot(boot));
        self.before = self.records.len();
        (self.written, self.synced) = (RecordId::ZERO, RecordId::ZERO);
        let mut restored = Restored { snapshot: decode(&self.snapshot), ..Restored::default() };
        for record in &self.records {
            let replayed = restored.replay(record.clone());
            assert!(replayed.is_ok() || mutated, "{replayed:?}");
        }
        restored
    }
}
