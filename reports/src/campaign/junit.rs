//! A campaign as JUnit XML.
//!
//! A test case is a target, a workload and a fault set, so that its name is the same every night and a server
//! that keeps its history has a trend; seeds and versions are properties of the suite, since the schema of
//! Jenkins' xUnit plugin (`junit-10.xsd`) has none of a case. What was found is a failure if any of the
//! case's buckets is new or back; a known bucket leaves the case passing with a `flakyFailure`, as a failure
//! that is being dealt with; other runs of a failing case that failed stand as `rerunFailure`.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::overview::{BucketRow, ConfigurationRow, Overview, Status, ended};
use super::record::RunResult;
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// Buckets that one case tells of; the others are counted.
const MOST_BUCKETS: usize = 20;

/// The JUnit document of a campaign, with an XML declaration.
///
/// # Panics
///
/// Never: every text is made writable as XML first.
pub fn campaign_junit(overview: &Overview) -> String {
    let mut suites: BTreeMap<String, Vec<(String, Vec<&ConfigurationRow>)>> = BTreeMap::new();
    for row in &overview.configurations {
        let class = format!("partita.{}.{}", row.target, row.workload);
        let cases = suites.entry(class).or_default();
        match cases.iter_mut().find(|(faults, _)| *faults == row.faults) {
            Some((_, rows)) => rows.push(row),
            None => cases.push((row.faults.clone(), vec![row])),
        }
    }
    let mut report = Report::new("partita campaign");
    for (class, mut cases) in suites {
        cases.sort_by(|a, b| a.0.cmp(&b.0));
        let mut suite = TestSuite::new(shown(&class));
        suite.add_property(("night", overview.night.to_string().as_str()));
        let mut time = Duration::ZERO;
        for (faults, rows) in cases {
            let case = case(overview, &class, &faults, &rows);
            for (name, value) in properties(&rows) {
                suite.add_property((
                    shown(&format!("{faults}: {name}")).as_str(),
                    shown(&value).as_str(),
                ));
            }
            time += case.time.unwrap_or_default();
            suite.add_test_case(case);
        }
        suite.set_time(time);
        report.add_test_suite(suite);
    }
    let text = report.to_string().expect("text without control characters is writable as XML");
    text.split_inclusive('\n').map(in_the_schemas_words).collect()
}

/// A line without what the schema does not know: the number of skipped cases of all suites together, and of
/// disabled ones. In a text, `<` has no place.
fn in_the_schemas_words(line: &str) -> String {
    let unknown: &[&str] = match line.trim_start() {
        tag if tag.starts_with("<testsuites ") => &["skipped", "disabled"],
        tag if tag.starts_with("<testsuite ") => &["disabled"],
        _ => &[],
    };
    unknown.iter().fold(line.to_owned(), |line, name| without_attribute(&line, name))
}

/// A tag without one of its attributes, whose value is a number.
fn without_attribute(tag: &str, name: &str) -> String {
    let begin = format!(" {name}=\"");
    let Some((before, rest)) = tag.split_once(&begin) else { return tag.to_owned() };
    rest.split_once('"').map_or_else(|| tag.to_owned(), |(_, after)| format!("{before}{after}"))
}

/// What the runs of a case had that differs from night to night.
fn properties(rows: &[&ConfigurationRow]) -> [(&'static str, String); 4] {
    let seeds: Vec<String> =
        rows.iter().filter_map(|row| row.seed).map(|it| it.to_string()).collect();
    let versions: Vec<&str> = rows.iter().map(|row| row.version.as_str()).collect();
    let valid: u64 = rows.iter().map(|row| ended(&row.results, RunResult::Valid)).sum();
    let runs: u64 = rows.iter().flat_map(|row| row.results.values()).sum();
    [
        ("first seeds", seeds.join(" ")),
        ("versions", versions.join(", ")),
        ("runs", runs.to_string()),
        ("valid runs", valid.to_string()),
    ]
}

fn case(overview: &Overview, class: &str, faults: &str, rows: &[&ConfigurationRow]) -> TestCase {
    let sum = |result| rows.iter().map(|row| ended(&row.results, result)).sum::<u64>();
    let runs: u64 = rows.iter().flat_map(|row| row.results.values()).sum();
    let found: Vec<&BucketRow> = overview
        .buckets
        .iter()
        .filter(|bucket| bucket.status.is_open())
        .filter(|bucket| {
            bucket.configurations.iter().any(|name| rows.iter().any(|row| row.name == *name))
        })
        .collect();
    let (harness, store): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|bucket| bucket.signature.is_harness());
    let (known, new): (Vec<&BucketRow>, Vec<_>) =
        store.into_iter().partition(|bucket| bucket.status == Status::Known);
    let mut status = match (new.as_slice(), harness.as_slice()) {
        ([first, rest @ ..], _) => non_success(NonSuccessKind::Failure, first, rest),
        ([], _) if sum(RunResult::Valid) > 0 || !known.is_empty() => TestCaseStatus::success(),
        ([], [first, rest @ ..]) => non_success(NonSuccessKind::Error, first, rest),
        ([], []) if runs == 0 => TestCaseStatus::skipped(),
        ([], []) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("unknown").set_message("no run proved anything");
            status
        }
    };
    for bucket in known.into_iter().take(MOST_BUCKETS) {
        status.add_rerun(rerun(bucket));
    }
    let mut case = TestCase::new(shown(faults), status);
    case.set_classname(shown(class));
    let wall_ms = rows.iter().map(|row| row.wall_ms).sum();
    case.set_time(Duration::from_millis(wall_ms));
    case
}

fn non_success(kind: NonSuccessKind, first: &BucketRow, rest: &[&BucketRow]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(shown(&first.signature.kind)).set_message(message(first));
    status.set_description(text(first));
    for bucket in rest.iter().take(MOST_BUCKETS) {
        status.add_rerun(rerun(bucket));
    }
    status
}

fn rerun(bucket: &BucketRow) -> TestRerun {
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun.set_type(shown(&bucket.signature.kind)).set_message(message(bucket));
    rerun.set_description(text(bucket));
    rerun
}

fn message(bucket: &BucketRow) -> String {
    shown(&format!("{}: {}", bucket.signature.in_words(), bucket.sentence))
}

fn text(bucket: &BucketRow) -> String {
    let mut lines = vec![
        bucket.sentence.clone(),
        format!("Bucket: {}, {}, in {} runs", bucket.name, bucket.status.name(), bucket.runs),
        format!("Played again: {}", bucket.replayed),
    ];
    lines.extend(bucket.seed.map(|seed| format!("Seed: {seed}")));
    lines.extend(bucket.command.as_ref().map(|command| format!("Run again: {command}")));
    lines.extend(bucket.report.as_ref().map(|report| format!("Report: {report}")));
    lines.extend(bucket.issue.as_ref().map(|issue| format!("Issue: {issue}")));
    let lines: Vec<String> = lines.iter().map(|line| shown(line)).collect();
    lines.join("\n")
}

fn shown(text: &str) -> String {
    visible(text, TEXT_CHARACTERS)
}
