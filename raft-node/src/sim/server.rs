//! One simulated server: a core, its storage on a simulated disk, its clocks, and what waits for
//! any of them.
//!
//! Drives a core by its contract, as the real engine does. What arrives goes into an inbox; a
//! *turn* puts the whole inbox into the core and then lets it tick. Records are synced in the
//! background, one sync for all that waits; messages leave when the record they name is durable.
//! The storage is the real one, over a disk that forgets and fails on purpose.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::clock::Clock;
use super::moment::Moment;
use crate::core::units::{NodeId, RecordId, RequestId};
use crate::core::{Config, Core, Input, Message, Operation, Refusal, Reply, Snapshot, SnapshotId};
use crate::storage::{Opened, SimulatedDisk, SnapshotWriter, Snapshots, Storage, StorageError};

/// What a server said to a request.
pub(super) type Outcome = Result<Reply, Refusal>;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A simulated client, in its n-th attempt.
    Client { client: u32, attempt: u64 },
    /// The scenario itself.
    Scenario { ticket: u64 },
}

/// How a server goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process is killed: what it wrote is with the operating system, and stays.
    Process,
    /// The power goes: what was not synced is gone, or in part.
    Power,
}

/// How long the disk takes.
#[derive(Clone, Debug)]
pub(super) struct DiskSpeed {
    /// To sync the log.
    pub(super) sync: RangeInclusive<Duration>,
    /// To write or install a snapshot.
    pub(super) snapshot: RangeInclusive<Duration>,
}

impl DiskSpeed {
    /// A disk on a good day.
    pub(super) fn fair() -> Self {
        let micros = Duration::from_micros;
        Self { sync: micros(100)..=micros(800), snapshot: micros(500)..=micros(8_000) }
    }
}

/// What is open while a server is up.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) storage: Storage<SimulatedDisk>,
    pub(super) snapshots: Snapshots<SimulatedDisk>,
    /// The snapshot that another server sends.
    pub(super) receiving: Option<SnapshotWriter<SimulatedDisk>>,
}

/// A simulated server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) disk: SimulatedDisk,
    pub(super) speed: DiskSpeed,
    segment_bytes: u64,
    /// None while it is down.
    pub(super) core: Option<Core>,
    pub(super) files: Option<Files>,
    /// Which life it lives: events of an earlier one are void.
    pub(super) life: u64,
    pub(super) paused: bool,
    pub(super) inbox: VecDeque<Input>,
    /// Records handed out in this life, and how many of them are durable.
    pub(super) records: RecordId,
    pub(super) durable: RecordId,
    /// Whether a sync is under way.
    pub(super) syncing: bool,
    /// Messages that must not leave before a record is durable.
    pub(super) held: Vec<(RecordId, NodeId, Message)>,
    /// The snapshot that is being written.
    pub(super) taking: Option<Snapshot>,
    /// The received snapshot that is being installed, and its length.
    pub(super) installing: Option<(SnapshotId, u64)>,
    /// When its next timer event is due.
    pub(super) timer: Option<Moment>,
    pub(super) last_request: RequestId,
    pub(super) askers: BTreeMap<RequestId, Asker>,
}

impl Server {
    pub(super) fn new(config: Config, segment_bytes: u64) -> Self {
        Self {
            config,
            clock: Clock::exact(),
            disk: SimulatedDisk::new(),
            speed: DiskSpeed::fair(),
            segment_bytes,
            core: None,
            files: None,
            life: 0,
            paused: false,
            inbox: VecDeque::new(),
            records: RecordId::ZERO,
            durable: RecordId::ZERO,
            syncing: false,
            held: Vec::new(),
            taking: None,
            installing: None,
            timer: None,
            last_request: RequestId(0),
            askers: BTreeMap::new(),
        }
    }

    pub(super) fn id(&self) -> NodeId {
        self.config.id
    }

    pub(super) fn is_up(&self) -> bool {
        self.core.is_some()
    }

    /// Whether it is up and takes turns.
    pub(super) fn runs(&self) -> bool {
        self.is_up() && !self.paused
    }

    /// Opens the storage as a starting process does.
    pub(super) fn open(&mut self) -> Result<Opened<SimulatedDisk>, StorageError> {
        let options = crate::storage::Options {
            segment_bytes: self.segment_bytes,
            ahead_bytes: 4 << 10,
            mutations: self.config.mutations,
        };
        Storage::open(self.disk.clone(), self.config.id, options)
    }

    /// Goes down; who waited for an answer gets none.
    pub(super) fn crash(&mut self, crash: Crash, random: &mut ChaCha8Rng) {
        self.interrupt(random);
        self.core = None;
        self.files = None;
        self.life += 1;
        self.paused = false;
        self.inbox.clear();
        self.held.clear();
        self.records = RecordId::ZERO;
        self.durable = RecordId::ZERO;
        self.syncing = false;
        self.taking = None;
        self.installing = None;
        self.timer = None;
        self.askers.clear();
        self.last_request = RequestId(0);
        self.disk = match crash {
            Crash::Process => self.disk.kill(),
            Crash::Power => self.disk.lose_power(random),
        };
    }

    /// Lets what the disk was doing get as far as chance has it, and no further.
    fn interrupt(&mut self, random: &mut ChaCha8Rng) {
        let Some(files) = &mut self.files else { return };
        if !self.syncing && self.taking.is_none() {
            return;
        }
        // Few enough to fall into the middle of what a sync or a snapshot takes.
        self.disk.stop_after(random.random_range(0..6));
        // Whatever these return, nobody is there to hear it.
        if let Some(snapshot) = &self.taking {
            let _ = files.snapshots.take(snapshot);
        }
        if self.syncing {
            let _ = files.storage.commit();
        }
    }

    /// Numbers a request and puts it into the inbox.
    pub(super) fn ask(&mut self, asker: Asker, operation: Operation) {
        self.last_request = RequestId(self.last_request.0 + 1);
        self.askers.insert(self.last_request, asker);
        self.inbox.push_back(Input::Request { request: self.last_request, operation });
    }
}
