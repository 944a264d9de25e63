//! Facts about damage done to what was synced.

use super::*;

/// A disk with several segments and a snapshot, all of it synced and the server stopped.
fn written() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let Opened { mut storage, snapshots, .. } = open(&disk).expect("opens");
    commit(&mut storage, &[vote(3)]).expect("a healthy disk");
    for index in 1..=12 {
        commit(&mut storage, &[entry(index, 3, 150)]).expect("a healthy disk");
    }
    snapshots.take(&snapshot(snapshot_id(6, 3), 1)).expect("a healthy disk");
    let trim = Record::Trim { to: Index(5), term: Term(3) };
    commit(&mut storage, &[trim]).expect("a healthy disk");
    disk
}

/// The files that matter, and what they hold.
fn files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.list().expect("powered").into_iter();
    names.map(|name| (name.clone(), disk.contents(&name).expect("listed"))).collect()
}

fn with(files: &[(String, Vec<u8>)]) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    files.iter().for_each(|(name, contents)| disk.overwrite(name, contents));
    disk
}

fn refused(files: &[(String, Vec<u8>)]) -> StorageError {
    let disk = with(files);
    let error = open(&disk).expect_err("damaged");
    assert_eq!(self::files(&disk.kill()), files, "what is refused is left as it is: {error}");
    error
}

#[test]
fn flipped_bit_is_refused_or_changes_nothing() {
    let disk = written().kill();
    let files = files(&disk);
    assert!(files.len() >= 4, "several segments and a snapshot");
    let whole = format!("{:?}", open(&with(&files)).expect("whole").restored);
    let mut harmless = 0;
    for file in 0..files.len() {
        for bit in 0..files[file].1.len() * 8 {
            let mut damaged = files.clone();
            damaged[file].1[bit / 8] ^= 1 << (bit % 8);
            let byte = bit as u64 / 8;
            match open(&with(&damaged)) {
                // The mark, and the zeros behind the last batch: nothing is lost with them.
                Ok(opened) => {
                    assert_eq!(
                        format!("{:?}", opened.restored),
                        whole,
                        "{}: {byte}",
                        files[file].0
                    );
                    harmless += 1;
                }
                Err(StorageError::Damaged { path, offset, .. }) => {
                    assert!(path.ends_with(&files[file].0), "{}", path.display());
                    assert!(offset <= byte, "byte {byte} is reported at {offset}");
                }
                Err(StorageError::OtherVersion { path }) => {
                    assert!(path.ends_with(&files[file].0) && byte == 7);
                }
                Err(other) => panic!("{}: byte {byte}: {other}", files[file].0),
            }
        }
    }
    assert!(harmless > 0, "a flipped mark is harmless");
}

#[test]
fn flipped_bit_is_refused_without_a_mark_while_a_whole_batch_follows() {
    let disk = written().kill();
    let name = newest_segment(&disk);
    let mut files = files(&disk);
    let newest = files.iter_mut().find(|(other, _)| *other == name).expect("it is there");
    newest.1[60..72].fill(0);
    let batches: Vec<usize> =
        (72..newest.1.len() - 4).filter(|at| newest.1[*at..].starts_with(b"btch")).collect();
    assert!(batches.len() > 1, "the newest segment has several batches");
    let last = *batches.last().expect("several");
    let at = files.iter().position(|(other, _)| *other == name).expect("it is there");
    for byte in 72..last {
        let mut damaged = files.clone();
        damaged[at].1[byte] ^= 0x10;
        let error = refused(&damaged).to_string();
        assert!(error.contains("a whole batch follows"), "{error}");
    }
}

#[test]
fn file_shorter_than_it_was_synced_is_refused() {
    let disk = written().kill();
    let files = files(&disk);
    for file in 0..files.len() {
        let content = &files[file].1;
        let end = content.iter().rposition(|byte| *byte != 0).expect("not all zeros") + 1;
        for cut in 0..end {
            let mut damaged = files.clone();
            damaged[file].1.truncate(cut);
            refused(&damaged);
        }
    }
}

#[test]
fn missing_file_is_refused() {
    let disk = written().kill();
    let files = files(&disk);
    let newest = newest_segment(&disk);
    for missing in 0..files.len() {
        let mut rest = files.clone();
        let (name, _) = rest.remove(missing);
        // Nothing tells that there was another segment after the last.
        if name != newest {
            refused(&rest);
        }
    }
}

#[test]
fn log_that_begins_after_the_snapshot_ends_is_refused() {
    let mut files = files(&written().kill());
    files.retain(|(name, _)| !name.ends_with(".snapshot"));
    let error = refused(&files);
    assert!(matches!(error, StorageError::Gap { ends: Index::ZERO, .. }), "{error}");
    assert!(error.to_string().contains("the log begins after entry 5"), "{error}");
}
