//! Raft's log and vote, in a journal and in memory.
//!
//! The journal tells every change in order; recovery goes through it from the beginning. When most of it is about entries that
//! are in a snapshot by now, it is written anew.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    Entry, LogId, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError, Vote,
};
use serde::{Deserialize, Serialize};
use tokio::task::block_in_place;

use crate::Config;
use crate::journal::Journal;

/// A journal that is longer is written anew when entries are purged, in bytes.
const COMPACT_FROM: u64 = 256 * 1024;

/// A change.
#[derive(Serialize, Deserialize)]
enum Change {
    Vote(Vote<u64>),
    Append(Vec<Entry<Config>>),
    /// Entries from this index on are dropped.
    Truncate(u64),
    /// Entries up to this one are dropped.
    Purge(LogId<u64>),
}

#[derive(Default)]
struct State {
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
    entries: BTreeMap<u64, Entry<Config>>,
}

impl State {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Vote(vote) => self.vote = Some(vote),
            Change::Append(entries) => {
                self.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
            }
            Change::Truncate(from) => drop(self.entries.split_off(&from)),
            Change::Purge(upto) => {
                self.purged = Some(upto);
                self.entries = self.entries.split_off(&(upto.index + 1));
            }
        }
    }

    fn last(&self) -> Option<LogId<u64>> {
        self.entries.last_key_value().map(|(_, entry)| entry.log_id).or(self.purged)
    }

    /// The changes that lead here from nothing.
    fn changes(&self) -> Vec<Change> {
        let vote = self.vote.map(Change::Vote);
        let purged = self.purged.map(Change::Purge);
        let entries = Change::Append(self.entries.values().cloned().collect());
        vote.into_iter().chain(purged).chain([entries]).collect()
    }
}

/// The log, shared by who writes it and who reads it.
#[derive(Clone)]
pub struct Log(Arc<Mutex<(State, Journal)>>);

impl Log {
    /// Opens the log at `path`, or makes an empty one.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (journal, payloads) = Journal::open(path)?;
        let mut state = State::default();
        for payload in payloads {
            state.apply(serde_json::from_slice(&payload)?);
        }
        Ok(Self(Arc::new(Mutex::new((state, journal)))))
    }

    /// Makes a change: on disk first, then in memory.
    fn change(&self, change: Change) -> io::Result<()> {
        block_in_place(|| {
            let (state, journal) = &mut *self.0.lock().expect("nobody panicked");
            journal.append(&serde_json::to_vec(&change)?)?;
            let is_purge = matches!(change, Change::Purge(_));
            state.apply(change);
            if is_purge && journal.length() > COMPACT_FROM {
                let payloads: Result<Vec<_>, _> =
                    state.changes().iter().map(serde_json::to_vec).collect();
                journal.rewrite(&payloads?)?;
            }
            Ok(())
        })
    }

    /// The term of its vote, and the index of its last entry.
    pub fn term_and_last_index(&self) -> (u64, Option<u64>) {
        self.read(|state| {
            (state.vote.map_or(0, |vote| vote.leader_id.term), state.last().map(|last| last.index))
        })
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.0.lock().expect("nobody panicked").0)
    }
}

impl RaftLogReader<Config> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry<Config>>, StorageError<u64>> {
        Ok(self.read(|state| state.entries.range(range).map(|(_, entry)| entry.clone()).collect()))
    }
}

impl RaftLogStorage<Config> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Config>, StorageError<u64>> {
        Ok(self.read(|state| LogState {
            last_purged_log_id: state.purged,
            last_log_id: state
                .entries
                .last_key_value()
                .map(|(_, entry)| entry.log_id)
                .or(state.purged),
        }))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        self.change(Change::Vote(*vote)).map_err(|error| StorageIOError::write_vote(&error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        Ok(self.read(|state| state.vote))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<Config>,
    ) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Config>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let done = self.change(Change::Append(entries.into_iter().collect()));
        let error = done.as_ref().err().map(StorageIOError::write_logs);
        callback.log_io_completed(done);
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.change(Change::Truncate(from.index))
            .map_err(|error| StorageIOError::write_logs(&error).into())
    }

    async fn purge(&mut self, upto: LogId<u64>) -> Result<(), StorageError<u64>> {
        self.change(Change::Purge(upto)).map_err(|error| StorageIOError::write_logs(&error).into())
    }
}
