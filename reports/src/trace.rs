//! A run as a trace for other viewers: Perfetto's JSON and OpenTelemetry's.
//!
//! Clients, nodes and faults are lanes. A client's lane holds its operations, one after another; a
//! node's the roles it was seen in; every fault has a lane of its own, since faults overlap.

mod otlp;
mod perfetto;

use std::io::{self, Write};

use partita_checker::{Analysis, Counterexample, History, Nanoseconds, Operation, Outcome};
use partita_nemesis::FaultRecord;
use serde_json::{Value, json};

use crate::chart::plot::{fault_name, proven_at};
use crate::explore::lanes;
use crate::roles::RoleChange;
use crate::series::windows;
use crate::text::fault::effects;
use crate::text::operation::{self, name};

/// What a trace is made from.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// The run's name; traces of one name are one trace.
    pub name: &'a str,
    /// When the run began, in nanoseconds since 1970, for what counts from there.
    pub epoch_ns: u64,
    /// What the clients did and saw.
    pub history: &'a History,
    /// The faults, if any are known.
    pub faults: &'a [FaultRecord],
    /// What nodes were seen as, if that is known.
    pub roles: &'a [RoleChange],
    /// What the checker found, if it looked.
    pub analysis: Option<&'a Analysis>,
}

impl Trace<'_> {
    /// Writes the trace event format, which Perfetto and Chrome open.
    ///
    /// # Errors
    ///
    /// If `output` cannot be written to.
    pub fn write_perfetto(&self, output: impl Write) -> io::Result<()> {
        perfetto::write(self, output)
    }

    /// Writes an OTLP request of spans as JSON, as OpenTelemetry's collectors read it from files.
    ///
    /// # Errors
    ///
    /// If `output` cannot be written to.
    pub fn write_otlp(&self, output: impl Write) -> io::Result<()> {
        otlp::write(self, output)
    }

    fn end(&self) -> Nanoseconds {
        let operations = self.history.operations().iter().map(|operation| {
            operation.completion().map_or(operation.invoked.time, |(_, moment)| moment.time)
        });
        let faults = self.faults.iter().map(|fault| Nanoseconds(fault.began_ns));
        let healed = self.faults.iter().filter_map(|fault| fault.ended_ns.map(Nanoseconds));
        let roles = self.roles.iter().map(|change| change.at_ns);
        operations.chain(faults).chain(healed).chain(roles).max().unwrap_or_default()
    }

    /// The lanes in order, each with what happened in it.
    fn lanes(&self) -> Vec<Lane> {
        let end = self.end();
        let clients = lanes::clients(self.history, usize::MAX);
        let mut all: Vec<Lane> =
            clients.names.iter().map(|name| Lane::of("clients", name)).collect();
        for (operation, lane) in self.history.operations().iter().zip(&clients.of) {
            all[*lane as usize].spans.push(self.operation(operation, end));
        }
        let mut nodes: Vec<&str> = self.roles.iter().map(|change| change.node.as_str()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        all.extend(nodes.into_iter().map(|node| self.roles_of(node, end)));
        all.extend(self.faults.iter().map(|fault| fault_lane(fault, end)));
        all
    }

    fn operation(&self, operation: &Operation, end: Nanoseconds) -> Span {
        let ended = operation.completion().map_or(end, |(_, moment)| moment.time);
        let node = operation.node.map(|node| &*self.history.nodes()[usize::from(node.0)]);
        let outcome = match operation.outcome {
            Outcome::Ok(..) => "ok",
            Outcome::Fail(_) => "fail",
            Outcome::Info(Some(_)) => "info",
            Outcome::Info(None) => "open",
        };
        let arguments = vec![
            ("index", json!(operation.invoked.position)),
            ("process", json!(operation.process.0)),
            ("node", json!(node.map(name))),
            ("key", json!(operation::key(self.history, operation))),
            ("function", json!(operation.action.function().to_string())),
            ("outcome", json!(outcome)),
        ];
        Span {
            name: operation::operation(self.history, operation),
            began: operation.invoked.time,
            ended: ended.max(operation.invoked.time),
            is_error: !operation.is_ok(),
            arguments,
        }
    }

    fn roles_of(&self, node: &str, end: Nanoseconds) -> Lane {
        let changes: Vec<_> = self.roles.iter().filter(|change| change.node == node).collect();
        let mut lane = Lane::of("nodes", &name(node));
        for (place, change) in changes.iter().enumerate() {
            let ended = changes.get(place + 1).map_or(end, |next| next.at_ns);
            let role = name(&change.role);
            lane.spans.push(Span {
                name: change.term.map_or(role.clone(), |term| format!("{role}, term {term}")),
                began: change.at_ns,
                ended: ended.max(change.at_ns),
                is_error: false,
                arguments: vec![("role", json!(role)), ("term", json!(change.term))],
            });
        }
        lane
    }

    /// What is wrong, and when it was proved.
    fn findings(&self) -> impl Iterator<Item = (Nanoseconds, String)> {
        let keys = self.analysis.map_or(&[][..], |analysis| analysis.keys.as_slice());
        keys.iter().filter_map(|key| key.counterexample.as_deref()).map(finding)
    }
}

fn finding(found: &Counterexample) -> (Nanoseconds, String) {
    let key = operation::value(&found.key);
    (proven_at(found), format!("{} on {key}", found.anomaly.title()))
}

fn fault_lane(fault: &FaultRecord, end: Nanoseconds) -> Lane {
    let (began, ended) = windows::span(fault, end);
    let mut lane = Lane::of("faults", &fault_name(fault));
    let nodes: Vec<_> = fault.nodes.iter().map(|node| name(node)).collect();
    lane.spans.push(Span {
        name: format!("{} {}", fault_name(fault), nodes.join(", ")),
        began,
        ended,
        is_error: fault.error.is_some(),
        arguments: vec![
            ("target", json!(name(&fault.target))),
            ("nodes", json!(nodes)),
            ("effects", json!(effects(fault))),
        ],
    });
    lane
}

/// What happens one after another.
#[derive(Debug)]
struct Lane {
    /// `clients`, `nodes` or `faults`.
    group: &'static str,
    name: String,
    spans: Vec<Span>,
}

impl Lane {
    fn of(group: &'static str, name: &str) -> Self {
        Self { group, name: name.to_owned(), spans: Vec::new() }
    }
}

/// Something with a begin and an end.
#[derive(Debug)]
struct Span {
    name: String,
    began: Nanoseconds,
    ended: Nanoseconds,
    is_error: bool,
    arguments: Vec<(&'static str, Value)>,
}
