//! Two runs side by side: what is alike, and where they part.
//!
//! Runs of one seed have the same faults and the same requests, and part where the store's processes
//! raced to another end. Times always differ a little and are no difference.

use partita_checker::{Nanoseconds, Operation, Outcome};
use partita_nemesis::FaultRecord;

use crate::chart::plot::fault_name;
use crate::explore::lanes;
use crate::headline::Headline;
use crate::roles::RoleChange;
use crate::run::Run;
use crate::text::number::{count, duration, instant_short};
use crate::text::operation::{name, operation};
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What stands side by side, a row each.
    pub rows: Vec<Row>,
    /// Where the two part first in faults, roles and answers, in this order.
    pub differences: Vec<Difference>,
}

/// One thing that both runs have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// In the first run.
    pub first: String,
    /// In the second.
    pub second: String,
}

/// Where two runs part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `faults`, `roles` or `answers`.
    pub of: &'static str,
    /// How many of them are alike before.
    pub alike: usize,
    /// What the two did instead of the same; `None` if they never part, and `nothing more` on the
    /// side that ends first.
    pub parting: Option<[String; 2]>,
}

impl Comparison {
    /// Compares two runs.
    pub fn of(first: &Run<'_>, second: &Run<'_>) -> Self {
        let both = [first, second];
        let row = |name, of: fn(&Run<'_>) -> String| {
            let [first, second] = both.map(|run| visible(&of(run), TEXT_CHARACTERS));
            Row { name, first, second }
        };
        let rows = vec![
            row("run", |run| run.record.name.clone()),
            row("verdict", |run| Headline::of(run).title),
            row("why", |run| Headline::of(run).lead),
            row("seed", |run| run.record.seed.to_string()),
            row("target", |run| run.record.target.clone()),
            row("planted bug", |run| run.record.mutation.clone().unwrap_or_else(|| "none".into())),
            row("operations", |run| {
                let counts = run.record.counts;
                let [ok, fail, info] = [counts.ok, counts.fail, counts.info].map(count);
                format!("{ok} ok, {fail} fail, {info} info")
            }),
            row("without ok", |run| {
                let outages = run.record.recovery.iter().filter_map(|it| it.cluster);
                let longest = outages.map(|outage| outage.length()).max();
                longest.map_or("–".into(), |longest| format!("{} at most", duration(longest)))
            }),
        ];
        Self { rows, differences: vec![faults(both), roles(both), answers(both)] }
    }
}

/// The first place where two lists differ in what `alike` looks at.
fn parting<T>(
    of: &'static str,
    [first, second]: [&[T]; 2],
    alike: impl Fn(&T, &T) -> bool,
    words: impl Fn(usize, &T) -> String,
) -> Difference {
    let common = first.iter().zip(second).take_while(|(one, other)| alike(one, other)).count();
    let told = |side: usize, list: &[T]| {
        list.get(common).map_or("nothing more".to_owned(), |it| words(side, it))
    };
    let differ = common < first.len() || common < second.len();
    Difference { of, alike: common, parting: differ.then(|| [told(0, first), told(1, second)]) }
}

fn faults([first, second]: [&Run<'_>; 2]) -> Difference {
    let alike = |one: &FaultRecord, other: &FaultRecord| {
        (&one.fault, &one.nodes, &one.parameters) == (&other.fault, &other.nodes, &other.parameters)
    };
    let words = |_, fault: &FaultRecord| {
        let nodes: Vec<_> = fault.nodes.iter().map(|node| name(node)).collect();
        let at = instant_short(Nanoseconds(fault.began_ns));
        format!("{} {} ({}) at {at}", fault_name(fault), nodes.join(", "), name(&fault.target))
    };
    parting("faults", [first.faults, second.faults], alike, words)
}

fn roles([first, second]: [&Run<'_>; 2]) -> Difference {
    // How often a candidate was seen is a matter of luck.
    let settled = |run: &Run<'_>| -> Vec<RoleChange> {
        run.record.roles.iter().filter(|change| change.role == "leader").cloned().collect()
    };
    let alike =
        |one: &RoleChange, other: &RoleChange| (&one.node, one.term) == (&other.node, other.term);
    let words = |_, change: &RoleChange| {
        let term = change.term.map_or(String::new(), |term| format!(" of term {term}"));
        format!("{} leader{term} at {}", name(&change.node), instant_short(change.at_ns))
    };
    parting("roles", [&settled(first), &settled(second)], alike, words)
}

fn answers(both: [&Run<'_>; 2]) -> Difference {
    let [first, second] = both.map(|run| {
        let lanes = lanes::clients(run.history, usize::MAX);
        let mut clients: Vec<Vec<&Operation>> = vec![Vec::new(); lanes.names.len()];
        for (operation, lane) in run.history.operations().iter().zip(&lanes.of) {
            clients[*lane as usize].push(operation);
        }
        clients
    });
    let asked = |side: usize, operation: &Operation| {
        let history = both[side].history;
        (history.keys()[operation.key.0 as usize].clone(), operation.action.function())
    };
    let alike = |one: &Operation, other: &Operation| {
        asked(0, one) == asked(1, other) && outcome(one) == outcome(other)
    };
    let mut common = 0;
    let mut earliest: Option<(Nanoseconds, [String; 2])> = None;
    for (one, other) in first.iter().zip(&second) {
        let same = one.iter().zip(other).take_while(|(one, other)| alike(one, other)).count();
        common += same;
        let (Some(one), Some(other)) = (one.get(same), other.get(same)) else { continue };
        let at = one.invoked.time.min(other.invoked.time);
        if earliest.as_ref().is_none_or(|(known, _)| at < *known) {
            earliest = Some((at, [told(both[0], one), told(both[1], other)]));
        }
    }
    Difference { of: "answers", alike: common, parting: earliest.map(|(_, parting)| parting) }
}

/// How an operation ended; two reads need not see the same to be alike.
const fn outcome(operation: &Operation) -> &'static str {
    match operation.outcome {
        Outcome::Ok(..) => "ok",
        Outcome::Fail(_) => "fail",
        Outcome::Info(_) => "info",
    }
}

fn told(run: &Run<'_>, it: &Operation) -> String {
    let node = it.node.map(|node| name(&run.history.nodes()[usize::from(node.0)]));
    let via = node.map_or(String::new(), |node| format!(" via {node}"));
    format!(
        "#{} process {}{via}: {}, {} at {}",
        it.invoked.position,
        it.process,
        operation(run.history, it),
        outcome(it),
        instant_short(it.invoked.time)
    )
}
