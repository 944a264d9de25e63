//! The trace event format: an array of events, times in microseconds.

use std::io::{self, Write};

use partita_checker::Nanoseconds;
use serde_json::{Map, Value, json};

use super::{Lane, Span, Trace};

const GROUPS: [&str; 3] = ["clients", "nodes", "faults"];

pub(super) fn write(trace: &Trace<'_>, mut output: impl Write) -> io::Result<()> {
    write!(output, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
    for (number, group) in (1..).zip(GROUPS) {
        let name = json!({"ph": "M", "name": "process_name", "pid": number, "tid": 0, "args": {"name": group}});
        let order = json!({"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "args": {"sort_index": number}});
        let comma = if number == 1 { "" } else { "," };
        write!(output, "{comma}\n{name},\n{order}")?;
    }
    for (number, lane) in (1..).zip(trace.lanes()) {
        write_lane(&mut output, number, &lane)?;
    }
    for (at, what) in trace.findings() {
        let event = json!({"ph": "i", "s": "g", "name": what, "cat": "findings", "pid": 1, "tid": 0, "ts": microseconds(at)});
        write!(output, ",\n{event}")?;
    }
    writeln!(output, "\n]}}")
}

fn write_lane(output: &mut impl Write, number: u64, lane: &Lane) -> io::Result<()> {
    let group = GROUPS.iter().position(|group| *group == lane.group).unwrap_or_default() + 1;
    let name = json!({"ph": "M", "name": "thread_name", "pid": group, "tid": number, "args": {"name": lane.name}});
    write!(output, ",\n{name}")?;
    for Span { name, began, ended, arguments, .. } in &lane.spans {
        let arguments: Map<String, Value> =
            arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let event = json!({
            "ph": "X", "name": name, "cat": lane.group, "pid": group, "tid": number,
            "ts": microseconds(*began), "dur": microseconds(ended.since(*began)), "args": arguments,
        });
        write!(output, ",\n{event}")?;
    }
    Ok(())
}

fn microseconds(time: Nanoseconds) -> f64 {
    time.0 as f64 / 1e3
}
