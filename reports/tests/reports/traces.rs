//! Runs as traces for other viewers.

use std::collections::{BTreeMap, BTreeSet};

use partita_reports::Trace;
use serde_json::Value;

use crate::support::{Finding, Fixture, Plan, fixture};

fn trace(fixture: &Fixture) -> Trace<'_> {
    Trace {
        name: &fixture.record.name,
        epoch_ns: 1_000,
        history: &fixture.history,
        faults: &fixture.faults,
        roles: &fixture.record.roles,
        analysis: Some(&fixture.analysis),
    }
}

fn stale() -> Fixture {
    fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

#[test]
fn perfetto_gets_every_operation_role_and_fault_on_lanes_that_hold_one_thing_at_a_time() {
    let fixture = stale();
    let mut written = Vec::new();
    trace(&fixture).write_perfetto(&mut written).expect("memory takes everything");
    let written: Value = serde_json::from_slice(&written).expect("JSON");
    let events = written["traceEvents"].as_array().expect("events");
    let mut lanes: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events.iter().filter(|event| text(event, "ph") == "X") {
        *counts.entry(text(event, "cat")).or_default() += 1;
        let number = |name: &str| event[name].as_f64().expect("a number");
        let span = (number("ts"), number("ts") + number("dur"));
        lanes.entry(event["tid"].as_u64().expect("a lane")).or_default().push(span);
    }
    let wanted = [
        ("clients", fixture.history.operations().len()),
        ("faults", fixture.faults.len()),
        ("nodes", fixture.record.roles.len()),
    ];
    assert_eq!(counts, BTreeMap::from(wanted));
    for (lane, spans) in &mut lanes {
        spans.sort_by(|one, other| one.0.total_cmp(&other.0));
        let overlap = spans.windows(2).find(|pair| pair[0].1 > pair[1].0 + 1e-3);
        assert_eq!(overlap, None, "lane {lane}");
    }
    let found = events.iter().find(|event| event["cat"] == "findings").expect("the finding");
    assert!(text(found, "name").starts_with("stale read on k"));
    let named = events.iter().filter(|event| event["name"] == "thread_name").count();
    assert_eq!(named, lanes.len(), "every lane has a name");
    let fault = events.iter().find(|event| event["cat"] == "faults").expect("a fault");
    assert_eq!(fault["ts"].as_f64(), Some(fixture.faults[0].began_ns as f64 / 1e3));
}

#[test]
fn opentelemetry_gets_one_trace_below_one_span_with_ids_of_their_own() {
    let fixture = stale();
    let mut written = Vec::new();
    trace(&fixture).write_otlp(&mut written).expect("memory takes everything");
    let written: Value = serde_json::from_slice(&written).expect("JSON");
    let resources = written["resourceSpans"].as_array().expect("resources");
    let spans: Vec<&Value> = resources
        .iter()
        .flat_map(|resource| resource["scopeSpans"][0]["spans"].as_array().expect("spans"))
        .collect();
    let ids: BTreeSet<&str> = spans.iter().map(|span| text(span, "spanId")).collect();
    assert_eq!(ids.len(), spans.len());
    assert!(ids.iter().all(|id| id.len() == 16));
    let traces: BTreeSet<&str> = spans.iter().map(|span| text(span, "traceId")).collect();
    assert_eq!(traces.len(), 1);
    assert!(traces.iter().all(|id| id.len() == 32));
    let root = spans[0];
    assert_eq!(text(root, "startTimeUnixNano"), "1000", "from the epoch on");
    assert!(text(&root["events"][0], "name").starts_with("stale read"));
    let children = spans.iter().filter(|span| span["parentSpanId"] == root["spanId"]).count();
    assert_eq!(children, spans.len() - 1);
    let wanted =
        fixture.history.operations().len() + fixture.faults.len() + fixture.record.roles.len();
    assert_eq!(children, wanted);
}
