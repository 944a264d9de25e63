//! Records of the log on disk, and the entries and writes in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::message::put_query;
use super::{DecodeError, Reader, put_bytes, put_u8, put_u32, put_u64};
use crate::core::Record;
use crate::core::log::{Entry, Payload};
use crate::core::membership::Configuration;
use crate::core::operation::{Command, Condition, End, Expiry, Step, Write};
use crate::core::units::{Boot, Index, NodeId, SessionId, Timestamp};

/// The tag of a transaction, which no step of one has.
const TRANSACTION: u8 = 18;

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
            encode_entry(entry, out);
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

/// Appends an entry's bytes to `out`.
pub(crate) fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    put_u64(out, entry.index.0);
    put_entry(out, entry);
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
        Command::Set { key, value, condition, expiry, get } => {
            // Two tags, so that the common case has no byte more and logs from before there was a
            // choice are read.
            put_u8(out, if *expiry == Expiry::Never { 0 } else { 5 });
            put_bytes(out, key);
            put_bytes(out, value);
            put_u8(out, u8::from(*get));
            put_condition(out, condition);
            put_expiry(out, *expiry);
        }
        Command::Append { key, suffix } => {
            put_u8(out, 1);
            put_bytes(out, key);
            put_bytes(out, suffix);
        }
        Command::Delete { keys } => {
            put_u8(out, 2);
            put_keys(out, keys);
        }
        // As with a key that is set: one is what is added most.
        Command::Add { key, amount } => {
            put_u8(out, if *amount == 1 { 3 } else { 6 });
            put_bytes(out, key);
            if *amount != 1 {
                put_u64(out, amount.cast_unsigned());
            }
        }
        Command::Expire { key, life } => {
            put_u8(out, 4);
            put_bytes(out, key);
            put_millis(out, *life);
        }
        Command::SetMany { pairs } => {
            put_u8(out, 7);
            put_u32(out, u32::try_from(pairs.len()).expect("a request names few keys"));
            for (key, value) in pairs {
                put_bytes(out, key);
                put_bytes(out, value);
            }
        }
        Command::Take { key } => {
            put_u8(out, 8);
            put_bytes(out, key);
        }
        Command::Persist { key } => {
            put_u8(out, 9);
            put_bytes(out, key);
        }
        Command::DeleteIf { key, value, equal } => {
            put_u8(out, if *equal { 10 } else { 11 });
            put_bytes(out, key);
            put_bytes(out, value);
        }
        Command::Push { .. }
        | Command::Pop { .. }
        | Command::AddMembers { .. }
        | Command::RemoveMembers { .. } => put_command_for_elements(out, command),
        Command::Transaction { steps } => put_transaction(out, steps),
    }
}

fn put_command_for_elements(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Push { key, end, elements } => {
            put_u8(out, if *end == End::Front { 12 } else { 13 });
            put_bytes(out, key);
            put_keys(out, elements);
        }
        Command::Pop { key, end, count } => {
            put_u8(out, if *end == End::Front { 14 } else { 15 });
            put_bytes(out, key);
            put_u8(out, u8::from(count.is_some()));
            count.inspect(|count| put_u64(out, *count));
        }
        Command::AddMembers { key, members } => {
            put_u8(out, 16);
            put_bytes(out, key);
            put_keys(out, members);
        }
        Command::RemoveMembers { key, members } => {
            put_u8(out, 17);
            put_bytes(out, key);
            put_keys(out, members);
        }
        _ => unreachable!("no command for elements"),
    }
}

fn put_transaction(out: &mut Vec<u8>, steps: &[Step]) {
    put_u8(out, TRANSACTION);
    put_u32(out, u32::try_from(steps.len()).expect("a transaction has few steps"));
    for step in steps {
        match step {
            Step::Read(query) => {
                put_u8(out, 0);
                put_query(out, query);
            }
            Step::Write(command) => {
                put_u8(out, 1);
                put_command(out, command);
            }
            Step::Check { key, expected: None } => {
                put_u8(out, 2);
                put_bytes(out, key);
            }
            Step::Check { key, expected: Some(expected) } => {
                put_u8(out, 3);
                put_bytes(out, key);
                put_bytes(out, expected);
            }
        }
    }
}

fn put_condition(out: &mut Vec<u8>, condition: &Condition) {
    match condition {
        Condition::Always => put_u8(out, 0),
        Condition::Equals(expected) => {
            put_u8(out, 1);
            put_bytes(out, expected);
        }
        Condition::Missing => put_u8(out, 2),
        Condition::Exists => put_u8(out, 3),
    }
}

fn put_expiry(out: &mut Vec<u8>, expiry: Expiry) {
    match expiry {
        // The command's tag says it.
        Expiry::Never => {}
        Expiry::Kept => put_u8(out, 0),
        Expiry::After(life) => {
            put_u8(out, 1);
            put_millis(out, life);
        }
    }
}

fn put_millis(out: &mut Vec<u8>, life: Duration) {
    put_u64(out, u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
}

pub(super) fn put_keys(out: &mut Vec<u8>, keys: &[Bytes]) {
    put_u32(out, u32::try_from(keys.len()).expect("a request names few keys"));
    for key in keys {
        put_bytes(out, key);
    }
}

impl Reader<'_> {
    pub(super) fn entry(&mut self, index: Index) -> Result<Entry, DecodeError> {
        let term = self.term()?;
        let time = Timestamp(self.u64()?);
        let payload = match self.u8()? {
            0 => Payload::Noop,
            1 => Payload::Write(Arc::new(self.write()?)),
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
            TRANSACTION => {
                let count = self.u32()?;
                let steps = (0..count).map(|_| self.step()).collect::<Result<_, _>>()?;
                Ok(Command::Transaction { steps })
            }
            tag => self.single_command(tag),
        }
    }

    /// A step of a transaction, which is none itself.
    fn step(&mut self) -> Result<Step, DecodeError> {
        Ok(match self.u8()? {
            0 => Step::Read(self.query()?),
            1 => {
                let tag = self.u8()?;
                Step::Write(self.single_command(tag)?)
            }
            2 => Step::Check { key: self.bytes()?, expected: None },
            3 => Step::Check { key: self.bytes()?, expected: Some(self.bytes()?) },
            tag => return Err(DecodeError::UnknownTag { what: "step", tag }),
        })
    }

    fn single_command(&mut self, tag: u8) -> Result<Command, DecodeError> {
        Ok(match tag {
            0 | 5 => {
                let (key, value) = (self.bytes()?, self.bytes()?);
                let get = self.flag("get")?;
                let condition = self.condition()?;
                let expiry = if tag == 0 { Expiry::Never } else { self.expiry()? };
                Command::Set { key, value, condition, expiry, get }
            }
            1 => Command::Append { key: self.bytes()?, suffix: self.bytes()? },
            2 => Command::Delete { keys: self.keys()? },
            3 => Command::Add { key: self.bytes()?, amount: 1 },
            4 => Command::Expire { key: self.bytes()?, life: self.millis()? },
            6 => Command::Add { key: self.bytes()?, amount: self.u64()?.cast_signed() },
            7 => {
                let count = self.u32()?;
                let pair = |_| Ok((self.bytes()?, self.bytes()?));
                Command::SetMany { pairs: (0..count).map(pair).collect::<Result<_, _>>()? }
            }
            8 => Command::Take { key: self.bytes()? },
            9 => Command::Persist { key: self.bytes()? },
            10 | 11 => {
                let (key, value) = (self.bytes()?, self.bytes()?);
                Command::DeleteIf { key, value, equal: tag == 10 }
            }
            12..=17 => self.command_for_elements(tag)?,
            tag => return Err(DecodeError::UnknownTag { what: "command", tag }),
        })
    }

    fn command_for_elements(&mut self, tag: u8) -> Result<Command, DecodeError> {
        let key = self.bytes()?;
        let end = if tag.is_multiple_of(2) { End::Front } else { End::Back };
        Ok(match tag {
            12 | 13 => Command::Push { key, end, elements: self.keys()? },
            14 | 15 => {
                let count = self.flag("count")?.then(|| self.u64()).transpose()?;
                Command::Pop { key, end, count }
            }
            16 => Command::AddMembers { key, members: self.keys()? },
            17 => Command::RemoveMembers { key, members: self.keys()? },
            tag => return Err(DecodeError::UnknownTag { what: "command", tag }),
        })
    }

    fn condition(&mut self) -> Result<Condition, DecodeError> {
        match self.u8()? {
            0 => Ok(Condition::Always),
            1 => self.bytes().map(Condition::Equals),
            2 => Ok(Condition::Missing),
            3 => Ok(Condition::Exists),
            tag => Err(DecodeError::UnknownTag { what: "condition", tag }),
        }
    }

    fn expiry(&mut self) -> Result<Expiry, DecodeError> {
        match self.u8()? {
            0 => Ok(Expiry::Kept),
            1 => self.millis().map(Expiry::After),
            tag => Err(DecodeError::UnknownTag { what: "expiry", tag }),
        }
    }

    fn millis(&mut self) -> Result<Duration, DecodeError> {
        self.u64().map(Duration::from_millis)
    }

    /// Grows with what is there, not with what the count claims.
    pub(super) fn keys(&mut self) -> Result<Vec<Bytes>, DecodeError> {
        let count = self.u32()?;
        (0..count).map(|_| self.bytes()).collect()
    }
}
