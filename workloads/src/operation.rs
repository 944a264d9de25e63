//! One operation as a client sees it: what it asks for, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use partita_checker::event::Staleness;
use partita_checker::{Event, EventKind, Function, Level, Nanoseconds, ProcessId, Value};

/// What an account of a bank holds that no transfer has touched: nothing stands there yet, and clients take
/// that for this much.
pub const OPENING_BALANCE: i64 = 100;

/// What an operation does, and to what sort of object: as much as a protocol must know to ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Read the value of a register, a string or a counter.
    Read,
    /// Overwrite a register.
    Write,
    /// Compare and set a register.
    Cas,
    /// Remove a register's value.
    Delete,
    /// Remove it after a while.
    Expire,
    /// Append to a string.
    Append,
    /// Add to a counter.
    Increment,
    /// Add an element to a set.
    AddElement,
    /// Remove an element of a set.
    RemoveElement,
    /// Ask whether a set has an element.
    HasElement,
    /// Read all elements of a set.
    ReadElements,
    /// Put an item at the tail of a queue.
    Enqueue,
    /// Take the item at the head of a queue.
    Dequeue,
    /// Put an item on top of a stack.
    Push,
    /// Take the item on top of a stack.
    Pop,
    /// Take a lock that is free.
    Acquire,
    /// Give a lock back.
    Release,
    /// Read and write several registers at one moment.
    Transaction,
    /// Read a register as it was at some moment, perhaps long ago.
    StaleRead,
    /// Ask for the next number of a sequence.
    Next,
    /// Overwrite a register whose changes are followed.
    WatchedWrite,
    /// Follow the changes of a register, from the first on.
    Watch,
    /// Move money from one account of a bank to another.
    Transfer,
    /// Read all accounts of a bank at one moment.
    Balances,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 24] = [
        Self::Read,
        Self::Write,
        Self::Cas,
        Self::Delete,
        Self::Expire,
        Self::Append,
        Self::Increment,
        Self::AddElement,
        Self::RemoveElement,
        Self::HasElement,
        Self::ReadElements,
        Self::Enqueue,
        Self::Dequeue,
        Self::Push,
        Self::Pop,
        Self::Acquire,
        Self::Release,
        Self::Transaction,
        Self::StaleRead,
        Self::Next,
        Self::WatchedWrite,
        Self::Watch,
        Self::Transfer,
        Self::Balances,
    ];

    /// The function that stands in histories.
    pub const fn function(self) -> Function {
        match self {
            Self::Read | Self::ReadElements | Self::StaleRead | Self::Balances => Function::Read,
            Self::Write | Self::WatchedWrite => Function::Write,
            Self::Cas => Function::Cas,
            Self::Delete | Self::Expire => Function::Delete,
            Self::Append => Function::Append,
            Self::Increment | Self::AddElement => Function::Add,
            Self::RemoveElement => Function::Remove,
            Self::HasElement => Function::Contains,
            Self::Enqueue => Function::Enqueue,
            Self::Dequeue => Function::Dequeue,
            Self::Push => Function::Push,
            Self::Pop => Function::Pop,
            Self::Acquire => Function::Acquire,
            Self::Release => Function::Release,
            Self::Transaction => Function::Txn,
            Self::Next => Function::Next,
            Self::Watch => Function::Watch,
            Self::Transfer => Function::Transfer,
        }
    }

    /// What it is called in descriptions of targets and in requests to plug-ins.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "cas",
            Self::Delete => "delete",
            Self::Expire => "expire",
            Self::Append => "append",
            Self::Increment => "add",
            Self::AddElement => "add-element",
            Self::RemoveElement => "remove-element",
            Self::HasElement => "has-element",
            Self::ReadElements => "read-elements",
            Self::Enqueue => "enqueue",
            Self::Dequeue => "dequeue",
            Self::Push => "push",
            Self::Pop => "pop",
            Self::Acquire => "acquire",
            Self::Release => "release",
            Self::Transaction => "transaction",
            Self::StaleRead => "stale-read",
            Self::Next => "next",
            Self::WatchedWrite => "watched-write",
            Self::Watch => "watch",
            Self::Transfer => "transfer",
            Self::Balances => "balances",
        }
    }

    /// The kind that is called so in descriptions.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What it is called in reports and lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Cas => "compare-and-set",
            Self::Delete => "delete",
            Self::Expire => "expiration",
            Self::Append => "append",
            Self::Increment => "increment",
            Self::AddElement => "set addition",
            Self::RemoveElement => "set removal",
            Self::HasElement => "set lookup",
            Self::ReadElements => "set read",
            Self::Enqueue => "enqueue",
            Self::Dequeue => "dequeue",
            Self::Push => "push",
            Self::Pop => "pop",
            Self::Acquire => "acquisition",
            Self::Release => "release",
            Self::Transaction => "transaction",
            Self::StaleRead => "stale read",
            Self::Next => "request for a number",
            Self::WatchedWrite => "watched write",
            Self::Watch => "watch",
            Self::Transfer => "transfer",
            Self::Balances => "read of balances",
        }
    }

    /// Whether it changes nothing, whatever it finds.
    pub const fn is_read(self) -> bool {
        matches!(
            self,
            Self::Read
                | Self::HasElement
                | Self::ReadElements
                | Self::StaleRead
                | Self::Watch
                | Self::Balances
        )
    }

    /// What it is asked for with, where that is less than what the history is checked for.
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::StaleRead => Some(Level::Stale(Staleness::Any)),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client is about to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub kind: Kind,
    /// What to do it to; null for a transaction, which names its registers.
    pub key: Value,
    /// The argument; null where there is none, `[expected, new]` for a compare-and-set, the accounts for
    /// a read of balances.
    pub value: Value,
    /// Of a transaction: whether it is to be done as programs without transactions do it, where the store
    /// has checks: by reads, and then writes on the condition that what was read still stands there.
    pub guarded: bool,
    /// When an expiration happens: after this much time, and no client is told. So its outcome stays
    /// open.
    pub after: Option<Duration>,
}

impl Invocation {
    /// An operation on `key` with an argument.
    pub const fn of(kind: Kind, key: Value, value: Value) -> Self {
        Self { kind, key, value, guarded: false, after: None }
    }

    /// A read of `key`.
    pub fn read(key: Value) -> Self {
        Self::of(Kind::Read, key, Value::Null)
    }

    /// A write of `value` to `key`.
    pub fn write(key: Value, value: Value) -> Self {
        Self::of(Kind::Write, key, value)
    }

    /// A compare-and-set of `key` from `expected` to `new`.
    pub fn cas(key: Value, expected: Value, new: Value) -> Self {
        Self::of(Kind::Cas, key, Value::list([expected, new]))
    }

    /// An append of `token` to `key`.
    pub fn append(key: Value, token: Value) -> Self {
        Self::of(Kind::Append, key, token)
    }

    /// A delete of `key`.
    pub fn delete(key: Value) -> Self {
        Self::of(Kind::Delete, key, Value::Null)
    }

    /// Lets `key` expire `after` so long.
    pub fn expire(key: Value, after: Duration) -> Self {
        Self { after: Some(after), ..Self::of(Kind::Expire, key, Value::Null) }
    }

    /// A transaction of `steps`, each `["r", register, null]` or `["w", register, value]`. It has no
    /// key: all registers are one object.
    pub fn transaction(steps: Vec<Value>) -> Self {
        Self::of(Kind::Transaction, Value::Null, Value::list(steps))
    }

    /// The same, done by reads and then writes on conditions.
    pub fn guarded_transaction(steps: Vec<Value>) -> Self {
        Self { guarded: true, ..Self::transaction(steps) }
    }

    /// A transfer of `amount` between two accounts of `bank`.
    pub fn transfer(bank: Value, from: Value, to: Value, amount: i64) -> Self {
        let field = |name: &str, value: Value| Value::list([Value::text(name), value]);
        let fields = [field("from", from), field("to", to), field("amount", amount.into())];
        Self::of(Kind::Transfer, bank, Value::list(fields))
    }

    /// A read of all `accounts` of `bank`.
    pub fn balances(bank: Value, accounts: Vec<Value>) -> Self {
        Self::of(Kind::Balances, bank, Value::list(accounts))
    }

    /// The event that records this invocation.
    pub fn event(&self, index: u64, time: Nanoseconds, process: ProcessId) -> Event {
        Event {
            index,
            time,
            process,
            kind: EventKind::Invoke,
            function: self.kind.function(),
            key: self.key.clone(),
            value: if self.kind == Kind::Balances { Value::Null } else { self.value.clone() },
            swapped: None,
            saw: None,
            node: None,
            error: None,
            level: self.kind.level(),
            revision: None,
        }
    }
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// It was done, and has no other answer.
    Done,
    /// It was done and answered this, null if there was nothing.
    Answered(Value),
    /// A compare-and-set matched, so that the new value stands.
    Swapped,
    /// A compare-and-set did not match, so that nothing changed.
    Mismatch {
        /// The value that stood there at that moment, where the store tells it. It is a fact of its
        /// own: whether the compare-and-set matched is never inferred from it.
        saw: Option<Value>,
    },
    /// The store carried it out, and by its own rules it changed nothing: a lock was held. Why;
    /// recorded as `fail`.
    Refused(Arc<str>),
    /// It was accepted and happens later, when no client is told; recorded as `info`.
    Scheduled,
    /// It certainly did not happen and never will; why.
    Fail(Arc<str>),
    /// It may have happened, may happen later, or never; why.
    Unknown(Arc<str>),
}

impl Completion {
    /// What kind of event records this completion.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Fail(_) | Self::Refused(_) => EventKind::Fail,
            Self::Unknown(_) | Self::Scheduled => EventKind::Info,
            _ => EventKind::Ok,
        }
    }

    /// Whether the store answered what came of it.
    pub const fn is_answer(&self) -> bool {
        !matches!(self, Self::Fail(_) | Self::Unknown(_))
    }

    /// The event that records this completion of `invocation`.
    pub fn event(
        &self,
        invocation: &Invocation,
        index: u64,
        time: Nanoseconds,
        process: ProcessId,
    ) -> Event {
        let mut event = invocation.event(index, time, process);
        event.kind = self.kind();
        match self {
            Self::Answered(value) => event.value = value.clone(),
            Self::Done => {}
            Self::Swapped => event.swapped = Some(true),
            Self::Mismatch { saw } => {
                event.swapped = Some(false);
                event.saw.clone_from(saw);
            }
            Self::Scheduled => event.error = Some("the key expires in a while".into()),
            Self::Fail(why) | Self::Unknown(why) | Self::Refused(why) => {
                event.error = Some(Arc::clone(why));
            }
        }
        event
    }

    /// The value that a register held when the operation happened, as far as the completion tells.
    pub fn observed<'a>(&'a self, invocation: &'a Invocation) -> Option<&'a Value> {
        match (self, &invocation.value) {
            (Self::Answered(value), _) => Some(value),
            (Self::Mismatch { saw }, _) => saw.as_ref(),
            (Self::Done, value) if !matches!(invocation.kind, Kind::Append) => Some(value),
            (Self::Swapped, Value::List(operands)) => operands.get(1),
            _ => None,
        }
    }
}
