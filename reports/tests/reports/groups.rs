//! Several violations in one run: every report counts them and tells of one of each kind.

use partita_checker::{Anomaly, Counterexample, Verdict};
use partita_reports::{html, junit, summary};

use crate::support::{Finding, Fixture, Plan, fixture};

/// A run with a stale read on one key and lost writes on two others.
fn several() -> Fixture {
    let mut fixture = fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() });
    let found = fixture.analysis.counterexample.clone().expect("a stale read");
    let others = fixture.analysis.keys.iter_mut().filter(|key| key.verdict == Verdict::Valid);
    for key in others.take(2) {
        key.verdict = Verdict::Violation;
        key.counterexample = Some(Box::new(Counterexample {
            key: key.key.clone(),
            anomaly: Anomaly::LostWrite,
            sentence: format!("the write of {} is gone", key.key),
            ..found.clone()
        }));
    }
    fixture
}

#[test]
fn every_report_counts_all_violations_and_shows_one_of_each_group() {
    let fixture = several();
    let keys = fixture.analysis.keys.len();
    let counted = format!("3 of {keys} keys: 2 lost write, 1 stale read");
    let first = fixture.analysis.keys.iter().find(|key| {
        key.counterexample.as_ref().is_some_and(|found| found.anomaly == Anomaly::LostWrite)
    });
    let sentence = format!("the write of {} is gone.", first.expect("a lost write").key);
    for report in [html(&fixture.run()), summary(&fixture.run()), junit(&fixture.run())] {
        assert!(report.contains("Violation: stale read"), "{report}");
        assert!(report.contains(&counted), "{counted}: {report}");
        assert!(report.contains("Lost write, 2 keys"), "{report}");
        assert!(report.contains(&sentence), "{sentence}: {report}");
    }
    assert!(html(&fixture.run()).contains("What else went wrong"));
}

#[test]
fn a_lone_violation_has_no_others() {
    let fixture = fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() });
    let page = html(&fixture.run());
    assert!(page.contains(&format!("1 of {} keys", fixture.analysis.keys.len())), "{page}");
    assert!(!page.contains("What else went wrong"));
}
