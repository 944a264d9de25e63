//! What became of written values: whether their writes were answered, and whether anybody read them.
//!
//! A value counts as read if any `ok` operation on its key saw it, alone or in a list. Where the same
//! value was written to a key more than once, nobody can tell which write a read saw: those are left out.

use std::collections::{HashMap, HashSet};

use partita_checker::{
    Action, Function, History, KeyId, Operation, Outcome, Response, Value, ValueId,
};

use super::Buckets;

/// Items of lists that are looked at, at most: beyond that it is not known what was never read.
const MOST_ITEMS: usize = 4_000_000;

/// What became of a written value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteOutcome {
    /// Answered, and read.
    OkRead,
    /// Answered, and never read.
    OkUnread,
    /// Its outcome is unknown, and it was read: it happened.
    OpenRead,
    /// Its outcome is unknown, and it was never read.
    OpenUnread,
    /// It certainly did not happen, and was read all the same.
    FailRead,
}

impl WriteOutcome {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::OkRead, Self::OkUnread, Self::OpenRead, Self::OpenUnread, Self::FailRead];
}

/// How many values of each fate were sent in each stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// The stretches.
    pub(crate) buckets: Buckets,
    /// A count for each stretch, for each fate in order.
    pub(crate) counts: Vec<[u64; 5]>,
    /// Writes of values that were written to their key more than once.
    pub(crate) left_out: u64,
}

impl Written {
    /// `None` if hardly a value was written only once, or there is too much to look at.
    pub(crate) fn of(history: &History, buckets: Buckets) -> Option<Self> {
        let mut times: HashMap<(KeyId, ValueId), u32> = HashMap::new();
        let writes = || {
            let operations = history.operations().iter();
            operations.filter_map(|it| Some((it, (it.key, written(it.action)?))))
        };
        for (_, place) in writes() {
            *times.entry(place).or_default() += 1;
        }
        let read = read(history, &times)?;
        let mut found = Self { buckets, counts: vec![[0; 5]; buckets.count], left_out: 0 };
        let mut told = 0;
        for (operation, place) in writes() {
            if times[&place] > 1 {
                found.left_out += 1;
                continue;
            }
            let Some(fate) = fate(operation, read.contains(&place)) else { continue };
            found.counts[buckets.index(operation.invoked.time)][fate as usize] += 1;
            told += 1;
        }
        (told > 0 && told >= found.left_out).then_some(found)
    }

    /// How many have this fate.
    pub(crate) fn total(&self, fate: WriteOutcome) -> u64 {
        self.counts.iter().map(|counts| counts[fate as usize]).sum()
    }
}

/// The value that an operation writes, if it writes one that can be told again.
const fn written(action: Action) -> Option<ValueId> {
    match action {
        Action::Write(value) | Action::Cas { new: value, .. } => Some(value),
        Action::Other(
            Function::Append | Function::Add | Function::Enqueue | Function::Push | Function::Send,
            value,
        ) => Some(value),
        Action::Read | Action::Delete | Action::Other(..) => None,
    }
}

fn fate(operation: &Operation, is_read: bool) -> Option<WriteOutcome> {
    match (operation.outcome, is_read) {
        // It wrote nothing.
        (Outcome::Ok(_, Response::Mismatch(_)), _) | (Outcome::Fail(_), false) => None,
        (Outcome::Ok(..), true) => Some(WriteOutcome::OkRead),
        (Outcome::Ok(..), false) => Some(WriteOutcome::OkUnread),
        (Outcome::Info(_), true) => Some(WriteOutcome::OpenRead),
        (Outcome::Info(_), false) => Some(WriteOutcome::OpenUnread),
        (Outcome::Fail(_), true) => Some(WriteOutcome::FailRead),
    }
}

/// The written values that were read; `None` if there is too much to look at.
fn read(
    history: &History,
    wanted: &HashMap<(KeyId, ValueId), u32>,
) -> Option<HashSet<(KeyId, ValueId)>> {
    let (mut read, mut looked) = (HashSet::new(), HashSet::new());
    let mut items_left = MOST_ITEMS;
    for operation in history.operations() {
        let Outcome::Ok(_, response) = operation.outcome else { continue };
        let seen = match (operation.action, response) {
            (Action::Cas { expected, .. }, Response::Swapped) => expected,
            (_, Response::Mismatch(Some(saw)) | Response::Value(saw)) => saw,
            (_, Response::Mismatch(None) | Response::Done | Response::Swapped) => continue,
        };
        // Writes that say what they wrote saw nothing.
        if written(operation.action) == Some(seen)
            && !matches!(operation.action, Action::Cas { .. })
        {
            continue;
        }
        let key = operation.key;
        if wanted.contains_key(&(key, seen)) {
            read.insert((key, seen));
        }
        if let Value::List(items) = history.values().get(seen)
            && looked.insert((key, seen))
        {
            items_left = items_left.checked_sub(items.len())?;
            let items = items.iter().filter_map(|item| history.values().find(item));
            read.extend(items.map(|item| (key, item)).filter(|it| wanted.contains_key(it)));
        }
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use partita_checker::Nanoseconds;

    use super::*;

    /// The fates of a history of such operations: function, key, value that was asked for, how it ended,
    /// value that was answered.
    fn fates(operations: &[(&str, &str, &str, &str, &str)]) -> Option<([u64; 5], u64)> {
        let mut events = Vec::new();
        for (process, (function, key, asked, ended, answered)) in operations.iter().enumerate() {
            for (kind, value) in [("invoke", asked), (*ended, answered)] {
                let index = events.len();
                let text = format!(
                    r#"{{"index":{index},"time":{index},"process":{process},"type":"{kind}","f":"{function}","key":"{key}","value":{value}}}"#
                );
                events.push(serde_json::from_str(&text).expect("an event"));
            }
        }
        let history = History::from_events(events).expect("a history");
        let written = Written::of(&history, Buckets::until(Nanoseconds(1_000), 10))?;
        Some((WriteOutcome::ALL.map(|fate| written.total(fate)), written.left_out))
    }

    #[test]
    fn a_value_is_read_by_any_later_look_on_its_key() {
        let found = fates(&[
            ("write", "k", "1", "ok", "1"),
            ("write", "k", "2", "ok", "2"),
            ("write", "k", "3", "info", "3"),
            ("write", "k", "4", "info", "4"),
            ("write", "k", "5", "fail", "5"),
            ("write", "k", "6", "fail", "6"),
            ("read", "k", "null", "ok", "1"),
            ("read", "k", "null", "ok", "3"),
            ("read", "k", "null", "ok", "5"),
            ("read", "other", "null", "ok", "2"),
        ]);
        assert_eq!(found, Some(([1, 1, 1, 1, 1], 0)));
    }

    #[test]
    fn values_in_lists_are_read_and_those_written_twice_are_left_out() {
        let found = fates(&[
            ("append", "k", "1", "ok", "1"),
            ("append", "k", "2", "ok", "2"),
            ("append", "k", "3", "ok", "3"),
            ("append", "k", "7", "ok", "7"),
            ("append", "k", "7", "ok", "7"),
            ("read", "k", "null", "ok", "[1,2,7]"),
        ]);
        assert_eq!(found, Some(([2, 1, 0, 0, 0], 2)));
        let mostly_twice = [("write", "k", "7", "ok", "7"); 3];
        assert_eq!(fates(&mostly_twice), None);
        assert_eq!(fates(&[("read", "k", "null", "ok", "null")]), None, "nothing was written");
    }

    #[test]
    fn a_compare_and_set_reads_what_it_expected_and_writes_only_if_it_swapped() {
        let found = fates(&[
            ("write", "k", "1", "ok", "1"),
            ("cas", "k", "[1,2]", "ok", "[1,2]"),
            ("read", "k", "null", "ok", "2"),
        ]);
        assert_eq!(found, Some(([2, 0, 0, 0, 0], 0)));
    }
}
