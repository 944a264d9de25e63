//! What the page says of histories whose events carry no times: numbers of events, never a time.

use partita_checker::formats::{ReadOptions, read};
use partita_checker::{ModelKind, Options, Verdict, check};
use partita_reports::CheckedHistory;

use crate::checks::page;

/// What processes did: process, type, function, key and value.
type Line = (u64, &'static str, &'static str, &'static str, &'static str);

/// A stale read of `k1` long after the write that it misses, while a write never comes back, and a
/// value of `k2` from nowhere.
fn register() -> Vec<Line> {
    let mut lines = vec![
        (0, "invoke", "write", "k1", "1"),
        (0, "ok", "write", "k1", "1"),
        (0, "invoke", "write", "k1", "2"),
        (3, "invoke", "write", "k1", "7"),
        (0, "ok", "write", "k1", "2"),
        (3, "info", "write", "k1", "7"),
    ];
    for _ in 0..20 {
        lines.extend([(1, "invoke", "read", "k1", "null"), (1, "ok", "read", "k1", "2")]);
    }
    lines.extend([
        (2, "invoke", "read", "k1", "null"),
        (2, "ok", "read", "k1", "1"),
        (2, "invoke", "read", "k2", "null"),
        (2, "ok", "read", "k2", "55"),
    ]);
    lines
}

/// The lines as JSON, `time` giving the time of each by its index.
fn json(lines: &[Line], time: Option<fn(usize) -> usize>) -> String {
    let line = |(index, (process, kind, function, key, value)): (usize, &Line)| {
        let time = time.map_or(String::new(), |time| format!(r#""time":{},"#, time(index)));
        format!(
            r#"{{"index":{index},{time}"process":{process},"type":"{kind}","f":"{function}","key":"{key}","value":{value}}}"#
        ) + "\n"
    };
    lines.iter().enumerate().map(line).collect()
}

const JEPSEN_LOG: &str = "INFO  jepsen.util - 0\t:invoke\t:write\t4\n\
    INFO  jepsen.util - 0\t:ok\t:write\t4\n\
    INFO  jepsen.util - 1\t:invoke\t:write\t5\n\
    INFO  jepsen.util - 1\t:ok\t:write\t5\n\
    INFO  jepsen.util - 2\t:invoke\t:read\tnil\n\
    INFO  jepsen.util - 2\t:ok\t:read\t4\n";

const EDN_LOCK: &str = "{:process 0, :type :invoke, :f :acquire, :value nil}\n\
    {:process 0, :type :ok, :f :acquire, :value nil}\n\
    {:process 1, :type :invoke, :f :acquire, :value nil}\n\
    {:process 1, :type :ok, :f :acquire, :value nil}\n\
    {:process 1, :type :invoke, :f :release, :value nil}\n\
    {:process 1, :type :ok, :f :release, :value nil}\n";

/// The page of a history that holds a violation, without its style sheet.
fn page_of(name: &str, text: &str, model: ModelKind) -> String {
    let history = read(name, text.as_bytes(), &ReadOptions::default()).expect("a history").history;
    let options = Options::of(model);
    let (analysis, _) = check(&history, &options, &|| false);
    assert_eq!(analysis.verdict, Verdict::Violation, "{name}");
    let page = page(vec![CheckedHistory {
        file: name.to_owned(),
        model: model.name().to_owned(),
        read_as: Vec::new(),
        history,
        analysis,
        faults: Vec::new(),
        certificate: None,
    }]);
    let (head, rest) = page.split_once("<style>").expect("a style sheet");
    let (_, body) = rest.split_once("</style>").expect("its end");
    format!("{head}{body}")
}

/// Every time or length of time in `text`: a digit, the unit after it, and the end of the word.
fn times(text: &str) -> Vec<&str> {
    let is_time = |&(at, _): &(usize, char)| {
        let rest = &text[at + 1..];
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        ["ms", "µs", "us", "ns", "s", "min", "h"].iter().any(|unit| {
            let after = rest.strip_prefix(unit).map(|after| after.chars().next());
            after.is_some_and(|next| next.is_none_or(|next| !next.is_alphanumeric()))
        })
    };
    let digits = text.char_indices().filter(|(_, character)| character.is_ascii_digit());
    digits.filter(is_time).map(|(at, _)| text[at..].lines().next().unwrap_or_default()).collect()
}

fn assert_counts_events(page: &str) {
    assert_eq!(times(page), Vec::<&str>::new());
    assert!(!has_took(page), "how long operations took");
    for unwanted in ["millisecond", "Operations per second"] {
        assert!(!page.contains(unwanted), "{unwanted}");
    }
    assert!(page.contains("This history carries no clock times"), "the note");
    assert!(page.contains(r#"<td class="n">event "#), "the table");
    assert!(page.contains("came back event "), "the hover text");
    assert!(page.contains(">event "), "a tick");
}

/// Whether the page says anywhere how long an operation took; the note says that nobody knows.
fn has_took(page: &str) -> bool {
    page.contains(">took<") || page.contains(", took ")
}

#[test]
fn times_are_found_wherever_they_end() {
    let text = "a 1 ms, b 0.001000 s</td><td>3µs and +2 s";
    assert_eq!(times(text).len(), 4);
    assert_eq!(times("12 events, 3 same, r1s2, event 5"), Vec::<&str>::new());
}

#[test]
fn a_register_without_times_is_drawn_and_told_in_events() {
    let page = page_of("a.jsonl", &json(&register(), None), ModelKind::Register);
    assert_counts_events(&page);
    for wanted in [
        "event 46, 42 events after",
        ">42 events later<",
        "came back 42 events before",
        "never came back, line 4",
        "invoked event 46, came back event 47",
        "All operations on this key",
        "Value from nowhere, 1 key",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn a_log_without_times_is_drawn_and_told_in_events() {
    assert_counts_events(&page_of("a.log", JEPSEN_LOG, ModelKind::Register));
}

#[test]
fn a_lock_without_times_is_drawn_and_told_in_events() {
    assert_counts_events(&page_of("a.edn", EDN_LOCK, ModelKind::Lock));
}

#[test]
fn a_history_with_times_is_drawn_and_told_in_times() {
    let time: fn(usize) -> usize = |index| index * 1_000_000;
    let page = page_of("a.jsonl", &json(&register(), Some(time)), ModelKind::Register);
    assert!(has_took(&page), "how long operations took");
    assert!(!page.contains("event 4"), "an event's number");
    for wanted in [
        "Stale by 42 ms",
        ">42 ms later<",
        "came back 42 ms before",
        r#"<td class="n">0.046000 s</td>"#,
        "invoked 0.046000 s, came back 0.047000 s",
        "Operations per second",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert!(times(&page).len() > 50, "times");
}
