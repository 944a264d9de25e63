//! The catalogue of models, by the names that people give them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::event::Function;
use crate::history::{Action, History, Operation, Response};
use crate::value::{Value, ValueId};

/// Binds the model of a [`ModelKind`] to a name and evaluates an expression with it. The value is a
/// `Result`: not every object can begin with every value.
macro_rules! with_model {
    ($kind:expr, $initial:expr, $values:expr, $model:ident => $result:expr) => {{
        use $crate::model::{
            Append, BadInitial, Counter, Lock, ModelKind, MultiRegister, Queue, Register, Set,
            Stack,
        };
        let (initial, values) = ($initial, $values);
        let with = || -> Result<_, BadInitial> {
            Ok(match $kind {
                ModelKind::Register => {
                    let $model = Register::new(initial, values);
                    $result
                }
                ModelKind::Append => {
                    let $model = Append::new(initial, values)?;
                    $result
                }
                ModelKind::Counter => {
                    let $model = Counter::new(initial, values)?;
                    $result
                }
                ModelKind::Set => {
                    let $model = Set::new(initial, values)?;
                    $result
                }
                ModelKind::Queue => {
                    let $model = Queue::new(initial, values)?;
                    $result
                }
                ModelKind::Stack => {
                    let $model = Stack::new(initial, values)?;
                    $result
                }
                ModelKind::Lock => {
                    let $model = Lock::new(initial, values)?;
                    $result
                }
                ModelKind::MultiRegister => {
                    let $model = MultiRegister::new(initial, values);
                    $result
                }
                // Their room decides on them, not by steps of an object.
                kind @ (ModelKind::ListAppend | ModelKind::RwRegister) => {
                    return Err(BadInitial {
                        model: kind.name(),
                        expected: "left to the levels of transactions",
                        found: initial.clone(),
                    });
                }
            })
        };
        with()
    }};
}
pub(crate) use with_model;

/// Which object a history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ModelKind {
    /// A register that holds one value.
    ///
    /// A compare-and-set that did not match answers so, with or without the value it saw instead.
    /// A delete puts the initial value back, where all registers begin with one value; see
    /// [`KeyInitials`](crate::KeyInitials) for others.
    #[default]
    Register,
    /// A value that operations read whole, replace and append to.
    ///
    /// `read` answers the whole value, `write` replaces it, `append` adds its argument at the end, and
    /// `delete` puts the initial value back. If every value of the history is text, the object is a
    /// string and an argument of `append` a piece of it; otherwise it is a list, and an argument of
    /// `append` one item. Null, the empty text and the empty list are the same.
    Append,
    /// A counter of integers.
    ///
    /// `add` takes the amount, which may be negative, and answers nothing, or its argument again.
    /// `read` answers the sum; null is 0.
    Counter,
    /// A set of values.
    ///
    /// `add` and `remove` answer nothing (or their argument again), or true or false: whether they
    /// changed the set. `contains` answers true or false. `read` answers a list of all elements, in any
    /// order but each once; null is the empty set.
    Set,
    /// A first-in-first-out queue.
    ///
    /// `dequeue` answers the value at the head, or null if there is none. `enqueue` takes any value but
    /// null, and answers nothing, or its argument again. A dequeue of unknown outcome takes whatever is
    /// at the head when it happens.
    Queue,
    /// A last-in-first-out stack.
    ///
    /// `pop` answers the value on top, or null if there is none. `push` takes any value but null, and
    /// answers nothing, or its argument again. A pop of unknown outcome takes whatever is on top when
    /// it happens.
    Stack,
    /// A lock that one owner holds at a time.
    ///
    /// `acquire` completes only when the lock was free, `release` only when it was held. The argument
    /// of either is the owner's name, which must then be the same; null is any owner, so that without
    /// names this is the plain mutex. Both answer nothing, their argument again, or true; an attempt
    /// that did not get the lock is no completed `acquire` but a failed one.
    Lock,
    /// Registers, each of which holds one value, under transactions that see and change all of them at
    /// one moment.
    ///
    /// The argument of a `txn` is a list of steps `[f, k, v]`: `r` or `read` register `k`, `w` or
    /// `write` value `v` to register `k`; a step sees what the steps before it wrote. The answer is the
    /// same list with what was read in the place of `v`, or nothing, which says nothing of the reads.
    MultiRegister,
    /// [Transactions](crate::isolation) over lists.
    ListAppend,
    /// [Transactions](crate::isolation) over registers.
    RwRegister,
}

/// What there is to say of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelEntry {
    /// Which.
    pub kind: ModelKind,
    /// The name that stands in certificates.
    pub name: &'static str,
    /// Other names that people know it under.
    pub aliases: &'static [&'static str],
    /// What it is, in half a sentence.
    pub about: &'static str,
    /// What can be done with it.
    pub functions: &'static [Function],
}

/// All models.
pub const MODELS: [ModelEntry; 10] = [
    ModelEntry {
        kind: ModelKind::Register,
        name: "register",
        aliases: &["cas-register", "kv"],
        about: "one value per key: read, overwritten, compared and set, deleted",
        functions: &[Function::Read, Function::Write, Function::Cas, Function::Delete],
    },
    ModelEntry {
        kind: ModelKind::Append,
        name: "append",
        aliases: &[],
        about: "a string or list per key that is read whole, replaced and appended to",
        functions: &[Function::Read, Function::Write, Function::Append, Function::Delete],
    },
    ModelEntry {
        kind: ModelKind::Counter,
        name: "counter",
        aliases: &[],
        about: "a sum per key that is added to and read",
        functions: &[Function::Read, Function::Add],
    },
    ModelEntry {
        kind: ModelKind::Set,
        name: "set",
        aliases: &[],
        about: "a set per key: add, remove, ask for one element, read all",
        functions: &[Function::Add, Function::Remove, Function::Contains, Function::Read],
    },
    ModelEntry {
        kind: ModelKind::Queue,
        name: "queue",
        aliases: &["fifo-queue"],
        about: "a queue per key, first in, first out",
        functions: &[Function::Enqueue, Function::Dequeue],
    },
    ModelEntry {
        kind: ModelKind::Stack,
        name: "stack",
        aliases: &[],
        about: "a stack per key, last in, first out",
        functions: &[Function::Push, Function::Pop],
    },
    ModelEntry {
        kind: ModelKind::Lock,
        name: "lock",
        aliases: &["mutex"],
        about: "a lock per key that one owner holds at a time",
        functions: &[Function::Acquire, Function::Release],
    },
    ModelEntry {
        kind: ModelKind::MultiRegister,
        name: "multi-register",
        aliases: &[],
        about: "registers under transactions that read and write several of them at once",
        functions: &[Function::Txn],
    },
    ModelEntry {
        kind: ModelKind::ListAppend,
        name: "list-append",
        aliases: &[],
        about: "transactions that append to lists and read them whole, by isolation levels",
        functions: &[Function::Txn, Function::Read, Function::Append],
    },
    ModelEntry {
        kind: ModelKind::RwRegister,
        name: "rw-register",
        aliases: &["txn", "transactions"],
        about: "transactions that write unique values to registers and read them, by isolation levels",
        functions: &[Function::Txn, Function::Read, Function::Write, Function::Cas],
    },
];

impl ModelKind {
    /// What there is to say of it.
    pub fn entry(self) -> &'static ModelEntry {
        let found = MODELS.iter().find(|entry| entry.kind == self);
        found.expect("every model is in the catalogue")
    }

    /// The name that stands in certificates.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The object that the history is about, as far as its operations tell: the only one that has
    /// them all. A counter and a set, which both have `add` and `read`, are told apart by what is
    /// added and read. Reads that answer lists tell that it is no register, unless lists are written.
    pub fn told_by(history: &History) -> Option<Self> {
        let operations = || history.operations.iter();
        let has_all = |entry: &&ModelEntry| {
            operations().all(|one| entry.functions.contains(&one.action.function()))
        };
        if operations().any(|one| one.action.function() == Function::Txn) {
            return super::micro_operation::told_by(history);
        }
        let objects = MODELS.iter().filter(|entry| !entry.kind.is_transactional());
        let mut kinds = objects.filter(has_all).map(|entry| entry.kind);
        match (kinds.next()?, kinds.next()) {
            (Self::Register, None) => (!has_foreign_lists(history)).then_some(Self::Register),
            (kind, None) => Some(kind),
            // A register does all that a growing string does but append.
            (Self::Register, _) => (!has_foreign_lists(history)).then_some(Self::Register),
            (Self::Counter, Some(Self::Set)) => {
                let is_number = |value: &Value| matches!(value, Value::Integer(_) | Value::Null);
                let mut shown = operations().map(|one| match one.response() {
                    Some(Response::Value(value)) => history.values.get(value).clone(),
                    _ => history.argument(one.action),
                });
                let answers = |one: &Operation| match one.response() {
                    Some(Response::Value(value)) => value != ValueId::NULL,
                    _ => false,
                };
                let are_read = operations().any(|one| one.action == Action::Read && answers(one));
                match shown.all(|value| is_number(&value)) {
                    true if are_read => Some(Self::Counter),
                    true => None,
                    false => Some(Self::Set),
                }
            }
            _ => None,
        }
    }

    /// Why operations do not [tell](Self::told_by) the object, and what would.
    pub fn untold(history: &History) -> &'static str {
        let functions = || history.operations.iter().map(|one| one.action.function());
        if functions().all(|function| Self::Register.entry().functions.contains(&function)) {
            "its reads answer lists or maps that nobody writes, as those of a bank, a set or a list \
             do, and are no values of a register"
        } else if functions().all(|function| Self::Counter.entry().functions.contains(&function)) {
            "its operations fit a counter and a set"
        } else {
            "its operations do not tell what object it is about"
        }
    }

    /// Whether every key is an object of its own, to be judged apart. If not, all operations of a
    /// history work on one object, whatever their keys.
    pub const fn splits_by_key(self) -> bool {
        !matches!(self, Self::MultiRegister | Self::ListAppend | Self::RwRegister)
    }

    /// Whether it is about isolation levels of transactions, not about an object.
    pub const fn is_transactional(self) -> bool {
        matches!(self, Self::ListAppend | Self::RwRegister)
    }
}

/// Whether some reads answer lists, although no operation writes any.
fn has_foreign_lists(history: &History) -> bool {
    let is_list = |id: ValueId| matches!(history.values.get(id), Value::List(_));
    // Without a list among the values, nothing has to be looked through.
    if !(0..history.values.len() as u32).map(ValueId).any(is_list) {
        return false;
    }
    let mut read = false;
    for operation in &history.operations {
        match (operation.action, operation.response()) {
            (Action::Write(value), _) if is_list(value) => return false,
            (Action::Cas { expected, new }, _) if is_list(new) || is_list(expected) => {
                return false;
            }
            (Action::Read, Some(Response::Value(value))) => read |= is_list(value),
            _ => {}
        }
    }
    read
}

impl fmt::Display for ModelKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// There is no model of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a model, one of {}; found `{name}`", names())]
pub struct UnknownModel {
    /// The name.
    pub name: String,
}

fn names() -> String {
    let all =
        MODELS.iter().flat_map(|entry| [entry.name].into_iter().chain(entry.aliases.to_vec()));
    all.collect::<Vec<_>>().join(", ")
}

impl FromStr for ModelKind {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        let found = MODELS.iter().find(|it| it.name == name || it.aliases.contains(&name));
        found.map(|entry| entry.kind).ok_or_else(|| UnknownModel { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn every_name_leads_to_its_model() {
        for entry in &MODELS {
            assert_eq!(entry.kind.entry(), entry);
            for name in [entry.name].iter().chain(entry.aliases) {
                assert_eq!(name.parse(), Ok(entry.kind));
            }
        }
        assert_eq!("kv".parse(), Ok(ModelKind::Register));
    }

    #[test]
    fn unknown_name_is_answered_with_the_known_ones() {
        let error = "heap".parse::<ModelKind>().unwrap_err().to_string();
        assert!(error.starts_with("expected a model, one of register, cas-register, kv, append"));
        assert!(error.ends_with("found `heap`"), "{error}");
    }

    fn told_by(lines: &str) -> Option<ModelKind> {
        let event = |line| serde_json::from_str(line).expect("an event");
        let events: Vec<Event> = lines.lines().map(event).collect();
        ModelKind::told_by(&History::from_events(events).expect("a history"))
    }

    fn pair(index: u64, function: &str, asked: &str, answered: &str) -> String {
        let event = |index, kind, value| {
            format!(
                r#"{{"index":{index},"time":{index},"process":0,"type":"{kind}","f":"{function}","key":"k","value":{value}}}"#
            )
        };
        format!("{}\n{}\n", event(index, "invoke", asked), event(index + 1, "ok", answered))
    }

    #[test]
    fn operations_tell_the_object_where_only_one_has_them() {
        let read = |answer| pair(0, "read", "null", answer);
        let cases = [
            (read("1"), Some(ModelKind::Register)),
            (String::new(), Some(ModelKind::Register)),
            (read("1") + &pair(2, "append", "\"x\"", "\"x\""), Some(ModelKind::Append)),
            (pair(0, "enqueue", "1", "1"), Some(ModelKind::Queue)),
            (pair(0, "pop", "null", "1"), Some(ModelKind::Stack)),
            (pair(0, "remove", "1", "true"), Some(ModelKind::Set)),
            (read("1") + &pair(2, "add", "1", "1"), Some(ModelKind::Counter)),
            (read("null") + &pair(2, "add", "1", "1"), None),
            (read("[[1,5],[2,5]]"), None),
            (
                pair(0, "write", "[1,2]", "[1,2]") + &pair(2, "read", "null", "[1,2]"),
                Some(ModelKind::Register),
            ),
            (read("[1]") + &pair(2, "add", "1", "1"), Some(ModelKind::Set)),
            (pair(0, "add", "1", "1"), None),
            (pair(0, "pop", "null", "1") + &pair(2, "enqueue", "1", "1"), None),
        ];
        for (lines, expected) in cases {
            assert_eq!(told_by(&lines), expected, "{lines}");
        }
    }
}
