//! Remembers each session's last command and its reply, so that a retried command is applied once.
//!
//! The table is part of the replicated state (thesis §6.3): every server fills it by applying the
//! same log, so a retry that reaches another leader is recognised. A session is opened through the
//! log and named by the index of its entry; a client has one command in flight per session, with
//! rising sequence numbers, so the last one and its reply are all there is to keep.
//!
//! The table is bounded in number, in bytes of replies, and in time. Expiry is deterministic: the
//! session used longest ago, in log order, goes first, and its age is measured in the time that
//! leaders write into entries (thesis §6.3); no clock is read. A command of a forgotten session is
//! refused, never taken for a new one, which is why sessions must be opened: were any unknown
//! number accepted, a retry that arrives after its session expired would be applied a second time.
//! Costs O(log n) a command. A snapshot shares the table; the first command after it copies it.
//! Leaves out several commands in flight per session, and keeping an idle session alive.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::operation::{Failure, Reply};
use super::units::{Index, SessionId, Timestamp};

/// Sessions remembered at once.
pub const MAX_SESSIONS: usize = 4096;
/// Bytes of stored replies at once.
pub const MAX_REPLY_BYTES: usize = 64 << 20;

/// How long a session lasts after its last command, in the cluster's time. The same on all servers,
/// since it decides what they forget.
pub const SESSION_LIFE: Duration = Duration::from_secs(600);

/// The replicated table of sessions; cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    table: Arc<Table>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions by the index of the entry that last used them.
    by_use: BTreeMap<Index, SessionId>,
    reply_bytes: usize,
}

/// What is remembered of one session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The index of the entry that last used it, and that entry's time.
    pub(crate) used: Index,
    pub(crate) used_at: Timestamp,
    /// The last command applied and what it answered; none yet in a new session.
    pub(crate) last: Option<(u64, Reply)>,
}

/// What to do with a command of a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is new: apply it and [`Sessions::store`] the reply.
    Apply,
    /// It was applied before, or cannot be: answer this.
    Answer(Reply),
}

impl Sessions {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.sessions.len()
    }

    /// Opens the session that the entry at `index` asks for.
    pub(super) fn open(&mut self, index: Index, time: Timestamp) -> SessionId {
        let id = SessionId(index.0);
        self.restore(id, Session { used: index, used_at: time, last: None });
        Arc::make_mut(&mut self.table).bound();
        id
    }

    /// Adds a session as a snapshot has it.
    pub(crate) fn restore(&mut self, id: SessionId, session: Session) {
        let table = Arc::make_mut(&mut self.table);
        table.by_use.insert(session.used, id);
        table.reply_bytes += session.last.as_ref().map_or(0, |(_, reply)| reply.size());
        table.sessions.insert(id, session);
    }

    /// Judges the command that the entry at `index` carries, and counts it as a use.
    pub(super) fn judge(
        &mut self,
        index: Index,
        time: Timestamp,
        id: SessionId,
        sequence: u64,
    ) -> Verdict {
        let table = Arc::make_mut(&mut self.table);
        let Some(session) = table.sessions.get_mut(&id) else {
            return Verdict::Answer(Reply::Failure(Failure::NoSession));
        };
        table.by_use.remove(&session.used);
        table.by_use.insert(index, id);
        (session.used, session.used_at) = (index, time);
        match &session.last {
            Some((last, reply)) if *last == sequence => Verdict::Answer(reply.clone()),
            Some((last, _)) if *last > sequence => {
                Verdict::Answer(Reply::Failure(Failure::StaleSequence))
            }
            _ => Verdict::Apply,
        }
    }

    /// Keeps the reply of a command that [`Sessions::judge`] let through.
    pub(super) fn store(&mut self, id: SessionId, sequence: u64, reply: Reply) {
        let table = Arc::make_mut(&mut self.table);
        if let Some(session) = table.sessions.get_mut(&id) {
            table.reply_bytes += reply.size();
            let replaced = session.last.replace((sequence, reply));
            table.reply_bytes -= replaced.map_or(0, |(_, reply)| reply.size());
        }
        table.bound();
    }

    /// Forgets the sessions that were not used for too long.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some(session) = self.table.oldest()
            && session.used_at.after(SESSION_LIFE) <= now
        {
            Arc::make_mut(&mut self.table).forget_oldest();
        }
    }

    /// The session after this one, in the order of their numbers.
    pub(crate) fn next_after(&self, id: Option<SessionId>) -> Option<(SessionId, &Session)> {
        let lower = id.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.table.sessions.range((lower, Bound::Unbounded)).next();
        next.map(|(id, session)| (*id, session))
    }
}

impl Table {
    fn oldest(&self) -> Option<&Session> {
        let (_, id) = self.by_use.first_key_value()?;
        self.sessions.get(id)
    }

    fn forget_oldest(&mut self) {
        let Some((_, oldest)) = self.by_use.pop_first() else { return };
        let removed = self.sessions.remove(&oldest);
        let reply = removed.and_then(|session| session.last);
        self.reply_bytes -= reply.map_or(0, |(_, reply)| reply.size());
    }

    fn bound(&mut self) {
        while self.sessions.len() > MAX_SESSIONS || self.reply_bytes > MAX_REPLY_BYTES {
            self.forget_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn repeated_sequence_gets_the_stored_reply() {
        let mut sessions = Sessions::default();
        let id = sessions.open(Index(1), Timestamp(0));
        assert_eq!(sessions.judge(Index(2), Timestamp(0), id, 7), Verdict::Apply);
        sessions.store(id, 7, Reply::Integer(3));
        assert_eq!(
            sessions.judge(Index(3), Timestamp(0), id, 7),
            Verdict::Answer(Reply::Integer(3))
        );
    }

    #[test]
    fn earlier_sequence_is_refused() {
        let mut sessions = Sessions::default();
        let id = sessions.open(Index(1), Timestamp(0));
        sessions.store(id, 7, Reply::Ok);
        let stale = Verdict::Answer(Reply::Failure(Failure::StaleSequence));
        assert_eq!(sessions.judge(Index(3), Timestamp(0), id, 6), stale);
    }

    #[test]
    fn session_used_longest_ago_expires_and_is_then_refused() {
        let mut sessions = Sessions::default();
        let ids: Vec<_> =
            (1..=MAX_SESSIONS as u64).map(|i| sessions.open(Index(i), Timestamp(0))).collect();
        let used = Index(MAX_SESSIONS as u64 + 1);
        assert_eq!(sessions.judge(used, Timestamp(0), ids[0], 1), Verdict::Apply);
        sessions.open(used.next(), Timestamp(0));
        let gone = Verdict::Answer(Reply::Failure(Failure::NoSession));
        assert_eq!(sessions.judge(used.next().next(), Timestamp(0), ids[1], 1), gone);
        assert_eq!(sessions.judge(used.next().next(), Timestamp(0), ids[0], 1), Verdict::Apply);
    }

    #[test]
    fn stored_replies_are_bounded_in_bytes() {
        let mut sessions = Sessions::default();
        let value = Bytes::from(vec![0; MAX_REPLY_BYTES / 4]);
        for index in 1..=8 {
            let id = sessions.open(Index(index), Timestamp(0));
            sessions.store(id, 1, Reply::Value(value.clone()));
        }
        assert!(sessions.table.reply_bytes <= MAX_REPLY_BYTES);
        assert_eq!(sessions.table.sessions.len(), sessions.table.by_use.len());
        assert!(!sessions.table.sessions.is_empty());
    }

    #[test]
    fn session_not_used_for_its_life_is_forgotten() {
        let mut sessions = Sessions::default();
        let (idle, busy) =
            (sessions.open(Index(1), Timestamp(5)), sessions.open(Index(2), Timestamp(5)));
        let end = Timestamp(5).after(SESSION_LIFE);
        assert_eq!(sessions.judge(Index(3), Timestamp(6), busy, 1), Verdict::Apply);
        sessions.expire(Timestamp(end.0 - 1));
        assert_eq!(sessions.len(), 2);
        sessions.expire(end);
        let gone = Verdict::Answer(Reply::Failure(Failure::NoSession));
        assert_eq!(sessions.judge(Index(4), end, idle, 1), gone);
        assert_eq!(sessions.judge(Index(5), end, busy, 2), Verdict::Apply);
    }
}
