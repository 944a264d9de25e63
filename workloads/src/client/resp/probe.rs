//! What a node says of itself: the reply to `INFO`.

use std::time::Duration;

use bytes::Bytes;

use super::super::dial::Dial;
use super::super::probe::{Probe, ProbeError, Status};
use super::super::protocol::{BoxFuture, Endpoint};
use super::connection::Connection;
use super::reply::Reply;

/// Asks one node, over a connection that it keeps.
pub(super) struct RespProbe {
    endpoint: Endpoint,
    dial: Dial,
    limit: Duration,
    connection: Option<Connection>,
}

impl RespProbe {
    /// Of the node at `endpoint`. `limit` is for the connection and for the reply, each.
    pub(super) fn new(endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Self {
        Self { endpoint: endpoint.clone(), dial: dial.clone(), limit, connection: None }
    }

    async fn ask(&mut self) -> Result<Status, ProbeError> {
        let kept = self.connection.take().and_then(|mut it| it.is_quiet().then_some(it));
        let mut connection = match kept {
            Some(connection) => connection,
            None => Connection::open(&self.dial, &self.endpoint, self.limit).await?,
        };
        let silent = |error: &dyn std::fmt::Display| ProbeError::Silent(error.to_string());
        let reply = connection.request(&[Bytes::from_static(b"INFO")], self.limit).await;
        let no_text = || ProbeError::Silent("the status is no text".to_owned());
        let Reply::Bulk(text) = reply.map_err(|error| silent(&error))? else {
            return Err(no_text());
        };
        let status = parse(std::str::from_utf8(&text).map_err(|_| no_text())?)?;
        self.connection = Some(connection);
        Ok(status)
    }
}

impl Probe for RespProbe {
    fn status(&mut self) -> BoxFuture<'_, Result<Status, ProbeError>> {
        Box::pin(self.ask())
    }
}

/// Reads `name:value` lines; lines it does not know are skipped. A field that does not stand there is
/// not known.
fn parse(text: &str) -> Result<Status, ProbeError> {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::trim)
    };
    let number = |name: &str| {
        let no_number = |_| ProbeError::Silent(format!("`{name}` of the status is no number"));
        field(name).map(|text| text.parse::<u64>().map_err(no_number)).transpose()
    };
    Ok(Status {
        role: field("role").map(str::to_owned),
        term: number("term")?,
        commit_index: number("commit_index")?,
        applied_index: number("applied_index")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
