//! A campaign as one HTML page: what is new, what it takes to see it again, and what may still hide.
//!
//! The page loads nothing and has no script. It stays below 2 MB: texts are bounded, and tables end after as
//! many rows as it takes.

use askama::Template;

use super::overview::{BucketRow, Check, ConfigurationRow, Overview, Status, ended};
use super::record::RunResult;
use super::summary::{percent, seconds};
use crate::text::number::counted;
use crate::text::visible::{COMMAND_CHARACTERS, LABEL_CHARACTERS, TEXT_CHARACTERS, visible};

/// Buckets and configurations that the page lists.
const MOST_ROWS: usize = 400;

/// The page of a campaign.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn campaign_html(overview: &Overview) -> String {
    let is_bad = |status| overview.of_store(status).next().is_some();
    let (class, mark) = match () {
        () if is_bad(Status::New) || is_bad(Status::Back) => ("violation", "✗ "),
        () if !overview.problems.is_empty() || overview.ended(RunResult::Valid) == 0 => {
            ("unknown", "? ")
        }
        () => ("valid", "✓ "),
    };
    let text = |text: &String| visible(text, TEXT_CHARACTERS);
    let page = Page {
        class,
        mark,
        title: text(&overview.title()),
        name: visible(&overview.name, TEXT_CHARACTERS),
        night: overview.night,
        lead: text(&overview.lead()),
        problems: overview.problems.iter().map(text).collect(),
        checks: checks(overview),
        buckets: overview.buckets.iter().take(MOST_ROWS).map(Row::of).collect(),
        more_buckets: overview.buckets.len().saturating_sub(MOST_ROWS),
        nights: overview.nights.iter().map(u64::to_string).collect(),
        grid: overview.buckets.iter().take(MOST_ROWS).map(|row| grid(overview, row)).collect(),
        configurations: tried(overview),
        more_configurations: overview.configurations.len().saturating_sub(MOST_ROWS),
        exercised: overview
            .exercised
            .iter()
            .take(MOST_ROWS)
            .map(|(what, runs)| (visible(what, LABEL_CHARACTERS), *runs))
            .collect(),
        never: overview.never_exercised.iter().take(MOST_ROWS).map(text).collect(),
        unproved: overview.unproved.iter().take(20).map(|(why, runs)| (text(why), *runs)).collect(),
    };
    page.render().expect("a string takes everything")
}

#[derive(Template)]
#[template(path = "campaign.html")]
struct Page {
    class: &'static str,
    mark: &'static str,
    title: String,
    name: String,
    night: u64,
    lead: String,
    problems: Vec<String>,
    checks: Vec<String>,
    buckets: Vec<Row>,
    more_buckets: usize,
    nights: Vec<String>,
    grid: Vec<Line>,
    configurations: Vec<Tried>,
    more_configurations: usize,
    exercised: Vec<(String, u64)>,
    never: Vec<String>,
    unproved: Vec<(String, u64)>,
}

/// A bucket, in words.
struct Row {
    id: String,
    name: String,
    status: String,
    class: &'static str,
    title: String,
    subject: String,
    sentence: String,
    facts: Vec<(&'static str, String)>,
    command: Option<String>,
    report: Option<String>,
}

impl Row {
    fn of(row: &BucketRow) -> Self {
        let text = |text: &str| visible(text, TEXT_CHARACTERS);
        let mut facts = vec![("runs of this night", row.runs.to_string())];
        facts.extend(row.replays_in_words().map(|replays| ("played again", text(&replays))));
        facts.push(("first seen", first_seen(row)));
        for shrunk in row.shrunk.iter().take(4) {
            let faults: Vec<String> =
                shrunk.faults.iter().map(|it| text(&it.to_string())).collect();
            let told = match (&shrunk.reason, shrunk.reproduced) {
                (Some(reason), _) => text(reason),
                (None, Some(ratio)) => format!("{}; {ratio}", faults.join(", ")),
                (None, None) => faults.join(", "),
            };
            facts.push(("faults left", told));
        }
        if row.versions.len() > 1 {
            facts.push(("versions", text(&row.versions.join(", "))));
        }
        facts.extend(row.mixed.as_ref().map(|mixed| ("note", text(mixed))));
        facts.extend(row.alike_in_words().map(|alike| ("note", text(&alike))));
        facts.extend(row.issue.as_ref().map(|issue| ("issue", text(issue))));
        if row.is_environment {
            let why = "a fifth of the runs or more: likely the machine or the set-up";
            facts.push(("note", why.to_owned()));
        }
        let status = match row.status {
            Status::Gone(nights) => format!("gone since {}", counted(nights, "night")),
            Status::Closed(nights) => format!("closed, gone since {}", counted(nights, "night")),
            other => other.name().to_owned(),
        };
        Self {
            id: visible(&row.id, TEXT_CHARACTERS),
            name: visible(&row.name, TEXT_CHARACTERS),
            status,
            class: row.status.name(),
            title: text(&row.signature.in_words()),
            subject: text(&format!("{}, {}", row.signature.target, row.signature.workload)),
            sentence: text(&row.sentence),
            facts,
            command: row.command.as_ref().map(|it| visible(it, COMMAND_CHARACTERS)),
            report: row.report.as_ref().map(|it| visible(it, TEXT_CHARACTERS)),
        }
    }
}

fn first_seen(row: &BucketRow) -> String {
    match (row.found_after_ms, row.first_index) {
        (Some(after), Some(index)) => {
            format!("night {}; this night after {} s, run {index}", row.first_night, after / 1_000)
        }
        _ => format!("night {}", row.first_night),
    }
}

/// A bucket's row in the grid.
struct Line {
    name: String,
    cells: Vec<bool>,
}

fn grid(overview: &Overview, row: &BucketRow) -> Line {
    let cells = overview.nights.iter().map(|night| row.seen_in.contains(night)).collect();
    Line { name: visible(&row.name, TEXT_CHARACTERS), cells }
}

fn tried(overview: &Overview) -> Vec<Tried> {
    let rows = overview.configurations.iter().take(MOST_ROWS);
    rows.map(|row| Tried::of(row, &overview.found_by(row))).collect()
}

/// A configuration, in words.
struct Tried {
    name: String,
    runs: u64,
    valid: u64,
    found: u64,
    other: u64,
    time_to_find: String,
    found_as: String,
    excluded: String,
    unseen: String,
    cpu: String,
}

impl Tried {
    fn of(row: &ConfigurationRow, found_as: &[String]) -> Self {
        let runs: u64 = row.results.values().sum();
        let count = |result| ended(&row.results, result);
        let (valid, found) = (count(RunResult::Valid), count(RunResult::Finding));
        Self {
            name: visible(&row.name, TEXT_CHARACTERS),
            runs,
            valid,
            found,
            other: runs - valid - found,
            time_to_find: row.time_to_find.map(|it| seconds(it.median)).unwrap_or_default(),
            found_as: visible(&found_as.join(", "), TEXT_CHARACTERS),
            excluded: percent(row.excluded_rate),
            unseen: percent(row.unseen_rate),
            cpu: format!("{:.0} s", row.cpu_ms as f64 / 1_000.0),
        }
    }
}

fn checks(overview: &Overview) -> Vec<String> {
    let told = |name: &str, good: &str, check: &Option<Check>| {
        check.as_ref().map(|check| match check {
            Check::Passed => format!("{name}: {good}"),
            Check::Failed(saw) => format!("{name}: {}", visible(saw, TEXT_CHARACTERS)),
            Check::Missing => format!("{name}: not run"),
        })
    };
    let canary = told("Canary", "the planted bug was found", &overview.canary);
    let control = told("Control", "the run without faults was valid", &overview.control);
    canary.into_iter().chain(control).collect()
}
