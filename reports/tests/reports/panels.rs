//! Recovery tables of small histories; what each must say stands in a file of `tests/panels`.
//!
//! Above the line is what happened, a line each: a fault with its victims and its span; a role with
//! the node and the time; an outcome with the nodes that gave it and spans in which there is one
//! every 100 ms. An `ok` or `fail` takes 1 ms, an `info` 50 ms. `latency` asks for the latencies, too.

use std::collections::BTreeMap;
use std::path::Path;

use partita_checker::{Event, EventKind, Function, History, Nanoseconds, ProcessId, Value};
use partita_nemesis::{Family, FaultRecord};
use partita_reports::{Recovery, RoleChange};

const MS: u64 = 1_000_000;

#[derive(Default)]
struct Scene {
    faults: Vec<FaultRecord>,
    roles: Vec<RoleChange>,
    events: Vec<Event>,
    processes: u32,
    latency: bool,
}

fn milliseconds(text: &str) -> u64 {
    (text.parse::<f64>().expect("seconds") * 1_000.0).round() as u64
}

impl Scene {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["latency"] => self.latency = true,
            [outcome @ ("ok" | "fail" | "info"), "via", rest @ ..] => {
                let nodes = rest.iter().take_while(|word| !word.contains(".."));
                let nodes: Vec<&str> = nodes.copied().collect();
                for span in &rest[nodes.len()..] {
                    for node in &nodes {
                        self.operations(outcome, node, span.trim_end_matches(','));
                    }
                }
            }
            [role @ ("leader" | "follower"), node, at] => self.roles.push(RoleChange {
                at_ns: Nanoseconds(milliseconds(at) * MS),
                node: (*node).into(),
                role: (*role).into(),
                term: None,
            }),
            [fault, nodes @ .., span] => self.fault(fault, nodes, span),
            _ => panic!("{line}: what happened?"),
        }
    }

    fn fault(&mut self, fault: &str, nodes: &[&str], span: &str) {
        let (began, ended) = span.split_once("..").expect("a span");
        self.faults.push(FaultRecord {
            id: self.faults.len() as u32,
            fault: fault.into(),
            family: Family::Process,
            target: "leader".into(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            parameters: BTreeMap::new(),
            began_ns: milliseconds(began) * MS,
            ended_ns: (!ended.is_empty()).then(|| milliseconds(ended) * MS),
            effects: Vec::new(),
            error: None,
            unhealed: false,
        });
    }

    fn operations(&mut self, outcome: &str, node: &str, span: &str) {
        let (from, to) = span.split_once("..").expect("a span");
        let (kind, took) = match outcome {
            "ok" => (EventKind::Ok, 1),
            "fail" => (EventKind::Fail, 1),
            _ => (EventKind::Info, 50),
        };
        for ended in (milliseconds(from)..=milliseconds(to)).step_by(100) {
            let invocation = Event {
                index: 0,
                time: Nanoseconds(ended.saturating_sub(took) * MS),
                process: ProcessId(self.processes),
                kind: EventKind::Invoke,
                function: Function::Read,
                key: Value::Null,
                value: Value::Null,
                swapped: None,
                saw: None,
                level: None,
                revision: None,
                node: Some(node.into()),
                error: None,
            };
            self.processes += 1;
            let answer = Event { time: Nanoseconds(ended * MS), kind, ..invocation.clone() };
            self.events.extend([invocation, answer]);
        }
    }

    fn told(mut self) -> String {
        self.events.sort_by_key(|event| event.time);
        let numbered = (0..).zip(self.events).map(|(index, event)| Event { index, ..event });
        let history = History::from_events(numbered).expect("a history");
        let mut lines = String::new();
        for recovery in Recovery::of(&history, &self.faults, &self.roles) {
            lines.push_str(&recovery.in_words());
            lines.push('\n');
            if self.latency {
                lines.push_str(&format!("  {}\n", recovery.latencies()));
            }
        }
        lines
    }
}

#[test]
fn every_panel_says_what_its_file_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/panels");
    let mut panels = 0;
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of panels") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a panel");
        let (given, wanted) = text.split_once("---\n").expect("a line between");
        let mut scene = Scene::default();
        let lines = given.lines().filter(|line| !line.starts_with('#'));
        lines.for_each(|line| scene.line(line));
        let told = scene.told();
        if told != wanted {
            wrong.push(format!("{}:\n{told}", path.display()));
        }
        panels += 1;
    }
    assert!(wrong.is_empty(), "these say instead:\n{}", wrong.join("\n"));
    assert!(panels >= 8, "only {panels} panels were found");
}
