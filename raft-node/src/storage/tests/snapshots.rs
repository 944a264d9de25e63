//! Facts about snapshot files.

use super::*;
use crate::codec::SnapshotPieces;

fn bytes(snapshot: &Snapshot) -> Vec<u8> {
    SnapshotPieces::new(snapshot).flatten().collect()
}

#[test]
fn snapshot_is_read_back_in_pieces_of_any_length() {
    let disk = SimulatedDisk::new();
    let snapshots = open(&disk).expect("opens").snapshots;
    let (id, taken) = (snapshot_id(9, 2), snapshot(snapshot_id(9, 2), 200_000));
    let bytes = bytes(&taken);
    let file = snapshots.take(&taken).expect("a healthy disk");
    assert_eq!(
        file,
        SnapshotFile { id, total: bytes.len() as u64, checksum: crc32c::crc32c(&bytes) }
    );
    assert_eq!(snapshots.about(id).expect("whole"), Some(file));
    for length in [4096, 65_536, 65_537, 1 << 20] {
        let mut read = Vec::new();
        while read.len() < bytes.len() {
            let piece = snapshots.read(id, read.len() as u64, length).expect("whole");
            read.extend_from_slice(&piece.expect("it is there"));
        }
        assert!(read == bytes, "pieces of {length}");
    }
    let past = snapshots.read(id, bytes.len() as u64, 10).expect("whole");
    assert!(past.expect("it is there").is_empty());
    assert!(snapshots.read(snapshot_id(8, 2), 0, 10).expect("no error").is_none());
}

#[test]
fn newer_snapshot_takes_the_place_of_the_older_one_and_never_the_reverse() {
    let disk = SimulatedDisk::new();
    let snapshots = open(&disk).expect("opens").snapshots;
    let mut late = snapshots.begin(snapshot_id(3, 1)).expect("a healthy disk");
    late.write(&bytes(&snapshot(snapshot_id(3, 1), 1))).expect("a healthy disk");
    snapshots.take(&snapshot(snapshot_id(2, 1), 1)).expect("a healthy disk");
    snapshots.take(&snapshot(snapshot_id(7, 1), 1)).expect("a healthy disk");
    assert!(snapshots.about(snapshot_id(2, 1)).expect("no error").is_none());
    assert!(matches!(late.finish(), Err(StorageError::Superseded { .. })));
    assert!(snapshots.about(snapshot_id(7, 1)).expect("no error").is_some());
}

#[test]
fn received_snapshot_counts_only_if_it_is_what_was_announced() {
    let id = snapshot_id(9, 2);
    let whole = bytes(&snapshot(id, 100_000));
    let mut garbled = whole.clone();
    garbled[4096] = 0xff;
    let another = bytes(&snapshot(snapshot_id(8, 2), 1));
    let cases = [
        (&whole[..whole.len() - 4096], whole.len()),
        (&whole[..8192], 8192),
        (&garbled[..], garbled.len()),
        (&another[..], another.len()),
        (&[][..], 0),
    ];
    let disk = SimulatedDisk::new();
    let snapshots = open(&disk).expect("opens").snapshots;
    let receive = |bytes: &[u8], total: usize| {
        let mut writer = snapshots.receive(id).expect("a healthy disk");
        writer.write(bytes).and_then(|()| writer.install(total as u64))
    };
    for (bytes, total) in cases {
        let error = receive(bytes, total).expect_err("not what was announced");
        assert!(matches!(error, StorageError::Mismatch { .. }), "{error}");
        assert!(snapshots.about(id).expect("no error").is_none());
    }
    assert!(is_whole(&receive(&whole, whole.len()).expect("whole")));
    assert!(is_whole(&snapshots.load(id).expect("whole")));
}

#[test]
fn failing_snapshot_leaves_the_one_before_and_the_log() {
    for operation in [simulated::Operation::Write, simulated::Operation::Sync] {
        let disk = SimulatedDisk::new();
        let Opened { mut storage, snapshots, .. } = open(&disk).expect("opens");
        commit(&mut storage, &[entry(1, 1, 5), entry(2, 1, 5)]).expect("a healthy disk");
        snapshots.take(&snapshot(snapshot_id(1, 1), 1)).expect("a healthy disk");
        disk.fail(operation, 0);
        snapshots.take(&snapshot(snapshot_id(2, 1), 1)).expect_err("a failing disk");
        commit(&mut storage, &[entry(3, 1, 5)]).expect("the log is another file");
        let disk = disk.lose_power(&mut random(1));
        let restored = open(&disk).expect("opens").restored;
        assert_eq!(restored.snapshot.map(|it| it.id()), Some(snapshot_id(1, 1)));
        assert_eq!(restored.entries.len(), 3);
        assert!(disk.list().expect("powered").iter().all(|name| !name.ends_with(".new")));
    }
}

#[test]
fn trimmed_segments_are_removed() {
    let disk = SimulatedDisk::new();
    let Opened { mut storage, snapshots, .. } = open(&disk).expect("opens");
    for index in 1..=100 {
        commit(&mut storage, &[entry(index, 1, 100)]).expect("a healthy disk");
    }
    let before = disk.list().expect("powered").len();
    snapshots.take(&snapshot(snapshot_id(95, 1), 1)).expect("a healthy disk");
    let trim = Record::Trim { to: Index(90), term: Term(1) };
    commit(&mut storage, &[trim]).expect("a healthy disk");
    let after = disk.list().expect("powered");
    assert!(before > 15 && after.len() < 5, "{before}, then {after:?}");
    let restored = open(&disk.kill()).expect("opens").restored;
    assert_eq!((restored.base.0, restored.last()), (Index(90), Index(100)));
}
