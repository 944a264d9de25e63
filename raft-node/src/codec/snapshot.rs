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
use super::{DecodeError, Reader, put_bytes, put_u8, put_u64};
use crate::core::machine::Machine;
use crate::core::sessions::Session;
use crate::core::units::{Index, SessionId, Timestamp};
use crate::core::values::Place;
use crate::core::{Snapshot, SnapshotId};

/// Pieces begin at multiples of this.
pub const SNAPSHOT_BLOCK: usize = 4096;
/// How much content a piece has, unless its last item makes it longer.
const PIECE_BYTES: usize = 60 << 10;

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
                put_u8(out, if expiry.is_some() { 3 } else { 2 });
                put_bytes(out, key);
                put_bytes(out, value);
                expiry.inspect(|at| put_u64(out, at.0));
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
            tag @ (2 | 3) => {
                let (key, value): (Bytes, Bytes) = (reader.bytes()?, reader.bytes()?);
                self.machine.values.insert(&key, value);
                if tag == 3 {
                    let at = Timestamp(reader.u64()?);
                    self.machine.values.set_expiry(&key, Some(at));
                }
            }
            tag => return Err(DecodeError::UnknownTag { what: "item of a snapshot", tag }),
        }
        Ok(())
    }
}
