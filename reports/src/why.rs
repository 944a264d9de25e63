//! What is on record of the moment of a finding: who answered or ended, what that node said it was, who else
//! led, which faults it was under, who did not reach it, and what it wrote last.
//!
//! Each sentence is one function's, and says nothing that the records do not hold; where they do not
//! hold it, there is no sentence. Roles are what nodes said when they were asked, some times a second:
//! a role lasts from the first answer that told it to the first that told another.

use partita_checker::{Nanoseconds, Relation, Verdict};
use partita_nemesis::{Family, FaultRecord};

use crate::chart::plot::fault_name;
use crate::evidence::Evidence;
use crate::finding::FindingKind;
use crate::roles::RoleChange;
use crate::run::Run;
use crate::surroundings::Surroundings;
use crate::text::fault::effects;
use crate::text::number::{count, duration, instant_short};
use crate::text::operation::{name, returned, witness};
use crate::text::visible::brief;
use crate::traffic::unheard_since;

/// A fault that ended longer ago than this goes unmentioned.
const LONG_AGO: u64 = 5_000_000_000;

/// How much of a line of a log is told, in characters.
const LINE_CHARACTERS: usize = 160;

/// The operation that cannot be explained or the end of a node, with what is known around it.
struct Moment<'a> {
    run: &'a Run<'a>,
    surroundings: &'a Surroundings,
    /// The proof that has the operation, and its place in there.
    operation: Option<(&'a Evidence<'a>, usize)>,
    /// The node that answered or ended.
    node: &'a str,
    /// When the operation was invoked.
    invoked: Nanoseconds,
    /// When it came back, or when the node ended.
    returned: Nanoseconds,
}

/// A role that a node said it was in.
struct Stretch<'a> {
    change: &'a RoleChange,
    /// When it first said something else; `None` if it never did.
    until: Option<Nanoseconds>,
}

/// What is on record, most telling first. Nothing if no one operation or node is to blame, or it is not
/// known which node answered.
pub(crate) fn sentences(
    run: &Run<'_>,
    evidence: Option<&Evidence<'_>>,
    surroundings: &Surroundings,
) -> Vec<String> {
    let Some(moment) = Moment::of(run, evidence, surroundings) else { return Vec::new() };
    let told = match moment.operation {
        Some(_) => vec![two_leaders(&moment), not_the_leader(&moment), missed(&moment)],
        None => vec![last_role(&moment)],
    };
    let faults = faults_in_force(&moment).into_iter().chain(faults_before(&moment));
    let beside = [unheard(&moment), last_line(&moment)];
    told.into_iter().flatten().chain(faults).chain(beside.into_iter().flatten()).collect()
}

/// The node that answered or ended, if one is to blame.
pub(crate) fn node(run: &Run<'_>, evidence: Option<&Evidence<'_>>) -> Option<String> {
    Moment::of(run, evidence, &Surroundings::default()).map(|moment| moment.node.to_owned())
}

impl<'a> Moment<'a> {
    fn of(
        run: &'a Run<'a>,
        evidence: Option<&'a Evidence<'a>>,
        surroundings: &'a Surroundings,
    ) -> Option<Self> {
        let Some(evidence) = evidence else { return Self::of_finding(run, surroundings) };
        let place = evidence.operations.iter().position(|exhibit| exhibit.blame.is_some())?;
        let operation = evidence.operations[place].witness;
        let (node, returned) = (operation.node.as_deref()?, returned(operation)?);
        let invoked = operation.invoked;
        let operation = Some((evidence, place));
        Some(Self { run, surroundings, operation, node, invoked, returned })
    }

    /// The first finding that is of one node and has a time.
    fn of_finding(run: &'a Run<'a>, surroundings: &'a Surroundings) -> Option<Self> {
        if run.verdict() == Verdict::Violation {
            return None;
        }
        let findings = run.record.findings.iter().filter(|it| it.kind != FindingKind::Violation);
        let mut known = findings.filter_map(|it| Some((it.node.as_deref()?, it.at_ns?)));
        let (node, at) = known.next()?;
        Some(Self { run, surroundings, operation: None, node, invoked: at, returned: at })
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
                && stretch.until.is_none_or(|until| until >= self.invoked)
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
    let (evidence, place) = moment.operation?;
    let mut steps = evidence.steps.iter();
    let step =
        steps.find(|step| step.relation == Relation::OverwrittenBefore && step.from == place)?;
    let missed = evidence.operations.get(step.to)?.witness;
    let (node, returned) = (missed.node.as_deref()?, returned(missed)?);
    (node != moment.node).then(|| {
        format!(
            "“{}”, which it missed, had been answered by {} at {}.",
            witness(&evidence.found.key, missed),
            name(node),
            instant_short(returned)
        )
    })
}

/// The faults that the node was under from the invocation to the return.
fn faults_in_force(moment: &Moment<'_>) -> Vec<String> {
    let in_force = |fault: &&FaultRecord| {
        fault.began_ns <= moment.invoked.0
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
    let invoked = moment.invoked.0;
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

/// What the node that ended had last said that it was, while it still had a process.
fn last_role(moment: &Moment<'_>) -> Option<String> {
    let changes = moment.run.record.roles.iter().rev();
    let mut own = changes.filter(|it| it.node == moment.node && it.at_ns <= moment.returned);
    let change = own.find(|it| !["down", "silent"].contains(&it.role.as_str()))?;
    let term = change.term.map_or(String::new(), |term| format!(" of term {term}"));
    Some(format!(
        "{} had last said that it was {}{term}, from {} on.",
        name(moment.node),
        name(&change.role),
        instant_short(change.at_ns)
    ))
}

/// The nodes of which nothing had reached the one that answered for a while, though something was
/// sent.
fn unheard(moment: &Moment<'_>) -> Option<String> {
    let others = moment.run.record.nodes.iter().filter(|other| other.name != moment.node);
    let links = &moment.surroundings.links;
    let cut: Vec<_> = others
        .filter_map(|other| {
            let (since, frames) = unheard_since(links, (&other.name, moment.node), moment.invoked)?;
            Some((since, format!("{} ({} kept off)", name(&other.name), count(frames))))
        })
        .collect();
    // Since when nothing of any of them had come.
    let since = cut.iter().map(|(since, _)| *since).max()?;
    let names: Vec<_> = cut.into_iter().map(|(_, name)| name).collect();
    Some(format!(
        "From {} until {}, nothing that was sent by {} reached {}.",
        instant_short(since),
        if moment.operation.is_some() { "the operation was invoked" } else { "then" },
        names.join(" and "),
        name(moment.node),
    ))
}

/// What the node had written to its log last.
fn last_line(moment: &Moment<'_>) -> Option<String> {
    let mut lines = moment.surroundings.lines.iter().rev();
    let own = lines.find(|line| {
        line.node == moment.node && line.at <= moment.returned && !line.text.trim().is_empty()
    })?;
    Some(format!(
        "The last line that {} had written before, at {}: “{}”.",
        name(moment.node),
        instant_short(own.at),
        brief(own.text.trim(), LINE_CHARACTERS)
    ))
}
