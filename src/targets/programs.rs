//! What a description says of programs, checked: placeholders, paths, commands.

use std::collections::BTreeMap;

use partita_nemesis::fault::described;
use partita_workloads::client::TableError;
use partita_workloads::client::secrets::{SECRET, names};
use partita_workloads::client::template::PORT;
use serde::Deserialize;

use super::command::{Command, FileText, is_node};
use super::words::{Braces, unknown};
use super::{Act, OwnFault, Target, TargetError};

/// A program that runs on every node's host beside the node's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SidecarForm {
    /// What it is called; its output goes to files of that name.
    pub name: String,
    /// The program and its arguments. Where it comes to no words for a node, it does not run there.
    pub command: Command,
    /// What is added to its environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where it runs: in the node's folder without it.
    pub directory: Option<String>,
    /// Whether it is killed, stopped and paused with the node's own program.
    #[serde(default)]
    pub shares_faults: bool,
}

/// Placeholders besides ports and other nodes' addresses.
const KNOWN: [&str; 7] = ["partita", "node", "id", "ip", "advertised-ip", "data", "seed"];

/// All of them, for people.
const PLACEHOLDERS: &str = "{partita}, {node}, {id}, {ip}, {advertised-ip}, {data}, {seed}, \
     {port.NAME}, {n1.ip}, {n1.advertised-ip}, and for all nodes {nodes:SEPARATOR:WORD}";

/// The end of a placeholder for where others reach a node, apart from where it listens.
const ADVERTISED: &str = "advertised-ip}";

/// The beginning of every path to which a file is written.
const DATA: &str = "{data}/";

impl Target {
    /// That what it says of programs makes sense. A mistake is where its text first stands in `text`.
    pub(super) fn check(&self, text: &str) -> Result<(), TableError> {
        let mistake = |word: &str, problem: String| {
            let span = text.find(word).map(|start| start..start + word.len());
            Err(TableError { span, problem })
        };
        for (word, braces, more) in self.words() {
            let is_more = |name: &str| match more {
                Some(SECRET) => name.starts_with(SECRET),
                more => more == Some(name),
            };
            let known = |name: &str| self.knows(name) || is_more(name);
            if more != Some(SECRET) && !names(word).is_empty() {
                let problem = "secrets stand in `environment` and in headers of [client] only; whatever \
                               else is written down somewhere";
                return mistake(word, problem.to_owned());
            }
            if let Some(placeholder) = unknown(word, &known, braces) {
                let ports: Vec<&str> = self.ports.by_name().keys().map(String::as_str).collect();
                let problem = format!(
                    "unknown placeholder `{placeholder}`; expected {PLACEHOLDERS}, with the ports {}",
                    ports.join(", ")
                );
                return mistake(&placeholder, problem);
            }
        }
        if let Some(placeholder) = self.unknown_port(text) {
            return mistake(&placeholder, format!("`{placeholder}` names no port of `ports`"));
        }
        for path in self.files.keys() {
            if !path.starts_with(DATA) || path.split('/').any(|part| part == "..") {
                return mistake(path, format!("`{path}` is not below {{data}}, as all files are"));
            }
        }
        let commands = [&self.command].into_iter().chain(&self.stop_command);
        let steps = self.prepare.iter().map(|step| &step.command);
        for command in commands.chain(&self.version_command).chain(steps) {
            if command.texts().next().is_none_or(str::is_empty) {
                return mistake("command", "an empty command; expected a program".to_owned());
            }
        }
        self.check_own_faults(mistake)?;
        self.check_sidecars(mistake)
    }

    /// That its own faults make sense; declares them.
    fn check_own_faults(
        &self,
        mistake: impl Fn(&str, String) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        for (place, fault) in self.own_faults.iter().enumerate() {
            let name = &fault.name;
            let at_name = |problem: String| mistake(&format!("\"{name}\""), problem);
            if self.own_faults[..place].iter().any(|other| other.name == *name) {
                return at_name(format!("two faults are called `{name}`"));
            }
            if fault.acts().any(|act| act.words().texts().next().is_none_or(str::is_empty)) {
                return at_name(format!("fault `{name}`: an empty command"));
            }
            let ports = fault.acts().filter_map(|act| match act {
                Act::Say(words) => words.port.as_ref(),
                Act::Run(_) => None,
            });
            if let Some(port) = ports.into_iter().find(|it| !self.ports.by_name().contains_key(*it))
            {
                return at_name(format!("fault `{name}`: no port of `ports` is called `{port}`"));
            }
            if let Err(problem) = described::declare(&fault.described()) {
                return at_name(problem.to_string());
            }
        }
        Ok(())
    }

    fn check_sidecars(
        &self,
        mistake: impl Fn(&str, String) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        for (place, SidecarForm { name, command, .. }) in self.sidecars.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(is_plain) {
                let problem = format!("a sidecar `{name}`; expected letters, digits, - and _");
                return mistake(&format!("\"{name}\""), problem);
            }
            if self.sidecars[..place].iter().any(|other| other.name == *name) {
                return mistake(
                    &format!("\"{name}\""),
                    format!("two sidecars are called `{name}`"),
                );
            }
            if command.texts().next().is_none_or(str::is_empty) {
                return mistake(
                    &format!("\"{name}\""),
                    format!("sidecar `{name}`: an empty command"),
                );
            }
        }
        Ok(())
    }

    /// Every text that may hold placeholders, what braces mean there, and a placeholder besides.
    fn words(&self) -> Vec<(&str, Braces, Option<&'static str>)> {
        let mut words = Vec::new();
        let plain = |word| (word, Braces::Never, None);
        let steps = self.prepare.iter().map(|step| &step.command);
        let sidecars = self.sidecars.iter().map(|sidecar| &sidecar.command);
        let commands = [&self.command, &self.each_node].into_iter();
        let commands = commands.chain(&self.stop_command).chain(&self.version_command);
        words.extend(commands.chain(steps).chain(sidecars).flat_map(Command::texts).map(plain));
        for act in self.own_faults.iter().flat_map(OwnFault::acts) {
            // A body may be JSON.
            let braces = if matches!(act, Act::Say(_)) { Braces::Anywhere } else { Braces::Never };
            words.extend(act.words().texts().map(|word| (word, braces, None)));
        }
        let mutation = |word| (word, Braces::Never, Some("mutation"));
        words.extend(self.each_mutation.texts().map(mutation));
        let directories = self.sidecars.iter().filter_map(|sidecar| sidecar.directory.as_ref());
        words.extend(directories.chain(&self.directory).map(String::as_str).map(plain));
        words.extend(self.files.keys().map(String::as_str).map(plain));
        let environments = self.sidecars.iter().map(|sidecar| &sidecar.environment);
        let values = environments.chain([&self.environment]).flat_map(BTreeMap::values);
        let may_hold_secrets = |text| (text, Braces::Anywhere, Some(SECRET));
        words.extend(values.map(String::as_str).map(may_hold_secrets));
        let texts = std::iter::empty().chain(self.files.values().flat_map(FileText::texts));
        words.extend(texts.map(|text| (text, Braces::Anywhere, None)));
        words
    }

    /// Whether a placeholder of that name stands for something.
    fn knows(&self, name: &str) -> bool {
        if let Some(port) = name.strip_prefix(PORT) {
            return self.ports.by_name().contains_key(port);
        }
        KNOWN.contains(&name) || node_of(name).is_some()
    }

    /// The first placeholder of the description, its protocol's tables included, for a port that there
    /// is not.
    fn unknown_port(&self, text: &str) -> Option<String> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let holes = lines.flat_map(|line| line.split("{port.").skip(1));
        let mut names = holes.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
        let unknown = names.find(|name| !self.ports.by_name().contains_key(*name))?;
        Some(format!("{{{PORT}{unknown}}}"))
    }

    /// Whether its nodes are told where to reach each other apart from where they listen, so that
    /// relays can stand between them.
    pub fn can_be_relayed(&self) -> bool {
        self.words().iter().any(|(word, ..)| word.contains(ADVERTISED))
    }

    /// That a run with so many nodes has all that the description names by address.
    ///
    /// # Errors
    ///
    /// [`TargetError::TooFewNodes`].
    pub fn check_size(&self, nodes: u32) -> Result<(), TargetError> {
        let words = self.words();
        let holes = words.iter().flat_map(|(word, ..)| word.split('{').skip(1));
        let named = holes.filter_map(|hole| node_of(hole.split_once('}')?.0));
        let number = |name: &&str| name[1..].parse::<u32>().unwrap_or(u32::MAX);
        match named.max_by_key(number).filter(|name| number(name) > nodes) {
            None => Ok(()),
            Some(node) => Err(TargetError::TooFewNodes {
                target: self.name.clone(),
                node: node.to_owned(),
                nodes,
            }),
        }
    }
}

/// The secrets that a description names, but for those in comments.
pub(super) fn secrets(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    names(&lines.collect::<Vec<_>>().join("\n"))
}

/// The node whose address a placeholder of that name stands for.
fn node_of(name: &str) -> Option<&str> {
    let (node, what) = name.split_once('.')?;
    (is_node(node) && ["ip", "advertised-ip"].contains(&what)).then_some(node)
}
