//! What is on record of the moment of a violation: who answered, what that node said it was, who else
//! led, and which faults it was under.
//!
//! Each sentence is one function's, and says nothing that the records do not hold; where they do not
//! hold it, there is no sentence. Roles are what nodes said when they were asked, some times a second:
//! a role lasts from the first answer that told it to the first that told another.

use partita_checker::{Nanoseconds, Relation, Witness};
use partita_nemesis::{Family, FaultRecord};

use crate::chart::plot::fault_name;
use crate::evidence::Evidence;
use crate::roles::RoleChange;
use crate::run::Run;
use crate::text::fault::effects;
use crate::text::number::{duration, instant_short};
use crate::text::operation::{name, returned, witness};

/// A fault that ended longer ago than this goes unmentioned.
const LONG_AGO: u64 = 5_000_000_000;

/// The operation that cannot be explained, with what is known around it.
struct Moment<'a> {
    run: &'a Run<'a>,
    evidence: &'a Evidence<'a>,
    /// Its place in the evidence.
    place: usize,
    operation: &'a Witness,
    /// The node that answered it.
    node: &'a str,
    returned: Nanoseconds,
}

/// A role that a node said it was in.
struct Stretch<'a> {
    change: &'a RoleChange,
    /// When it first said something else; `None` if it never did.
    until: Option<Nanoseconds>,
}

/// What is on record, most telling first. Nothing if no one operation is to blame, or it is not known
/// which node answered it.
pub(crate) fn sentences(run: &Run<'_>, evidence: &Evidence<'_>) -> Vec<String> {
    let Some(moment) = Moment::of(run, evidence) else { return Vec::new() };
    let told = [two_leaders(&moment), not_the_leader(&moment), missed(&moment)];
    let faults = faults_in_force(&moment).into_iter().chain(faults_before(&moment));
    told.into_iter().flatten().chain(faults).collect()
}

impl<'a> Moment<'a> {
    fn of(run: &'a Run<'a>, evidence: &'a Evidence<'a>) -> Option<Self> {
        let place = evidence.operations.iter().position(|exhibit| exhibit.blame.is_some())?;
        let operation = evidence.operations[place].witness;
        let (node, returned) = (operation.node.as_deref()?, returned(operation)?);
        Some(Self { run, evidence, place, operation, node, returned })
    }

    /// The roles that a node was in at some time while the operation was open.
    fn roles_of<'b>(&'b self, node: &'b str) -> impl Iterator<Item = Stretch<'a>> + 'b {
        let changes = move || self.run.record.roles.iter().filter(move |it| it.node == node);
        let stretch = move |change: &'a RoleChange| {
            let is_other = |it: &&RoleChange| (&it.role, it.term) != (&change.role, change.term);
            let later = changes().filter(|it| it.at_ns > change.at_ns);
            Stretch { change, until: later.filter(is_other).map(|it| it.at_ns).min() }
        };
        changes().map(stretch).filter(|stretch| {
            stretch.change.at_ns <= self.returned
                && stretch.until.is_none_or(|until| until >= self.operation.invoked)
        })
    }

    /// Who said that it leads while the operation was open.
    fn leaders(&self) -> Vec<Stretch<'a>> {
        let nodes = self.run.record.nodes.iter();
        let roles = nodes.flat_map(|node| self.roles_of(&node.name).collect::<Vec<_>>());
        roles.filter(|stretch| stretch.change.role == "leader").collect()
    }
}

impl Stretch<'_> {
    /// `leader of term 2 from 6.20 s on`.
    fn in_words(&self) -> String {
        let change = self.change;
        let term = change.term.map_or(String::new(), |term| format!(" of term {term}"));
        let until = match self.until {
            Some(until) => format!("to {}", instant_short(until)),
            None => "on".to_owned(),
        };
        format!("{}{term} from {} {until}", name(&change.role), instant_short(change.at_ns))
    }
}

/// The node that answered led an older term than another node that led meanwhile.
fn two_leaders(moment: &Moment<'_>) -> Option<String> {
    let leaders = moment.leaders();
    let own = leaders.iter().find(|stretch| stretch.change.node == moment.node)?;
    let newer = leaders
        .iter()
        .filter(|other| other.change.node != moment.node && other.change.term > own.change.term);
    let other = newer.max_by_key(|other| other.change.term)?;
    Some(format!(
        "{}, which answered, said that it was {}, while {} said that it was {}.",
        name(moment.node),
        own.in_words(),
        name(&other.change.node),
        other.in_words()
    ))
}

/// The node that answered did not lead at any time meanwhile, and another did.
fn not_the_leader(moment: &Moment<'_>) -> Option<String> {
    let leaders = moment.leaders();
    if leaders.iter().any(|leader| leader.change.node == moment.node) {
        return None;
    }
    let leader = leaders.iter().max_by_key(|leader| leader.change.term)?;
    let own = moment.roles_of(moment.node).next()?;
    Some(format!(
        "{}, which answered, said that it was {}; {} said that it was {}.",
        name(moment.node),
        own.in_words(),
        name(&leader.change.node),
        leader.in_words()
    ))
}

/// What it missed was answered by another node.
fn missed(moment: &Moment<'_>) -> Option<String> {
    let mut steps = moment.evidence.steps.iter();
    let step = steps
        .find(|step| step.relation == Relation::OverwrittenBefore && step.from == moment.place)?;
    let missed = moment.evidence.operations.get(step.to)?.witness;
    let (node, returned) = (missed.node.as_deref()?, returned(missed)?);
    (node != moment.node).then(|| {
        format!(
            "“{}”, which it missed, had been answered by {} at {}.",
            witness(&moment.evidence.found.key, missed),
            name(node),
            instant_short(returned)
        )
    })
}

/// The faults that the node was under from the invocation to the return.
fn faults_in_force(moment: &Moment<'_>) -> Vec<String> {
    let in_force = |fault: &&FaultRecord| {
        fault.began_ns <= moment.operation.invoked.0
            && fault.ended_ns.is_none_or(|ended| ended >= moment.returned.0)
    };
    let told = |fault: &FaultRecord| {
        let until = fault
            .ended_ns
            .map_or("on".to_owned(), |ended| format!("to {}", instant_short(Nanoseconds(ended))));
        format!(
            "{} was under fault {} from {} {until}; {}.",
            name(moment.node),
            fault_name(fault),
            instant_short(Nanoseconds(fault.began_ns)),
            effects(fault)
        )
    };
    victims_faults(moment).filter(in_force).map(told).collect()
}

/// The faults of its process or disk that had ended not long before.
fn faults_before(moment: &Moment<'_>) -> Vec<String> {
    let invoked = moment.operation.invoked.0;
    let told = |fault: &FaultRecord| {
        let ago = fault.ended_ns.and_then(|ended| invoked.checked_sub(ended))?;
        let counts = ago <= LONG_AGO && matches!(fault.family, Family::Process | Family::Disk);
        counts.then(|| {
            format!(
                "Fault {} of {} had been healed {} before; {}.",
                fault_name(fault),
                name(moment.node),
                duration(Nanoseconds(ago)),
                effects(fault)
            )
        })
    };
    victims_faults(moment).filter_map(told).collect()
}

/// The faults of the node that answered that did something measurable.
fn victims_faults<'a>(moment: &Moment<'a>) -> impl Iterator<Item = &'a FaultRecord> {
    let node = moment.node.to_owned();
    let is_victim = move |fault: &&FaultRecord| fault.nodes.contains(&node) && fault.had_effect();
    moment.run.faults.iter().filter(is_victim)
}
