//! `partita generate`: made-up histories, for trying and comparing checkers.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use partita_checker::Event;
use partita_checker::ModelKind;
use partita_checker::formats::{Keys, jsonl, write_edn};
use partita_checker::generate::{Fault, Mix, PlantedAnomaly, Recipe, Shape, TransactionPlan};

use super::export::To;
use crate::exit::{Exit, Failure, FailureContext};
use crate::{names, terminal};

/// Makes a history of any object, linearizable or damaged on purpose.
///
/// The operations take effect on a simulated object, one at a time, between their invocation and
/// their return, so that the history is linearizable unless a fault is asked for. The same
/// arguments make the same history.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    partita generate --operations 100000 --clients 20 > history.jsonl\n  \
    partita generate --model cas-register --shape jepsen --operations 1000000 -o jepsen.jsonl\n  \
    partita generate --model queue --fault duplicate | partita check --model queue /dev/stdin")]
pub struct Arguments {
    /// What the objects are: register, cas-register, kv, append, counter, set, queue, stack, lock,
    /// multi-register, or transactions over lists or registers: list-append, rw-register.
    #[arg(long, value_name = "NAME", default_value = "register", value_parser = names::model_name)]
    model: String,
    /// What the history looks like over time: steady; jepsen (200 operations on one key after
    /// another, five values, a failed compare-and-set does not tell what it saw); or bursts (for a
    /// tenth of the time the outcome of half of the changes is lost).
    #[arg(long, value_name = "SHAPE", default_value_t, value_parser = names::shape)]
    shape: Shape,
    /// How many operations are invoked, or transactions.
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    operations: usize,
    /// How many clients are at work at once.
    #[arg(long, value_name = "NUMBER", default_value = "10")]
    clients: u32,
    /// How many keys are worked on at once; as the model has it if not given.
    #[arg(long, value_name = "NUMBER")]
    keys: Option<u32>,
    /// The most micro-operations of a transaction.
    #[arg(long, value_name = "NUMBER", default_value = "4",
          value_parser = clap::value_parser!(u32).range(1..))]
    micro_operations: u32,
    /// After how many writes transactions give a key up for a new one.
    #[arg(long, value_name = "NUMBER", default_value = "32",
          value_parser = clap::value_parser!(u32).range(1..))]
    writes_per_key: u32,
    /// The weights of reads, writes, compare-and-sets and deletes, as 40/40/20 or 40/40/15/5; as the
    /// model and the shape have them if not given.
    #[arg(long, value_name = "WEIGHTS", value_parser = mix)]
    mix: Option<Mix>,
    /// How many distinct values are written; every write writes a new one if not given, except in
    /// the shapes jepsen and bursts, which repeat five.
    #[arg(long, value_name = "NUMBER")]
    values: Option<u32>,
    /// The share of operations whose outcome is unknown, from 0 to 1; in the shape jepsen 0.01 if
    /// not given.
    #[arg(long, value_name = "SHARE")]
    unknown: Option<f64>,
    /// The share of operations that certainly did not happen, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0")]
    failed: f64,
    /// What the object does wrong, once: stale-read, lost-write, duplicate or reordered. The
    /// clients may not notice.
    #[arg(long, value_name = "FAULT", value_parser = names::damage)]
    fault: Option<Fault>,
    /// What transactions show in the middle of the history: dirty-write, aborted-read,
    /// intermediate-read, circular-flow, read-skew, lost-update, write-skew, long-fork, stale-read or
    /// forgotten-write.
    #[arg(long, value_name = "ANOMALY", value_parser = names::planted)]
    anomaly: Option<PlantedAnomaly>,
    /// Random seed.
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    seed: u64,
    /// The format to write.
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    to: To,
    /// The file to write; standard output if not given.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if there can be no such history, or if it cannot be written.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let events: Box<dyn Iterator<Item = Event>> = match transactions(arguments)? {
        Some(plan) => Box::new(plan.events()),
        None => Box::new(recipe(arguments)?.events().or_usage(|| "generate".to_owned())?),
    };
    match &arguments.out {
        Some(path) => {
            let name = || path.display().to_string();
            let file = File::create(path).or_usage(name)?;
            write(BufWriter::with_capacity(1 << 20, file), arguments.to, events).or_usage(name)?;
        }
        None => {
            let output = BufWriter::new(terminal::data());
            write(output, arguments.to, events).or_usage(|| "standard output".to_owned())?;
        }
    }
    Ok(Exit::Valid)
}

/// The plan of a history of transactions, if it is to be one.
fn transactions(arguments: &Arguments) -> Result<Option<TransactionPlan>, Failure> {
    let model = names::model(&arguments.model).or_usage(|| "--model".to_owned())?;
    let refuse = |problem: &str| Err(Failure::usage(miette::miette!("{problem}")));
    if !model.is_transactional() {
        return match arguments.anomaly {
            Some(_) => refuse("--anomaly needs --model list-append or rw-register"),
            None => Ok(None),
        };
    }
    if arguments.fault.is_some() || arguments.values.is_some() || arguments.shape != Shape::Steady {
        return refuse("--fault, --values and --shape are not for transactions; see --anomaly");
    }
    let usual = TransactionPlan::new(model == ModelKind::ListAppend);
    let reads = arguments.mix.map_or(usual.reads, |mix| {
        f64::from(mix.reads) / f64::from((mix.reads + mix.writes).max(1))
    });
    if arguments.clients == 0 || arguments.keys == Some(0) {
        return refuse("expected at least one client and one key");
    }
    for (what, share) in [("unknown", arguments.unknown), ("failed", Some(arguments.failed))] {
        if share.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return refuse(&format!("expected --{what} to be a share from 0 to 1"));
        }
    }
    Ok(Some(TransactionPlan {
        transactions: arguments.operations,
        micro_operations: arguments.micro_operations,
        clients: arguments.clients,
        keys: arguments.keys.unwrap_or(usual.keys),
        writes_per_key: arguments.writes_per_key,
        reads,
        unknown: arguments.unknown.unwrap_or(usual.unknown),
        failed: arguments.failed,
        anomaly: arguments.anomaly,
        seed: arguments.seed,
        ..usual
    }))
}

fn recipe(arguments: &Arguments) -> Result<Recipe, Failure> {
    let usual = Recipe::of(&arguments.model, arguments.shape).or_usage(|| "--model".to_owned())?;
    Ok(Recipe {
        operations: arguments.operations,
        clients: arguments.clients,
        keys: arguments.keys.unwrap_or(usual.keys),
        mix: arguments.mix.unwrap_or(usual.mix),
        values: arguments.values.or(usual.values),
        unknown: arguments.unknown.unwrap_or(usual.unknown),
        failed: arguments.failed,
        fault: arguments.fault,
        seed: arguments.seed,
        ..usual
    })
}

fn write(
    mut output: impl Write,
    to: To,
    mut events: impl Iterator<Item = Event>,
) -> std::io::Result<()> {
    match to {
        To::Edn => write_edn(&mut output, events, Keys::Field)?,
        To::Jsonl => events.try_for_each(|event| jsonl::write_event(&mut output, &event))?,
    }
    output.flush()
}

/// Reads `40/40/20`.
fn mix(text: &str) -> Result<Mix, String> {
    let weights: Option<Vec<u32>> = text.split('/').map(|part| part.trim().parse().ok()).collect();
    match weights.as_deref() {
        Some(&[reads, writes, swaps]) => Ok(Mix { reads, writes, swaps, deletes: 0 }),
        Some(&[reads, writes, swaps, deletes]) => Ok(Mix { reads, writes, swaps, deletes }),
        _ => Err("expected three or four weights, such as 40/40/20".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_written_with_slashes() {
        assert_eq!(mix("40/40/20"), Ok(Mix { reads: 40, writes: 40, swaps: 20, deletes: 0 }));
        assert_eq!(mix("1/0/0/2"), Ok(Mix { reads: 1, writes: 0, swaps: 0, deletes: 2 }));
        for wrong in ["", "40/40", "a/b/c", "1/2/3/4/5", "-1/0/0"] {
            assert!(mix(wrong).is_err(), "{wrong}");
        }
    }
}
