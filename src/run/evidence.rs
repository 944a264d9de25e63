//! Weighs, fault by fault, whether it tested anything.
//!
//! A fault counts if its victims can have felt it and clients did what can show it: were answered
//! while it was in force, or, where nobody can answer then, had updates acknowledged before it whose
//! keys were observed after it ([`Shows`]). One that does not count is reported and costs its own
//! evidence; the run is without any only if none counts. A fault that was not undone is another
//! matter: all that followed ran on a cluster that nobody planned.

use std::collections::HashMap;

use partita_checker::{Action, Function, History, Operation, Outcome};
use partita_nemesis::{FaultRecord, Shows};
use partita_reports::Stall;

/// Operations that must tell of a fault for it to count.
const OPERATIONS: u64 = 5;

/// What the faults of a run come to.
#[derive(Debug, Default)]
pub struct Weighed {
    /// Why the run proves nothing, one sentence each.
    pub reasons: Vec<String>,
    /// Which faults do not count, and why, one sentence each.
    pub notes: Vec<String>,
    /// How many count.
    pub counted: u64,
}

/// Weighs the `faults` of a run on so many `nodes`. `wants_faults` says whether any were asked for;
/// of what overlaps one of `stalls`, in which the controller itself stood still, nothing is said.
///
/// Without a `history`, of a run that had no clients, a fault counts that had an effect.
pub fn weigh(
    history: Option<&History>,
    faults: &[FaultRecord],
    nodes: usize,
    wants_faults: bool,
    stalls: &[Stall],
) -> Weighed {
    let mut weighed = Weighed::default();
    if wants_faults && faults.is_empty() {
        weighed.reasons.push("no fault happened: the run was too short for any".to_owned());
    }
    let mut lost = Vec::new();
    for fault in faults {
        let name = format!("fault {} ({} of {})", fault.id, fault.fault, fault.nodes.join(", "));
        if fault.unhealed {
            let error = fault.error.as_deref().unwrap_or("it is not known why");
            weighed.reasons.push(format!("{name} was not undone: {error}"));
        }
        match missing(history, fault, nodes) {
            None => weighed.counted += 1,
            Some(_) if stalls.iter().any(|stall| overlaps(stall, fault)) => {
                lost.push(format!("{name} does not count: the controller stood still meanwhile"));
            }
            Some(why) => lost.push(format!("{name} does not count: {why}")),
        }
    }
    if weighed.counted == 0 && !faults.is_empty() {
        weighed
            .reasons
            .push(format!("none of the faults, {} in all, tested anything", faults.len()));
        weighed.reasons.append(&mut lost);
    }
    weighed.notes = lost;
    weighed
}

/// Why a fault does not count, if so.
fn missing(history: Option<&History>, fault: &FaultRecord, nodes: usize) -> Option<String> {
    if let Some(error) = fault.error.as_ref().filter(|_| !fault.unhealed) {
        return Some(format!("it went wrong: {error}"));
    }
    if let Some(why) = fault.without_effect() {
        return Some(format!("it had no effect: {why}"));
    }
    let history = history?;
    let (count, what) = match fault.shows(nodes) {
        Shows::Under => {
            let answered = |it: &&Operation| came_back_during(it, fault);
            let count = history.operations().iter().filter(answered).count() as u64;
            (count, "operations came back while it was in force")
        }
        Shows::Across => {
            let what = "updates acknowledged before it are on keys that were read after it";
            (acknowledged_and_observed(history, fault), what)
        }
    };
    (count < OPERATIONS).then(|| format!("too few {what}: {count}, and {OPERATIONS} are needed"))
}

/// Whether an operation was answered while `fault` was in force.
pub fn came_back_during(operation: &Operation, fault: &FaultRecord) -> bool {
    let Outcome::Ok(returned, _) = operation.outcome else { return false };
    let time = returned.time.0;
    time >= fault.began_ns && fault.ended_ns.is_none_or(|ended| time <= ended)
}

/// How many updates were acknowledged before `fault` on keys that were observed after it.
fn acknowledged_and_observed(history: &History, fault: &FaultRecord) -> u64 {
    let Some(ended_ns) = fault.ended_ns else { return 0 };
    let mut keys: HashMap<_, (u64, bool)> = HashMap::new();
    for operation in history.operations() {
        let Outcome::Ok(returned, _) = operation.outcome else { continue };
        let (updates, is_observed) = keys.entry(operation.key).or_default();
        *updates += u64::from(returned.time.0 < fault.began_ns && !is_read(operation));
        *is_observed |= operation.invoked.time.0 >= ended_ns && observes(operation);
    }
    keys.values().filter(|(_, is_observed)| *is_observed).map(|(updates, _)| updates).sum()
}

const fn is_read(operation: &Operation) -> bool {
    matches!(operation.action, Action::Read | Action::Other(Function::Read, _))
}

/// Whether an answer says anything of what was there before.
const fn observes(operation: &Operation) -> bool {
    !matches!(operation.action, Action::Write(_) | Action::Delete)
}

fn overlaps(stall: &Stall, fault: &FaultRecord) -> bool {
    let stall_end = stall.began_ns.0 + stall.length_ns.0;
    stall_end >= fault.began_ns && fault.ended_ns.is_none_or(|ended| stall.began_ns.0 <= ended)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use partita_checker::Nanoseconds;
    use partita_checker::formats::{self, ReadOptions};
    use partita_nemesis::fault::clock::ClockStep;
    use partita_nemesis::fault::disk::PowerLossAll;
    use partita_nemesis::fault::partition::Isolate;
    use partita_nemesis::fault::process::Kill;
    use partita_nemesis::{Effect, FaultKind};

    use super::*;

    /// Ten operations from `at` on, a nanosecond each: writes of key `k`, or reads of it.
    fn operations(lines: &mut String, at: u64, f: &str) {
        for number in 0..10_u64 {
            let time = at + 2 * number;
            for (step, kind) in ["invoke", "ok"].iter().enumerate() {
                let (index, time) = (lines.lines().count(), time + step as u64);
                lines.push_str(&format!(
                    "{{\"index\":{index},\"time\":{time},\"process\":0,\"type\":\"{kind}\",\
                     \"f\":\"{f}\",\"key\":\"k\",\"value\":9}}\n"
                ));
            }
        }
    }

    fn history(parts: &[(u64, &str)]) -> History {
        let mut lines = String::new();
        for (at, f) in parts {
            operations(&mut lines, *at, f);
        }
        formats::read("made", lines.as_bytes(), &ReadOptions::default()).expect("reads").history
    }

    fn fault(id: u32, fault: FaultKind, effect: (&str, f64, &str)) -> FaultRecord {
        let (what, amount, unit) = effect;
        FaultRecord {
            id,
            fault: fault.name().to_owned(),
            family: fault.family(),
            target: "all".to_owned(),
            nodes: vec!["n1".to_owned()],
            parameters: BTreeMap::new(),
            began_ns: 1_000,
            ended_ns: Some(2_000),
            effects: vec![Effect { what: what.to_owned(), amount, unit: unit.to_owned() }],
            error: None,
            unhealed: false,
        }
    }

    const DROPPED: (&str, f64, &str) = ("frames dropped", 9.0, "frames");
    const UNREAD: (&str, f64, &str) = ("readings of moved clocks", 0.0, "readings");
    const KILLED: (&str, f64, &str) = ("lost power", 3.0, "processes");

    fn weigh(history: &History, faults: &[FaultRecord]) -> Weighed {
        super::weigh(Some(history), faults, 3, true, &[])
    }

    #[test]
    fn one_fault_without_effect_costs_itself_and_not_the_run() {
        let under = history(&[(0, "write"), (1_500, "read")]);
        let mut faults: Vec<_> = (0..64).map(|id| fault(id, Isolate::KIND, DROPPED)).collect();
        faults.push(fault(64, ClockStep::KIND, UNREAD));
        let weighed = weigh(&under, &faults);
        assert_eq!((weighed.counted, weighed.reasons.len()), (64, 0), "{weighed:?}");
        assert_eq!(weighed.notes.len(), 1);
        assert!(weighed.notes[0].contains("fault 64 (clock-step of n1)"), "{weighed:?}");
        assert!(weighed.notes[0].contains("read the clocks"), "{weighed:?}");
    }

    #[test]
    fn a_run_none_of_whose_faults_was_felt_proves_nothing_and_says_why() {
        let under = history(&[(0, "write"), (1_500, "read")]);
        let weighed = weigh(&under, &[fault(0, ClockStep::KIND, UNREAD)]);
        assert_eq!(weighed.counted, 0);
        assert!(weighed.reasons.iter().any(|it| it.contains("none of the faults")), "{weighed:?}");
        assert!(weighed.reasons.iter().any(|it| it.contains("read the clocks")), "{weighed:?}");
        assert_eq!(weigh(&under, &[]).reasons.len(), 1);
    }

    #[test]
    fn a_fault_whose_victim_another_one_holds_costs_itself_only() {
        let under = history(&[(0, "write"), (1_500, "read")]);
        let mut taken = fault(1, Kill::KIND, KILLED);
        taken.effects.clear();
        taken.error = Some("n1 is hit by fault 0 already".to_owned());
        let weighed = weigh(&under, &[fault(0, Isolate::KIND, DROPPED), taken.clone()]);
        assert_eq!((weighed.counted, weighed.reasons.len()), (1, 0), "{weighed:?}");
        assert!(weighed.notes[0].contains("hit by fault 0"), "{weighed:?}");
        // One that left a node dead costs the run.
        taken.unhealed = true;
        let weighed = weigh(&under, &[fault(0, Isolate::KIND, DROPPED), taken]);
        assert!(weighed.reasons[0].contains("was not undone"), "{weighed:?}");
    }

    #[test]
    fn a_loss_of_all_power_shows_in_what_was_acknowledged_before_and_read_after() {
        let dark = [fault(0, PowerLossAll::KIND, KILLED)];
        let across = history(&[(0, "write"), (3_000, "read")]);
        assert_eq!(weigh(&across, &dark).counted, 1, "nothing came back under it");
        for nothing in [&[(0, "write"), (1_500, "read")][..], &[(1_500, "write"), (3_000, "read")]]
        {
            let weighed = weigh(&history(nothing), &dark);
            assert!(weighed.reasons.iter().any(|it| it.contains("too few updates")), "{weighed:?}");
        }
        let isolated = [fault(0, Isolate::KIND, DROPPED)];
        assert_eq!(weigh(&across, &isolated).counted, 0, "a partition shows in what is answered");
    }

    #[test]
    fn a_stall_of_the_controller_is_said_instead_of_blaming_the_fault() {
        let across = history(&[(0, "write"), (3_000, "read")]);
        let faults = [fault(0, Isolate::KIND, DROPPED), fault(1, PowerLossAll::KIND, KILLED)];
        let stall = Stall { began_ns: Nanoseconds(900), length_ns: Nanoseconds(300) };
        let weighed = super::weigh(Some(&across), &faults, 3, true, &[stall]);
        assert_eq!((weighed.counted, weighed.reasons.len()), (1, 0), "{weighed:?}");
        assert!(weighed.notes[0].contains("stood still"), "{weighed:?}");
    }
}
