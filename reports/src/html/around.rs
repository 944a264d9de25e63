//! What was recorded around the moment of a finding: charts on one axis of time, and everything in
//! the order in which it happened.

use partita_checker::Nanoseconds;

use crate::chart::messages::{LinkSum, Messages};
use crate::chart::{self, Plot};
use crate::commands::{folder, quoted};
use crate::evidence::Evidence;
use crate::run::Run;
use crate::surroundings::{RunArtifacts, Window};
use crate::text::number::{count, duration, instant};
use crate::text::operation::name;
use crate::text::visible::{TEXT_CHARACTERS, brief, visible};
use crate::why;

/// Lines of the table, at most: those nearest to the moment.
const MOST_LINES: usize = 80;
/// How long before and after the moment the command for logs looks, in milliseconds.
const NEAR: u64 = 200;

/// The section as the template fills it in.
pub(super) struct Around {
    /// The most telling: the head of the page has them.
    pub(super) first: Vec<String>,
    pub(super) sentences: Vec<String>,
    pub(super) faults: Option<String>,
    pub(super) roles: Option<String>,
    pub(super) links: Option<chart::links::Links>,
    pub(super) messages: Option<Messages>,
    pub(super) messages_caption: String,
    pub(super) message_rows: Vec<MessageRow>,
    pub(super) lines: Option<String>,
    pub(super) caption: String,
    pub(super) happened: Vec<Happened>,
    pub(super) command: String,
}

/// What became of one node's messages to another.
pub(super) struct MessageRow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) arrived: String,
    pub(super) bytes: String,
    pub(super) held: String,
    pub(super) longest: String,
    pub(super) last: String,
    pub(super) kept_off: String,
}

impl MessageRow {
    fn of(sum: &LinkSum) -> Self {
        let kept_off = sum.kept_off.iter().map(|(by, number)| format!("{} {by}", count(*number)));
        let longest = (sum.longest.0 > 0).then(|| duration(sum.longest));
        Self {
            from: name(&sum.from),
            to: name(&sum.to),
            arrived: count(sum.arrived),
            bytes: count(sum.bytes),
            held: count(sum.held),
            longest: longest.unwrap_or_default(),
            last: sum.last.map_or("none".to_owned(), instant),
            kept_off: kept_off.collect::<Vec<_>>().join(", "),
        }
    }
}

/// One thing that happened.
pub(super) struct Happened {
    at: Nanoseconds,
    pub(super) time: String,
    pub(super) who: String,
    pub(super) what: String,
    pub(super) is_moment: bool,
}

impl Happened {
    fn new(at: Nanoseconds, who: &str, what: String) -> Self {
        Self { at, time: instant(at), who: name(who), what, is_moment: false }
    }
}

impl Around {
    /// `None` if nothing was found, or it is not known when.
    pub(super) fn of(
        run: &Run<'_>,
        evidence: Option<&Evidence<'_>>,
        surroundings: &RunArtifacts,
        plot: &Plot<'_>,
    ) -> Option<Self> {
        let window = Window::of(run)?;
        let near = plot.zoomed(window.from, window.to.min(run.end()));
        let mut happened = happened(run, evidence, surroundings, window);
        let all = happened.len();
        happened.sort_by_key(|it| it.at.0.abs_diff(window.at.0));
        happened.truncate(MOST_LINES);
        happened.sort_by_key(|it| it.at);
        let why = why::sentences(run, evidence, surroundings);
        let nodes: Vec<&str> = run.record.nodes.iter().map(|node| node.name.as_str()).collect();
        let messages = chart::messages::draw(&near, &surroundings.messages, &nodes, window.at);
        let sums = messages.iter().flat_map(|messages| &messages.links);
        Some(Self {
            first: why.first,
            sentences: why.others,
            faults: chart::faults::draw(&near, super::MOST_ROWS),
            roles: chart::roles::draw(run, &near),
            links: chart::links::draw(&near, &surroundings.links),
            message_rows: sums.map(MessageRow::of).collect(),
            messages_caption: format!("From {} to {}", instant(window.from), instant(window.to)),
            messages,
            lines: chart::lines::draw(&near, &surroundings.lines),
            caption: caption(window, all, happened.len(), surroundings.lines_left_out),
            happened,
            command: command(run, evidence, window),
        })
    }
}

fn caption(window: Window, all: usize, shown: usize, lines_left_out: u64) -> String {
    let mut caption = format!("From {} to {}", instant(window.from), instant(window.to));
    let left_out = (all - shown) as u64 + lines_left_out;
    if left_out > 0 {
        caption.push_str(&format!(
            "; {} more, less near to the moment, are left out",
            count(left_out)
        ));
    }
    caption
}

/// Opens the logs at that line: of the node that answered, if that is known, or else of all.
fn command(run: &Run<'_>, evidence: Option<&Evidence<'_>>, window: Window) -> String {
    let node = why::node(run, evidence).map_or(String::new(), |node| {
        format!(" --node {}", quoted(&visible(&node, TEXT_CHARACTERS)))
    });
    let at = window.at.0 / 1_000_000;
    let (from, to) = (at.saturating_sub(NEAR), at.saturating_add(NEAR));
    format!("partita logs {}{node} --from {from}ms --to {to}ms", quoted(&folder(run)))
}

/// Everything that is on record of that time.
fn happened(
    run: &Run<'_>,
    evidence: Option<&Evidence<'_>>,
    surroundings: &RunArtifacts,
    window: Window,
) -> Vec<Happened> {
    let mut all = Vec::new();
    for change in run.record.roles.iter().filter(|change| window.has(change.at_ns)) {
        let term = change.term.map_or(String::new(), |term| format!(", term {term}"));
        let what = format!("says that it is {}{term}", name(&change.role));
        all.push(Happened::new(change.at_ns, &change.node, what));
    }
    for fault in run.faults {
        let fault_name = chart::plot::fault_name(fault);
        let nodes = brief(&fault.nodes.join(", "), TEXT_CHARACTERS);
        let ended = fault.ended_ns.map(|at| (Nanoseconds(at), "is over"));
        for (at, what) in
            [Some((Nanoseconds(fault.began_ns), "begins")), ended].into_iter().flatten()
        {
            if window.has(at) {
                all.push(Happened::new(at, &nodes, format!("fault {fault_name} {what}")));
            }
        }
    }
    for line in surroundings.lines.iter().filter(|line| window.has(line.at)) {
        all.push(Happened::new(line.at, &line.node, visible(&line.text, TEXT_CHARACTERS)));
    }
    for exhibit in evidence.iter().flat_map(|evidence| &evidence.operations) {
        let witness = exhibit.witness;
        let who = format!("process {}", witness.process);
        let via =
            witness.node.as_ref().map_or(String::new(), |node| format!(" via {}", name(node)));
        let returned = crate::text::operation::returned(witness).map(|at| (at, "came back"));
        for (at, what) in [Some((witness.invoked, "is invoked")), returned].into_iter().flatten() {
            if window.has(at) {
                let what = format!("{}{via} {what}", exhibit.label);
                let is_moment = at == window.at && exhibit.blame.is_some();
                all.push(Happened { is_moment, ..Happened::new(at, &who, what) });
            }
        }
    }
    for finding in run.record.findings.iter().filter(|it| it.kind != crate::FindingKind::Violation)
    {
        let Some(at) = finding.at_ns.filter(|at| window.has(*at)) else { continue };
        let who = finding.node.clone().unwrap_or_default();
        let what = visible(&finding.in_words(), TEXT_CHARACTERS);
        all.push(Happened { is_moment: true, ..Happened::new(at, &who, what) });
    }
    all
}
