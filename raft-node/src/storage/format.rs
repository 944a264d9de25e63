//! Lays out the write-ahead log's bytes.
//!
//! | offset | bytes | content |
//! | --- | --- | --- |
//! | 0 | 8 | the magic number, with the format's version in it |
//! | 8 | 4 | the server's id |
//! | 12 | 4 | CRC32C of the 12 bytes before |
//! | 16 | 8 | the mark: up to where the file is known to be synced |
//! | 24 | 4 | CRC32C of the mark |
//! | 28 | 4 | zero |
//! | 32 | | batches |
//!
//! A batch is a magic number, the content's length, and the CRC32C of the batch's place in the
//! file, the length and the content (4 bytes each); the content is records, each with its length
//! before it. All numbers are little-endian. The place is part of the checksum so that a batch is
//! valid nowhere but where it was written.

use crate::core::units::NodeId;

const FILE_MAGIC: [u8; 8] = *b"PRAFTWL1";
const BATCH_MAGIC: [u8; 4] = *b"btch";

/// Where the synced mark is.
pub(super) const MARK_OFFSET: u64 = 16;
/// Where the first batch begins.
pub(super) const HEADER_BYTES: usize = 32;
/// What comes before a batch's content.
pub(super) const BATCH_HEADER_BYTES: usize = 12;
/// The content of one batch: more becomes several batches, each synced before the next is written.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// The first bytes of a new file.
pub(super) fn header(id: NodeId) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&FILE_MAGIC);
    header[8..12].copy_from_slice(&id.0.to_le_bytes());
    let checksum = crc32c::crc32c(&header[..12]);
    header[12..16].copy_from_slice(&checksum.to_le_bytes());
    header[16..28].copy_from_slice(&synced_mark(HEADER_BYTES as u64));
    header
}

/// The id in a file's header, if the header is whole.
pub(super) fn header_id(file: &[u8]) -> Option<NodeId> {
    let header = file.get(..HEADER_BYTES)?;
    let whole =
        header.starts_with(&FILE_MAGIC) && crc32c::crc32c(&header[..12]) == u32_at(header, 12);
    whole.then(|| NodeId(u32_at(header, 8)))
}

/// A mark that says that the file is synced up to `end`.
pub(super) fn synced_mark(end: u64) -> [u8; 12] {
    let mut mark = [0; 12];
    mark[..8].copy_from_slice(&end.to_le_bytes());
    let checksum = crc32c::crc32c(&mark[..8]);
    mark[8..].copy_from_slice(&checksum.to_le_bytes());
    mark
}

/// Up to where a file with a whole header is known to be synced, if the mark is whole.
pub(super) fn known_synced(file: &[u8]) -> Option<u64> {
    let mark = &file[16..28];
    let whole = crc32c::crc32c(&mark[..8]) == u32_at(mark, 8);
    whole.then(|| u64::from(u32_at(mark, 0)) | u64::from(u32_at(mark, 4)) << 32)
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

/// Splits records into contents of a size that one batch may have.
pub(super) fn batches(pending: &[u8]) -> Vec<&[u8]> {
    let mut batches = Vec::new();
    let (mut start, mut end) = (0, 0);
    for record in records(pending) {
        let size = record.expect("made by put_record").len() + 4;
        if end > start && end - start + size > MAX_BATCH_BYTES {
            batches.push(&pending[start..end]);
            start = end;
        }
        end += size;
    }
    batches.push(&pending[start..end]);
    batches
}

/// A batch as it is written at `offset`.
pub(super) fn frame(offset: u64, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a batch is bounded").to_le_bytes();
    let mut framed = Vec::with_capacity(BATCH_HEADER_BYTES + content.len());
    framed.extend_from_slice(&BATCH_MAGIC);
    framed.extend_from_slice(&length);
    framed.extend_from_slice(&checksum(offset, length, content).to_le_bytes());
    framed.extend_from_slice(content);
    framed
}

/// The content of the batch at `offset`, or why there is none.
pub(super) fn unframe(file: &[u8], offset: usize) -> Result<&[u8], &'static str> {
    let rest = file.get(offset..).unwrap_or_default();
    let (header, after) =
        rest.split_at_checked(BATCH_HEADER_BYTES).ok_or("the batch's header is cut short")?;
    if !header.starts_with(&BATCH_MAGIC) {
        return Err("no batch begins here");
    }
    let length = [header[4], header[5], header[6], header[7]];
    let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    let content = after.get(..size).ok_or("the batch is cut short")?;
    if checksum(offset as u64, length, content) != u32_at(header, 8) {
        return Err("the batch's checksum does not match");
    }
    Ok(content)
}

/// Where the next whole batch begins, at `from` or later.
pub(super) fn find_batch(file: &[u8], from: usize) -> Option<usize> {
    let starts = file.get(from..)?.windows(BATCH_MAGIC.len()).enumerate();
    let mut starts = starts.filter(|(_, window)| *window == BATCH_MAGIC);
    starts.find_map(|(at, _)| unframe(file, from + at).is_ok().then_some(from + at))
}

fn checksum(offset: u64, length: [u8; 4], content: &[u8]) -> u32 {
    let checksum = crc32c::crc32c(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(checksum, &length), content)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
