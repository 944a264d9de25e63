//! What JUnit XML and the Markdown summary promise, checked on made-up runs.

use crate::support::{Finding, Plan, fixture, hostile};
use partita_reports::{FindingKind, html, junit, summary, write_all};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};

fn plan(finding: Finding) -> Plan {
    Plan { finding, ..Plan::default() }
}

fn case(xml: &str) -> TestCase {
    let report = Report::deserialize_from_str(xml).expect("JUnit XML");
    assert_eq!((report.test_suites.len(), report.tests), (1, 1));
    report.test_suites[0].test_cases[0].clone()
}

fn problem(case: &TestCase) -> (NonSuccessKind, String, String) {
    match &case.status {
        TestCaseStatus::NonSuccess { kind, message, description, .. } => (
            *kind,
            message.as_ref().expect("a message").as_str().to_owned(),
            description.as_ref().expect("a text").as_str().to_owned(),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_violation_is_a_failure_that_stands_on_its_own() {
    let fixture = fixture(&plan(Finding::StaleRead));
    let case = case(&junit(&fixture.run()));
    let (kind, message, text) = problem(&case);
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    assert_eq!(kind, NonSuccessKind::Failure);
    assert!(message.starts_with("Violation: stale read") && message.contains(&found.sentence));
    for witness in &found.operations {
        assert!(text.contains(&format!("line {} of history.jsonl", witness.index + 1)), "{text}");
    }
    assert!(text.contains(&fixture.record.command) && text.contains("Seed: 42"), "{text}");
}

#[test]
fn an_unknown_is_an_error_that_says_why() {
    let (kind, message, text) = problem(&case(&junit(&fixture(&plan(Finding::Vacuous)).run())));
    assert_eq!(kind, NonSuccessKind::Error);
    assert!(message.contains("dropped no frame") && text.contains("Seed: 42"));
}

#[test]
fn a_valid_run_is_a_pass() {
    let case = case(&junit(&fixture(&plan(Finding::Valid)).run()));
    assert!(matches!(case.status, TestCaseStatus::Success { .. }));
}

#[test]
fn runs_that_differ_in_their_seed_are_different_cases() {
    let name = |seed| {
        let case = case(&junit(&fixture(&Plan { seed, ..Plan::default() }).run()));
        (case.classname.expect("a class").into_string(), case.name.into_string())
    };
    assert_eq!(name(1).0, name(2).0);
    assert_ne!(name(1).1, name(2).1);
}

#[test]
fn hostile_values_make_valid_xml() {
    let xml = junit(&hostile(&fixture(&plan(Finding::StaleRead))).run());
    problem(&case(&xml));
    assert!(!xml.contains("<script") && !xml.contains('\0'));
}

#[test]
fn the_summary_leads_with_verdict_and_sentence() {
    let fixture = fixture(&plan(Finding::StaleRead));
    let text = summary(&fixture.run());
    let mut lines = text.lines().filter(|line| !line.is_empty());
    assert!(lines.next().expect("a title").starts_with("### ❌ Violation: stale read"));
    assert!(lines.next().expect("a sentence").contains("had been acknowledged"));
    assert!(text.contains(&fixture.record.command));
}

#[test]
fn hostile_values_make_no_markup_in_the_summary() {
    let text = summary(&hostile(&fixture(&plan(Finding::StaleRead))).run());
    let (prose, code): (Vec<_>, Vec<_>) =
        text.split("```").enumerate().partition(|(part, _)| part % 2 == 0);
    assert_eq!(code.len(), 1);
    for (_, prose) in prose {
        assert!(!prose.contains("<script") && !prose.contains("<img"), "{prose}");
        for row in prose.lines().filter(|line| line.starts_with('|')) {
            let columns = row.replace("\\|", "").matches('|').count();
            assert!([6, 7, 9].contains(&columns), "{row}");
        }
    }
}

#[test]
fn a_summary_fits_into_a_comment() {
    let long = Plan { seconds: 600, fault_every: 2, rate: 20, ..plan(Finding::Valid) };
    let text = summary(&fixture(&long).run());
    assert!(text.len() < 20_000, "{} bytes", text.len());
    assert!(text.contains("more are in the report."));
}

#[test]
fn all_reports_are_written_and_a_missing_folder_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = fixture(&plan(Finding::Valid));
    write_all(folder.path(), &fixture.run()).expect("reports");
    for name in ["report.html", "junit.xml", "summary.md"] {
        assert!(folder.path().join(name).metadata().is_ok_and(|file| file.len() > 100), "{name}");
    }
    let missing = folder.path().join("missing");
    let error = write_all(&missing, &fixture.run()).expect_err("no such folder");
    assert!(error.to_string().contains("missing/report.html"), "{error}");
}

#[test]
fn a_crash_is_a_failure_in_every_report_although_the_history_is_unknown() {
    let mut fixture = fixture(&Plan { finding: Finding::Vacuous, ..Plan::default() });
    let sentence = "after 3.1 s n2 ended on its own (exit status: 101): the log has a hole";
    let crash = partita_reports::Finding {
        node: Some("n2".to_owned()),
        at_ns: Some(partita_checker::Nanoseconds(3_100_000_000)),
        ..partita_reports::Finding::new(FindingKind::Crash, "panic at src/log.rs:31", sentence)
    };
    fixture.record.findings = vec![crash];
    fixture.record.remarks.insert(0, sentence.to_owned());
    let run = fixture.run();
    let text = junit(&run);
    assert_eq!(problem(&case(&text)).0, NonSuccessKind::Failure);
    assert!(text.contains("type=\"crash\"") && text.contains("the log has a hole"), "{text}");
    let text = summary(&run);
    assert!(text.starts_with("### ❌ Crash: panic at"), "{text}");
    assert_eq!(text.matches("the log has a hole").count(), 1, "{text}");
    let page = html(&run);
    assert!(page.contains("Crash: panic at src/log.rs:31"), "a headline");
    assert!(page.contains("✕"), "the mark of a finding");
    assert!(page.contains("crash: panic at src/log.rs:31 at 3.10 s"), "its place in the charts");
    assert_eq!(fixture.record.exit().code(), 1);
}
