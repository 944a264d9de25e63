//! The rows of the page's tables, as text; the template escapes it.

use partita_checker::{Analysis, History, Nanoseconds, Outcome};
use partita_nemesis::FaultRecord;

use crate::chart::faults::family_name;
use crate::chart::plot::{Plot, fault_name};
use crate::chart::{nearby, proof};
use crate::checked::CheckedHistory;
use crate::commands::{folder, quoted};
use crate::evidence::{Evidence, Exhibit, ending};
use crate::groups::Groups;
use crate::headline;
use crate::run::{NodeRecord, Run};
use crate::series::latency::{Latency, Waits};
use crate::text::fault::effects;
use crate::text::number::{amount, count, counted, duration, instant_short};
use crate::text::operation::{returned, value};
use crate::text::unit::TimeUnit;
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// A name with a value.
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

impl Fact {
    fn new(name: &'static str, value: impl Into<String>, note: impl Into<String>) -> Self {
        let [value, note] = [value.into(), note.into()];
        Self { name, value: visible(&value, 120), note: visible(&note, TEXT_CHARACTERS) }
    }

    /// What was asked of the run and how much of it came about.
    pub(super) fn of_run(run: &Run<'_>) -> Vec<Self> {
        let record = run.record;
        let counts = record.counts;
        let outcomes = format!(
            "{} ok, {} fail, {} info",
            count(counts.ok),
            count(counts.fail),
            count(counts.info)
        );
        let clients = format!("{} at {} op/s", record.clients, amount(record.rate));
        let reached = record.rate_reached;
        let reached =
            reached.map_or(String::new(), |rate| format!("{} op/s reached", amount(rate)));
        let length = Nanoseconds((record.duration_s * 1e9) as u64);
        vec![
            Self::new("Seed", record.seed.to_string(), ""),
            Self::new("Duration", duration(length), ""),
            Self::new("Nodes", record.nodes.len().to_string(), ""),
            Self::new("Clients", clients, reached),
            Self::new("Operations", count(counts.invoked), outcomes),
            Self::new("Answered during faults", count(counts.ok_during_faults), ""),
            Self::new("Faults", record.nemesis.as_str(), faults_note(run.faults)),
        ]
    }

    /// How much a checked history holds.
    pub(super) fn of_checked(file: &CheckedHistory) -> Vec<Self> {
        let operations = file.history.operations();
        let with = |is: fn(&Outcome) -> bool| {
            count(operations.iter().filter(|operation| is(&operation.outcome)).count() as u64)
        };
        let outcomes = format!(
            "{} ok, {} fail, {} info",
            with(|outcome| matches!(outcome, Outcome::Ok(..))),
            with(|outcome| matches!(outcome, Outcome::Fail(_))),
            with(|outcome| matches!(outcome, Outcome::Info(_))),
        );
        let mut facts = vec![
            Self::new("Model", file.model.as_str(), ""),
            Self::new("Operations", count(operations.len() as u64), outcomes),
            Self::new("Keys", count(file.analysis.keys.len() as u64), ""),
        ];
        if file.history.has_clock() {
            facts.push(Self::new("Duration", duration(file.end()), ""));
        }
        if let Some((choices, notes)) = file.read_as.split_first() {
            let (model, others) = choices.split_once(", ").unwrap_or((choices, ""));
            let rest: Vec<&str> =
                std::iter::once(others).chain(notes.iter().map(String::as_str)).collect();
            facts.push(Self::new("Reading", model, rest.join("; ")));
        }
        facts
    }

    /// What the run ran on.
    pub(super) fn of_surroundings(run: &Run<'_>) -> Vec<Self> {
        let record = run.record;
        let nodes: Vec<_> =
            record.nodes.iter().map(|node| format!("{} {}", node.name, node.address)).collect();
        let mut rows = vec![
            Self::new("Partita", record.version.as_str(), ""),
            Self::new("Kernel", record.host.kernel.as_str(), ""),
            Self::new("Cores", record.host.cores.to_string(), ""),
            Self::new("Lab", record.host.lab.as_str(), ""),
            Self::new("Nodes", nodes.join(", "), ""),
        ];
        let versions = versions(&record.nodes);
        rows.extend(versions.map(|versions| Self::new("Store", versions, "")));
        rows
    }
}

/// What the nodes' programs say of their versions: once if all say the same.
fn versions(nodes: &[NodeRecord]) -> Option<String> {
    let told = |node: &'_ NodeRecord| Some((node.name.clone(), node.version.clone()?));
    let told: Vec<(String, String)> = nodes.iter().filter_map(told).collect();
    let (_, first) = told.first()?;
    if told.iter().all(|(_, version)| version == first) {
        return Some(first.clone());
    }
    let each: Vec<String> = told.iter().map(|(node, it)| format!("{node} {it}")).collect();
    Some(each.join(", "))
}

/// How many faults there were, and how many of them tested nothing.
fn faults_note(faults: &[FaultRecord]) -> String {
    if faults.is_empty() {
        return String::new();
    }
    let failed = faults.iter().filter(|fault| fault.error.is_some()).count() as u64;
    let idle = |fault: &&FaultRecord| fault.error.is_none() && !fault.had_effect();
    let idle = faults.iter().filter(idle).count() as u64;
    let mut note = counted(faults.len() as u64, "fault");
    if idle > 0 {
        note.push_str(&format!(", {} without effect", count(idle)));
    }
    if failed > 0 {
        note.push_str(&format!(", {} with an error", count(failed)));
    }
    note
}

pub(super) fn faults_caption(run: &Run<'_>, at_most: usize) -> String {
    let total = run.faults.len();
    let mut caption = format!("{}, in the order of the schedule", counted(total as u64, "fault"));
    if total > at_most {
        caption.push_str(&format!("; the first {at_most} of them, all are in schedule.jsonl"));
    }
    caption
}

/// One fault.
pub(super) struct FaultRow {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) family: &'static str,
    pub(super) began: String,
    pub(super) lasted: String,
    pub(super) nodes: String,
    pub(super) target: String,
    pub(super) parameters: String,
    pub(super) effects: String,
    pub(super) error: String,
}

impl FaultRow {
    pub(super) fn of(plot: &Plot<'_>, at_most: usize) -> Vec<Self> {
        plot.faults().take(at_most).map(|(fault, began, ended)| row(fault, began, ended)).collect()
    }
}

fn row(fault: &FaultRecord, began: Nanoseconds, ended: Nanoseconds) -> FaultRow {
    let parameters: Vec<_> =
        fault.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let lasted = match fault.ended_ns {
        Some(_) => duration(ended.since(began)),
        None => "to the end".to_owned(),
    };
    let effects = if fault.effects.is_empty() { "none".to_owned() } else { effects(fault) };
    FaultRow {
        id: fault.id,
        name: fault_name(fault),
        family: family_name(fault.family),
        began: instant_short(began),
        lasted,
        nodes: visible(&fault.nodes.join(", "), TEXT_CHARACTERS),
        target: visible(&fault.target, TEXT_CHARACTERS),
        parameters: match parameters.as_slice() {
            [] => "–".to_owned(),
            some => visible(&some.join(", "), TEXT_CHARACTERS),
        },
        effects,
        error: fault.error.as_ref().map_or(String::new(), |text| visible(text, TEXT_CHARACTERS)),
    }
}

/// The latencies at one kind of time.
pub(super) struct LatencyRow {
    pub(super) when: &'static str,
    pub(super) count: String,
    pub(super) unanswered: String,
    pub(super) p50: String,
    pub(super) p95: String,
    pub(super) p99: String,
    pub(super) max: String,
}

impl LatencyRow {
    pub(super) fn of(latency: &Latency) -> Vec<Self> {
        let rows =
            [("while no fault was in force", latency.calm), ("during faults", latency.faulty)];
        let row = |(when, waits): (&'static str, Option<Waits>)| {
            let waits = waits?;
            Some(Self {
                when,
                count: count(waits.answered + waits.unanswered),
                unanswered: count(waits.unanswered),
                p50: waits.p50.to_string(),
                p95: waits.p95.to_string(),
                p99: waits.p99.to_string(),
                max: waits.max.to_string(),
            })
        };
        rows.into_iter().filter_map(row).collect()
    }
}

/// The verdicts on the keys.
pub(super) struct Keys {
    pub(super) rows: Vec<KeyRow>,
    pub(super) total: String,
    pub(super) left_out: usize,
}

impl Keys {
    pub(super) fn of(analysis: &Analysis, at_most: usize) -> Self {
        Self {
            rows: KeyRow::of(analysis, at_most),
            total: counted(analysis.keys.len() as u64, "key"),
            left_out: analysis.keys.len().saturating_sub(at_most),
        }
    }
}

/// The verdict on one key.
pub(super) struct KeyRow {
    pub(super) key: String,
    pub(super) verdict: String,
    pub(super) operations: String,
    pub(super) engine: String,
    pub(super) reason: String,
}

impl KeyRow {
    /// The worst keys first, otherwise in order of first appearance.
    fn of(analysis: &Analysis, at_most: usize) -> Vec<Self> {
        let mut keys: Vec<_> = analysis.keys.iter().collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.verdict));
        let row = |key: &partita_checker::KeyAnalysis| Self {
            key: value(&key.key),
            verdict: key.verdict.to_string(),
            operations: count(key.operations as u64),
            engine: key.engine.clone(),
            reason: key
                .reason
                .as_ref()
                .map_or(String::new(), |text| visible(text, TEXT_CHARACTERS)),
        };
        keys.into_iter().take(at_most).map(row).collect()
    }
}

/// What the page shows of a violation's proof.
pub(super) struct ProofView {
    pub(super) chart: String,
    pub(super) has_culprit: bool,
    pub(super) has_open: bool,
    /// Whether anybody knows how long an operation took.
    pub(super) is_timed: bool,
    pub(super) steps: Vec<String>,
    pub(super) rows: Vec<ProofRow>,
    pub(super) left_out: usize,
    /// Where the lines are.
    pub(super) file: String,
    /// Prints the lines; empty where there is no such command.
    pub(super) command: String,
    pub(super) nearby: Option<nearby::Nearby>,
}

/// A violation of another group than the one that is drawn.
pub(super) struct GroupView {
    pub(super) title: String,
    pub(super) sentence: String,
    pub(super) is_timed: bool,
    pub(super) rows: Vec<ProofRow>,
    pub(super) left_out: usize,
}

/// How many groups are shown with their operations.
const MOST_GROUPS: usize = 20;

impl GroupView {
    pub(super) fn of(
        history: &History,
        analysis: &Analysis,
        faults: &[FaultRecord],
        unit: TimeUnit,
    ) -> Vec<Self> {
        let Some(groups) = Groups::of(analysis, faults) else { return Vec::new() };
        let view = |(group, found)| {
            let evidence = Evidence::of_one(history, found, unit);
            let (title, sentence) = headline::of_group(group, found);
            let is_timed = unit == TimeUnit::Clock;
            Self { title, sentence, is_timed, rows: rows(&evidence), left_out: evidence.left_out }
        };
        groups.others(analysis).take(MOST_GROUPS).map(view).collect()
    }
}

/// One operation of a proof.
pub(super) struct ProofRow {
    pub(super) label: String,
    pub(super) blame: &'static str,
    pub(super) blamed: bool,
    pub(super) process: String,
    pub(super) node: String,
    pub(super) invoked: String,
    pub(super) ended: String,
    pub(super) took: String,
    pub(super) lines: String,
}

impl ProofView {
    pub(super) fn of(
        history: &History,
        evidence: &Evidence<'_>,
        plot: &Plot<'_>,
        file: &str,
        command: String,
    ) -> Self {
        let operations = &evidence.operations;
        Self {
            chart: proof::draw(evidence, plot),
            has_culprit: operations.iter().any(|exhibit| exhibit.blame.is_some()),
            has_open: operations.iter().any(|exhibit| returned(exhibit.witness).is_none()),
            is_timed: evidence.unit == TimeUnit::Clock,
            steps: evidence.steps.iter().map(|step| step.sentence.clone()).collect(),
            rows: rows(evidence),
            left_out: evidence.left_out,
            file: visible(file, TEXT_CHARACTERS),
            command,
            nearby: nearby::draw(history, evidence, plot),
        }
    }
}

fn rows(evidence: &Evidence<'_>) -> Vec<ProofRow> {
    evidence.operations.iter().map(|exhibit| proof_row(exhibit, evidence.unit)).collect()
}

fn proof_row(exhibit: &Exhibit<'_>, unit: TimeUnit) -> ProofRow {
    let witness = exhibit.witness;
    let took = returned(witness).map(|end| unit.duration(end.since(witness.invoked)));
    let (invocation, completion) = exhibit.lines;
    ProofRow {
        label: exhibit.label.clone(),
        blame: exhibit.blame.unwrap_or_default(),
        blamed: exhibit.blame.is_some(),
        process: witness.process.to_string(),
        node: witness.node.as_ref().map_or(String::new(), |node| visible(node, 40)),
        invoked: unit.instant(witness.invoked),
        ended: ending(witness, unit),
        took: took.unwrap_or_default(),
        lines: completion.map_or(invocation.to_string(), |line| format!("{invocation} and {line}")),
    }
}

/// Prints the proof's lines of the history.
pub(super) fn lines_command(run: &Run<'_>, evidence: &Evidence<'_>) -> String {
    let mut lines: Vec<_> = evidence
        .operations
        .iter()
        .flat_map(|exhibit| [Some(exhibit.lines.0), exhibit.lines.1])
        .flatten()
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let script: Vec<_> = lines.into_iter().map(|line| format!("{line}p")).collect();
    let file = format!("{}/history.jsonl", folder(run));
    format!("sed -n '{}' {}", script.join(";"), quoted(&file))
}
