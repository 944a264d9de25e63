//! What a node itself holds, by the command that the description gives: the table `[replicas]`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use toml::Spanned;

use super::super::dial::Dial;
use super::super::protocol::{BoxFuture, Endpoint};
use super::super::replica::{Replica, ReplicaProbe};
use super::super::tables::TableError;
use super::answer::Answer;
use super::connection::Connection;
use super::reply::Reply;

/// How a node is asked for its state, as described.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Replicas {
    /// The command, which the node answers of itself.
    request: Option<Spanned<Vec<String>>>,
    /// The name of what it has applied.
    index: Option<String>,
    /// The name of the digest.
    digest: Option<String>,
}

impl Replicas {
    /// That what is described is enough, if anything is.
    pub(super) fn check(&self) -> Result<(), TableError> {
        let Some(request) = &self.request else { return Ok(()) };
        if request.get_ref().is_empty() || self.index.is_none() || self.digest.is_none() {
            let expected = "expected the words of a command, and the names of `index` and `digest` in its \
                            answer";
            return Err(TableError::at(request.span(), expected));
        }
        Ok(())
    }

    /// A probe of the node at `endpoint`, if the description says how.
    pub(super) fn probe(
        replicas: &Arc<Self>,
        endpoint: &Endpoint,
        dial: &Dial,
        limit: Duration,
    ) -> Option<Box<dyn ReplicaProbe>> {
        replicas.request.as_ref()?;
        let (replicas, dial) = (Arc::clone(replicas), Arc::clone(dial));
        Some(Box::new(RespReplica { replicas, endpoint: endpoint.clone(), dial, limit }))
    }

    fn read(&self, answer: &Answer) -> Result<Replica, String> {
        let field = |name: &Option<String>| {
            let name = name.as_deref().unwrap_or_default();
            named(answer, name).ok_or_else(|| format!("no `{name}` in the answer: {answer}"))
        };
        let index = field(&self.index)?;
        let index = index.parse().map_err(|_| format!("`{index}` is no index"))?;
        Ok(Replica { index, digest: field(&self.digest)? })
    }
}

/// The value of that name: after it in a list, or behind a colon in a line.
fn named(answer: &Answer, name: &str) -> Option<String> {
    match answer {
        Answer::Nothing => None,
        Answer::Text(text) => {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(|value| value.trim().to_owned())
        }
        Answer::List(items) => items.chunks_exact(2).find_map(|pair| match pair {
            [Answer::Text(it), Answer::Text(value)] if it == name => Some(value.clone()),
            _ => None,
        }),
    }
}

/// The probe of one node.
struct RespReplica {
    replicas: Arc<Replicas>,
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
}

impl ReplicaProbe for RespReplica {
    fn replica(&mut self) -> BoxFuture<'_, Result<Replica, String>> {
        Box::pin(async {
            let opened = Connection::open(&self.dial, &self.endpoint, self.limit).await;
            let mut connection = opened.map_err(|error| error.to_string())?;
            let words = self.replicas.request.iter().flat_map(Spanned::get_ref);
            let words: Vec<Bytes> = words.cloned().map(Bytes::from).collect();
            let reply = connection.request(&words, self.limit).await;
            match reply.map_err(|error| error.to_string())? {
                Reply::Error(message) => Err(String::from_utf8_lossy(&message).into_owned()),
                reply => self.replicas.read(&Answer::of(&reply)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Replicas {
        toml::from_str(text).expect("a table")
    }

    #[test]
    fn a_state_is_read_from_names_and_values_in_a_list_or_in_lines() {
        let replicas = described("request = [\"DIGEST\"]\nindex = \"at\"\ndigest = \"sum\"\n");
        assert!(replicas.check().is_ok());
        let text = |it: &str| Answer::Text(it.to_owned());
        let list = Answer::List(vec![text("at"), text("7"), text("sum"), text("ab")]);
        let expected = Replica { index: 7, digest: "ab".to_owned() };
        assert_eq!(replicas.read(&list), Ok(expected.clone()));
        assert_eq!(replicas.read(&text("# own\r\nat:7\r\nsum:ab\r\n")), Ok(expected));
        assert!(replicas.read(&text("at:x\nsum:ab\n")).is_err());
        assert!(replicas.read(&text("at:7\n")).expect_err("no sum").contains("`sum`"));
    }

    #[test]
    fn a_command_without_the_names_of_its_answer_is_refused() {
        assert!(described("request = [\"DIGEST\"]\n").check().is_err());
        assert!(described("").check().is_ok());
    }
}
