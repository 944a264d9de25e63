//! Lays out the bytes of a log segment.
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 8 | the magic number, with the format's version in it |
//! | 8 | 8 | the segment's number, from 1 |
//! | 16 | 4 | the server's id |
//! | 20 | 4 | the vote in the term below, or 0 |
//! | 24 | 8 | the term |
//! | 32 | 8 | the life |
//! | 40 | 8 | the index of the last entry before the segment |
//! | 48 | 8 | the term of that entry |
//! | 56 | 4 | CRC32C of the 56 bytes before |
//! | 60 | 8 | the mark: up to where the segment is known to be synced |
//! | 68 | 4 | CRC32C of the segment's number and the mark |
//! | 72 | | batches, then zeros |
//!
//! A batch is a magic number, the content's length, and the CRC32C of the segment's number, the
//! batch's place in the file, the length and the content (4 bytes each); the content is records,
//! each with its length before it. All numbers are little-endian. The place is part of the checksum
//! so that a batch is valid nowhere but where it was written.

use super::position::Position;
use crate::core::units::{Boot, Index, NodeId, Term};

/// How a segment begins, but for the digit of the version.
const FAMILY: [u8; 7] = *b"PRAFTWL";
const MAGIC: [u8; 8] = *b"PRAFTWL3";
const BATCH_MAGIC: [u8; 4] = *b"btch";

/// Where the synced mark is.
pub(super) const MARK_OFFSET: u64 = 60;
/// Where the first batch begins.
pub(super) const HEADER_BYTES: usize = 72;
/// What comes before a batch's content.
pub(super) const BATCH_HEADER_BYTES: usize = 12;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The segment's number, from 1.
    pub(super) sequence: u64,
    /// The server it belongs to.
    pub(super) id: NodeId,
    /// Where the server stood when the segment began.
    pub(super) position: Position,
}

impl Header {
    /// The first bytes of a new segment.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Position { boot, term, vote, last_index, last_term } = self.position;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.id.0.to_le_bytes());
        // No server has the number 0.
        bytes.extend_from_slice(&vote.map_or(0, |vote| vote.0).to_le_bytes());
        for number in [term.0, boot.0, last_index.0, last_term.0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend_from_slice(&synced_mark(self.sequence, HEADER_BYTES as u64));
        bytes
    }

    /// What a segment's first bytes say, if they are whole.
    pub(super) fn decode(segment: &[u8]) -> Option<Self> {
        let bytes = segment.get(..HEADER_BYTES)?;
        if !bytes.starts_with(&MAGIC) || crc32c::crc32c(&bytes[..56]) != u32_at(bytes, 56) {
            return None;
        }
        let vote = u32_at(bytes, 20);
        let position = Position {
            boot: Boot(u64_at(bytes, 32)),
            term: Term(u64_at(bytes, 24)),
            vote: (vote != 0).then_some(NodeId(vote)),
            last_index: Index(u64_at(bytes, 40)),
            last_term: Term(u64_at(bytes, 48)),
        };
        Some(Self { sequence: u64_at(bytes, 8), id: NodeId(u32_at(bytes, 16)), position })
    }
}

/// Whether a file begins as a segment of another version would.
pub(super) fn is_other_version(segment: &[u8]) -> bool {
    segment.starts_with(&FAMILY) && !segment.starts_with(&MAGIC)
}

/// A mark that says that a segment is synced up to `end`.
pub(super) fn synced_mark(sequence: u64, end: u64) -> [u8; 12] {
    let end = end.to_le_bytes();
    let mut mark = [0; 12];
    mark[..8].copy_from_slice(&end);
    mark[8..].copy_from_slice(&mark_checksum(sequence, &end).to_le_bytes());
    mark
}

/// Up to where a segment with a whole header is known to be synced, if the mark is whole.
pub(super) fn known_synced(sequence: u64, segment: &[u8]) -> Option<u64> {
    let mark = &segment[60..72];
    let whole = mark_checksum(sequence, &mark[..8]) == u32_at(mark, 8);
    whole.then(|| u64_at(mark, 0))
}

fn mark_checksum(sequence: u64, mark: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&sequence.to_le_bytes()), mark)
}

/// Adds a record to a batch's content.
pub(super) fn put_record(content: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let start = content.len();
    content.extend_from_slice(&[0; 4]);
    encode(content);
    let length = u32::try_from(content.len() - start - 4).expect("entries are bounded");
    content[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The records in a batch's content, in order; `None` where they do not add up.
pub(super) fn records(content: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = rest.split_first_chunk().and_then(|(length, after)| {
            after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
        });
        rest = record.map_or(&[][..], |(_, after)| after);
        Some(record.map(|(record, _)| record))
    })
}

/// Fills in the header that was left free before a batch's content.
pub(super) fn seal(sequence: u64, offset: u64, batch: &mut [u8]) {
    let (header, content) = batch.split_at_mut(BATCH_HEADER_BYTES);
    let length = u32::try_from(content.len()).expect("a batch is bounded").to_le_bytes();
    header[..4].copy_from_slice(&BATCH_MAGIC);
    header[4..8].copy_from_slice(&length);
    header[8..].copy_from_slice(&checksum(sequence, offset, length, content).to_le_bytes());
}

/// Why no whole batch begins at a place, and what can be said of one that may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken<'a> {
    /// What is wrong, for a person.
    pub(super) reason: &'static str,
    /// The content as far as it is there, if what begins here looks like a batch.
    pub(super) content: &'a [u8],
}

/// The content of the batch at `offset`, or why there is none.
pub(super) fn unseal(sequence: u64, segment: &[u8], offset: usize) -> Result<&[u8], Broken<'_>> {
    let broken = |reason| Broken { reason, content: &[] };
    let rest = segment.get(offset..).unwrap_or_default();
    let split = rest.split_at_checked(BATCH_HEADER_BYTES);
    let (header, after) = split.ok_or(broken("the batch's header is cut short"))?;
    if !header.starts_with(&BATCH_MAGIC) {
        return Err(broken("no batch begins here"));
    }
    let length = [header[4], header[5], header[6], header[7]];
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    let Some(content) = after.get(..size) else {
        return Err(Broken { reason: "the batch is cut short", content: after });
    };
    if checksum(sequence, offset as u64, length, content) != u32_at(header, 8) {
        return Err(Broken { reason: "the batch's checksum does not match", content });
    }
    Ok(content)
}

/// Where the next whole batch begins, at `from` or later.
pub(super) fn find_batch(sequence: u64, segment: &[u8], from: usize) -> Option<usize> {
    let starts = segment.get(from..)?.windows(BATCH_MAGIC.len()).enumerate();
    let mut starts = starts.filter(|(_, window)| *window == BATCH_MAGIC);
    starts.find_map(|(at, _)| unseal(sequence, segment, from + at).is_ok().then_some(from + at))
}

fn checksum(sequence: u64, offset: u64, length: [u8; 4], content: &[u8]) -> u32 {
    let checksum = crc32c::crc32c(&sequence.to_le_bytes());
    let checksum = crc32c::crc32c_append(checksum, &offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(checksum, &length), content)
}

/// Whether there are only zeros, a cache line at a time.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(64).all(|line| line.iter().fold(0, |any, byte| any | byte) == 0)
}

/// The number in four bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The number in eight bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
