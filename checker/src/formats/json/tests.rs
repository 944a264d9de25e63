//! What JSON of other recorders is taken to mean, and what is refused.

use crate::formats::{DecidedBy, Format, ReadHistory, ReadOptions, Reading, Severity, read};
use crate::history::{History, Response};
use crate::{EventKind, Verdict, check};

fn whole(text: &str) -> ReadHistory {
    read("h", text.as_bytes(), &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(text: &str) -> String {
    read("h", text.as_bytes(), &ReadOptions::default()).unwrap_err().to_string()
}

fn verdict(history: &History) -> Verdict {
    check(history, &crate::Options::default(), &|| false).0.verdict
}

/// The notes as text, with how often each was made.
fn notes(reading: &Reading, severity: Severity) -> Vec<(&str, u64)> {
    let notes = reading.notes.iter().filter(|note| note.severity == severity);
    notes.map(|note| (&*note.text, note.count)).collect()
}

const LINES: &str = r#"{"index":0,"time":10,"process":0,"type":"invoke","f":"write","key":"x","value":1}
{"index":1,"time":20,"process":0,"type":"ok","f":"write","key":"x","value":1}
{"index":2,"time":30,"process":1,"type":"invoke","f":"read","key":"x","value":null}
{"index":3,"time":40,"process":1,"type":"ok","f":"read","key":"x","value":1}
"#;

/// Lines with some parts changed.
fn lines(changes: &[(&str, &str)]) -> String {
    let change = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
    changes.iter().fold(LINES.to_owned(), change)
}

fn array() -> String {
    format!("[\n{}\n]\n", LINES.trim().replace("}\n", "},\n"))
}

#[test]
fn array_is_read_as_its_lines() {
    let expected: Vec<_> = whole(LINES).history.events().collect();
    let pretty = array().replace(',', ",\n    ").replace('{', "{\n    ");
    let one_line = array().replace('\n', " ");
    let objects = LINES.replace(",\"", ",\n  \"");
    for text in [array(), pretty, one_line, objects] {
        let ReadHistory { history, reading } = whole(&text);
        assert!(history.events().eq(expected.clone()), "{text}");
        assert_eq!((reading.notes, reading.cut), (Vec::new(), None));
    }
    assert!(whole("[]").history.operations.is_empty());
}

#[test]
fn array_has_one_form() {
    for (text, expected) in [
        (array().replace("},\n{\"index\":2", "}\n{\"index\":2"), "h:4:1: expected `,` or `]`"),
        (array().replace("\n]", ",\n]"), "h:6:1: expected another object after `,`"),
        (array().replace("[\n", "[,\n"), "expected an event as a JSON object"),
        (array() + "{}", "expected nothing after the array"),
        (array().replace("[\n", "[\n3,"), "expected an event as a JSON object, found `3,"),
        (LINES.replace("}\n", "},\n"), "h:1:82: expected an event as a JSON object, found `,`"),
    ] {
        let options = ReadOptions { format: Some(Format::JsonLines), ..ReadOptions::default() };
        let error = read("h", text.as_bytes(), &options).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn events_without_index_or_time_are_numbered_and_counted() {
    let no_index = lines(&[
        ("\"index\":0,", ""),
        ("\"index\":1,", ""),
        ("\"index\":2,", ""),
        ("\"index\":3,", ""),
    ]);
    let digits = |text: &str| {
        ["10", "20", "30", "40"]
            .iter()
            .fold(text.to_owned(), |text, time| text.replace(&format!("\"time\":{time},"), ""))
    };
    let first = "events without `index`, which were numbered";
    let second = "events without `time`, whose order is that of the file";
    for (text, expected) in [
        (no_index.clone(), vec![(first, 4)]),
        (digits(LINES), vec![(second, 4)]),
        (digits(&no_index), vec![(first, 4), (second, 4)]),
    ] {
        let ReadHistory { history, reading } = whole(&text);
        assert_eq!(notes(&reading, Severity::Information), expected);
        assert!(notes(&reading, Severity::Warning).is_empty());
        assert_eq!(verdict(&history), Verdict::Valid);
        assert_eq!(history.has_clock(), text.contains("\"time\""));
    }
    let mixed = whole(&lines(&[("\"time\":20,", "")]));
    assert!(notes(&mixed.reading, Severity::Warning)[0].0.contains("among others with it"));
}

#[test]
fn time_may_name_its_unit() {
    let times = |text: &str| -> Vec<u64> {
        whole(text).history.events().map(|event| event.time.0).collect()
    };
    assert_eq!(times(&lines(&[("\"time\"", "\"t_ns\"")])), [10, 20, 30, 40]);
    assert_eq!(times(&lines(&[("\"time\"", "\"timeUs\"")])), [10_000, 20_000, 30_000, 40_000]);
    let fraction = lines(&[("\"time\":10", "\"time\":9.5"), ("\"time\"", "\"ts-ms\"")]);
    assert_eq!(times(&fraction)[0], 9_500_000);
    let error = refusal(&lines(&[("\"time\":20", "\"time\":-20")]));
    assert!(error.contains("h:2:19: expected `time` to be an integer from 0"), "{error}");
}

#[test]
fn other_words_for_functions_and_types_are_understood() {
    let expected: Vec<_> = whole(LINES).history.events().collect();
    for (write, read, ok) in
        [("put", "get", "ok"), ("set", ":read", ":ok"), ("Write", "GET", "return")]
    {
        let text = lines(&[
            ("\"write\"", &format!("\"{write}\"")),
            ("\"read\"", &format!("\"{read}\"")),
            ("\"ok\"", &format!("\"{ok}\"")),
        ]);
        assert!(whole(&text).history.events().eq(expected.clone()), "{text}");
    }
}

#[test]
fn named_clients_get_numbers() {
    let named = lines(&[
        ("\"process\":0", "\"client\":\"alice\""),
        ("\"process\":1", "\"client\":\"bob\""),
    ]);
    let ReadHistory { history, reading } = whole(&named);
    assert!(history.events().eq(whole(LINES).history.events()));
    assert_eq!(reading.decisions[0].subject, "clients");
    let texts = lines(&[("\"process\":0", "\"process\":\"0\"")]);
    assert!(whole(&texts).history.events().eq(whole(LINES).history.events()));
    // A name after numbers, and numbers after a name, are nobody else.
    let processes = |text: &str| -> Vec<u32> {
        whole(text).history.operations.iter().map(|operation| operation.process.0).collect()
    };
    assert_eq!(processes(&lines(&[("\"process\":1", "\"process\":\"a\"")])), [0, 1 << 31]);
    let first = lines(&[
        ("\"process\":1", "\"process\":0"),
        (
            "\"process\":0,\"type\":\"invoke\",\"f\":\"write\"",
            "\"process\":\"a\",\"type\":\"invoke\",\"f\":\"write\"",
        ),
        (
            "\"process\":0,\"type\":\"ok\",\"f\":\"write\"",
            "\"process\":\"a\",\"type\":\"ok\",\"f\":\"write\"",
        ),
    ]);
    assert_eq!(processes(&first), [0, 1]);
}

#[test]
fn lines_of_nobody_are_skipped_and_counted() {
    let text = format!(
        "{}\n{}\n{LINES}{}\n",
        r#"{"level":"info","msg":"starting","value":1e999}"#,
        r#"{"process":"nemesis","type":"info","f":"partition","value":{"n1":["n2",1e400]}}"#,
        r#"{"process":":nemesis","type":7}"#
    );
    let ReadHistory { history, reading } = whole(&text);
    assert_eq!(history.operations.len(), 2);
    assert_eq!(
        notes(&reading, Severity::Information),
        [("events of the nemesis, which is no client", 2)]
    );
    assert_eq!(notes(&reading, Severity::Warning)[0].1, 1);
}

#[test]
fn fields_that_were_not_used_are_named_with_their_count() {
    let text = lines(&[(
        "\"f\":\"write\"",
        "\"f\":\"write\",\"revision\":4,\"colour\":\"red\",\"latency\":3",
    )]);
    let reading = whole(&text).reading;
    assert_eq!(
        notes(&reading, Severity::Warning),
        [
            ("fields `colour` are not known and were ignored", 2),
            ("fields `revision` were not checked: only values are", 2),
        ]
    );
}

#[test]
fn key_on_some_operations_only_is_a_warning() {
    let text = lines(&[("\"f\":\"read\",\"key\":\"x\"", "\"f\":\"read\"")]);
    let reading = whole(&text).reading;
    let found = notes(&reading, Severity::Warning);
    assert_eq!(found, [("operations without a key, among others that have one", 1)]);
    // That the completion leaves it out is no matter.
    let text = lines(&[(
        "\"type\":\"ok\",\"f\":\"write\",\"key\":\"x\"",
        "\"type\":\"ok\",\"f\":\"write\"",
    )]);
    let ReadHistory { history, reading } = whole(&text);
    assert!(history.events().eq(whole(LINES).history.events()));
    assert_eq!(notes(&reading, Severity::Information)[0].1, 1);
}

#[test]
fn what_nobody_can_have_meant_is_refused_with_its_place() {
    for (change, expected) in [
        (("\"read\"", "\"raed\""), "h:3:54: expected `f` to be one of read, write, cas"),
        (("\"read\"", "\"raed\""), "(perhaps read), found `\"raed\"`"),
        (("\"read\"", "3"), "to be one of read"),
        (("\"ok\"", "\"okay\""), "h:2:41: expected `type` to be invoke, ok, fail or info"),
        (("\"key\":\"x\"", "\"key\":\"x\",\"key\":\"y\""), "h:1:72: expected every field once"),
        (("\"value\":1", "\"vlaue\":1"), "h:1:72: expected a field `value`, found `vlaue`"),
        (("\"process\"", "\"proces\""), "h:1:22: expected a field `process`, found `proces`"),
        (("\"key\"", "\"keys\""), "expected a field `key`, found `keys`"),
        (
            ("\"read\",\"key\":\"x\",\"value\":1", "\"read\",\"key\":\"x\",\"val\":1"),
            "h:4:1: expected a field `value` in the ok of a read, found",
        ),
        (
            ("\"read\",\"key\":\"x\",\"value\":1", "\"read\",\"key\":\"x\",\"result\":1"),
            "a field `value`",
        ),
        (("\"value\":1", "\"argument\":1"), "a field `value` in the invocation of a write"),
        (("\"value\":1", "\"value\":{\"a\":1}"), "h:1:80: expected null, a boolean"),
        (
            ("\"value\":1", "\"value\":9223372036854775808"),
            "h:1:80: expected a number that a 64-bit",
        ),
        (("\"value\":1", "\"value\":[1,1e400]"), "h:1:83: expected a number that a 64-bit"),
        (("\"value\":1", "\"value\":NaN"), "h:1:80: expected null"),
        (("\"value\":1", "\"value\":01"), "h:1:81: expected a number without leading zeros"),
        (("\"value\":1", "\"value\":\"\\ud800\""), "surrogate"),
        (("\"value\":1", "\"value\":\"a\tb\""), "expected the end of a string"),
        (("\"process\":1", "\"process\":-1"), "h:3:32: expected `process` to be an integer"),
        (("\"process\":1", "\"process\":null"), "expected `process`"),
        (("\"process\":1,", ""), "h:3:1: expected a field `process`"),
        (("\"index\":1", "\"index\":1.5"), "expected `index` to be an integer from 0"),
        (("\"process\":1", "\"client\":1,\"worker\":2"), "expected one field that means `process`"),
        (
            ("\"x\",\"value\":1}", "\"x\",\"value\":1,\"swapped\":1}"),
            "`swapped` to be true or false",
        ),
    ] {
        let error = refusal(&lines(&[change]));
        assert!(error.contains(expected), "{change:?}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("\"value\":{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let error = refusal(&lines(&[("\"value\":1", &deep)]));
    assert!(error.contains("at most 64 lists and objects in each other"), "{error}");
}

#[test]
fn one_number_is_one_value_however_it_is_written() {
    for (written, read) in [("5", "5.0"), ("5e0", "5"), ("0", "-0"), ("0.1", "1e-1")] {
        let text = lines(&[
            (
                "\"f\":\"write\",\"key\":\"x\",\"value\":1",
                &format!("\"f\":\"write\",\"key\":\"x\",\"value\":{written}"),
            ),
            (
                "\"f\":\"read\",\"key\":\"x\",\"value\":1",
                &format!("\"f\":\"read\",\"key\":\"x\",\"value\":{read}"),
            ),
        ]);
        assert_eq!(verdict(&whole(&text).history), Verdict::Valid, "{written} {read}");
    }
}

#[test]
fn operands_of_a_compare_and_set_may_have_fields_of_their_own() {
    let text = lines(&[
        (
            "\"f\":\"read\",\"key\":\"x\",\"value\":null",
            "\"f\":\"compare_and_set\",\"key\":\"x\",\"old\":1,\"new\":2",
        ),
        (
            "\"f\":\"read\",\"key\":\"x\",\"value\":1",
            "\"f\":\"cas\",\"key\":\"x\",\"swapped\":true",
        ),
    ]);
    let history = whole(&text).history;
    assert_eq!(history.operations[1].response(), Some(Response::Swapped));
}

#[test]
fn cut_files_keep_what_is_whole() {
    let whole_events: Vec<_> = whole(LINES).history.events().collect();
    for (text, lines, events) in [
        (LINES[..LINES.len() - 10].to_owned(), 4, 3),
        (LINES[..LINES.len() - 10].to_owned() + "\n", 5, 3),
        (LINES.to_owned() + "{", 5, 4),
        (LINES.to_owned() + "\0\0\0", 5, 4),
        (LINES.to_owned() + "{\"index\":4,\"f\":\"é"[..18].trim_end(), 5, 4),
        (array().trim_end().trim_end_matches(']').to_owned(), 6, 4),
        (array().replace("\n]\n", ",\n"), 6, 4),
        (array().replace("\n]\n", ",\n{\"process\":\"ne"), 6, 4),
    ] {
        let ReadHistory { history, reading } = whole(&text);
        let cut = reading.cut.clone().unwrap_or_else(|| panic!("not cut: {text}"));
        assert_eq!((cut.line, cut.events), (lines, events), "{text}");
        assert!(history.events().eq(whole_events[..events as usize].to_vec()), "{text}");
        assert!(reading.withholds_valid().unwrap().contains(&format!("event {events}")));
    }
    assert_eq!(whole(LINES.trim_end()).reading.cut, None);
}

#[test]
fn damage_in_the_middle_is_an_error() {
    for (text, place) in [
        (lines(&[("\"x\",\"value\":1}\n{\"index\":2", "\"x\",\"va\n{\"index\":2")]), "h:2:71:"),
        (lines(&[(",\"value\":null}\n", "\n")]), "h:4:1:"),
        (lines(&[("{\"index\":2", "\0\0\0{\"index\":2")]), "h:3:1:"),
    ] {
        let error = refusal(&text);
        assert!(error.starts_with(place), "{error}");
    }
    let mut bytes = LINES.as_bytes().to_vec();
    bytes[100] = 0xff;
    let error = read("h", bytes.as_slice(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("h:2:19: expected UTF-8"), "{error}");
}

#[test]
fn surplus_zeros_and_blanks_cost_no_memory() {
    let text = format!("{LINES}{}", "\n".repeat(1_000));
    assert_eq!(whole(&text).reading.cut, None);
}

const INTERVALS: &str = r#"
{"ClientId":0,"Input":{"op":"put","key":"x","value":1},"Call":10,"Output":{},"Return":20}
{"ClientId":1,"Input":{"op":"get","key":"x"},"Call":30,"Output":{"value":1},"Return":40}
{"ClientId":0,"Input":{"op":"cas","key":"x","old":1,"new":2},"Call":35,"Output":true,"Return":50}
"#;

#[test]
fn operations_with_start_and_end_are_read_as_their_events() {
    let ReadHistory { history, reading } = whole(INTERVALS);
    assert!(reading.notes.is_empty());
    let found: Vec<_> = history
        .events()
        .map(|event| (event.time.0, event.process.0, event.kind, event.function.name()))
        .collect();
    use EventKind::{Invoke, Ok};
    let expected = [
        (10, 0, Invoke, "write"),
        (20, 0, Ok, "write"),
        (30, 1, Invoke, "read"),
        (35, 0, Invoke, "cas"),
        (40, 1, Ok, "read"),
        (50, 0, Ok, "cas"),
    ];
    assert_eq!(found, expected);
    assert_eq!(verdict(&history), Verdict::Valid);
    // In any order, in an array, with other names, and with fractions of a second.
    let mut reversed: Vec<&str> = INTERVALS.trim().lines().rev().collect();
    assert!(whole(&reversed.join("\n")).history.events().eq(history.events()));
    reversed.rotate_left(1);
    let array = format!("[{}]", reversed.join(","));
    assert!(whole(&array).history.events().eq(history.events()));
    let plain = r#"[{"process":0,"f":"write","key":"x","value":1,"start":1e-8,"end":2e-8},
        {"process":1,"type":"read","key":"x","output":1,"start":3e-8,"end":4e-8,"ok":true},
        {"process":0,"f":"cas","key":"x","value":[1,2],"swapped":true,"start":3.5e-8,"end":5e-8}]"#;
    assert!(whole(plain).history.events().eq(history.events()));
}

#[test]
fn operation_without_end_or_with_an_error_may_have_happened() {
    for (part, other) in [
        ("\"Output\":{},\"Return\":20", "\"Output\":null,\"Return\":null"),
        ("\"Output\":{},\"Return\":20", "\"Output\":{\"error\":\"timeout\"},\"Return\":20"),
        (",\"Output\":{},\"Return\":20", ""),
        ("\"Output\":{},\"Return\":20", "\"ok\":false,\"Return\":20"),
    ] {
        let ReadHistory { history, reading } = whole(&INTERVALS.replace(part, other));
        assert_eq!(history.counts().info, 1, "{other}");
        assert_eq!(notes(&reading, Severity::Information)[0].1, 1);
        // Its client goes on as somebody else.
        assert_ne!(history.operations[0].process, history.operations[2].process);
    }
    let failed = INTERVALS.replace("\"Output\":{},", "\"status\":\"fail\",");
    assert_eq!(whole(&failed).history.counts().fail, 1);
}

#[test]
fn operations_of_which_one_starts_when_another_ends_overlap() {
    // The read starts when the write ends, and did not see it.
    let text = INTERVALS.lines().take(3).collect::<Vec<_>>().join("\n");
    let stale = text.replace("\"value\":1},\"Return\":40", "\"value\":null},\"Return\":40");
    assert_eq!(verdict(&whole(&stale).history), Verdict::Violation);
    let ReadHistory { history, reading } = whole(&stale.replace("\"Call\":30", "\"Call\":20"));
    assert_eq!(verdict(&history), Verdict::Valid);
    assert_eq!(reading.decisions[0].subject, "order");
    assert_eq!(reading.decisions[0].by, DecidedBy::Format);
    // Nor is the order of one client's operations at one time claimed.
    let own =
        stale.replace("\"Call\":30", "\"Call\":20").replace("\"ClientId\":1", "\"ClientId\":0");
    assert_eq!(verdict(&whole(&own).history), Verdict::Valid);
}

#[test]
fn operations_that_do_not_say_enough_are_refused() {
    for (part, other, expected) in [
        ("\"Output\":{\"value\":1},", "", "a field `output`"),
        ("\"Output\":{\"value\":1}", "\"Output\":{\"val\":1}", "a field `value`"),
        ("\"Output\":true", "\"Output\":{}", "the output of a cas to be true or false"),
        ("\"Return\":20", "\"Return\":9", "h:2:87: expected `Return` not to be before the start"),
        ("\"op\":\"get\"", "\"op\":0", "expected `op` to be one of"),
        ("\"Call\":30", "\"Call\":\"30\"", "expected `Call` to be a number"),
        ("\"Input\":{\"op\":\"get\",\"key\":\"x\"}", "\"Input\":\"get x\"", "to be an object with"),
        ("\"Output\":{}", "\"Output\":false", "no output of a write, or one that is not false"),
        (
            "{\"ClientId\":1,",
            "{\"process\":1,\"type\":\"invoke\",\"f\":\"read\"}\n{\"ClientId\":1,",
            "as further up",
        ),
    ] {
        let error = refusal(&INTERVALS.replace(part, other));
        assert!(error.contains(expected), "{other}: {error}");
    }
}

#[test]
fn times_before_an_epoch_or_far_after_it_keep_their_order() {
    let text = INTERVALS.replace("\"Call\":10", "\"Call\":-1e18").replace(":50", ":1e18");
    let history = whole(&text).history;
    let times: Vec<u64> = history.events().map(|event| event.time.0).collect();
    assert_eq!(times[0], 0);
    assert!(times.is_sorted());
}

#[test]
fn logs_of_several_clients_are_sorted_by_time_if_asked() {
    let mut moved: Vec<&str> = LINES.lines().collect();
    moved.rotate_left(2);
    let text = moved.join("\n").replace(
        "\"type\":\"ok\",\"f\":\"write\",\"key\":\"x\"",
        "\"type\":\"ok\",\"f\":\"write\"",
    );
    let error = refusal(&text);
    assert!(error.starts_with("h:3: event 0:") && error.contains("--sort-by-time"), "{error}");
    let options = ReadOptions { sort_by_time: true, ..ReadOptions::default() };
    let ReadHistory { history, reading } = read("h", text.as_bytes(), &options).unwrap();
    assert!(history.events().eq(whole(LINES).history.events()));
    assert!(reading.decisions.iter().any(|decision| decision.subject == "order"));
}

#[test]
fn what_an_output_says_besides_is_counted() {
    let text = INTERVALS
        .replace("\"Output\":{}", "\"Output\":{\"revision\":3,\"value\":7}")
        .replace("{\"value\":1}", "{\"value\":1,\"revision\":3}");
    let reading = whole(&text).reading;
    let found = notes(&reading, Severity::Warning);
    assert_eq!(
        found[0].0,
        "outputs of operations that have nothing to answer, which were not checked"
    );
    assert_eq!(found[1], ("fields `revision` were not checked: only values are", 2));
}

#[test]
fn file_of_something_else_is_no_history() {
    for text in ["{\"history\":[]}\n", "\n{\"level\":\"info\"}\n{\"level\":\"warn\"}\n"] {
        let error = refusal(text);
        let line = 1 + u64::from(text.starts_with('\n'));
        assert!(
            error.starts_with(&format!("h:{line}: expected objects with `process`")),
            "{error}"
        );
    }
}

/// The events of these operations in turn, by one client.
fn turns(operations: &[(&str, &str, &str)]) -> String {
    let one = |(function, asked, answered): &(&str, &str, &str)| {
        format!(
            "{{\"process\":0,\"type\":\"invoke\",\"f\":\"{function}\",{asked}}}\n\
             {{\"process\":0,\"type\":\"ok\",\"f\":\"{function}\",{answered}}}\n"
        )
    };
    operations.iter().map(one).collect()
}

fn refusal_with(text: &str, options: &ReadOptions) -> String {
    crate::formats::read("h", text.as_bytes(), options).expect_err("a refusal").to_string()
}

#[test]
fn success_that_is_denied_is_no_success() {
    let swap = ("cas", "\"value\":[1,2]", "\"success\":false");
    let text = turns(&[("write", "\"value\":1", "\"ok\":true"), swap]);
    let read = crate::formats::read("h", text.as_bytes(), &ReadOptions::default()).unwrap();
    let event = read.history.events().last().unwrap();
    assert_eq!(event.swapped, Some(false));
    assert!(read.reading.warning().is_none());
    let text = turns(&[("write", "\"value\":1", "\"ok\":false")]);
    let told = refusal_with(&text, &ReadOptions::default());
    assert!(told.contains("`ok` to be true in the ok of a write"), "{told}");
}

#[test]
fn values_that_may_be_tuples_are_refused_whatever_asks_for_them() {
    for operations in [
        [
            ("enqueue", "\"value\":[1,5]", "\"value\":[1,5]"),
            ("dequeue", "\"value\":[1,null]", "\"value\":[1,5]"),
        ],
        [
            ("write", "\"value\":[[1,2],5]", "\"value\":[[1,2],5]"),
            ("read", "\"value\":[[1,2],null]", "\"value\":[[1,2],5]"),
        ],
        [
            ("write", "\"value\":[1,5]", "\"value\":[1,5]"),
            ("cas", "\"value\":[1,[5,6]]", "\"value\":[1,[5,6]]"),
        ],
        [
            ("write", "\"value\":[1,5]", "\"value\":[1,5]"),
            ("read", "\"value\":null", "\"value\":[2,null]"),
        ],
    ] {
        let told = refusal_with(&turns(&operations), &ReadOptions::default());
        assert!(told.contains("--independent=no"), "{told}");
    }
    let pairs = turns(&[("write", "\"value\":[1,5]", "\"value\":[1,5]")]);
    let read = crate::formats::read("h", pairs.as_bytes(), &ReadOptions::default()).unwrap();
    assert!(read.reading.warning().unwrap().text.contains("--independent"));
}

#[test]
fn transactions_of_two_keys_are_no_history_of_one_object() {
    let operation = |key| {
        let value = format!("\"key\":{key},\"value\":[[\"w\",\"x\",1]]");
        turns(&[("txn", &value, &value)])
    };
    let told = refusal_with(&(operation(1) + &operation(2)), &ReadOptions::default());
    assert!(told.starts_with("h:3: expected the key 1 of the transactions before"), "{told}");
}

#[test]
fn events_without_a_time_are_not_sorted_by_it() {
    let options = ReadOptions { sort_by_time: true, ..ReadOptions::default() };
    let told = refusal_with(&turns(&[("write", "\"value\":1", "\"value\":1")]), &options);
    assert!(told.contains("`time` in every event, since they are to be sorted"), "{told}");
}

#[test]
fn names_that_do_nothing_that_clients_do_are_skipped() {
    let stranger =
        "{\"process\":\"nemesis-1\",\"type\":\"info\",\"f\":\"partition\",\"value\":{}}\n";
    let text = stranger.to_owned() + &turns(&[("write", "\"value\":1", "\"value\":1")]);
    let read = crate::formats::read("h", text.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(read.history.operations.len(), 1);
    assert!(read.reading.notes[0].text.contains("`nemesis-1`"));
    let misspelt = text.replace("\"partition\"", "\"wirte\"");
    assert!(refusal_with(&misspelt, &ReadOptions::default()).contains("perhaps write"));
}

#[test]
fn after_an_object_read_the_other_way_lines_are_offered_again() {
    let mut items = super::syntax::Items::new("h", &b"{\n}\n{}\n"[..]);
    let offered = |text: &[u8], line: u64| Some((text.len(), (text.to_vec(), line)));
    assert_eq!(items.advance().unwrap(), super::syntax::Next::Item);
    assert_eq!(items.peek(offered).unwrap(), Some((b"{}\n".to_vec(), 3)));
    let mut items = super::syntax::Items::new("h", &b"{} {}\n"[..]);
    assert_eq!(items.advance().unwrap(), super::syntax::Next::Item);
    assert_eq!(items.peek(offered).unwrap(), None, "the rest of a line is none");
}
