//! Records of the log on disk, and the entries and writes in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{DecodeError, Reader, put_bytes, put_u8, put_u32, put_u64};
use crate::core::Record;
use crate::core::log::{Entry, Payload};
use crate::core::membership::Configuration;
use crate::core::operation::{Command, Write};
use crate::core::units::{Boot, Index, NodeId, SessionId, Timestamp};

/// Appends a record's bytes to `out`.
pub fn encode_record(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::HardState { term, vote } => {
            put_u8(out, 1);
            put_u64(out, term.0);
            // No server has the number 0.
            put_u32(out, vote.map_or(0, |vote| vote.0));
        }
        Record::Append(entry) => {
            put_u8(out, 2);
            put_u64(out, entry.index.0);
            put_entry(out, entry);
        }
        Record::Truncate { from } => {
            put_u8(out, 3);
            put_u64(out, from.0);
        }
        Record::Boot(boot) => {
            put_u8(out, 4);
            put_u64(out, boot.0);
        }
        Record::Trim { to, term } => {
            put_u8(out, 5);
            put_u64(out, to.0);
            put_u64(out, term.0);
        }
    }
}

/// Reads one record that fills `bytes`.
///
/// # Errors
///
/// When the bytes are not one record.
pub fn decode_record(bytes: &[u8]) -> Result<Record, DecodeError> {
    let mut reader = Reader::new(bytes);
    let record = match reader.u8()? {
        1 => {
            let term = reader.term()?;
            let vote = reader.u32()?;
            Record::HardState { term, vote: (vote != 0).then_some(NodeId(vote)) }
        }
        2 => {
            let index = reader.index()?;
            Record::Append(reader.entry(index)?)
        }
        3 => Record::Truncate { from: reader.index()? },
        4 => Record::Boot(Boot(reader.counter()?)),
        5 => Record::Trim { to: reader.index()?, term: reader.term()? },
        tag => return Err(DecodeError::UnknownTag { what: "record", tag }),
    };
    reader.end()?;
    Ok(record)
}

/// An entry without its index, which its neighbours or its record tell.
pub(super) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    put_u64(out, entry.term.0);
    put_u64(out, entry.time.0);
    match &entry.payload {
        Payload::Noop => put_u8(out, 0),
        Payload::Write(write) => {
            put_u8(out, 1);
            put_write(out, write);
        }
        Payload::Configuration(configuration) => {
            put_u8(out, 2);
            put_configuration(out, configuration);
        }
    }
}

pub(super) fn put_configuration(out: &mut Vec<u8>, configuration: &Configuration) {
    put_ids(out, &configuration.voters);
    put_u8(out, u8::from(configuration.outgoing.is_some()));
    if let Some(outgoing) = &configuration.outgoing {
        put_ids(out, outgoing);
    }
    put_ids(out, &configuration.learners);
    put_u32(out, u32::try_from(configuration.addresses.len()).expect("members are few"));
    for (id, address) in &configuration.addresses {
        put_u32(out, id.0);
        put_bytes(out, address);
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &BTreeSet<NodeId>) {
    put_u32(out, u32::try_from(ids.len()).expect("members are few"));
    for id in ids {
        put_u32(out, id.0);
    }
}

pub(super) fn put_write(out: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Plain(command) => {
            put_u8(out, 0);
            put_command(out, command);
        }
        Write::Once { session, sequence, command } => {
            put_u8(out, 1);
            put_u64(out, session.0);
            put_u64(out, *sequence);
            put_command(out, command);
        }
        Write::OpenSession => put_u8(out, 2),
    }
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Set { key, value, expected, get } => {
            put_u8(out, 0);
            put_bytes(out, key);
            put_bytes(out, value);
            put_u8(out, u8::from(*get));
            put_u8(out, u8::from(expected.is_some()));
            if let Some(expected) = expected {
                put_bytes(out, expected);
            }
        }
        Command::Append { key, suffix } => {
            put_u8(out, 1);
            put_bytes(out, key);
            put_bytes(out, suffix);
        }
        Command::Delete { keys } => {
            put_u8(out, 2);
            put_u32(out, u32::try_from(keys.len()).expect("a request names few keys"));
            for key in keys {
                put_bytes(out, key);
            }
        }
        Command::Increment { key } => {
            put_u8(out, 3);
            put_bytes(out, key);
        }
        Command::Expire { key, life } => {
            put_u8(out, 4);
            put_bytes(out, key);
            put_u64(out, u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        }
    }
}

impl Reader<'_> {
    pub(super) fn entry(&mut self, index: Index) -> Result<Entry, DecodeError> {
        let term = self.term()?;
        let time = Timestamp(self.u64()?);
        let payload = match self.u8()? {
            0 => Payload::Noop,
            1 => Payload::Write(self.write()?),
            2 => Payload::Configuration(Arc::new(self.configuration()?)),
            tag => return Err(DecodeError::UnknownTag { what: "payload", tag }),
        };
        Ok(Entry { index, term, time, payload })
    }

    pub(super) fn configuration(&mut self) -> Result<Configuration, DecodeError> {
        let voters = self.ids()?;
        let outgoing = if self.flag("outgoing")? { Some(self.ids()?) } else { None };
        let learners = self.ids()?;
        let count = self.u32()?;
        let addresses = (0..count).map(|_| Ok((NodeId(self.u32()?), self.bytes()?)));
        let addresses = addresses.collect::<Result<_, DecodeError>>()?;
        Ok(Configuration { voters, outgoing, learners, addresses })
    }

    fn ids(&mut self) -> Result<BTreeSet<NodeId>, DecodeError> {
        let count = self.u32()?;
        (0..count).map(|_| self.u32().map(NodeId)).collect()
    }

    pub(super) fn write(&mut self) -> Result<Write, DecodeError> {
        match self.u8()? {
            0 => self.command().map(Write::Plain),
            1 => {
                let session = SessionId(self.u64()?);
                let sequence = self.u64()?;
                Ok(Write::Once { session, sequence, command: self.command()? })
            }
            2 => Ok(Write::OpenSession),
            tag => Err(DecodeError::UnknownTag { what: "write", tag }),
        }
    }

    fn command(&mut self) -> Result<Command, DecodeError> {
        match self.u8()? {
            0 => {
                let (key, value) = (self.bytes()?, self.bytes()?);
                let get = self.flag("get")?;
                let expected = if self.flag("expected")? { Some(self.bytes()?) } else { None };
                Ok(Command::Set { key, value, expected, get })
            }
            1 => Ok(Command::Append { key: self.bytes()?, suffix: self.bytes()? }),
            2 => {
                let count = self.u32()?;
                // Grows with what is there, not with what the count claims.
                let keys = (0..count).map(|_| self.bytes()).collect::<Result<Vec<_>, _>>()?;
                Ok(Command::Delete { keys })
            }
            3 => Ok(Command::Increment { key: self.bytes()? }),
            4 => {
                let (key, life) = (self.bytes()?, Duration::from_millis(self.u64()?));
                Ok(Command::Expire { key, life })
            }
            tag => Err(DecodeError::UnknownTag { what: "command", tag }),
        }
    }
}
