//! Facts about the write-ahead log.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::core::log::{Entry, Payload};
use crate::core::operation::{Command, Write};
use crate::core::units::{Index, Term, Timestamp};

const ID: NodeId = NodeId(1);

fn entry(index: u64, term: u64) -> Record {
    let command = Command::Append { key: "k".into(), suffix: format!("{index}").into() };
    let payload = Payload::Write(Write::Plain(command));
    Record::Append(Entry { index: Index(index), term: Term(term), time: Timestamp(0), payload })
}

/// A data directory with three batches: term and vote, two entries, an overwritten entry.
fn written() -> (TempDir, Vec<u64>) {
    let directory = TempDir::new().expect("a directory");
    let mut storage = Storage::open(directory.path(), ID).expect("opens").storage;
    let mut ends = vec![storage.end];
    let batches = [
        vec![Record::HardState { term: Term(3), vote: Some(NodeId(2)) }],
        vec![entry(1, 3), entry(2, 3)],
        vec![Record::Truncate { from: Index(2) }, entry(2, 4)],
    ];
    for batch in batches {
        for record in &batch {
            storage.append(record);
        }
        storage.commit().expect("a healthy disk");
        ends.push(storage.end);
    }
    (directory, ends)
}

fn contents(directory: &TempDir) -> Vec<u8> {
    fs::read(directory.path().join(FILE_NAME)).expect("readable")
}

fn open_with(bytes: &[u8]) -> Result<Opened, StorageError> {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join(FILE_NAME), bytes).expect("writable");
    let opened = Storage::open(directory.path(), ID);
    if opened.is_err() {
        assert_eq!(contents(&directory), bytes, "a file that is refused is left as it is");
    }
    opened
}

/// What is remembered, as text, but for the boot number.
fn memory(mut opened: Opened) -> String {
    opened.restored.boot = Boot(0);
    format!("{:?}", opened.restored)
}

/// What is remembered after each batch.
fn memories(bytes: &[u8], ends: &[u64]) -> Vec<String> {
    let until = |end: &u64| {
        let mut bytes = bytes[..usize::try_from(*end).expect("small")].to_vec();
        bytes[16..28].copy_from_slice(&format::synced_mark(*end));
        memory(open_with(&bytes).expect("whole"))
    };
    ends.iter().map(until).collect()
}

#[test]
fn everything_committed_is_there_after_a_restart() {
    let (directory, _) = written();
    let opened = Storage::open(directory.path(), ID).expect("opens");
    assert_eq!(opened.restored.term, Term(3));
    assert_eq!(opened.restored.vote, Some(NodeId(2)));
    let terms: Vec<u64> = opened.restored.entries.iter().map(|entry| entry.term.0).collect();
    assert_eq!(terms, [3, 4]);
    assert_eq!(opened.restored.boot, Boot(2));
    assert_eq!(opened.torn_bytes, 0);
}

#[test]
fn file_cut_anywhere_by_a_power_loss_keeps_its_whole_batches() {
    // The mark was not synced with the last batches, so it is as old as the file can be.
    let (directory, ends) = written();
    let mut bytes = contents(&directory);
    let memories = memories(&bytes, &ends);
    bytes[16..28].copy_from_slice(&format::synced_mark(ends[0]));
    for cut in usize::try_from(ends[0]).expect("small")..=bytes.len() {
        let opened = open_with(&bytes[..cut]).expect("a torn tail is no damage");
        let whole = ends.iter().filter(|end| **end <= cut as u64).count();
        assert_eq!(opened.torn_bytes, cut as u64 - ends[whole - 1], "cut at {cut}");
        assert_eq!(memory(opened), memories[whole - 1], "cut at {cut}");
    }
}

#[test]
fn file_shorter_than_it_was_synced_is_refused() {
    let (directory, _) = written();
    let bytes = contents(&directory);
    for cut in 0..bytes.len() {
        let error = open_with(&bytes[..cut]).expect_err("synced bytes are missing");
        assert!(matches!(error, StorageError::Damaged { .. }), "cut at {cut}: {error}");
    }
}

#[test]
fn flipped_byte_is_refused_or_changes_nothing() {
    let (directory, ends) = written();
    let bytes = contents(&directory);
    let whole = memories(&bytes, &ends).pop();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            match open_with(&damaged) {
                // The mark and the unused bytes after it: nothing else is lost with them.
                Ok(opened) => {
                    assert!((16..32).contains(&at), "byte {at}");
                    assert_eq!(Some(memory(opened)), whole, "byte {at}");
                }
                Err(StorageError::Damaged { path, offset, .. }) => {
                    assert!(path.ends_with(FILE_NAME));
                    assert!(offset <= at as u64, "byte {at} is reported at {offset}");
                }
                Err(other) => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn flipped_byte_is_refused_without_a_mark_while_a_whole_batch_follows() {
    let (directory, ends) = written();
    let mut bytes = contents(&directory);
    bytes[16..28].fill(0);
    let last_batch = ends[ends.len() - 2];
    for at in format::HEADER_BYTES as u64..last_batch {
        let mut damaged = bytes.clone();
        damaged[usize::try_from(at).expect("small")] ^= 0x10;
        let error = open_with(&damaged).expect_err("damage in the middle");
        assert!(error.to_string().contains("damaged at byte"), "{error}");
    }
}

#[test]
fn torn_tail_is_removed_and_written_over() {
    let (directory, ends) = written();
    let mut bytes = contents(&directory);
    bytes.extend_from_slice(&[0xaa; 100]);
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join(FILE_NAME), &bytes).expect("writable");
    let mut opened = Storage::open(directory.path(), ID).expect("opens");
    assert_eq!(opened.torn_bytes, 100);
    assert!(opened.storage.end > ends[3]);
    opened.storage.append(&entry(3, 4));
    opened.storage.commit().expect("a healthy disk");
    drop(opened);
    let opened = Storage::open(directory.path(), ID).expect("opens");
    assert_eq!((opened.torn_bytes, opened.restored.entries.len()), (0, 3));
}

#[test]
fn data_of_another_server_is_refused() {
    let (directory, _) = written();
    let error = Storage::open(directory.path(), NodeId(2)).expect_err("server 1's");
    assert!(error.to_string().contains("belongs to server 1"), "{error}");
}

#[test]
fn directory_in_use_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let first = Storage::open(directory.path(), ID).expect("opens");
    let error = Storage::open(directory.path(), ID).expect_err("in use");
    assert!(matches!(error, StorageError::InUse { .. }), "{error}");
    drop(first);
    Storage::open(directory.path(), ID).expect("free again");
}

#[test]
fn nothing_is_promised_after_a_failed_write() {
    let (directory, _) = written();
    let mut storage = Storage::open(directory.path(), ID).expect("opens").storage;
    // A descriptor that cannot be written to stands for a disk that fails.
    storage.file = File::open(directory.path().join(FILE_NAME)).expect("readable");
    storage.append(&entry(3, 4));
    assert!(matches!(storage.commit(), Err(StorageError::Io { .. })));
    assert!(matches!(storage.commit(), Err(StorageError::Poisoned { .. })));
}

#[test]
fn records_that_do_not_follow_each_other_are_refused() {
    let directory = TempDir::new().expect("a directory");
    let mut storage = Storage::open(directory.path(), ID).expect("opens").storage;
    storage.append(&entry(5, 1));
    storage.commit().expect("a healthy disk");
    drop(storage);
    let error = Storage::open(directory.path(), ID).expect_err("a gap");
    assert!(error.to_string().contains("entry 5 follows entry 0"), "{error}");
}
