//! How long clients went without an answer under each fault, and how soon answers came back.
//!
//! A time without an ok answer is one between two `ok` completions that follow one another, of all
//! clients or of those of one node; of a fault, the longest that any part of the fault lies in. It
//! may begin before the fault, with the last answer before it, and end after the heal. A node that no
//! client asked anything has none.

use partita_checker::{History, Nanoseconds, Operation};
use partita_nemesis::FaultRecord;
use serde::{Deserialize, Serialize};

use crate::roles::RoleChange;
use crate::series::latency::{Bound, Waits};
use crate::text::number::duration;
use crate::text::operation::name;

/// Operations invoked later than this after the heal say nothing of the fault any more.
const AFTERMATH: u64 = 5_000_000_000;

/// What clients saw of one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The fault's number in the schedule.
    pub fault: u32,
    /// Its name.
    pub name: String,
    /// The nodes it hit, and what each was when it began.
    pub victims: Vec<Victim>,
    /// All clients together; absent if there was no operation at that time.
    pub cluster: Option<Outage>,
    /// The clients of each node that was asked anything, by name.
    pub nodes: Vec<NodeOutage>,
    /// How long operations took that were open while it was in force.
    pub during: Option<Quantiles>,
    /// The same of those invoked after the heal and before the next fault, within 5 s.
    pub after: Option<Quantiles>,
}

/// A node that a fault hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Victim {
    /// Its name.
    pub node: String,
    /// `leader`, `follower` and so on when the fault began, where it was seen.
    pub role: Option<String>,
}

/// The longest time without an ok answer, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// From the last ok answer before, or the first operation.
    pub from_ns: Nanoseconds,
    /// To the next ok answer, or the last event on record.
    pub to_ns: Nanoseconds,
    /// From the heal to the first ok answer after it; absent if there was none, or no heal.
    pub first_ok_after_heal_ns: Option<Nanoseconds>,
    /// Whether no ok answer ended it.
    pub is_open: bool,
}

/// An [`Outage`] of the clients of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOutage {
    /// The node.
    pub node: String,
    /// What its clients saw.
    #[serde(flatten)]
    pub outage: Outage,
}

/// How long operations took, those without an answer counted with the time their clients waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many operations.
    pub operations: u64,
    /// How many of them were never answered.
    pub unanswered: u64,
    /// Half of them took at most this long.
    pub p50_ns: Nanoseconds,
    /// Whether that may be more: operations without an answer are among the faster half.
    pub p50_is_at_least: bool,
    /// 99 % of them took at most this long.
    pub p99_ns: Nanoseconds,
    /// Whether that may be more.
    pub p99_is_at_least: bool,
}

impl Quantiles {
    fn of(waits: Waits) -> Self {
        Self {
            operations: waits.answered + waits.unanswered,
            unanswered: waits.unanswered,
            p50_ns: waits.p50.time,
            p50_is_at_least: waits.p50.at_least,
            p99_ns: waits.p99.time,
            p99_is_at_least: waits.p99.at_least,
        }
    }

    /// The median and the 99th percentile in words.
    pub(crate) fn in_words(&self) -> [String; 2] {
        let bound = |time, at_least| Bound { time, at_least }.to_string();
        [bound(self.p50_ns, self.p50_is_at_least), bound(self.p99_ns, self.p99_is_at_least)]
    }
}

impl Outage {
    /// How long it lasted.
    pub fn length(&self) -> Nanoseconds {
        self.to_ns.since(self.from_ns)
    }

    /// `1.3 s`, or `at least 1.3 s, to the end` where no answer ended it.
    pub(crate) fn in_words(&self) -> String {
        let length = duration(self.length());
        if self.is_open { format!("at least {length}, to the end") } else { length }
    }
}

impl Recovery {
    /// What clients saw of each fault that took hold, in the order of the schedule.
    pub fn of(history: &History, faults: &[FaultRecord], roles: &[RoleChange]) -> Vec<Self> {
        let answers = Answers::of(history);
        let took_hold = |fault: &&FaultRecord| fault.error.is_none() || fault.had_effect();
        let in_force = faults.iter().filter(took_hold);
        in_force.map(|fault| answers.recovery(history, fault, faults, roles)).collect()
    }

    /// The fault and its victims: `isolate n1 (leader)`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", name(&self.name), self.victims_in_words()).trim_end().to_owned()
    }

    /// `n1 (leader), n2`.
    pub(crate) fn victims_in_words(&self) -> String {
        let victim = |victim: &Victim| match &victim.role {
            Some(role) => format!("{} ({})", name(&victim.node), name(role)),
            None => name(&victim.node),
        };
        self.victims.iter().map(victim).collect::<Vec<_>>().join(", ")
    }

    /// The outages of the nodes it hit.
    pub(crate) fn of_victims(&self) -> impl Iterator<Item = &NodeOutage> {
        let is_victim = |node: &str| self.victims.iter().any(|victim| victim.node == node);
        self.nodes.iter().filter(move |outage| is_victim(&outage.node))
    }

    /// In a line: `isolate n1  without ok: cluster 1.3 s, n1 4.2 s (0.3 s past the heal)`.
    pub fn in_words(&self) -> String {
        let Some(cluster) = &self.cluster else {
            return format!("{}  no client asked anything meanwhile", self.title());
        };
        let mut parts = vec![format!("cluster {}", cluster.in_words())];
        parts.extend(self.of_victims().map(|node| {
            let NodeOutage { node, outage } = node;
            let past = outage.first_ok_after_heal_ns;
            let past =
                past.map_or(String::new(), |past| format!(" ({} past the heal)", duration(past)));
            format!("{} {}{past}", name(node), outage.in_words())
        }));
        format!("{}  without ok: {}", self.title(), parts.join(", "))
    }
}

impl Recovery {
    /// The latencies in a line: `during: p50 3 ms, p99 ≥ 1 s, 8 of 10 unanswered; after: …`.
    pub fn latencies(&self) -> String {
        let part = |when: &str, quantiles: &Quantiles| {
            let [p50, p99] = quantiles.in_words();
            let mut words = format!("{when}: p50 {p50}, p99 {p99}");
            if quantiles.unanswered > 0 {
                let Quantiles { unanswered, operations, .. } = quantiles;
                words.push_str(&format!(", {unanswered} of {operations} unanswered"));
            }
            words
        };
        let during = self.during.as_ref().map(|quantiles| part("during", quantiles));
        let after = self.after.as_ref().map(|quantiles| part("after", quantiles));
        during.into_iter().chain(after).collect::<Vec<_>>().join("; ")
    }
}

/// When ok answers came, in order.
struct Answers {
    all: Vec<u64>,
    /// By the node's place in the history.
    by_node: Vec<Vec<u64>>,
    /// The first invocation and the last event, of all and by node.
    asked: Option<(u64, u64)>,
    asked_by_node: Vec<Option<(u64, u64)>>,
    /// The last event of the history.
    last: u64,
}

impl Answers {
    fn of(history: &History) -> Self {
        let nodes = history.nodes().len();
        let mut this = Self {
            all: Vec::new(),
            by_node: vec![Vec::new(); nodes],
            asked: None,
            asked_by_node: vec![None; nodes],
            last: 0,
        };
        for operation in history.operations() {
            let began = operation.invoked.time.0;
            let ended = operation.completed().map_or(began, |moment| moment.time.0);
            this.last = this.last.max(ended);
            let node = operation.node.map(|node| usize::from(node.0));
            let spans = [Some(&mut this.asked), node.map(|node| &mut this.asked_by_node[node])];
            for span in spans.into_iter().flatten() {
                let (first, last) = span.unwrap_or((began, ended));
                *span = Some((first.min(began), last.max(ended)));
            }
            if operation.is_ok() {
                this.all.push(ended);
                if let Some(node) = node {
                    this.by_node[node].push(ended);
                }
            }
        }
        this.all.sort_unstable();
        this.by_node.iter_mut().for_each(|answers| answers.sort_unstable());
        this
    }

    fn recovery(
        &self,
        history: &History,
        fault: &FaultRecord,
        faults: &[FaultRecord],
        roles: &[RoleChange],
    ) -> Recovery {
        let ended = fault.ended_ns.unwrap_or(self.last).max(fault.began_ns);
        let outage = |answers: &[u64], asked: Option<(u64, u64)>| {
            let outage = outage(answers, asked?, fault.began_ns, ended)?;
            let is_healed = fault.ended_ns.is_some();
            let first_ok_after_heal_ns = outage.first_ok_after_heal_ns.filter(|_| is_healed);
            Some(Outage { first_ok_after_heal_ns, ..outage })
        };
        let mut nodes: Vec<NodeOutage> = (0..self.by_node.len())
            .filter_map(|place| {
                let node = history.nodes()[place].to_string();
                let outage = outage(&self.by_node[place], self.asked_by_node[place])?;
                Some(NodeOutage { node, outage })
            })
            .collect();
        nodes.sort_by(|one, other| one.node.cmp(&other.node));
        let victim = |node: &String| Victim {
            node: node.clone(),
            role: role_at(roles, node, fault.began_ns).map(str::to_owned),
        };
        let began_later = faults.iter().map(|other| other.began_ns).filter(|began| *began > ended);
        let next = began_later.min().unwrap_or(u64::MAX).min(ended.saturating_add(AFTERMATH));
        let during = |operation: &Operation| {
            operation.invoked.time.0 <= ended && self.until(operation) >= fault.began_ns
        };
        let after = |operation: &Operation| (ended + 1..next).contains(&operation.invoked.time.0);
        Recovery {
            fault: fault.id,
            name: fault.fault.clone(),
            victims: fault.nodes.iter().map(victim).collect(),
            cluster: outage(&self.all, self.asked),
            nodes,
            during: self.quantiles(history, during),
            after: fault.ended_ns.and_then(|_| self.quantiles(history, after)),
        }
    }

    /// When an operation ended, or the last that was seen while it was open.
    fn until(&self, operation: &Operation) -> u64 {
        operation.completed().map_or(self.last, |moment| moment.time.0)
    }

    /// How long those operations took that `counts` picks; refusals say nothing of answers.
    fn quantiles(
        &self,
        history: &History,
        counts: impl Fn(&Operation) -> bool,
    ) -> Option<Quantiles> {
        let operations = history.operations().iter().filter(|operation| !operation.is_failed());
        let mut waits: Vec<_> = operations
            .filter(|operation| counts(operation))
            .map(|operation| {
                (self.until(operation).saturating_sub(operation.invoked.time.0), operation.is_ok())
            })
            .collect();
        Waits::of(&mut waits).map(Quantiles::of)
    }
}

/// The longest time without one of the `answers` that `began..=ended` touches, between what was
/// `asked` first and last; `None` if nothing was asked by then.
fn outage(answers: &[u64], asked: (u64, u64), began: u64, ended: u64) -> Option<Outage> {
    if asked.0 > ended || asked.1 <= began {
        return None;
    }
    let before = answers.partition_point(|answer| *answer <= began);
    let until = answers.partition_point(|answer| *answer < ended);
    let first = before.checked_sub(1).map_or(asked.0, |place| answers[place]);
    let next = answers.get(until).copied();
    let last = next.unwrap_or(asked.1).max(first);
    let marks: Vec<u64> = std::iter::once(first)
        .chain(answers[before.min(until)..until].iter().copied())
        .chain([last])
        .collect();
    let longest = marks.windows(2).map(|pair| (pair[1].saturating_sub(pair[0]), pair[0]));
    let (length, from) = longest.max_by_key(|(length, from)| (*length, u64::MAX - from))?;
    Some(Outage {
        from_ns: Nanoseconds(from),
        to_ns: Nanoseconds(from + length),
        first_ok_after_heal_ns: next.map(|next| Nanoseconds(next - ended)),
        is_open: next.is_none() && from + length == last,
    })
}

/// What a node was last seen as at a time.
fn role_at<'a>(roles: &'a [RoleChange], node: &str, at: u64) -> Option<&'a str> {
    let seen = roles.iter().filter(|change| change.node == node && change.at_ns.0 <= at);
    seen.max_by_key(|change| change.at_ns).map(|change| change.role.as_str())
}
