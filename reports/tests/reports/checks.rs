//! What the page about checked histories promises.

use partita_checker::{Analysis, Event, History, Options, Value, Verdict, check};
use partita_reports::{CheckRecord, CheckedHistory, check_html};

use crate::support::HOSTILE;

const STALE: &str = r#"
{"index":0,"time":0,"process":0,"type":"invoke","f":"write","key":"k1","value":1}
{"index":1,"time":1000000,"process":0,"type":"ok","f":"write","key":"k1","value":1}
{"index":2,"time":2000000,"process":0,"type":"invoke","f":"write","key":"k1","value":2}
{"index":3,"time":3000000,"process":0,"type":"ok","f":"write","key":"k1","value":2}
{"index":4,"time":4000000,"process":1,"type":"invoke","f":"read","key":"k1"}
{"index":5,"time":5000000,"process":1,"type":"ok","f":"read","key":"k1","value":2}
{"index":6,"time":9000000,"process":1,"type":"invoke","f":"read","key":"k1"}
{"index":7,"time":9500000,"process":1,"type":"ok","f":"read","key":"k1","value":1}
"#;

fn events(text: &str) -> Vec<Event> {
    let line = |line| serde_json::from_str(line).expect("an event");
    text.trim().lines().map(line).collect()
}

fn checked(file: &str, events: Vec<Event>) -> CheckedHistory {
    let history = History::from_events(events).expect("a history");
    let (analysis, _) = check(&history, &Options::default(), &|| false);
    let certificate = (analysis.verdict == Verdict::Valid).then(|| "proof.json".to_owned());
    CheckedHistory {
        read_as: vec!["read as jsonl: register (told by its operations)".to_owned()],
        file: file.to_owned(),
        model: "register".to_owned(),
        history,
        analysis,
        faults: Vec::new(),
        certificate,
    }
}

pub(crate) fn page(files: Vec<CheckedHistory>) -> String {
    check_html(&CheckRecord {
        version: "1.2.3".to_owned(),
        checked_at: "2026-01-02T03:04:05Z".to_owned(),
        command: "partita check a.jsonl".to_owned(),
        files,
        unreadable: Vec::new(),
    })
}

#[test]
fn a_violation_is_told_drawn_and_measured() {
    let page = page(vec![checked("a.jsonl", events(STALE))]);
    for wanted in
        ["Violation: stale read", "<svg", "Stale by 6 ms and 1 version.", "partita check a.jsonl"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn the_worst_of_many_files_comes_first_and_all_are_listed() {
    let valid = events(STALE).into_iter().take(4).collect::<Vec<_>>();
    let page = page(vec![checked("good.jsonl", valid), checked("bad.jsonl", events(STALE))]);
    assert!(page.contains("1 violation, 1 valid."), "the tally");
    let section = |name: &str| page.find(&format!("<h2>{name}: ")).expect("a section");
    assert!(section("bad.jsonl") < section("good.jsonl"));
    assert!(page.contains("partita verify --model register good.jsonl proof.json"));
}

#[test]
fn foreign_text_stays_text_on_the_page() {
    let mut events = events(STALE);
    for event in &mut events {
        event.key = Value::text(HOSTILE);
    }
    let mut file = checked(HOSTILE, events);
    file.analysis.counterexample.as_mut().expect("a violation").key = Value::text(HOSTILE);
    let page = page(vec![file]);
    assert!(!page.contains("<script"), "markup got through");
}

#[test]
fn no_history_at_all_proves_nothing() {
    let none = Analysis::unknown(vec!["no operation completed: nothing was tested".to_owned()]);
    let file = CheckedHistory { analysis: none, ..checked("empty.jsonl", Vec::new()) };
    assert!(page(vec![file]).contains("nothing was tested"));
}
