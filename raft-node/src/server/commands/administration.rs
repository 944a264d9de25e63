//! Understands `RAFT`, by which an operator looks at the cluster and changes it, at any server.
//!
//! * `RAFT STATUS`: where this server stands, by name and value.
//! * `RAFT MEMBERS`: a row per member: id, part (`voter`, `learner`, `outgoing`), address, and, if
//!   this server leads, how far the member's log is known to agree and how long it was silent.
//! * `RAFT DIGEST`: a checksum of the keys and sessions that this server itself holds, and the index of the
//!   last entry applied to them. Servers that applied the same entries have the same. Looks at all keys.
//! * `RAFT ADD id ip:port [ip:port]`: adds a server, reached by the others at the first address and
//!   by clients at the second. `OK` once it caught up and has a vote.
//! * `RAFT REMOVE id`: removes a server. `OK` once the others decide without it.
//! * `RAFT TRANSFER [id]`: hands the leadership to a voter, or to the one that lags least.
//! * `RAFT SNAPSHOT`: takes a snapshot on this server. `OK` once it is durable.
//!
//! The errors are those of [`refusal`](crate::core::refusal); `UNCERTAIN` means that a change was
//! begun and may still come about: look at `RAFT MEMBERS`.

use std::net::SocketAddr;

use bytes::Bytes;

use super::super::engine::{Digest, Members};
use super::super::journal::View;
use super::super::peers::address_words;
use super::super::resp::{Protocol, put};
use super::{CommandError, Request, Shape};
use crate::core::units::NodeId;
use crate::core::{Admin, Operation};

/// Understands what follows `RAFT`.
pub(super) fn parse(arguments: &[Bytes]) -> Result<Request, CommandError> {
    let (subcommand, arguments) = arguments.split_first().ok_or(CommandError::Raft)?;
    let admin = match (&subcommand.to_ascii_uppercase()[..], arguments) {
        (b"STATUS", []) => return Ok(Request::Status),
        (b"MEMBERS", []) => return Ok(Request::Members),
        (b"DIGEST", []) => return Ok(Request::Digest),
        (b"ADD", [id, peers]) => {
            Admin::Add { id: node(id)?, address: address_words(address(peers)?, None) }
        }
        (b"ADD", [id, peers, clients]) => {
            let clients = Some(address(clients)?);
            Admin::Add { id: node(id)?, address: address_words(address(peers)?, clients) }
        }
        (b"REMOVE", [id]) => Admin::Remove { id: node(id)? },
        (b"TRANSFER", []) => Admin::Transfer { to: None },
        (b"TRANSFER", [id]) => Admin::Transfer { to: Some(node(id)?) },
        (b"SNAPSHOT", []) => Admin::Snapshot,
        _ => return Err(CommandError::Raft),
    };
    Ok(Request::Operation(Operation::Admin(admin), Shape::Whole))
}

fn text(word: &Bytes) -> Result<&str, CommandError> {
    std::str::from_utf8(word).map_err(|_| CommandError::Raft)
}

fn node(word: &Bytes) -> Result<NodeId, CommandError> {
    let id = text(word)?.parse().map_err(|_| CommandError::Raft)?;
    if id == 0 { Err(CommandError::Raft) } else { Ok(NodeId(id)) }
}

fn address(word: &Bytes) -> Result<SocketAddr, CommandError> {
    text(word)?.parse().map_err(|_| CommandError::Raft)
}

/// A value of a reply's map.
enum Value {
    Text(String),
    Number(u64),
}

fn put_map(out: &mut Vec<u8>, pairs: &[(&str, Value)], protocol: Protocol) {
    put::map(out, protocol, pairs.len());
    for (name, value) in pairs {
        put::bulk(out, name.as_bytes());
        match value {
            Value::Text(text) => put::bulk(out, text.as_bytes()),
            Value::Number(number) => {
                put::integer(out, i64::try_from(*number).unwrap_or(i64::MAX));
            }
        }
    }
}

/// Writes the answer to `RAFT STATUS`.
pub(in super::super) fn put_status(out: &mut Vec<u8>, view: &View, protocol: Protocol) {
    let status = &view.status;
    let address = view.leader_address().map(|address| address.to_string());
    let pairs = [
        ("id", Value::Number(status.banner.server.0.into())),
        ("role", Value::Text(status.role.to_owned())),
        ("term", Value::Number(status.banner.term.0)),
        ("leader_id", Value::Number(status.leader.map_or(0, |leader| leader.0.into()))),
        ("leader_address", Value::Text(address.unwrap_or_default())),
        ("commit_index", Value::Number(status.banner.commit.0)),
        ("applied_index", Value::Number(status.applied.0)),
        ("durable_index", Value::Number(status.durable.0)),
        ("last_index", Value::Number(status.last.0)),
        ("first_index", Value::Number(status.first.0)),
        ("snapshot_index", Value::Number(status.snapshot.map_or(0, |snapshot| snapshot.index.0))),
        ("members", Value::Text(view.configuration.to_string())),
    ];
    put_map(out, &pairs, protocol);
}

/// Writes the answer to `RAFT DIGEST`.
pub(in super::super) fn put_digest(out: &mut Vec<u8>, digest: &Digest, protocol: Protocol) {
    let pairs = [
        ("applied_index", Value::Number(digest.applied.0)),
        ("digest", Value::Text(format!("{:08x}", digest.state))),
    ];
    put_map(out, &pairs, protocol);
}

/// Writes the answer to `RAFT MEMBERS`.
pub(in super::super) fn put_members(out: &mut Vec<u8>, members: &Members, protocol: Protocol) {
    put::array(out, members.addresses.len());
    for (id, address) in &members.addresses {
        let configuration = &members.configuration;
        let part = if configuration.voters.contains(id) {
            "voter"
        } else if configuration.learners.contains(id) {
            "learner"
        } else {
            "outgoing"
        };
        let mut pairs = vec![
            ("id", Value::Number(id.0.into())),
            ("part", Value::Text(part.to_owned())),
            ("address", Value::Text(address.clone())),
        ];
        if let Some(follower) = members.followers.iter().find(|follower| follower.id == *id) {
            let silent = u64::try_from(follower.silent.as_millis()).unwrap_or(u64::MAX);
            pairs.extend([
                ("matched_index", Value::Number(follower.matched.0)),
                ("next_index", Value::Number(follower.next.0)),
                ("state", Value::Text(follower.state.to_owned())),
                ("silent_ms", Value::Number(silent)),
            ]);
        }
        put_map(out, &pairs, protocol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, CommandError> {
        let words: Vec<Bytes> = line.split(' ').map(|word| word.to_owned().into()).collect();
        parse(&words)
    }

    #[test]
    fn changes_name_servers_and_addresses() {
        let admin = |admin| Ok(Request::Operation(Operation::Admin(admin), Shape::Whole));
        let id = NodeId(4);
        let address = Bytes::from("10.0.0.4:7001 10.0.0.4:6379");
        let line = "add 4 10.0.0.4:7001 10.0.0.4:6379";
        assert_eq!(parsed(line), admin(Admin::Add { id, address }));
        assert_eq!(parsed("digest"), Ok(Request::Digest));
        assert_eq!(parsed("REMOVE 4"), admin(Admin::Remove { id }));
        assert_eq!(parsed("TRANSFER"), admin(Admin::Transfer { to: None }));
        assert_eq!(parsed("TRANSFER 4"), admin(Admin::Transfer { to: Some(id) }));
        for line in ["ADD 4", "ADD 4 nowhere", "ADD 0 10.0.0.4:7001", "REMOVE x", "NONSENSE"] {
            assert_eq!(parsed(line), Err(CommandError::Raft), "{line}");
        }
    }
}
