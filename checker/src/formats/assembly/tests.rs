//! What is left out, what a failure means, and in which order events are taken.

use crate::formats::{FailedCas, NilRead, ReadHistory, ReadOptions, Severity, read};
use crate::history::Response;
use crate::verdict::{Analysis, Verdict};

fn lines(events: &[(u32, &str, &str, &str, u64)]) -> String {
    let line = |(index, (process, kind, function, value, time)): (usize, &_)| {
        format!(
            "{{\"index\":{index},\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\
             \"f\":\"{function}\",\"value\":{value}}}\n"
        )
    };
    events.iter().enumerate().map(line).collect()
}

fn read_lines(text: &str, options: &ReadOptions) -> ReadHistory {
    read("h.jsonl", text.as_bytes(), options).unwrap()
}

#[test]
fn invocations_come_first_among_events_of_one_time() {
    let text = lines(&[
        (0, "invoke", "write", "1", 30),
        (0, "ok", "write", "1", 40),
        (1, "invoke", "read", "null", 10),
        (1, "ok", "read", "2", 20),
        (2, "invoke", "write", "2", 20),
        (2, "ok", "write", "2", 30),
    ]);
    let error = read("h.jsonl", text.as_bytes(), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("--sort-by-time"), "{error}");
    let options = ReadOptions { sort_by_time: true, ..ReadOptions::default() };
    let ReadHistory { history, reading } = read_lines(&text, &options);
    let order: Vec<(u32, u64)> =
        history.events().map(|event| (event.process.0, event.time.0)).collect();
    assert_eq!(order, [(1, 10), (2, 20), (1, 20), (0, 30), (2, 30), (0, 40)]);
    assert_eq!(reading.decisions[0].chosen, "sorted by time");
    assert_eq!(reading.decisions[0].operations, 6);
}

#[test]
fn a_client_that_goes_on_at_once_keeps_its_order() {
    let text = lines(&[
        (0, "invoke", "write", "1", 5),
        (0, "ok", "write", "1", 5),
        (0, "invoke", "write", "2", 5),
        (0, "ok", "write", "2", 5),
    ]);
    let options = ReadOptions { sort_by_time: true, ..ReadOptions::default() };
    assert_eq!(read_lines(&text, &options).history.counts().ok, 2);
}

#[test]
fn error_of_a_failed_compare_and_set_says_what_it_means() {
    let meaning = |error: &str, failed_cas| {
        let text = lines(&[(0, "invoke", "cas", "[1,2]", 1), (0, "fail", "cas", "[1,2]", 2)]);
        let named = format!(",\"error\":\"{error}\"}}");
        let text = if error.is_empty() {
            text
        } else {
            text.replacen("\"value\":[1,2]}", &format!("\"value\":[1,2]{named}"), 2)
        };
        let text = text.replacen(&named, "}", 1);
        let options = ReadOptions { failed_cas, ..ReadOptions::default() };
        let ReadHistory { history, reading } = read_lines(&text, &options);
        let said: Vec<String> = reading
            .decisions
            .iter()
            .map(|one| format!("{}: {}", one.subject, one.operations))
            .collect();
        (history.operations[0].response(), said)
    };
    let mismatch = Some(Response::Mismatch(None));
    assert_eq!(meaning("", None), (None, vec!["failed cas: 1".to_owned()]));
    assert_eq!(meaning("", Some(FailedCas::Mismatch)).0, mismatch);
    assert_eq!(meaning("no-leader", Some(FailedCas::Mismatch)).0, None);
    assert_eq!(meaning("precondition failed", None).0, mismatch);
    assert_eq!(meaning("precondition failed", Some(FailedCas::Ignore)).0, None);
}

#[test]
fn history_whose_reads_were_all_left_out_is_not_valid() {
    let mut text = lines(&[
        (0, "invoke", "write", "1", 1),
        (0, "ok", "write", "1", 2),
        (0, "invoke", "read", "null", 3),
        (0, "ok", "read", "null", 4),
    ]);
    let options = ReadOptions { nil_read: Some(NilRead::Unknown), ..ReadOptions::default() };
    let weighed = |text: &str| {
        let mut analysis = Analysis {
            verdict: Verdict::Valid,
            keys: Vec::new(),
            counterexample: None,
            reasons: Vec::new(),
            isolation: None,
        };
        read_lines(text, &options).reading.weigh(&mut analysis);
        analysis
    };
    let unknown = weighed(&text);
    assert_eq!(unknown.verdict, Verdict::Unknown);
    assert!(unknown.reasons[0].contains("--nil-read"), "{:?}", unknown.reasons);
    text += &lines(&[
        (0, "invoke", "write", "1", 1),
        (0, "ok", "write", "1", 2),
        (0, "invoke", "write", "1", 3),
        (0, "ok", "write", "1", 4),
        (0, "invoke", "read", "null", 5),
        (0, "ok", "read", "1", 6),
    ])
    .lines()
    .skip(4)
    .map(|line| format!("{line}\n"))
    .collect::<String>();
    assert_eq!(weighed(&text).verdict, Verdict::Valid);
}

#[test]
fn tuples_of_json_lines_are_split_when_asked_for_and_refused_otherwise() {
    let text = lines(&[
        (0, "invoke", "write", "[7,1]", 1),
        (0, "ok", "write", "[7,1]", 2),
        (0, "invoke", "read", "[7,null]", 3),
        (0, "ok", "read", "[7,1]", 4),
        (0, "invoke", "cas", "[8,[1,2]]", 5),
        (0, "fail", "cas", "null", 6),
    ]);
    let error = read("h.jsonl", text.as_bytes(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("h.jsonl:3: ") && error.contains("--independent=no"), "{error}");
    let options = |independent| ReadOptions { independent, ..ReadOptions::default() };
    let split = read_lines(&text, &options(Some(true))).history;
    assert_eq!(split.keys, [7.into(), 8.into()]);
    assert_eq!(split.counts().ok, 2);
    let text = text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>();
    let ReadHistory { history, reading } = read_lines(&text, &options(Some(false)));
    assert_eq!(history.keys.len(), 1);
    assert_eq!(reading.notes[0].severity, Severity::Warning);
    let strict = ReadOptions { strict: true, ..options(Some(false)) };
    let error = read("h.jsonl", text.as_bytes(), &strict).unwrap_err().to_string();
    assert!(error.starts_with("h.jsonl:3: ") && error.contains("--strict"), "{error}");
}

#[test]
fn answer_of_a_delete_and_a_missing_key_are_warned_of() {
    let text = lines(&[(0, "invoke", "delete", "null", 1), (0, "ok", "delete", "2", 2)])
        + &lines(&[(0, "", "", "", 0), (0, "", "", "", 0), (1, "invoke", "write", "1", 3)])
            .lines()
            .skip(2)
            .map(|line| format!("{}\n", line.replace("\"value\"", "\"key\":\"k\",\"value\"")))
            .collect::<String>();
    let notes = read_lines(&text, &ReadOptions::default()).reading.notes;
    let warned: Vec<&str> = notes
        .iter()
        .filter(|note| note.severity == Severity::Warning)
        .map(|note| &*note.text)
        .collect();
    assert_eq!(
        warned,
        [
            "answers of deletes, which are not checked",
            "operations without a key, among others that have one"
        ]
    );
}
