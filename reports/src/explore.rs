//! The whole run as lanes of operations, for the page's script to draw.
//!
//! A page carries the operations one by one as far as [there is room](most_carried), those around findings
//! first, and of all the others how many there were when. Everything is packed into a few strings;
//! the script unpacks and draws, and what things are called and in which order they took effect is
//! decided here.

mod density;
pub(crate) mod lanes;
mod pack;
mod select;
mod states;

use std::collections::HashMap;

use partita_checker::{
    Analysis, Certificate, Counterexample, Function, History, Nanoseconds, Operation, Outcome,
};
use partita_nemesis::FaultRecord;
use serde::Serialize;

use crate::chart::plot::fault_name;
use crate::commands::{folder, quoted};
use crate::run::Run;
use crate::series::windows;
use crate::text::operation::{self, value};
use crate::text::unit::TimeUnit;
use crate::text::visible::{LABEL_CHARACTERS, brief};
use lanes::Lanes;
use pack::Column;
use select::Interest;

/// Operations that a page always has room for.
const LEAST_CARRIED: usize = 40_000;
/// Operations that it never carries more of.
const MOST_CARRIED: usize = 200_000;
/// Findings that are marked, at most.
const MOST_FINDINGS: usize = 100;
/// Faults and changes of roles that are drawn, at most.
const MOST_FAULTS: usize = 1_000;
const MOST_ROLES: usize = 3_000;

/// How many of so many operations a page carries one by one.
const fn most_carried(operations: usize) -> usize {
    let part = operations / 8;
    if part < LEAST_CARRIED {
        LEAST_CARRIED
    } else if part > MOST_CARRIED {
        MOST_CARRIED
    } else {
        part
    }
}

/// What the page carries for its script.
#[derive(Debug)]
pub(crate) struct Explorer {
    /// Names, faults, roles and findings, as JSON that may stand in a `script` element.
    pub(crate) facts: String,
    /// The operations, packed: one column after another.
    pub(crate) operations: String,
    /// The texts that the columns refer to, packed.
    pub(crate) texts: String,
    /// The densities of lanes of clients, nodes and keys, packed; empty if every operation is there.
    pub(crate) densities: String,
    /// How many operations there are.
    pub(crate) total: u64,
    /// How many of them the page carries one by one.
    pub(crate) carried: u64,
}

/// All that the script must know besides the operations. Times are in ticks.
#[derive(Debug, Serialize)]
struct Facts {
    /// Ticks in a second, or 0 if times are numbers of events.
    ticks_per_second: u64,
    end: u64,
    total: usize,
    carried: usize,
    clients: Vec<String>,
    nodes: Vec<String>,
    keys: Vec<String>,
    kinds: Vec<String>,
    /// How many stretches the densities of a lane of clients, nodes and keys have; none if there are
    /// no densities.
    stretches: Option<[usize; 3]>,
    faults: Vec<FaultFact>,
    roles: Vec<RoleFact>,
    findings: Vec<Finding>,
    /// The history's file as a word for a shell.
    history: String,
}

#[derive(Debug, Serialize)]
struct FaultFact {
    id: u32,
    name: String,
    nodes: String,
    began: u64,
    ended: u64,
    had_effect: bool,
}

#[derive(Debug, Serialize)]
struct RoleFact {
    at: u64,
    node: String,
    role: String,
    term: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Finding {
    title: String,
    key: String,
    began: u64,
    ended: u64,
    /// The operations, by the index of their invocation.
    operations: Vec<u64>,
}

/// How long a tick is, in what times count.
const fn tick(unit: TimeUnit) -> u64 {
    match unit {
        TimeUnit::Clock => 1_000,
        TimeUnit::Events => 1,
    }
}

impl Explorer {
    /// The lanes of a run; `None` if it has no operation.
    pub(crate) fn of(run: &Run<'_>) -> Option<Self> {
        let history = run.history;
        if history.operations().is_empty() {
            return None;
        }
        let unit = TimeUnit::of(history);
        let end = run.end();
        let findings = findings(run.analysis);
        let lanes = [
            lanes::clients(history, lanes::MOST_LANES),
            lanes::nodes(history),
            lanes::keys(history, |key| {
                findings.iter().any(|found| found.key == history.keys()[key.0 as usize])
            }),
        ];
        let margin = match unit {
            TimeUnit::Clock => Nanoseconds(250_000_000),
            TimeUnit::Events => Nanoseconds(100),
        };
        let first_fault = run.faults.iter().map(|fault| Nanoseconds(fault.began_ns)).min();
        let chosen = Interest::of(history, &findings, margin, first_fault)
            .choose(history, most_carried(history.operations().len()));
        let is_whole = chosen.len() == history.operations().len();
        let densities = (!is_whole).then(|| {
            let columns = lanes.each_ref().map(|lanes| density::column(history, lanes, end));
            pack::columns(&columns)
        });
        let stretches = lanes.each_ref().map(|lanes| density::stretches(lanes.names.len()));
        let mut packer = Packer::new(history, unit, run.certificate);
        for place in &chosen {
            packer.push(&history.operations()[*place], lanes.each_ref().map(|it| it.of[*place]));
        }
        let kinds = packer.kinds.iter().map(Function::to_string).collect();
        let [clients, nodes, keys] = lanes.map(|lanes: Lanes| lanes.names);
        let facts = Facts {
            ticks_per_second: if unit == TimeUnit::Clock { 1_000_000_000 / tick(unit) } else { 0 },
            end: end.0.div_ceil(tick(unit)),
            total: history.operations().len(),
            carried: chosen.len(),
            clients,
            nodes,
            keys,
            kinds,
            stretches: (!is_whole).then_some(stretches),
            faults: faults(run.faults, end, unit),
            roles: roles(run, unit),
            findings: findings.iter().map(|found| finding(found, unit)).collect(),
            history: quoted(&format!("{}/history.jsonl", folder(run))),
        };
        let json = serde_json::to_string(&facts).expect("facts are plain data");
        Some(Self {
            // Nothing in a `script` element may look like its end.
            facts: json.replace('<', "\\u003c"),
            operations: pack::columns(&packer.columns),
            texts: pack::lines(&packer.texts.lines),
            densities: densities.unwrap_or_default(),
            total: history.operations().len() as u64,
            carried: chosen.len() as u64,
        })
    }
}

/// The counterexamples of all keys, the one that the page is about first.
fn findings(analysis: &Analysis) -> Vec<&Counterexample> {
    let shown = analysis.counterexample.as_ref();
    let of_keys = analysis.keys.iter().filter_map(|key| key.counterexample.as_deref());
    let others = of_keys.filter(|found| shown.is_none_or(|shown| shown.key != found.key));
    shown.into_iter().chain(others).take(MOST_FINDINGS).collect()
}

fn finding(found: &Counterexample, unit: TimeUnit) -> Finding {
    let (began, ended) = select::span(found);
    Finding {
        title: found.anomaly.title().to_owned(),
        key: value(&found.key),
        began: began.0 / tick(unit),
        ended: ended.0 / tick(unit),
        operations: found.proof().map(|witness| witness.index).collect(),
    }
}

fn faults(faults: &[FaultRecord], end: Nanoseconds, unit: TimeUnit) -> Vec<FaultFact> {
    let fact = |fault: &FaultRecord| {
        let (began, ended) = windows::span(fault, end);
        FaultFact {
            id: fault.id,
            name: fault_name(fault),
            nodes: brief(&fault.nodes.join(", "), LABEL_CHARACTERS),
            began: began.0 / tick(unit),
            ended: ended.0 / tick(unit),
            had_effect: fault.error.is_none() && fault.had_effect(),
        }
    };
    faults.iter().take(MOST_FAULTS).map(fact).collect()
}

fn roles(run: &Run<'_>, unit: TimeUnit) -> Vec<RoleFact> {
    let fact = |change: &crate::roles::RoleChange| RoleFact {
        at: change.at_ns.0 / tick(unit),
        node: operation::name(&change.node),
        role: brief(&change.role, LABEL_CHARACTERS),
        term: change.term,
    };
    run.record.roles.iter().take(MOST_ROLES).map(fact).collect()
}

/// Texts, each once.
#[derive(Debug, Default)]
struct Texts {
    lines: Vec<String>,
    known: HashMap<String, u64>,
}

impl Texts {
    fn id(&mut self, text: String) -> u64 {
        if let Some(id) = self.known.get(&text) {
            return *id;
        }
        let id = self.lines.len() as u64;
        self.lines.push(text.clone());
        self.known.insert(text, id);
        id
    }
}

/// How many columns there are.
const COLUMNS: usize = 14;

/// Fills the columns. Their order is the script's, too (`templates/explore/data.js`).
struct Packer<'a> {
    history: &'a History,
    tick: u64,
    places: HashMap<u64, states::Place<'a>>,
    columns: [Column; COLUMNS],
    texts: Texts,
    kinds: Vec<Function>,
}

impl<'a> Packer<'a> {
    fn new(history: &'a History, unit: TimeUnit, certificate: Option<&'a Certificate>) -> Self {
        Self {
            history,
            tick: tick(unit),
            places: certificate.map_or_else(HashMap::new, |it| states::places(history, it)),
            columns: Default::default(),
            texts: Texts::default(),
            kinds: Vec::new(),
        }
    }

    fn push(&mut self, operation: &Operation, lanes: [u32; 3]) {
        let (began, ended) = (operation.invoked, operation.completed());
        let began_tick = began.time.0 / self.tick;
        let took = ended.map_or(0, |ended| (ended.time.0 / self.tick).saturating_sub(began_tick));
        let events = ended.map_or(0, |ended| ended.position.saturating_sub(began.position));
        let key = self.texts.id(operation::key(self.history, operation));
        let detail = self.texts.id(operation::detail(self.history, operation));
        let kind = self.kind(operation.action.function());
        let place = self.places.get(&began.position);
        let rank = place.map_or(0, |place| place.rank);
        let states = place.and_then(|place| place.states);
        let states = states.map(|(before, after)| [before, after].map(value));
        let [before, after] = match states {
            Some(states) => states.map(|state| self.texts.id(state) + 1),
            None => [0, 0],
        };
        let [index, time, took_for, ended_at, process, rest @ ..] = &mut self.columns;
        index.push_difference(began.position);
        time.push_difference(began_tick);
        took_for.push(took);
        ended_at.push(events);
        process.push_difference(operation.process.0.into());
        let [client, node, key_lane, key_text, ending, details, ranks, befores, afters] = rest;
        let [client_lane, node_lane, lane_of_key] = lanes.map(u64::from);
        client.push(client_lane);
        node.push(node_lane);
        key_lane.push(lane_of_key);
        key_text.push(key);
        ending.push(kind * 4 + outcome(operation));
        details.push_difference(detail);
        ranks.push(rank);
        befores.push_difference(before);
        afters.push_difference(after);
    }

    fn kind(&mut self, function: Function) -> u64 {
        let place = self.kinds.iter().position(|known| *known == function);
        let place = place.unwrap_or_else(|| {
            self.kinds.push(function);
            self.kinds.len() - 1
        });
        place as u64
    }
}

const fn outcome(operation: &Operation) -> u64 {
    match operation.outcome {
        Outcome::Ok(..) => 0,
        Outcome::Fail(_) => 1,
        Outcome::Info(Some(_)) => 2,
        Outcome::Info(None) => 3,
    }
}

#[cfg(test)]
mod tests;
