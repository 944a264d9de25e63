//! Registers that no transaction connects are decided on one by one.

use std::fmt::Write;
use std::time::{Duration, Instant};

use partita_checker::formats::jsonl::read_history;
use partita_checker::{Analysis, ModelKind, Options, Verdict, check};

/// Transactions on registers, each by a process of its own.
#[derive(Default)]
struct Recorded {
    lines: String,
    events: u64,
    processes: u64,
}

impl Recorded {
    fn event(&mut self, process: u64, kind: &str, steps: &str) {
        let index = self.events;
        self.events += 1;
        let _ = writeln!(
            self.lines,
            r#"{{"index":{index},"time":{index},"process":{process},"type":"{kind}","f":"txn","value":[{steps}]}}"#
        );
    }

    fn begin(&mut self, steps: &str) -> u64 {
        self.processes += 1;
        self.event(self.processes, "invoke", steps);
        self.processes
    }

    fn done(&mut self, asked: &str, answered: &str) {
        let process = self.begin(asked);
        self.event(process, "ok", answered);
    }

    fn check(&self) -> Analysis {
        let history = read_history("test", self.lines.as_bytes()).expect("well-formed");
        let options = Options::of(ModelKind::MultiRegister);
        let deadline = Instant::now() + Duration::from_secs(60);
        let (analysis, certificate) = check(&history, &options, &|| Instant::now() > deadline);
        assert_eq!(certificate.is_some(), analysis.verdict == Verdict::Valid);
        analysis
    }
}

fn write(register: &str, value: usize) -> String {
    format!(r#"["w","{register}",{value}]"#)
}

fn read(register: &str, value: usize) -> String {
    format!(r#"["r","{register}",{value}]"#)
}

/// Many registers on which many writes are of unknown outcome, all of them open at once; of each
/// register one write is seen in the end, or a value that is `off` by so much.
fn much_unknown(off: usize) -> Recorded {
    let mut recorded = Recorded::default();
    for value in 0..6 {
        for register in 0..40 {
            recorded.begin(&write(&format!("r{register}"), 100 * register + value));
        }
    }
    for register in 0..40 {
        let name = format!("r{register}");
        let seen = if register == 20 { 2_003 + off } else { 100 * register + 3 };
        recorded.done(&format!(r#"["r","{name}",null]"#), &read(&name, seen));
    }
    recorded
}

#[test]
fn what_is_unknown_of_one_register_is_not_tried_with_all_that_is_unknown_of_others() {
    assert_eq!(much_unknown(0).check().verdict, Verdict::Valid);
}

#[test]
fn a_violation_in_one_part_is_one_of_the_whole_and_told_by_that_part_alone() {
    let analysis = much_unknown(50).check();
    assert_eq!(analysis.verdict, Verdict::Violation);
    let found = analysis.counterexample.expect("a counterexample");
    assert!(found.operations.iter().all(|it| it.value.to_string().contains("r20")), "{found:?}");
}

#[test]
fn registers_that_a_transaction_connects_are_one_part() {
    // Two writes and the reads, all at once: one write is seen before the other, and the other before
    // the one, which only those can tell apart that read both.
    let opposite = |connects: bool| {
        let mut recorded = Recorded::default();
        let (nil_a, nil_b) = (r#"["r","a",null]"#, r#"["r","b",null]"#);
        let (a, b) = (read("a", 1), read("b", 1));
        recorded.begin(&write("a", 1));
        recorded.begin(&write("b", 1));
        let answers = [[a, nil_b.to_owned()], [nil_a.to_owned(), b]];
        let all: Vec<(String, String)> = if connects {
            let asked = format!("{nil_a},{nil_b}");
            answers.map(|answer| (asked.clone(), answer.join(","))).into()
        } else {
            let asked = [nil_a, nil_b].map(str::to_owned);
            answers
                .iter()
                .flat_map(|answer| asked.clone().into_iter().zip(answer.clone()))
                .collect()
        };
        let begun: Vec<u64> = all.iter().map(|(asked, _)| recorded.begin(asked)).collect();
        for (process, (_, answer)) in begun.into_iter().zip(&all) {
            recorded.event(process, "ok", answer);
        }
        recorded.check().verdict
    };
    assert_eq!(opposite(true), Verdict::Violation);
    assert_eq!(opposite(false), Verdict::Valid);
}

#[test]
fn an_order_of_the_whole_keeps_what_is_known_between_parts() {
    // Long operations on one register, short ones on the other, in turns.
    let mut recorded = Recorded::default();
    for round in 0..50 {
        let steps = write("long", round);
        let long = recorded.begin(&steps);
        for step in 0..3 {
            let value = 10 * round + step;
            recorded.done(&write("short", value), &write("short", value));
            recorded.done(r#"["r","short",null]"#, &read("short", value));
        }
        recorded.event(long, "ok", &steps);
    }
    // The certificate is verified before a verdict is valid.
    assert_eq!(recorded.check().verdict, Verdict::Valid);
}
