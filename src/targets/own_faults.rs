//! A store's own faults, as its description has them: how they are injected and healed.

use std::fmt;

use partita_nemesis::Target as Victims;
use partita_nemesis::fault::described::DescribedFault;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::command::Command;
use super::launch::Launch;
use super::{Target, launch};

/// A table `[[fault]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OwnFault {
    /// Its name on the command line and in schedules.
    pub name: String,
    /// What it does, in a line.
    about: Option<String>,
    /// Its victims, unless a schedule chooses.
    target: Option<Victims>,
    /// Whether `--nemesis all` draws it.
    #[serde(default)]
    pub in_all: bool,
    /// Whether a victim may end under it.
    #[serde(default)]
    explains_exit: bool,
    /// What has it begin on a victim.
    pub inject: Act,
    /// What ends it there; nothing is to be undone without it.
    pub heal: Option<Act>,
}

/// What is done to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A command is run on its host.
    Run(Command),
    /// It is told something, as a schedule's `say` has it.
    Say(Words),
}

/// What a node is told, in the clients' protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// In RESP the words of a command, in HTTP a method, a path and if need be a body.
    pub say: Command,
    /// The port that is dialled, by name; that of clients without it.
    pub port: Option<String>,
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Act;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a command, or a table such as { say = [\"PUT\", \"/failpoint\", \"return\"] }",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Act, A::Error> {
                Command::deserialize(SeqAccessDeserializer::new(seq)).map(Act::Run)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Act, A::Error> {
                Words::deserialize(MapAccessDeserializer::new(map)).map(Act::Say)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl OwnFault {
    /// What all faults have in common of it.
    pub(super) fn described(&self) -> DescribedFault {
        let Self { name, about, target, explains_exit, .. } = self;
        DescribedFault {
            name: name.clone(),
            summary: about.clone().unwrap_or_else(|| "as the description says".to_owned()),
            target: target.clone(),
            explains_exit: *explains_exit,
        }
    }

    /// All that is done.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        [&self.inject].into_iter().chain(&self.heal)
    }
}

impl Act {
    /// The words of it, as they are written.
    pub(super) const fn words(&self) -> &Command {
        match self {
            Self::Run(command) | Self::Say(Words { say: command, .. }) => command,
        }
    }
}

impl Target {
    /// What the node in place `index` is told.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn words_for(&self, words: &Words, index: usize, launch: &Launch<'_>) -> Vec<String> {
        let (own, all) = launch::names(index, launch);
        words.say.line(&own, &all)
    }
}

#[cfg(test)]
mod tests {
    use partita_nemesis::{FaultKind, FaultSet};

    use super::super::Target;

    const PLAIN: &str = "name = \"mine\"\nabout = \"x\"\nprotocol = \"resp\"\nports = { client = 1, admin = 2 }\n\
                         command = [\"/bin/mine\"]\n";

    fn target(tables: &str) -> Result<Target, String> {
        Target::parse("mine.toml", &format!("{PLAIN}{tables}\n")).map_err(|it| it.to_string())
    }

    #[test]
    fn a_fault_of_a_description_is_a_fault_like_others() {
        let tables = "[[fault]]\nname = \"slow-log\"\nabout = \"the log is slow\"\ntarget = \"leader\"\n\
                      inject = { say = [\"DEBUG\", \"{node}\"], port = \"admin\" }\n\
                      heal = [\"curl\", \"http://{ip}:{port.admin}/off\"]\n\
                      [[fault]]\nname = \"stall\"\nin-all = true\ninject = [\"stall\"]\n\
                      [promises]\nsurvives = [\"process\"]\n";
        let target = target(tables).expect("a target");
        let kind = FaultKind::named("slow-log").expect("declared");
        assert_eq!(kind.description().summary, "the log is slow");
        assert!(target.can_have(kind) && target.promises.hold(kind));
        let all: FaultSet = "all".parse().expect("a set");
        let names: Vec<&str> = target.with_own_faults(all).faults().map(FaultKind::name).collect();
        assert!(names.contains(&"stall") && !names.contains(&"slow-log"), "{names:?}");
        let other = super::super::Target::find("raft-node").expect("built in");
        assert!(!other.can_have(kind));
        assert!(other.refusal(kind).to_string().contains("slow-log"), "{}", other.refusal(kind));
    }

    /// The block of TOML of the documentation that begins so.
    fn documented(beginning: &str) -> &'static str {
        let page = include_str!("../../docs/targets.md");
        let mut blocks = page.split("```toml\n").skip(1);
        let block = blocks.find(|block| block.starts_with(beginning)).expect(beginning);
        block.split("```").next().unwrap_or_default()
    }

    #[test]
    fn the_examples_of_the_documentation_are_read() {
        let plain = PLAIN.replace("admin = 2", "gofail = 2").replace("resp", "http");
        let faults = format!("{plain}{}", documented("[[fault]]"));
        let target = Target::parse("mine.toml", &faults).expect("a target");
        let names: Vec<&str> = target.own_faults.iter().map(|fault| &*fault.name).collect();
        assert_eq!(names, ["slow-log", "drop-caches"]);
        assert!(target.own_faults[1].in_all && target.own_faults[1].heal.is_none());
        let tls = format!("{plain}{}", documented("[client.tls]"));
        let target = Target::parse("mine.toml", &tls).expect("a target");
        assert_eq!(target.protocol.files(), ["ca.pem", "client.pem"]);
        assert_eq!(target.secrets, ["CLIENT_KEY"]);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line() {
        let fault = |rest: &str| format!("[[fault]]\nname = \"slow\"\n{rest}");
        let cases = [
            (fault("inject = []"), "mine.toml:7: fault `slow`: an empty command"),
            (fault("inject = 7"), "mine.toml:8: "),
            (fault("heal = [\"a\"]"), "missing field `inject`"),
            (fault("inject = [\"{nod}\"]"), "mine.toml:8: unknown placeholder `{nod}`"),
            (
                fault("inject = { say = [\"A\"], port = \"adm\" }"),
                "mine.toml:7: fault `slow`: no port",
            ),
            (fault("inject = [\"a\"]\ntarget = \"leeder,\""), "mine.toml:9: "),
            (
                fault("inject = [\"a\"]").replace("slow", "kill"),
                "mine.toml:7: a fault, a fault set",
            ),
            (
                format!("{}\n{}", fault("inject = [\"a\"]"), fault("inject = [\"b\"]")),
                "mine.toml:7: two faults are called `slow`",
            ),
        ];
        for (tables, expected) in cases {
            let message = target(&tables).expect_err(&tables);
            assert!(message.contains(expected), "{tables}\n{message}");
        }
    }
}
