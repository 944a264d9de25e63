//! How a target's members and leader are changed, in commands word by word: the table `[membership]`.
//!
//! Each field is optional; a change needs some of them ([`Membership::lacks`]).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::super::admin::{Change, Member, Members};
use super::super::tables::TableError;
use super::super::template::{fill, unknown_placeholder};

/// A command, word by word.
type Template = Spanned<Vec<Spanned<String>>>;

/// How members and leaders are changed, as described.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Membership {
    /// Hands the leadership to a node; sent to the leader.
    transfer: Option<Template>,
    /// Makes a node a member with a vote; sent to the leader.
    add: Option<Template>,
    /// Makes a node no member; sent to the leader.
    remove: Option<Template>,
    /// Asks any node for the members, which it tells at once.
    members: Option<Template>,
    /// What stands in a node's row of that answer: `id={id}`.
    member: Option<Spanned<String>>,
    /// What stands there if it has a vote: `part=voter`.
    voter: Option<Spanned<String>>,
    /// What stands there if it has none yet: `part=learner`. A node that is neither is leaving.
    learner: Option<Spanned<String>>,
}

impl Membership {
    /// That what is described makes sense.
    ///
    /// # Errors
    ///
    /// Where it does not, and what was expected.
    pub(super) fn check(&self) -> Result<(), TableError> {
        let templates = [&self.transfer, &self.add, &self.remove, &self.members];
        for template in templates.into_iter().flatten() {
            let is_blank = |word: &Spanned<String>| word.get_ref().trim().is_empty();
            if template.get_ref().is_empty() || is_blank(&template.get_ref()[0]) {
                let expected = "an empty command; expected words such as [\"MEMBER\", \"{id}\"]";
                return Err(TableError::at(template.span(), expected));
            }
            for word in template.get_ref() {
                check_placeholders(word)?;
            }
        }
        let patterns = [&self.member, &self.voter, &self.learner];
        for pattern in patterns.into_iter().flatten() {
            let text = pattern.get_ref();
            if text.split_once('=').is_none_or(|(name, _)| name.trim().is_empty()) {
                let problem =
                    format!("{text:?} is no field and its value; expected \"name=value\"");
                return Err(TableError::at(pattern.span(), problem));
            }
            check_placeholders(pattern)?;
        }
        Ok(())
    }

    /// The fields that are missing for a change to be made and seen.
    pub(super) fn lacks(&self, change: Change) -> Vec<&'static str> {
        let transfer = [("transfer", self.transfer.is_none())];
        let members = [
            ("add", self.add.is_none()),
            ("remove", self.remove.is_none()),
            ("members", self.members.is_none()),
            ("member", self.member.is_none()),
            ("voter", self.voter.is_none()),
        ];
        let needed: &[(&'static str, bool)] = match change {
            Change::Transfer => &transfer,
            // What is added is removed again, and the other way round.
            Change::Add | Change::Remove => &members,
        };
        needed.iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| *name).collect()
    }

    /// The command that makes a change about `member`, if there is one.
    pub(super) fn change(&self, change: Change, member: &Member) -> Option<Vec<String>> {
        let template = match change {
            Change::Transfer => &self.transfer,
            Change::Add => &self.add,
            Change::Remove => &self.remove,
        };
        Some(filled(template.as_ref()?, member))
    }

    /// The command that asks the node `asked` for the members, if there is one.
    pub(super) fn question(&self, asked: &Member) -> Option<Vec<String>> {
        Some(filled(self.members.as_ref()?, asked))
    }

    /// Who the members are, as the rows of an answer tell it. Rows of nodes that are none of
    /// `members` are left out.
    pub(super) fn read(&self, rows: &[BTreeMap<String, String>], members: &[Member]) -> Members {
        let mut found = Members::default();
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
                &mut found.voters
            } else if says(&row, &self.learner) {
                &mut found.learners
            } else {
                &mut found.leaving
            };
            part.insert(member.name.clone());
        }
        found
    }
}

fn filled(template: &Template, member: &Member) -> Vec<String> {
    let names = member.names();
    template.get_ref().iter().map(|word| fill(word.get_ref(), &names)).collect()
}

fn check_placeholders(text: &Spanned<String>) -> Result<(), TableError> {
    match unknown_placeholder(text.get_ref(), &Member::PLACEHOLDERS) {
        None => Ok(()),
        Some(problem) => Err(TableError::at(text.span(), problem)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::client::Tables;

    const DESCRIPTION: &str = r#"
        [membership]
        transfer = ["RAFT", "TRANSFER", "{id}"]
        add = ["RAFT", "ADD", "{id}", "{advertised-ip}:{port.peer}", "{advertised-ip}:{port.client}"]
        remove = ["RAFT", "REMOVE", "{id}"]
        members = ["RAFT", "MEMBERS"]
        member = "id={id}"
        voter = "part=voter"
        learner = "part=learner"
    "#;

    fn read(text: &str) -> Result<Membership, TableError> {
        let membership: Membership = Tables::of(text)?.take("membership")?;
        membership.check()?;
        Ok(membership)
    }

    fn member(id: usize) -> Member {
        let name = format!("n{id}");
        let advertised = Ipv4Addr::new(198, 18, 0, u8::try_from(id).expect("small"));
        let ports = [("client", 6379), ("peer", 7000)];
        let ports = ports.map(|(name, port)| (name.to_owned(), port)).into();
        Member { name, id, address: advertised, advertised, ports }
    }

    fn row(id: usize, part: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("id".to_owned(), id.to_string()), ("part".to_owned(), part.to_owned())])
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_line_and_what_was_expected() {
        let cases = [
            ("add = [\"ADD\", \"{name}\"]", 2, "`{name}` holds an unknown placeholder"),
            ("\nremove = []", 3, "an empty command; expected words"),
            ("transfer = [\" \", \"{id}\"]", 2, "an empty command"),
            ("member = \"{id}\"", 2, "\"{id}\" is no field and its value"),
            (
                "voter = \"part={voter}\"",
                2,
                "expected {node}, {id}, {ip}, {advertised-ip}, {port.NAME}",
            ),
            ("drop = [\"DROP\"]", 2, "unknown field `drop`, expected one of `transfer`, `add`"),
            ("add = \"ADD\"", 2, "expected a sequence"),
        ];
        for (table, line, expected) in cases {
            let text = format!("[membership]\n{table}\n");
            let error = read(&text).expect_err(table);
            assert!(error.to_string().contains(expected), "{table}\n{error}");
            assert_eq!(error.line(&text), line, "{table}");
        }
    }

    #[test]
    fn a_change_is_told_what_the_description_lacks() {
        let bare = Membership::default();
        assert_eq!(bare.lacks(Change::Transfer), ["transfer"]);
        assert_eq!(bare.lacks(Change::Add), ["add", "remove", "members", "member", "voter"]);
        let whole = read(DESCRIPTION).expect("well described");
        for change in [Change::Transfer, Change::Add, Change::Remove] {
            assert!(whole.lacks(change).is_empty(), "{change}");
        }
    }

    #[test]
    fn words_of_commands_name_the_member() {
        let whole = read(DESCRIPTION).expect("well described");
        let say = |change| whole.change(change, &member(4)).expect("described").join(" ");
        assert_eq!(say(Change::Transfer), "RAFT TRANSFER 4");
        assert_eq!(say(Change::Add), "RAFT ADD 4 198.18.0.4:7000 198.18.0.4:6379");
        assert_eq!(say(Change::Remove), "RAFT REMOVE 4");
        assert_eq!(whole.question(&member(4)).expect("described"), ["RAFT", "MEMBERS"]);
        assert_eq!(Membership::default().question(&member(4)), None);
    }

    #[test]
    fn members_are_read_by_what_stands_in_their_rows() {
        let whole = read(DESCRIPTION).expect("well described");
        let members: Vec<Member> = (1..=5).map(member).collect();
        let rows = [
            row(1, "voter"),
            row(2, "voter"),
            row(3, "outgoing"),
            row(5, "learner"),
            row(9, "voter"),
        ];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Members {
            voters: names(&["n1", "n2"]),
            learners: names(&["n5"]),
            leaving: names(&["n3"]),
        };
        assert_eq!(whole.read(&rows, &members), expected);
        assert_eq!(whole.read(&[], &members), Members::default());
    }
}
