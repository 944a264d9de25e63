//! What a node says of itself: the reply to `INFO`.

use thiserror::Error;

use super::connection::{Connection, Dial, OpenError, RequestError};
use super::reply::Reply;

/// A node's view of the cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `leader`, `follower` or `candidate`.
    pub role: String,
    /// Its current term.
    pub term: u64,
    /// The highest log index that it knows to be committed.
    pub commit_index: u64,
    /// The highest log index that it applied.
    pub applied_index: u64,
}

/// Why a node's status is not known.
#[derive(Debug, Error)]
pub enum StatusError {
    /// It takes no connection.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Its answer lacks something.
    #[error("the status has no `{0}`")]
    Missing(&'static str),
    /// Its answer is no text.
    #[error("the status is no text")]
    NotText,
}

impl Status {
    /// Asks over `connection`, which the caller keeps for next time.
    ///
    /// # Errors
    ///
    /// [`StatusError`]; after any the connection must be dropped.
    pub async fn ask(
        connection: &mut Connection,
        limit: std::time::Duration,
    ) -> Result<Self, StatusError> {
        let reply = connection.request(&[bytes::Bytes::from_static(b"INFO")], limit).await?;
        let Reply::Bulk(text) = &reply else { return Err(StatusError::NotText) };
        Self::parse(std::str::from_utf8(text).map_err(|_| StatusError::NotText)?)
    }

    /// Asks the node at `address` once.
    ///
    /// # Errors
    ///
    /// [`StatusError`].
    pub async fn ask_once(
        dial: &Dial,
        address: std::net::SocketAddr,
        limit: std::time::Duration,
    ) -> Result<Self, StatusError> {
        let mut connection = Connection::open(dial, address, limit).await?;
        Self::ask(&mut connection, limit).await
    }

    /// Reads `name:value` lines; lines it does not know are skipped.
    ///
    /// # Errors
    ///
    /// [`StatusError::Missing`] names the first field that is absent or no number.
    pub fn parse(text: &str) -> Result<Self, StatusError> {
        let field = |name: &'static str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
                .ok_or(StatusError::Missing(name))
        };
        let number = |name: &'static str| {
            field(name)?.parse::<u64>().map_err(|_| StatusError::Missing(name))
        };
        Ok(Self {
            role: field("role")?.to_owned(),
            term: number("term")?,
            commit_index: number("commit_index")?,
            applied_index: number("applied_index")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whatever_else_stands_there() {
        let text =
            "# Raft\r\nid:2\r\nrole:leader\r\nterm:7\r\ncommit_index:40\r\napplied_index:39\r\n";
        let status = Status::parse(text).expect("complete");
        assert_eq!((status.role.as_str(), status.term), ("leader", 7));
        assert_eq!((status.commit_index, status.applied_index), (40, 39));
    }

    #[test]
    fn a_status_without_a_term_says_so() {
        let problem = Status::parse("role:leader\ncommit_index:1\n").expect_err("no term");
        assert_eq!(problem.to_string(), "the status has no `term`");
    }
}
