//! How well checks keep to their limits of time and memory.
//!
//! Run with `cargo bench -p partita-checker --bench limits`; arguments choose rows by parts of their
//! names. Every row is a history, checked under one limit in a process of its own: it prints what
//! was used, as a multiple of what was allowed. Of memory, what the process has beyond the history,
//! at its peak. Most rows are searches that no limit is enough for. Rows called `monitor` are long
//! histories that a monitor decides, or would in more time.

use std::env;
use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use partita_checker::generate::{Recipe, Shape};
use partita_checker::{
    EngineChoice, Event, EventKind, Function, History, ModelKind, Nanoseconds, Options, ProcessId,
    Value, check,
};

/// What a row checks, and what it allows.
#[derive(Clone, Copy)]
struct Row {
    model: ModelKind,
    engine: EngineChoice,
    megabytes: usize,
    milliseconds: u64,
}

/// No limit of time that matters.
const LONG: u64 = 50_000;
/// No limit of memory that matters, in the time that such rows have.
const MUCH: usize = 4_096;
/// Operations that are open at once.
const CLIENTS: u32 = 40;
/// Values that compare-and-sets lead from and to.
const VALUES: u32 = 12;

/// Models whose histories are searched. Of a lock, one operation at most is legal at a time, so that
/// no search for it takes long.
const SEARCHED: [ModelKind; 7] = [
    ModelKind::Counter,
    ModelKind::Set,
    ModelKind::Register,
    ModelKind::Queue,
    ModelKind::Stack,
    ModelKind::Append,
    ModelKind::MultiRegister,
];
/// Models whose histories a monitor decides, if values are all new.
const MONITORED: [ModelKind; 5] =
    [ModelKind::Register, ModelKind::Append, ModelKind::Queue, ModelKind::Stack, ModelKind::Set];
/// Operations of a history that a monitor decides.
const OPERATIONS: usize = 2_000_000;

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for model in SEARCHED {
        for engine in [EngineChoice::Frontier, EngineChoice::Wgl, EngineChoice::Auto] {
            let row = |megabytes, milliseconds| Row { model, engine, megabytes, milliseconds };
            rows.extend([64, 512].map(|megabytes| row(megabytes, LONG)));
            rows.extend([100, 1_000, 10_000].map(|milliseconds| row(MUCH, milliseconds)));
        }
    }
    for model in MONITORED {
        let engine = EngineChoice::Monitor;
        let row = |milliseconds| Row { model, engine, megabytes: MUCH, milliseconds };
        rows.extend([100, 300, 1_000].map(row));
    }
    rows
}

impl Row {
    fn name(self) -> String {
        let Self { model, engine, megabytes, milliseconds } = self;
        let limit = if milliseconds == LONG {
            format!("{megabytes}MiB")
        } else {
            format!("{milliseconds}ms")
        };
        format!("{model}-{engine}-{limit}")
    }

    fn history(self) -> Result<History, Box<dyn Error>> {
        if self.engine != EngineChoice::Monitor {
            return self.laborious();
        }
        let recipe = Recipe::of(self.model.name(), Shape::Steady)?;
        let recipe = Recipe { operations: OPERATIONS, clients: 100, ..recipe };
        Ok(History::from_events(recipe.events()?)?)
    }

    /// Many operations open at once, none of which a rule can leave out, and at the end an answer
    /// that none of their orders explains.
    fn laborious(self) -> Result<History, Box<dyn Error>> {
        let mut events = Vec::new();
        for client in 0..CLIENTS {
            let (function, value) = self.operation(client);
            events.push(event(client, EventKind::Invoke, function, value));
        }
        for client in 0..CLIENTS {
            let (function, value) = self.operation(client);
            events.push(event(client, EventKind::Ok, function, value));
        }
        let (function, asked, answer) = self.last();
        events.push(event(CLIENTS, EventKind::Invoke, function, asked));
        events.push(event(CLIENTS, EventKind::Ok, function, answer));
        for (index, event) in (0..).zip(&mut events) {
            (event.index, event.time) = (index, Nanoseconds(index));
        }
        Ok(History::from_events(events)?)
    }

    /// What is asked last, and the answer that nothing explains.
    fn last(self) -> (Function, Value, Value) {
        let strange = Value::Integer(-1);
        match self.model {
            ModelKind::Set => (Function::Read, Value::Null, Value::list([strange])),
            ModelKind::Append => (Function::Read, Value::Null, Value::text("strange")),
            ModelKind::Queue => (Function::Dequeue, Value::Null, strange),
            ModelKind::Stack => (Function::Pop, Value::Null, strange),
            ModelKind::MultiRegister => {
                let read = |value| Value::list([step("r", 0, value)]);
                (Function::Txn, read(Value::Null), read(strange))
            }
            _ => (Function::Read, Value::Null, strange),
        }
    }

    fn operation(self, client: u32) -> (Function, Value) {
        // Two clients each, so that no monitor decides.
        let twin = Value::Integer((client / 2).into());
        match self.model {
            ModelKind::Counter => (Function::Add, Value::Integer(1 << client)),
            ModelKind::Set => (Function::Add, twin),
            ModelKind::Queue => (Function::Enqueue, twin),
            ModelKind::Stack => (Function::Push, twin),
            ModelKind::Append => (Function::Append, Value::text(format!("{},", client / 2))),
            ModelKind::MultiRegister => {
                let (register, value) = (client % VALUES, Value::Integer(client.into()));
                let read = step("r", client * 7 % VALUES, Value::Null);
                (Function::Txn, Value::list([read, step("w", register, value)]))
            }
            _ => {
                let (from, step) = (client * 7 % VALUES, 1 + client * 5 % (VALUES - 1));
                let pair = [from, (from + step) % VALUES].map(|value| Value::Integer(value.into()));
                (Function::Cas, Value::list(pair))
            }
        }
    }
}

/// A step of a transaction.
fn step(function: &str, register: u32, value: Value) -> Value {
    Value::list([Value::text(function), Value::Integer(register.into()), value])
}

fn event(process: u32, kind: EventKind, function: Function, value: Value) -> Event {
    Event {
        index: 0,
        time: Nanoseconds(0),
        process: ProcessId(process),
        kind,
        function,
        key: Value::text("k"),
        value,
        swapped: (kind == EventKind::Ok && function == Function::Cas).then_some(true),
        saw: None,
        node: None,
        error: None,
        level: None,
        revision: None,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let [flag, name] = &arguments[..]
        && flag == "--row"
    {
        let row = rows().into_iter().find(|row| row.name() == *name).ok_or("no such row")?;
        return run(row);
    }
    println!("{:<32} {:>8} {:>8} {:>8}  verdict", "row", "s", "MiB", "of limit");
    for row in rows() {
        let name = row.name();
        if !arguments.is_empty() && !arguments.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let status = Command::new(env::current_exe()?).args(["--row", &name]).status()?;
        if !status.success() {
            println!("{name:<32} ended with {status}");
        }
    }
    Ok(())
}

fn run(row: Row) -> Result<(), Box<dyn Error>> {
    let history = row.history()?;
    let before = kibibytes("VmRSS:")?;
    let initial = match row.model {
        ModelKind::Register if row.engine != EngineChoice::Monitor => Value::Integer(0),
        _ => Value::Null,
    };
    let options = Options::of(row.model)
        .with_engine(row.engine)
        .with_memory(row.megabytes << 20)
        .with_initial(initial);
    let limit = Duration::from_millis(row.milliseconds);
    let start = Instant::now();
    let (analysis, _) = check(&history, &options, &|| start.elapsed() >= limit);
    let seconds = start.elapsed().as_secs_f64();
    let mebibytes = (kibibytes("VmHWM:")? - before) as f64 / 1_024.0;
    let used = if row.milliseconds == LONG {
        mebibytes / row.megabytes as f64
    } else {
        seconds / limit.as_secs_f64()
    };
    println!(
        "{:<32} {seconds:>8.3} {mebibytes:>8.1} {used:>8.2}  {}: {}",
        row.name(),
        analysis.verdict,
        analysis.reasons.first().map_or("", String::as_str),
    );
    Ok(())
}

/// A line of what the kernel says of this process.
fn kibibytes(name: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such line")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
