//! Histories that tell levels apart, and what is said of them.

use partita_checker::formats::{ReadOptions, read};
use partita_checker::levels::Staleness;
use partita_checker::{
    Analysis, Anomaly, History, Level, ModelKind, Options, Verdict, check_level,
};

/// The history in which each process does what stands in its lane, one operation after the other:
/// `p0 w x 1`, `p1 r x 1`, `p2 r x -` for nothing, `p0 a x 1` and `p1 r x [1,2]` for lists.
fn history(steps: &str) -> History {
    let mut lines = String::new();
    for (number, step) in steps.lines().map(str::trim).filter(|it| !it.is_empty()).enumerate() {
        let words: Vec<&str> = step.split_whitespace().collect();
        let [process, what, key, value, ..] = words[..] else { panic!("{step}") };
        let value = if value == "-" { "null" } else { value };
        let (function, asked) = match what {
            "w" => ("write", value),
            "a" => ("append", value),
            _ => ("read", "null"),
        };
        let level = words.get(4).map_or(String::new(), |it| format!(",\"level\":\"{it}\""));
        let process = &process[1..];
        for (half, kind, value) in [(0, "invoke", asked), (1, "ok", value)] {
            let index = number * 2 + half;
            let time = index * 1_000_000 + 5;
            lines += &format!(
                r#"{{"index":{index},"time":{time},"process":{process},"type":"{kind}","f":"{function}","key":"{key}","value":{value}{level}}}"#
            );
            lines.push('\n');
        }
    }
    read("steps", lines.as_bytes(), &ReadOptions::default()).expect("a history").history
}

fn check(history: &History, level: Level) -> Analysis {
    let model = ModelKind::told_by(history).expect("a model");
    check_level(history, &Options::of(model), level, &|| false).0
}

/// Checks every level, and that exactly these are broken.
fn broken(steps: &str, expected: &[Level]) {
    let history = history(steps);
    for level in Level::ALL {
        let analysis = check(&history, level);
        let is_expected = expected.contains(&level);
        let verdict = if is_expected { Verdict::Violation } else { Verdict::Valid };
        assert_eq!(analysis.verdict, verdict, "{level}: {:?}\n{steps}", analysis.reasons);
    }
}

fn sentence(steps: &str, level: Level) -> (Anomaly, String) {
    let analysis = check(&history(steps), level);
    let found = analysis.counterexample.expect("a violation");
    (found.anomaly, found.sentence)
}

use Level::{
    Linearizable, MonotonicReads, MonotonicWrites, ReadYourWrites, Sequential, Session,
    WritesFollowReads,
};

const STALE: Level = Level::Stale(Staleness::Any);

#[test]
fn late_reads_in_order_are_sequential() {
    broken("p0 w x 1\n p0 w x 2\n p1 r x 1\n p1 r x 2", &[Linearizable]);
}

#[test]
fn reads_that_go_back_break_monotonic_reads() {
    let steps = "p0 w x 1\n p0 w x 2\n p1 r x 2\n p1 r x 1";
    broken(steps, &[Linearizable, Sequential, Session]);
    // With two readers, the writer's own order plays no part.
    let steps = "p0 w x 1\n p1 w x 2\n p2 r x 1\n p2 r x 2\n p3 r x 2\n p3 r x 1";
    broken(steps, &[Linearizable, Sequential, Session, MonotonicReads]);
    let (anomaly, sentence) = sentence(steps, MonotonicReads);
    assert_eq!(anomaly, Anomaly::NonMonotonicRead);
    assert!(sentence.contains("the other way round"), "{sentence}");
}

#[test]
fn own_write_that_is_not_seen_breaks_read_your_writes() {
    let steps = "p0 w x 1\n p0 r x -";
    broken(steps, &[Linearizable, Sequential, Session, ReadYourWrites]);
    let (anomaly, sentence) = sentence(steps, ReadYourWrites);
    assert_eq!(anomaly, Anomaly::OwnWriteMissed);
    assert_eq!(
        sentence,
        "Process 0 wrote 1 to key x at 0.001 s and then read nothing at 0.003 s, which does not show \
         its own write."
    );
}

#[test]
fn a_write_without_the_one_before_breaks_monotonic_writes() {
    let steps = "p0 w x 1\n p0 w y 2\n p1 r y 2\n p1 r x -";
    broken(steps, &[Linearizable, Sequential, Session, MonotonicWrites]);
    assert_eq!(sentence(steps, MonotonicWrites).0, Anomaly::NonMonotonicWrite);
}

#[test]
fn an_answer_without_its_question_breaks_writes_follow_reads() {
    let steps = "p0 w x 1\n p1 r x 1\n p1 w y 2\n p2 r y 2\n p2 r x -";
    broken(steps, &[Linearizable, Sequential, Session, WritesFollowReads]);
    assert_eq!(sentence(steps, WritesFollowReads).0, Anomaly::WriteBeforeItsRead);
}

#[test]
fn store_buffering_is_causal_and_not_sequential() {
    let steps = "p0 w x 1\n p1 w y 1\n p0 r y -\n p1 r x -";
    broken(steps, &[Linearizable, Sequential]);
}

#[test]
fn independent_readers_that_disagree_are_not_causal_under_one_order() {
    let steps = "p0 w x 1\n p1 w x 2\n p2 r x 1\n p2 r x 2\n p3 r x 2\n p3 r x 1\n p3 r x 2";
    assert_eq!(check(&history(steps), Session).verdict, Verdict::Violation);
}

#[test]
fn a_value_that_nobody_wrote_breaks_every_level() {
    broken("p0 w x 1\n p1 r x 9", &Level::ALL);
    for level in Level::ALL.into_iter().skip(1) {
        assert_eq!(sentence("p0 w x 1\n p1 r x 9", level).0, Anomaly::ValueFromNowhere);
    }
}

#[test]
fn a_bound_in_time_counts_from_the_invocation() {
    let steps = "p0 w x 1\n p0 w x 2\n p0 w y 1\n p1 r x 1";
    let stale = |bound| format!("stale:{bound}").parse().expect("a level");
    let history = history(steps);
    assert_eq!(check(&history, stale("2ms")).verdict, Verdict::Violation);
    assert_eq!(check(&history, stale("3ms")).verdict, Verdict::Valid);
    assert_eq!(check(&history, stale("0-versions")).verdict, Verdict::Violation);
    assert_eq!(check(&history, stale("1-version")).verdict, Verdict::Valid);
    let (anomaly, sentence) = sentence(steps, stale("2ms"));
    assert_eq!(anomaly, Anomaly::TooStale);
    assert_eq!(
        sentence,
        "Process 1 read 1 from key x at 0.006 s, 3 ms after the write of 2 by process 0 had completed \
         and replaced it; at most 2ms are promised."
    );
}

#[test]
fn marks_free_only_what_is_marked() {
    let strict = "p0 w x 1\n p0 w x 2\n p1 r x 1 stale\n p2 r x 2";
    assert_eq!(check(&history(strict), Linearizable).verdict, Verdict::Valid);
    for steps in [
        "p0 w x 1\n p0 w x 2\n p1 r x 2 stale\n p2 r x 1",
        "p0 w x 1\n p0 w x 2\n p1 r x 2 monotonic-reads\n p1 r x 1 monotonic-reads",
        "p0 w x 1\n p0 w x 2\n p0 r x 1 read-your-writes",
        "p0 w x 1\n p0 w x 2\n p1 r x 9 stale",
    ] {
        assert_eq!(check(&history(steps), Linearizable).verdict, Verdict::Violation, "{steps}");
    }
}

#[test]
fn marks_that_are_about_whole_histories_are_refused() {
    let analysis = check(&history("p0 w x 1\n p1 r x 1 sequential"), Linearizable);
    assert_eq!(analysis.verdict, Verdict::Unknown);
    assert!(analysis.reasons[0].contains("whole history"), "{:?}", analysis.reasons);
}

#[test]
fn lists_tell_the_order_of_their_appends() {
    broken("p0 a x 1\n p1 a x 2\n p2 r x [1]\n p2 r x [1,2]", &[Linearizable]);
    broken("p0 a x 1\n p1 a x 2\n p2 r x [1,2]\n p3 r x [2,1]", &Level::ALL);
    broken(
        "p0 a x 1\n p0 a x 2\n p1 r x [2]",
        &[Linearizable, Sequential, Session, MonotonicWrites, ReadYourWrites, STALE],
    );
}
