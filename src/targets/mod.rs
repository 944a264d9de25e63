//! Systems under test: how to start a node of them and how to talk to it.
//!
//! A target is described in TOML; `raft-node` is described like any other, its description is
//! merely built in. Commands are lists of words, never shell text; a word may hold placeholders in
//! braces.

mod beginning;
mod command;
mod error;
mod launch;
mod log;
mod other_program;
mod own_faults;
mod ports;
mod programs;
mod promises;
mod upkeep;
mod user;
mod variation;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::{FaultKind, FaultSet};
use partita_reports::spec::{Description as DescribedTarget, Limit, TargetSpec};
use partita_workloads::client::secrets;
use partita_workloads::client::{Change, PROTOCOLS, Protocol, TableError, Tables};
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

pub use self::beginning::{BEGINNINGS, Beginning, Wanted};
pub use self::command::{Command, FileText, Step, When};
pub use self::log::LogForms;
use self::log::LogTable;
pub use self::other_program::with_program;
pub use self::own_faults::{Act, OwnFault, Words};
pub use self::upkeep::RestartPolicy;
pub use self::user::ProgramUser;
pub use self::variation::Variation;
use self::variation::WrittenVariation;
pub use error::TargetError;
pub use launch::{Launch, Launched, NodeAddress};
pub use ports::Ports;
pub use programs::SidecarForm;
pub use promises::Promises;

use crate::unknown_name::{TOML_FILE, UnknownName};
use command::Span;

/// The descriptions that come with the program.
const BUILT_IN: &[(&str, &str)] = &[
    ("raft-node", include_str!("raft-node.toml")),
    ("etcd", include_str!("etcd.toml")),
    ("redis", include_str!("redis.toml")),
    ("redis-sentinel", include_str!("redis-sentinel.toml")),
    ("valkey", include_str!("valkey.toml")),
];

/// How to start and reach the nodes of a system under test.
#[derive(Debug, Clone)]
pub struct Target {
    /// The target's name; run folders bear it.
    pub name: String,
    /// What it is, in a line.
    pub about: String,
    /// The protocol that its clients speak, with the forms that the description gives.
    pub protocol: Arc<dyn Protocol>,
    /// The ports that a node listens on.
    pub ports: Ports,
    /// The program and its arguments.
    pub command: Command,
    /// Arguments added once for every node of the cluster, with that node's `{node}`, `{id}`, `{ip}`
    /// and `{advertised-ip}`.
    pub each_node: Command,
    /// Arguments added once for every planted bug, as `{mutation}`. A target without them has none.
    pub each_mutation: Command,
    /// What is added to the environment of all its programs.
    pub environment: BTreeMap<String, String>,
    /// Where the program runs: in the node's folder without it.
    pub directory: Option<String>,
    /// As whom its programs run, if not as the controller's user.
    pub user: Option<ProgramUser>,
    /// Files that are written before the first start, by path.
    pub files: BTreeMap<String, FileText>,
    /// What is run once, in this order.
    pub prepare: Vec<Step>,
    /// What runs beside it on every host.
    pub sidecars: Vec<SidecarForm>,
    /// What asks a node to end, in place of SIGTERM.
    pub stop_command: Option<Command>,
    /// What prints the version of the program.
    pub version_command: Option<Command>,
    /// How long the nodes may take to be ready, if that is not the usual time.
    pub start_limit: Option<Duration>,
    /// The names of the secrets that it needs, which the environment holds.
    pub secrets: Vec<String>,
    /// Faults of its own.
    pub own_faults: Vec<OwnFault>,
    /// What it promises to survive.
    pub promises: Promises,
    /// Which node clients talk to.
    pub talk_to: TalkTo,
    /// Which nodes the final operations go through.
    pub final_reads: FinalReads,
    /// The exit codes with which a node may end on its own. Any other end that no fault explains is a
    /// crash.
    pub expected_exits: Vec<i32>,
    /// Whether a node that ends on its own is started again.
    pub restart: RestartPolicy,
    /// Whether the role and the term that a node tells in one status are of one moment.
    pub coherent_status: bool,
    /// What the lines of its nodes mean.
    pub log: LogForms,
    /// What it keeps.
    pub limits: Vec<Limit>,
    /// In what a default run may vary its nodes: for each name the choices, of which one is drawn.
    pub variations: BTreeMap<String, Vec<Variation>>,
}

/// Which node a client talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TalkTo {
    /// Always the same: clients are dealt out over all nodes.
    #[default]
    OwnNode,
    /// The one that leads, as the nodes' status says; its own as long as none ever did.
    Leader,
}

/// Which nodes the final operations of a run go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinalReads {
    /// All of them: each must answer.
    #[default]
    EveryNode,
    /// Any that answers, the leader first.
    AnyNode,
}

/// A description as it is written. The tables of its protocol are the protocol's to read.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Description {
    name: String,
    about: String,
    protocol: Spanned<String>,
    ports: Ports,
    command: Spanned<Command>,
    #[serde(default)]
    each_node: Command,
    #[serde(default)]
    each_mutation: Command,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    directory: Option<String>,
    user: Option<Spanned<String>>,
    #[serde(default)]
    files: BTreeMap<String, FileText>,
    #[serde(default)]
    prepare: Vec<Step>,
    #[serde(default, rename = "sidecar")]
    sidecars: Vec<SidecarForm>,
    stop_command: Option<Command>,
    version_command: Option<Command>,
    start_limit: Option<Span>,
    #[serde(default, rename = "fault")]
    own_faults: Vec<OwnFault>,
    #[serde(default)]
    promises: Promises,
    #[serde(default)]
    talk_to: TalkTo,
    #[serde(default)]
    final_reads: FinalReads,
    #[serde(default)]
    expected_exits: Vec<i32>,
    #[serde(default)]
    restart: RestartPolicy,
    #[serde(default)]
    coherent_status: bool,
    #[serde(default)]
    alarm: Vec<String>,
    #[serde(default)]
    log: LogTable,
    #[serde(default)]
    limits: BTreeMap<String, Spanned<toml::Value>>,
    #[serde(default, rename = "replicas")]
    _replicas: IgnoredAny,
    #[serde(default)]
    variations: BTreeMap<String, Vec<WrittenVariation>>,
    #[serde(default, rename = "client")]
    _client: IgnoredAny,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
    #[serde(default, rename = "membership")]
    _membership: IgnoredAny,
}

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

    /// The description of a built-in target.
    pub fn text(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// The target of a specification.
    ///
    /// # Errors
    ///
    /// [`TargetError`], naming what was expected.
    pub fn of(spec: &TargetSpec) -> Result<Self, TargetError> {
        match spec {
            TargetSpec::Described(DescribedTarget { name, toml, files }) => {
                Self::parse_with(name, toml, Some(files))
            }
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
        Self::parse_with(path, text, None)
    }

    /// The target that `text` describes, with the `files` beside it unless only their names are to be learned.
    fn parse_with(
        path: &str,
        text: &str,
        files: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, TargetError> {
        let described: Description =
            toml::from_str(text).map_err(|error| TargetError::of(path, text, error.into()))?;
        let protocol = open(&described.protocol, text, files);
        let protocol = protocol.map_err(|error| TargetError::of(path, text, error))?;
        let mistake = |error: TableError| TargetError::of(path, text, error);
        let variations = described.variations.into_iter();
        let variations = variations
            .map(|(name, choices)| (name, choices.into_iter().map(Variation::from).collect()))
            .collect();
        let log = described.log.forms(described.alarm).map_err(mistake)?;
        let limits = upkeep::limits(&described.limits).map_err(mistake)?;
        let user = described.user.map(|name| ProgramUser::new(path, text, name));
        let Description { name, about, ports, each_node, each_mutation, .. } = described;
        let Description { environment, directory, files, prepare, sidecars, .. } = described;
        let Description { stop_command, version_command, start_limit, .. } = described;
        let target = Self {
            name,
            about,
            protocol,
            ports,
            command: described.command.into_inner(),
            each_node,
            each_mutation,
            environment,
            directory,
            user,
            files,
            prepare,
            sidecars,
            stop_command,
            version_command,
            start_limit: start_limit.map(|limit| limit.0),
            secrets: programs::secrets(text),
            own_faults: described.own_faults,
            promises: described.promises,
            talk_to: described.talk_to,
            final_reads: described.final_reads,
            expected_exits: described.expected_exits,
            restart: described.restart,
            coherent_status: described.coherent_status,
            log,
            limits,
            variations,
        };
        let checked = target.check(text);
        checked.map_err(|error| TargetError::of(path, text, error))?;
        Ok(target)
    }

    /// What the description lacks of what `fault` needs, where that is the target's matter.
    fn lacks(&self, fault: FaultKind) -> Vec<&'static str> {
        match fault {
            fault if fault.moves_leadership() => self.protocol.lacks(Change::Transfer),
            fault if fault.changes_members() => self.protocol.lacks(Change::Add),
            fault if fault.is_described() && !self.describes(fault) => vec!["a table [[fault]]"],
            _ => Vec::new(),
        }
    }

    /// Whether `fault` is one of the description's own.
    fn describes(&self, fault: FaultKind) -> bool {
        self.own_faults.iter().any(|own| own.name == fault.name())
    }

    /// The same set with those of the description's own faults that it wants in it.
    #[must_use]
    pub fn with_own_faults(&self, set: FaultSet) -> FaultSet {
        let in_all = self.own_faults.iter().filter(|fault| fault.in_all);
        set.including(in_all.filter_map(|fault| FaultKind::named(&fault.name)))
    }

    /// Whether the description says how `fault` is done, where that is the target's matter.
    pub fn can_have(&self, fault: FaultKind) -> bool {
        self.lacks(fault).is_empty()
    }

    /// Those of a fault set's faults that nobody asked for by name and that are left out of it, a sentence
    /// for each reason.
    pub fn left_out(&self, set: FaultSet) -> Vec<String> {
        let names = |faults: Vec<FaultKind>| {
            faults.into_iter().map(FaultKind::name).collect::<Vec<_>>().join(", ")
        };
        let (set, impossible) = set.leaving_out(|fault| !self.can_have(fault));
        let (set, unpromised) = set.leaving_out(|fault| !self.promises.hold(fault));
        let mut sentences = Vec::new();
        if !impossible.is_empty() {
            let (name, names) = (&self.name, names(impossible));
            sentences.push(format!(
                "left out of `{set}`: {names}; the description of {name} does not say how it is done"
            ));
        }
        if !unpromised.is_empty() {
            let (name, names) = (&self.name, names(unpromised));
            let because = self.promises.because().map(|why| format!(": {why}")).unwrap_or_default();
            sentences.push(format!(
                "left out of `{set}`: {names}; {name} does not promise to survive it{because}"
            ));
        }
        sentences
    }

    /// That the environment holds its secrets.
    ///
    /// # Errors
    ///
    /// The first that it does not hold.
    pub fn check_secrets(&self) -> Result<(), TargetError> {
        let missing = self.secrets.iter().find_map(|name| secrets::secret(name).err());
        let target = self.name.clone();
        missing.map_or(Ok(()), |problem| Err(TargetError::Secret { target, problem }))
    }

    /// That the description does not say how `fault` is done, and what it lacks.
    pub fn refusal(&self, fault: FaultKind) -> TargetError {
        let lacks = self.lacks(fault).join(", ");
        TargetError::Lacks { target: self.name.clone(), fault, lacks }
    }
}

/// The files beside the description at `path` that its protocol needs: the program of its clients, certificates.
fn files_of(target: &Target, path: &Path) -> Result<BTreeMap<String, String>, TargetError> {
    let read = |name: String| {
        let file = path.with_file_name(&name);
        let unreadable = |source| TargetError::Read { path: file.display().to_string(), source };
        let text = std::fs::read_to_string(&file).map_err(unreadable)?;
        Ok((name, text))
    };
    target.protocol.files().into_iter().map(read).collect()
}

/// That no target is called `name`.
fn unknown(name: &str) -> UnknownName {
    let known: Vec<String> = BUILT_IN.iter().map(|(known, _)| (*known).to_owned()).collect();
    UnknownName::new("target", name, &known, TOML_FILE)
}

/// The protocol called `name`, with the tables of the description `text` that are its own, and the `files` beside it
/// unless only their names are to be learned.
fn open(
    name: &Spanned<String>,
    text: &str,
    files: Option<&BTreeMap<String, String>>,
) -> Result<Arc<dyn Protocol>, TableError> {
    let entry = PROTOCOLS.iter().find(|entry| entry.name == name.get_ref());
    let unknown = || {
        let known: Vec<String> = PROTOCOLS.iter().map(|it| it.name.to_owned()).collect();
        let problem = UnknownName::new("protocol", name.get_ref(), &known, "");
        TableError::at(name.span(), problem.to_string())
    };
    let mut tables = Tables::of(text)?;
    if let Some(files) = files {
        tables = tables.with_files(files);
    }
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
        assert!(message.starts_with("mine.toml:10: unknown placeholder `{date}`"), "{message}");
    }

    #[test]
    fn a_missing_field_is_named_with_its_file() {
        let message = Target::parse("mine.toml", "name = \"x\"\n").expect_err("bare").to_string();
        assert!(message.contains("mine.toml") && message.contains("missing field"), "{message}");
    }

    const PLAIN: &str = "name = \"mine\"\nabout = \"x\"\nprotocol = \"resp\"\nports = { client = 1, peer = 2 }\n\
                         command = [\"/bin/mine\"]\n";

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
            ("[membership]\nadd = []", "mine.toml:7: an empty command"),
            ("[membership]\ndrop = [\"D\"]", "mine.toml:7: unknown field `drop`"),
            ("[status]\nleader = \"t\"", "mine.toml:7: \"t\" is no line"),
        ];
        for (table, expected) in cases {
            let text = format!("{PLAIN}{table}\n");
            let message = Target::parse("mine.toml", &text).expect_err(table).to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_what_was_meant() {
        let cases = [
            ("comand = []", "mine.toml:6: unknown field `comand`", "mean `command`?"),
            ("client-port = 7", "mine.toml:6: unknown field `client-port`", "`ports`"),
            (
                "directory = \"{home}\"",
                "mine.toml:6: unknown placeholder `{home}`",
                "ports client, peer",
            ),
            ("stop-command = [\"{port.pear}\"]", "mine.toml:6: unknown placeholder", "{port.pear}"),
            ("files = { \"/etc/x\" = \"\" }", "mine.toml:6: `/etc/x` is not below", "{data}"),
            ("files = { \"{data}/../x\" = \"\" }", "mine.toml:6: `{data}/../x`", "{data}"),
            ("files = { \"{data}/x\" = \"\"\"a\nb {nod}\"\"\" }", "mine.toml:7: ", "`{nod}`"),
            ("files = { \"{data}/x\" = \"{secret.A}\" }", "mine.toml:6: secrets stand in", ""),
            ("prepare = [[]]", "mine.toml:5: an empty command", ""),
            ("start-limit = \"soon\"", "mine.toml:6: `soon` is no time", "30s"),
            ("[membership]\nadd = [\"A\", \"{port.pear}\"]", "mine.toml:7: `{port.pear}`", ""),
            ("[[sidecar]]\nname = \"a b\"\ncommand = [\"x\"]", "mine.toml:7: a sidecar", ""),
            ("[[sidecar]]\nname = \"s\"\ncommand = []", "mine.toml:7: sidecar `s`", "empty"),
            ("[[sidecar]]\nname = \"s\"\ncmd = []", "mine.toml:8: unknown field `cmd`", ""),
        ];
        for (table, start, part) in cases {
            let text = format!("{PLAIN}{table}\n");
            let message = Target::parse("mine.toml", &text).expect_err(table).to_string();
            assert!(message.starts_with(start) && message.contains(part), "{table}\n{message}");
        }
    }

    #[test]
    fn what_is_left_out_of_a_fault_set_is_told_with_the_reason() {
        let table = "[promises]\nexcept = [\"disk\"]\nbecause = \"it is a cache\"\n";
        let target = Target::parse("mine.toml", &format!("{PLAIN}{table}")).expect("a target");
        let left_out = |set: &str| target.left_out(set.parse().expect("a set"));
        let [how, promise] = &left_out("all")[..] else { panic!("{:?}", left_out("all")) };
        assert!(how.contains("transfer-leadership, add-node") && how.contains("how"), "{how}");
        let start = "left out of `all`: power-loss, power-loss-all, disk-error";
        assert!(promise.starts_with(start) && promise.ends_with(": it is a cache"), "{promise}");
        assert_eq!(left_out("partition,process"), Vec::<String>::new());
        assert_eq!(left_out("power-loss"), Vec::<String>::new());
    }

    #[test]
    fn secrets_are_the_environments() {
        let target = |name: &str| {
            let text = format!("{PLAIN}environment = {{ A = \"{{secret.{name}}}\" }}\n");
            Target::parse("mine.toml", &text).expect("a target")
        };
        assert_eq!(target("PATH").secrets, ["PATH"]);
        assert!(target("PATH").check_secrets().is_ok());
        let missing = target("PARTITA_NO_SUCH").check_secrets().expect_err("none").to_string();
        assert!(missing.contains("`mine`: the secret PARTITA_NO_SUCH"), "{missing}");
    }

    #[test]
    fn a_description_that_names_a_node_needs_a_run_that_has_it() {
        let text = format!("{PLAIN}directory = \"{{data}}/{{n4.ip}}\"\n");
        let target = Target::parse("mine.toml", &text).expect("a target");
        assert!(target.check_size(5).is_ok() && target.check_size(4).is_ok());
        let message = target.check_size(3).expect_err("three").to_string();
        assert!(message.contains("n4") && message.contains("--nodes 4"), "{message}");
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
