//! Facts about restarts after the power is lost, or the process killed, at any moment.

use proptest::prelude::*;

use super::model::{Memory, Run, Step, steps};
use super::*;

/// How the server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    PowerLoss,
    Kill,
}

/// Runs a script until its end or until the disk fails; says what must and what may be remembered.
fn run(disk: &SimulatedDisk, script: &[Step], memory: Memory) -> (Memory, Memory) {
    let Ok(opened) = open(disk) else { return (memory.clone(), memory) };
    let mut run = Run::new(opened, memory);
    for step in script {
        if run.step(*step).is_err() {
            break;
        }
    }
    (run.committed, run.attempted)
}

/// Restarts, and says which of the two is remembered; it must be one of them.
fn restart(disk: &SimulatedDisk, committed: Memory, attempted: Memory) -> Memory {
    let opened = open(disk).expect("a crash is no damage");
    let Err(why) = attempted.check(&opened.restored) else {
        return attempted.with_snapshot_of(&opened.restored);
    };
    let Err(why_not) = committed.check(&opened.restored) else {
        return committed.with_snapshot_of(&opened.restored);
    };
    panic!(
        "remembers neither what was committed: {why_not}\n{committed:?}\nnor more: {why}\n\
         {attempted:?}\nbut {:?}",
        opened.restored
    );
}

fn crash_everywhere(script: &[Step], seed: u64, end: End) {
    let whole = SimulatedDisk::new();
    run(&whole, script, Memory::default());
    let mut random = random(seed);
    for operations in 0..=whole.operations() {
        let disk = SimulatedDisk::new();
        disk.stop_after(operations);
        let (committed, attempted) = run(&disk, script, Memory::default());
        let disk = match end {
            End::PowerLoss => disk.lose_power(&mut random),
            End::Kill => disk.kill(),
        };
        let found = restart(&disk, committed, attempted);
        // What was found is now promised; crash once more in the middle of going on.
        let disk = disk.kill();
        disk.stop_after(operations % 23);
        let (committed, attempted) = run(&disk, script, found);
        let disk = disk.lose_power(&mut random);
        let found = restart(&disk, committed, attempted);
        restart(&disk.lose_power(&mut random), found.clone(), found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn power_loss_at_any_moment_keeps_what_was_committed(script in steps(), seed: u64) {
        crash_everywhere(&script, seed, End::PowerLoss);
    }

    #[test]
    fn kill_at_any_moment_keeps_what_was_committed(script in steps(), seed: u64) {
        crash_everywhere(&script, seed, End::Kill);
    }

    #[test]
    fn failing_operation_poisons_and_keeps_what_was_committed(script in steps(), seed: u64) {
        let whole = SimulatedDisk::new();
        run(&whole, &script, Memory::default());
        let mut random = random(seed);
        for after in 0..whole.operations() {
            for operation in [simulated::Operation::Write, simulated::Operation::Sync] {
                let disk = SimulatedDisk::new();
                disk.fail(operation, after);
                let (committed, attempted) = run(&disk, &script, Memory::default());
                disk.repair();
                prop_assert_eq!(disk.trusted_again(), 0);
                // What the restart finds was not on the disk, for all it knows: it makes it so.
                let disk = disk.kill();
                let found = restart(&disk, committed, attempted);
                restart(&disk.lose_power(&mut random), found.clone(), found);
            }
        }
    }

    #[test]
    fn full_disk_keeps_what_was_committed(script in steps(), seed: u64, free in 0..20_000usize) {
        let disk = SimulatedDisk::new();
        disk.limit(free);
        let (committed, attempted) = run(&disk, &script, Memory::default());
        let disk = disk.lose_power(&mut random(seed));
        disk.repair();
        restart(&disk, committed, attempted);
    }
}

#[test]
fn batch_torn_at_any_byte_was_never_written() {
    let disk = SimulatedDisk::new();
    let mut storage = open(&disk).expect("opens").storage;
    commit(&mut storage, &[vote(3), entry(1, 3, 20)]).expect("a healthy disk");
    let synced = disk.contents(&newest_segment(&disk)).expect("a segment");
    commit(&mut storage, &[entry(2, 3, 20), entry(3, 3, 20)]).expect("a healthy disk");
    drop(storage);
    let name = newest_segment(&disk);
    let whole = disk.contents(&name).expect("a segment");
    let first = (72..).find(|at| synced[*at] != whole[*at]).expect("another batch");
    let end = whole.iter().rposition(|byte| *byte != 0).expect("not all zeros") + 1;
    for cut in first..=end {
        for tail in [&synced[cut.min(synced.len())..], &[][..], &[0xaa; 100][..]] {
            // The mark was not synced with the last batch.
            let torn = [&synced[..72], &whole[72..cut], tail].concat();
            let disk = SimulatedDisk::new();
            disk.overwrite(&name, &torn);
            let opened = open(&disk).expect("a torn tail is no damage");
            let expected = if cut == end { 3 } else { 1 };
            assert_eq!(opened.restored.last(), Index(expected), "cut at {cut}");
            assert_eq!(opened.restored.term, Term(3), "cut at {cut}");
            drop(opened);
            let opened = open(&disk).expect("the torn tail is gone");
            assert_eq!((opened.torn_bytes, opened.restored.last()), (0, Index(expected)));
        }
    }
}
