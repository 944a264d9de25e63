//! Writes the log on a thread of its own, one sync for all that gathered during the one before.
//!
//! The engine hands records over whenever the thread is idle, so that there is one batch under way
//! and one that grows; neither the engine nor the thread waits for a queue. How much gathers is
//! bounded by what the core takes on: requests of clients, and appends of a leader that waits for
//! acknowledgements. After an error the thread ends: what it could not write was never
//! acknowledged, and the server stops.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::sync::mpsc;

use crate::core::units::{NodeId, RecordId};
use crate::core::{Input, Message, Record};
use crate::storage::{Storage, StorageError};

/// How long a server that stops waits for its last records to be synced.
const LAST_SYNC: Duration = Duration::from_secs(5);

/// What a thread of the disk did.
#[derive(Debug)]
pub(super) enum Done {
    /// Everything up to this record is durable.
    Durable { last: RecordId, records: usize, took: Duration },
    /// The batch is lost, and the log goes on: only by a planted bug.
    NotWritten,
    /// The disk failed: nothing more can be promised.
    Failed(StorageError),
    /// A snapshot was taken, received or given up.
    Snapshot(Input),
    /// A piece of the snapshot was read, and is ready to be sent.
    Chunk { to: NodeId, message: Message },
    /// Something went wrong that the server can live with.
    Trouble(String),
}

/// Records on their way to be durable.
#[derive(Debug)]
struct Batch {
    records: Vec<Record>,
    last: RecordId,
}

/// The way to the disk.
#[derive(Debug)]
pub(super) struct LogThread {
    batches: SyncSender<Batch>,
    /// The batch that grows.
    gathered: Vec<Record>,
    /// The last record that was gathered.
    last: RecordId,
    /// Whether the thread has a batch.
    busy: bool,
}

impl LogThread {
    /// Starts the thread that owns the log.
    pub(super) fn start(storage: Storage, done: mpsc::Sender<Done>) -> io::Result<Self> {
        let (batches, received) = sync_channel(1);
        let body = move || write_all(storage, &received, &done);
        thread::Builder::new().name("log".to_owned()).spawn(body)?;
        Ok(Self { batches, gathered: Vec::new(), last: RecordId::ZERO, busy: false })
    }

    /// Takes a record to be made durable, after those before it.
    pub(super) fn persist(&mut self, record: Record) {
        self.gathered.push(record);
        self.last = RecordId(self.last.0 + 1);
    }

    /// Hands what has gathered to the thread, unless it is busy.
    pub(super) fn hand_over(&mut self) {
        if self.busy || self.gathered.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.gathered);
        // If the thread is gone, it said why, and the engine is about to hear it.
        self.busy = self.batches.try_send(Batch { records, last: self.last }).is_ok();
    }

    /// The thread said that it made its batch durable.
    pub(super) fn synced(&mut self) {
        self.busy = false;
    }

    /// The thread's batch is lost, and what gathered since goes with it.
    pub(super) fn lost(&mut self) {
        self.busy = false;
        self.gathered.clear();
    }

    /// Whether everything is durable.
    pub(super) fn is_idle(&self) -> bool {
        !self.busy && self.gathered.is_empty()
    }

    /// Waits, for a while, until everything is durable.
    pub(super) async fn finish(
        mut self,
        done: &mut mpsc::Receiver<Done>,
    ) -> Result<(), StorageError> {
        let deadline = tokio::time::Instant::now() + LAST_SYNC;
        while !self.is_idle() {
            self.hand_over();
            match tokio::time::timeout_at(deadline, done.recv()).await {
                Ok(Some(Done::Durable { .. })) => self.synced(),
                Ok(Some(Done::NotWritten)) => self.lost(),
                Ok(Some(Done::Failed(error))) => return Err(error),
                Ok(Some(_)) => {}
                // What was not synced by now was promised to nobody.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}

/// Makes batches durable until there are no more, or one fails.
fn write_all(mut storage: Storage, batches: &Receiver<Batch>, done: &mpsc::Sender<Done>) {
    while let Ok(Batch { records, last }) = batches.recv() {
        let began = Instant::now();
        records.iter().for_each(|record| storage.append(record));
        let outcome = storage.commit();
        let failed = storage.is_poisoned();
        let records = records.len();
        let said = match outcome {
            Ok(()) => Done::Durable { last, records, took: began.elapsed() },
            Err(_) if !failed => Done::NotWritten,
            Err(error) => Done::Failed(error),
        };
        if done.blocking_send(said).is_err() || failed {
            return;
        }
    }
}
