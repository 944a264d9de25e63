//! Reads the write-ahead log at restart, and tells a torn tail from damage.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{StorageError, format, io_error};
use crate::codec::decode_record;
use crate::core::Restored;
use crate::core::units::NodeId;

/// What a log file holds.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) restored: Restored,
    /// Where the last whole batch ends.
    pub(super) end: u64,
    /// How much follows it.
    pub(super) torn_bytes: u64,
}

/// Replays a log file from its start. Changes nothing.
pub(super) fn recover(path: &Path, file: &File, id: NodeId) -> Result<Recovered, StorageError> {
    let mut bytes = Vec::new();
    let mut reader = file;
    reader.read_to_end(&mut bytes).map_err(|source| io_error(path, "read", source))?;
    let damaged = |offset: usize, reason: String| StorageError::Damaged {
        path: path.to_owned(),
        offset: offset as u64,
        reason,
    };
    let Some(found) = format::header_id(&bytes) else {
        return Err(damaged(0, "this is not the header of a write-ahead log".to_owned()));
    };
    if found != id {
        return Err(StorageError::OtherServer { path: path.to_owned(), found, expected: id });
    }
    // Without a mark, only the batches themselves tell what was synced.
    let synced = format::known_synced(&bytes).unwrap_or(0);

    let mut restored = Restored::default();
    let mut offset = format::HEADER_BYTES;
    while offset < bytes.len() {
        let content = match format::unframe(&bytes, offset) {
            Ok(content) => content,
            Err(reason) if (offset as u64) < synced => {
                return Err(damaged(offset, format!("{reason}, and it was synced once")));
            }
            Err(reason) => match format::find_batch(&bytes, offset + 1) {
                Some(next) => {
                    let reason = format!("{reason}, and a whole batch follows at byte {next}");
                    return Err(damaged(offset, reason));
                }
                None => break,
            },
        };
        replay(&mut restored, content).map_err(|reason| damaged(offset, reason))?;
        offset += format::BATCH_HEADER_BYTES + content.len();
    }
    if (offset as u64) < synced {
        return Err(damaged(offset, format!("the file ends here, but was synced to {synced}")));
    }
    let torn_bytes = (bytes.len() - offset) as u64;
    Ok(Recovered { restored, end: offset as u64, torn_bytes })
}

/// Replays the records of a batch whose checksum is right: what is wrong now was written wrong.
fn replay(restored: &mut Restored, content: &[u8]) -> Result<(), String> {
    for record in format::records(content) {
        let bytes = record.ok_or("the records do not fill the batch")?;
        let record = decode_record(bytes).map_err(|error| format!("a record {error}"))?;
        restored.replay(record).map_err(|error| error.to_string())?;
    }
    Ok(())
}
