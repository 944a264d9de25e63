//! That the quick way and `serde_json` say the same of every line.

use proptest::prelude::*;

use super::super::tests::event;
use super::*;
use crate::event::Event;
use crate::formats::jsonl::{read_events, write_event};

/// What the quick way makes of a line, if anything, has to be what `serde_json` makes of it.
fn compare(line: &[u8]) -> bool {
    let mut recent = Recent::default();
    let Some((found, length)) = record(line, &mut recent) else { return false };
    let end = line.iter().position(|&byte| byte == b'\n').expect("a whole line");
    assert_eq!(length, end + 1, "{}", String::from_utf8_lossy(line));
    let expected: Event = serde_json::from_slice(&line[..length])
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)));
    assert_eq!(Event::from(found), expected);
    // Equal values must have one form, or they are not found equal while still in the file.
    assert_eq!(found, Record::from(&expected));
    true
}

fn written(event: &Event) -> Vec<u8> {
    let mut line = Vec::new();
    write_event(&mut line, event).unwrap();
    line
}

/// A text that is likely to have a meaning where it is put.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let common = prop::sample::select(vec![
        "\"",
        "\\",
        "\\u0041",
        "\\\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        " ",
        "\t",
        "\n",
        "\r\n",
        "0",
        "00",
        "-",
        "-0",
        "1.0",
        "1e3",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "999999999999999999",
        "null",
        "true",
        "false",
        "[1,2]",
        "[null,3]",
        "[]",
        "[[\"r\",1,[2,3]],[\"append\",1,4]]",
        "[[[[[[[[[[]]]]]]]]]]",
        "\"key\":",
        "\"index\":0,",
        "\"swapped\":null,",
        "\"saw\":null,",
        "\"node\":\"n1\",",
        "é",
        "\u{7f}",
        "\u{0}",
        "ok",
        "info",
    ]);
    prop_oneof![
        4 => common.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn both_ways_read_what_is_written(event in event()) {
        compare(&written(&event));
    }

    #[test]
    fn both_ways_read_what_is_changed(
        event in event(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, piece()), 1..4),
    ) {
        let mut line = written(&event);
        for (place, length, piece) in changes {
            let start = place.index(line.len());
            let end = (start + length).min(line.len());
            line.splice(start..end, piece);
        }
        compare(&line);
        // Through the reader, which may take either way, the results are those of the slow one.
        let mut expected: Vec<Result<Event, ()>> = Vec::new();
        for line in line.split_inclusive(|&byte| byte == b'\n') {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let event = serde_json::from_slice(line).map_err(|_| ());
            let failed = event.is_err();
            expected.push(event);
            if failed {
                break;
            }
        }
        let found = read_events("h.jsonl", line.as_slice()).map(|event| event.map_err(|_| ()));
        prop_assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn lines_of_our_own_are_read_the_quick_way() {
    let lines = [
        r#"{"index":0,"time":1,"process":2,"type":"invoke","f":"read","key":"k","value":null}"#,
        r#"{"index":0,"time":1,"process":2,"type":"ok","f":"cas","key":null,"value":[null,-3],"swapped":false,"saw":"é"}"#,
        r#"{"index":0,"time":1,"process":2,"type":"fail","f":"enqueue","key":7,"value":true,"node":"n1","error":"no"}"#,
        r#"{"index":999999999999999999,"time":1,"process":4294967295,"type":"info","f":"txn","key":null,"value":null}"#,
        r#"{"index":0,"time":1,"process":2,"type":"invoke","f":"txn","key":null,"value":[["append",6,1],["r","k",null]]}"#,
        r#"{"index":0,"time":1,"process":2,"type":"ok","f":"txn","key":null,"value":[["append",6,1],["r","k",[1,2,3]],["r","k",[]]]}"#,
        r#"{"index":0,"time":1,"process":2,"type":"ok","f":"read","key":null,"value":[[1,2]]}"#,
        r#"{"index":0,"time":1,"process":2,"type":"ok","f":"read","key":null,"value":[]}"#,
    ];
    for line in lines {
        assert!(compare(format!("{line}\n").as_bytes()), "{line}");
        assert!(
            record(line.as_bytes(), &mut Recent::default()).is_none(),
            "without its end, the line may be longer"
        );
    }
}

#[test]
fn other_lines_are_left_to_the_other_way() {
    let line = r#"{"index":0,"time":1,"process":2,"type":"ok","f":"write","key":"k","value":17}"#;
    for (part, other) in [
        ("17", "-0"),
        ("17", "017"),
        ("17", "1.5"),
        ("17", "1e5"),
        ("17", "12345678901234567890"),
        ("\"k\"", "\"\\u006b\""),
        ("\"k\"", "[1]"),
        ("17", "[1,]"),
        ("17", "[,1]"),
        ("17", "[1,2 ]"),
        ("17", "[1,2,3"),
        ("17", "[[\"\\n\"]]"),
        ("17", "[1,2,1.5]"),
        ("2,", "4294967296,"),
        ("write", "wrote"),
        (":1,", ": 1,"),
        (",\"value\":17", ""),
        (",\"key\":\"k\"", ""),
    ] {
        let line = format!("{}\n", line.replace(part, other));
        assert!(record(line.as_bytes(), &mut Recent::default()).is_none(), "{line}");
    }
}

#[test]
fn equal_lists_are_held_once_and_others_are_not_mixed_up() {
    let mut recent = Recent::default();
    let mut read = |value: &str| {
        let line = format!(
            "{{\"index\":0,\"time\":1,\"process\":2,\"type\":\"ok\",\"f\":\"txn\",\"key\":null,\"value\":{value}}}\n"
        );
        let (record, _) = record(line.as_bytes(), &mut recent).expect("the quick way");
        record.value.to_value()
    };
    let places = |value: &crate::Value| match value {
        crate::Value::List(items) => items
            .iter()
            .map(|item| match item {
                crate::Value::List(inner) => inner.as_ptr(),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let (one, other) = (read(r#"[["r",1,null],["append",2,7]]"#), read(r#"[["append",2,7]]"#));
    assert_eq!(places(&one)[1], places(&other)[0]);
    for number in 0..20_000_i64 {
        let value = read(&format!(r#"[["r",{number},[{number},"t{number}"]]]"#));
        let inner = crate::Value::list([number.into(), format!("t{number}").as_str().into()]);
        let micro = crate::Value::list(["r".into(), number.into(), inner]);
        assert_eq!(value, crate::Value::list([micro]));
    }
}
