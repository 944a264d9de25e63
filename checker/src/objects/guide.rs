//! What answers tell of the order of operations beforehand, so that a search need not try others.
//!
//! Numbers that rise were given out in their order. Two changes that follow each other in what a watch saw
//! follow each other in every order, if no value is written twice. And a write of unknown outcome whose
//! value nobody ever saw can be taken for one that never happened: an order with it is one without it, too.
//!
//! A search that is guided finds an order if there is one. What makes a history a violation is looked for
//! without a guide, since the parts of a history that are left out there may be those that tell the order.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::event::Function;
use crate::history::{Action, History, KeyId, Operation, Outcome, Response};
use crate::value::{Value, ValueId};

/// Of each value of watched registers the one that came next.
pub(super) type Follows = FxHashMap<ValueId, ValueId>;

/// What stands in place of a number before the first.
pub(super) const FIRST: &str = "first";

/// Lets each request for a number say which number was given out before its own, where no two of its key
/// have the same.
pub(super) fn chain_numbers(history: &mut History) {
    let mut by_key: FxHashMap<KeyId, Vec<(i64, usize)>> = FxHashMap::default();
    for (place, operation) in history.operations.iter().enumerate() {
        if let Some(Response::Value(answer)) = operation.response()
            && let Value::Integer(number) = history.values.get(answer)
        {
            by_key.entry(operation.key).or_default().push((*number, place));
        }
    }
    for mut numbers in by_key.into_values() {
        numbers.sort_unstable();
        if numbers.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            continue;
        }
        let mut before = Value::text(FIRST);
        for (number, place) in numbers {
            let told = history.values.intern(&before);
            history.operations[place].action = Action::Other(Function::Next, told);
            before = Value::Integer(number);
        }
    }
}

/// The value that an operation may leave in a watched register.
const fn left_by(operation: &Operation) -> Option<ValueId> {
    match operation.action {
        Action::Write(value) => Some(value),
        Action::Cas { new, .. } => Some(new),
        _ => None,
    }
}

/// The lists of changes that watches saw.
fn watched(history: &History) -> impl Iterator<Item = &[Value]> {
    history.operations.iter().filter_map(|operation| {
        match (operation.action, operation.response()) {
            (Action::Other(Function::Watch, _), Some(Response::Value(seen))) => {
                match history.values.get(seen) {
                    Value::List(seen) => Some(&**seen),
                    _ => None,
                }
            }
            _ => None,
        }
    })
}

/// Takes writes of unknown outcome whose value nobody ever saw for failed ones.
pub(super) fn drop_unseen(history: &mut History) {
    // A compare-and-set that did not match rests on what stood there, seen or not.
    if history.operations.iter().any(|it| matches!(it.action, Action::Cas { .. })) {
        return;
    }
    let mut seen: FxHashSet<ValueId> =
        watched(history).flatten().filter_map(|value| history.values.find(value)).collect();
    for operation in &history.operations {
        if let (Action::Read, Some(Response::Value(value))) =
            (operation.action, operation.response())
        {
            seen.insert(value);
        }
    }
    for operation in &mut history.operations {
        let is_unseen = left_by(operation).is_some_and(|value| !seen.contains(&value));
        if is_unseen && matches!(operation.outcome, Outcome::Info(_)) {
            operation.outcome = Outcome::Fail(operation.invoked);
        }
    }
}

/// Which change came after which, as watches saw it; nothing if some value was written twice, or the
/// watches contradict each other.
pub(super) fn follows(history: &History) -> Follows {
    let mut written = FxHashSet::default();
    for operation in history.operations.iter().filter(|it| !it.is_failed()) {
        let is_new = left_by(operation).is_none_or(|value| written.insert(value));
        if !is_new || matches!(operation.action, Action::Delete) {
            return Follows::default();
        }
    }
    let mut follows = Follows::default();
    for pair in watched(history).flat_map(|seen| seen.windows(2)) {
        let found = [&pair[0], &pair[1]].map(|value| history.values.find(value));
        let [Some(first), Some(second)] = found else { continue };
        if *follows.entry(first).or_insert(second) != second {
            return Follows::default();
        }
    }
    follows
}

#[cfg(test)]
mod tests {
    use crate::objects::{ObjectKind, ObjectOptions, check, verify};
    use crate::{Anomaly, Event, History, Value, Verdict};

    /// A line of a history: index, process, type, function, value.
    fn event(index: u64, process: u32, kind: &str, function: &str, value: &str) -> Event {
        let line = format!(
            r#"{{"index":{index},"time":{index},"process":{process},"type":"{kind}","f":"{function}","key":"k","value":{value}}}"#
        );
        serde_json::from_str(&line).expect("an event")
    }

    fn judge(kind: ObjectKind, events: Vec<Event>) -> (Verdict, Option<Anomaly>) {
        let history = History::from_events(events).expect("a history");
        let options = ObjectOptions { kind, initial: Value::Null, memory: 64 << 20 };
        // Far more than a guided search takes, far less than one that tries orders out.
        let polls = std::sync::atomic::AtomicUsize::new(0);
        let stop = || polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 20_000;
        let (analysis, certificate) = check(&history, &options, &stop);
        if analysis.verdict == Verdict::Valid {
            let certificate = certificate.expect("a certificate");
            assert_eq!(verify(&history, &certificate, &options, &|| false), Ok(()));
        }
        (analysis.verdict, analysis.counterexample.map(|it| it.anomaly))
    }

    /// Forty at once, each of which does `each` after all were invoked.
    fn at_once(
        function: &str,
        asked: impl Fn(u32) -> String,
        kind: impl Fn(u32) -> (&'static str, String),
    ) -> Vec<Event> {
        let invoked = (0..40)
            .map(|process| event(process.into(), process, "invoke", function, &asked(process)));
        let over = (0..40).map(|process| {
            let (kind, value) = kind(process);
            event(u64::from(process) + 40, process, kind, function, &value)
        });
        invoked.chain(over).collect()
    }

    #[test]
    fn numbers_of_many_at_once_are_put_in_their_order() {
        let given = |process: u32| ("ok", ((process * 17) % 40).to_string());
        let mut events = at_once("next", |_| "null".to_owned(), given);
        let kind = ObjectKind::Timestamps;
        assert_eq!(judge(kind, events.clone()), (Verdict::Valid, None));
        events.push(event(80, 50, "invoke", "next", "null"));
        events.push(event(81, 50, "ok", "next", "40"));
        assert_eq!(judge(kind, events.clone()), (Verdict::Valid, None));
        events.push(event(82, 50, "invoke", "next", "null"));
        events.push(event(83, 50, "ok", "next", "-1"));
        assert_eq!(judge(kind, events).0, Verdict::Violation);
    }

    #[test]
    fn writes_of_many_at_once_are_put_in_the_order_of_a_watch() {
        let order: Vec<String> =
            (0..40).map(|place: u32| ((place * 17) % 40).to_string()).collect();
        let written = |process: u32| process.to_string();
        let mut events = at_once("write", written, |process| ("ok", process.to_string()));
        let watched = |events: &mut Vec<Event>, seen: &str| {
            let index = events.len() as u64;
            events.push(event(index, 60, "invoke", "watch", "null"));
            events.push(event(index + 1, 60, "ok", "watch", seen));
        };
        let kind = ObjectKind::WatchedRegister;
        watched(&mut events, &format!("[{}]", order.join(",")));
        assert_eq!(judge(kind, events.clone()), (Verdict::Valid, None));
        let mut gap = order.clone();
        gap.remove(20);
        watched(&mut events, &format!("[{}]", gap.join(",")));
        // Another order, and one of the two is a gap.
        assert_ne!(judge(kind, events).0, Verdict::Valid);
    }

    #[test]
    fn unknown_writes_that_nobody_saw_cost_nothing_and_those_that_were_seen_count() {
        let written = |process: u32| process.to_string();
        let info = |process: u32| ("info", process.to_string());
        let mut events = at_once("write", written, info);
        let read = |events: &mut Vec<Event>, value: &str| {
            let index = events.len() as u64;
            events.push(event(index, 70, "invoke", "read", "null"));
            events.push(event(index + 1, 70, "ok", "read", value));
        };
        let kind = ObjectKind::WatchedRegister;
        for value in ["7", "3", "3"] {
            read(&mut events, value);
        }
        assert_eq!(judge(kind, events.clone()), (Verdict::Valid, None));
        read(&mut events, "7");
        assert_eq!(judge(kind, events).0, Verdict::Violation);
    }
}
