//! All that can be named on the command line, with what there is to say of it.

use clap::ValueEnum;
use partita_checker::formats::Format;
use partita_checker::objects::{OBJECTS, ObjectEntry};
use partita_checker::{ENGINES, ISOLATION_LEVELS, Level, MODELS};
use partita_nemesis::recipes::{self, RECIPES};
use partita_nemesis::{FAULT_SETS, FAULTS, Family, FaultKind, LabBackend};
use partita_raft_node::mutations::{self, MutationInfo, Shows};
use partita_raft_node::sim::scenarios::scenarios;
use partita_workloads::WorkloadInfo;
use partita_workloads::catalogue;
use serde_json::{Map, Value, json};

use crate::names::Names;
use crate::targets::{OwnFault, Target};

/// The kinds of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Systems under test, for `--target`.
    Targets,
    /// What clients do, for `--workload`.
    Workloads,
    /// What a history can be about, for `check --model`.
    Models,
    /// How a history is written down, for `check --format`.
    Formats,
    /// What a store or its transactions may promise, for `check --level`.
    Levels,
    /// What decides, for `check --engine`.
    Engines,
    /// What breaks nodes and links, for `--nemesis`.
    Faults,
    /// Schedules that come with the program, for `--schedule`.
    Recipes,
    /// Planted bugs of raft-node, for `--mutation`.
    Mutations,
    /// What the simulator runs, for `simulate --test`.
    Scenarios,
}

/// A heading with what stands below it.
pub struct Section {
    /// What `--json` calls the list that the entries belong to.
    pub key: &'static str,
    /// The heading.
    pub heading: String,
    /// The entries, in order.
    pub entries: Vec<Entry>,
}

/// Something that has a name.
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// What else it is called.
    pub aliases: Vec<&'static str>,
    /// What a list says below the name.
    pub notes: Vec<String>,
    /// What there is to say of it alone: headings and texts.
    pub details: Vec<(&'static str, String)>,
    /// What JSON says besides name and line.
    fields: Map<String, Value>,
}

impl Kind {
    /// The word on the command line, which is also the list's name in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Targets => "targets",
            Self::Workloads => "workloads",
            Self::Models => "models",
            Self::Formats => "formats",
            Self::Levels => "levels",
            Self::Engines => "engines",
            Self::Faults => "faults",
            Self::Recipes => "recipes",
            Self::Mutations => "mutations",
            Self::Scenarios => "scenarios",
        }
    }

    /// The names of the kind.
    pub const fn names(self) -> Names {
        match self {
            Self::Targets => Names::Targets,
            Self::Workloads => Names::Workloads,
            Self::Models => Names::Models,
            Self::Formats => Names::Formats,
            Self::Levels => Names::Levels,
            Self::Engines => Names::Engines,
            Self::Faults => Names::Faults,
            Self::Recipes => Names::Recipes,
            Self::Mutations => Names::Mutations,
            Self::Scenarios => Names::Scenarios,
        }
    }
}

impl Entry {
    fn new(name: &str, about: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            aliases: Vec::new(),
            notes: Vec::new(),
            details: Vec::new(),
            fields: Map::new(),
        }
    }

    fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    fn detail(mut self, what: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.details.push((what, text));
        }
        self
    }

    /// Whether this is a name of it.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// All of it as JSON.
    pub fn into_json(self) -> Value {
        let mut fields = self.fields;
        fields.insert("name".to_owned(), json!(self.name));
        fields.insert("about".to_owned(), json!(self.about));
        Value::Object(fields)
    }
}

/// Everything of a kind.
pub fn sections(kind: Kind) -> Vec<Section> {
    let one = |heading: &str, entries: Vec<Entry>| {
        vec![Section { key: kind.word(), heading: heading.to_owned(), entries }]
    };
    match kind {
        Kind::Targets => one("targets (--target)", targets()),
        Kind::Workloads => one("workloads (--workload)", workloads()),
        Kind::Models => one("models (check --model)", models()),
        Kind::Formats => one("formats (check --format)", formats()),
        Kind::Levels => vec![
            Section {
                key: "levels",
                heading: "levels of operations on single keys (check --level)".to_owned(),
                entries: levels(),
            },
            Section {
                key: "isolation-levels",
                heading: "isolation levels of transactions (check --level)".to_owned(),
                entries: isolation_levels(),
            },
        ],
        Kind::Engines => one("engines (check --engine)", engines()),
        Kind::Faults => faults(),
        Kind::Recipes => one("recipes (--schedule)", recipes()),
        Kind::Mutations => one("planted bugs of raft-node (--mutation)", mutations()),
        Kind::Scenarios => one("scenarios (simulate --test)", scenario_entries()),
    }
}

fn targets() -> Vec<Entry> {
    let entry = |target: Target| {
        Entry::new(&target.name, &target.about)
            .detail("command", target.command.written())
            .detail("each node", target.each_node.written())
            .detail("try it", format!("partita run --target {}", target.name))
    };
    Target::built_in().into_iter().map(entry).collect()
}

fn workloads() -> Vec<Entry> {
    catalogue::all().map(workload).collect()
}

fn workload(it: &WorkloadInfo) -> Entry {
    let needs: Vec<&str> = it.needs().collect();
    Entry::new(it.name, it.about)
        .field("model", json!(it.model.to_string()))
        .field("needs", json!(needs))
        .detail("checked as", it.model.to_string())
        .detail("needs", needs.join(", "))
        .detail("try it", format!("partita run --workload {}", it.name))
}

/// The workloads, and of each whether it fits `target` or what the target's protocol lacks for it.
pub fn workloads_for(target: &Target) -> Section {
    let entry = |it: &WorkloadInfo| {
        let lacks = it.lacking(target.protocol.as_ref());
        let fits = match &lacks[..] {
            [] => "fits".to_owned(),
            lacks => format!("does not fit: the protocol has no {}", lacks.join(", no ")),
        };
        workload(it)
            .field("fits", json!(lacks.is_empty()))
            .field("lacks", json!(lacks))
            .detail("fit", fits.clone())
            .note(fits)
    };
    let heading = format!("workloads for {} (--workload)", target.name);
    let entries = catalogue::all().map(entry).collect();
    Section { key: Kind::Workloads.word(), heading, entries }
}

fn models() -> Vec<Entry> {
    let entry = |it: &partita_checker::ModelEntry| {
        let functions: Vec<String> = it.functions.iter().map(ToString::to_string).collect();
        let mut entry = Entry::new(it.name, it.about)
            .field("aliases", json!(it.aliases))
            .field("functions", json!(functions))
            .detail("also called", it.aliases.join(", "))
            .detail("operations", functions.join(", "))
            .detail("try it", format!("partita generate --model {}", it.name));
        entry.aliases = it.aliases.to_vec();
        match it.aliases {
            [] => entry,
            aliases => entry.note(format!("also called {}", aliases.join(", "))),
        }
    };
    let object = |it: &ObjectEntry| {
        let functions: Vec<String> = it.functions.iter().map(ToString::to_string).collect();
        let mut entry = Entry::new(it.name, it.about)
            .field("aliases", json!(it.aliases))
            .field("functions", json!(functions))
            .detail("also called", it.aliases.join(", "))
            .detail("operations", functions.join(", "))
            .detail("try it", format!("partita check --model {} HISTORY", it.name));
        entry.aliases = it.aliases.to_vec();
        match it.aliases {
            [] => entry,
            aliases => entry.note(format!("also called {}", aliases.join(", "))),
        }
    };
    MODELS.iter().map(entry).chain(OBJECTS.iter().map(object)).collect()
}

fn formats() -> Vec<Entry> {
    let about = |format: &Format| match format {
        Format::JsonLines => "JSON lines, one event a line: this program's own",
        Format::Edn => "EDN maps, as Jepsen and Knossos write them",
        Format::JepsenLog => "the lines that Jepsen logs",
        Format::PorcupineKv => "EDN maps of :get, :put and :append, as in Porcupine's tests",
        Format::Fastlin => "intervals of one stack or queue, for fastlin",
        Format::EtcdOperations => "what etcd's robustness tests record, operations.json",
        Format::S2 => "what S2's verification collects of a stream",
    };
    Format::ALL.iter().map(|format| Entry::new(format.name(), about(format))).collect()
}

fn levels() -> Vec<Entry> {
    let entry = |level: &Level| {
        let weaker = Level::ALL.iter().filter(|other| *other != level && level.implies(**other));
        let implies: Vec<String> = weaker.map(ToString::to_string).collect();
        let name = level.to_string();
        Entry::new(&name, level.about())
            .field("implies", json!(implies))
            .detail("implies", implies.join(", "))
            .detail("try it", format!("partita check --level {name} history.jsonl"))
    };
    Level::ALL.iter().map(entry).collect()
}

fn isolation_levels() -> Vec<Entry> {
    let entry = |it: &partita_checker::isolation::IsolationEntry| {
        let implies: Vec<&str> = it.implies.iter().map(|level| level.name()).collect();
        let mut entry = Entry::new(it.name, it.about)
            .field("aliases", json!(it.aliases))
            .field("implies", json!(implies))
            .detail("also called", it.aliases.join(", "))
            .detail("implies", implies.join(", "))
            .detail("try it", format!("partita check --level {} history.jsonl", it.name));
        entry.aliases = it.aliases.to_vec();
        entry
    };
    ISOLATION_LEVELS.iter().map(entry).collect()
}

fn engines() -> Vec<Entry> {
    ENGINES.iter().map(|it| Entry::new(it.name, it.about)).collect()
}

fn recipes() -> Vec<Entry> {
    let entry = |(name, text): &(&str, &str)| {
        let recipe = recipes::find(name).unwrap_or_default();
        let nodes = recipe.nodes.map(|nodes| nodes.to_string()).unwrap_or_default();
        Entry::new(name, &recipe.about)
            .field("nodes", json!(recipe.nodes))
            .field("workload", json!(recipe.workload))
            .field("schedule", json!(text))
            .detail("nodes", nodes)
            .detail("try it", format!("partita run --schedule {name}"))
            .detail("schedule", *text)
    };
    RECIPES.iter().map(entry).collect()
}

fn mutations() -> Vec<Entry> {
    let entry = |it: &MutationInfo| {
        let shows: Vec<&str> = it.shows.iter().map(|shows| shown_by(*shows)).collect();
        Entry::new(it.name, it.wrong)
            .field("exposed_by", json!(it.fault))
            .field("shows", json!(shows))
            .field("seen_in", json!(it.seen_in))
            .note(format!("exposed by: {}", it.fault))
            .detail("exposed by", it.fault)
            .detail("shows in", shows.join("; "))
            .detail("seen in", it.seen_in.join(", "))
            .detail("try it", format!("partita simulate --mutation {}", it.name))
    };
    mutations::table().iter().map(entry).collect()
}

const fn shown_by(shows: Shows) -> &'static str {
    match shows {
        Shows::Clients => "what clients see",
        Shows::WhiteBox => "an invariant inside the servers",
        Shows::Liveness => "no progress after all faults are healed",
        Shows::Crash => "a server that ends on its own",
        Shows::Resources => "a server that uses ever more memory",
    }
}

fn scenario_entries() -> Vec<Entry> {
    let entry = |it: &partita_raft_node::sim::Scenario| {
        Entry::new(it.name, it.about)
            .field("group", json!(it.group.name()))
            .detail("group", it.group.name())
            .detail("try it", format!("partita simulate --test {}", it.name))
    };
    scenarios().iter().map(entry).collect()
}

fn faults() -> Vec<Section> {
    let sets = FAULT_SETS.iter().map(|it| {
        let try_it = format!("partita run --nemesis {}", it.name);
        Entry::new(it.name, it.summary).detail("try it", try_it)
    });
    let mut sections = vec![Section {
        key: "fault_sets",
        heading: "fault sets and faults (--nemesis, one or several joined by commas)".to_owned(),
        entries: sets.collect(),
    }];
    let mut family = None;
    for fault in FAULTS {
        if family.replace(fault.family()) != Some(fault.family()) {
            let heading = format!("faults: {}", heading_of(fault.family()));
            sections.push(Section { key: Kind::Faults.word(), heading, entries: Vec::new() });
        }
        if let Some(section) = sections.last_mut() {
            section.entries.push(fault_entry(fault));
        }
    }
    sections
}

/// The faults, and of each whether `target` can have it and promises to survive it; those of its description first.
pub fn faults_for(target: &Target) -> Vec<Section> {
    let own = target.own_faults.iter();
    let entry = |own: &OwnFault| {
        let entry = fault_entry(FaultKind::named(&own.name)?);
        let drawn = if own.in_all { "in `all`" } else { "by its name only" };
        Some(entry.field("in_all", json!(own.in_all)).note(drawn.to_owned()).detail("drawn", drawn))
    };
    let entries: Vec<Entry> = own.filter_map(entry).collect();
    let mut sections = faults();
    for entry in sections.iter_mut().skip(1).flat_map(|section| &mut section.entries) {
        let Some(fault) = FaultKind::named(&entry.name) else { continue };
        let fit = match (target.can_have(fault), target.promises.hold(fault)) {
            (false, _) => target.refusal(fault).to_string(),
            (true, false) => format!("{} does not promise to survive it", target.name),
            (true, true) => continue,
        };
        entry.notes.push(fit);
    }
    if !entries.is_empty() {
        let heading = format!("faults: {}", heading_of(Family::Described));
        sections.insert(1, Section { key: Kind::Faults.word(), heading, entries });
    }
    sections
}

fn fault_entry(fault: FaultKind) -> Entry {
    let backends = LabBackend::ALL.into_iter().filter(|backend| fault.fits(*backend));
    let labs: Vec<&str> = backends.map(LabBackend::name).collect();
    let listed = fault.parameters();
    let parameters: Vec<Value> = listed
        .iter()
        .map(|it| {
            json!({
                "name": it.name, "about": it.summary, "unit": it.unit, "default": it.default,
            })
        })
        .collect();
    let drawn = fault.description().drawn;
    let mut entry = Entry::new(fault.name(), fault.description().summary)
        .field("family", json!(fault.family()))
        .field("labs", json!(labs))
        .field("shortest_ms", json!(drawn.shortest_ms))
        .field("longest_ms", json!(drawn.longest_ms))
        .field("parameters", json!(parameters))
        .detail("breaks", heading_of(fault.family()))
        .detail("drawn for", format!("{} ms to {} ms", drawn.shortest_ms, drawn.longest_ms))
        .detail("labs", labs.join(", "));
    for it in listed {
        let text = format!("{}; {} (default {})", it.summary, it.unit, it.default);
        entry = entry.note(format!("{}: {text}", it.name)).detail(it.name, text);
    }
    entry.detail("try it", format!("partita run --nemesis {}", fault.name()))
}

/// What a family of faults breaks.
const fn heading_of(family: Family) -> &'static str {
    match family {
        Family::Partition => "partitions (who hears whom)",
        Family::Link => "links (how well they carry)",
        Family::Process => "processes (who runs)",
        Family::Clock => "clocks (what time it is)",
        Family::Disk => "disks (what is kept)",
        Family::Membership => "membership (who belongs to the cluster)",
        Family::Described => "the description's own (what it says)",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use partita_workloads::client::{
        Admin, Change, Client, ClientOptions, Dial, Endpoint, Probe, Protocol, RetryPolicy,
    };

    use super::*;

    #[test]
    fn what_does_not_fit_a_target_is_told_with_what_is_missing() {
        let mut target = Target::find("raft-node").expect("built in");
        let fits = |target: &Target| -> Vec<String> {
            workloads_for(target).entries.into_iter().flat_map(|entry| entry.notes).collect()
        };
        assert_eq!(fits(&target), vec!["fits"; catalogue::all().count()]);
        target.protocol = std::sync::Arc::new(ReadsAlone);
        let expected = "does not fit: the protocol has no write, no compare-and-set";
        assert_eq!(fits(&target)[0], expected);
        let retry = catalogue::all().position(|it| it.name == "retry").expect("a workload");
        let expected = "does not fit: the protocol has no append, no retries in sessions";
        assert_eq!(fits(&target)[retry], expected);
    }

    /// A protocol that can ask for reads and nothing else.
    #[derive(Debug)]
    struct ReadsAlone;

    impl Protocol for ReadsAlone {
        fn supports(&self, kind: partita_workloads::Kind) -> bool {
            kind == partita_workloads::Kind::Read
        }

        fn supports_retry(&self, policy: RetryPolicy) -> bool {
            policy == RetryPolicy::Never
        }

        fn client(&self, _: &Endpoint, _: &Dial, _: ClientOptions) -> Box<dyn Client> {
            unreachable!("nothing is run")
        }

        fn probe(&self, _: &Endpoint, _: &Dial, _: Duration) -> Option<Box<dyn Probe>> {
            None
        }

        fn admin(&self, _: &Endpoint, _: &Dial) -> Option<Box<dyn Admin>> {
            None
        }

        fn lacks(&self, _: Change) -> Vec<&'static str> {
            Vec::new()
        }
    }

    #[test]
    fn every_name_that_is_known_is_listed() {
        for kind in Kind::value_variants() {
            let entries: Vec<Entry> =
                sections(*kind).into_iter().flat_map(|section| section.entries).collect();
            let groups = ["2A", "2B", "2C", "2D", "3", "all"];
            for name in kind.names().all() {
                let is_listed = entries.iter().any(|entry| entry.is_called(&name));
                let is_group = *kind == Kind::Scenarios && groups.contains(&name.as_str());
                assert!(is_listed || is_group, "{kind:?} {name}");
            }
            assert!(entries.iter().all(|entry| !entry.about.is_empty()), "{kind:?}");
        }
    }
}
