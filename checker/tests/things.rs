//! Objects beyond registers: what their operations may answer.

use partita_checker::formats::{ReadOptions, read};
use partita_checker::objects::{Lease, ObjectKind, ObjectOptions, check, verify, with_expiries};
use partita_checker::{Nanoseconds, Options, Value, Verdict};

/// The verdict on `process function argument answer` lines, one operation after the other; an answer
/// of `?` is an unknown outcome.
fn verdict(kind: ObjectKind, initial: Value, steps: &str) -> (Verdict, String) {
    let mut lines = String::new();
    for (number, step) in steps.lines().map(str::trim).filter(|it| !it.is_empty()).enumerate() {
        let words: Vec<&str> = step.split_whitespace().collect();
        let [process, function, argument, answer] = words[..] else { panic!("{step}") };
        let completion = if answer == "?" { "info" } else { "ok" };
        let answer = if answer == "?" { "null" } else { answer };
        for (half, kind, value) in [(0, "invoke", argument), (1, completion, answer)] {
            let index = number * 2 + half;
            lines += &format!(
                r#"{{"index":{index},"time":{index},"process":{process},"type":"{kind}","f":"{function}","key":"k","value":{value}}}"#
            );
            lines.push('\n');
        }
    }
    let history =
        read("steps", lines.as_bytes(), &ReadOptions::default()).expect("a history").history;
    let options = ObjectOptions { kind, initial, memory: 64 << 20 };
    let (analysis, certificate) = check(&history, &options, &|| false);
    if let Some(certificate) = certificate {
        assert_eq!(verify(&history, &certificate, &options, &|| false), Ok(()));
    }
    let sentence = analysis.counterexample.map(|found| found.sentence);
    (analysis.verdict, sentence.unwrap_or_else(|| analysis.reasons.concat()))
}

fn agree(kind: ObjectKind, initial: &Value, cases: &[(&str, Verdict)]) {
    for (steps, expected) in cases {
        let (found, sentence) = verdict(kind, initial.clone(), steps);
        assert_eq!(found, *expected, "{kind}: {sentence}\n{steps}");
        assert_eq!(sentence.is_empty(), found == Verdict::Valid);
    }
}

use Verdict::{Valid, Violation};

#[test]
fn ids_are_given_out_once() {
    agree(
        ObjectKind::Ids,
        &Value::Null,
        &[
            ("0 next null 7\n 1 next null 3\n 1 next null \"x\"", Valid),
            ("0 next null 7\n 1 next null ?\n 2 next null 8\n 3 next null 7", Violation),
        ],
    );
}

#[test]
fn timestamps_rise() {
    agree(
        ObjectKind::Timestamps,
        &Value::Null,
        &[
            ("0 next null 7\n 1 next null ?\n 2 next null 9", Valid),
            ("0 next null 7\n 1 next null 7", Violation),
            ("0 next null 100\n 1 next null 99", Violation),
        ],
    );
    let (_, sentence) =
        verdict(ObjectKind::Timestamps, Value::Null, "0 next null 100\n 1 next null 99");
    assert!(sentence.starts_with("Process 1 got 99 from key k"), "{sentence}");
}

#[test]
fn reentrant_lock_counts() {
    let taken_twice = "0 acquire null null\n 0 acquire null null\n 0 release null null\n";
    let again = [taken_twice, "0 release null null\n 2 acquire null null"].concat();
    let early = [taken_twice, "2 acquire null null"].concat();
    let other = "0 acquire null null\n 1 release null null";
    agree(
        ObjectKind::ReentrantLock,
        &Value::Null,
        &[(&again, Valid), (&early, Violation), (other, Violation)],
    );
}

#[test]
fn fencing_tokens_rise() {
    let held = "0 acquire null 3\n 0 release null null\n 1 acquire null ";
    agree(
        ObjectKind::FencedLock,
        &Value::Null,
        &[
            (&[held, "4"].concat(), Valid),
            (&[held, "3"].concat(), Violation),
            (&[held, "2"].concat(), Violation),
            (&[held, "?\n 2 acquire null 5"].concat(), Valid),
            ("0 acquire null 3\n 1 acquire null 4", Violation),
        ],
    );
}

#[test]
fn semaphore_has_so_many_permits() {
    let two = "0 acquire 1 1\n 1 acquire 1 1\n";
    let three = [two, "2 acquire 1 1"].concat();
    let again = [two, "0 release 1 1\n 2 acquire 1 1"].concat();
    let all = Value::Integer(2);
    agree(ObjectKind::Semaphore, &all, &[(two, Valid), (&three, Violation), (&again, Valid)]);
    agree(ObjectKind::Semaphore, &Value::Integer(1), &[(two, Violation)]);
    agree(
        ObjectKind::Semaphore,
        &all,
        &[("0 release 1 1", Violation), ("0 acquire 3 3", Violation)],
    );
}

#[test]
fn log_keeps_records_at_their_offsets() {
    let two = "0 append 5 0\n 1 append 6 1\n";
    agree(
        ObjectKind::Log,
        &Value::Null,
        &[
            (&[two, "2 poll null [[0,5],[1,6]]\n 2 read null [5,6]"].concat(), Valid),
            (&[two, "2 poll null [[1,5]]"].concat(), Violation),
            (&[two, "2 read null [5]"].concat(), Violation),
            ("0 append 5 0\n 1 append 6 0", Violation),
            ("0 append 5 ?\n 1 append 6 1", Valid),
            ("0 append 5 ?\n 1 append 6 2", Violation),
        ],
    );
}

#[test]
fn queue_is_drained_and_read() {
    let put = "0 enqueue 1 1\n 0 enqueue 2 2\n";
    let cases = [
        ([put, "1 drain null [1,2]\n 1 dequeue null null"].concat(), Valid, Valid),
        ([put, "1 drain null [2,1]"].concat(), Violation, Valid),
        ([put, "1 dequeue null 2"].concat(), Violation, Valid),
        ([put, "1 read null [1,2]\n 1 dequeue null 1\n 1 read null [2]"].concat(), Valid, Valid),
        ([put, "1 dequeue null 1\n 1 read null [1,2]"].concat(), Violation, Violation),
        ([put, "1 drain null [1]"].concat(), Violation, Violation),
    ];
    for (steps, queue, bag) in &cases {
        agree(ObjectKind::DrainedQueue, &Value::Null, &[(steps, *queue)]);
        agree(ObjectKind::Bag, &Value::Null, &[(steps, *bag)]);
    }
}

#[test]
fn versions_rise_with_changes() {
    let map = |value: &str, version: u32| format!("{{\"value\":{value},\"version\":{version}}}");
    let put = |process: u32, value: &str, version: u32| {
        let asked = map(value, version);
        format!("{process} write {asked} {asked}\n")
    };
    let read = |value: &str, version: u32| format!("3 read null {}", map(value, version));
    let two = put(0, "1", 0) + &put(1, "2", 1);
    agree(
        ObjectKind::VersionedRegister,
        &Value::Null,
        &[
            (&(two.clone() + &read("2", 2)), Valid),
            (&(two.clone() + &put(2, "3", 1)), Violation),
            (&(two.clone() + &read("1", 2)), Violation),
            (&(two.clone() + &read("2", 1)), Violation),
            (&(two + "4 write 5 ?\n" + &read("5", 9)), Valid),
        ],
    );
}

#[test]
fn watch_sees_every_change_in_order() {
    let three = "0 write 1 1\n 0 write 2 2\n 0 write 3 3\n";
    for (seen, expected) in [
        ("[1,2,3]", Valid),
        ("[2,3]", Valid),
        ("[1,2]", Valid),
        ("[]", Valid),
        ("[1,3]", Violation),
        ("[2,1]", Violation),
        ("[1,1]", Violation),
        ("[1,2,3,4]", Violation),
    ] {
        let steps = format!("{three} 1 watch null {seen}");
        agree(ObjectKind::WatchedRegister, &Value::Null, &[(&steps, expected)]);
    }
    let early = "0 write 1 1\n 1 watch null [1,2]\n 0 write 2 2";
    agree(ObjectKind::WatchedRegister, &Value::Null, &[(early, Violation)]);
}

#[test]
fn keys_vanish_after_their_lease_and_not_before() {
    let history = |read_at: u64, value: &str| {
        let second = 1_000_000_000;
        let lines = [
            (0, 0, "invoke", "write", "1"),
            (1_000, 0, "ok", "write", "1"),
            (read_at * second, 1, "invoke", "read", "null"),
            (read_at * second + 1, 1, "ok", "read", value),
        ];
        let line = |(index, (time, process, kind, function, value)): (
            usize,
            &(u64, u32, &str, &str, &str),
        )| {
            format!(
                "{{\"index\":{index},\"time\":{time},\"process\":{process},\"type\":\"{kind}\",\
                 \"f\":\"{function}\",\"key\":\"k\",\"value\":{value}}}\n"
            )
        };
        let lines: String = lines.iter().enumerate().map(line).collect();
        read("lease", lines.as_bytes(), &ReadOptions::default()).expect("a history").history
    };
    let verdict = |at, value, lease, drift| {
        let nanoseconds = |seconds: u64| Nanoseconds(seconds * 1_000_000_000);
        let lease = Lease { time: nanoseconds(lease), drift: nanoseconds(drift) };
        let leased = with_expiries(&history(at, value), lease);
        partita_checker::check(&leased.history, &Options::default(), &|| false).0.verdict
    };
    assert_eq!(verdict(6, "null", 5, 0), Valid);
    assert_eq!(verdict(6, "1", 5, 0), Valid);
    assert_eq!(verdict(6, "null", 7, 0), Violation);
    assert_eq!(verdict(6, "null", 7, 1), Valid);
}
