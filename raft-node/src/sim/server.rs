//! One simulated server: a core, its disk, its clocks, and what waits for either.
//!
//! Drives a core as the real engine does. What arrives goes into an inbox; a *turn* puts the whole
//! inbox into the core and then lets it tick. Records are synced in the background, one sync for
//! all that waits; messages and answers leave when the records before them are durable.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::clock::Clock;
use super::disk::{Crash, Disk};
use super::moment::Moment;
use crate::core::units::{NodeId, RequestId};
use crate::core::{Config, Core, Input, Output, Refusal, Reply};

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

/// A simulated server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    /// None while it is down.
    pub(super) core: Option<Core>,
    /// Which life it lives: events of an earlier one are void.
    pub(super) life: u64,
    pub(super) paused: bool,
    pub(super) inbox: VecDeque<Input>,
    /// What must not leave before so many records are durable.
    pub(super) held: VecDeque<(usize, Output)>,
    /// How many records the sync under way makes durable.
    pub(super) syncing: Option<usize>,
    /// How long a sync takes.
    pub(super) sync_time: std::ops::RangeInclusive<Duration>,
    /// When its next timer event is due.
    pub(super) timer: Option<Moment>,
    pub(super) last_request: RequestId,
    pub(super) askers: BTreeMap<RequestId, Asker>,
}

impl Server {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            clock: Clock::exact(),
            disk: Disk::default(),
            core: None,
            life: 0,
            paused: false,
            inbox: VecDeque::new(),
            held: VecDeque::new(),
            syncing: None,
            sync_time: super::disk::SYNC,
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

    /// Goes down; who waited for an answer gets none.
    pub(super) fn crash(&mut self, crash: Crash) {
        self.core = None;
        self.life += 1;
        self.paused = false;
        self.inbox.clear();
        self.held.clear();
        self.syncing = None;
        self.timer = None;
        self.askers.clear();
        self.disk.crash(crash);
    }

    /// Numbers a request and puts it into the inbox.
    pub(super) fn ask(&mut self, asker: Asker, operation: crate::core::Operation) {
        self.last_request = RequestId(self.last_request.0 + 1);
        self.askers.insert(self.last_request, asker);
        self.inbox.push_back(Input::Request { request: self.last_request, operation });
    }
}
