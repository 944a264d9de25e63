//! Understands the commands for lists and sets.
//!
//! * `RPUSH key element …`, `LPUSH key element …`: adds elements at the end or the front of a list,
//!   one after the other. The new length.
//! * `LPOP key [count]`, `RPOP key [count]`: takes an element off the front or the end: the element,
//!   or nil. With a count up to so many, in the order of their taking; no array if there is no key.
//! * `LRANGE key first last`: the elements from one place to another, both included; negative places
//!   count from the end. `LLEN key`: how many there are.
//! * `SADD key member …`, `SREM key member …`: how many members are new, or were removed.
//! * `SMEMBERS key`: all members, a set in RESP3; `SCARD key`: how many; `SISMEMBER key member`: 1 or
//!   0.
//!
//! Reads are linearizable, as `GET` is. A key of another type is refused with `WRONGTYPE`, and a list
//! or set goes with its last element, as in Redis.

use bytes::Bytes;

use super::writes::integer;
use super::{CommandError, Shape, checked_key, checked_value};
use crate::core::operation::{Command, End, Query};

/// A command that changes a list or set; none if the name and the number of words are not one's.
pub(super) fn write(
    name: &'static str,
    arguments: &[Bytes],
) -> Result<Option<(Command, Shape)>, CommandError> {
    let command = match (name, arguments) {
        ("rpush", [key, elements @ ..]) => push(key, End::Back, elements)?,
        ("lpush", [key, elements @ ..]) => push(key, End::Front, elements)?,
        ("lpop", [key]) => Command::Pop { key: checked_key(key)?, end: End::Front, count: None },
        ("rpop", [key]) => Command::Pop { key: checked_key(key)?, end: End::Back, count: None },
        ("lpop", [key, count]) => return pop(key, End::Front, count),
        ("rpop", [key, count]) => return pop(key, End::Back, count),
        ("sadd", [key, members @ ..]) => {
            Command::AddMembers { key: checked_key(key)?, members: checked_elements(members)? }
        }
        ("srem", [key, members @ ..]) => {
            Command::RemoveMembers { key: checked_key(key)?, members: checked_elements(members)? }
        }
        _ => return Ok(None),
    };
    Ok(Some((command, Shape::Whole)))
}

/// A query of a list or set; none if the name and the number of words are not one's.
pub(super) fn read(
    name: &str,
    arguments: &[Bytes],
) -> Result<Option<(Query, Shape)>, CommandError> {
    Ok(Some(match (name, arguments) {
        ("lrange", [key, first, last]) => {
            let place = |word| integer(word).ok_or(CommandError::NotAnInteger);
            let (first, last) = (place(first)?, place(last)?);
            (Query::Range { key: checked_key(key)?, first, last }, Shape::Whole)
        }
        ("llen", [key]) => (Query::Length(checked_key(key)?), Shape::Whole),
        ("smembers", [key]) => (Query::Members(checked_key(key)?), Shape::Members),
        ("scard", [key]) => (Query::Cardinality(checked_key(key)?), Shape::Whole),
        ("sismember", [key, member]) => {
            let (key, member) = (checked_key(key)?, checked_value(member)?);
            (Query::Contains { key, member }, Shape::Whole)
        }
        _ => return Ok(None),
    }))
}

fn push(key: &Bytes, end: End, elements: &[Bytes]) -> Result<Command, CommandError> {
    Ok(Command::Push { key: checked_key(key)?, end, elements: checked_elements(elements)? })
}

fn pop(key: &Bytes, end: End, count: &Bytes) -> Result<Option<(Command, Shape)>, CommandError> {
    let count = integer(count).and_then(|count| u64::try_from(count).ok());
    let count = Some(count.ok_or(CommandError::NotPositive)?);
    Ok(Some((Command::Pop { key: checked_key(key)?, end, count }, Shape::Elements)))
}

fn checked_elements(elements: &[Bytes]) -> Result<Vec<Bytes>, CommandError> {
    elements.iter().map(checked_value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &'static str) -> (&'static str, Vec<Bytes>) {
        let mut words = line.split(' ');
        (words.next().expect("a name"), words.map(Bytes::from).collect())
    }

    fn written(line: &'static str) -> Result<Option<(Command, Shape)>, CommandError> {
        let (name, arguments) = words(line);
        write(name, &arguments)
    }

    #[test]
    fn lists_grow_and_shrink_at_the_end_that_the_name_says() {
        let key = || "k".into();
        let elements = || vec!["a".into(), "b".into()];
        for (line, command, shape) in [
            (
                "rpush k a b",
                Command::Push { key: key(), end: End::Back, elements: elements() },
                Shape::Whole,
            ),
            (
                "lpush k a b",
                Command::Push { key: key(), end: End::Front, elements: elements() },
                Shape::Whole,
            ),
            ("lpop k", Command::Pop { key: key(), end: End::Front, count: None }, Shape::Whole),
            (
                "rpop k 0",
                Command::Pop { key: key(), end: End::Back, count: Some(0) },
                Shape::Elements,
            ),
            ("sadd k a b", Command::AddMembers { key: key(), members: elements() }, Shape::Whole),
            (
                "srem k a b",
                Command::RemoveMembers { key: key(), members: elements() },
                Shape::Whole,
            ),
        ] {
            assert_eq!(written(line), Ok(Some((command, shape))), "{line}");
        }
        for line in ["lpop k -1", "rpop k x", "lpop k 1.5", "lpop k 99999999999999999999"] {
            assert_eq!(written(line), Err(CommandError::NotPositive), "{line}");
        }
    }

    #[test]
    fn reads_name_a_list_or_set() {
        for (line, query, shape) in [
            ("lrange k -2 -1", Query::Range { key: "k".into(), first: -2, last: -1 }, Shape::Whole),
            ("llen k", Query::Length("k".into()), Shape::Whole),
            ("smembers k", Query::Members("k".into()), Shape::Members),
            ("scard k", Query::Cardinality("k".into()), Shape::Whole),
            (
                "sismember k m",
                Query::Contains { key: "k".into(), member: "m".into() },
                Shape::Whole,
            ),
        ] {
            let (name, arguments) = words(line);
            assert_eq!(read(name, &arguments), Ok(Some((query, shape))), "{line}");
        }
        let (name, arguments) = words("lrange k 0 x");
        assert_eq!(read(name, &arguments), Err(CommandError::NotAnInteger));
    }
}
