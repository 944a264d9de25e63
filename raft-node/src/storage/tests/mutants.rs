//! Facts about the planted bugs of the storage: each loses or invents something, and without it the
//! same course of events does not.

#![cfg(feature = "mutations")]

use super::*;

fn with(mutation: Option<Mutation>) -> Options {
    let mutations = mutation.map_or(Mutations::default(), |it| Mutations::new(&[it]));
    Options { mutations, ..small() }
}

/// Runs a course of events with and without the bug, for some seeds; says how often the outcome was
/// wrong with it. Without it, it must never be.
fn wrong(mutation: Mutation, course: impl Fn(Options, u64) -> bool) -> usize {
    for seed in 0..60 {
        assert!(course(with(None), seed), "the honest storage, seed {seed}");
    }
    (0..60).filter(|seed| !course(with(Some(mutation)), *seed)).count()
}

/// Writes this many entries, each in a commit.
fn fill(disk: &SimulatedDisk, options: Options, count: u64) -> Opened<SimulatedDisk> {
    let mut opened = Storage::open(disk.clone(), ID, options).expect("opens");
    for index in 1..=count {
        commit(&mut opened.storage, &[entry(index, 1, 100)]).expect("a healthy disk");
    }
    opened
}

/// Whether a restart remembers these entries and no more.
fn remembers(disk: &SimulatedDisk, options: Options, count: u64) -> bool {
    let opened = Storage::open(disk.clone(), ID, options);
    opened.is_ok_and(|opened| {
        let whole = opened
            .restored
            .entries
            .iter()
            .all(|found| Record::Append(found.clone()) == entry(found.index.0, 1, 100));
        whole && opened.restored.last() == Index(count)
    })
}

#[test]
fn unsynced_writes_are_lost_with_the_power() {
    let found = wrong(Mutation::AckBeforeFsync, |options, seed| {
        let disk = SimulatedDisk::new();
        drop(fill(&disk, options, 5));
        remembers(&disk.lose_power(&mut random(seed)), options, 5)
    });
    assert!(found > 10, "{found}");
}

#[test]
fn directory_entries_that_were_not_synced_are_lost_with_the_power() {
    let found = wrong(Mutation::DirectoryNotSynced, |options, seed| {
        let disk = SimulatedDisk::new();
        drop(fill(&disk, options, 9));
        remembers(&disk.lose_power(&mut random(seed)), options, 9)
    });
    assert!(found > 10, "{found}");
}

#[test]
fn ignored_sync_error_loses_what_was_promised() {
    let found = wrong(Mutation::FsyncErrorIgnored, |options, seed| {
        let disk = SimulatedDisk::new();
        let mut opened = fill(&disk, options, 3);
        disk.fail(simulated::Operation::Sync, 0);
        let promised = commit(&mut opened.storage, &[entry(4, 1, 100)]).is_ok();
        drop(opened);
        !promised || remembers(&disk.lose_power(&mut random(seed)), options, 4)
    });
    assert!(found > 10, "{found}");
}

#[test]
fn unchecked_tail_brings_in_what_nobody_wrote() {
    let found = wrong(Mutation::TornTailAccepted, |options, seed| {
        let disk = SimulatedDisk::new();
        let mut opened = fill(&disk, options, 2);
        let before = disk.operations();
        // Zeros lie where the batch goes, and the batch is longer than a sector.
        disk.stop_after(disk.operations() - before + 1);
        let records: Vec<Record> = (3..=20).map(|index| entry(index, 1, 100)).collect();
        assert!(commit(&mut opened.storage, &records).is_err());
        drop(opened);
        let disk = disk.lose_power(&mut random(seed));
        remembers(&disk, options, 2) || remembers(&disk.kill(), options, 20)
    });
    assert!(found > 0, "{found}");
}

#[test]
fn log_cut_at_the_damage_forgets_what_follows() {
    let found = wrong(Mutation::CorruptionTruncatesThenVotes, |options, _| {
        let disk = SimulatedDisk::new();
        drop(fill(&disk, options, 9));
        let disk = disk.kill();
        disk.flip("00000000000000000001.wal", 200 * 8);
        // Refusing is right.
        Storage::open(disk, ID, options).is_err()
    });
    assert_eq!(found, 60);
}

/// Takes a snapshot at entry 6 of 9, and trims to entry 3.
fn snapshot_and_trim(disk: &SimulatedDisk, options: Options) {
    let Opened { mut storage, snapshots, .. } = fill(disk, options, 9);
    snapshots.take(&snapshot(snapshot_id(6, 1), 1)).expect("a healthy disk");
    let trim = Record::Trim { to: Index(3), term: Term(1) };
    commit(&mut storage, &[trim]).expect("a healthy disk");
}

#[test]
fn unsynced_snapshot_is_lost_with_the_power() {
    let found = wrong(Mutation::SnapshotNotSynced, |options, seed| {
        let disk = SimulatedDisk::new();
        snapshot_and_trim(&disk, options);
        let disk = disk.lose_power(&mut random(seed));
        let opened = Storage::open(disk, ID, options).expect("it starts");
        opened.restored.snapshot.is_some_and(|it| is_whole(&it))
    });
    assert!(found > 10, "{found}");
}

#[test]
fn log_dropped_for_its_snapshot_leaves_a_gap() {
    let found = wrong(Mutation::SnapshotLogGap, |options, _| {
        let disk = SimulatedDisk::new();
        snapshot_and_trim(&disk, options);
        remembers(&disk.kill(), options, 9)
    });
    assert_eq!(found, 60);
}

#[test]
fn applied_index_taken_from_the_log_repeats_entries() {
    let found = wrong(Mutation::ApplyTwiceOnRestart, |options, _| {
        let disk = SimulatedDisk::new();
        snapshot_and_trim(&disk, options);
        let opened = Storage::open(disk.kill(), ID, options).expect("it starts");
        opened.restored.snapshot.is_some_and(|it| is_whole(&it))
    });
    assert_eq!(found, 60);
}
