//! What nodes said that they were.

use partita_checker::Nanoseconds;

use super::Moment;
use crate::roles::RoleChange;
use crate::text::number::{duration, instant_short};
use crate::text::operation::name;

/// How long after the moment what a node says next is still told, in nanoseconds: nodes are asked some
/// times a second.
const SOON: u64 = 250_000_000;
/// How many new leaders are told of, at most: the last ones.
const MOST_LEADERS: usize = 3;
const LEADER: &str = "leader";

/// A role that a node said it was in.
#[derive(Clone, Copy)]
struct RoleInterval<'a> {
    change: &'a RoleChange,
    /// When it first said something else; `None` if it never did.
    until: Option<Nanoseconds>,
}

impl RoleInterval<'_> {
    /// `leader of term 2 from 6.20 s on`.
    fn in_words(&self) -> String {
        let until = match self.until {
            Some(until) => format!("to {}", instant_short(until)),
            None => "on".to_owned(),
        };
        format!("{} from {} {until}", role(self.change), instant_short(self.change.at_ns))
    }

    /// Whether it was so at some time between the two.
    fn overlaps(&self, from: Nanoseconds, to: Nanoseconds) -> bool {
        self.change.at_ns <= to && self.until.is_none_or(|until| until >= from)
    }
}

/// `leader of term 2`.
fn role(change: &RoleChange) -> String {
    let term = change.term.map_or(String::new(), |term| format!(" of term {term}"));
    format!("{}{term}", name(&change.role))
}

impl<'a> Moment<'a> {
    /// Every role that a node was in.
    fn all_roles_of<'b>(&'b self, node: &'b str) -> impl Iterator<Item = RoleInterval<'a>> + 'b {
        let changes = move || self.run.record.roles.iter().filter(move |it| it.node == node);
        changes().map(move |change| {
            let is_other = |it: &&RoleChange| (&it.role, it.term) != (&change.role, change.term);
            let later = changes().filter(|it| it.at_ns > change.at_ns);
            RoleInterval { change, until: later.filter(is_other).map(|it| it.at_ns).min() }
        })
    }

    /// The roles that a node was in at some time while the operation was open.
    fn roles_of<'b>(&'b self, node: &'b str) -> impl Iterator<Item = RoleInterval<'a>> + 'b {
        self.all_roles_of(node).filter(|stretch| stretch.overlaps(self.invoked, self.returned))
    }

    /// Who said that it leads at some time between the two.
    fn leaders_between(&self, from: Nanoseconds, to: Nanoseconds) -> Vec<RoleInterval<'a>> {
        let nodes = self.run.record.nodes.iter();
        let roles = nodes.flat_map(|node| self.all_roles_of(&node.name).collect::<Vec<_>>());
        roles.filter(|it| it.change.role == LEADER && it.overlaps(from, to)).collect()
    }

    /// Who said that it leads while the operation was open.
    fn leaders(&self) -> Vec<RoleInterval<'a>> {
        self.leaders_between(self.invoked, self.returned)
    }

    /// The other nodes that said that they lead, from the proof's begin until the operation came back.
    pub(super) fn other_leaders(&self) -> Vec<&'a str> {
        let leaders = self.leaders_between(self.begun(), self.returned);
        let mut nodes: Vec<_> = leaders.iter().map(|it| it.change.node.as_str()).collect();
        nodes.retain(|node| *node != self.node);
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// What a node last said that it was by then.
    pub(super) fn role_at(&self, node: &str, at: Nanoseconds) -> Option<String> {
        let changes = self.run.record.roles.iter();
        let told = changes.filter(|it| it.node == node && it.at_ns <= at);
        told.max_by_key(|it| it.at_ns).map(role)
    }
}

/// The node that answered led an older term than another node that led meanwhile.
pub(super) fn two_leaders(moment: &Moment<'_>) -> Option<String> {
    let leaders = moment.leaders();
    let own = leaders.iter().find(|stretch| stretch.change.node == moment.node)?;
    let newer = leaders
        .iter()
        .filter(|other| other.change.node != moment.node && other.change.term > own.change.term);
    let other = newer.max_by_key(|other| other.change.term)?;
    Some(format!(
        "{} said that it was {}, while {} said that it was {}.",
        moment.subject(),
        own.in_words(),
        name(&other.change.node),
        other.in_words()
    ))
}

/// The node that answered did not lead at any time meanwhile, and another did.
pub(super) fn not_the_leader(moment: &Moment<'_>) -> Option<String> {
    let leaders = moment.leaders();
    if leaders.iter().any(|leader| leader.change.node == moment.node) {
        return None;
    }
    let leader = leaders.iter().max_by_key(|leader| leader.change.term)?;
    let own = moment.roles_of(moment.node).last()?;
    Some(format!(
        "{} said that it was {}; {} said that it was {}.",
        moment.subject(),
        own.in_words(),
        name(&leader.change.node),
        leader.in_words()
    ))
}

/// What the node that answered was, whatever others were.
pub(super) fn own(moment: &Moment<'_>) -> Option<String> {
    let own = moment.roles_of(moment.node).last()?;
    Some(format!("{} said that it was {}.", moment.subject(), own.in_words()))
}

fn soon_after<'a>(moment: &Moment<'a>) -> Option<&'a RoleChange> {
    let changes = moment.run.record.roles.iter();
    let soon = |it: &&RoleChange| {
        it.node == moment.node && it.at_ns > moment.returned && it.at_ns <= until(moment)
    };
    changes.filter(soon).min_by_key(|it| it.at_ns)
}

/// Until when what nodes say is told.
fn until(moment: &Moment<'_>) -> Nanoseconds {
    Nanoseconds(moment.returned.0.saturating_add(SOON))
}

/// What the node that answered said that it was soon after, if that was something else.
pub(super) fn next(moment: &Moment<'_>) -> Option<String> {
    let next = soon_after(moment)?;
    let after = duration(next.at_ns.since(moment.returned));
    Some(format!(
        "{after} after it had answered, {} said that it was {}.",
        name(moment.node),
        role(next)
    ))
}

/// Two nodes said at one time that they lead, since what the finding is about or soon after it.
pub(super) fn rivals(moment: &Moment<'_>) -> Option<String> {
    if two_leaders(moment).is_some() {
        return None;
    }
    let leaders = moment.leaders_between(moment.since(), until(moment));
    let pairs = leaders.iter().flat_map(|one| leaders.iter().map(move |other| (one, other)));
    let at_once = pairs.filter(|(one, other)| {
        one.change.node != other.change.node
            && one.change.at_ns <= other.change.at_ns
            && one.until.is_none_or(|until| until > other.change.at_ns)
    });
    let (one, other) = at_once.max_by_key(|(_, other)| other.change.at_ns)?;
    Some(format!(
        "{} said that it was {}, while {} said that it was {}.",
        name(&one.change.node),
        one.in_words(),
        name(&other.change.node),
        other.in_words()
    ))
}

/// Who began to say that it leads since what the finding is about.
pub(super) fn new_leaders(moment: &Moment<'_>) -> Option<String> {
    let since = moment.since();
    let mut new = moment.leaders_between(since, until(moment));
    let is_told = soon_after(moment);
    new.retain(|leader| leader.change.at_ns > since && Some(leader.change) != is_told);
    new.sort_by_key(|leader| leader.change.at_ns);
    new.drain(..new.len().saturating_sub(MOST_LEADERS));
    let told: Vec<_> = new
        .iter()
        .map(|leader| {
            let at = instant_short(leader.change.at_ns);
            format!("{}, {}, at {at}", name(&leader.change.node), role(leader.change))
        })
        .collect();
    let since = match &moment.source {
        Some(source) => format!("Since “{}” had come back", source.label),
        None => format!("Since {}, when the proof begins", instant_short(since)),
    };
    (!told.is_empty()).then(|| format!("{since}, new leaders were seen: {}.", told.join("; ")))
}

/// What the node that ended had last said that it was, while it still had a process.
pub(super) fn last(moment: &Moment<'_>) -> Option<String> {
    let changes = moment.run.record.roles.iter().rev();
    let mut own = changes.filter(|it| it.node == moment.node && it.at_ns <= moment.returned);
    let change = own.find(|it| !["down", "silent"].contains(&it.role.as_str()))?;
    Some(format!(
        "{} had last said that it was {}, from {} on.",
        name(moment.node),
        role(change),
        instant_short(change.at_ns)
    ))
}
