//! How many megabytes a second each format is read at, the history included.
//!
//! Run with `cargo bench -p partita-checker --bench formats`. One key, a hundred clients, values all
//! distinct; one thread. JSON lines are also read by the way that takes any JSON, and without a
//! history being built.

use std::error::Error;
use std::time::{Duration, Instant};

use partita_checker::formats::{Format, Keys, ReadOptions, jsonl, read, write_edn};
use partita_checker::generate::{Mix, Plan};
use partita_checker::{Event, EventKind, Function, Value};

const OPERATIONS: usize = 1_000_000;
const ROUNDS: u32 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mix = Mix { reads: 50, writes: 30, swaps: 20, deletes: 0 };
    let plan = Plan { operations: OPERATIONS, clients: 100, mix, ..Plan::default() };
    let lines = json_lines(&plan)?;
    let spaced = spaced(&lines);
    bench(Format::JsonLines, "", &lines)?;
    bench(Format::JsonLines, ", by serde_json", &spaced)?;
    let (time, events) = time(|| jsonl::read_events("bench", lines.as_slice()).count());
    report("jsonl, events only", lines.len(), events, time);
    drop((lines, spaced));

    let mut edn = Vec::new();
    write_edn(&mut edn, plan.events(), Keys::Field)?;
    bench(Format::Edn, "", &edn)?;
    bench(Format::JepsenLog, "", &log_lines(&plan))?;
    bench(Format::PorcupineKv, "", &key_value_log(&plan))?;
    bench(Format::Fastlin, "", &intervals())
}

fn bench(format: Format, how: &str, text: &[u8]) -> Result<(), Box<dyn Error>> {
    let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
    let (time, history) = time(|| read("bench", text, &options));
    let name = [format.name(), how].concat();
    report(&name, text.len(), history?.history.operations().len(), time);
    Ok(())
}

fn report(name: &str, bytes: usize, count: usize, time: Duration) {
    let seconds = time.as_secs_f64();
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{name:>20}: {:>5.0} MB/s ({count} in {megabytes:.0} MB in {seconds:.3} s)",
        megabytes / seconds
    );
}

/// The shortest of several runs, and the last result.
fn time<T>(mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut best = Duration::MAX;
    let mut once = || {
        let start = Instant::now();
        let result = run();
        best = best.min(start.elapsed());
        result
    };
    let mut result = once();
    for _ in 1..ROUNDS {
        drop(result);
        result = once();
    }
    (best, result)
}

fn json_lines(plan: &Plan) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut text = Vec::new();
    for event in plan.events() {
        jsonl::write_event(&mut text, &event)?;
    }
    Ok(text)
}

/// The same lines with a blank in each, which is not how our writer makes them.
fn spaced(lines: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len() + lines.len() / 50);
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        text.extend_from_slice(b"{ ");
        text.extend_from_slice(&line[1..]);
    }
    text
}

fn log_lines(plan: &Plan) -> Vec<u8> {
    let mut text = String::new();
    for event in plan.events() {
        let value = edn_value(&event);
        let (process, function) = (event.process, event.function);
        let kind = kind(&event);
        text += &format!("INFO  jepsen.util - {process}\t:{kind}\t:{function}\t{value}\n");
    }
    text.into_bytes()
}

fn key_value_log(plan: &Plan) -> Vec<u8> {
    let mut text = String::new();
    let mix = Mix { reads: 1, writes: 1, swaps: 0, deletes: 0 };
    for event in (Plan { mix, ..plan.clone() }).events() {
        let function = if event.function == Function::Read { "get" } else { "append" };
        let (process, kind, value) = (event.process, kind(&event), &event.value);
        text += &format!(
            "{{:process {process}, :type :{kind}, :f :{function}, :key \"0\", :value \"x {value}\"}}\n"
        );
    }
    text.into_bytes()
}

fn intervals() -> Vec<u8> {
    let mut text = String::from("# queue\n");
    for value in 0..OPERATIONS {
        let start = value * 10;
        text += &format!("enq {value} {start} {}\n", start + 25);
    }
    text.into_bytes()
}

fn kind(event: &Event) -> &'static str {
    match event.kind {
        EventKind::Invoke => "invoke",
        EventKind::Ok if event.swapped == Some(false) => "fail",
        EventKind::Ok => "ok",
        EventKind::Fail => "fail",
        EventKind::Info => "info",
    }
}

fn edn_value(event: &Event) -> String {
    match &event.value {
        Value::Null => "nil".to_owned(),
        Value::List(operands) => {
            format!("[{} {}]", operands[0], operands[1]).replace("nothing", "nil")
        }
        value => value.to_string(),
    }
}
