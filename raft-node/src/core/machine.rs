//! Applies committed entries, in log order, to the keys and the sessions.
//!
//! A pure function of the log: no clock, no randomness, nothing of the server it runs on, so that
//! all servers pass through the same states (State Machine Safety, Raft §5.4.3). What expires does
//! so by the time that the leader wrote into the entry. The index of the last applied entry is part
//! of the state. A clone shares its memory with the original, copy on write.

use bytes::{Bytes, BytesMut};

use super::log::{Entry, Payload};
use super::operation::{Command, Condition, Expiry, Failure, Query, Reply, Write};
use super::sessions::{Sessions, Verdict};
use super::units::{Index, Timestamp};
use super::value::Value;
use super::values::Values;
use super::{MAX_READ_BYTES, MAX_VALUE_BYTES};
use crate::mutations::{Mutation, Mutations};

/// The replicated state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) applied: Index,
    /// The time of the last entry applied.
    pub(crate) time: Timestamp,
    pub(crate) values: Values,
    pub(crate) sessions: Sessions,
    /// What a planted bug applies only behind the next entry.
    pub(crate) held_back: Option<Command>,
}

impl Machine {
    /// The index of the last entry applied.
    pub(super) fn applied(&self) -> Index {
        self.applied
    }

    /// Reads the present state, at a moment of the cluster's time.
    pub(super) fn read(&self, query: &Query, now: Timestamp) -> Reply {
        match query {
            Query::Value(key) => self.value(key),
            Query::Values(keys) => self.values_of(keys),
            Query::Count(keys) => {
                count(keys.iter().filter(|key| self.values.get(key).is_some()).count())
            }
            Query::Expiry(key) => Reply::Integer(match self.values.expiry(key) {
                // Until an entry comes that says so, a key whose time is over is still there.
                Some(at) => i64::try_from(at.millis_since(now)).unwrap_or(i64::MAX),
                None if self.values.get(key).is_some() => -1,
                None => -2,
            }),
            Query::Type(key) => self.values.get(key).map_or(Reply::Nil, |value| {
                Reply::Value(Bytes::from_static(value.type_name().as_bytes()))
            }),
            Query::Range { .. }
            | Query::Length(_)
            | Query::Members(_)
            | Query::Cardinality(_)
            | Query::Contains { .. } => or_failure(self.read_elements(query)),
        }
    }

    /// A key's present string.
    pub(super) fn value(&self, key: &Bytes) -> Reply {
        match self.values.get(key) {
            Some(Value::String(string)) => Reply::Value(string.clone()),
            None => Reply::Nil,
            Some(Value::Collection(_)) => Reply::Failure(Failure::WrongType),
        }
    }

    /// The same, to be looked at.
    fn string(&self, key: &Bytes) -> Result<Option<&Bytes>, Failure> {
        match self.values.get(key) {
            Some(Value::String(string)) => Ok(Some(string)),
            None => Ok(None),
            Some(Value::Collection(_)) => Err(Failure::WrongType),
        }
    }

    fn values_of(&self, keys: &[Bytes]) -> Reply {
        let mut bytes = 0;
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            // Redis, too, has no error here for a key of another type.
            let value = self.string(key).unwrap_or_default().cloned();
            bytes += value.as_ref().map_or(0, Bytes::len);
            if bytes > MAX_READ_BYTES {
                return Reply::Failure(Failure::ReadTooLong);
            }
            values.push(value);
        }
        Reply::Values(values)
    }

    /// Applies the next entry, at the time given, and returns the answer for the client that asked
    /// for it.
    pub(super) fn apply(&mut self, entry: &Entry, time: Timestamp, mutations: Mutations) -> Reply {
        assert_eq!(entry.index, self.applied.next(), "entries are applied in order, once each");
        self.applied = entry.index;
        self.time = self.time.max(time);
        self.values.expire(self.time);
        self.sessions.expire(self.time);
        let held_back = self.held_back.take();
        let reply = match &entry.payload {
            Payload::Noop | Payload::Configuration(_) => Reply::Ok,
            Payload::Write(write) => self.write(entry.index, write, mutations),
        };
        if let Some(command) = held_back {
            self.execute(&command, MAX_READ_BYTES);
        }
        reply
    }

    /// Counts the next entry as applied and does nothing of what it says: only a planted bug does.
    pub(super) fn skip(&mut self, entry: &Entry) -> Reply {
        self.applied = entry.index;
        Reply::Ok
    }

    fn write(&mut self, index: Index, write: &Write, mutations: Mutations) -> Reply {
        match write {
            Write::Plain(command) => self.carry_out(command, mutations),
            Write::OpenSession => {
                let id = self.sessions.open(index, self.time);
                Reply::Integer(i64::try_from(id.0).expect("an index fits 63 bits"))
            }
            Write::Once { session, sequence, command } => {
                match self.sessions.judge(index, self.time, *session, *sequence) {
                    Verdict::Answer(reply) if !mutations.has(Mutation::NoDedup) => reply,
                    _ => {
                        let reply = self.carry_out(command, mutations);
                        self.sessions.store(*session, *sequence, reply.clone());
                        reply
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, command: &Command, mutations: Mutations) -> Reply {
        match command {
            Command::Transaction { steps } => self.transact_with(steps, mutations),
            command => self.execute(command, MAX_READ_BYTES),
        }
    }

    /// Carries out a command whose answer has so many bytes of room; one that would answer more
    /// changes nothing.
    pub(super) fn execute(&mut self, command: &Command, room: usize) -> Reply {
        match command {
            Command::Set { key, value, condition, expiry, get } => {
                or_failure(self.set_if((key, value), condition, *expiry, get.then_some(room)))
            }
            Command::SetMany { pairs } => {
                pairs.iter().for_each(|(key, value)| self.values.insert(key, value.clone().into()));
                Reply::Ok
            }
            Command::Append { key, suffix } => or_failure(self.append(key, suffix)),
            Command::Delete { keys } => {
                count(keys.iter().filter(|key| self.values.remove(key)).count())
            }
            Command::Take { key } => or_failure(self.take(key, room)),
            Command::Add { key, amount } => or_failure(self.add(key, *amount)),
            Command::Expire { key, life } => {
                let exists = self.values.get(key).is_some();
                if life.is_zero() {
                    self.values.remove(key);
                } else if exists {
                    self.values.set_expiry(key, Some(self.time.after(*life)));
                }
                Reply::Integer(i64::from(exists))
            }
            Command::Persist { key } => {
                let expires = self.values.expiry(key).is_some();
                self.values.set_expiry(key, None);
                Reply::Integer(i64::from(expires))
            }
            Command::DeleteIf { key, value, equal } => {
                or_failure(self.delete_if(key, value, *equal))
            }
            Command::Push { .. }
            | Command::Pop { .. }
            | Command::AddMembers { .. }
            | Command::RemoveMembers { .. } => or_failure(self.change_elements(command, room)),
            Command::Transaction { steps } => self.transact(steps),
        }
    }

    /// Sets a key if a condition holds. With room for it the value before is answered, which must be
    /// a string then.
    fn set_if(
        &mut self,
        (key, value): (&Bytes, &Bytes),
        condition: &Condition,
        expiry: Expiry,
        get: Option<usize>,
    ) -> Result<Reply, Failure> {
        let before = match get {
            Some(room) => Some(self.seen(key, room)?),
            None => None,
        };
        let holds = self.holds(key, condition)?;
        if holds {
            self.set(key, value, expiry);
        }
        Ok(before.unwrap_or(if holds { Reply::Ok } else { Reply::Nil }))
    }

    /// A key's string, to be answered by a command that then changes it.
    fn seen(&self, key: &Bytes, room: usize) -> Result<Reply, Failure> {
        match self.string(key)? {
            None => Ok(Reply::Nil),
            Some(string) if string.len() <= room => Ok(Reply::Value(string.clone())),
            Some(_) => Err(Failure::ReadTooLong),
        }
    }

    fn take(&mut self, key: &Bytes, room: usize) -> Result<Reply, Failure> {
        let before = self.seen(key, room)?;
        self.values.remove(key);
        Ok(before)
    }

    fn delete_if(&mut self, key: &Bytes, value: &Bytes, equal: bool) -> Result<Reply, Failure> {
        let deletes = self.string(key)?.is_some_and(|found| (found == value) == equal);
        if deletes {
            self.values.remove(key);
        }
        Ok(Reply::Integer(i64::from(deletes)))
    }

    fn holds(&self, key: &Bytes, condition: &Condition) -> Result<bool, Failure> {
        // Most writes have no condition, and looking for a key is most of what applying one costs.
        match condition {
            Condition::Always => Ok(true),
            Condition::Equals(expected) => Ok(self.string(key)? == Some(expected)),
            Condition::Missing => Ok(self.values.get(key).is_none()),
            Condition::Exists => Ok(self.values.get(key).is_some()),
        }
    }

    fn set(&mut self, key: &Bytes, value: &Bytes, expiry: Expiry) {
        match expiry {
            Expiry::Never => self.values.insert(key, value.clone().into()),
            Expiry::Kept => self.values.replace(key, value.clone().into()),
            Expiry::After(life) => {
                self.values.replace(key, value.clone().into());
                self.values.set_expiry(key, Some(self.time.after(life)));
            }
        }
    }

    fn append(&mut self, key: &Bytes, suffix: &Bytes) -> Result<Reply, Failure> {
        let old = self.string(key)?.map_or(&[][..], |value| value);
        let length = old.len() + suffix.len();
        if length > MAX_VALUE_BYTES {
            return Err(Failure::ValueTooLong);
        }
        let mut value = BytesMut::with_capacity(length);
        value.extend_from_slice(old);
        value.extend_from_slice(suffix);
        self.values.replace(key, value.freeze().into());
        Ok(count(length))
    }

    fn add(&mut self, key: &Bytes, amount: i64) -> Result<Reply, Failure> {
        let old = match self.string(key)? {
            None => 0,
            Some(value) => decimal(value).ok_or(Failure::NotAnInteger)?,
        };
        let new = old.checked_add(amount).ok_or(Failure::Overflow)?;
        self.values.replace(key, Bytes::from(new.to_string()).into());
        Ok(Reply::Integer(new))
    }
}

/// A number of keys, elements or bytes.
pub(super) fn count(of: usize) -> Reply {
    Reply::Integer(i64::try_from(of).expect("what is in memory can be counted"))
}

pub(super) fn or_failure(result: Result<Reply, Failure>) -> Reply {
    result.unwrap_or_else(Reply::Failure)
}

/// Parses a number as Redis stores it: no sign but a minus, no leading zeros, no spaces.
fn decimal(bytes: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::units::{SessionId, Term};
    use super::*;

    fn apply(machine: &mut Machine, write: Write) -> Reply {
        apply_at(machine, 0, write)
    }

    fn apply_at(machine: &mut Machine, time: u64, write: Write) -> Reply {
        let (index, time) = (machine.applied().next(), Timestamp(time));
        let entry = Entry { index, term: Term(1), time, payload: Payload::Write(Arc::new(write)) };
        machine.apply(&entry, time, Mutations::default())
    }

    fn run(machine: &mut Machine, command: Command) -> Reply {
        apply(machine, Write::Plain(command))
    }

    fn set(key: &'static str, value: &'static str) -> Command {
        Command::set(key.into(), value.into())
    }

    fn set_if(value: &'static str, condition: Condition, get: bool) -> Command {
        let expiry = Expiry::Never;
        Command::Set { key: "k".into(), value: value.into(), condition, expiry, get }
    }

    fn swap(value: &'static str, expected: &'static str, get: bool) -> Command {
        set_if(value, Condition::Equals(expected.into()), get)
    }

    fn set_until(value: &'static str, expiry: Expiry) -> Command {
        let (key, condition) = ("k".into(), Condition::Always);
        Command::Set { key, value: value.into(), condition, expiry, get: false }
    }

    fn increment() -> Command {
        Command::Add { key: "k".into(), amount: 1 }
    }

    fn read(machine: &Machine, key: &'static str) -> Reply {
        machine.read(&Query::Value(key.into()), machine.time)
    }

    fn expiry(machine: &Machine, now: u64) -> Reply {
        machine.read(&Query::Expiry("k".into()), Timestamp(now))
    }

    #[test]
    fn compare_and_set_answers_the_value_it_saw() {
        let mut machine = Machine::default();
        assert_eq!(run(&mut machine, swap("b", "a", true)), Reply::Nil);
        assert_eq!(read(&machine, "k"), Reply::Nil);
        run(&mut machine, set("k", "a"));
        assert_eq!(run(&mut machine, swap("b", "a", true)), Reply::Value("a".into()));
        assert_eq!(run(&mut machine, swap("c", "a", true)), Reply::Value("b".into()));
        assert_eq!(read(&machine, "k"), Reply::Value("b".into()));
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
        assert_eq!(read(&machine, "k"), Reply::Value(half));
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
        assert_eq!(read(&machine, "k"), Reply::Value("2".into()));
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
        assert_eq!(read(&machine, "k"), Reply::Value("a".into()));
        apply_at(&mut machine, 150, Write::Plain(set("other", "b")));
        assert_eq!(read(&machine, "k"), Reply::Nil);
    }

    #[test]
    fn condition_on_a_missing_or_existing_key_decides_whether_it_is_set() {
        let mut machine = Machine::default();
        assert_eq!(run(&mut machine, set_if("a", Condition::Exists, false)), Reply::Nil);
        assert_eq!(read(&machine, "k"), Reply::Nil);
        assert_eq!(run(&mut machine, set_if("a", Condition::Missing, true)), Reply::Nil);
        assert_eq!(read(&machine, "k"), Reply::Value("a".into()));
        assert_eq!(run(&mut machine, set_if("b", Condition::Missing, false)), Reply::Nil);
        let seen = run(&mut machine, set_if("b", Condition::Missing, true));
        assert_eq!(seen, Reply::Value("a".into()));
        assert_eq!(read(&machine, "k"), Reply::Value("a".into()));
        assert_eq!(run(&mut machine, set_if("b", Condition::Exists, false)), Reply::Ok);
        assert_eq!(read(&machine, "k"), Reply::Value("b".into()));
    }

    #[test]
    fn setting_a_key_says_when_it_expires() {
        let mut machine = Machine::default();
        let brief = Expiry::After(std::time::Duration::from_millis(100));
        assert_eq!(expiry(&machine, 0), Reply::Integer(-2));
        apply_at(&mut machine, 10, Write::Plain(set_until("a", brief)));
        assert_eq!(expiry(&machine, 40), Reply::Integer(70));
        assert_eq!(expiry(&machine, 1_000), Reply::Integer(0), "no entry came that removes it");
        apply_at(&mut machine, 50, Write::Plain(set_until("b", Expiry::Kept)));
        assert_eq!(expiry(&machine, 50), Reply::Integer(60));
        run(&mut machine, set_until("c", Expiry::Never));
        assert_eq!(expiry(&machine, 50), Reply::Integer(-1));
        apply_at(&mut machine, 60, Write::Plain(set_until("d", brief)));
        apply_at(&mut machine, 160, Write::Plain(set("other", "b")));
        assert_eq!(read(&machine, "k"), Reply::Nil);
        run(&mut machine, set_until("e", Expiry::Kept));
        assert_eq!(expiry(&machine, 160), Reply::Integer(-1), "there was nothing to keep");
    }

    #[test]
    fn key_that_persists_does_not_expire() {
        let mut machine = Machine::default();
        let persist = || Command::Persist { key: "k".into() };
        assert_eq!(run(&mut machine, persist()), Reply::Integer(0));
        let life = std::time::Duration::from_millis(100);
        run(&mut machine, set_until("a", Expiry::After(life)));
        assert_eq!(run(&mut machine, persist()), Reply::Integer(1));
        assert_eq!(run(&mut machine, persist()), Reply::Integer(0));
        apply_at(&mut machine, 200, Write::Plain(set("other", "b")));
        assert_eq!(read(&machine, "k"), Reply::Value("a".into()));
    }

    #[test]
    fn key_that_is_to_live_no_longer_is_gone_at_once() {
        let mut machine = Machine::default();
        run(&mut machine, set("k", "a"));
        let expire = || Command::Expire { key: "k".into(), life: std::time::Duration::ZERO };
        assert_eq!(run(&mut machine, expire()), Reply::Integer(1));
        assert_eq!(read(&machine, "k"), Reply::Nil);
        assert_eq!(run(&mut machine, expire()), Reply::Integer(0));
    }

    #[test]
    fn several_keys_are_set_and_read_at_one_moment() {
        let mut machine = Machine::default();
        let life = std::time::Duration::from_millis(100);
        run(&mut machine, set_until("a", Expiry::After(life)));
        let pairs =
            vec![("k".into(), "b".into()), ("l".into(), "c".into()), ("l".into(), "d".into())];
        assert_eq!(run(&mut machine, Command::SetMany { pairs }), Reply::Ok);
        assert_eq!(expiry(&machine, 0), Reply::Integer(-1));
        let keys = || vec!["k".into(), "missing".into(), "l".into(), "k".into()];
        let values = vec![Some("b".into()), None, Some("d".into()), Some("b".into())];
        let now = machine.time;
        assert_eq!(machine.read(&Query::Values(keys()), now), Reply::Values(values));
        assert_eq!(machine.read(&Query::Count(keys()), now), Reply::Integer(3));
    }

    #[test]
    fn read_of_more_than_a_reply_may_carry_is_refused() {
        let mut machine = Machine::default();
        let value = Bytes::from(vec![b'x'; MAX_VALUE_BYTES]);
        run(&mut machine, Command::set("k".into(), value));
        let read = |count| machine.read(&Query::Values(vec!["k".into(); count]), machine.time);
        let most = MAX_READ_BYTES / MAX_VALUE_BYTES;
        assert!(matches!(read(most), Reply::Values(_)));
        assert_eq!(read(most + 1), Reply::Failure(Failure::ReadTooLong));
    }

    #[test]
    fn taken_key_is_answered_once() {
        let mut machine = Machine::default();
        run(&mut machine, set("k", "a"));
        let take = || Command::Take { key: "k".into() };
        assert_eq!(apply(&mut machine, Write::OpenSession), Reply::Integer(2));
        let once = |sequence| Write::Once { session: SessionId(2), sequence, command: take() };
        assert_eq!(apply(&mut machine, once(1)), Reply::Value("a".into()));
        assert_eq!(apply(&mut machine, once(1)), Reply::Value("a".into()), "the stored answer");
        assert_eq!(apply(&mut machine, once(2)), Reply::Nil);
    }

    #[test]
    fn numbers_fall_as_they_rise_and_stop_at_the_least() {
        let mut machine = Machine::default();
        let add = |amount| Command::Add { key: "k".into(), amount };
        assert_eq!(run(&mut machine, add(-7)), Reply::Integer(-7));
        assert_eq!(run(&mut machine, add(10)), Reply::Integer(3));
        assert_eq!(run(&mut machine, add(i64::MIN)), Reply::Integer(i64::MIN + 3));
        assert_eq!(run(&mut machine, add(-4)), Reply::Failure(Failure::Overflow));
        assert_eq!(read(&machine, "k"), Reply::Value((i64::MIN + 3).to_string().into()));
    }
}
