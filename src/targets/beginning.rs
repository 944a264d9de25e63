//! The text of a new description: that of a store of the same kind, with what else it may say in comments.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{Target, TargetError};

/// A description to begin from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The store that it is of.
    pub store: &'static str,
    /// What a user is told of it.
    pub about: &'static str,
    toml: &'static str,
    /// The program of its clients, if it has one: `CLIENT.py`.
    client: Option<&'static str>,
}

/// The descriptions to begin from, those first that are the models of their protocols.
pub const BEGINNINGS: [Beginning; 7] = [
    Beginning {
        store: "etcd",
        about: "HTTP with JSON: a request for each operation",
        toml: include_str!("etcd.toml"),
        client: None,
    },
    Beginning {
        store: "redis",
        about: "RESP: GET, SET and a compare-and-set by a script",
        toml: include_str!("redis.toml"),
        client: None,
    },
    Beginning {
        store: "slate",
        about: "anything else: a client of your own, in Python or what you like",
        toml: include_str!("../../docs/examples/slate/slate.toml"),
        client: Some(include_str!("../../docs/examples/slate/slate_client.py")),
    },
    Beginning {
        store: "lin-kv",
        about: "a program that was written for Maelstrom",
        toml: include_str!("../../docs/examples/maelstrom/lin-kv.toml"),
        client: None,
    },
    Beginning {
        store: "valkey",
        about: "RESP, with a compare-and-set by SET … IFEQ … GET",
        toml: include_str!("valkey.toml"),
        client: None,
    },
    Beginning {
        store: "redis-sentinel",
        about: "RESP, with files from templates and a sidecar that fails over",
        toml: include_str!("redis-sentinel.toml"),
        client: None,
    },
    Beginning {
        store: "raft-node",
        about: "RESP, with leaders, members and planted bugs",
        toml: include_str!("raft-node.toml"),
        client: None,
    },
];

/// What is asked of a new description.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The store's name.
    pub name: &'a str,
    /// The program of its nodes; that of the store it begins from, without it.
    pub program: Option<&'a str>,
}

/// Fields before the tables, with what is said of them.
const FIELDS: &[(&str, &str)] = &[
    ("environment", "# environment = { GOMAXPROCS = \"2\" }\n"),
    ("directory", "# directory = \"{data}\"\n"),
    ("user", "# Where root runs it:\n# user = \"nobody\"\n"),
    (
        "files",
        "# Written before the first start:\n# files = { \"{data}/store.conf\" = \"listen {ip}:{port.client}\" }\n",
    ),
    (
        "prepare",
        "# Run once, before the first start or after it:\n\
         # prepare = [{ command = [\"true\"], on = [\"n1\"], when = \"after-start\" }]\n",
    ),
    ("start-limit", "# start-limit = \"60s\"\n"),
    ("stop-command", "# In place of SIGTERM:\n# stop-command = [\"true\"]\n"),
    ("version-command", "# Its output stands in the report:\n# version-command = [\"true\"]\n"),
    ("talk-to", "# Clients follow the leader that [status] tells:\n# talk-to = \"leader\"\n"),
    ("final-reads", "# Where only the leader answers:\n# final-reads = \"any-node\"\n"),
    ("restart", "# A node that ends on its own is started again:\n# restart = \"always\"\n"),
    ("alarm", "# A line with one of these words is a finding:\n# alarm = [\"panic\", \"BUG:\"]\n"),
    ("expected-exits", "# expected-exits = [3]\n"),
];

/// Tables that every protocol shares, for the end.
const TABLES: &[(&str, &str)] = &[
    (
        "promises",
        "# The faults that the store does not promise to survive: a run draws no others unless they are named.\n\
         # [promises]\n# except = [\"power-loss\", \"power-loss-all\"]\n# because = \"its log is not synced\"\n",
    ),
    (
        "log",
        "# How a node says that it was elected, so that two leaders in one term are found.\n\
         # [log]\n# leader = 'became leader at term (?<term>\\d+)'\n",
    ),
    ("limits", "# [limits]\n# memory = \"512MiB\"\n# recovery = \"5s\"\n"),
    (
        "fault",
        "# A fault of the store's own: `partita run --nemesis stall`.\n\
         # [[fault]]\n# name = \"stall\"\n# inject = [\"true\"]\n# heal = [\"true\"]\n",
    ),
    (
        "sidecar",
        "# Runs beside every node:\n# [[sidecar]]\n# name = \"proxy\"\n# command = [\"sleep\", \"inf\"]\n",
    ),
];

impl Beginning {
    /// The one of the store of that name.
    pub fn of_store(name: &str) -> Option<Self> {
        BEGINNINGS.into_iter().find(|it| it.store == name)
    }

    /// The model of the protocol of that name.
    pub fn of_protocol(name: &str) -> Option<Self> {
        BEGINNINGS.into_iter().find(|it| it.protocol() == name)
    }

    /// The protocol that its clients speak.
    pub fn protocol(self) -> &'static str {
        let line = self.toml.lines().find_map(|line| line.strip_prefix("protocol = \""));
        line.and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
    }

    /// The description `file` that begins from this one, and the texts of the files beside it, by name.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if that is no description: the program is no word of a command.
    pub fn text(
        self,
        wanted: &Wanted<'_>,
        file: &Path,
    ) -> Result<BTreeMap<String, String>, TargetError> {
        let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let client = format!("{}_client.py", wanted.name.replace('-', "_"));
        let body = self.body(wanted).replace(&format!("{}_client.py", self.store), &client);
        let mut text = self.head(wanted, &file);
        let mut in_command = false;
        for line in body.lines() {
            // The store's own first lines are about the store that it begins from.
            if line.starts_with("command = ") && !in_command {
                in_command = true;
                text.push_str(&more(&body, "More that may stand here, by need:\n", FIELDS));
                text.push_str(
                    "\n# A node: the program and its arguments, word by word. No shell.\n",
                );
            }
            let _ = writeln!(text, "{line}");
        }
        text.push_str(&more(&body, "Tables that may follow:\n", TABLES));
        Target::parse(&file, &text)?;
        let mut files = BTreeMap::from([(file, text)]);
        if let Some(program) = self.client {
            let (first, rest) = program.split_once('\n').unwrap_or_default();
            let first = first.replace(self.store, wanted.name);
            let first = first.replace(&format!("{}_client.py", wanted.name), &client);
            files.insert(client, format!("{first}\n{rest}"));
        }
        Ok(files)
    }

    /// The lines before all fields.
    fn head(self, wanted: &Wanted<'_>, file: &str) -> String {
        let (name, store, about) = (wanted.name, self.store, self.about);
        let mut head = format!(
            "# How Partita starts {name} and speaks to it; docs/targets.md has every field.\n\
             # It begins as {store} ({about}): change what differs, then\n\
             #   partita target check {file}\n\
             #   partita run --target {file}\n\
             # Placeholders: {{node}} {{id}} {{ip}} {{advertised-ip}} {{data}} {{seed}} {{port.client}} {{n1.ip}}, and\n\
             # {{nodes:,:{{node}}={{ip}}}} for all nodes. Nodes listen on {{ip}} and reach each other at {{advertised-ip}}.\n"
        );
        if self.client.is_some() {
            head.push_str(
                "# The plug-in speaks for one client; replace the lines that it sends and reads (docs/plugins.md).\n",
            );
        }
        head
    }

    /// The description that it begins from, with another name and program and without its first lines.
    fn body(self, wanted: &Wanted<'_>) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut body = String::new();
        let fields = self.toml.lines().skip_while(|line| line.starts_with('#'));
        for line in fields {
            let line = match line.split_once(" = ") {
                Some(("name", _)) if body.is_empty() => {
                    format!("name = {}", quoted(wanted.name))
                }
                Some(("about", _)) => {
                    format!("about = {}", quoted(&format!("{}, tested by Partita", wanted.name)))
                }
                _ => line.to_owned(),
            };
            let _ = writeln!(body, "{line}");
        }
        match (wanted.program, self.program()) {
            (Some(new), Some(old)) => with_program(&body, &quoted(old), &quoted(new)),
            _ => body,
        }
    }

    /// The program of its nodes, if it is a word of its own.
    fn program(self) -> Option<&'static str> {
        let (_, rest) = self.toml.split_once("\ncommand = [")?;
        // What Maelstrom's adapter runs is behind the adapter's own words.
        let rest = rest.split_once("\"--\", ").map_or(rest, |(_, rest)| rest);
        rest.split('"').nth(1)
    }
}

/// `body` with another program as the first word of each command.
fn with_program(body: &str, old: &str, new: &str) -> String {
    let mut text = String::new();
    let mut begins = false;
    for line in body.lines() {
        let is_command =
            line.split_once(" = [").is_some_and(|(field, _)| field.ends_with("command"));
        let has_first = is_command && !line.ends_with('[') || begins || line.contains("\"--\", ");
        begins = is_command && line.ends_with('[');
        let line = if has_first { line.replacen(old, new, 1) } else { line.to_owned() };
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Those of the `parts`, in comments, of which `body` does not have the field, behind a heading.
fn more(body: &str, heading: &str, parts: &[(&str, &str)]) -> String {
    let table: toml::Table = body.parse().unwrap_or_default();
    let lacking = parts.iter().filter(|(field, _)| !table.contains_key(*field));
    let mut text = format!("\n# {heading}");
    lacking.for_each(|(_, part)| text.push_str(part));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(beginning: Beginning, wanted: &Wanted<'_>) -> BTreeMap<String, String> {
        beginning.text(wanted, Path::new("/somewhere/mine.toml")).expect(beginning.store)
    }

    const WANTED: Wanted<'_> = Wanted { name: "my-store", program: Some("/opt/my \"store\"") };

    #[test]
    fn each_is_a_description_of_another_name_and_program() {
        for beginning in BEGINNINGS {
            let files = text(beginning, &WANTED);
            let target = Target::parse("mine.toml", &files["mine.toml"]).expect(beginning.store);
            assert_eq!(target.name, "my-store", "{}", beginning.store);
            let command = target.command.written();
            let first = target.command.texts().next().expect("a program");
            let is_there = match beginning.store {
                "lin-kv" => command.ends_with("-- /opt/my \"store\""),
                _ => first == "/opt/my \"store\"",
            };
            assert!(is_there, "{command}");
        }
    }

    #[test]
    fn without_a_program_it_is_that_of_the_store() {
        let files = text(BEGINNINGS[0], &Wanted { name: "a", program: None });
        let target = Target::parse("mine.toml", &files["mine.toml"]).expect("etcd");
        assert_eq!(target.command.texts().next(), Some("etcd"));
    }

    #[test]
    fn what_stands_in_comments_is_right_once_it_is_none() {
        fn field(line: &str) -> Option<&str> {
            line.strip_prefix("# ").filter(|line| {
                line.starts_with('[')
                    || line.split_once(" = ").is_some_and(|(field, _)| !field.contains(' '))
            })
        }
        for beginning in BEGINNINGS {
            let files = text(beginning, &WANTED);
            let parts = FIELDS.iter().chain(TABLES).map(|(field, _)| *field);
            let uncommented: Vec<&str> =
                files["mine.toml"].lines().map(|line| field(line).unwrap_or(line)).collect();
            let uncommented = uncommented.join("\n");
            Target::parse("mine.toml", &uncommented).unwrap_or_else(|it| panic!("{it}"));
            let table: toml::Table = uncommented.parse().expect("TOML");
            parts.for_each(|field| assert!(table.contains_key(field), "{field}"));
        }
    }

    #[test]
    fn a_plug_in_bears_the_stores_name() {
        let files = text(Beginning::of_protocol("program").expect("slate"), &WANTED);
        let client = &files["my_store_client.py"];
        assert!(client.starts_with("\"\"\"Speaks for a client of Partita to one node of my-store"));
        assert!(client.contains("`my_store_client.py 198.18.0.1:4000`"), "{client}");
        let target = Target::parse("mine.toml", &files["mine.toml"]).expect("a target");
        let program = target.protocol.program().expect("a program");
        assert_eq!(program.files, ["my_store_client.py"]);
    }

    #[test]
    fn every_protocol_has_a_model() {
        for entry in partita_workloads::client::PROTOCOLS {
            assert!(Beginning::of_protocol(entry.name).is_some(), "{}", entry.name);
        }
        assert_eq!(Beginning::of_store("redis").map(Beginning::protocol), Some("resp"));
    }

    #[test]
    fn a_program_that_no_command_can_have_is_refused() {
        let wanted = Wanted { name: "a", program: Some("{prog}") };
        let error = BEGINNINGS[0].text(&wanted, Path::new("a.toml")).expect_err("a placeholder");
        assert!(error.to_string().contains("`{prog}`"), "{error}");
    }
}
