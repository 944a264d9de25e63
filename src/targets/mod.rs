//! Systems under test: how to start a node of them and how to talk to it.
//!
//! A target is described in TOML; `raft-node` is described like any other, its description is
//! merely built in. Commands are lists of words, never shell text; a word may hold placeholders in
//! braces.

mod log;
mod upkeep;
mod words;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use partita_nemesis::{FaultKind, Ports};
use partita_reports::spec::{Description as DescribedTarget, Limit, TargetSpec};
use partita_workloads::client::{Change, PROTOCOLS, Protocol, TableError, Tables};
use serde::Deserialize;
use serde::de::IgnoredAny;
use thiserror::Error;
use toml::Spanned;

pub use self::log::LogForms;
use self::log::LogTable;
pub use self::upkeep::RestartPolicy;
use self::words::{Names as Words, expand};

use crate::unknown_name::{TOML_FILE, UnknownName};

/// The descriptions that come with the program.
const BUILT_IN: &[(&str, &str)] =
    &[("raft-node", include_str!("raft-node.toml")), ("etcd", include_str!("etcd.toml"))];

/// How to start and reach the nodes of a system under test.
#[derive(Debug, Clone)]
pub struct Target {
    /// The target's name; run folders bear it.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// The protocol that its clients speak, with the forms that the description gives.
    pub protocol: Arc<dyn Protocol>,
    /// The port that a node listens on for clients.
    pub client_port: u16,
    /// The port that a node listens on for its peers.
    pub peer_port: u16,
    /// The program and its arguments. Placeholders: `{partita}`, `{node}`, `{id}`, `{ip}`,
    /// `{advertised-ip}`, `{data}`, `{seed}`, `{client-port}`, `{peer-port}`.
    pub command: Vec<String>,
    /// Arguments added once for every node of the cluster, with that node's `{node}`, `{id}`, `{ip}`
    /// and `{advertised-ip}`.
    pub each_node: Vec<String>,
    /// Arguments added once for every planted bug, as `{mutation}`. A target without them has none.
    pub each_mutation: Vec<String>,
    /// The exit codes with which a node may end on its own. Any other end that no fault explains is a
    /// crash.
    pub expected_exits: Vec<i32>,
    /// Whether a node that ends on its own is started again.
    pub restart: RestartPolicy,
    /// What the lines of its nodes mean.
    pub log: LogForms,
    /// What it keeps.
    pub limits: Vec<Limit>,
}

/// A description as it is written. The tables of its protocol are the protocol's to read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Description {
    name: String,
    about: String,
    protocol: Spanned<String>,
    client_port: u16,
    peer_port: u16,
    command: Vec<String>,
    #[serde(default)]
    each_node: Vec<String>,
    #[serde(default)]
    each_mutation: Vec<String>,
    #[serde(default)]
    expected_exits: Vec<i32>,
    #[serde(default)]
    restart: RestartPolicy,
    #[serde(default)]
    alarm: Vec<String>,
    #[serde(default)]
    log: LogTable,
    #[serde(default)]
    limits: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default, rename = "replicas")]
    _replicas: IgnoredAny,
    #[serde(default, rename = "client")]
    _client: IgnoredAny,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
    #[serde(default, rename = "membership")]
    _membership: IgnoredAny,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub ip: Ipv4Addr,
    /// Where others reach it: behind a relay, if it is not where it listens.
    pub advertised: Ipv4Addr,
}

/// What a command line is made of besides the description.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The program that runs the controller.
    pub partita: &'a Path,
    /// The nodes of the cluster, in order. A node's id is its place, from 1.
    pub nodes: &'a [NodeAddress],
    /// The ports that they listen on.
    pub ports: Ports,
    /// The node's data directory.
    pub data: &'a Path,
    /// The run's seed.
    pub seed: u64,
    /// The planted bugs to switch on.
    pub mutations: &'a [String],
    /// What the command is given at its end.
    pub arguments: &'a [String],
}

/// Why there is no such target.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Neither a built-in name nor a file.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not describe a target.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: String,
        /// Where, and what was expected.
        source: Box<toml::de::Error>,
    },
    /// Something that makes no sense, to the target's protocol or otherwise.
    #[error("{path}:{line}: {problem}")]
    Mistake {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A fault that the target has no words for.
    #[error(
        "target `{target}` does not say how it is done to it: {fault} needs {lacks} in the table \
         [membership] of its description (docs/targets.md)"
    )]
    Lacks {
        /// The target's name.
        target: String,
        /// The fault.
        fault: FaultKind,
        /// The fields that are missing, joined by commas.
        lacks: String,
    },
    /// A word holds a placeholder that does not exist.
    #[error("{path}: `{word}` holds an unknown placeholder; known are {known}")]
    Placeholder {
        /// The file.
        path: String,
        /// The word.
        word: String,
        /// The placeholders.
        known: &'static str,
    },
}

const PLACEHOLDERS: &str = "{partita}, {node}, {id}, {ip}, {advertised-ip}, {data}, {seed}, {client-port}, {peer-port}, \
     {mutation}, and for all nodes {nodes:SEPARATOR:WORD}";

/// The names of placeholders.
const KNOWN: [&str; 10] = [
    "partita",
    "node",
    "id",
    "ip",
    "advertised-ip",
    "data",
    "seed",
    "client-port",
    "peer-port",
    "mutation",
];

/// The placeholder that tells a node where others are reached, apart from where they listen.
const ADVERTISED: &str = "{advertised-ip}";

impl Target {
    /// The built-in targets.
    ///
    /// # Panics
    ///
    /// Never: the tests parse each built-in description.
    pub fn built_in() -> Vec<Self> {
        let parse = |(name, text): &(&str, &str)| {
            Self::parse(name, text).expect("a built-in target is well described")
        };
        BUILT_IN.iter().map(parse).collect()
    }

    /// The built-in target of that name, or the one that a file describes.
    ///
    /// # Errors
    ///
    /// [`TargetError`], naming the file and what was expected.
    pub fn find(name: &str) -> Result<Self, TargetError> {
        Self::of(&Self::spec(name)?)
    }

    /// What a run's specification has of the target that [`Self::find`] finds: a built-in name, or the
    /// text of a file.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if there is no such name and no such file.
    pub fn spec(name: &str) -> Result<TargetSpec, TargetError> {
        if BUILT_IN.iter().any(|(known, _)| *known == name) {
            return Ok(TargetSpec::BuiltIn(name.to_owned()));
        }
        if !Path::new(name).exists() {
            return Err(unknown(name).into());
        }
        let unreadable = |source| TargetError::Read { path: name.to_owned(), source };
        let toml = std::fs::read_to_string(name).map_err(unreadable)?;
        let name = std::fs::canonicalize(name).map_err(unreadable)?.display().to_string();
        let files = files_of(&Self::parse(&name, &toml)?, Path::new(&name))?;
        Ok(TargetSpec::Described(DescribedTarget { name, toml, files }))
    }

    /// The target of a specification.
    ///
    /// # Errors
    ///
    /// [`TargetError`], naming what was expected.
    pub fn of(spec: &TargetSpec) -> Result<Self, TargetError> {
        match spec {
            TargetSpec::Described(DescribedTarget { name, toml, .. }) => Self::parse(name, toml),
            TargetSpec::BuiltIn(name) => {
                let (known, text) = BUILT_IN
                    .iter()
                    .find(|(known, _)| known == name)
                    .ok_or_else(|| unknown(name))?;
                Self::parse(known, text)
            }
        }
    }

    fn parse(path: &str, text: &str) -> Result<Self, TargetError> {
        let described: Description = toml::from_str(text).map_err(|source| TargetError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let Description { name, about, client_port, peer_port, .. } = described;
        let Description { command, each_node, each_mutation, expected_exits, .. } = described;
        for word in command.iter().chain(&each_node).chain(&each_mutation) {
            if words::without(word, &KNOWN).contains(['{', '}']) {
                return Err(TargetError::Placeholder {
                    path: path.to_owned(),
                    word: word.clone(),
                    known: PLACEHOLDERS,
                });
            }
        }
        let mistake = |error: TableError| TargetError::Mistake {
            path: path.to_owned(),
            line: error.line(text),
            problem: error.to_string(),
        };
        let protocol = open(&described.protocol, text).map_err(mistake)?;
        let log = described.log.forms(described.alarm).map_err(mistake)?;
        let limits = upkeep::limits(&described.limits).map_err(mistake)?;
        Ok(Self {
            name,
            about,
            protocol,
            client_port,
            peer_port,
            command,
            each_node,
            each_mutation,
            expected_exits,
            restart: described.restart,
            log,
            limits,
        })
    }

    /// What the description lacks of what `fault` needs, where that is the target's matter.
    fn lacks(&self, fault: FaultKind) -> Vec<&'static str> {
        match fault {
            fault if fault.moves_leadership() => self.protocol.lacks(Change::Transfer),
            fault if fault.changes_members() => self.protocol.lacks(Change::Add),
            _ => Vec::new(),
        }
    }

    /// Whether the description says how `fault` is done, where that is the target's matter.
    pub fn can_have(&self, fault: FaultKind) -> bool {
        self.lacks(fault).is_empty()
    }

    /// That the description does not say how `fault` is done, and what it lacks.
    pub fn refusal(&self, fault: FaultKind) -> TargetError {
        let lacks = self.lacks(fault).join(", ");
        TargetError::Lacks { target: self.name.clone(), fault, lacks }
    }

    /// The ports that its nodes listen on if they are free.
    pub fn ports(&self) -> Ports {
        Ports { clients: self.client_port, peers: self.peer_port }
    }

    /// Whether its nodes are told where to reach each other apart from where they listen, so that
    /// relays can stand between them.
    pub fn can_be_relayed(&self) -> bool {
        self.command.iter().chain(&self.each_node).any(|word| word.contains(ADVERTISED))
    }

    /// The command that starts the node in place `index` of `launch.nodes`.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn command_line(&self, index: usize, launch: &Launch<'_>) -> Vec<String> {
        let mut words = Vec::new();
        let mut names = self.names_of(index, launch);
        let all: Vec<Words> =
            (0..launch.nodes.len()).map(|other| self.names_of(other, launch)).collect();
        words.extend(self.command.iter().map(|word| expand(word, &names, &all)));
        for names in &all {
            words.extend(self.each_node.iter().map(|word| expand(word, names, &all)));
        }
        for mutation in launch.mutations {
            names.insert("mutation", mutation.clone());
            words.extend(self.each_mutation.iter().map(|word| expand(word, &names, &all)));
        }
        words.extend(launch.arguments.iter().cloned());
        words
    }

    fn names_of(&self, index: usize, launch: &Launch<'_>) -> Words {
        let NodeAddress { name, ip, advertised } = &launch.nodes[index];
        BTreeMap::from([
            ("partita", launch.partita.display().to_string()),
            ("node", name.clone()),
            ("id", (index + 1).to_string()),
            ("ip", ip.to_string()),
            ("advertised-ip", advertised.to_string()),
            ("data", launch.data.display().to_string()),
            ("seed", launch.seed.to_string()),
            ("client-port", launch.ports.clients.to_string()),
            ("peer-port", launch.ports.peers.to_string()),
        ])
    }
}

/// The files beside the description at `path` that the program of its clients consists of.
fn files_of(target: &Target, path: &Path) -> Result<BTreeMap<String, String>, TargetError> {
    let names = target.protocol.program().map_or(&[][..], |program| &program.files);
    let read = |name: &String| {
        let file = path.with_file_name(name);
        let unreadable = |source| TargetError::Read { path: file.display().to_string(), source };
        Ok((name.clone(), std::fs::read_to_string(&file).map_err(unreadable)?))
    };
    names.iter().map(read).collect()
}

/// That no target is called `name`.
fn unknown(name: &str) -> UnknownName {
    let known: Vec<String> = BUILT_IN.iter().map(|(known, _)| (*known).to_owned()).collect();
    UnknownName::new("target", name, &known, TOML_FILE)
}

/// The protocol called `name`, with the tables of the description `text` that are its own.
fn open(name: &Spanned<String>, text: &str) -> Result<Arc<dyn Protocol>, TableError> {
    let entry = PROTOCOLS.iter().find(|entry| entry.name == name.get_ref());
    let unknown = || {
        let known: Vec<String> = PROTOCOLS.iter().map(|it| it.name.to_owned()).collect();
        let problem = UnknownName::new("protocol", name.get_ref(), &known, "");
        TableError::at(name.span(), problem.to_string())
    };
    let mut tables = Tables::of(text)?;
    let protocol = (entry.ok_or_else(unknown)?.open)(&mut tables)?;
    tables.finish()?;
    Ok(protocol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use partita_nemesis::fault::membership::{ReplaceNode, TransferLeadership};
    use partita_nemesis::fault::process::Kill;

    #[test]
    fn a_node_is_told_of_every_node_and_every_planted_bug() {
        let target = Target::find("raft-node").expect("built in");
        let node = |number| NodeAddress {
            name: format!("n{number}"),
            ip: Ipv4Addr::new(127, 20, 30, number),
            advertised: Ipv4Addr::new(127, 20, 30, 100 + number),
        };
        let nodes = [node(1), node(2)];
        let launch = Launch {
            partita: Path::new("/bin/partita"),
            nodes: &nodes,
            ports: Ports { clients: 6379, peers: 7001 },
            data: Path::new("/run/n2/data"),
            seed: 7,
            mutations: &["no-log-check".to_owned()],
            arguments: &["--heartbeat=50ms".to_owned()],
        };
        let words = target.command_line(1, &launch).join(" ");
        assert_eq!(
            words,
            "/bin/partita node --id 2 --data /run/n2/data --listen 127.20.30.2:6379 \
             --peer-listen 127.20.30.2:7001 --seed 7 \
             --peer 1=127.20.30.101:7001 --client-address 1=127.20.30.101:6379 \
             --peer 2=127.20.30.102:7001 --client-address 2=127.20.30.102:6379 \
             --mutation no-log-check --heartbeat=50ms"
        );
    }

    #[test]
    fn relays_need_a_description_that_says_where_others_are_reached() {
        assert!(Target::find("raft-node").expect("built in").can_be_relayed());
        let text = include_str!("raft-node.toml").replace(ADVERTISED, "{ip}");
        assert!(!Target::parse("mine.toml", &text).expect("parses").can_be_relayed());
    }

    #[test]
    fn an_unknown_target_is_told_the_known_ones() {
        let message = Target::find("rafft-node").expect_err("misspelt").to_string();
        assert!(
            message.contains("`rafft-node`") && message.contains("mean `raft-node`"),
            "{message}"
        );
    }

    #[test]
    fn a_misspelt_placeholder_is_named() {
        let text = include_str!("raft-node.toml").replace("{data}", "{date}");
        let message = Target::parse("mine.toml", &text).expect_err("misspelt").to_string();
        assert!(message.contains("mine.toml") && message.contains("`{date}`"), "{message}");
    }

    #[test]
    fn a_missing_field_is_named_with_its_file() {
        let message = Target::parse("mine.toml", "name = \"x\"\n").expect_err("bare").to_string();
        assert!(message.contains("mine.toml") && message.contains("missing field"), "{message}");
    }

    const PLAIN: &str = "name = \"mine\"\nabout = \"x\"\nprotocol = \"resp\"\nclient-port = 1\n\
                         peer-port = 2\ncommand = [\"/bin/mine\"]\n";

    #[test]
    fn an_unknown_protocol_is_named_with_its_line_and_the_known_ones() {
        let text = PLAIN.replace("resp", "rsep");
        let message = Target::parse("mine.toml", &text).expect_err("misspelt").to_string();
        assert!(message.starts_with("mine.toml:3: unknown protocol `rsep`"), "{message}");
        assert!(message.ends_with("did you mean `resp`?"), "{message}");
    }

    #[test]
    fn what_the_protocol_makes_no_sense_of_is_named_with_its_line() {
        let cases = [
            ("[membership]\nadd = []", "mine.toml:8: an empty command"),
            ("[membership]\ndrop = [\"D\"]", "mine.toml:8: unknown field `drop`"),
            ("[status]\nleader = \"t\"", "mine.toml:8: \"t\" is no line"),
        ];
        for (table, expected) in cases {
            let text = format!("{PLAIN}{table}\n");
            let message = Target::parse("mine.toml", &text).expect_err(table).to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_fault_is_told_what_the_description_lacks() {
        let bare = Target::parse("mine.toml", PLAIN).expect("a target");
        assert_eq!(bare.lacks(TransferLeadership::KIND), ["transfer"]);
        let everything = ["add", "remove", "members", "member", "voter"];
        assert_eq!(bare.lacks(ReplaceNode::KIND), everything);
        assert!(bare.can_have(Kill::KIND));
        let own = Target::find("raft-node").expect("built in");
        assert!(partita_nemesis::FAULTS.into_iter().all(|fault| own.can_have(fault)));
    }
}
