//! Watches every server after every step for what Raft promises (Figure 3 of the paper), at a cost
//! of O(1) per record, commit or election.
//!
//! The watcher sees no core from inside. It follows the records that servers persist, the messages
//! they send and the status they show, and keeps a copy of each log that is terms only:
//!
//! * *Log Matching* needs no comparison of logs: if index and term of an entry determine its content
//!   and the term before it, then by induction they determine everything before it. One table of
//!   all entries ever made is enough.
//! * *State Machine Safety*: the first server to commit an index says which entry is there; all
//!   others must agree.
//! * *Leader Completeness*: a new leader of term t must hold what was committed in terms before t.
//!   With Log Matching, the last such entry stands for all. What later terms committed is no
//!   business of a leader whose votes arrived late.
//! * *Election Safety*, *Leader Append-Only*, one vote per term, monotonic terms and commit indexes,
//!   and *durability*: what a server acknowledged must be there when it restarts.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::failure::Property;
use crate::codec::encode_entry;
use crate::core::log::{Entry, Payload};
use crate::core::membership::Configuration;
use crate::core::message::{AppendOutcome, Body, Message, VoteKind};
use crate::core::units::{Index, NodeId, Term};
use crate::core::{Banner, Record, Restored, Snapshot, SnapshotId};

/// The state is compared after every so many entries.
const STATES: u64 = 8;

/// What did not hold, if anything.
pub(super) type Verdict = Result<(), (Property, String)>;

/// All that is known of all servers.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    servers: Vec<Watched>,
    leaders: HashMap<Term, NodeId, Mixed>,
    votes: HashMap<(NodeId, Term), NodeId, Mixed>,
    /// For each entry ever made: a digest of its content and the term before it.
    entries: HashMap<(Index, Term), u64, Mixed>,
    /// For each committed index, from 1: the entry's term, and the term in which it was committed.
    committed: Vec<(Term, Term)>,
    /// Digests of the state after some of the indexes.
    states: HashMap<Index, u64, Mixed>,
    /// Used again and again, for the digests.
    encoded: Vec<u8>,
}

/// What is known of one server.
#[derive(Debug, Default)]
struct Watched {
    /// The last entry that is no more in the log, and its term.
    base: (Index, Term),
    /// The terms of the entries after it.
    terms: Vec<Term>,
    term: Term,
    commit: Index,
    /// The greatest term it ever voted in. Other messages need not wait for their term to be
    /// durable: a server that forgets a term in which it did not vote is as if that term had not
    /// reached it.
    spoken: Term,
    /// The last index of its present log that it ever acknowledged.
    acknowledged: (Index, Term),
    leads: bool,
    /// The configurations in its log, and the one before it where that is known.
    configurations: Vec<(Index, Arc<Configuration>)>,
    /// Whether a configuration was appended since the last turn.
    reconfigured: bool,
    /// The index whose state was looked at last.
    applied: Index,
}

impl Watched {
    fn last(&self) -> Index {
        self.base.0.plus(self.terms.len())
    }

    fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        let position = index.0.checked_sub(self.base.0.0 + 1)?;
        self.terms.get(usize::try_from(position).ok()?).copied()
    }

    /// Whether the configuration that it appended last, if as leader, was due.
    fn may_reconfigure(&self, banner: &Banner) -> Verdict {
        let Some(((last, _), earlier)) = self.configurations.split_last() else { return Ok(()) };
        if self.term_at(*last) != Some(banner.term) {
            return Ok(());
        }
        let before = earlier.last().map_or(Index::ZERO, |(index, _)| *index);
        check(banner.commit >= before, Property::Membership, || {
            format!("it changes the members at {last} before the change at {before} is committed")
        })?;
        check(self.term_at(banner.commit) == Some(banner.term), Property::Membership, || {
            format!("it changes the members at {last} before it committed an entry of its term")
        })
    }

    fn trim(&mut self, to: Index, term: Term) {
        if to <= self.base.0 {
            return;
        }
        if self.term_at(to) == Some(term) {
            let gone = usize::try_from(to.0 - self.base.0.0).unwrap_or(usize::MAX);
            self.terms.drain(..gone);
        } else {
            self.terms.clear();
            self.configurations.clear();
            self.acknowledged = self.acknowledged.min((to, term));
        }
        self.base = (to, term);
    }
}

impl Invariants {
    pub(super) fn new(size: usize) -> Self {
        Self { servers: (0..size).map(|_| Watched::default()).collect(), ..Self::default() }
    }

    /// How many entries are known to be committed.
    pub(super) fn committed(&self) -> usize {
        self.committed.len()
    }

    /// The last index of a server's log.
    pub(super) fn last(&self, server: usize) -> Index {
        self.servers[server].last()
    }

    /// The term of a server's entry.
    pub(super) fn term_at(&self, server: usize, index: Index) -> Option<Term> {
        self.servers[server].term_at(index)
    }

    /// A server went down: whether it leads is settled.
    pub(super) fn went_down(&mut self, server: usize) {
        self.servers[server].leads = false;
    }

    /// A server was started with what its disk holds.
    pub(super) fn restarted(&mut self, server: usize, restored: &Restored) -> Verdict {
        let snapshot = restored.snapshot.as_ref().map(Snapshot::id);
        let watched = &mut self.servers[server];
        watched.base = restored.base;
        watched.terms.clear();
        watched.terms.extend(restored.entries.iter().map(|entry| entry.term));
        let before =
            restored.snapshot.iter().map(|it| (it.configuration_index(), it.configuration()));
        let since = restored.entries.iter().filter_map(configuration);
        let covered = snapshot.map_or(Index::ZERO, |snapshot| snapshot.index);
        let newer = since.filter(|(index, _)| *index > covered);
        let known = before.chain(newer).map(|(index, members)| (index, members.clone()));
        watched.configurations = known.collect();
        watched.reconfigured = false;
        let newest = restored.entries.last().map_or(Term(0), |entry| entry.term);
        check(restored.term >= newest, Property::TermMonotonicity, || {
            format!("it restarts in term {} with an entry of term {newest}", restored.term)
        })?;
        (watched.term, watched.commit, watched.applied) = (restored.term, covered, covered);
        let (term, spoken) = (watched.term, watched.spoken);
        check(term >= spoken, Property::TermMonotonicity, || {
            format!("it restarts in term {term} and voted in term {spoken}")
        })?;
        let (promised, before) = watched.acknowledged;
        let kept = promised <= covered || watched.term_at(promised) == Some(before);
        let after = watched.term_at(promised);
        check(kept || promised == Index::ZERO, Property::Durability, || {
            format!("it acknowledged entry {promised} of term {before}, now {after:?}")
        })?;
        snapshot.map_or(Ok(()), |snapshot| self.covered(snapshot))
    }

    /// A server has a snapshot: all that it covers must be committed.
    pub(super) fn covered(&self, snapshot: SnapshotId) -> Verdict {
        let SnapshotId { index, term } = snapshot;
        let Some(position) = index.0.checked_sub(1) else { return Ok(()) };
        let found = self.committed.get(usize::try_from(position).unwrap_or(usize::MAX));
        check(found.is_some_and(|(found, _)| *found == term), Property::StateMachineSafety, || {
            format!("it has a snapshot {snapshot}, where {found:?} is committed")
        })
    }

    /// A server's state includes the log up to an index: all servers' states there are the same.
    pub(super) fn applied(
        &mut self,
        server: usize,
        applied: Index,
        digest: impl FnOnce() -> u64,
    ) -> Verdict {
        let watched = &mut self.servers[server];
        // Not every index, for the digest looks at the whole state.
        if applied == watched.applied || !applied.0.is_multiple_of(STATES) {
            return Ok(());
        }
        watched.applied = applied;
        let digest = digest();
        let known = *self.states.entry(applied).or_insert(digest);
        check(known == digest, Property::StateMachineSafety, || {
            format!("its state after entry {applied} is not that of another server")
        })
    }

    /// A server changed what it keeps on its disk.
    pub(super) fn recorded(&mut self, server: usize, record: &Record) -> Verdict {
        match record {
            Record::HardState { .. } | Record::Boot(_) => Ok(()),
            Record::Append(entry) => self.appended(server, entry),
            Record::Trim { to, term } => {
                self.servers[server].trim(*to, *term);
                Ok(())
            }
            Record::Truncate { from } => {
                let watched = &mut self.servers[server];
                let keep = from.0.saturating_sub(watched.base.0.0 + 1);
                watched.terms.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
                watched.configurations.retain(|(index, _)| index < from);
                if watched.acknowledged.0 >= *from {
                    let last = watched.last();
                    let term = watched.term_at(last).unwrap_or_default();
                    watched.acknowledged = (last, term);
                }
                check(!watched.leads, Property::LeaderAppendOnly, || {
                    format!("it cut its log at {from} while it led term {}", watched.term)
                })
            }
        }
    }

    fn appended(&mut self, server: usize, entry: &Entry) -> Verdict {
        let watched = &mut self.servers[server];
        let (last, index, term) = (watched.last(), entry.index, entry.term);
        check(index == last.next(), Property::LogMatching, || {
            format!("entry {index} follows entry {last}")
        })?;
        let previous = watched.term_at(last).unwrap_or_default();
        watched.terms.push(term);
        if let Some((_, members)) = configuration(entry) {
            watched.configurations.push((index, members.clone()));
            watched.reconfigured = true;
        }
        self.encoded.clear();
        encode_entry(entry, &mut self.encoded);
        let mut digest = Mix::default();
        digest.write_u64(previous.0);
        digest.write(&self.encoded);
        let digest = digest.finish();
        let known = *self.entries.entry((index, term)).or_insert(digest);
        check(known == digest, Property::LogMatching, || {
            format!(
                "entry {index} of term {term} differs from another server's, or what precedes it"
            )
        })
    }

    /// A server won an election.
    pub(super) fn elected(
        &mut self,
        server: usize,
        banner: &Banner,
        members: &Configuration,
    ) -> Verdict {
        let term = banner.term;
        let latest = self.servers[server].configurations.last();
        check(latest.is_none_or(|(_, it)| **it == *members), Property::Membership, || {
            format!("it leads by {members}, which is not the latest configuration in its log")
        })?;
        let first = *self.leaders.entry(term).or_insert(banner.server);
        check(first == banner.server, Property::ElectionSafety, || {
            format!("servers {first} and {} lead term {term}", banner.server)
        })?;
        // Late votes can elect a leader of a term that is over: it owes only what came before.
        let earlier = self.committed.iter().rposition(|(_, committed_in)| *committed_in < term);
        let Some(position) = earlier else { return Ok(()) };
        let (index, expected) = (Index(position as u64 + 1), self.committed[position].0);
        let watched = &self.servers[server];
        let found = watched.term_at(index);
        let covered = index <= watched.base.0 || found == Some(expected);
        check(covered, Property::LeaderCompleteness, || {
            format!("the leader of term {term} lacks entry {index} of term {expected}: {found:?}")
        })
    }

    /// A server sends a message.
    pub(super) fn sent(
        &mut self,
        server: usize,
        id: NodeId,
        to: NodeId,
        message: &Message,
    ) -> Verdict {
        let watched = &mut self.servers[server];
        match &message.body {
            Body::Vote { granted: true, pre: false } => {
                watched.spoken = watched.spoken.max(message.term);
                let first = *self.votes.entry((id, message.term)).or_insert(to);
                check(first == to, Property::OneVotePerTerm, || {
                    format!("it votes for {first} and for {to} in term {}", message.term)
                })
            }
            Body::RequestVote { ballot, .. } if *ballot != VoteKind::Pre => {
                watched.spoken = watched.spoken.max(message.term);
                let first = *self.votes.entry((id, message.term)).or_insert(id);
                check(first == id, Property::OneVotePerTerm, || {
                    format!("it votes for {first} and for itself in term {}", message.term)
                })
            }
            Body::Appended { outcome: AppendOutcome::Accepted { matched }, .. } => {
                let last = watched.last();
                let matched = (*matched).min(last);
                if matched > watched.acknowledged.0 {
                    let term = watched.term_at(matched).unwrap_or_default();
                    watched.acknowledged = (matched, term);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A server shows where it stands after a turn.
    pub(super) fn shown(&mut self, server: usize, banner: &Banner, leads: bool) -> Verdict {
        let watched = &mut self.servers[server];
        let (term, commit) = (watched.term, watched.commit);
        watched.leads = leads;
        if std::mem::take(&mut watched.reconfigured) && leads {
            watched.may_reconfigure(banner)?;
        }
        if (banner.term, banner.commit) == (term, commit) {
            return Ok(());
        }
        (watched.term, watched.commit) = (banner.term, banner.commit);
        check(banner.term >= term, Property::TermMonotonicity, || {
            format!("its term falls from {term} to {}", banner.term)
        })?;
        check(banner.commit >= commit, Property::CommitMonotonicity, || {
            format!("its commit index falls from {commit} to {}", banner.commit)
        })?;
        for index in commit.0 + 1..=banner.commit.0 {
            self.commit(server, Index(index), banner.term)?;
        }
        Ok(())
    }

    fn commit(&mut self, server: usize, index: Index, term: Term) -> Verdict {
        let watched = &self.servers[server];
        if index <= watched.base.0 {
            return Ok(());
        }
        let found = watched.term_at(index);
        let Some(found) = found else {
            return Err((
                Property::StateMachineSafety,
                format!("it commits {index}, past the end of its log"),
            ));
        };
        let position = usize::try_from(index.0 - 1).unwrap_or(usize::MAX);
        let Some((expected, _)) = self.committed.get(position) else {
            self.committed.push((found, term));
            return Ok(());
        };
        check(*expected == found, Property::StateMachineSafety, || {
            format!("it commits entry {index} of term {found}, another server that of {expected}")
        })
    }
}

/// The configuration that an entry brings, if any.
fn configuration(entry: &Entry) -> Option<(Index, &Arc<Configuration>)> {
    match &entry.payload {
        Payload::Configuration(members) => Some((entry.index, members)),
        _ => None,
    }
}

fn check(holds: bool, property: Property, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err((property, what())) }
}

/// A fast hasher without a secret: the same on every machine.
pub(super) type Mixed = BuildHasherDefault<Mix>;

/// Multiplies and rotates, as Firefox's hasher does, with a last avalanche.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mix(pub(super) u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.write_u64(u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
        }
        for byte in chunks.remainder() {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
