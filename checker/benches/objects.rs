//! How long it takes to check histories of every object, at three sizes over two decades.
//!
//! Run with `cargo bench -p partita-checker --bench objects`, with a model's name for that one
//! alone. One object, a hundred clients, values all new, made by
//! [`Recipe`](partita_checker::generate::Recipe). One thread.

use std::error::Error;
use std::time::{Duration, Instant};

use partita_checker::generate::{Recipe, Shape};
use partita_checker::{Expected, History, Options, Value, Verdict, check, verify};

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Runs of each size, of which the fastest counts.
const ROUNDS: usize = 3;

/// When a check that takes too long is given up.
const LIMIT: Duration = Duration::from_secs(20);

const MODELS: [&str; 7] = ["register", "queue", "stack", "set", "append", "counter", "lock"];

fn main() -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    for model in MODELS {
        if only.as_deref().is_some_and(|only| only != model) {
            continue;
        }
        for unknown in [0.0, 0.001] {
            let mut per_operation = Vec::new();
            for operations in SIZES {
                let recipe = Recipe::of(model, Shape::Steady)?;
                let recipe = Recipe { operations, clients: 100, unknown, ..recipe };
                per_operation.push(bench(model, &recipe)?);
            }
            println!(
                "{model:>10}: time per operation at 100k and 1M, as multiples of that at 10k: \
                 {:.2}, {:.2}",
                per_operation[1] / per_operation[0],
                per_operation[2] / per_operation[0],
            );
        }
    }
    Ok(())
}

/// Seconds that one operation takes to check.
fn bench(name: &str, recipe: &Recipe) -> Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    let history = History::from_events(recipe.events()?)?;
    let making = start.elapsed();
    let options = Options::of(recipe.model);
    let mut best = Duration::MAX;
    let mut rounds = 0;
    let (analysis, certificate) = loop {
        let start = Instant::now();
        let found = check(&history, &options, &|| start.elapsed() > LIMIT);
        best = best.min(start.elapsed());
        rounds += 1;
        if rounds == ROUNDS || found.0.verdict == Verdict::Unknown {
            break found;
        }
    };
    let start = Instant::now();
    if let Some(certificate) = &certificate {
        let expected =
            Expected { model: recipe.model, initial: Value::Null, ..Expected::default() };
        verify(&history, certificate, &expected)?;
    }
    let verifying = start.elapsed();
    assert_ne!(analysis.verdict, Verdict::Violation, "{:?}", analysis.counterexample);
    println!(
        "{name:>10}: {:>9} operations, {:>5} of them unknown: {} in {:.3} s by {}, of which \
         {:.3} s verifying; made in {:.2} s",
        recipe.operations,
        history.counts().info,
        analysis.verdict,
        best.as_secs_f64(),
        analysis.keys[0].engine,
        verifying.as_secs_f64(),
        making.as_secs_f64(),
    );
    Ok(best.as_secs_f64() / recipe.operations as f64)
}
