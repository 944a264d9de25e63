//! That a format is known by its beginning, and every name by its format.

use super::*;

#[test]
fn format_is_told_by_the_content() {
    for (head, format) in [
        // A file without a word is a history without an operation.
        ("", Format::JsonLines),
        (" \n", Format::JsonLines),
        ("{\"index\":0}", Format::JsonLines),
        ("\n { \"time\" : 1}", Format::JsonLines),
        ("{:process 0, :type :invoke}", Format::Edn),
        ("; a comment\n({:type :ok})", Format::Edn),
        ("[#jepsen.history.Op{:type :ok}]", Format::Edn),
        ("{:type :ok :f :append :key \"0\" :value \"x\"}", Format::Edn),
        ("{:type :ok, :f :put, :key \"0\", :value \"x\"}", Format::PorcupineKv),
        (
            "INFO  jepsen.core - hello\nINFO  jepsen.util - 0\t:invoke\t:read\tnil\n",
            Format::JepsenLog,
        ),
        ("[2024] jepsen.util 0\t:invoke\t:read\tnil\n", Format::JepsenLog),
        ("# stack\npush 1 1 2\n", Format::Fastlin),
        ("#queue", Format::Fastlin),
    ] {
        assert_eq!(detect(head.as_bytes()), Some(format), "{head}");
    }
    for head in ["{", "{}", "[1 2]", "# deque", "INFO  jepsen.core - 0", "\u{feff}{"] {
        assert_eq!(detect(head.as_bytes()), None, "{head}");
    }
}

#[test]
fn unknown_format_is_answered_with_the_known_ones() {
    let error = read("h", &b"index,time\n"[..], &ReadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "h:1: expected a history in one of these formats: jsonl, edn, jepsen-log, porcupine-kv, \
         fastlin; name the format if it is one of them"
    );
}

#[test]
fn names_lead_back_to_their_formats() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    assert_eq!(Format::from_name("csv"), None);
}

#[test]
fn history_is_the_same_with_the_format_named_and_detected() {
    let plan = crate::generate::Plan { operations: 2_000, ..Default::default() };
    let events: Vec<_> = plan.events().collect();
    let mut lines = Vec::new();
    jsonl::write_events(&mut lines, &events).unwrap();
    assert!(lines.len() as u64 > HEAD, "the head must be put before the rest");
    let detected = read("h", lines.as_slice(), &ReadOptions::default()).unwrap().history;
    assert!(detected.events().eq(events));
}

#[test]
fn failed_compare_and_sets_of_json_lines_may_be_answers() {
    let lines = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"cas\",\"value\":[1,2]}\n\
                 {\"index\":1,\"time\":0,\"process\":0,\"type\":\"fail\",\"f\":\"cas\"}\n";
    let options = ReadOptions { failed_cas: Some(FailedCas::Mismatch), ..Default::default() };
    assert!(read("h", lines.as_bytes(), &options).unwrap().history.operations[0].is_ok());
    assert!(
        read("h", lines.as_bytes(), &Default::default()).unwrap().history.operations[0].is_failed()
    );
}
