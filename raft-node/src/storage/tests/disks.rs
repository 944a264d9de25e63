//! Facts about the simulated disk, against the real one.

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Something done to a directory; names and lengths are small, so that they meet.
#[derive(Clone, Debug)]
enum Act {
    Create(u8),
    Write { name: u8, bytes: Vec<u8>, offset: u16 },
    Truncate { name: u8, length: u16 },
    Rename(u8, u8),
    Remove(u8),
    Sync(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = || 0..3u8;
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    let act = prop_oneof![
        name().prop_map(Act::Create),
        (name(), bytes, 0..2000u16).prop_map(|(name, bytes, offset)| Act::Write {
            name,
            bytes,
            offset
        }),
        (name(), 0..2000u16).prop_map(|(name, length)| Act::Truncate { name, length }),
        (name(), name()).prop_map(|(from, to)| Act::Rename(from, to)),
        name().prop_map(Act::Remove),
        name().prop_map(Act::Sync),
    ];
    proptest::collection::vec(act, 1..40)
}

/// Does it; says whether it could be done.
fn act<D: Disk>(disk: &D, act: &Act) -> bool {
    let name = |number: &u8| format!("file {number}");
    let on = |number: &u8, act: &dyn Fn(D::File) -> std::io::Result<()>| {
        disk.open(&name(number)).and_then(act).is_ok()
    };
    match act {
        Act::Create(number) => disk.create(&name(number)).is_ok(),
        Act::Write { name, bytes, offset } => {
            on(name, &|file| file.write_at(bytes, u64::from(*offset)))
        }
        Act::Truncate { name, length } => on(name, &|file| file.truncate(u64::from(*length))),
        Act::Rename(from, to) => disk.rename(&name(from), &name(to)).is_ok(),
        Act::Remove(number) => disk.remove(&name(number)).is_ok(),
        Act::Sync(number) => on(number, &|file| file.sync()),
    }
}

fn contents<D: Disk>(disk: &D) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let file = disk.open(&name).expect("listed");
        let length = usize::try_from(file.length().expect("readable")).expect("small");
        let mut bytes = vec![0; length];
        file.read_at(&mut bytes, 0).expect("readable");
        assert!(file.read_at(&mut [0], length as u64).is_err(), "nothing lies past the end");
        (name, bytes)
    };
    disk.list().expect("readable").into_iter().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn simulated_disk_holds_what_the_real_one_holds(script in acts()) {
        let directory = TempDir::new().expect("a directory");
        let (real, simulated) = (Directory::new(directory.path()), SimulatedDisk::new());
        for step in &script {
            prop_assert_eq!(act(&real, step), act(&simulated, step), "{:?}", step);
        }
        prop_assert_eq!(contents(&real), contents(&simulated));
        prop_assert_eq!(contents(&simulated), contents(&simulated.kill()));
    }

    #[test]
    fn power_loss_takes_nothing_that_was_synced(script in acts(), seed: u64) {
        let disk = SimulatedDisk::new();
        script.iter().for_each(|step| { act(&disk, step); });
        for number in 0..3 {
            act(&disk, &Act::Sync(number));
        }
        Disk::sync(&disk).expect("a healthy disk");
        let before = contents(&disk);
        prop_assert_eq!(contents(&disk.lose_power(&mut random(seed))), before);
    }
}

#[test]
fn real_and_simulated_disks_get_the_same_log() {
    let directory = TempDir::new().expect("a directory");
    let (real, simulated) = (Directory::new(directory.path()), SimulatedDisk::new());
    fn fill<D: Disk>(disk: &D) {
        let Opened { mut storage, snapshots, .. } =
            Storage::open(disk.clone(), ID, small()).expect("opens");
        for index in 1..=20 {
            commit(&mut storage, &[vote(index), entry(index, index, 100)]).expect("a healthy disk");
        }
        snapshots.take(&snapshot(snapshot_id(9, 9), 100_000)).expect("a healthy disk");
        let trim = Record::Trim { to: Index(9), term: Term(9) };
        commit(&mut storage, &[trim]).expect("a healthy disk");
    }
    fill(&real);
    fill(&simulated);
    let mut found = contents(&real);
    found.retain(|(name, _)| name != LOCK);
    assert!(found == contents(&simulated));
}

#[test]
fn what_was_not_synced_may_be_lost_in_part_or_whole() {
    let outcomes: std::collections::BTreeSet<Vec<(String, Vec<u8>)>> = (0..200)
        .map(|seed| {
            let disk = SimulatedDisk::new();
            let file = disk.create("a").expect("a healthy disk");
            file.write_at(&[1; 100], 0).expect("a healthy disk");
            file.sync().expect("a healthy disk");
            Disk::sync(&disk).expect("a healthy disk");
            file.write_at(&[2; 2000], 50).expect("a healthy disk");
            disk.create("b").expect("a healthy disk");
            contents(&disk.lose_power(&mut random(seed)))
        })
        .collect();
    let old = |files: &&Vec<(String, Vec<u8>)>| files[0].1 == [1; 100];
    let whole = |files: &&Vec<(String, Vec<u8>)>| files[0].1[50..] == [2; 2000];
    assert!(outcomes.iter().any(|files| old(&files)) && outcomes.iter().any(|it| whole(&it)));
    assert!(outcomes.iter().any(|files| files.len() == 1));
    assert!(outcomes.iter().any(|files| files.len() == 2));
    assert!(outcomes.iter().any(|files| files[0].1.len() % 512 != 50 && !old(&files)));
    assert!(outcomes.iter().all(|files| files[0].1[..50] == [1; 50]));
}

#[test]
fn writing_nothing_behind_the_end_makes_no_file_longer() {
    let directory = TempDir::new().expect("a directory");
    let (real, simulated) = (Directory::new(directory.path()), SimulatedDisk::new());
    let length = |file: &dyn DiskFile| {
        file.write_at(&[], 7).expect("a healthy disk");
        file.length().expect("a healthy disk")
    };
    assert_eq!(length(&real.create("a").expect("a healthy disk")), 0);
    assert_eq!(length(&simulated.create("a").expect("a healthy disk")), 0);
}

#[test]
fn full_disk_takes_what_fits_and_says_so() {
    let disk = SimulatedDisk::new();
    disk.limit(150);
    let file = disk.create("a").expect("a healthy disk");
    file.write_at(&[1; 100], 0).expect("it fits");
    let error = file.write_at(&[2; 100], 100).expect_err("it does not fit");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    file.write_at(&[3; 100], 0).expect("overwriting needs no space");
    assert_eq!(disk.used(), 150);
}

#[test]
fn handles_of_an_earlier_life_are_dead() {
    let disk = SimulatedDisk::new();
    let file = disk.create("a").expect("a healthy disk");
    let lock = disk.lock(LOCK).expect("powered").expect("free");
    let next = disk.kill();
    assert!(file.write_at(&[1], 0).is_err() && disk.list().is_err());
    let again = next.lock(LOCK).expect("powered");
    assert!(again.is_some(), "the lock went with the process");
    drop(lock);
    assert!(next.lock(LOCK).expect("powered").is_none(), "a late drop frees nothing");
}
