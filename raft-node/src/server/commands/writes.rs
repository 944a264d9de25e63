//! Understands the commands that write keys. Each is one entry of the log, applied at one moment.
//!
//! * `SET key value`: `OK`. With `GET`: the value before, or nil.
//! * `SET key value NX`, `XX`: `OK` if the key was missing, or existed, and was set; nil if not.
//! * `SET key value IFEQ old`: `OK` if the key held exactly `old` and was set; nil if not, and then
//!   nothing changed. A missing key is equal to nothing.
//! * `SET key value … GET` with one of these conditions: the value seen before, or nil if the key
//!   was missing, *whether or not it was set*: with `IFEQ` it was set if and only if the answer is
//!   `old`.
//! * `SET key value … EX seconds`, `PX milliseconds`, `KEEPTTL`: when the key expires; otherwise it
//!   does not.
//! * `SETEX key seconds value`, `PSETEX key milliseconds value`, `GETSET key value` are short for
//!   the above; so is `SETNX key value`, which answers 1 or 0.
//! * `MSET key value …`: `OK`.
//! * `APPEND key suffix`: the new length in bytes.
//! * `DEL key …`, `UNLINK key …`: how many of the keys existed. `GETDEL key`: the value it had.
//! * `DELIFEQ key value`, `DELEX key IFEQ value`, `DELEX key IFNE value`: 1 if the key held a string
//!   that equals, or differs from, `value` and was removed, else 0. The first form is Valkey's, since
//!   9.0, the others are those of Redis since 8.4 and of Valkey since 9.2. `DELEX key`: as `DEL`.
//! * `INCR key`, `DECR key`, `INCRBY key number`, `DECRBY key number`: the new number.
//! * `EXPIRE key seconds`, `PEXPIRE key milliseconds`: 1 if the key exists and now expires, else 0;
//!   a key whose time is up already is removed. The time is the cluster's own, which stands still
//!   while there is no leader. `PERSIST key`: 1 if the key was to expire and is not now, else 0.
//!
//! * The commands for lists and sets are listed in [`elements`].
//!
//! `SET` follows Redis 8.4. A command for strings is refused with `WRONGTYPE` if the key holds a list
//! or set, but those that overwrite whatever there is (`SET` without `GET` and `IFEQ`, `MSET`) and
//! those that do not look at the value (`DEL`, `EXPIRE`, `PERSIST`).

use std::time::Duration;

use bytes::Bytes;

use super::{CommandError, Shape, checked_key, checked_keys, checked_value, elements};
use crate::core::operation::{Command, Condition, Expiry};

/// A command that changes keys, and what of its answer to show; none if the name and the number of
/// words are not one's.
pub(super) fn write(
    name: &'static str,
    arguments: &[Bytes],
) -> Result<Option<(Command, Shape)>, CommandError> {
    let command = match (name, arguments) {
        ("set", [key, value, options @ ..]) => set(key, value, options)?,
        ("getset", [key, value]) => set(key, value, &[Bytes::from_static(b"GET")])?,
        ("setex", [key, seconds, value]) => set_for(name, key, value, (seconds, 1000))?,
        ("psetex", [key, millis, value]) => set_for(name, key, value, (millis, 1))?,
        ("setnx", [key, value]) => {
            let command = set(key, value, &[Bytes::from_static(b"NX")])?;
            return Ok(Some((command, Shape::Done)));
        }
        ("mset", words) => Command::SetMany { pairs: pairs(words)? },
        ("append", [key, suffix]) => {
            Command::Append { key: checked_key(key)?, suffix: checked_value(suffix)? }
        }
        ("del" | "unlink", keys @ [_, ..]) => Command::Delete { keys: checked_keys(keys)? },
        ("getdel", [key]) => Command::Take { key: checked_key(key)? },
        ("incr", [key]) => add(key, Some(1))?,
        ("decr", [key]) => add(key, Some(-1))?,
        ("incrby", [key, amount]) => add(key, integer(amount))?,
        ("decrby", [key, amount]) => add(key, integer(amount).and_then(i64::checked_neg))?,
        ("expire", [key, seconds]) => expire(name, key, (seconds, 1000))?,
        ("pexpire", [key, millis]) => expire(name, key, (millis, 1))?,
        ("persist", [key]) => Command::Persist { key: checked_key(key)? },
        ("delifeq", [key, value]) => delete_if(key, value, true)?,
        ("delex", [key, condition @ ..]) => delete(key, condition)?,
        _ => return elements::write(name, arguments),
    };
    Ok(Some((command, Shape::Whole)))
}

fn delete(key: &Bytes, condition: &[Bytes]) -> Result<Command, CommandError> {
    match condition {
        [] => Ok(Command::Delete { keys: vec![checked_key(key)?] }),
        [word, value] if word.eq_ignore_ascii_case(b"IFEQ") => delete_if(key, value, true),
        [word, value] if word.eq_ignore_ascii_case(b"IFNE") => delete_if(key, value, false),
        _ => Err(CommandError::DeleteCondition),
    }
}

fn delete_if(key: &Bytes, value: &Bytes, equal: bool) -> Result<Command, CommandError> {
    Ok(Command::DeleteIf { key: checked_key(key)?, value: checked_value(value)?, equal })
}

fn set(key: &Bytes, value: &Bytes, options: &[Bytes]) -> Result<Command, CommandError> {
    let (mut condition, mut expiry, mut get) = (None, None, false);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut argument = || rest.next().ok_or(CommandError::SetOption);
        let repeated = match &option.to_ascii_uppercase()[..] {
            b"GET" => std::mem::replace(&mut get, true),
            b"NX" => condition.replace(Condition::Missing).is_some(),
            b"XX" => condition.replace(Condition::Exists).is_some(),
            b"IFEQ" => condition.replace(Condition::Equals(checked_value(argument()?)?)).is_some(),
            b"KEEPTTL" => expiry.replace(Expiry::Kept).is_some(),
            b"EX" => expiry.replace(after("set", (argument()?, 1000))?).is_some(),
            b"PX" => expiry.replace(after("set", (argument()?, 1))?).is_some(),
            _ => true,
        };
        if repeated {
            return Err(CommandError::SetOption);
        }
    }
    let (condition, expiry) =
        (condition.unwrap_or(Condition::Always), expiry.unwrap_or(Expiry::Never));
    let (key, value) = (checked_key(key)?, checked_value(value)?);
    Ok(Command::Set { key, value, condition, expiry, get })
}

fn set_for(
    name: &'static str,
    key: &Bytes,
    value: &Bytes,
    time: (&Bytes, i64),
) -> Result<Command, CommandError> {
    let (key, value, expiry) = (checked_key(key)?, checked_value(value)?, after(name, time)?);
    Ok(Command::Set { key, value, condition: Condition::Always, expiry, get: false })
}

fn pairs(words: &[Bytes]) -> Result<Vec<(Bytes, Bytes)>, CommandError> {
    let (pairs, rest) = words.as_chunks();
    if !rest.is_empty() {
        return Err(CommandError::WrongNumber("mset"));
    }
    pairs.iter().map(|[key, value]| Ok((checked_key(key)?, checked_value(value)?))).collect()
}

fn add(key: &Bytes, amount: Option<i64>) -> Result<Command, CommandError> {
    let amount = amount.ok_or(CommandError::NotAnInteger)?;
    Ok(Command::Add { key: checked_key(key)?, amount })
}

pub(super) fn integer(word: &Bytes) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A number of seconds or milliseconds, with what makes it milliseconds.
fn millis(name: &'static str, (word, factor): (&Bytes, i64)) -> Result<i64, CommandError> {
    let number = integer(word).ok_or(CommandError::NotAnInteger)?;
    number.checked_mul(factor).ok_or(CommandError::ExpireTime(name))
}

fn after(name: &'static str, time: (&Bytes, i64)) -> Result<Expiry, CommandError> {
    let life = u64::try_from(millis(name, time)?).ok().filter(|life| *life > 0);
    life.map(Duration::from_millis).map(Expiry::After).ok_or(CommandError::ExpireTime(name))
}

fn expire(name: &'static str, key: &Bytes, time: (&Bytes, i64)) -> Result<Command, CommandError> {
    let life = u64::try_from(millis(name, time)?).unwrap_or(0);
    Ok(Command::Expire { key: checked_key(key)?, life: Duration::from_millis(life) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &'static str) -> Result<Option<(Command, Shape)>, CommandError> {
        let mut words = line.split(' ');
        let name = words.next().expect("a name");
        let arguments: Vec<Bytes> = words.map(Bytes::from).collect();
        write(name, &arguments)
    }

    fn command(line: &'static str) -> Command {
        let (command, shape) = parse(line).expect(line).expect(line);
        assert_eq!(shape, Shape::Whole, "{line}");
        command
    }

    fn set_of(condition: Condition, expiry: Expiry, get: bool) -> Command {
        Command::Set { key: "k".into(), value: "v".into(), condition, expiry, get }
    }

    fn equals(expected: &'static str) -> Condition {
        Condition::Equals(expected.into())
    }

    fn lasts(millis: u64) -> Expiry {
        Expiry::After(Duration::from_millis(millis))
    }

    #[test]
    fn set_takes_its_options_in_any_order_and_case() {
        use Condition::{Always, Exists, Missing};
        use Expiry::{Kept, Never};
        assert_eq!(command("set k v"), set_of(Always, Never, false));
        assert_eq!(command("set k v GET"), set_of(Always, Never, true));
        assert_eq!(command("set k v ifeq old get"), set_of(equals("old"), Never, true));
        assert_eq!(command("set k v GET IFEQ GET"), set_of(equals("GET"), Never, true));
        assert_eq!(command("set k v ex 2 nx"), set_of(Missing, lasts(2_000), false));
        assert_eq!(command("set k v XX GET PX 30"), set_of(Exists, lasts(30), true));
        assert_eq!(command("set k v keepttl"), set_of(Always, Kept, false));
    }

    #[test]
    fn set_with_options_that_contradict_each_other_is_refused() {
        for line in [
            "set k v IFEQ",
            "set k v GET GET",
            "set k v NX XX",
            "set k v NX IFEQ a",
            "set k v EX 5 KEEPTTL",
            "set k v EX 5 PX 5",
            "set k v EX",
            "set k v EXAT 5",
        ] {
            assert_eq!(parse(line), Err(CommandError::SetOption), "{line}");
        }
        for line in ["set k v EX 0", "set k v PX -1", "set k v EX 99999999999999999"] {
            assert_eq!(parse(line), Err(CommandError::ExpireTime("set")), "{line}");
        }
        assert_eq!(parse("set k v EX 1.5"), Err(CommandError::NotAnInteger));
    }

    #[test]
    fn short_forms_are_what_they_are_short_for() {
        let get = set_of(Condition::Always, Expiry::Never, true);
        assert_eq!(command("getset k v"), get);
        let brief = set_of(Condition::Always, lasts(3_000), false);
        assert_eq!(command("setex k 3 v"), brief);
        assert_eq!(command("psetex k 3000 v"), brief);
        let missing = set_of(Condition::Missing, Expiry::Never, false);
        assert_eq!(parse("setnx k v"), Ok(Some((missing, Shape::Done))));
        assert_eq!(parse("setex k 0 v"), Err(CommandError::ExpireTime("setex")));
    }

    #[test]
    fn mset_takes_pairs() {
        let pairs = vec![("a".into(), "1".into()), ("b".into(), "2".into())];
        assert_eq!(command("mset a 1 b 2"), Command::SetMany { pairs });
        assert_eq!(parse("mset a 1 b"), Err(CommandError::WrongNumber("mset")));
    }

    #[test]
    fn numbers_are_added_and_taken_away() {
        for (line, amount) in [
            ("incr k", 1),
            ("decr k", -1),
            ("incrby k 7", 7),
            ("decrby k 7", -7),
            ("incrby k -9223372036854775808", i64::MIN),
        ] {
            assert_eq!(command(line), Command::Add { key: "k".into(), amount }, "{line}");
        }
        for line in ["incrby k x", "incrby k 1.5", "decrby k -9223372036854775808"] {
            assert_eq!(parse(line), Err(CommandError::NotAnInteger), "{line}");
        }
    }

    #[test]
    fn expiry_takes_a_whole_number_and_is_at_once_below_one() {
        for (line, millis) in
            [("expire k 2", 2_000), ("pexpire k 7", 7), ("expire k 0", 0), ("pexpire k -9", 0)]
        {
            let life = Duration::from_millis(millis);
            assert_eq!(command(line), Command::Expire { key: "k".into(), life }, "{line}");
        }
        assert_eq!(parse("expire k 1.5"), Err(CommandError::NotAnInteger));
        let far = parse("expire k 99999999999999999");
        assert_eq!(far, Err(CommandError::ExpireTime("expire")));
    }

    #[test]
    fn conditional_delete_has_the_forms_of_redis_and_valkey() {
        let delete_if = |equal| Command::DeleteIf { key: "k".into(), value: "v".into(), equal };
        assert_eq!(command("delifeq k v"), delete_if(true));
        assert_eq!(command("delex k ifeq v"), delete_if(true));
        assert_eq!(command("delex k IFNE v"), delete_if(false));
        assert_eq!(command("delex k"), Command::Delete { keys: vec!["k".into()] });
        for line in ["delex k IFEQ", "delex k IFDEQ 1", "delex k IFEQ v IFNE v", "delex k v"] {
            assert_eq!(parse(line), Err(CommandError::DeleteCondition), "{line}");
        }
    }
}
