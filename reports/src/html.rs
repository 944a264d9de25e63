//! One run as one HTML page that answers, top to bottom: what was found, why, and what now.
//!
//! The page loads nothing, so that it opens from a mail, a CI artifact or a server with a strict
//! content security policy. Its one script draws lanes of operations to explore; without it, the page
//! says everything else. Its size is bounded: charts are sums over time, a proof is a handful of
//! operations, tables end after some hundred rows and say what is left out, and of a large history
//! only some operations are there one by one.

mod around;
mod check;
mod explore;
mod outcomes;
mod recovery;
mod rows;

pub use check::check_html;

use askama::Template;
use partita_checker::{Action, History, Operation, Outcome, Verdict};

use crate::chart::written::WrittenView;
use crate::chart::{self, Plot};
use crate::commands::{Commands, NextStep, folder};
use crate::evidence::Evidence;
use crate::headline::Headline;
use crate::run::Run;
use crate::series::{Buckets, latency::Latency, throughput::Throughput, written::Written};
use crate::surroundings::RunArtifacts;
use crate::text::number::{counted, duration};
use crate::text::unit::TimeUnit;
use crate::text::visible::{TEXT_CHARACTERS, visible};

use around::Around;
use explore::ExplorerView;
use outcomes::OutcomeTables;
use recovery::RecoveryRow;
use rows::{Fact, FaultRow, GroupView, Keys, LatencyRow, ProofView};

/// How many stretches of time a chart divides the run into, at most.
const MOST_BUCKETS: u64 = 210;
/// How many faults and how many keys the tables list.
const MOST_ROWS: usize = 300;
/// A longer table of faults is folded, so that the charts below it stay in reach.
const MOST_OPEN_ROWS: usize = 12;

/// The page for one run.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn html(run: &Run<'_>) -> String {
    html_around(run, &RunArtifacts::default())
}

/// The page for one run, with what was recorded beside it.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn html_around(run: &Run<'_>, surroundings: &RunArtifacts) -> String {
    let plot = Plot::of(run);
    let headline = Headline::of(run);
    let shown = headline.finding.map_or(headline.verdict, |_| Verdict::Violation);
    let (mark, verdict_class) = mark(shown);
    let evidence = Evidence::of(run.history, run.analysis, TimeUnit::Clock);
    let page = Page {
        heading: heading(run),
        started_at: visible(&run.record.started_at, TEXT_CHARACTERS),
        mark,
        verdict_class,
        facts: Fact::of_run(run),
        around: Around::of(run, evidence.as_ref(), surroundings, &plot),
        proof: evidence.map(|evidence| {
            let command = rows::lines_command(run, &evidence);
            ProofView::of(run.history, &evidence, &plot, "history.jsonl", command)
        }),
        groups: GroupView::of(run.history, run.analysis, run.faults, TimeUnit::Clock),
        faults: FaultRow::of(&plot, MOST_ROWS),
        faults_caption: rows::faults_caption(run, MOST_ROWS),
        faults_folded: run.faults.len() > MOST_OPEN_ROWS,
        recovery: RecoveryRow::of(&run.record.recovery, MOST_ROWS),
        recovery_left_out: run.record.recovery.len().saturating_sub(MOST_ROWS),
        faults_chart: chart::faults::draw(&plot, MOST_ROWS),
        explorer: ExplorerView::of(run),
        policy: explore::policy(),
        operations: run.history.operations().len(),
        charts: Charts::of(run.history, &plot, has_expirations(run)),
        roles_chart: chart::roles::draw(run, &plot),
        links_chart: chart::links::draw(&plot, &surroundings.links),
        node_charts: chart::nodes::draw_all(&plot, &surroundings.samples),
        outcomes: OutcomeTables::of(&run.record.outcomes),
        has_findings: plot.has_findings(),
        next: NextStep::of(run),
        commands: Commands::of(run),
        folder: folder(run),
        keys: Keys::of(run.analysis, MOST_ROWS),
        surroundings: Fact::of_surroundings(run),
        headline,
    };
    page.render().expect("rendering into a string cannot go wrong")
}

/// Everything that the template fills in.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    heading: String,
    started_at: String,
    mark: &'static str,
    verdict_class: &'static str,
    headline: Headline,
    facts: Vec<Fact>,
    around: Option<Around>,
    proof: Option<ProofView>,
    groups: Vec<GroupView>,
    faults: Vec<FaultRow>,
    faults_caption: String,
    faults_folded: bool,
    recovery: Vec<RecoveryRow>,
    recovery_left_out: usize,
    faults_chart: Option<String>,
    explorer: Option<ExplorerView>,
    /// What the page may load and run.
    policy: String,
    operations: usize,
    charts: Charts,
    roles_chart: Option<String>,
    links_chart: Option<chart::links::Links>,
    node_charts: Vec<chart::nodes::NodeChart>,
    outcomes: OutcomeTables,
    has_findings: bool,
    next: Vec<NextStep>,
    commands: Commands,
    folder: String,
    keys: Keys,
    surroundings: Vec<Fact>,
}

/// The sign and the style of a verdict; a finding has those of a violation.
const fn mark(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Valid => ("✓", "valid"),
        Verdict::Unknown => ("?", "unknown"),
        Verdict::Violation => ("✕", "violation"),
    }
}

/// How much the clients did and how long it took them, over time.
struct Charts {
    throughput: String,
    throughput_note: String,
    latency: String,
    latency_note: String,
    latencies: Vec<LatencyRow>,
    written: Option<WrittenView>,
    has_faults: bool,
}

impl Charts {
    fn of(history: &History, plot: &Plot<'_>, deletes_are_expirations: bool) -> Self {
        let buckets = Buckets::until(plot.axis.end, MOST_BUCKETS);
        let throughput = Throughput::of(history, buckets);
        let is_expiration = |operation: &Operation| {
            let is_open = matches!(operation.outcome, Outcome::Info(_));
            deletes_are_expirations && is_open && operation.action == Action::Delete
        };
        let latency = Latency::of(history, buckets, &plot.windows, is_expiration);
        Self {
            throughput: chart::throughput::draw(plot, &throughput),
            throughput_note: bucket_note(&throughput),
            latency: chart::latency::draw(plot, &latency),
            latency_note: format!(
                "lines of answered operations per {}, by invocation",
                duration(latency.stretches.width)
            ),
            latencies: LatencyRow::of(&latency),
            written: Written::of(history, buckets).map(|it| chart::written::draw(plot, &it)),
            has_faults: plot.windows.iter().next().is_some(),
        }
    }
}

/// Whether deletes of this run happen after a while: a store accepts such a one at once and tells
/// nobody when it happens, so that its outcome is on record as unknown.
fn has_expirations(run: &Run<'_>) -> bool {
    run.record.outcomes.kinds.iter().any(|kind| kind.kind == "expiration")
}

fn heading(run: &Run<'_>) -> String {
    let record = run.record;
    let mutation = record.mutation.as_ref();
    let mutation = mutation.map_or(String::new(), |name| format!(" with planted bug {name}"));
    let heading = format!("{}{mutation}, {} workload", record.target, record.workload);
    visible(&heading, TEXT_CHARACTERS)
}

fn bucket_note(throughput: &Throughput) -> String {
    let mut note = format!("summed per {}, by return", duration(throughput.buckets.width));
    if throughput.open > 0 {
        let open = counted(throughput.open, "operation");
        note.push_str(&format!("; {open} never came back and are not drawn"));
    }
    note
}
