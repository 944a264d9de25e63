//! The names that recorders give to the fields of their objects, and to operations.
//!
//! Names are compared without case, `_`, `-` and a colon in front: `ClientId`, `client_id` and
//! `:client-id` are one. The first name of a list is ours; if an object has it, the others on the
//! list have no meaning in it.

use std::borrow::Cow;

use crate::event::{EventKind, Function};

/// The name of a field that has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Index,
    Time,
    Process,
    Kind,
    Function,
    Key,
    Value,
    Expected,
    New,
    Swapped,
    Saw,
    Node,
    Error,
    Start,
    End,
    Input,
    Output,
    Success,
    Level,
}

impl Name {
    /// How many there are.
    pub(super) const COUNT: usize = 19;
}

const NAMES: [(Name, &[&str]); Name::COUNT] = [
    (Name::Index, &["index"]),
    (Name::Time, &["time", "timestamp", "ts", "t"]),
    (Name::Process, &["process", "client", "clientid", "clientname", "processid", "worker"]),
    (Name::Kind, &["type", "kind", "event", "status", "outcome"]),
    (Name::Function, &["f", "function", "op", "operation", "method", "action"]),
    (Name::Key, &["key", "k"]),
    (Name::Value, &["value", "v"]),
    (Name::Expected, &["expected", "old", "oldvalue"]),
    (Name::New, &["new", "newvalue"]),
    (Name::Swapped, &["swapped"]),
    (Name::Saw, &["saw"]),
    (Name::Node, &["node"]),
    (Name::Error, &["error", "err"]),
    (Name::Start, &["start", "call", "begin", "invoke", "invoked", "starttime", "calltime"]),
    (Name::End, &["end", "return", "finish", "completed", "endtime", "returntime", "stop"]),
    (Name::Input, &["input", "request"]),
    (Name::Output, &["output", "response", "result"]),
    (Name::Success, &["ok", "success"]),
    (Name::Level, &["consistency", "consistencylevel", "level"]),
];

/// Endings that say in what a time is given, and how many nanoseconds one of it is.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("nanos", 1),
    ("us", 1_000),
    ("micros", 1_000),
    ("ms", 1_000_000),
    ("millis", 1_000_000),
];

/// Fields that describe an operation for people; nothing is lost if they are ignored.
const HARMLESS: [&str; 26] = [
    "attempt",
    "attempts",
    "comment",
    "date",
    "datetime",
    "debug",
    "duration",
    "elapsed",
    "exception",
    "final",
    "host",
    "hostname",
    "id",
    "latency",
    "message",
    "msg",
    "note",
    "opid",
    "operationid",
    "retries",
    "spanid",
    "stack",
    "thread",
    "threadid",
    "traceid",
    "walltime",
];

/// Fields in which stores tell in what order they did things. They are evidence, which a verdict
/// on values alone does not use.
const EVIDENCE: [&str; 20] = [
    "createrevision",
    "epoch",
    "etag",
    "fence",
    "fencingtoken",
    "generation",
    "lsn",
    "modrevision",
    "offset",
    "position",
    "rev",
    "revision",
    "seq",
    "seqno",
    "sequence",
    "term",
    "token",
    "ver",
    "version",
    "zxid",
];

/// What a field without a meaning of ours may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Harmless,
    Evidence,
    Unknown,
}

impl Other {
    pub(super) fn of(name: &str) -> Self {
        let name = plain(name);
        if HARMLESS.contains(&&*name) {
            Self::Harmless
        } else if EVIDENCE.contains(&&*name) {
            Self::Evidence
        } else {
            Self::Unknown
        }
    }
}

/// What a field's name means, how far up it stands on the list of its synonyms, and the unit that
/// it names.
pub(super) fn of(name: &str) -> Option<(Name, usize, Option<u64>)> {
    let name = plain(name);
    let find = |name: &str| {
        NAMES.iter().find_map(|(meaning, names)| {
            let rank = names.iter().position(|known| *known == name)?;
            Some((*meaning, rank))
        })
    };
    if let Some((meaning, rank)) = find(&name) {
        return Some((meaning, rank, None));
    }
    UNITS.iter().find_map(|(ending, unit)| {
        let (meaning, rank) = find(name.strip_suffix(ending)?)?;
        let timed = matches!(meaning, Name::Time | Name::Start | Name::End);
        timed.then_some((meaning, rank + 1, Some(*unit)))
    })
}

/// Our name for a field.
pub(super) fn ours(name: Name) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, names)| names[0])
}

/// The field of ours that somebody may have meant who wrote `name`.
pub(super) fn meant(name: &str) -> Option<Name> {
    const OFTEN: [Name; 7] =
        [Name::Index, Name::Time, Name::Process, Name::Kind, Name::Key, Name::Value, Name::Swapped];
    let name = plain(name);
    let known = Other::of(&name) != Other::Unknown;
    OFTEN.into_iter().find(|&often| !known && name.len() > 2 && is_near(&name, ours(often)))
}

/// The kind of event that a word says.
pub(super) fn kind(word: &str) -> Option<EventKind> {
    match &*plain(word) {
        "invoke" | "call" | "start" | "begin" => Some(EventKind::Invoke),
        "ok" | "return" | "end" | "complete" => Some(EventKind::Ok),
        "fail" | "failed" => Some(EventKind::Fail),
        "info" | "unknown" | "timeout" => Some(EventKind::Info),
        _ => None,
    }
}

/// Other words for our functions.
const SYNONYMS: [(&str, Function); 17] = [
    ("get", Function::Read),
    ("r", Function::Read),
    ("load", Function::Read),
    ("put", Function::Write),
    ("set", Function::Write),
    ("w", Function::Write),
    ("store", Function::Write),
    ("compareandset", Function::Cas),
    ("compareandswap", Function::Cas),
    ("del", Function::Delete),
    ("enq", Function::Enqueue),
    ("deq", Function::Dequeue),
    ("lock", Function::Acquire),
    ("unlock", Function::Release),
    ("transaction", Function::Txn),
    ("insert", Function::Add),
    ("generate", Function::Next),
];

/// The function that a word names.
pub(super) fn function(word: &str) -> Option<Function> {
    let word = plain(word);
    let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == word);
    Function::from_name(&word).or_else(|| synonym.map(|&(_, function)| function))
}

/// The function that somebody may have meant who wrote `word`.
pub(super) fn meant_function(word: &str) -> Option<Function> {
    let word = plain(word);
    Function::ALL.into_iter().find(|function| is_near(&word, function.name()))
}

/// The name as it is compared.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    let name = name.strip_prefix(':').unwrap_or(name);
    if name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Cow::Borrowed(name);
    }
    let letters = name.chars().filter(|letter| !matches!(letter, '_' | '-'));
    Cow::Owned(letters.flat_map(char::to_lowercase).collect())
}

/// Whether one letter more, less, changed, or two changed over make one word of the other.
fn is_near(word: &str, other: &str) -> bool {
    let (word, other): (Vec<char>, Vec<char>) = (word.chars().collect(), other.chars().collect());
    let same = word.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let (a, b) = (&word[same..], &other[same..]);
    match (a, b) {
        ([], []) => false,
        ([_, rest @ ..], _) if rest == b => true,
        (_, [_, rest @ ..]) if rest == a => true,
        ([x, y, rest @ ..], [z, w, others @ ..]) if (x, y) == (w, z) && rest == others => true,
        ([_, rest @ ..], [_, others @ ..]) => rest == others,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_signs() {
        assert_eq!(of("ClientId"), of("client_id"));
        assert_eq!(of("t_ns"), Some((Name::Time, 4, Some(1))));
        assert_eq!(of("start-ms"), Some((Name::Start, 1, Some(1_000_000))));
        assert_eq!(of("keyms"), None);
        assert_eq!(of("val"), None);
    }

    #[test]
    fn every_name_stands_on_one_list() {
        let mut all: Vec<&str> =
            NAMES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (place, (name, _)) in NAMES.iter().enumerate() {
            assert_eq!(*name as usize, place);
        }
        assert!(all.iter().all(|name| Other::of(name) == Other::Unknown));
    }

    #[test]
    fn misspelt_names_are_recognised() {
        for (name, meaning) in [
            ("vlaue", Name::Value),
            ("valu", Name::Value),
            ("proces", Name::Process),
            ("keys", Name::Key),
            ("typ", Name::Kind),
        ] {
            assert_eq!(meant(name), Some(meaning), "{name}");
        }
        for name in ["link", "host", "revision", "v1", "duration", "values_of_all"] {
            assert_eq!(meant(name), None, "{name}");
        }
        assert_eq!(meant_function("raed"), Some(Function::Read));
        assert_eq!(meant_function("wrote"), Some(Function::Write));
        assert_eq!(meant_function("scan"), None);
    }
}
