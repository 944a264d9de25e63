//! Measures what clocks of its own cost a node: at every start of a program, at every question for
//! the time, and at every change.
//!
//!     cargo run --release -p partita-nemesis --example clock_cost

use std::process::exit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use partita_nemesis::{Entered, Lab, NodeClock, NodeProcess, Program, enter};

/// Makes this program a victim that asks for the time.
const VICTIM: &str = "PARTITA_CLOCK_COST_VICTIM";
/// How many programs are started, with and without clocks.
const STARTS: usize = 300;
/// How often a victim asks for the time, and how often it is moved.
const QUESTIONS: u32 = 5_000_000;
const CHANGES: u32 = 100_000;

fn main() {
    if std::env::var_os(VICTIM).is_some() {
        return ask();
    }
    match enter() {
        Ok(Entered::Inside(_)) => measure(),
        Ok(Entered::Finished(code)) => exit(i32::from(code)),
        Err(error) => {
            eprintln!("{error}");
            exit(4)
        }
    }
}

/// In the victim: asks for the time over and over, and says how long that takes.
fn ask() {
    let begun = Instant::now();
    for _ in 0..QUESTIONS {
        std::hint::black_box(Instant::now());
    }
    let each = begun.elapsed() / QUESTIONS;
    println!("{} ns", each.as_nanos());
}

fn measure() {
    let lab = Lab::build(&["n1"]).expect("a lab");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let clock = Arc::new(NodeClock::new("n1").expect("a clock"));
    for with_clock in [false, true, false, true] {
        let node = |path: &str| {
            let output = if path.ends_with("exe") { "/dev/stderr" } else { "/dev/null" };
            let program = Program {
                user: None,
                path: path.into(),
                arguments: Vec::new(),
                environment: vec![(VICTIM.into(), "1".into())],
                directory: "/".into(),
                stdout: output.into(),
                stderr: "/dev/null".into(),
            };
            let mut node = NodeProcess::new(&lab.nodes()[0], program);
            if with_clock {
                node.give_clock(Arc::clone(&clock));
            }
            node
        };
        let mut took: Vec<Duration> = Vec::new();
        let program = node("/bin/true");
        for _ in 0..STARTS {
            let begun = Instant::now();
            program.start().expect("starts");
            runtime.block_on(program.ended()).expect("ends");
            took.push(begun.elapsed());
        }
        took.sort();
        let (median, late) = (took[STARTS / 2], took[STARTS * 99 / 100]);
        println!("with clocks: {with_clock}; true(1) from start to end: {median:?}, p99 {late:?}");
        println!("a question for the time:");
        let victim = node("/proc/self/exe");
        victim.start().expect("starts");
        runtime.block_on(victim.ended()).expect("ends");
    }
    let begun = Instant::now();
    for step in 0..CHANGES {
        clock.set_realtime(i64::from(step));
    }
    println!("a change of the page: {:?}", begun.elapsed() / CHANGES);
}
