//! What a run is asked to do: one typed value, the content of `spec.json`.
//!
//! A specification is complete. Every field stands in it, what is random is drawn from its seed, and
//! the target's description and a schedule that was written down are parts of it, so that the document
//! alone is enough to do the run again, on another machine as well. What is left out on the command line
//! comes from [`defaults`] when the specification is made, not when it is played.
//!
//! Where the run's files go and how its result is printed is no part of it. `docs/run-spec.md` is the
//! contract.

mod limits;
mod units;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use limits::{Limit, LimitError, Measure};
pub use units::{Bytes, Milliseconds, NotMilliseconds};

/// The number of the form that this version writes, and the newest that it reads. It is raised when an
/// older reader would misunderstand a document.
pub const FORMAT: u32 = 1;

/// What a run is asked unless told otherwise.
pub mod defaults {
    use super::{Bytes, Milliseconds};

    /// The built-in target.
    pub const TARGET: &str = "raft-node";
    /// How many nodes.
    pub const NODES: u32 = 3;
    /// What clients do.
    pub const WORKLOAD: &str = "register";
    /// Operations a second that all clients together aim at.
    pub const RATE: f64 = 500.0;
    /// Which faults are drawn.
    pub const FAULTS: &str = "default";
    /// How long clients and faults are at work.
    pub const TIME: Milliseconds = Milliseconds::seconds(20);
    /// How long a client waits for a reply.
    pub const REPLY_TIMEOUT: Milliseconds = Milliseconds::seconds(1);
    /// How long the checker may search.
    pub const CHECK_TIMEOUT: Milliseconds = Milliseconds::seconds(60);
    /// The most that is kept of what a node writes to its standard streams.
    pub const NODE_LOG_LIMIT: Bytes = Bytes(256 << 20);

    /// Operations a second that one client is good for when the cluster is healthy.
    const RATE_OF_A_CLIENT: f64 = 40.0;
    /// The fewest clients: enough to keep several operations open on one key.
    const FEWEST_CLIENTS: u32 = 15;

    /// How many clients a rate needs.
    pub fn clients(rate: f64) -> u32 {
        let wanted = (rate / RATE_OF_A_CLIENT).ceil().min(f64::from(*super::CLIENTS.end()));
        (wanted as u32).max(FEWEST_CLIENTS)
    }
}

/// How many nodes a run can have.
pub const NODES: RangeInclusive<u32> = 1..=9;

/// How many clients a run can have.
pub const CLIENTS: RangeInclusive<u32> = 1..=2_000;

/// How many clients can share a connection.
pub const PIPELINE: RangeInclusive<u32> = 1..=64;

/// The least that can be kept of a node's output.
pub const LEAST_NODE_LOG_LIMIT: Bytes = Bytes(512 << 10);

/// Everything that decides a run, besides chance in the processes themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The number of the document's form: [`FORMAT`].
    pub format: u32,
    /// The system under test.
    pub target: TargetSpec,
    /// How the nodes' hosts are made.
    pub lab: LabChoice,
    /// How many nodes: one of [`NODES`].
    pub nodes: u32,
    /// Words that every node's command is given at its end.
    pub node_arguments: Vec<String>,
    /// Planted bugs to switch on.
    pub mutations: Vec<String>,
    /// What clients do, by the workload's name.
    pub workload: String,
    /// The rate that all clients together aim at, in operations a second; greater than zero.
    #[serde(rename = "rate_per_s")]
    pub rate: f64,
    /// How many clients: one of [`CLIENTS`].
    pub clients: u32,
    /// When clients ask.
    #[serde(default)]
    pub load: LoadShape,
    /// How many clients share a connection, each with a request in flight on it: one of [`PIPELINE`].
    #[serde(default = "alone")]
    pub pipeline: u32,
    /// Where the faults come from.
    pub faults: FaultsSpec,
    /// How long clients and faults are at work; at least 1 ms.
    #[serde(rename = "time_ms")]
    pub time: Milliseconds,
    /// Where everything random comes from.
    pub seed: u64,
    /// How long a client waits for a reply before the outcome is unknown; at least 1 ms.
    #[serde(rename = "reply_timeout_ms")]
    pub reply_timeout: Milliseconds,
    /// How long the checker may search before it gives up as unknown; at least 1 ms.
    #[serde(rename = "check_timeout_ms")]
    pub check_timeout: Milliseconds,
    /// What to do when something is found.
    #[serde(default)]
    pub on_finding: OnFinding,
    /// What the store is to keep besides what its description says; of the same measure and fault, these
    /// count instead.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Whether to capture what links deliver.
    pub pcap: bool,
    /// Whether to keep the nodes' data even if nothing went wrong.
    pub keep_data: bool,
    /// The most that is kept of what a node writes to its standard streams; at least
    /// [`LEAST_NODE_LOG_LIMIT`].
    #[serde(rename = "node_log_limit_bytes")]
    pub node_log_limit: Bytes,
}

/// How many clients a connection has that is not shared.
const fn alone() -> u32 {
    1
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            format: FORMAT,
            target: TargetSpec::BuiltIn(defaults::TARGET.to_owned()),
            lab: LabChoice::Auto,
            nodes: defaults::NODES,
            node_arguments: Vec::new(),
            mutations: Vec::new(),
            workload: defaults::WORKLOAD.to_owned(),
            rate: defaults::RATE,
            clients: defaults::clients(defaults::RATE),
            load: LoadShape::default(),
            pipeline: alone(),
            faults: FaultsSpec::Draw(defaults::FAULTS.to_owned()),
            time: defaults::TIME,
            seed: 0,
            reply_timeout: defaults::REPLY_TIMEOUT,
            check_timeout: defaults::CHECK_TIMEOUT,
            on_finding: OnFinding::default(),
            limits: Vec::new(),
            pcap: false,
            keep_data: false,
            node_log_limit: defaults::NODE_LOG_LIMIT,
        }
    }
}

/// The system under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetSpec {
    /// One that comes with the program, by its name.
    BuiltIn(String),
    /// One that a file describes.
    Described(Description),
}

/// Where the faults of a run come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultsSpec {
    /// They are drawn from the seed, out of this set: `default`, `partition,kill`, `none`.
    Draw(String),
    /// They are those of a schedule.
    Schedule(Document),
}

/// A target's description, with what it needs besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The file that it was read from. It need not exist any more.
    pub name: String,
    /// The whole text, in TOML.
    pub toml: String,
    /// The files beside it that it names, whole, by their names: those of a program that speaks for clients.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// A text that a run needs, with what it is called in messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The file that it was read from, or the name of a recipe. It need not exist any more.
    pub name: String,
    /// The whole text, in TOML.
    pub toml: String,
}

/// When clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadShape {
    /// Each client asks at its own pace, once it has the reply to what it asked before: a slow store is asked
    /// less.
    #[default]
    Closed,
    /// Requests come at random at the rate, whatever became of those before: each is given to a client that
    /// is free, and is shed if none is.
    Open,
}

impl LoadShape {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// What to do when something is found while a run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFinding {
    /// See the run through.
    #[default]
    Continue,
    /// End the run, and look for violations while it is going on.
    Stop,
    /// The same, but first keep the cluster as it is until the run is interrupted.
    Hold,
}

impl OnFinding {
    /// Whether the run goes no further.
    pub fn stops(self) -> bool {
        self != Self::Continue
    }
}

/// Which lab is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabChoice {
    /// The best that the machine allows. A run's folder says which that was.
    #[default]
    Auto,
    /// Hosts of namespaces, joined by a switch.
    Namespaces,
    /// Hosts of loopback addresses, joined by relays.
    Proxies,
    /// Hosts of loopback addresses, joined by nothing.
    Signals,
}

/// Why a text is no specification that can be played.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// No JSON, or not these fields.
    #[error("expected a run's specification (docs/run-spec.md): {0}")]
    Parse(#[from] serde_json::Error),
    /// It was written by a newer version.
    #[error("it has format {0}, and this version reads format {FORMAT} and older")]
    Newer(u32),
    /// A value that is out of its range.
    #[error("{field}: expected {expected}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it can be.
        expected: String,
    },
}

/// What is read first: the rest may be of a form that is not known here.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl RunSpec {
    /// Reads a specification.
    ///
    /// # Errors
    ///
    /// [`SpecError`] if it is not one, is of a newer format, or holds a value that is out of range.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let Header { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(SpecError::Newer(format));
        }
        let spec: Self = serde_json::from_str(text)?;
        spec.check()?;
        Ok(spec)
    }

    /// Checks that every number is in its range.
    ///
    /// # Errors
    ///
    /// [`SpecError::Range`], naming the first field that is not.
    pub fn check(&self) -> Result<(), SpecError> {
        let within = |range: &RangeInclusive<u32>| format!("{} to {}", range.start(), range.end());
        let limit = LEAST_NODE_LOG_LIMIT;
        let checks = [
            ("format", self.format >= 1, "1 or more".to_owned()),
            ("nodes", NODES.contains(&self.nodes), within(&NODES)),
            ("clients", CLIENTS.contains(&self.clients), within(&CLIENTS)),
            ("pipeline", PIPELINE.contains(&self.pipeline), within(&PIPELINE)),
            ("rate_per_s", self.rate > 0.0 && self.rate.is_finite(), "more than 0".to_owned()),
            ("time_ms", self.time.0 > 0, "more than 0".to_owned()),
            ("reply_timeout_ms", self.reply_timeout.0 > 0, "more than 0".to_owned()),
            ("check_timeout_ms", self.check_timeout.0 > 0, "more than 0".to_owned()),
            ("node_log_limit_bytes", self.node_log_limit >= limit, format!("at least {}", limit.0)),
        ];
        match checks.into_iter().find(|(_, is_right, _)| !is_right) {
            Some((field, _, expected)) => Err(SpecError::Range { field, expected }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(spec: &RunSpec) -> String {
        serde_json::to_string(spec).expect("JSON")
    }

    #[test]
    fn a_specification_is_read_as_it_was_written() {
        let (name, toml) = ("a.toml".to_owned(), "name = \"a\"\n".to_owned());
        let files = BTreeMap::from([("a.py".to_owned(), "print(1)\n".to_owned())]);
        let target = Description { name: name.clone(), toml: toml.clone(), files };
        let schedule = Document { name, toml };
        let specs = [
            RunSpec::default(),
            RunSpec {
                target: TargetSpec::Described(target),
                faults: FaultsSpec::Schedule(schedule),
                lab: LabChoice::Proxies,
                rate: 0.25,
                load: LoadShape::Open,
                pipeline: 16,
                seed: u64::MAX,
                mutations: vec!["no-log-check".to_owned()],
                on_finding: OnFinding::Hold,
                limits: vec!["unavailable < 2s under isolate".parse().expect("a limit")],
                ..RunSpec::default()
            },
        ];
        for spec in specs {
            assert_eq!(RunSpec::parse(&written(&spec)).expect("a specification"), spec);
        }
    }

    #[test]
    fn the_form_is_the_one_that_the_contract_shows() {
        let contract = include_str!("../../docs/run-spec.md");
        let (_, example) = contract.split_once("```json\n").expect("an example");
        let (example, _) = example.split_once("```").expect("its end");
        let spec = RunSpec::parse(example).expect("a specification");
        assert_eq!(spec, RunSpec { seed: 7, ..RunSpec::default() });
        let pretty = serde_json::to_string_pretty(&spec).expect("JSON");
        assert_eq!(example.trim(), pretty, "every field, in its order");
    }

    #[test]
    fn what_is_not_understood_is_refused_and_named() {
        let problem = |text: &str| RunSpec::parse(text).expect_err("refused").to_string();
        let whole = written(&RunSpec::default());
        let with = |from: &str, to: &str| {
            assert!(whole.contains(from), "{from}: {whole}");
            problem(&whole.replace(from, to))
        };
        assert!(with("\"pcap\"", "\"pacp\"").contains("`pacp`"));
        assert!(with("\"seed\":0,", "").contains("`seed`"));
        let older = whole.replace("\"load\":\"closed\",\"pipeline\":1,", "");
        assert_ne!(older, whole);
        assert_eq!(RunSpec::parse(&older).expect("of an earlier version"), RunSpec::default());
        assert!(with("\"format\":1", "\"format\":2").contains("format 2"));
        assert!(with("\"nodes\":3", "\"nodes\":10").contains("nodes: expected 1 to 9"));
        assert!(with("\"rate_per_s\":500.0", "\"rate_per_s\":0").contains("rate_per_s"));
        assert!(with("\"pipeline\":1", "\"pipeline\":0").contains("pipeline: expected 1 to 64"));
        assert!(with("\"time_ms\":20000", "\"time_ms\":0").contains("time_ms"));
        assert!(with("268435456", "1000").contains("at least 524288"));
        assert!(problem("{}").contains("`format`"));
    }

    #[test]
    fn a_high_rate_brings_more_clients_and_no_rate_too_many() {
        let clients = [1.0, 500.0, 3_000.0, 1e12].map(defaults::clients);
        assert_eq!(clients, [15, 15, 75, 2_000]);
    }
}
