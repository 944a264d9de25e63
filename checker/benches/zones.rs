//! How many operations a second are checked, at three sizes, and how long parsing takes.
//!
//! Run with `cargo bench -p partita-checker`. One key, a hundred clients, values all distinct,
//! compare-and-sets that tell what they saw: the case that zones are for. One thread.

use std::error::Error;
use std::time::{Duration, Instant};

use partita_checker::formats::jsonl::{read_history, write_event};
use partita_checker::generate::{Mix, Plan};
use partita_checker::{Expected, History, Options, Verdict, check, verify};

const ROUNDS: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let mut per_operation = Vec::new();
    for operations in [10_000, 100_000, 1_000_000] {
        per_operation.push(bench(operations)?);
    }
    println!(
        "time per operation at 100k and 1M, as multiples of that at 10k: {:.2}, {:.2}",
        per_operation[1] / per_operation[0],
        per_operation[2] / per_operation[0],
    );
    Ok(())
}

/// Nanoseconds that one operation takes to check.
fn bench(operations: usize) -> Result<f64, Box<dyn Error>> {
    let mix = Mix { reads: 50, writes: 30, swaps: 20, deletes: 0 };
    let plan = Plan { operations, clients: 100, mix, ..Plan::default() };
    let mut text = Vec::new();
    for event in plan.events() {
        write_event(&mut text, &event)?;
    }
    let (parsing, history) = time(1, || read_history("bench", text.as_slice()));
    let history = history?;
    let (checking, (analysis, certificate)) =
        time(ROUNDS, || check(&history, &Options::default(), &|| false));
    assert_eq!(analysis.verdict, Verdict::Valid, "{:?}", analysis.reasons);
    let certificate = certificate.ok_or("a valid verdict has a certificate")?;
    let (verifying, verified) =
        time(ROUNDS, || verify(&history, &certificate, &Expected::default()));
    verified?;
    report(&history, &text, [parsing, checking, verifying]);
    Ok(checking.as_nanos() as f64 / operations as f64)
}

fn report(history: &History, text: &[u8], [parsing, checking, verifying]: [Duration; 3]) {
    let operations = history.operations().len() as f64;
    println!(
        "{operations:>9} operations: checked in {:.4} s ({:.2} million a second), of which \
         {:.4} s verifying; parsed {:.0} MB in {:.4} s",
        checking.as_secs_f64(),
        operations / checking.as_secs_f64() / 1e6,
        verifying.as_secs_f64(),
        text.len() as f64 / 1e6,
        parsing.as_secs_f64(),
    );
}

/// The shortest of several runs, and the last result.
fn time<T>(rounds: u32, mut run: impl FnMut() -> T) -> (Duration, T) {
    let once = |run: &mut dyn FnMut() -> T| {
        let start = Instant::now();
        let result = run();
        (start.elapsed(), result)
    };
    let mut best = once(&mut run);
    for _ in 1..rounds {
        let (elapsed, result) = once(&mut run);
        best = (best.0.min(elapsed), result);
    }
    best
}
