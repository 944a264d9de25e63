//! Every operation against a known state, and what it must be read as.

use std::time::Duration;

use partita_checker::Value;
use partita_workloads::operation::Kind;
use partita_workloads::{Completion, Invocation};

/// How long a key lives that is to expire.
const LIFE: Duration = Duration::from_millis(50);

/// What an operation must come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expected {
    /// It was done.
    Done,
    /// It answers this.
    Answer(Value),
    /// A compare-and-set that matches.
    Swapped,
    /// One that does not, where this stands.
    Mismatch(Value),
    /// It is refused by the store's own rules.
    Refused,
    /// It will happen.
    Scheduled,
    /// It answers this sooner or later.
    Soon(Value),
}

/// An operation, and what it must come to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) invocation: Invocation,
    pub(super) expected: Expected,
}

/// Steps that belong together, on keys of their own; after one that went wrong the rest says nothing.
pub(super) type Group = Vec<Step>;

/// The groups of steps that clients can take who have what `supports` says, on keys that begin with `prefix`.
pub(super) fn groups(prefix: &str, supports: impl Fn(Kind) -> bool) -> Vec<Group> {
    let key = |name: &str| Value::text(format!("{prefix}-{name}"));
    let all = [
        register(&key("register"), &key("nothing")),
        texts(&key("text")),
        with_delete(&key("delete")),
        expiring(&key("expire")),
        appends(&key("append")),
        counter(&key("counter")),
        set(&key("set")),
        container(&key("queue"), Kind::Enqueue, Kind::Dequeue, [1, 2]),
        container(&key("stack"), Kind::Push, Kind::Pop, [2, 1]),
        lock(&key("lock")),
        transaction([key("first"), key("second")]),
    ];
    let is_possible = |group: &Group| group.iter().all(|step| supports(step.invocation.kind));
    all.into_iter().filter(is_possible).collect()
}

fn step(invocation: Invocation, expected: Expected) -> Step {
    Step { invocation, expected }
}

fn register(key: &Value, nothing: &Value) -> Group {
    let read = |value: Value| step(Invocation::read(key.clone()), Expected::Answer(value));
    let cas = |old: i64, new: i64, expected| {
        step(Invocation::cas(key.clone(), old.into(), new.into()), expected)
    };
    let absent = Invocation::cas(nothing.clone(), 7.into(), 8.into());
    vec![
        read(Value::Null),
        step(Invocation::write(key.clone(), 7.into()), Expected::Done),
        read(7.into()),
        cas(7, 9, Expected::Swapped),
        read(9.into()),
        cas(7, 8, Expected::Mismatch(9.into())),
        read(9.into()),
        step(absent, Expected::Mismatch(Value::Null)),
        step(Invocation::read(nothing.clone()), Expected::Answer(Value::Null)),
    ]
}

/// Values as the workload `large` writes them, and numbers that are easily changed on the way.
fn texts(key: &Value) -> Group {
    let values = [Value::text("x".repeat(700)), Value::text("0017"), Value::from(1_000_000_007)];
    let both = |value: Value| {
        [
            step(Invocation::write(key.clone(), value.clone()), Expected::Done),
            step(Invocation::read(key.clone()), Expected::Answer(value)),
        ]
    };
    values.into_iter().flat_map(both).collect()
}

fn with_delete(key: &Value) -> Group {
    vec![
        step(Invocation::write(key.clone(), 7.into()), Expected::Done),
        step(Invocation::delete(key.clone()), Expected::Done),
        step(Invocation::read(key.clone()), Expected::Answer(Value::Null)),
        step(Invocation::delete(key.clone()), Expected::Done),
    ]
}

fn expiring(key: &Value) -> Group {
    vec![
        step(Invocation::write(key.clone(), 7.into()), Expected::Done),
        step(Invocation::expire(key.clone(), LIFE), Expected::Scheduled),
        step(Invocation::read(key.clone()), Expected::Soon(Value::Null)),
    ]
}

fn appends(key: &Value) -> Group {
    vec![
        step(Invocation::append(key.clone(), "7,".into()), Expected::Done),
        step(Invocation::append(key.clone(), "8,".into()), Expected::Done),
        step(Invocation::read(key.clone()), Expected::Answer("7,8,".into())),
    ]
}

fn counter(key: &Value) -> Group {
    let add = |amount: i64| {
        step(Invocation::of(Kind::Increment, key.clone(), amount.into()), Expected::Done)
    };
    vec![add(5), add(3), step(Invocation::read(key.clone()), Expected::Answer(8.into()))]
}

fn set(key: &Value) -> Group {
    let of = |kind, answer| {
        let expected = Expected::Answer(Value::Bool(answer));
        step(Invocation::of(kind, key.clone(), 7.into()), expected)
    };
    let all = |elements: Vec<Value>| {
        let read = Invocation::of(Kind::ReadElements, key.clone(), Value::Null);
        step(read, Expected::Answer(Value::list(elements)))
    };
    vec![
        of(Kind::AddElement, true),
        of(Kind::AddElement, false),
        of(Kind::HasElement, true),
        all(vec![7.into()]),
        of(Kind::RemoveElement, true),
        of(Kind::HasElement, false),
        all(Vec::new()),
    ]
}

fn container(key: &Value, put: Kind, take: Kind, out: [i64; 2]) -> Group {
    let put = |item: i64| step(Invocation::of(put, key.clone(), item.into()), Expected::Done);
    let take =
        |item: Value| step(Invocation::of(take, key.clone(), Value::Null), Expected::Answer(item));
    vec![put(1), put(2), take(out[0].into()), take(out[1].into()), take(Value::Null)]
}

fn lock(key: &Value) -> Group {
    let of = |kind, owner: &str, expected| {
        step(Invocation::of(kind, key.clone(), owner.into()), expected)
    };
    vec![
        of(Kind::Acquire, "one", Expected::Done),
        of(Kind::Acquire, "two", Expected::Refused),
        of(Kind::Release, "two", Expected::Refused),
        of(Kind::Release, "one", Expected::Done),
        of(Kind::Acquire, "two", Expected::Done),
        of(Kind::Release, "two", Expected::Done),
    ]
}

fn transaction([first, second]: [Value; 2]) -> Group {
    let item = |what: &str, key: &Value, value: Value| {
        Value::list([Value::text(what), key.clone(), value])
    };
    let write = vec![item("w", &first, 1.into()), item("w", &second, 2.into())];
    let read = vec![item("r", &first, Value::Null), item("r", &second, Value::Null)];
    let seen = vec![item("r", &first, 1.into()), item("r", &second, 2.into())];
    vec![
        step(Invocation::transaction(write.clone()), Expected::Answer(Value::list(write))),
        step(Invocation::transaction(read), Expected::Answer(Value::list(seen))),
    ]
}

impl Step {
    /// Whether another try may come to what is expected: nothing has happened, or it happens later.
    pub(super) fn may_be_tried_again(&self, completion: &Completion) -> bool {
        match (&self.expected, completion) {
            (_, Completion::Fail(_)) => true,
            (Expected::Soon(expected), Completion::Answered(answer)) => answer != expected,
            _ => false,
        }
    }

    /// What is wrong with this outcome, if anything is.
    pub(super) fn problem(&self, completion: &Completion) -> Option<String> {
        let asked = in_words(&self.invocation);
        let read_as = read_as(completion);
        let wrong = |what: String| Some(format!("{asked}: {what}"));
        match (&self.expected, completion) {
            (Expected::Done, Completion::Done)
            | (Expected::Swapped, Completion::Swapped)
            | (Expected::Refused, Completion::Refused(_))
            | (Expected::Scheduled, Completion::Scheduled)
            | (Expected::Mismatch(_), Completion::Mismatch { saw: None }) => None,
            (
                Expected::Answer(expected) | Expected::Soon(expected),
                Completion::Answered(answer),
            ) => {
                if answer == expected {
                    return None;
                }
                let expected = shown(expected);
                wrong(format!("read as {read_as}, and {expected} stands there: decoded wrongly?"))
            }
            (Expected::Mismatch(there), Completion::Mismatch { saw: Some(saw) }) => {
                if saw == there {
                    return None;
                }
                let there = shown(there);
                wrong(format!("{read_as}, and {there} stands there: `saw` is decoded wrongly"))
            }
            (Expected::Mismatch(there), Completion::Swapped) => {
                let there = shown(there);
                wrong(format!("a mismatch is read as swapped: {there} stands there"))
            }
            (Expected::Swapped, Completion::Mismatch { .. }) => {
                wrong(format!("a match is read as a {read_as}: what is expected stands there"))
            }
            (_, Completion::Fail(why)) => wrong(format!("fails on a healthy node: {why}")),
            (_, Completion::Unknown(why)) => wrong(format!("no answer that makes sense: {why}")),
            (expected, _) => wrong(format!("read as {read_as}, expected {expected:?}")),
        }
    }
}

/// An operation in words.
pub(super) fn in_words(invocation: &Invocation) -> String {
    let Invocation { kind, key, value, .. } = invocation;
    match (kind, value) {
        (Kind::Transaction, steps) => format!("transaction {steps}"),
        (Kind::Cas, Value::List(operands)) if operands.len() == 2 => {
            format!("cas {} {} → {}", shown(key), shown(&operands[0]), shown(&operands[1]))
        }
        (_, Value::Null) => format!("{} {}", kind.word(), shown(key)),
        _ => format!("{} {} {}", kind.word(), shown(key), shown(value)),
    }
}

/// What an outcome was read as, in words.
pub(super) fn read_as(completion: &Completion) -> String {
    match completion {
        Completion::Done => "done".to_owned(),
        Completion::Answered(value) => shown(value),
        Completion::Swapped => "swapped".to_owned(),
        Completion::Mismatch { saw: None } => "mismatch".to_owned(),
        Completion::Mismatch { saw: Some(saw) } => format!("mismatch, saw {}", shown(saw)),
        Completion::Refused(why) => format!("refused, {why}"),
        Completion::Scheduled => "will happen".to_owned(),
        Completion::Fail(why) => format!("fail, {why}"),
        Completion::Unknown(why) => format!("unknown, {why}"),
    }
}

/// A value in words, cut.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".to_owned(),
        Value::Text(text) if text.starts_with("partita-check") => text.to_string(),
        Value::Text(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    let cut = text.chars().nth(60).map_or("", |_| "…");
    text.chars().take(60).chain(cut.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kind`'s step in this place says of an outcome.
    fn problem(kind: Kind, place: usize, completion: &Completion) -> Option<String> {
        let groups = groups("partita-check", |_| true);
        let mut of_kind = groups.iter().flatten().filter(|step| step.invocation.kind == kind);
        of_kind.nth(place).expect("a step").problem(completion)
    }

    #[test]
    fn a_mismatch_that_is_read_as_swapped_is_named() {
        let mismatch = |saw| Completion::Mismatch { saw };
        let problem = |completion| problem(Kind::Cas, 1, &completion);
        assert_eq!(problem(mismatch(None)), None);
        assert_eq!(problem(mismatch(Some(9.into()))), None);
        let wrong = problem(Completion::Swapped).expect("wrong");
        assert!(wrong.ends_with("7 → 8: a mismatch is read as swapped: 9 stands there"), "{wrong}");
        let wrong = problem(mismatch(Some(7.into()))).expect("refused, and saw what it expected");
        assert!(wrong.contains("mismatch, saw 7, and 9 stands there"), "{wrong}");
    }

    #[test]
    fn a_value_that_is_decoded_wrongly_is_named() {
        let answered = |value| problem(Kind::Read, 1, &Completion::Answered(value));
        assert_eq!(answered(7.into()), None);
        let wrong = answered("Nw==".into()).expect("wrong");
        assert!(wrong.contains("read as \"Nw==\", and 7 stands there"), "{wrong}");
    }

    #[test]
    fn only_what_clients_can_ask_for_is_tried() {
        let kinds = [Kind::Read, Kind::Append];
        let groups = groups("partita-check", |kind| kinds.contains(&kind));
        assert_eq!(groups.len(), 1);
        assert!(groups[0].iter().all(|step| kinds.contains(&step.invocation.kind)));
    }

    #[test]
    fn what_failed_may_be_tried_again_and_nothing_else() {
        let write = step(Invocation::write("k".into(), 7.into()), Expected::Done);
        assert!(write.may_be_tried_again(&Completion::Fail("no leader".into())));
        assert!(!write.may_be_tried_again(&Completion::Unknown("lost".into())));
        let soon = step(Invocation::read("k".into()), Expected::Soon(Value::Null));
        assert!(soon.may_be_tried_again(&Completion::Answered(7.into())));
        assert!(!soon.may_be_tried_again(&Completion::Answered(Value::Null)));
    }
}
