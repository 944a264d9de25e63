//! Whether a run tested anything.
//!
//! A history can be linearizable because nothing happened. A run that proved nothing is *unknown*,
//! with the reasons found here; a violation, on the other hand, is one whatever else went wrong.

use partita_checker::{History, Operation, Outcome};
use partita_nemesis::FaultRecord;
use partita_reports::{Counts, Outcomes, Phase};
use partita_workloads::Kind;

use super::evidence::came_back_during;

/// What became of the operations of `history`.
pub fn count(history: &History, faults: &[FaultRecord]) -> Counts {
    let mut counts = Counts::default();
    for operation in history.operations() {
        counts.invoked += 1;
        match operation.outcome {
            Outcome::Ok(..) => {
                counts.ok += 1;
                counts.ok_during_faults +=
                    u64::from(faults.iter().any(|fault| came_back_during(operation, fault)));
            }
            Outcome::Fail(_) => counts.fail += 1,
            Outcome::Info(_) => counts.info += 1,
        }
    }
    counts
}

/// The phases during which clients are at work.
const UNDER_LOAD: [&str; 3] = ["lead-in", "faults", "heal"];

/// How many operations clients sent in a second, while they were at work; `None` if they never were.
pub fn rate(history: &History, phases: &[Phase]) -> Option<f64> {
    let under_load = || phases.iter().filter(|phase| UNDER_LOAD.contains(&phase.name.as_str()));
    let (began, ended) = (under_load().next()?.began_ns, under_load().next_back()?.ended_ns);
    let at_work = |operation: &&Operation| (began..=ended).contains(&operation.invoked.time);
    let sent = history.operations().iter().filter(at_work).count();
    let seconds = ended.since(began).as_seconds();
    (seconds > 0.0).then(|| sent as f64 / seconds)
}

/// Why the operations prove nothing, one sentence each; empty if they do. `needs` are the kinds of
/// operations that the workload asks for. What faults come to is weighed in [`super::evidence`].
pub fn reasons(history: &History, outcomes: &Outcomes, needs: &[Kind]) -> Vec<String> {
    let mut reasons = Vec::new();
    for (wanted, what) in [(true, "read"), (false, "update")] {
        let kinds: Vec<&Kind> = needs.iter().filter(|kind| kind.is_read() == wanted).collect();
        let is_one = |operation: &Operation| {
            kinds.iter().any(|kind| kind.function() == operation.action.function())
        };
        let came_back = |operation: &Operation| {
            matches!(operation.outcome, Outcome::Ok(..)) && is_one(operation)
        };
        // A kind that was sent often and never came back is named on its own.
        let is_told = outcomes.has_unproved(|name| kinds.iter().any(|kind| kind.name() == name));
        if !kinds.is_empty() && !is_told && !history.operations().iter().any(came_back) {
            reasons.push(format!("no {what} ever came back"));
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use partita_checker::{Event, EventKind, Function, Nanoseconds, ProcessId, Value};
    use partita_reports::KindCounts;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const REGISTER: &[Kind] = &[Kind::Read, Kind::Write];

    /// Operations of one function that began at these times and came back at once.
    fn history(function: Function, times: &[u64], kind: EventKind) -> History {
        let events = times.iter().flat_map(|time| [(*time, EventKind::Invoke), (*time, kind)]);
        let event = |(index, (time, kind))| Event {
            index,
            time: Nanoseconds(time),
            process: ProcessId(u32::try_from(index / 2).expect("few")),
            kind,
            function,
            key: "k".into(),
            value: Value::Integer(1),
            swapped: None,
            saw: None,
            node: None,
            error: None,
            level: None,
            revision: None,
        };
        History::from_events((0..).zip(events).map(event)).expect("well-formed")
    }

    #[test]
    fn the_rate_is_that_of_the_time_when_clients_were_at_work() {
        let phase = |name: &str, from: u64, to: u64| Phase {
            name: name.to_owned(),
            began_ns: Nanoseconds(from * SECOND),
            ended_ns: Nanoseconds(to * SECOND),
        };
        let times: Vec<u64> = [3, 4, 5, 6, 7, 8, 12, 13].map(|second| second * SECOND).into();
        let history = history(Function::Read, &times, EventKind::Ok);
        let mut phases = vec![
            phase("start", 0, 2),
            phase("lead-in", 2, 4),
            phase("faults", 4, 9),
            phase("heal", 9, 10),
            phase("settle", 10, 12),
            phase("final reads", 12, 14),
        ];
        assert_eq!(rate(&history, &phases), Some(6.0 / 8.0));
        phases.truncate(1);
        assert_eq!(rate(&history, &phases), None);
    }

    #[test]
    fn a_kind_that_the_outcomes_name_is_not_named_again() {
        let history = history(Function::Write, &[SECOND; 30], EventKind::Fail);
        let of = |sent| Outcomes {
            kinds: vec![KindCounts { kind: "write".into(), sent, ..KindCounts::default() }],
            ..Outcomes::default()
        };
        let found = reasons(&history, &of(30), REGISTER);
        assert_eq!(found, ["no read ever came back"]);
        let found = reasons(&history, &of(19), REGISTER);
        assert_eq!(found, ["no read ever came back", "no update ever came back"]);
    }

    #[test]
    fn a_workload_without_reads_is_not_told_that_none_came_back() {
        let needs = &[Kind::Enqueue, Kind::Dequeue];
        let done = history(Function::Enqueue, &[SECOND], EventKind::Ok);
        assert_eq!(reasons(&done, &Outcomes::default(), needs), Vec::<String>::new());
        let none = history(Function::Enqueue, &[SECOND], EventKind::Fail);
        let found = reasons(&none, &Outcomes::default(), needs);
        assert_eq!(found, ["no update ever came back"]);
    }
}
