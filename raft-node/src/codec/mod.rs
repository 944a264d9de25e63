//! Turns records, messages and snapshots into bytes and back, for the disk and the wire.
//!
//! Little-endian fixed-width numbers, a length before every string, a tag byte before every choice.
//! Decoding trusts nothing: lengths are checked against what is there before anything is allocated,
//! numbers against their range, and no byte may be left over. Checksums are the business of the
//! frame or log record around it. Strings are copied out, so that a small key does not keep a large
//! frame in memory. Leaves out versions: both ends run the same build.

mod message;
mod record;
mod snapshot;

use bytes::Bytes;

pub use self::message::{decode_message, encode_message};
pub(crate) use self::record::encode_entry;
pub use self::record::{decode_record, encode_record};
pub use self::snapshot::{SNAPSHOT_BLOCK, SnapshotPieces, SnapshotReader};
use crate::core::units::{Index, Term};

/// Why bytes do not decode. Only damage, or another version of this program, gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end in the middle of something.
    #[error("ends too early")]
    TooShort,
    /// Bytes are left over.
    #[error("{0} bytes too long")]
    TooLong(usize),
    /// A tag that stands for nothing.
    #[error("unknown tag {tag} for {what}")]
    UnknownTag {
        /// What was to be decoded.
        what: &'static str,
        /// The tag found.
        tag: u8,
    },
    /// A number past what the program can count to.
    #[error("number out of range")]
    OutOfRange,
}

fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).expect("keys and values are bounded"));
    out.extend_from_slice(bytes);
}

/// Takes values off the front of a slice.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(DecodeError::TooShort)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*number))
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(DecodeError::UnknownTag { what, tag }),
        }
    }

    /// A number that is counted up from, so that it must stay far from the end of its range.
    fn counter(&mut self) -> Result<u64, DecodeError> {
        let number = self.u64()?;
        if number < 1 << 62 { Ok(number) } else { Err(DecodeError::OutOfRange) }
    }

    fn index(&mut self) -> Result<Index, DecodeError> {
        self.counter().map(Index)
    }

    fn term(&mut self) -> Result<Term, DecodeError> {
        self.counter().map(Term)
    }

    fn bytes(&mut self) -> Result<Bytes, DecodeError> {
        let length = usize::try_from(self.u32()?).map_err(|_| DecodeError::OutOfRange)?;
        self.take(length).map(Bytes::copy_from_slice)
    }

    fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TooLong(self.rest.len())) }
    }
}
