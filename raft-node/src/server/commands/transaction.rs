//! Gathers the commands between `MULTI` and `EXEC`, which then go through the log as one entry.
//!
//! * `MULTI`: `OK`. From then on each command that reads or writes keys answers `QUEUED`.
//! * `CHECK key value`, `CHECK key`: lets the transaction be carried out only if, when it begins, the key
//!   holds exactly `value`, or does not exist; otherwise nothing is done, and `EXEC` answers a null array.
//! * `EXEC`: carries out what was queued, all of it at one moment: an array of the answers. A command
//!   that fails by its own rules has its error in its place, and the others are carried out.
//! * `ONCE session sequence EXEC`: the same at most once, however often it is sent; for each attempt
//!   the commands are queued again.
//! * `DISCARD`: `OK`, with nothing done.
//!
//! A command that there is not, that has a wrong number of words or that is not about keys answers so
//! at once, and `EXEC` then answers `EXECABORT` with nothing done; so it does if the commands together
//! are longer than [`MAX_BYTES`]. What else is wrong with a command is said in its place by `EXEC`. A
//! connection that closes before `EXEC`, or `RESET`, leaves nothing done. There is no `WATCH`: what
//! was read before `MULTI` is compared by `CHECK`.

use bytes::Bytes;

use super::super::resp::put;
use super::table::Description;
use super::{
    Caller, CommandError, Request, Shape, answered, checked_key, checked_value, ok, once_in,
    operation, query, writes,
};
use crate::core::operation::{Command, Step, Write};

/// The most that the commands of one transaction take, in bytes, each word counting 32 more than its
/// own: every connection may hold as much.
pub(super) const MAX_BYTES: usize = 64 << 10;
const WORD_BYTES: usize = 32;

/// What was queued since `MULTI`.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    steps: Vec<Step>,
    shapes: Vec<Shape>,
    bytes: usize,
    /// Whether a command was refused.
    broken: bool,
}

impl Transaction {
    fn add(&mut self, words: &[Bytes], row: &Description) -> Result<(), CommandError> {
        let step = understand(row.name, &words[1..]);
        self.bytes += words.iter().map(|word| word.len() + WORD_BYTES).sum::<usize>();
        if self.bytes > MAX_BYTES {
            // It is not carried out any more.
            (self.steps, self.shapes) = (Vec::new(), Vec::new());
            return Err(CommandError::TransactionTooLong);
        }
        match step {
            Ok(Some((step, shape))) => {
                self.steps.push(step);
                self.shapes.push(shape);
            }
            Ok(None) if !row.is_about_keys() => {
                return Err(CommandError::NotInTransaction(row.name));
            }
            Ok(None) => {
                let error = CommandError::WrongNumber(row.name);
                self.shapes.push(Shape::Refused(error.to_string().into()));
            }
            // As in Redis, which looks at what the words say when it carries them out.
            Err(error) => self.shapes.push(Shape::Refused(error.to_string().into())),
        }
        Ok(())
    }

    /// Whether nothing was queued, nor refused.
    fn is_empty(&self) -> bool {
        self.shapes.is_empty() && !self.broken
    }

    fn end(self) -> Result<(Command, Shape), CommandError> {
        if self.broken {
            return Err(CommandError::Aborted);
        }
        let shape = Shape::Transaction(self.shapes.into());
        Ok((Command::Transaction { steps: self.steps }, shape))
    }
}

/// What a command is as a step, and what of its answer to show; none if it cannot be one.
fn understand(
    name: &'static str,
    arguments: &[Bytes],
) -> Result<Option<(Step, Shape)>, CommandError> {
    if let Some((query, shape)) = query(name, arguments)? {
        return Ok(Some((Step::Read(query), shape)));
    }
    if let ("check", [key, expected @ ..]) = (name, arguments) {
        let key = checked_key(key)?;
        let expected = match expected {
            [] => None,
            [expected] => Some(checked_value(expected)?),
            _ => return Ok(None),
        };
        return Ok(Some((Step::Check { key, expected }, Shape::Whole)));
    }
    let write = writes::write(name, arguments)?;
    Ok(write.map(|(command, shape)| (Step::Write(command), shape)))
}

/// Begins a transaction.
pub(super) fn begin(caller: &mut Caller) -> Request {
    caller.transaction = Some(Box::default());
    ok()
}

/// Takes a request of a connection that is in a transaction, which it has taken from the caller and
/// puts back if it goes on.
pub(super) fn within(
    mut transaction: Box<Transaction>,
    words: &[Bytes],
    row: Result<&Description, CommandError>,
    caller: &mut Caller,
) -> Result<Request, CommandError> {
    let told = match row {
        Ok(row) => match (row.name, &words[1..]) {
            ("exec", []) => {
                if transaction.is_empty() {
                    return Ok(answered(|out| put::array(out, 0)));
                }
                let (command, shape) = transaction.end()?;
                return Ok(operation(Write::Plain(command), shape));
            }
            ("once", [session, sequence, name]) if name.eq_ignore_ascii_case(b"EXEC") => {
                let (command, shape) = transaction.end()?;
                return once_in(session, sequence, command, shape);
            }
            ("discard", []) => return Ok(ok()),
            ("reset", []) => return Ok(caller.reset()),
            ("quit", _) => return Ok(Request::Quit),
            // Refused as in Redis, which goes on with the transaction.
            ("multi", []) => Err((CommandError::Nested, false)),
            ("watch", _) => Err((CommandError::WatchInTransaction, false)),
            _ => transaction.add(words, row).map_err(|error| (error, true)),
        },
        Err(error) => Err((error, true)),
    };
    let told = told.map_err(|(error, breaks)| {
        transaction.broken |= breaks;
        error
    });
    caller.transaction = Some(transaction);
    told.map(|()| answered(|out| put::simple(out, "QUEUED")))
}

#[cfg(test)]
mod tests {
    use super::super::super::resp::Protocol;
    use super::super::{put_outcome, understand};
    use super::*;
    use crate::core::operation::Query;
    use crate::core::units::SessionId;
    use crate::core::{Operation, Reply};

    fn told(caller: &mut Caller, line: &str) -> String {
        match asked(caller, line) {
            Request::Answered(bytes) => String::from_utf8(bytes).expect("text"),
            other => format!("{other:?}"),
        }
    }

    fn asked(caller: &mut Caller, line: &str) -> Request {
        let words: Vec<Bytes> = line.split(' ').map(|word| word.to_owned().into()).collect();
        understand(&words, caller)
    }

    fn increment_and_read() -> (Command, Shape) {
        let steps = vec![
            Step::Write(Command::Add { key: "a".into(), amount: 1 }),
            Step::Read(Query::Members("b".into())),
        ];
        (Command::Transaction { steps }, Shape::Transaction([Shape::Whole, Shape::Members].into()))
    }

    #[test]
    fn commands_are_queued_until_exec_and_go_as_one() {
        let mut caller = Caller::new(7);
        for (end, once) in [("exec", false), ("once 4 9 EXEC", true)] {
            assert_eq!(told(&mut caller, "multi"), "+OK\r\n");
            assert_eq!(told(&mut caller, "INCR a"), "+QUEUED\r\n");
            assert_eq!(told(&mut caller, "smembers b"), "+QUEUED\r\n");
            let (command, shape) = increment_and_read();
            let (session, sequence) = (SessionId(4), 9);
            let write = if once {
                Write::Once { session, sequence, command }
            } else {
                Write::Plain(command)
            };
            let expected = Request::Operation(Operation::from(write), shape);
            assert_eq!(asked(&mut caller, end), expected, "{end}");
            assert!(told(&mut caller, "SET k v").contains("Set"), "it is over");
        }
        told(&mut caller, "MULTI");
        assert_eq!(told(&mut caller, "EXEC"), "*0\r\n");
    }

    #[test]
    fn checks_are_steps_and_a_transaction_that_they_keep_answers_a_null_array() {
        let mut caller = Caller::new(7);
        assert!(told(&mut caller, "CHECK a 1").starts_with("-ERR CHECK without MULTI"));
        told(&mut caller, "MULTI");
        for line in ["CHECK a 1", "check b", "INCR a"] {
            assert_eq!(told(&mut caller, line), "+QUEUED\r\n");
        }
        let Request::Operation(operation, shape) = asked(&mut caller, "EXEC") else {
            panic!("it is carried out")
        };
        let steps = vec![
            Step::Check { key: "a".into(), expected: Some("1".into()) },
            Step::Check { key: "b".into(), expected: None },
            Step::Write(Command::Add { key: "a".into(), amount: 1 }),
        ];
        assert_eq!(operation, Operation::from(Write::Plain(Command::Transaction { steps })));
        for (protocol, expected) in [(Protocol::Resp2, "*-1\r\n"), (Protocol::Resp3, "_\r\n")] {
            let mut out = Vec::new();
            put_outcome(&mut out, &Ok(Reply::Nil), &shape, protocol);
            assert_eq!(String::from_utf8(out).expect("text"), expected);
        }
    }

    #[test]
    fn command_that_cannot_be_queued_aborts_the_transaction() {
        let long = format!("SET k {}", "v".repeat(MAX_BYTES));
        for refused in [
            "NONSENSE",
            "GET",
            "PING",
            "SESSION",
            "ONCE 4 9 INCR a",
            "RAFT STATUS",
            "STALE GET a",
            "EVAL x 0",
            "EXEC 1",
            &long,
        ] {
            let mut caller = Caller::new(7);
            told(&mut caller, "MULTI");
            told(&mut caller, "INCR a");
            assert!(told(&mut caller, refused).starts_with("-ERR "), "{refused}");
            // Whether what follows is queued or not, nothing is carried out.
            told(&mut caller, "INCR a");
            assert!(told(&mut caller, "EXEC").starts_with("-EXECABORT "), "{refused}");
            assert_eq!(told(&mut caller, "PING"), "+PONG\r\n");
        }
    }

    #[test]
    fn command_whose_words_make_no_sense_is_refused_in_its_place() {
        let mut caller = Caller::new(7);
        let key = "k".repeat(crate::core::MAX_KEY_BYTES + 1);
        told(&mut caller, "MULTI");
        for line in ["INCRBY a x", "SET k v NONSENSE", "LPOP l 1 1", &format!("GET {key}")] {
            assert_eq!(told(&mut caller, line), "+QUEUED\r\n");
        }
        told(&mut caller, "INCR a");
        let Request::Operation(operation, shape) = asked(&mut caller, "EXEC") else {
            panic!("it is carried out")
        };
        let steps = vec![Step::Write(Command::Add { key: "a".into(), amount: 1 })];
        assert_eq!(operation, Operation::from(Write::Plain(Command::Transaction { steps })));
        let mut out = Vec::new();
        let answer = Ok(Reply::Several(vec![Reply::Integer(3)]));
        put_outcome(&mut out, &answer, &shape, Protocol::Resp2);
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1]), ("*5", "-ERR value is not an integer or out of range"));
        assert!(
            lines[2].starts_with("-ERR syntax error") && lines[3].starts_with("-ERR wrong number")
        );
        assert!(lines[4].starts_with("-ERR the key is longer"), "{text}");
        assert_eq!(lines[5], ":3");
    }

    #[test]
    fn transaction_that_grows_too_long_is_refused_however_short_its_commands() {
        let mut caller = Caller::new(7);
        told(&mut caller, "MULTI");
        let queued = (0..MAX_BYTES).take_while(|_| told(&mut caller, "GET k") == "+QUEUED\r\n");
        assert_eq!(queued.count(), MAX_BYTES / (2 * WORD_BYTES + 4));
        assert!(told(&mut caller, "EXEC").starts_with("-EXECABORT "));
    }

    #[test]
    fn multi_and_watch_within_a_transaction_are_refused_and_it_goes_on() {
        let mut caller = Caller::new(7);
        told(&mut caller, "MULTI");
        assert!(told(&mut caller, "MULTI").starts_with("-ERR MULTI calls can not be nested"));
        assert!(told(&mut caller, "WATCH k").starts_with("-ERR WATCH inside MULTI"));
        told(&mut caller, "INCR a");
        told(&mut caller, "SMEMBERS b");
        let (command, shape) = increment_and_read();
        let expected = Request::Operation(Operation::from(Write::Plain(command)), shape);
        assert_eq!(asked(&mut caller, "EXEC"), expected);
        assert!(told(&mut caller, "WATCH k").starts_with("-ERR nothing can be watched"));
    }

    #[test]
    fn transaction_ends_with_discard_or_reset_and_nothing_done() {
        let mut caller = Caller::new(7);
        for (end, answer) in [("DISCARD", "+OK\r\n"), ("RESET", "+RESET\r\n")] {
            told(&mut caller, "MULTI");
            told(&mut caller, "INCR a");
            assert_eq!(told(&mut caller, end), answer);
            assert!(told(&mut caller, "EXEC").starts_with("-ERR EXEC without MULTI"), "{end}");
        }
        assert!(told(&mut caller, "DISCARD").starts_with("-ERR DISCARD without MULTI"));
        assert!(told(&mut caller, "ONCE 4 9 EXEC").starts_with("-ERR EXEC without MULTI"));
    }
}
