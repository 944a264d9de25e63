//! Applies the commands for lists and sets, with the answers that Redis gives.
//!
//! A command for a value of another type fails and changes nothing; so does one that would make a
//! list or set longer than it may be, or answer more than there is room for. A key that is missing
//! is an empty list or set, and a list or set that gets empty is a missing key, whose expiry goes
//! with it. Adding to a list or set leaves its expiry as it was.
//!
//! Costs: O(1) an element at the ends of a list, O(log n) in a set, O(n) for what reads n elements;
//! the first change after a snapshot copies the handles of the whole list or set (see `value`).

use std::collections::BTreeSet;

use bytes::Bytes;

use super::MAX_COLLECTION_BYTES;
use super::machine::{Machine, count};
use super::operation::{Command, End, Failure, Query, Reply};
use super::value::{Collection, List, Set, Value, total_bytes};

impl Machine {
    /// Reads a list or set.
    pub(super) fn read_elements(&self, query: &Query) -> Result<Reply, Failure> {
        Ok(match query {
            Query::Range { key, first, last } => match self.list(key)? {
                Some(list) => Reply::elements(list.range(*first, *last)),
                None => Reply::Values(Vec::new()),
            },
            Query::Length(key) => count(self.list(key)?.map_or(0, List::len)),
            Query::Members(key) => match self.set_of(key)? {
                Some(set) => Reply::elements(set.iter()),
                None => Reply::Values(Vec::new()),
            },
            Query::Cardinality(key) => count(self.set_of(key)?.map_or(0, Set::len)),
            Query::Contains { key, member } => {
                let contains = self.set_of(key)?.is_some_and(|set| set.contains(member));
                count(usize::from(contains))
            }
            _ => unreachable!("no query of elements"),
        })
    }

    /// Changes a list or set, with so many bytes of room for the answer.
    pub(super) fn change_elements(
        &mut self,
        command: &Command,
        room: usize,
    ) -> Result<Reply, Failure> {
        match command {
            Command::Push { key, end, elements } => self.push(key, *end, elements),
            Command::Pop { key, end, count } => self.pop(key, *end, *count, room),
            Command::AddMembers { key, members } => self.add_members(key, members),
            Command::RemoveMembers { key, members } => self.remove_members(key, members),
            _ => unreachable!("no command for elements"),
        }
    }

    fn push(&mut self, key: &Bytes, end: End, elements: &[Bytes]) -> Result<Reply, Failure> {
        let present = self.list(key)?.map_or(0, List::bytes);
        bounded(present + total_bytes(elements))?;
        if let Some(Collection::List(list)) = self.values.collection_mut(key) {
            elements.iter().for_each(|element| list.push(end, element.clone()));
            return Ok(count(list.len()));
        }
        let mut list = List::default();
        elements.iter().for_each(|element| list.push(end, element.clone()));
        let length = list.len();
        if length > 0 {
            self.values.replace(key, list.into());
        }
        Ok(count(length))
    }

    fn pop(
        &mut self,
        key: &Bytes,
        end: End,
        many: Option<u64>,
        room: usize,
    ) -> Result<Reply, Failure> {
        let Some(list) = self.list(key)? else { return Ok(Reply::Nil) };
        let most = usize::try_from(many.unwrap_or(1)).unwrap_or(usize::MAX);
        if total_bytes(list.next(end, most)) > room {
            return Err(Failure::ReadTooLong);
        }
        let rest = list.len().saturating_sub(most);
        let mut taken = Vec::new();
        // Nothing is copied for a snapshot's sake if nothing is taken.
        if most > 0
            && let Some(Collection::List(list)) = self.values.collection_mut(key)
        {
            taken.extend((0..most).map_while(|_| list.pop(end)).map(Some));
        }
        if rest == 0 {
            self.values.remove(key);
        }
        match many {
            Some(_) => Ok(Reply::Values(taken)),
            None => Ok(taken.pop().flatten().map_or(Reply::Nil, Reply::Value)),
        }
    }

    fn add_members(&mut self, key: &Bytes, members: &[Bytes]) -> Result<Reply, Failure> {
        let set = self.set_of(key)?;
        let new = |member: &&Bytes| set.is_none_or(|set| !set.contains(member));
        let new: BTreeSet<&Bytes> = members.iter().filter(new).collect();
        bounded(set.map_or(0, Set::bytes) + total_bytes(new.iter().copied()))?;
        let added = count(new.len());
        if new.is_empty() {
            return Ok(added);
        }
        let new: Vec<Bytes> = new.into_iter().cloned().collect();
        if let Some(Collection::Set(set)) = self.values.collection_mut(key) {
            set.extend(new);
        } else {
            let mut set = Set::default();
            set.extend(new);
            self.values.replace(key, set.into());
        }
        Ok(added)
    }

    fn remove_members(&mut self, key: &Bytes, members: &[Bytes]) -> Result<Reply, Failure> {
        let Some(set) = self.set_of(key)? else { return Ok(count(0)) };
        if !members.iter().any(|member| set.contains(member)) {
            return Ok(count(0));
        }
        let Some(Collection::Set(set)) = self.values.collection_mut(key) else {
            unreachable!("it was just there")
        };
        let removed = members.iter().filter(|member| set.remove(member)).count();
        if set.len() == 0 {
            self.values.remove(key);
        }
        Ok(count(removed))
    }

    fn list(&self, key: &Bytes) -> Result<Option<&List>, Failure> {
        match self.collection(key)? {
            None => Ok(None),
            Some(Collection::List(list)) => Ok(Some(list)),
            Some(Collection::Set(_)) => Err(Failure::WrongType),
        }
    }

    fn set_of(&self, key: &Bytes) -> Result<Option<&Set>, Failure> {
        match self.collection(key)? {
            None => Ok(None),
            Some(Collection::Set(set)) => Ok(Some(set)),
            Some(Collection::List(_)) => Err(Failure::WrongType),
        }
    }

    fn collection(&self, key: &Bytes) -> Result<Option<&Collection>, Failure> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Collection(collection)) => Ok(Some(collection)),
            Some(Value::String(_)) => Err(Failure::WrongType),
        }
    }
}

fn bounded(bytes: usize) -> Result<(), Failure> {
    if bytes > MAX_COLLECTION_BYTES { Err(Failure::CollectionTooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::log::{Entry, Payload};
    use super::super::operation::{Condition, Expiry, Write};
    use super::super::units::{SessionId, Term, Timestamp};
    use super::super::{MAX_READ_BYTES, MAX_VALUE_BYTES};
    use super::*;
    use crate::mutations::Mutations;

    const WRONG_TYPE: Reply = Reply::Failure(Failure::WrongType);

    fn apply_at(machine: &mut Machine, time: u64, write: Write) -> Reply {
        let (index, time) = (machine.applied.next(), Timestamp(time));
        let entry = Entry { index, term: Term(1), time, payload: Payload::Write(Arc::new(write)) };
        machine.apply(&entry, time, Mutations::default())
    }

    fn run(machine: &mut Machine, command: Command) -> Reply {
        apply_at(machine, 0, Write::Plain(command))
    }

    fn words(text: &'static str) -> Vec<Bytes> {
        text.split_whitespace().map(Bytes::from).collect()
    }

    fn push(end: End, elements: &'static str) -> Command {
        Command::Push { key: "l".into(), end, elements: words(elements) }
    }

    fn pop(end: End, count: Option<u64>) -> Command {
        Command::Pop { key: "l".into(), end, count }
    }

    fn add(members: &'static str) -> Command {
        Command::AddMembers { key: "s".into(), members: words(members) }
    }

    fn remove(members: &'static str) -> Command {
        Command::RemoveMembers { key: "s".into(), members: words(members) }
    }

    fn elements(text: &'static str) -> Reply {
        Reply::elements(&words(text))
    }

    fn read(machine: &Machine, query: &Query) -> Reply {
        machine.read(query, machine.time)
    }

    fn all(machine: &Machine) -> Reply {
        read(machine, &Query::Range { key: "l".into(), first: 0, last: -1 })
    }

    fn exists(machine: &Machine, key: &'static str) -> Reply {
        read(machine, &Query::Count(vec![key.into()]))
    }

    #[test]
    fn queue_gives_back_in_order_and_a_stack_in_the_other() {
        let mut machine = Machine::default();
        assert_eq!(run(&mut machine, push(End::Back, "a b c")), Reply::Integer(3));
        assert_eq!(run(&mut machine, pop(End::Front, None)), Reply::Value("a".into()));
        assert_eq!(run(&mut machine, pop(End::Back, None)), Reply::Value("c".into()));
        assert_eq!(run(&mut machine, push(End::Front, "y z")), Reply::Integer(3));
        assert_eq!(all(&machine), elements("z y b"));
        assert_eq!(read(&machine, &Query::Length("l".into())), Reply::Integer(3));
        let tail = Query::Range { key: "l".into(), first: -2, last: 10 };
        assert_eq!(read(&machine, &tail), elements("y b"));
        assert_eq!(run(&mut machine, pop(End::Back, Some(2))), elements("b y"));
        assert_eq!(run(&mut machine, pop(End::Front, Some(0))), elements(""));
        assert_eq!(run(&mut machine, pop(End::Front, Some(u64::MAX))), elements("z"));
    }

    #[test]
    fn list_and_set_go_with_their_last_element_and_their_expiry_with_them() {
        let mut machine = Machine::default();
        let life = Duration::from_millis(100);
        for (fill, drain, key) in
            [(push(End::Back, "a"), pop(End::Front, None), "l"), (add("a b"), remove("b a"), "s")]
        {
            run(&mut machine, fill.clone());
            let expire = Command::Expire { key: key.into(), life };
            assert_eq!(run(&mut machine, expire), Reply::Integer(1));
            run(&mut machine, drain.clone());
            assert_eq!(exists(&machine, key), Reply::Integer(0), "{key}");
            run(&mut machine, fill);
            let expiry = read(&machine, &Query::Expiry(key.into()));
            assert_eq!(expiry, Reply::Integer(-1), "{key} is a new one");
            run(&mut machine, drain);
        }
        assert_eq!(run(&mut machine, pop(End::Front, None)), Reply::Nil);
        assert_eq!(run(&mut machine, pop(End::Front, Some(2))), Reply::Nil);
        assert_eq!(run(&mut machine, remove("a")), Reply::Integer(0));
        assert_eq!(all(&machine), elements(""));
        assert_eq!(read(&machine, &Query::Members("s".into())), elements(""));
        assert_eq!(machine.values.expiring(), 0);
    }

    #[test]
    fn growing_list_expires_when_it_was_to() {
        let mut machine = Machine::default();
        run(&mut machine, push(End::Back, "a"));
        let life = Duration::from_millis(100);
        run(&mut machine, Command::Expire { key: "l".into(), life });
        apply_at(&mut machine, 60, Write::Plain(push(End::Back, "b")));
        assert_eq!(all(&machine), elements("a b"));
        apply_at(&mut machine, 100, Write::Plain(add("x")));
        assert_eq!(exists(&machine, "l"), Reply::Integer(0));
    }

    #[test]
    fn set_counts_what_is_new_and_what_goes() {
        let mut machine = Machine::default();
        assert_eq!(run(&mut machine, add("b a b")), Reply::Integer(2));
        assert_eq!(run(&mut machine, add("a c")), Reply::Integer(1));
        assert_eq!(run(&mut machine, add("a")), Reply::Integer(0));
        assert_eq!(read(&machine, &Query::Members("s".into())), elements("a b c"));
        assert_eq!(read(&machine, &Query::Cardinality("s".into())), Reply::Integer(3));
        assert_eq!(run(&mut machine, remove("b b x")), Reply::Integer(1));
        for (member, there) in [("a", 1), ("b", 0)] {
            let contains = Query::Contains { key: "s".into(), member: member.into() };
            assert_eq!(read(&machine, &contains), Reply::Integer(there), "{member}");
        }
    }

    #[test]
    fn command_for_another_type_is_refused_and_changes_nothing() {
        let mut machine = Machine::default();
        run(&mut machine, push(End::Back, "a"));
        run(&mut machine, add("a"));
        run(&mut machine, Command::set("t".into(), "a".into()));
        let before = machine.values.clone();
        let set = |key: &'static str, condition, get| {
            let (key, value) = (key.into(), "new".into());
            Command::Set { key, value, condition, expiry: Expiry::Never, get }
        };
        for key in ["l", "s"] {
            for command in [
                Command::Append { key: key.into(), suffix: "b".into() },
                Command::Add { key: key.into(), amount: 1 },
                Command::Take { key: key.into() },
                Command::DeleteIf { key: key.into(), value: "a".into(), equal: true },
                Command::DeleteIf { key: key.into(), value: "a".into(), equal: false },
                set(key, Condition::Always, true),
                set(key, Condition::Missing, true),
                set(key, Condition::Equals("a".into()), false),
            ] {
                assert_eq!(run(&mut machine, command.clone()), WRONG_TYPE, "{command:?}");
            }
            assert_eq!(run(&mut machine, set(key, Condition::Missing, false)), Reply::Nil);
            assert_eq!(read(&machine, &Query::Value(key.into())), WRONG_TYPE);
        }
        for key in ["t", "s"] {
            let (end, elements) = (End::Back, words("b"));
            let push = Command::Push { key: key.into(), end, elements };
            assert_eq!(run(&mut machine, push), WRONG_TYPE, "{key}");
            let pop = Command::Pop { key: key.into(), end, count: None };
            assert_eq!(run(&mut machine, pop), WRONG_TYPE, "{key}");
            let range = Query::Range { key: key.into(), first: 0, last: -1 };
            assert_eq!(read(&machine, &range), WRONG_TYPE, "{key}");
            assert_eq!(read(&machine, &Query::Length(key.into())), WRONG_TYPE, "{key}");
        }
        for key in ["t", "l"] {
            let add = Command::AddMembers { key: key.into(), members: words("b") };
            assert_eq!(run(&mut machine, add), WRONG_TYPE, "{key}");
            let remove = Command::RemoveMembers { key: key.into(), members: words("a") };
            assert_eq!(run(&mut machine, remove), WRONG_TYPE, "{key}");
            assert_eq!(read(&machine, &Query::Members(key.into())), WRONG_TYPE, "{key}");
            assert_eq!(read(&machine, &Query::Cardinality(key.into())), WRONG_TYPE, "{key}");
            let contains = Query::Contains { key: key.into(), member: "a".into() };
            assert_eq!(read(&machine, &contains), WRONG_TYPE, "{key}");
        }
        for key in ["l", "s", "t"] {
            assert_eq!(machine.values.get(&key.into()), before.get(&key.into()), "{key}");
        }
    }

    #[test]
    fn what_does_not_look_at_the_value_takes_any_type() {
        let mut machine = Machine::default();
        run(&mut machine, push(End::Back, "a"));
        run(&mut machine, add("a"));
        let keys = vec!["l".into(), "s".into(), "missing".into()];
        let nothing = Reply::Values(vec![None, None, None]);
        assert_eq!(read(&machine, &Query::Values(keys.clone())), nothing);
        assert_eq!(read(&machine, &Query::Count(keys.clone())), Reply::Integer(2));
        for (key, name) in [("l", "list"), ("s", "set")] {
            assert_eq!(read(&machine, &Query::Type(key.into())), Reply::Value(name.into()));
        }
        assert_eq!(run(&mut machine, Command::set("l".into(), "a".into())), Reply::Ok);
        assert_eq!(read(&machine, &Query::Type("l".into())), Reply::Value("string".into()));
        assert_eq!(run(&mut machine, Command::Delete { keys }), Reply::Integer(2));
        assert_eq!(read(&machine, &Query::Type("l".into())), Reply::Nil);
        run(&mut machine, add("a"));
        let pairs = vec![("s".into(), "a".into())];
        assert_eq!(run(&mut machine, Command::SetMany { pairs }), Reply::Ok);
        assert_eq!(read(&machine, &Query::Value("s".into())), Reply::Value("a".into()));
    }

    #[test]
    fn conditional_delete_compares_what_is_there() {
        let mut machine = Machine::default();
        let delete = |value: &'static str, equal| Command::DeleteIf {
            key: "t".into(),
            value: value.into(),
            equal,
        };
        assert_eq!(run(&mut machine, delete("a", true)), Reply::Integer(0));
        assert_eq!(run(&mut machine, delete("a", false)), Reply::Integer(0), "nothing there");
        run(&mut machine, Command::set("t".into(), "a".into()));
        assert_eq!(run(&mut machine, delete("b", true)), Reply::Integer(0));
        assert_eq!(run(&mut machine, delete("a", false)), Reply::Integer(0));
        assert_eq!(run(&mut machine, delete("a", true)), Reply::Integer(1));
        run(&mut machine, Command::set("t".into(), "a".into()));
        assert_eq!(run(&mut machine, delete("b", false)), Reply::Integer(1));
        assert_eq!(exists(&machine, "t"), Reply::Integer(0));
    }

    #[test]
    fn list_or_set_stays_within_what_one_read_can_answer() {
        let mut machine = Machine::default();
        let element = |number: u64| {
            let mut element = number.to_le_bytes().to_vec();
            element.resize(MAX_VALUE_BYTES, 0);
            Bytes::from(element)
        };
        let most = MAX_COLLECTION_BYTES / MAX_VALUE_BYTES - 1;
        for number in 0..most as u64 {
            let elements = vec![element(number)];
            let members = elements.clone();
            run(&mut machine, Command::Push { key: "l".into(), end: End::Back, elements });
            run(&mut machine, Command::AddMembers { key: "s".into(), members });
        }
        let too_long = Reply::Failure(Failure::CollectionTooLong);
        let elements = vec![element(99)];
        let push = Command::Push { key: "l".into(), end: End::Front, elements: elements.clone() };
        assert_eq!(run(&mut machine, push), too_long);
        let add = Command::AddMembers { key: "s".into(), members: elements };
        assert_eq!(run(&mut machine, add), too_long);
        let again = Command::AddMembers { key: "s".into(), members: vec![element(0)] };
        assert_eq!(run(&mut machine, again), Reply::Integer(0), "it is a member");
        let Reply::Values(values) = all(&machine) else { panic!("all can be read") };
        assert_eq!(values.len(), most);
        assert!(matches!(read(&machine, &Query::Members("s".into())), Reply::Values(_)));
        const { assert!(MAX_COLLECTION_BYTES <= MAX_READ_BYTES) };
    }

    #[test]
    fn retried_pop_takes_one_element_and_answers_it_again() {
        let mut machine = Machine::default();
        run(&mut machine, push(End::Back, "a b"));
        let opened = apply_at(&mut machine, 0, Write::OpenSession);
        let Reply::Integer(session) = opened else { panic!("{opened:?}") };
        let session = SessionId(session.cast_unsigned());
        let once = |sequence| {
            let command = pop(End::Front, Some(1));
            Write::Once { session, sequence, command }
        };
        for _ in 0..3 {
            assert_eq!(apply_at(&mut machine, 0, once(1)), elements("a"));
        }
        assert_eq!(apply_at(&mut machine, 0, once(2)), elements("b"));
    }
}
