//! The faults that nodes were under.

use partita_checker::Nanoseconds;
use partita_nemesis::{Family, FaultRecord};

use super::Moment;
use crate::chart::plot::fault_name;
use crate::text::fault::effects;
use crate::text::number::{duration, instant_short};
use crate::text::operation::name;

/// A fault that ended longer ago than this goes unmentioned.
const LONG_AGO: u64 = 5_000_000_000;
/// How many faults of other nodes are told of, at most.
const MOST_OF_OTHERS: usize = 3;

/// The faults that the node was under from the invocation to the return.
pub(super) fn in_force(moment: &Moment<'_>) -> Vec<String> {
    let in_force = of_node(moment, moment.node).filter(|fault| is_in_force(moment, fault));
    in_force
        .map(|fault| format!("{} was under fault {}", name(moment.node), lasted(fault)))
        .collect()
}

fn is_in_force(moment: &Moment<'_>, fault: &FaultRecord) -> bool {
    fault.began_ns <= moment.invoked.0
        && fault.ended_ns.is_none_or(|ended| ended >= moment.returned.0)
}

/// The faults of its process or disk, and those that held its messages back, that had ended not long before.
pub(super) fn before(moment: &Moment<'_>) -> Vec<String> {
    let told = |fault: &FaultRecord| {
        let ago = ended_before(moment, fault)?;
        Some(format!(
            "Fault {} of {} had been healed {} before; {}.",
            fault_name(fault),
            name(moment.node),
            duration(Nanoseconds(ago)),
            effects(fault)
        ))
    };
    of_node(moment, moment.node).filter_map(told).collect()
}

/// How long before the operation was invoked a fault ended that leaves something behind.
fn ended_before(moment: &Moment<'_>, fault: &FaultRecord) -> Option<u64> {
    let ago = fault.ended_ns.and_then(|ended| moment.invoked.0.checked_sub(ended))?;
    // What was held arrives late.
    let leaves_something =
        matches!(fault.family, Family::Process | Family::Disk) || fault.fault == "hold";
    (ago <= LONG_AGO && leaves_something).then_some(ago)
}

/// The faults that began or were in force on the node that had answered the other operation, from when
/// that was sent to it until this one was.
pub(super) fn of_source(moment: &Moment<'_>) -> Vec<String> {
    let Some(source) = &moment.source else { return Vec::new() };
    let is_told = |fault: &FaultRecord| {
        source.node == moment.node
            && (is_in_force(moment, fault) || ended_before(moment, fault).is_some())
    };
    let mut faults: Vec<_> = of_node(moment, &source.node)
        .filter(|fault| {
            fault.began_ns <= moment.invoked.0
                && fault.ended_ns.is_none_or(|ended| ended >= source.invoked.0)
                && !is_told(fault)
        })
        .collect();
    faults.drain(..faults.len().saturating_sub(MOST_OF_OTHERS));
    let told = |fault: &FaultRecord| {
        format!(
            "{}, to which “{}” was sent, was under fault {}",
            name(&source.node),
            source.label,
            lasted(fault)
        )
    };
    faults.into_iter().map(told).collect()
}

/// The faults of other nodes that led meanwhile, from the proof's begin until the operation was invoked.
pub(super) fn of_leaders(moment: &Moment<'_>) -> Vec<String> {
    if moment.operation.is_none() {
        return Vec::new();
    }
    let is_source = |node: &str| moment.source.as_ref().is_some_and(|it| it.node == node);
    let leaders = moment.other_leaders().into_iter().filter(|node| !is_source(node));
    let begun = moment.begun().0;
    let mut faults: Vec<_> = leaders
        .flat_map(|node| of_node(moment, node).map(move |fault| (node, fault)))
        .filter(|(_, fault)| {
            fault.began_ns <= moment.invoked.0 && fault.ended_ns.is_none_or(|ended| ended >= begun)
        })
        .collect();
    faults.sort_by_key(|(_, fault)| fault.began_ns);
    faults.drain(..faults.len().saturating_sub(MOST_OF_OTHERS));
    let told = |(node, fault): (&str, &FaultRecord)| {
        format!("{}, which led meanwhile, was under fault {}", name(node), lasted(fault))
    };
    faults.into_iter().map(told).collect()
}

/// `#3 kill from 1.20 s to 1.90 s; killed by signal 9: 1 process.`
fn lasted(fault: &FaultRecord) -> String {
    let until = fault
        .ended_ns
        .map_or("on".to_owned(), |ended| format!("to {}", instant_short(Nanoseconds(ended))));
    format!(
        "{} from {} {until}; {}.",
        fault_name(fault),
        instant_short(Nanoseconds(fault.began_ns)),
        effects(fault)
    )
}

/// The faults of a node that did something measurable.
fn of_node<'a>(moment: &Moment<'a>, node: &str) -> impl Iterator<Item = &'a FaultRecord> {
    let is_victim =
        |fault: &&FaultRecord| fault.nodes.iter().any(|it| it == node) && fault.had_effect();
    moment.run.faults.iter().filter(is_victim).collect::<Vec<_>>().into_iter()
}
