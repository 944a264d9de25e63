//! One run as JUnit XML.
//!
//! A run is one test case. Keys are not tests: a run has hundreds of them, their names mean nothing
//! to a CI server, and the ones that failed are in the failure's text. The case is named after the
//! faults and the seed, its class after target and workload: GitLab and Jenkins tell cases apart by
//! class and name, so that runs which differ in their seed only must not share both, and the seed
//! is what whoever reads "1 failed" needs first.
//!
//! A finding, such as a violation or a crash, is a failure, since the store is at fault; an unknown is
//! an error, since the test itself did not get anywhere. GitHub's and GitLab's readers show a case's `message` and text,
//! Jenkins' also its properties and output: everything that matters is in the text.
//!
//! Format: the de facto schema of Apache Ant and Jenkins, as `quick-junit` writes it.

use std::time::Duration;

use partita_checker::Verdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::commands::{Commands, folder};
use crate::evidence::{Evidence, Exhibit, ending};
use crate::groups::Groups;
use crate::headline::{self, Headline};
use crate::outcomes::ErrorCount;
use crate::run::Run;
use crate::text::number::{amount, instant};
use crate::text::unit::TimeUnit;
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// How many groups of violations are told.
const MOST_GROUPS: usize = 20;

/// Errors that the output repeats; `run.json` has all of them.
const MOST_ERRORS: usize = 20;

/// The JUnit document for one run, with an XML declaration.
///
/// # Panics
///
/// Never: every text is made writable as XML first.
pub fn junit(run: &Run<'_>) -> String {
    let record = run.record;
    let seconds = record.duration_s.clamp(0.0, 1e9);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let headline = Headline::of(run);
    let status = status(run, &headline);
    let mut case = TestCase::new(shown(&name(run)), status);
    case.set_classname(shown(&class(run)));
    case.set_time(time);
    case.set_system_out(system_out(run, &headline));
    let mut suite = TestSuite::new(shown(&class(run)));
    suite.set_time(time);
    suite.timestamp = record.started_at.parse().ok();
    for (name, value) in properties(run) {
        suite.add_property((name, value.as_str()));
    }
    suite.add_test_case(case);
    let mut report = Report::new("partita");
    report.set_time(time);
    report.add_test_suite(suite);
    report.to_string().expect("text without control characters is writable as XML")
}

fn class(run: &Run<'_>) -> String {
    format!("partita.{}.{}", run.record.target, run.record.workload)
}

fn name(run: &Run<'_>) -> String {
    let mutation = run.record.mutation.as_ref();
    let mutation = mutation.map_or(String::new(), |name| format!("planted bug {name}, "));
    format!("{mutation}faults {}, seed {}", run.record.nemesis, run.record.seed)
}

fn status(run: &Run<'_>, headline: &Headline) -> TestCaseStatus {
    let (kind, sort) = match (headline.finding, headline.verdict) {
        (Some(finding), _) => (NonSuccessKind::Failure, finding.name()),
        (None, Verdict::Valid) => return TestCaseStatus::success(),
        (None, _) => (NonSuccessKind::Error, "unknown"),
    };
    let mut status = TestCaseStatus::non_success(kind);
    let message = format!("{}: {}", headline.title, headline.lead);
    status.set_type(sort).set_message(message).set_description(explanation(run, headline));
    status
}

/// The text of a failure or error: everything that one needs without the report at hand.
fn explanation(run: &Run<'_>, headline: &Headline) -> String {
    let mut lines = vec![headline.lead.clone()];
    lines.extend(headline.remarks.iter().cloned());
    if let Some(evidence) = Evidence::of(run.history, run.analysis, TimeUnit::Clock) {
        lines.push(String::new());
        lines.push("The operations that prove it:".to_owned());
        lines.extend(evidence.operations.iter().map(|exhibit| format!("  {}", line(exhibit))));
        if evidence.left_out > 0 {
            lines.push(format!("  and {} more, see verdict.json", evidence.left_out));
        }
        for (index, step) in evidence.steps.iter().enumerate() {
            lines.push(format!("{}. {}", index + 1, step.sentence));
        }
    }
    lines.extend(other_groups(run));
    let commands = Commands::of(run);
    lines.push(String::new());
    lines.push(format!("Seed: {}", run.record.seed));
    lines.push(format!("Run again: {}", commands.again));
    lines.push(format!("Check again: {}", commands.check));
    lines.push(format!("Report: {}/report.html", folder(run)));
    lines.join("\n")
}

/// One violation of each other group.
fn other_groups(run: &Run<'_>) -> Vec<String> {
    let Some(groups) = Groups::of(run.analysis, run.faults) else { return Vec::new() };
    let mut lines = Vec::new();
    for (group, found) in groups.others(run.analysis).take(MOST_GROUPS) {
        let (title, sentence) = headline::of_group(group, found);
        lines.extend([String::new(), format!("{title}: {sentence}")]);
        let evidence = Evidence::of_one(run.history, found, TimeUnit::Clock);
        lines.extend(evidence.operations.iter().map(|exhibit| format!("  {}", line(exhibit))));
    }
    lines
}

fn line(exhibit: &Exhibit<'_>) -> String {
    let witness = exhibit.witness;
    let node = witness.node.as_ref();
    let node = node.map_or(String::new(), |node| format!(" via {}", visible(node, 40)));
    let blame = exhibit.blame.map_or(String::new(), |blame| format!(" ({blame})"));
    format!(
        "{}{blame}: process {}{node}, invoked {}, came back {}, line {} of history.jsonl",
        exhibit.label,
        witness.process,
        instant(witness.invoked),
        ending(witness, TimeUnit::Clock),
        exhibit.lines.0
    )
}

fn system_out(run: &Run<'_>, headline: &Headline) -> String {
    let counts = run.record.counts;
    let remarks: String =
        headline.remarks.iter().flat_map(|remark| [remark.as_str(), "\n"]).collect();
    format!(
        "{}: {}\n{}{} operations: {} ok, {} fail, {} info; {} ok during faults\n{}Run again: {}",
        headline.title,
        headline.lead,
        remarks,
        counts.invoked,
        counts.ok,
        counts.fail,
        counts.info,
        counts.ok_during_faults,
        lines_of_outcomes(run),
        Commands::of(run).again
    )
}

/// The rate, and the errors that were met most, a line each with its end.
fn lines_of_outcomes(run: &Run<'_>) -> String {
    let record = run.record;
    let rate = record.rate_reached.map(|reached| {
        format!("{} operations a second of {} asked for", amount(reached), amount(record.rate))
    });
    let errors = record.outcomes.errors.iter().take(MOST_ERRORS).map(ErrorCount::sentence);
    let violations = record.outcomes.protocol_violations.iter().take(MOST_ERRORS);
    let violations = violations.map(|violation| shown(&violation.sentence()));
    rate.into_iter().chain(errors).chain(violations).map(|line| line + "\n").collect()
}

fn properties(run: &Run<'_>) -> Vec<(&'static str, String)> {
    let record = run.record;
    let mut properties = vec![
        ("seed", record.seed.to_string()),
        ("verdict", run.verdict().to_string()),
        ("command", Commands::of(run).again),
        ("target", record.target.clone()),
        ("workload", record.workload.clone()),
        ("nemesis", record.nemesis.clone()),
        ("run", record.name.clone()),
        ("partita", record.version.clone()),
        ("operations", record.counts.invoked.to_string()),
        ("faults", run.faults.len().to_string()),
        ("rate", record.rate.to_string()),
    ];
    if let Some(reached) = record.rate_reached {
        properties.push(("rate reached", format!("{reached:.1}")));
    }
    if let Some(mutation) = &record.mutation {
        properties.push(("mutation", mutation.clone()));
    }
    properties.into_iter().map(|(name, value)| (name, shown(&value))).collect()
}

fn shown(text: &str) -> String {
    visible(text, TEXT_CHARACTERS)
}
