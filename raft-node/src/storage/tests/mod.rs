//! Facts about the storage, on a simulated disk and on the real one.

mod crash;
mod damage;
mod disks;
mod errors;
mod model;
mod mutants;
mod snapshots;

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::*;
use crate::core::log::{Entry, Payload};
use crate::core::machine::Machine;
use crate::core::membership::Configuration;
use crate::core::operation::{Command, Write};
use crate::core::units::{Term, Timestamp};

const ID: NodeId = NodeId(1);

/// Small, so that short tests have many segments.
fn small() -> Options {
    Options { segment_bytes: 700, ahead_bytes: 600, ..Options::default() }
}

fn open(disk: &SimulatedDisk) -> Result<Opened<SimulatedDisk>, StorageError> {
    Storage::open(disk.clone(), ID, small())
}

fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn entry(index: u64, term: u64, length: usize) -> Record {
    let suffix = vec![index.to_le_bytes()[0]; length].into();
    let command = Command::Append { key: "k".into(), suffix };
    let payload = Payload::Write(Arc::new(Write::Plain(command)));
    let (index, term, time) = (Index(index), Term(term), Timestamp(7));
    Record::Append(Entry { index, term, time, payload })
}

fn vote(term: u64) -> Record {
    Record::HardState { term: Term(term), vote: Some(NodeId(2)) }
}

fn commit<D: Disk>(storage: &mut Storage<D>, records: &[Record]) -> Result<(), StorageError> {
    records.iter().for_each(|record| storage.append(record));
    storage.commit()
}

fn snapshot_id(index: u64, term: u64) -> SnapshotId {
    SnapshotId { index: Index(index), term: Term(term) }
}

/// A snapshot whose only keys say what it covers, with `ballast` bytes.
fn snapshot(id: SnapshotId, ballast: usize) -> Snapshot {
    let mut machine = Machine { applied: id.index, ..Machine::default() };
    let string = |text: Vec<u8>| bytes::Bytes::from(text).into();
    machine.values.insert(&"covers".into(), string(id.to_string().into()));
    for number in 0..ballast.div_ceil(1000) {
        machine.values.insert(&format!("ballast {number}").into(), string(vec![9; 1000]));
    }
    let configuration = Configuration::initial([ID, NodeId(2)].into());
    Snapshot::new(id, configuration.into(), Index::ZERO, machine)
}

/// Whether a snapshot is one that [`snapshot`] made.
fn is_whole(snapshot: &Snapshot) -> bool {
    let covers = snapshot.machine().values.get(&bytes::Bytes::from_static(b"covers"));
    covers == Some(&bytes::Bytes::from(snapshot.id().to_string()).into())
}

/// The newest segment's name.
fn newest_segment(disk: &SimulatedDisk) -> String {
    let names = disk.list().expect("powered");
    names.into_iter().rfind(|name| name.ends_with(".wal")).expect("a segment")
}
