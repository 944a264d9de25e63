//! How long it takes to check a million operations on each object that has a monitor.
//!
//! Run with `cargo bench -p partita-checker --bench objects`, with a model's name for that one
//! alone. One object, a hundred clients, values all new. One thread.

use std::error::Error;
use std::time::Instant;

use partita_checker::generate::ObjectPlan;
use partita_checker::{Expected, History, ModelKind, Options, Value, Verdict, check, verify};

const OPERATIONS: usize = 1_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    for (model, grows) in [
        (ModelKind::Queue, false),
        (ModelKind::Stack, false),
        (ModelKind::Set, false),
        (ModelKind::Append, false),
        (ModelKind::Counter, false),
        (ModelKind::Lock, false),
    ] {
        if only.as_deref().is_none_or(|only| only == model.name()) {
            for unknown in [0.0, 0.001] {
                let plan = ObjectPlan {
                    model,
                    operations: OPERATIONS,
                    clients: 100,
                    unknown,
                    grows,
                    ..ObjectPlan::default()
                };
                bench(&plan)?;
            }
        }
    }
    Ok(())
}

fn bench(plan: &ObjectPlan) -> Result<(), Box<dyn Error>> {
    let model = plan.model;
    let history = History::from_events(plan.events())?;
    let options = Options { model, ..Options::default() };
    let start = Instant::now();
    let deadline = std::time::Duration::from_secs(60);
    let (analysis, certificate) = check(&history, &options, &|| start.elapsed() > deadline);
    let checking = start.elapsed();
    let start = Instant::now();
    if let Some(certificate) = &certificate {
        verify(&history, certificate, &Expected { model, initial: Value::Null })?;
    }
    let verifying = start.elapsed();
    assert_ne!(analysis.verdict, Verdict::Violation, "{:?}", analysis.counterexample);
    println!(
        "{model:>15}: {} of {} operations, {} of them unknown, in {:.2} s by {}, of which {:.2} s \
         verifying",
        analysis.verdict,
        plan.operations,
        history.counts().info,
        checking.as_secs_f64(),
        analysis.keys[0].engine,
        verifying.as_secs_f64(),
    );
    Ok(())
}
