//! How a target changes its leader and its members, and how it tells who they are.
//!
//! The table `[membership]` of a description: commands word by word, in the protocol that clients
//! speak, each optional. A fault of membership needs some of them ([`Membership::lacks`]).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;

use partita_nemesis::{Configuration, Fault};
use serde::Deserialize;
use toml::Spanned;

use super::fill;

/// What a word of a command may hold.
const PLACEHOLDERS: [&str; 6] = ["node", "id", "ip", "advertised-ip", "client-port", "peer-port"];

/// A command, word by word.
type Template = Spanned<Vec<Spanned<String>>>;

/// How members and leaders are changed, as described.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Membership {
    /// Hands the leadership to a node; said to the leader.
    transfer: Option<Template>,
    /// Makes a node a member with a vote; said to the leader.
    add: Option<Template>,
    /// Makes a node no member; said to the leader.
    remove: Option<Template>,
    /// Tells the members, at once; said to any node.
    members: Option<Template>,
    /// What stands in a node's row of that answer: `id={id}`.
    member: Option<Spanned<String>>,
    /// What stands there if it has a vote: `part=voter`.
    voter: Option<Spanned<String>>,
    /// What stands there if it has none yet: `part=learner`. Whoever is neither is on the way out.
    learner: Option<Spanned<String>>,
}

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// That a node shall lead.
    Transfer,
    /// That a node shall join.
    Add,
    /// That a node shall leave.
    Remove,
    /// The question who the members are.
    Members,
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transfer => "transfer",
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Members => "members",
        })
    }
}

/// A node as commands name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its place in the cluster, from 1.
    pub id: usize,
    /// The address that it listens on.
    pub address: Ipv4Addr,
    /// The address where others reach it.
    pub advertised: Ipv4Addr,
    /// The port that it listens on for clients.
    pub client_port: u16,
    /// The port that it listens on for its peers.
    pub peer_port: u16,
}

impl Member {
    fn names(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("node", self.name.clone()),
            ("id", self.id.to_string()),
            ("ip", self.address.to_string()),
            ("advertised-ip", self.advertised.to_string()),
            ("client-port", self.client_port.to_string()),
            ("peer-port", self.peer_port.to_string()),
        ])
    }
}

impl Membership {
    /// Whether something is described that makes no sense: where in the text, and what was expected.
    pub(super) fn problem(&self) -> Option<(Range<usize>, String)> {
        let templates = [&self.transfer, &self.add, &self.remove, &self.members];
        for template in templates.into_iter().flatten() {
            let is_blank = |word: &Spanned<String>| word.get_ref().trim().is_empty();
            if template.get_ref().is_empty() || is_blank(&template.get_ref()[0]) {
                let expected = "an empty command; expected words such as [\"MEMBER\", \"{id}\"]";
                return Some((template.span(), expected.to_owned()));
            }
            for word in template.get_ref() {
                if let Some(problem) = unknown_placeholder(word.get_ref()) {
                    return Some((word.span(), problem));
                }
            }
        }
        let patterns = [&self.member, &self.voter, &self.learner];
        for pattern in patterns.into_iter().flatten() {
            let text = pattern.get_ref();
            if text.split_once('=').is_none_or(|(name, _)| name.trim().is_empty()) {
                let problem =
                    format!("{text:?} is no field and its value; expected \"name=value\"");
                return Some((pattern.span(), problem));
            }
            if let Some(problem) = unknown_placeholder(text) {
                return Some((pattern.span(), problem));
            }
        }
        None
    }

    /// What of the table a fault needs and the description does not have.
    pub fn lacks(&self, fault: Fault) -> Vec<&'static str> {
        let transfer = [("transfer", self.transfer.is_none())];
        let change = [
            ("add", self.add.is_none()),
            ("remove", self.remove.is_none()),
            ("members", self.members.is_none()),
            ("member", self.member.is_none()),
            ("voter", self.voter.is_none()),
        ];
        let needed: &[(&'static str, bool)] = match fault {
            Fault::TransferLeadership => &transfer,
            fault if fault.changes_members() => &change,
            _ => &[],
        };
        needed.iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| *name).collect()
    }

    /// The command that says it of `member`, if there is one.
    pub fn words(&self, words: Words, member: &Member) -> Option<Vec<String>> {
        let template = match words {
            Words::Transfer => &self.transfer,
            Words::Add => &self.add,
            Words::Remove => &self.remove,
            Words::Members => &self.members,
        };
        let names = member.names();
        let words = template.as_ref()?.get_ref();
        Some(words.iter().map(|word| fill(word.get_ref(), &names)).collect())
    }

    /// Who the members are, as the rows of an answer tell it. Rows of nodes that are none of
    /// `members` are left out.
    pub fn read(&self, rows: &[BTreeMap<String, String>], members: &[Member]) -> Configuration {
        let mut configuration = Configuration::default();
        for member in members {
            let names = member.names();
            let says = |row: &&BTreeMap<String, String>, pattern: &Option<Spanned<String>>| {
                let filled = pattern.as_ref().map(|pattern| fill(pattern.get_ref(), &names));
                filled.as_deref().and_then(|it| it.split_once('=')).is_some_and(|(name, value)| {
                    row.get(name.trim()).is_some_and(|it| it.trim() == value.trim())
                })
            };
            let Some(row) = rows.iter().find(|row| says(row, &self.member)) else { continue };
            let part = if says(&row, &self.voter) {
                &mut configuration.voters
            } else if says(&row, &self.learner) {
                &mut configuration.learners
            } else {
                &mut configuration.leaving
            };
            part.insert(member.name.clone());
        }
        configuration
    }
}

fn unknown_placeholder(word: &str) -> Option<String> {
    let known = PLACEHOLDERS.map(|name| format!("{{{name}}}"));
    let left = known.iter().fold(word.to_owned(), |left, known| left.replace(known, ""));
    left.contains(['{', '}']).then(|| {
        format!("`{word}` holds an unknown placeholder; expected {} or none", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Target;

    const PLAIN: &str = "name = \"mine\"\nabout = \"x\"\nprotocol = \"resp\"\nclient-port = 1\n\
                         peer-port = 2\ncommand = [\"/bin/mine\"]\n";

    fn problem(table: &str) -> String {
        let text = format!("{PLAIN}[membership]\n{table}\n");
        Target::parse("mine.toml", &text).expect_err(table).to_string()
    }

    fn member(id: usize) -> Member {
        let name = format!("n{id}");
        let advertised = Ipv4Addr::new(198, 18, 0, u8::try_from(id).expect("small"));
        Member { name, id, address: advertised, advertised, client_port: 6379, peer_port: 7000 }
    }

    fn row(id: usize, part: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("id".to_owned(), id.to_string()), ("part".to_owned(), part.to_owned())])
    }

    #[test]
    fn what_makes_no_sense_is_named_with_file_line_and_what_was_expected() {
        let cases = [
            ("add = [\"ADD\", \"{name}\"]", "mine.toml:8: `{name}` holds an unknown placeholder"),
            ("\nremove = []", "mine.toml:9: an empty command; expected words"),
            ("transfer = [\" \", \"{id}\"]", "mine.toml:8: an empty command"),
            ("member = \"{id}\"", "mine.toml:8: \"{id}\" is no field and its value"),
            (
                "voter = \"part={voter}\"",
                "expected {node}, {id}, {ip}, {advertised-ip}, {client-port}, {peer-port}",
            ),
            ("drop = [\"DROP\"]", "unknown field `drop`, expected one of `transfer`, `add`"),
            ("add = \"ADD\"", "expected a sequence"),
        ];
        for (table, expected) in cases {
            let message = problem(table);
            assert!(message.contains("mine.toml"), "{message}");
            assert!(message.contains(expected), "{table}\n{message}");
        }
    }

    #[test]
    fn a_fault_is_told_what_the_description_lacks() {
        let bare = Target::parse("mine.toml", PLAIN).expect("a target").membership;
        assert_eq!(bare.lacks(Fault::TransferLeadership), ["transfer"]);
        let everything = ["add", "remove", "members", "member", "voter"];
        assert_eq!(bare.lacks(Fault::ReplaceNode), everything);
        assert!(bare.lacks(Fault::Kill).is_empty());
        let own = Target::find("raft-node").expect("built in").membership;
        for row in &partita_nemesis::FAULTS {
            assert!(own.lacks(row.fault).is_empty(), "{}", row.name);
        }
    }

    #[test]
    fn commands_of_raft_node_are_those_that_it_documents() {
        let own = Target::find("raft-node").expect("built in").membership;
        let say = |words| own.words(words, &member(4)).expect("described").join(" ");
        assert_eq!(say(Words::Transfer), "RAFT TRANSFER 4");
        assert_eq!(say(Words::Add), "RAFT ADD 4 198.18.0.4:7000 198.18.0.4:6379");
        assert_eq!(say(Words::Remove), "RAFT REMOVE 4");
        assert_eq!(say(Words::Members), "RAFT MEMBERS");
    }

    #[test]
    fn members_are_read_by_what_stands_in_their_rows() {
        let own = Target::find("raft-node").expect("built in").membership;
        let members: Vec<Member> = (1..=5).map(member).collect();
        let rows = [
            row(1, "voter"),
            row(2, "voter"),
            row(3, "outgoing"),
            row(5, "learner"),
            row(9, "voter"),
        ];
        let configuration = own.read(&rows, &members);
        assert_eq!(configuration.to_string(), "n1 n2, learning n5, leaving n3");
        assert_eq!(own.read(&[], &members), Configuration::default());
    }
}
