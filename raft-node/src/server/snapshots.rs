//! Reads and writes snapshots beside the engine, which never waits for them.
//!
//! One thread keeps the pieces of a snapshot that the leader sends, in their order, installs it, and
//! reads pieces of the server's own for others; each snapshot that the server takes has a thread
//! while it is written. Pieces are dropped when too many wait for the disk; then the snapshot has a
//! gap, is given up, and the leader begins again.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::log_thread::Done;
use crate::core::message::Body;
use crate::core::units::NodeId;
use crate::core::{Input, Message, Snapshot, SnapshotId};
use crate::storage::{self, Directory, SnapshotFile, SnapshotWriter};

/// Pieces that may wait for the disk, up to a mebibyte each.
const QUEUE: usize = 32;

/// What the thread is to do.
#[derive(Debug)]
enum Job {
    Keep { snapshot: SnapshotId, offset: u64, data: Bytes },
    Install { snapshot: SnapshotId, total: u64 },
    Read { to: NodeId, message: Message, length: u32 },
}

/// The way to the snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    files: storage::Snapshots<Directory>,
    jobs: SyncSender<Job>,
    done: mpsc::Sender<Done>,
}

impl Snapshots {
    /// Starts the thread for what comes from others and goes to them.
    pub(super) fn start(
        files: storage::Snapshots<Directory>,
        done: mpsc::Sender<Done>,
    ) -> io::Result<Self> {
        let (jobs, received) = sync_channel(QUEUE);
        let worker = Worker { files: files.clone(), arriving: None, done: done.clone() };
        let body = move || worker.run(&received);
        thread::Builder::new().name("snapshots".to_owned()).spawn(body)?;
        Ok(Self { files, jobs, done })
    }

    /// Writes a snapshot of this server's own.
    pub(super) fn take(&self, snapshot: Snapshot) {
        let (files, done) = (self.files.clone(), self.done.clone());
        let id = snapshot.id();
        let body = move || {
            let outcome = files.take(&snapshot);
            // Frees what the state no longer shares before anyone hears of it.
            drop(snapshot);
            match outcome {
                Ok(SnapshotFile { total, checksum, .. }) => {
                    let taken = Input::SnapshotTaken { snapshot: id, total, checksum };
                    tell(&done, Done::Snapshot(taken))
                }
                Err(error) => give_up(&done, id, &error.to_string()),
            }
        };
        // If the engine is gone, nobody wants to know.
        let spawned = thread::Builder::new().name("snapshot".to_owned()).spawn(|| drop(body()));
        if let Err(error) = spawned {
            let text = format!("a thread for snapshot {id}: {error}");
            let _ = self.done.try_send(Done::Trouble(text));
            let _ = self.done.try_send(Done::Snapshot(Input::SnapshotFailed { snapshot: id }));
        }
    }

    /// Keeps a piece of the snapshot that the leader sends.
    pub(super) fn keep(&self, snapshot: SnapshotId, offset: u64, data: Bytes) {
        self.hand_over(Job::Keep { snapshot, offset, data });
    }

    /// Makes the snapshot whose pieces were kept the server's own.
    pub(super) fn install(&self, snapshot: SnapshotId, total: u64) {
        if !self.hand_over(Job::Install { snapshot, total }) {
            let _ = self.done.try_send(Done::Snapshot(Input::SnapshotFailed { snapshot }));
        }
    }

    /// Reads a piece of the server's snapshot into a message for another server.
    pub(super) fn read(&self, to: NodeId, message: Message, length: u32) {
        self.hand_over(Job::Read { to, message, length });
    }

    /// Says whether the thread will do it.
    fn hand_over(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }
}

/// The engine is gone: no one waits for the outcome.
struct WorkerGone;

fn tell(done: &mpsc::Sender<Done>, said: Done) -> Result<(), WorkerGone> {
    done.blocking_send(said).map_err(|_| WorkerGone)
}

fn give_up(done: &mpsc::Sender<Done>, snapshot: SnapshotId, why: &str) -> Result<(), WorkerGone> {
    tell(done, Done::Trouble(format!("gave up snapshot {snapshot}: {why}")))?;
    tell(done, Done::Snapshot(Input::SnapshotFailed { snapshot }))
}

/// The thread's own state.
struct Worker {
    files: storage::Snapshots<Directory>,
    /// The snapshot that arrives, as long as it has no gap.
    arriving: Option<SnapshotWriter<Directory>>,
    done: mpsc::Sender<Done>,
}

impl Worker {
    /// Works until there is nothing more to do, or no engine to answer.
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let told = match job {
                Job::Keep { snapshot, offset, data } => self.keep(snapshot, offset, &data),
                Job::Install { snapshot, total } => self.install(snapshot, total),
                Job::Read { to, message, length } => self.read(to, message, length),
            };
            if told.is_err() {
                return;
            }
        }
    }

    fn trouble(&self, line: String) -> Result<(), WorkerGone> {
        tell(&self.done, Done::Trouble(line))
    }

    fn keep(&mut self, snapshot: SnapshotId, offset: u64, data: &[u8]) -> Result<(), WorkerGone> {
        if offset == 0 {
            match self.files.receive(snapshot) {
                Ok(writer) => self.arriving = Some(writer),
                Err(error) => {
                    return self.trouble(format!("receiving snapshot {snapshot}: {error}"));
                }
            }
        }
        let fits = |writer: &SnapshotWriter<Directory>| {
            writer.id() == snapshot && writer.written() == offset
        };
        // After a gap the rest is of no use; the install will say so.
        let Some(mut writer) = self.arriving.take().filter(fits) else { return Ok(()) };
        match writer.write(data) {
            Ok(()) => {
                self.arriving = Some(writer);
                Ok(())
            }
            Err(error) => self.trouble(format!("keeping a piece of snapshot {snapshot}: {error}")),
        }
    }

    fn install(&mut self, snapshot: SnapshotId, total: u64) -> Result<(), WorkerGone> {
        let Some(writer) = self.arriving.take().filter(|writer| writer.id() == snapshot) else {
            return give_up(&self.done, snapshot, "pieces of it are missing");
        };
        match writer.install(total) {
            Ok(snapshot) => tell(&self.done, Done::Snapshot(Input::SnapshotReceived(snapshot))),
            Err(error) => give_up(&self.done, snapshot, &error.to_string()),
        }
    }

    fn read(&self, to: NodeId, mut message: Message, length: u32) -> Result<(), WorkerGone> {
        let Body::Install(chunk) = &mut message.body else { return Ok(()) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        match self.files.read(chunk.snapshot, chunk.offset, length) {
            Ok(Some(data)) => {
                chunk.data = data;
                tell(&self.done, Done::Chunk { to, message })
            }
            // A newer one took its place, which the core will offer instead.
            Ok(None) => Ok(()),
            Err(error) => {
                let snapshot = chunk.snapshot;
                self.trouble(format!("reading a piece of snapshot {snapshot}: {error}"))
            }
        }
    }
}
