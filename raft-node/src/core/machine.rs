//! Applies committed entries, in log order, to the keys and the sessions.
//!
//! A pure function of the log: no clock, no randomness, nothing of the server it runs on, so that
//! all servers pass through the same states (State Machine Safety, Raft §5.4.3). What expires does
//! so by the time that the leader wrote into the entry. The index of the last applied entry is part
//! of the state. A clone shares its memory with the original, copy on write.

use bytes::{Bytes, BytesMut};

use super::MAX_VALUE_BYTES;
use super::log::{Entry, Payload};
use super::operation::{Command, Failure, Reply, Write};
use super::sessions::{Sessions, Verdict};
use super::units::{Index, Timestamp};
use super::values::Values;
use crate::mutations::{Mutation, Mutations};

/// The replicated state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) applied: Index,
    /// The time of the last entry applied.
    pub(crate) time: Timestamp,
    pub(crate) values: Values,
    pub(crate) sessions: Sessions,
}

impl Machine {
    /// The index of the last entry applied.
    pub(super) fn applied(&self) -> Index {
        self.applied
    }

    /// Reads a key's present value.
    pub(super) fn read(&self, key: &Bytes) -> Reply {
        self.values.get(key).map_or(Reply::Nil, |value| Reply::Value(value.clone()))
    }

    /// Applies the next entry, at the time given, and says what to answer whoever asked for it.
    pub(super) fn apply(&mut self, entry: &Entry, time: Timestamp, mutations: Mutations) -> Reply {
        assert_eq!(entry.index, self.applied.next(), "entries are applied in order, once each");
        self.applied = entry.index;
        self.time = self.time.max(time);
        self.values.expire(self.time);
        self.sessions.expire(self.time);
        match &entry.payload {
            Payload::Noop | Payload::Configuration(_) => Reply::Ok,
            Payload::Write(Write::Plain(command)) => self.execute(command),
            Payload::Write(Write::OpenSession) => {
                let id = self.sessions.open(entry.index, self.time);
                Reply::Integer(i64::try_from(id.0).expect("an index fits 63 bits"))
            }
            Payload::Write(Write::Once { session, sequence, command }) => {
                let verdict = self.sessions.judge(entry.index, self.time, *session, *sequence);
                match verdict {
                    Verdict::Answer(reply) if !mutations.has(Mutation::NoDedup) => reply,
                    _ => {
                        let reply = self.execute(command);
                        self.sessions.store(*session, *sequence, reply.clone());
                        reply
                    }
                }
            }
        }
    }

    fn execute(&mut self, command: &Command) -> Reply {
        match command {
            Command::Set { key, value, expected, get } => {
                self.set(key, value, expected.as_ref(), *get)
            }
            Command::Append { key, suffix } => self.append(key, suffix),
            Command::Delete { keys } => {
                let existed = keys.iter().filter(|key| self.values.remove(key)).count();
                Reply::Integer(i64::try_from(existed).expect("a request names few keys"))
            }
            Command::Increment { key } => self.increment(key),
            Command::Expire { key, life } => {
                let exists = self.values.get(key).is_some();
                if exists {
                    self.values.set_expiry(key, Some(self.time.after(*life)));
                }
                Reply::Integer(i64::from(exists))
            }
        }
    }

    fn set(&mut self, key: &Bytes, value: &Bytes, expected: Option<&Bytes>, get: bool) -> Reply {
        let seen = self.values.get(key).cloned();
        let set = expected.is_none() || seen.as_ref() == expected;
        if set {
            self.values.insert(key, value.clone());
        }
        match (get, seen) {
            (true, Some(seen)) => Reply::Value(seen),
            (true, None) => Reply::Nil,
            (false, _) if set => Reply::Ok,
            (false, _) => Reply::Nil,
        }
    }

    fn append(&mut self, key: &Bytes, suffix: &Bytes) -> Reply {
        let old = self.values.get(key).map_or(&[][..], |value| value);
        let length = old.len() + suffix.len();
        if length > MAX_VALUE_BYTES {
            return Reply::Failure(Failure::ValueTooLong);
        }
        let mut value = BytesMut::with_capacity(length);
        value.extend_from_slice(old);
        value.extend_from_slice(suffix);
        self.values.replace(key, value.freeze());
        Reply::Integer(i64::try_from(length).expect("a value's length is bounded"))
    }

    fn increment(&mut self, key: &Bytes) -> Reply {
        let old = match self.values.get(key) {
            None => 0,
            Some(value) => match decimal(value) {
                Some(number) => number,
                None => return Reply::Failure(Failure::NotAnInteger),
            },
        };
        let Some(new) = old.checked_add(1) else {
            return Reply::Failure(Failure::Overflow);
        };
        self.values.replace(key, Bytes::from(new.to_string()));
        Reply::Integer(new)
    }
}

/// Parses a number as Redis stores it: no sign but a minus, no leading zeros, no spaces.
fn decimal(bytes: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::super::units::{SessionId, Term};
    use super::*;

    fn apply(machine: &mut Machine, write: Write) -> Reply {
        apply_at(machine, 0, write)
    }

    fn apply_at(machine: &mut Machine, time: u64, write: Write) -> Reply {
        let (index, time) = (machine.applied().next(), Timestamp(time));
        let entry = Entry { index, term: Term(1), time, payload: Payload::Write(write) };
        machine.apply(&entry, time, Mutations::default())
    }

    fn run(machine: &mut Machine, command: Command) -> Reply {
        apply(machine, Write::Plain(command))
    }

    fn set(key: &'static str, value: &'static str) -> Command {
        Command::Set { key: key.into(), value: value.into(), expected: None, get: false }
    }

    fn swap(value: &'static str, expected: &'static str, get: bool) -> Command {
        Command::Set { key: "k".into(), value: value.into(), expected: Some(expected.into()), get }
    }

    fn increment() -> Command {
        Command::Increment { key: "k".into() }
    }

    #[test]
    fn compare_and_set_answers_the_value_it_saw() {
        let mut machine = Machine::default();
        assert_eq!(run(&mut machine, swap("b", "a", true)), Reply::Nil);
        assert_eq!(machine.read(&"k".into()), Reply::Nil);
        run(&mut machine, set("k", "a"));
        assert_eq!(run(&mut machine, swap("b", "a", true)), Reply::Value("a".into()));
        assert_eq!(run(&mut machine, swap("c", "a", true)), Reply::Value("b".into()));
        assert_eq!(machine.read(&"k".into()), Reply::Value("b".into()));
    }

    #[test]
    fn compare_and_set_without_get_answers_ok_or_nil() {
        let mut machine = Machine::default();
        run(&mut machine, set("k", "a"));
        assert_eq!(run(&mut machine, swap("b", "x", false)), Reply::Nil);
        assert_eq!(run(&mut machine, swap("b", "a", false)), Reply::Ok);
    }

    #[test]
    fn increment_refuses_what_is_no_number() {
        let mut machine = Machine::default();
        assert_eq!(run(&mut machine, increment()), Reply::Integer(1));
        run(&mut machine, set("k", "007"));
        assert_eq!(run(&mut machine, increment()), Reply::Failure(Failure::NotAnInteger));
        run(&mut machine, set("k", "9223372036854775807"));
        assert_eq!(run(&mut machine, increment()), Reply::Failure(Failure::Overflow));
    }

    #[test]
    fn append_past_the_limit_changes_nothing() {
        let mut machine = Machine::default();
        let half = Bytes::from(vec![b'x'; MAX_VALUE_BYTES / 2 + 1]);
        let append = Command::Append { key: "k".into(), suffix: half.clone() };
        assert!(matches!(run(&mut machine, append.clone()), Reply::Integer(_)));
        assert_eq!(run(&mut machine, append), Reply::Failure(Failure::ValueTooLong));
        assert_eq!(machine.read(&"k".into()), Reply::Value(half));
    }

    #[test]
    fn key_named_twice_is_deleted_once() {
        let mut machine = Machine::default();
        run(&mut machine, set("k", "a"));
        let keys = vec!["k".into(), "k".into(), "missing".into()];
        assert_eq!(run(&mut machine, Command::Delete { keys }), Reply::Integer(1));
    }

    #[test]
    fn retried_command_of_a_session_is_applied_once() {
        let mut machine = Machine::default();
        assert_eq!(apply(&mut machine, Write::OpenSession), Reply::Integer(1));
        let once = |sequence| Write::Once { session: SessionId(1), sequence, command: increment() };
        assert_eq!(apply(&mut machine, once(1)), Reply::Integer(1));
        assert_eq!(apply(&mut machine, once(1)), Reply::Integer(1));
        assert_eq!(apply(&mut machine, once(2)), Reply::Integer(2));
        assert_eq!(apply(&mut machine, once(1)), Reply::Failure(Failure::StaleSequence));
        assert_eq!(machine.read(&"k".into()), Reply::Value("2".into()));
    }

    #[test]
    fn key_expires_by_the_time_of_the_entries() {
        let mut machine = Machine::default();
        let life = std::time::Duration::from_millis(100);
        let expire = Command::Expire { key: "k".into(), life };
        assert_eq!(run(&mut machine, expire.clone()), Reply::Integer(0));
        run(&mut machine, set("k", "a"));
        assert_eq!(apply_at(&mut machine, 50, Write::Plain(expire)), Reply::Integer(1));
        apply_at(&mut machine, 149, Write::Plain(set("other", "b")));
        assert_eq!(machine.read(&"k".into()), Reply::Value("a".into()));
        apply_at(&mut machine, 150, Write::Plain(set("other", "b")));
        assert_eq!(machine.read(&"k".into()), Reply::Nil);
    }
}
