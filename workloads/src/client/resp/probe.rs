//! What a node says of itself: the reply to `INFO`, or to another command of the description's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use toml::Spanned;

use super::super::dial::Dial;
use super::super::probe::{LEADER, Probe, ProbeError, Status};
use super::super::protocol::{BoxFuture, Endpoint};
use super::super::tables::TableError;
use super::connection::Connection;
use super::reply::Reply;

/// What tells a leader where the description does not say so.
const LEADS: &str = "role:leader";

/// The role of a node that calls itself leader and is none by the description.
const OTHER: &str = "follower";

/// One field, or several of which the first that stands there counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Fields {
    One(String),
    FirstOf(Vec<String>),
}

impl Fields {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::FirstOf(names) => names,
        }
    }
}

/// The table `[status]` of a description: what a node tells, in lines `name:value`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StatusForm {
    /// The command that a node answers at once, word by word: `INFO` without it.
    command: Option<Spanned<Vec<String>>>,
    /// Lines of a node that is ready: where such a name stands, it must have that value.
    ready: Option<Vec<Spanned<String>>>,
    /// The line of a node that leads.
    leader: Option<Spanned<String>>,
    /// The field with its role in the store's words; `leader` decides who leads.
    role: Option<String>,
    term: Option<Fields>,
    commit_index: Option<Fields>,
    applied_index: Option<Fields>,
}

impl StatusForm {
    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        if let Some(command) = &self.command
            && command.get_ref().first().is_none_or(|word| word.trim().is_empty())
        {
            let problem = "an empty command; expected words such as [\"INFO\"]";
            return Err(TableError::at(command.span(), problem));
        }
        let no_line = |line: &&Spanned<String>| !line.get_ref().contains(':');
        match self.ready.iter().flatten().chain(&self.leader).find(no_line) {
            None => Ok(()),
            Some(line) => {
                let problem = format!("{:?} is no line; expected \"name:value\"", line.get_ref());
                Err(TableError::at(line.span(), problem))
            }
        }
    }

    fn command(&self) -> Vec<Bytes> {
        let words = self.command.as_ref().map(|words| words.get_ref().iter().cloned());
        words.map_or_else(|| vec![Bytes::from_static(b"INFO")], |it| it.map(Bytes::from).collect())
    }

    /// Reads lines `name:value`; those it does not know are skipped. A field that does not stand there
    /// is not known.
    fn read(&self, text: &str) -> Result<Status, ProbeError> {
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(str::trim)
        };
        let holds = |line: &str| {
            let (name, expected) = line.split_once(':').unwrap_or((line, ""));
            field(name).map(|value| value == expected.trim())
        };
        for line in self.ready.iter().flatten() {
            if holds(line.get_ref()) == Some(false) {
                return Err(ProbeError::Silent(format!("not ready: not {}", line.get_ref())));
            }
        }
        let number = |fields: &Option<Fields>, usual: &str| {
            let usual = [usual.to_owned()];
            let names = fields.as_ref().map_or(&usual[..], Fields::names);
            let Some((name, text)) = names.iter().find_map(|name| Some((name, field(name)?)))
            else {
                return Ok(None);
            };
            let no_number = |_| ProbeError::Silent(format!("`{name}` of the status is no number"));
            text.parse::<u64>().map(Some).map_err(no_number)
        };
        let leads = holds(self.leader.as_ref().map_or(LEADS, |line| line.get_ref()));
        let told = field(self.role.as_deref().unwrap_or("role")).map(str::to_owned);
        let role = match leads {
            Some(true) => Some(LEADER.to_owned()),
            // The line decides who leads, not a word of the store's.
            Some(false) | None => told.map(|it| if it == LEADER { OTHER.to_owned() } else { it }),
        };
        Ok(Status {
            role,
            term: number(&self.term, "term")?,
            commit_index: number(&self.commit_index, "commit_index")?,
            applied_index: number(&self.applied_index, "applied_index")?,
        })
    }
}

/// Asks one node, over a connection that it keeps.
pub(super) struct RespProbe {
    form: Arc<StatusForm>,
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
    connection: Option<Connection>,
}

impl RespProbe {
    /// Of the node at `endpoint`. `limit` is for the connection and for the reply, each.
    pub(super) fn new(
        form: &Arc<StatusForm>,
        endpoint: &Endpoint,
        dial: &Dial,
        limit: Duration,
    ) -> Self {
        let form = Arc::clone(form);
        Self { form, endpoint: endpoint.clone(), dial: dial.clone(), limit, connection: None }
    }

    async fn ask(&mut self) -> Result<Status, ProbeError> {
        let kept = self.connection.take().and_then(|mut it| it.is_quiet().then_some(it));
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(&self.dial, &self.endpoint, self.limit).await?,
        };
        let silent = |error: &dyn std::fmt::Display| ProbeError::Silent(error.to_string());
        let reply = connection.request(&self.form.command(), self.limit).await;
        let no_text = || ProbeError::Silent("the status is no text".to_owned());
        let Reply::Bulk(text) = reply.map_err(|error| silent(&error))? else {
            return Err(no_text());
        };
        let status = self.form.read(std::str::from_utf8(&text).map_err(|_| no_text())?)?;
        self.connection = Some(connection);
        Ok(status)
    }
}

impl Probe for RespProbe {
    fn status(&mut self) -> BoxFuture<'_, Result<Status, ProbeError>> {
        Box::pin(self.ask())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Tables;

    fn parse(text: &str) -> Result<Status, ProbeError> {
        StatusForm::default().read(text)
    }

    fn form(text: &str) -> Result<StatusForm, TableError> {
        let form: StatusForm = Tables::of(text)?.take("status")?;
        form.check()?;
        Ok(form)
    }

    /// What Redis answers to `INFO replication` and `INFO persistence`, in part.
    const REDIS: &str = r#"
        [status]
        command = ["INFO", "everything"]
        ready = ["loading:0", "master_link_status:up"]
        leader = "role:master"
        commit-index = "master_repl_offset"
        applied-index = ["slave_repl_offset", "master_repl_offset"]
    "#;

    #[test]
    fn a_status_is_read_in_the_words_of_the_description() {
        let form = form(REDIS).expect("well described");
        assert_eq!(form.command().join(&b' '), b"INFO everything");
        let master = form.read("loading:0\r\nrole:master\r\nmaster_repl_offset:70\r\n");
        let leader = Status {
            role: Some(LEADER.to_owned()),
            term: None,
            commit_index: Some(70),
            applied_index: Some(70),
        };
        assert_eq!(master, Ok(leader));
        let text = "role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:68\r\n\
                    master_repl_offset:70\r\n";
        let replica = form.read(text).expect("a status");
        assert_eq!(replica.role.as_deref(), Some("slave"));
        assert_eq!((replica.commit_index, replica.applied_index), (Some(70), Some(68)));
        let cut_off = form.read(&text.replace(":up", ":down")).expect_err("not ready");
        assert_eq!(cut_off.to_string(), "not ready: not master_link_status:up");
    }

    #[test]
    fn only_the_line_of_the_description_makes_a_leader() {
        let form = form("[status]\nleader = \"leads:yes\"\nrole = \"part\"").expect("right");
        let role = |text: &str| form.read(text).expect("a status").role;
        assert_eq!(role("leads:yes\npart:primary\n").as_deref(), Some("leader"));
        assert_eq!(role("leads:no\npart:leader\n").as_deref(), Some("follower"));
        assert_eq!(role("part:arbiter\n").as_deref(), Some("arbiter"));
        assert_eq!(role("role:leader\n"), None);
    }

    #[test]
    fn a_status_form_that_makes_no_sense_is_named_with_its_line() {
        let cases = [
            ("command = []", "an empty command"),
            ("leader = \"master\"", "\"master\" is no line; expected \"name:value\""),
            ("ready = [\"loading\"]", "\"loading\" is no line"),
            ("roles = \"role\"", "unknown field `roles`"),
        ];
        for (table, expected) in cases {
            let text = format!("[status]\n{table}\n");
            let error = form(&text).expect_err(table);
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(error.line(&text), 2, "{table}");
        }
    }

    #[test]
    fn a_status_is_read_whatever_else_stands_there() {
        let text =
            "# Raft\r\nid:2\r\nrole:leader\r\nterm:7\r\ncommit_index:40\r\napplied_index:39\r\n";
        let status = parse(text).expect("complete");
        assert!(status.leads());
        assert_eq!(status.term, Some(7));
        assert_eq!((status.commit_index, status.applied_index), (Some(40), Some(39)));
    }

    #[test]
    fn what_a_status_does_not_tell_is_not_known() {
        let status = parse("role:replica\nconnected_clients:1\n").expect("a role");
        assert_eq!(status, Status { role: Some("replica".to_owned()), ..Status::default() });
        assert!(!status.leads());
    }

    #[test]
    fn a_term_that_is_no_number_is_no_status() {
        let error = parse("role:leader\nterm:high\n").expect_err("no number");
        assert_eq!(error, ProbeError::Silent("`term` of the status is no number".to_owned()));
    }
}
