//! What the world does about disks: syncs, snapshots, crashes, restarts, and faults.

use rand::RngExt;

use super::failure::Failure;
use super::random::between;
use super::server::{Crash, Files};
use super::world::{Event, World};
use crate::core::message::Body;
use crate::core::units::{NodeId, RequestId};
use crate::core::{Core, Input, Message, SnapshotId};
use crate::storage::simulated::Operation;
use crate::storage::{Disk, Opened};

impl World {
    /// Begins to sync what waits, unless a sync is under way.
    pub(super) fn begin_sync(&mut self, at: usize) {
        let server = &mut self.servers[at];
        if !server.syncing && server.durable < server.records {
            server.syncing = true;
            let done = self.now.plus(between(&mut self.disk_random, &server.speed.sync));
            self.queue.push(done, Event::Synced { server: at, life: server.life });
        }
    }

    pub(super) fn synced(&mut self, at: usize, life: u64) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        if server.life != life {
            return Ok(());
        }
        server.syncing = false;
        let Some(files) = &mut server.files else { return Ok(()) };
        if let Err(error) = files.storage.commit() {
            self.trace.line(self.now, format_args!("server {}: {error}", at + 1));
            // A server whose disk failed promises nothing more and stops.
            self.crash(at, Crash::Process);
            return Ok(());
        }
        server.durable = server.records;
        let durable = server.durable;
        server.inbox.push_back(Input::Durable(durable));
        let mut held = std::mem::take(&mut server.held);
        for (_, to, message) in held.extract_if(.., |(after, ..)| *after <= durable) {
            self.send(at, to, message)?;
        }
        self.servers[at].held = held;
        self.turn(at)
    }

    pub(super) fn begin_snapshot(&mut self, at: usize) {
        let server = &self.servers[at];
        let done = self.now.plus(between(&mut self.disk_random, &server.speed.snapshot));
        self.queue.push(done, Event::SnapshotDone { server: at, life: server.life });
    }

    /// The disk had the time it takes to write or install a snapshot.
    pub(super) fn snapshot_done(&mut self, at: usize, life: u64) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        let Some(files) = &mut server.files else { return Ok(()) };
        if server.life != life {
            return Ok(());
        }
        if let Some(snapshot) = server.taking.take() {
            let id = snapshot.id();
            let input = match files.snapshots.take(&snapshot) {
                Ok(file) => Input::SnapshotTaken {
                    snapshot: id,
                    total: file.total,
                    checksum: file.checksum,
                },
                Err(error) => {
                    self.trace.line(self.now, format_args!("server {}: {error}", at + 1));
                    Input::SnapshotFailed { snapshot: id }
                }
            };
            server.inbox.push_back(input);
        }
        if let Some((id, total)) = server.installing.take() {
            let installed = files.receiving.take().map(|writer| writer.install(total));
            let input = match installed {
                Some(Ok(snapshot)) => Input::SnapshotReceived(snapshot),
                Some(Err(error)) => {
                    self.trace.line(self.now, format_args!("server {}: {error}", at + 1));
                    Input::SnapshotFailed { snapshot: id }
                }
                None => Input::SnapshotFailed { snapshot: id },
            };
            server.inbox.push_back(input);
        }
        self.turn(at)
    }

    pub(super) fn keep_chunk(&mut self, at: usize, id: SnapshotId, offset: u64, data: &[u8]) {
        let Some(files) = &mut self.servers[at].files else { return };
        let outcome = if offset == 0 {
            files.receiving = None;
            files.snapshots.receive(id).map(|writer| files.receiving = Some(writer))
        } else {
            Ok(())
        };
        let written = match (&mut files.receiving, outcome) {
            (Some(writer), Ok(())) if writer.id() == id => writer.write(data),
            (_, outcome) => outcome,
        };
        if let Err(error) = written {
            files.receiving = None;
            self.trace.line(self.now, format_args!("server {}: {error}", at + 1));
        }
    }

    /// Reads a piece of a server's snapshot into a message, and sends it.
    pub(super) fn send_chunk(
        &mut self,
        at: usize,
        to: NodeId,
        mut message: Message,
        length: u32,
    ) -> Result<(), Failure> {
        let Some(files) = &self.servers[at].files else { return Ok(()) };
        let Body::Install(chunk) = &mut message.body else { return Ok(()) };
        let read = files.snapshots.read(chunk.snapshot, chunk.offset, length as usize);
        let Ok(Some(data)) = read else { return Ok(()) };
        chunk.data = data;
        self.send(at, to, message)
    }

    /// Takes a server down, if it is up.
    pub(super) fn crash(&mut self, at: usize, crash: Crash) {
        if self.servers[at].is_up() {
            let banner = self.banner(at);
            self.trace.line(self.now, format_args!("{banner} goes down: {crash:?}"));
            self.trace.mix(&[self.now.0, 3, at as u64]);
            self.servers[at].crash(crash, &mut self.disk_random);
            self.invariants.went_down(at);
        }
    }

    /// Starts a server from its disk, if it is down. One whose disk is damaged or fails stays down.
    pub(super) fn restart(&mut self, at: usize) -> Result<(), Failure> {
        let server = &mut self.servers[at];
        if server.is_up() {
            return Ok(());
        }
        let Opened { storage, snapshots, restored, .. } = match server.open() {
            Ok(opened) => opened,
            Err(error) => {
                self.trace.line(self.now, format_args!("server {} stays down: {error}", at + 1));
                // What had the directory is gone.
                server.disk = server.disk.kill();
                return Ok(());
            }
        };
        server.files = Some(Files { storage, snapshots, receiving: None });
        server.last_request = RequestId(0);
        let verdict = self.invariants.restarted(at, &restored);
        let now = server.clock.monotonic(self.now);
        server.core = Some(Core::new(server.config.clone(), restored, now));
        self.trace.mix(&[self.now.0, 4, at as u64]);
        if self.trace.wants_lines() {
            let banner = self.banner(at);
            self.trace.line(self.now, format_args!("{banner} starts"));
        }
        self.set_timer(at);
        self.judge(at, verdict)
    }

    /// Makes a disk fail soon: the n-th write or sync from now returns an error.
    pub(super) fn fail_disk(&mut self, at: usize, operation: Operation, after: u64) {
        self.trace.line(self.now, format_args!("disk of server {}: {operation:?} fails", at + 1));
        self.servers[at].disk.fail(operation, after);
    }

    /// Lets a disk have only so many more bytes.
    pub(super) fn fill_disk(&mut self, at: usize, free: usize) {
        self.trace.line(self.now, format_args!("disk of server {} is nearly full", at + 1));
        let disk = &self.servers[at].disk;
        disk.limit(disk.used() + free);
    }

    /// Flips a bit in the log of a server that is down.
    pub(super) fn flip_bit(&mut self, at: usize) {
        let disk = &self.servers[at].disk;
        let names = disk.list().unwrap_or_default();
        let logs: Vec<&String> = names.iter().filter(|name| name.ends_with(".wal")).collect();
        let Some(name) = logs.last() else { return };
        let contents = disk.contents(name).unwrap_or_default();
        // Behind the last batch are zeros, which say nothing.
        let Some(last) = contents.iter().rposition(|byte| *byte != 0) else { return };
        let bit = self.disk_random.random_range(0..last * 8);
        disk.flip(name, bit);
        self.trace.line(self.now, format_args!("bit {bit} of {name} of server {} flips", at + 1));
    }
}
