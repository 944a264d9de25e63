//! Remembers each session's last command and its reply, so that a retried command is applied once.
//!
//! The table is part of the replicated state (thesis §6.3): every server fills it by applying the
//! same log, so a retry that reaches another leader is recognised. A session is opened through the
//! log and named by the index of its entry; a client has one command in flight per session, with
//! rising sequence numbers, so the last one and its reply are all there is to keep.
//!
//! The table is bounded in number and in bytes of replies. Expiry is deterministic: the session
//! used longest ago, in log order, goes first; no clock is read. A command of a forgotten session
//! is refused, never taken for a new one, which is why sessions must be opened: were any unknown
//! number accepted, a retry that arrives after its session expired would be applied a second time.
//! Costs O(log n) a command. Leaves out several commands in flight per session.

use std::collections::BTreeMap;

use super::operation::{Failure, Reply};
use super::units::{Index, SessionId};

/// Sessions remembered at once.
pub const MAX_SESSIONS: usize = 4096;
/// Bytes of stored replies at once.
pub const MAX_REPLY_BYTES: usize = 64 << 20;

/// The replicated table of sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions by the index of the entry that last used them.
    by_use: BTreeMap<Index, SessionId>,
    reply_bytes: usize,
}

#[derive(Debug)]
struct Session {
    used: Index,
    /// The last command applied and what it answered; none yet in a new session.
    last: Option<(u64, Reply)>,
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
    /// Opens the session that the entry at `index` asks for.
    pub(super) fn open(&mut self, index: Index) -> SessionId {
        let id = SessionId(index.0);
        self.sessions.insert(id, Session { used: index, last: None });
        self.by_use.insert(index, id);
        self.expire();
        id
    }

    /// Judges the command that the entry at `index` carries, and counts it as a use.
    pub(super) fn judge(&mut self, index: Index, id: SessionId, sequence: u64) -> Verdict {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Verdict::Answer(Reply::Failure(Failure::NoSession));
        };
        self.by_use.remove(&session.used);
        self.by_use.insert(index, id);
        session.used = index;
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
        if let Some(session) = self.sessions.get_mut(&id) {
            self.reply_bytes += reply.size();
            let replaced = session.last.replace((sequence, reply));
            self.reply_bytes -= replaced.map_or(0, |(_, reply)| reply.size());
        }
        self.expire();
    }

    fn expire(&mut self) {
        while self.sessions.len() > MAX_SESSIONS || self.reply_bytes > MAX_REPLY_BYTES {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            let removed = self.sessions.remove(&oldest);
            let reply = removed.and_then(|session| session.last);
            self.reply_bytes -= reply.map_or(0, |(_, reply)| reply.size());
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
        let id = sessions.open(Index(1));
        assert_eq!(sessions.judge(Index(2), id, 7), Verdict::Apply);
        sessions.store(id, 7, Reply::Integer(3));
        assert_eq!(sessions.judge(Index(3), id, 7), Verdict::Answer(Reply::Integer(3)));
    }

    #[test]
    fn earlier_sequence_is_refused() {
        let mut sessions = Sessions::default();
        let id = sessions.open(Index(1));
        sessions.store(id, 7, Reply::Ok);
        let stale = Verdict::Answer(Reply::Failure(Failure::StaleSequence));
        assert_eq!(sessions.judge(Index(3), id, 6), stale);
    }

    #[test]
    fn session_used_longest_ago_expires_and_is_then_refused() {
        let mut sessions = Sessions::default();
        let ids: Vec<_> = (1..=MAX_SESSIONS as u64).map(|i| sessions.open(Index(i))).collect();
        let used = Index(MAX_SESSIONS as u64 + 1);
        assert_eq!(sessions.judge(used, ids[0], 1), Verdict::Apply);
        sessions.open(used.next());
        let gone = Verdict::Answer(Reply::Failure(Failure::NoSession));
        assert_eq!(sessions.judge(used.next().next(), ids[1], 1), gone);
        assert_eq!(sessions.judge(used.next().next(), ids[0], 1), Verdict::Apply);
    }

    #[test]
    fn stored_replies_are_bounded_in_bytes() {
        let mut sessions = Sessions::default();
        let value = Bytes::from(vec![0; MAX_REPLY_BYTES / 4]);
        for index in 1..=8 {
            let id = sessions.open(Index(index));
            sessions.store(id, 1, Reply::Value(value.clone()));
        }
        assert!(sessions.reply_bytes <= MAX_REPLY_BYTES);
        assert_eq!(sessions.sessions.len(), sessions.by_use.len());
        assert!(!sessions.sessions.is_empty());
    }
}
