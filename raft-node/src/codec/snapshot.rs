//! Snapshots as bytes: a header, then the sessions, then the keys.
//!
//! A snapshot is a run of *pieces*. A piece is its content's length (4 bytes), the content, and
//! zeros up to the next multiple of 4096 bytes; a length of zero is a piece of padding. The content
//! of the first piece is the header, that of the others is a number of items, each with a tag. No
//! item lies in two pieces, so that a reader needs memory for one piece at a time: 64 KiB, or one
//! item if that is longer. Whoever keeps or sends the bytes vouches for them with a length and a
//! checksum over the whole; there is none in here.

use bytes::{Buf, Bytes, BytesMut};

use super::message::put_result;
use super::record::put_configuration;
use super::{DecodeError, Reader, put_bytes, put_u8, put_u32, put_u64};
use crate::core::machine::Machine;
use crate::core::sessions::Session;
use crate::core::units::{Index, SessionId, Timestamp};
use crate::core::value::{Collection, End, List, Set, Value};
use crate::core::values::Place;
use crate::core::{Snapshot, SnapshotId};

/// Pieces begin at multiples of this.
pub const SNAPSHOT_BLOCK: usize = 4096;
/// How much content a piece has, unless its last item makes it longer.
const PIECE_BYTES: usize = 60 << 10;

/// Tags of keys, by type.
const STRING: u8 = 2;
const LIST: u8 = 4;
const SET: u8 = 6;

/// The bytes of a snapshot, piece by piece; each piece is a whole number of blocks.
#[derive(Debug)]
pub struct SnapshotPieces<'a> {
    snapshot: &'a Snapshot,
    next: Next,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    Header,
    Sessions(Option<SessionId>),
    Keys(Place),
    End,
}

impl<'a> SnapshotPieces<'a> {
    /// The pieces of this snapshot, from the first.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, next: Next::Header }
    }

    fn put_header(&self, out: &mut Vec<u8>) {
        let SnapshotId { index, term } = self.snapshot.id();
        put_u64(out, index.0);
        put_u64(out, term.0);
        put_u64(out, self.snapshot.machine().time.0);
        put_u64(out, self.snapshot.configuration_index().0);
        put_configuration(out, self.snapshot.configuration());
    }

    /// Puts the next item; says whether there was one.
    fn put_item(&mut self, out: &mut Vec<u8>) -> bool {
        let machine = self.snapshot.machine();
        if let Next::Sessions(last) = &mut self.next {
            if let Some((id, session)) = machine.sessions.next_after(*last) {
                *last = Some(id);
                put_session(out, id, session);
                return true;
            }
            self.next = Next::Keys(Place::default());
        }
        if let Next::Keys(place) = &mut self.next {
            if let Some((key, value)) = machine.values.next_after(place) {
                let expiry = machine.values.expiry(key);
                put_key(out, key, value, expiry);
                return true;
            }
            self.next = Next::End;
        }
        false
    }
}

impl Iterator for SnapshotPieces<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut piece = vec![0; 4];
        match self.next {
            Next::End => return None,
            Next::Header => {
                self.put_header(&mut piece);
                self.next = Next::Sessions(None);
            }
            Next::Sessions(_) | Next::Keys(_) => {
                while piece.len() < PIECE_BYTES && self.put_item(&mut piece) {}
            }
        }
        if piece.len() == 4 {
            return None;
        }
        let length = u32::try_from(piece.len() - 4).expect("an item is bounded");
        piece[..4].copy_from_slice(&length.to_le_bytes());
        piece.resize(piece.len().next_multiple_of(SNAPSHOT_BLOCK), 0);
        Some(piece)
    }
}

/// An even tag tells the type; the odd one after it, that the key expires.
fn put_key(out: &mut Vec<u8>, key: &Bytes, value: &Value, expiry: Option<Timestamp>) {
    let expires = u8::from(expiry.is_some());
    match value {
        Value::String(string) => {
            put_u8(out, STRING + expires);
            put_bytes(out, key);
            put_bytes(out, string);
        }
        Value::Collection(collection) => match &**collection {
            Collection::List(list) => {
                put_u8(out, LIST + expires);
                put_bytes(out, key);
                put_elements(out, list.len(), list.iter());
            }
            Collection::Set(set) => {
                put_u8(out, SET + expires);
                put_bytes(out, key);
                put_elements(out, set.len(), set.iter());
            }
        },
    }
    expiry.inspect(|at| put_u64(out, at.0));
}

fn put_elements<'a>(out: &mut Vec<u8>, count: usize, elements: impl Iterator<Item = &'a Bytes>) {
    put_u32(out, u32::try_from(count).expect("a list or set is bounded"));
    elements.for_each(|element| put_bytes(out, element));
}

fn put_session(out: &mut Vec<u8>, id: SessionId, session: &Session) {
    put_u8(out, 1);
    put_u64(out, id.0);
    put_u64(out, session.used.0);
    put_u64(out, session.used_at.0);
    put_u8(out, u8::from(session.last.is_some()));
    if let Some((sequence, reply)) = &session.last {
        put_u64(out, *sequence);
        put_result(out, &Ok(reply.clone()));
    }
}

/// Puts a snapshot together from its bytes, as they come.
#[derive(Debug, Default)]
pub struct SnapshotReader {
    /// What does not make a whole piece yet.
    rest: BytesMut,
    header: Option<Header>,
    machine: Machine,
}

#[derive(Debug)]
struct Header {
    id: SnapshotId,
    configuration_index: Index,
    configuration: crate::core::membership::Configuration,
}

impl SnapshotReader {
    /// Takes the bytes that follow those before, however they are cut.
    ///
    /// # Errors
    ///
    /// When they are not those of a snapshot.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.rest.extend_from_slice(bytes);
        while let Some(length) = self.rest.first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            let padded = (length + 4).next_multiple_of(SNAPSHOT_BLOCK);
            if self.rest.len() < padded {
                break;
            }
            let piece = self.rest.split_to(padded).freeze();
            self.piece(&piece[4..length + 4])?;
        }
        Ok(())
    }

    /// Says what the bytes were, which must be complete.
    ///
    /// # Errors
    ///
    /// When the bytes end too early.
    pub fn finish(self) -> Result<Snapshot, DecodeError> {
        match self.header {
            Some(header) if !self.rest.has_remaining() => {
                let Header { id, configuration_index, configuration } = header;
                let configuration = std::sync::Arc::new(configuration);
                Ok(Snapshot::new(id, configuration, configuration_index, self.machine))
            }
            _ => Err(DecodeError::TooShort),
        }
    }

    fn piece(&mut self, content: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(content);
        if content.is_empty() {
            return Ok(());
        }
        if self.header.is_none() {
            let id = SnapshotId { index: reader.index()?, term: reader.term()? };
            self.machine.applied = id.index;
            self.machine.time = Timestamp(reader.u64()?);
            let configuration_index = reader.index()?;
            let configuration = reader.configuration()?;
            self.header = Some(Header { id, configuration_index, configuration });
            return reader.end();
        }
        while !reader.is_empty() {
            self.item(&mut reader)?;
        }
        Ok(())
    }

    fn item(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match reader.u8()? {
            1 => {
                let id = SessionId(reader.u64()?);
                let (used, used_at) = (reader.index()?, Timestamp(reader.u64()?));
                let last = if reader.flag("session")? {
                    let sequence = reader.u64()?;
                    // A refusal is nothing that a session keeps.
                    let reply = reader.result()?;
                    let tag = 255;
                    let unknown = DecodeError::UnknownTag { what: "stored reply", tag };
                    Some((sequence, reply.map_err(|_| unknown)?))
                } else {
                    None
                };
                self.machine.sessions.restore(id, Session { used, used_at, last });
            }
            tag @ 2..=7 => {
                let key: Bytes = reader.bytes()?;
                let value = reader.value(tag & !1)?;
                self.machine.values.insert(&key, value);
                if tag % 2 == 1 {
                    let at = Timestamp(reader.u64()?);
                    self.machine.values.set_expiry(&key, Some(at));
                }
            }
            tag => return Err(DecodeError::UnknownTag { what: "item of a snapshot", tag }),
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn value(&mut self, tag: u8) -> Result<Value, DecodeError> {
        Ok(match tag {
            LIST => {
                let mut list = List::default();
                for _ in 0..self.u32()? {
                    list.push(End::Back, self.bytes()?);
                }
                list.into()
            }
            SET => {
                let mut set = Set::default();
                for _ in 0..self.u32()? {
                    set.insert(self.bytes()?);
                }
                set.into()
            }
            _ => self.bytes()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::membership::Configuration;
    use crate::core::units::NodeId;

    /// The state after a snapshot was written and read again.
    fn through_bytes(machine: &Machine) -> Machine {
        let id = SnapshotId { index: machine.applied, term: crate::core::units::Term(1) };
        let configuration = Configuration::initial([NodeId(1)].into());
        let snapshot = Snapshot::new(id, configuration.into(), Index::ZERO, machine.clone());
        let mut reader = SnapshotReader::default();
        for piece in SnapshotPieces::new(&snapshot) {
            // However it is cut.
            piece.chunks(1000).for_each(|part| reader.push(part).expect("a snapshot"));
        }
        reader.finish().expect("all of it").machine().clone()
    }

    #[test]
    fn values_of_all_types_survive_with_their_expiry() {
        let mut machine = Machine { applied: Index(9), ..Machine::default() };
        let (mut list, mut set) = (List::default(), Set::default());
        for number in [3_u32, 1, 2, 1] {
            list.push(End::Back, number.to_string().into());
            set.insert(number.to_string().into());
        }
        for number in 0..20_000_u32 {
            set.insert(format!("member {number}").into());
        }
        let values = [Value::from(Bytes::from("text")), list.into(), set.into()];
        for (number, value) in values.iter().enumerate() {
            let [plain, brief] = ["plain", "brief"].map(|k| Bytes::from(format!("{k} {number}")));
            machine.values.insert(&plain, value.clone());
            machine.values.insert(&brief, value.clone());
            machine.values.set_expiry(&brief, Some(Timestamp(70 + number as u64)));
        }
        let read = through_bytes(&machine);
        assert_eq!((read.values.len(), read.values.expiring()), (6, 3));
        let mut place = Place::default();
        while let Some((key, value)) = machine.values.next_after(&mut place) {
            assert_eq!(read.values.get(key), Some(value), "{}", key.escape_ascii());
            assert_eq!(read.values.expiry(key), machine.values.expiry(key));
        }
    }
}
