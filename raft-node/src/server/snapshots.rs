//! Answers the core's wishes for snapshots, as long as the storage has none: it cannot.

use std::io;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::log_thread::Done;
use crate::core::units::NodeId;
use crate::core::{Input, Message, Snapshot, SnapshotId};

/// The way to the snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    done: mpsc::Sender<Done>,
}

impl Snapshots {
    pub(super) fn start(done: mpsc::Sender<Done>) -> io::Result<Self> {
        Ok(Self { done })
    }

    fn cannot(&self, snapshot: SnapshotId) {
        let _ = self.done.try_send(Done::Snapshot(Input::SnapshotFailed { snapshot }));
    }

    pub(super) fn take(&self, snapshot: &Snapshot) {
        self.cannot(snapshot.id());
    }

    pub(super) fn keep(&self, _: SnapshotId, _: u64, _: &Bytes) {}

    pub(super) fn install(&self, snapshot: SnapshotId, _: u64) {
        self.cannot(snapshot);
    }

    pub(super) fn read(&self, to: NodeId, message: Message, _: u32) {
        let line = format!("no snapshot to send to server {to}: {message}");
        let _ = self.done.try_send(Done::Trouble(line));
    }
}
