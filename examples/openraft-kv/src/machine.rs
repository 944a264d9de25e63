//! What the log's entries make of the data, in memory, and snapshots of it on disk.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use openraft::storage::RaftStateMachine;
use openraft::{
    Entry, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot, SnapshotMeta,
    StorageError, StorageIOError, StoredMembership,
};
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;

use crate::journal::{next, record, replace};
use crate::{Command, Config, Reply};

type Data = BTreeMap<String, String>;
type Meta = SnapshotMeta<u64, openraft::BasicNode>;

#[derive(Default)]
struct State {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, openraft::BasicNode>,
    data: Data,
    /// The latest snapshot, as on disk.
    snapshot: Option<Stored>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    meta: Meta,
    data: Vec<u8>,
}

/// The state machine.
#[derive(Clone)]
pub struct Machine {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Machine {
    /// The state of the snapshot at `path`, or an empty one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let machine = Self { path: path.to_owned(), state: Arc::default() };
        if path.exists() {
            let bytes = std::fs::read(path)?;
            let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the snapshot is damaged");
            let (payload, _) = next(&bytes).ok_or_else(damaged)?;
            machine.become_(serde_json::from_slice(payload)?)?;
        }
        Ok(machine)
    }

    /// What a key holds.
    pub fn get(&self, key: &str) -> Option<String> {
        self.lock().data.get(key).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    fn become_(&self, stored: Stored) -> io::Result<()> {
        let data = serde_json::from_slice(&stored.data)?;
        let (applied, membership) = (stored.meta.last_log_id, stored.meta.last_membership.clone());
        *self.lock() = State { applied, membership, data, snapshot: Some(stored) };
        Ok(())
    }

    fn store(&self, stored: &Stored) -> io::Result<()> {
        block_in_place(|| replace(&self.path, &record(&serde_json::to_vec(stored)?)))
    }
}

impl State {
    fn perform(&mut self, command: Command) -> Reply {
        let before = self.data.get(&command.key).cloned();
        let applies = command.only_if.is_none() || command.only_if == before;
        if applies {
            self.data.insert(command.key, command.value);
        }
        Reply { done: applies, saw: before }
    }
}

impl RaftSnapshotBuilder<Config> for Machine {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Config>, StorageError<u64>> {
        let stored = {
            let state = self.lock();
            let snapshot_id = state.applied.map_or_else(String::new, |applied| applied.to_string());
            let meta = Meta {
                last_log_id: state.applied,
                last_membership: state.membership.clone(),
                snapshot_id,
            };
            let data = serde_json::to_vec(&state.data)
                .map_err(|error| StorageIOError::read_state_machine(&error))?;
            Stored { meta, data }
        };
        self.store(&stored).map_err(|error| StorageIOError::write_snapshot(None, &error))?;
        self.lock().snapshot = Some(stored.clone());
        Ok(Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(stored.data)) })
    }
}

impl RaftStateMachine<Config> for Machine {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, openraft::BasicNode>), StorageError<u64>>
    {
        let state = self.lock();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Config>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = self.lock();
        let mut replies = Vec::new();
        for entry in entries {
            state.applied = Some(entry.log_id);
            replies.push(match entry.payload {
                EntryPayload::Normal(command) => state.perform(command),
                EntryPayload::Membership(members) => {
                    state.membership = StoredMembership::new(Some(entry.log_id), members);
                    Reply::default()
                }
                EntryPayload::Blank => Reply::default(),
            });
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(
        &mut self,
    ) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        data: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let stored = Stored { meta: meta.clone(), data: data.into_inner() };
        self.store(&stored)
            .and_then(|()| self.become_(stored))
            .map_err(|error| StorageIOError::write_snapshot(None, &error).into())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<Snapshot<Config>>, StorageError<u64>> {
        let stored = self.lock().snapshot.clone();
        Ok(stored.map(|stored| Snapshot {
            meta: stored.meta,
            snapshot: Box::new(Cursor::new(stored.data)),
        }))
    }
}
