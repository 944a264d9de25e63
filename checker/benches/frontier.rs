//! How long ambiguous registers take, and how much memory: shapes by operations and clients.
//!
//! Run with `cargo bench -p partita-checker --bench frontier`; arguments choose rows by parts of
//! their names, and `seed=7` makes other histories of the same shapes.
//! Every row is checked in a process of its own, so that its peak memory is its own too: that of
//! the history included. Checks with all threads there are.

use std::collections::HashSet;
use std::env;
use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::Instant;

use partita_checker::generate::{Mix, Plan};
use partita_checker::{
    Action, Event, EventKind, History, Operation, Options, Outcome, Response, Value, Verdict, check,
};

/// What a row checks.
#[derive(Clone, Copy)]
struct Row {
    shape: Shape,
    operations: usize,
    clients: u32,
    stale: bool,
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One key, five values, half reads, half writes.
    Writes,
    /// The same with compare-and-sets.
    Swaps,
    /// The same with compare-and-sets, and one outcome of a hundred unknown.
    Unknown,
    /// Keys one after another, 200 operations each, compare-and-sets that do not tell what they
    /// saw, one outcome of a hundred unknown.
    Jepsen,
    /// One key; a tenth of the time half of the writes end without an outcome.
    Burst,
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Swaps => "swaps",
            Self::Unknown => "unknown",
            Self::Jepsen => "jepsen",
            Self::Burst => "burst",
        }
    }
}

/// How many operations Jepsen's workload does on a key.
const PER_KEY: usize = 200;
/// How many bursts there are in a history.
const BURSTS: usize = 10;

fn rows(seed: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    let sizes = [(10_000, 20), (100_000, 20), (1_000_000, 10), (100_000, 50)];
    for shape in [Shape::Writes, Shape::Swaps, Shape::Unknown] {
        for (operations, clients) in sizes {
            for stale in [false, true] {
                rows.push(Row { shape, operations, clients, stale, seed });
            }
        }
    }
    for clients in [10, 20] {
        let shape = Shape::Jepsen;
        rows.push(Row { shape, operations: 1_000_000, clients, stale: false, seed });
    }
    for clients in [5, 10] {
        let shape = Shape::Burst;
        rows.push(Row { shape, operations: 10_000, clients, stale: false, seed });
    }
    rows
}

impl Row {
    fn name(self) -> String {
        let stale = if self.stale { "-stale" } else { "" };
        format!("{}{stale}-{}-{}", self.shape.name(), self.operations, self.clients)
    }

    fn plan(self) -> Plan {
        let swaps = if self.shape == Shape::Writes { 0 } else { 20 };
        let writes = if self.shape == Shape::Writes { 50 } else { 30 };
        let plan = Plan {
            operations: self.operations,
            clients: self.clients,
            mix: Mix { reads: 50, writes, swaps, deletes: 0 },
            values: Some(5),
            seed: self.seed,
            ..Plan::default()
        };
        let jepsen = Mix { reads: 40, writes: 40, swaps: 20, deletes: 0 };
        match self.shape {
            Shape::Writes | Shape::Swaps => plan,
            Shape::Unknown => Plan { unknown: 0.01, ..plan },
            Shape::Jepsen => {
                Plan { operations: PER_KEY, unknown: 0.01, tells: false, mix: jepsen, ..plan }
            }
            Shape::Burst => Plan { mix: jepsen, ..plan },
        }
    }

    fn history(self) -> Result<History, Box<dyn Error>> {
        let history = match self.shape {
            Shape::Jepsen => self.jepsen()?,
            Shape::Burst => self.bursts()?,
            _ => History::from_events(self.plan().events())?,
        };
        if self.stale { spoil(&history) } else { Ok(history) }
    }

    /// Histories of one key each, one after another.
    fn jepsen(self) -> Result<History, Box<dyn Error>> {
        let mut builder = partita_checker::HistoryBuilder::new();
        let (mut index, mut process) = (0, 0);
        for key in 0..self.operations / PER_KEY {
            let plan = Plan { seed: self.seed << 32 | key as u64, ..self.plan() };
            let (mut count, mut most) = (0, 0);
            for event in plan.events() {
                (count, most) = (event.index + 1, most.max(event.process.0 + 1));
                builder.push(&Event {
                    index: index + event.index,
                    time: partita_checker::Nanoseconds(index + event.index),
                    process: partita_checker::ProcessId(process + event.process.0),
                    key: Value::Integer(key as i64),
                    ..event
                })?;
            }
            (index, process) = (index + count, process + most);
        }
        Ok(builder.finish())
    }

    /// A history in which, for a tenth of the time, the outcome of every other write is lost.
    fn bursts(self) -> Result<History, Box<dyn Error>> {
        let history = History::from_events(self.plan().events())?;
        let length = history.operations().len() / BURSTS;
        let mut unlucky = false;
        let mut lost = HashSet::new();
        for (place, operation) in history.operations().iter().enumerate() {
            let in_burst =
                place % length >= length / 2 && place % length < length / 2 + length / 10;
            let swapped = operation.response() == Some(Response::Swapped);
            if !in_burst || !(matches!(operation.action, Action::Write(_)) || swapped) {
                continue;
            }
            unlucky = !unlucky;
            if unlucky && let Outcome::Ok(moment, _) = operation.outcome {
                lost.insert(moment.position);
            }
        }
        let events = history.events().map(|event| match lost.contains(&event.index) {
            true => Event { kind: EventKind::Info, swapped: None, ..event },
            false => event,
        });
        Ok(History::from_events(events)?)
    }
}

/// Makes one late read show a value that had surely been overwritten, and that no operation of
/// unknown outcome can bring back.
fn spoil(history: &History) -> Result<History, Box<dyn Error>> {
    let late = 2 * history.operations().len() / 3;
    let spoilt = |initial| {
        let mut places = late..history.operations().len();
        places.find_map(|place| stale_value(history, place, initial).map(|value| (place, value)))
    };
    let (place, value) = spoilt(false).or_else(|| spoilt(true)).expect("some read can be spoilt");
    let completed = history.operations()[place].completion().map(|(_, moment)| moment.position);
    let events = history.events().map(|event| match Some(event.index) == completed {
        true => Event { value: history.values().get(value).clone(), ..event },
        false => event,
    });
    Ok(History::from_events(events)?)
}

/// A value that the read at `place` cannot have seen; the initial one, or one of the others.
fn stale_value(history: &History, place: usize, initial: bool) -> Option<partita_checker::ValueId> {
    let read = &history.operations()[place];
    let Outcome::Ok(read_returned, Response::Value(_)) = read.outcome else { return None };
    let near = &history.operations()
        [place.saturating_sub(1_000)..(place + 1_000).min(history.operations().len())];
    let written = |operation: &Operation| match (operation.action, operation.response()) {
        (Action::Write(value), _)
        | (Action::Cas { new: value, .. }, None | Some(Response::Swapped)) => Some(value),
        _ => None,
    };
    let returned = |operation: &Operation| match operation.outcome {
        Outcome::Ok(moment, _) => moment.position,
        _ => u64::MAX,
    };
    let last_overwrite = near
        .iter()
        .filter(|it| returned(it) < read.invoked.position && matches!(it.action, Action::Write(_)))
        .map(|it| it.invoked.position)
        .max()?;
    let may_be_seen = |value| {
        let unknown = history.operations()[..place + 1]
            .iter()
            .any(|it| written(it) == Some(value) && matches!(it.outcome, Outcome::Info(_)));
        unknown
            || near.iter().any(|it| {
                written(it) == Some(value)
                    && it.invoked.position < read_returned.position
                    && returned(it) > last_overwrite
            })
    };
    let values = if initial { vec![Value::Null] } else { (1..=5).map(Value::Integer).collect() };
    let mut values = values.iter().map(|value| history.values().find(value).expect("it occurs"));
    values.find(|&value| !may_be_seen(value))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    let seed = arguments.iter().find_map(|it| it.strip_prefix("seed=")).map(str::to_owned);
    arguments.retain(|it| !it.starts_with("seed="));
    let seed: u64 = seed.map_or(Ok(0), |seed| seed.parse())?;
    if let [flag, name] = &arguments[..]
        && flag == "--row"
    {
        let row = rows(seed).into_iter().find(|row| row.name() == *name).ok_or("no such row")?;
        return run(row);
    }
    println!("{:<28} {:>9} {:>7} {:>8} {:>8}  verdict", "row", "operations", "clients", "s", "MB");
    for row in rows(seed) {
        let name = row.name();
        if !arguments.is_empty() && !arguments.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let status = Command::new(env::current_exe()?)
            .args(["--row", &name, &format!("seed={seed}")])
            .status()?;
        if !status.success() {
            println!("{name:<28} ended with {status}");
        }
    }
    Ok(())
}

fn run(row: Row) -> Result<(), Box<dyn Error>> {
    let history = row.history()?;
    let start = Instant::now();
    let limit = std::time::Duration::from_secs(60);
    let (analysis, _) = check(&history, &Options::default(), &|| start.elapsed() > limit);
    let seconds = start.elapsed().as_secs_f64();
    let size = analysis.counterexample.map_or_else(String::new, |counterexample| {
        format!(", {} operations: {}", counterexample.operations.len(), counterexample.sentence)
    });
    println!(
        "{:<28} {:>9} {:>7} {seconds:>8.3} {:>8}  {}{size}{}",
        row.name(),
        row.operations,
        row.clients,
        peak_megabytes()?,
        analysis.verdict,
        analysis.reasons.first().map_or_else(String::new, |reason| format!(": {reason}")),
    );
    let expected = if row.stale { Verdict::Violation } else { Verdict::Valid };
    assert!([expected, Verdict::Unknown].contains(&analysis.verdict), "a wrong verdict");
    Ok(())
}

/// The most memory that this process ever had, in MB.
fn peak_megabytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kilobytes / 1_000)
}
