//! Facts about what a person is told, on the real disk.

use std::fs;

use tempfile::TempDir;

use super::*;

fn open(directory: &TempDir, id: NodeId) -> Result<Opened, StorageError> {
    Storage::open(Directory::new(directory.path()), id, Options::default())
}

#[test]
fn data_of_another_server_is_refused() {
    let directory = TempDir::new().expect("a directory");
    open(&directory, ID).expect("opens");
    let error = open(&directory, NodeId(2)).expect_err("server 1's").to_string();
    assert!(error.contains("belongs to server 1, not to server 2"), "{error}");
}

#[test]
fn directory_in_use_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let first = open(&directory, ID).expect("opens");
    let error = open(&directory, ID).expect_err("in use");
    assert!(matches!(error, StorageError::InUse { .. }), "{error}");
    drop(first);
    assert_eq!(open(&directory, ID).expect("free again").restored.boot, Boot(2));
}

#[test]
fn data_of_another_version_is_refused_and_left_alone() {
    const SNAPSHOT: &str = "00000000000000000007-00000000000000000002.snapshot";
    let cases = [
        ("raft.wal", &b"PRAFTWL1 and more"[..]),
        ("00000000000000000001.wal", b"PRAFTWL2 and more"),
        ("00000000000000000001.wal", b"PRAFTWL9 and more"),
        (SNAPSHOT, &[b"PRAFTSN1", &[7u8; 40][..]].concat()),
        (SNAPSHOT, &[b"PRAFTSN9", &[7u8; 40][..]].concat()),
    ];
    for (name, contents) in cases {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join(name);
        fs::write(&path, contents).expect("writable");
        let error = open(&directory, ID).expect_err("another version's");
        assert!(matches!(error, StorageError::OtherVersion { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(fs::read(&path).expect("there"), contents);
    }
}

#[test]
fn damage_is_named_with_its_file_and_place_and_what_to_do() {
    let directory = TempDir::new().expect("a directory");
    let mut storage = open(&directory, ID).expect("opens").storage;
    commit(&mut storage, &[entry(1, 1, 10)]).expect("a healthy disk");
    drop(storage);
    let path = directory.path().join("00000000000000000001.wal");
    let mut contents = fs::read(&path).expect("there");
    contents[90] ^= 1;
    fs::write(&path, contents).expect("writable");
    let error = open(&directory, ID).expect_err("damaged").to_string();
    assert!(error.contains("00000000000000000001.wal: damaged at byte 72: "), "{error}");
    assert!(error.contains("the batch's checksum does not match, and it was synced"), "{error}");
    assert!(error.contains("Restore the data directory from a copy"), "{error}");
}

#[test]
fn records_that_do_not_follow_each_other_are_refused() {
    let directory = TempDir::new().expect("a directory");
    let mut storage = open(&directory, ID).expect("opens").storage;
    commit(&mut storage, &[entry(5, 1, 10)]).expect("a healthy disk");
    drop(storage);
    let error = open(&directory, ID).expect_err("a gap").to_string();
    assert!(error.contains("entry 5 follows entry 0"), "{error}");
}

#[test]
fn nothing_is_promised_after_a_failed_sync() {
    let disk = SimulatedDisk::new();
    let mut storage = super::open(&disk).expect("opens").storage;
    disk.fail(simulated::Operation::Sync, 0);
    let error = commit(&mut storage, &[entry(1, 1, 10)]).expect_err("a failing disk");
    assert!(error.to_string().ends_with("1.wal: sync: input/output error"), "{error}");
    let error = commit(&mut storage, &[entry(2, 1, 10)]).expect_err("poisoned");
    assert!(matches!(error, StorageError::Poisoned { .. }), "{error}");
    assert!(matches!(storage.commit(), Err(StorageError::Poisoned { .. })));
    assert_eq!(disk.trusted_again(), 0);
}

#[test]
fn log_of_many_megabytes_is_one_log() {
    let directory = TempDir::new().expect("a directory");
    let mut storage = open(&directory, ID).expect("opens").storage;
    let records: Vec<Record> = (1..=40).map(|index| entry(index, 1, 1 << 20)).collect();
    commit(&mut storage, &records).expect("a healthy disk");
    drop(storage);
    let opened = open(&directory, ID).expect("opens");
    assert_eq!((opened.torn_bytes, opened.restored.last()), (0, Index(40)));
}
