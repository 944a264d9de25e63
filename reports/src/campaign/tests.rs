//! Tests of a campaign's documents.

use std::collections::BTreeMap;

use super::overview::{BucketRow, Check, ConfigurationRow, Overview, ShrunkRow, Status};
use super::record::{FaultLeft, Signature};
use super::statistics::Ratio;
use super::{campaign_html, campaign_junit, campaign_summary};

const HOSTILE: &str = "read <img src=x> of `k1` | @team #7 & \u{202e}\u{1b}[2J \"quoted\" ]]>";

fn bucket(number: usize, status: Status) -> BucketRow {
    let signature = Signature {
        target: "raft-node".to_owned(),
        workload: "register".to_owned(),
        kind: "violation".to_owned(),
        what: format!("stale read {number}"),
        shape: vec!["real-time".to_owned()],
    };
    let left = vec![FaultLeft { fault: "isolate".to_owned(), target: "leader".to_owned() }];
    let own = signature.in_words();
    BucketRow {
        id: signature.id(),
        name: signature.name(&left),
        signature,
        sentence: format!("{number}: {HOSTILE} {}", "and so on ".repeat(40)),
        status,
        issue: None,
        is_overdue: false,
        is_environment: false,
        runs: 3,
        first_index: Some(7),
        found_after_ms: Some(61_000),
        first_night: 1,
        configurations: vec!["raft-node/register/set 0".to_owned()],
        versions: vec!["raft-node".to_owned()],
        replayed: Ratio { k: 7, n: 10 },
        otherwise: BTreeMap::from([("valid".to_owned(), 2), (own, 1)]),
        shrunk: vec![ShrunkRow {
            of: 7,
            faults: left,
            reproduced: Some(Ratio { k: 4, n: 5 }),
            schedule: None,
            reason: None,
        }],
        mixed: None,
        alike: (number == 1).then(|| "another-bucket".to_owned()),
        command: Some(format!("partita replay failing/x/{number} --times 5")),
        seed: Some(17),
        report: Some(format!("failing/x/{number}/report.html")),
        seen_in: vec![1, 2],
    }
}

#[test]
fn what_replays_came_to_is_told_by_the_most_frequent_first() {
    let row = bucket(3, Status::New);
    let told = row.replays_in_words().expect("it was replayed");
    assert!(told.starts_with("7 of 10 ("), "{told}");
    assert!(told.ends_with("; else 2 valid, 1 violation: stale read 3 by another cycle"), "{told}");
    assert_eq!(row.alike_in_words(), None);
    let alike = bucket(1, Status::New).alike_in_words().expect("there is another");
    assert!(alike.contains(" with another-bucket:"), "{alike}");
    let never = BucketRow { replayed: Ratio::default(), ..row };
    assert_eq!(never.replays_in_words(), None);
}

fn configuration(number: usize) -> ConfigurationRow {
    ConfigurationRow {
        name: format!("raft-node/register/set {number}"),
        target: "raft-node".to_owned(),
        workload: "register".to_owned(),
        faults: format!("set {number}"),
        version: "raft-node".to_owned(),
        results: BTreeMap::from([("valid".to_owned(), 20), ("finding".to_owned(), 1)]),
        cpu_ms: 50_000,
        wall_ms: 400_000,
        excluded_rate: 0.14,
        unseen_rate: 0.15,
        time_to_find: None,
        seed: Some(1_000 + number as u64),
        buckets: BTreeMap::new(),
    }
}

fn overview(buckets: Vec<BucketRow>, configurations: usize) -> Overview {
    Overview {
        format: 1,
        name: "nightly <b>".to_owned(),
        night: 2,
        shards: 1,
        present: vec![0],
        planned: None,
        results: BTreeMap::from([("valid".to_owned(), 1_990), ("finding".to_owned(), 10)]),
        began_ms: Some(0),
        at_work_ms: 7_200_000,
        buckets,
        configurations: (0..configurations).map(configuration).collect(),
        exercised: BTreeMap::from([("isolate leader".to_owned(), 12)]),
        never_exercised: vec!["pause".to_owned()],
        canary: Some(Check::Passed),
        control: Some(Check::Failed("unknown".to_owned())),
        unproved: vec![("no fault had an effect".to_owned(), 3)],
        problems: vec!["1 of 2 shards are missing: 1".to_owned()],
        nights: vec![1, 2],
    }
}

fn many(buckets: usize) -> Overview {
    let statuses = [Status::New, Status::Back, Status::Known, Status::Gone(2), Status::Closed(9)];
    let bucket = |number: usize| bucket(number, statuses[number % statuses.len()]);
    overview((0..buckets).map(bucket).collect(), 200)
}

#[test]
fn a_page_of_fifty_buckets_says_all_of_them_and_stays_small() {
    let page = campaign_html(&many(50));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for wanted in
        ["10 new buckets", "1000 runs an hour", "gone since 2 nights", "isolate leader; 4 of 5"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert!(!page.contains("<img") && !page.contains("nightly <b>") && !page.contains("<script"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
    // Also of many more.
    let page = campaign_html(&many(3_000));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(page.contains("2600 more are in buckets.json"));
}

#[test]
fn a_summary_has_the_worst_first_and_fits_into_a_jobs_page() {
    let few = campaign_summary(&many(3));
    let place = |what: &str| few.find(what).unwrap_or_else(|| panic!("{what}: {few}"));
    assert!(
        place("#### new: ") < place("#### back: ") && place("#### back: ") < place("#### known: ")
    );
    assert!(few.contains("⚠ 1 of 2 shards"), "{few}");
    assert!(!few.contains("<img") && !few.contains("@team"), "{few}");
    let long = campaign_summary(&many(5_000));
    assert!(long.len() <= 900_000, "{} bytes", long.len());
    assert!(long.contains("more lines are left out") && long.starts_with("### ❌"));
}

#[test]
fn test_cases_have_stable_names_and_say_what_was_found() {
    let text = campaign_junit(&overview(vec![bucket(0, Status::New), bucket(1, Status::Known)], 2));
    let case = "<testcase name=\"set 0\" classname=\"partita.raft-node.register\"";
    assert!(text.contains(case), "{text}");
    assert_eq!(text.matches("<failure ").count(), 1, "the known one fails nothing: {text}");
    assert_eq!(text.matches("<rerunFailure ").count(), 1, "{text}");
    assert!(text.contains("<property name=\"set 0: first seeds\" value=\"1000\"/>"), "{text}");
    // The schema knows neither of them there.
    let all = text.lines().find(|line| line.starts_with("<testsuites ")).expect("all suites");
    assert!(!text.contains(" disabled=") && !all.contains(" skipped="), "{all}");
    let known = campaign_junit(&overview(vec![bucket(1, Status::Known)], 1));
    assert_eq!(known.matches("<failure ").count(), 0, "{known}");
    assert_eq!(known.matches("<flakyFailure ").count(), 1, "{known}");
    let gone = campaign_junit(&overview(vec![bucket(1, Status::Gone(1))], 1));
    assert!(!gone.contains("Failure"), "{gone}");
}

#[test]
fn a_case_that_was_not_run_is_skipped_and_one_that_proved_nothing_is_an_error() {
    let mut night = overview(Vec::new(), 2);
    night.configurations[0].results.clear();
    night.configurations[1].results = BTreeMap::from([("unknown".to_owned(), 4)]);
    let text = campaign_junit(&night);
    assert_eq!(
        (text.matches("<skipped").count(), text.matches("<error ").count()),
        (1, 1),
        "{text}"
    );
}

#[test]
fn titles_say_what_is_new() {
    let title = |statuses: &[Status]| {
        let buckets = statuses.iter().enumerate().map(|(at, status)| bucket(at, *status));
        overview(buckets.collect(), 1).title()
    };
    assert_eq!(title(&[]), "Nothing was found");
    assert_eq!(title(&[Status::New]), "1 new bucket");
    assert_eq!(title(&[Status::Known, Status::Gone(1)]), "Nothing new, 1 known bucket");
    assert_eq!(title(&[Status::Back]), "1 closed bucket again");
    assert_eq!(title(&[Status::New, Status::New, Status::Back]), "2 new buckets and 1 again");
}
