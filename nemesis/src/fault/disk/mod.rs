//! Faults of disks: what is lost, what fails, and what is damaged.

mod bit_flip;
mod damaged;
mod dark;
mod disk_error;
mod disk_full;
mod disk_slow;
mod power_loss;
mod power_loss_all;
mod troubled;
mod truncate;

use std::fmt;

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;

use super::Parameter;
use super::description::{Drawn, Evidence, ExcludedNodes, Needs, ShownBy};
use super::process::prove_life;
use super::site::Site;
use super::values::{Value, text_value, words};
use crate::disk::{Disk, DiskError as Unreadable, NameModel, UnsyncedSurvival};
use crate::lab::LabBackend;
use crate::lab::process::{NodeProcess, SignalError, StartError};
use crate::random::stream;

pub use bit_flip::Place;

super::faults! {
    power_loss::PowerLoss,
    power_loss_all::PowerLossAll,
    disk_error::DiskError,
    disk_full::DiskFull,
    disk_slow::DiskSlow,
    bit_flip::BitFlip,
    truncate::Truncate,
}

const HOW_TORN: Parameter = Parameter::of::<UnsyncedSurvival>(
    "tear",
    "what survives of bytes that were not synced: none, or a random part of each file that ends at \
     a sector of 512 bytes, appended bytes at any byte",
);

const WHICH_NAMES: Parameter = Parameter::of::<NameModel>(
    "names",
    "which names survive: those made before the latest sync of anything, as ext4 and XFS have it, or \
     those only whose directory was synced, as fsync(2) has it",
);

const WHICH_FILE: Parameter =
    Parameter::of::<DataFile>("file", "the file, by its path below the data directory");

words!(UnsyncedSurvival, "none, sector or byte",
    "none" => UnsyncedSurvival::Nothing, "sector" => UnsyncedSurvival::Sector, "byte" => UnsyncedSurvival::Byte);

words!(NameModel, "journal or posix",
    "journal" => NameModel::Journal, "posix" => NameModel::Posix);

const NEEDS: Needs =
    Needs { lab: LabBackend::Signals, nodes: 1, running: false, administrator: false };

/// As long as a node is down after a kill.
const fn drawn(keeps: ExcludedNodes) -> Drawn {
    Drawn { shortest_ms: 1_500, longest_ms: 3_500, keeps }
}

const POWER: Evidence = Evidence {
    felt: |it| ["lost power", "bytes lost", "directory entries lost"].contains(&it.what.as_str()),
    or_else: "no victim ran, and no disk lost anything",
    shown: ShownBy::Across,
};

const fn calls(shown: ShownBy) -> Evidence {
    Evidence { felt: |it| it.unit == "calls", or_else: "no call of the victim met it", shown }
}

/// What was durable is what is destroyed; the node may be down all the time.
const DAMAGED: Evidence = Evidence {
    felt: |it| it.what == "bytes damaged",
    or_else: "no byte was damaged",
    shown: ShownBy::Across,
};

/// A file of a node's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataFile {
    /// The largest there is.
    Largest,
    /// By its path below the data directory.
    Named(String),
}

impl DataFile {
    fn name(&self) -> Option<&str> {
        match self {
            DataFile::Largest => None,
            DataFile::Named(name) => Some(name),
        }
    }
}

impl Value for DataFile {
    fn expected() -> String {
        "a path, or largest".to_owned()
    }

    fn read(text: &str) -> Option<DataFile> {
        match text {
            "largest" => Some(DataFile::Largest),
            path if path.is_empty() || path.starts_with('/') || path.contains("..") => None,
            path => Some(DataFile::Named(path.to_owned())),
        }
    }
}

impl fmt::Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("largest"))
    }
}

text_value!(DataFile);

/// Why a disk fault could not be injected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskFaultError {
    #[error("the disk of {0} is not watched: no disk fault was expected when it was started")]
    Unwatched(String),
    #[error("damaging a file of {node}: {source}")]
    Damage { node: String, source: std::io::Error },
    #[error(transparent)]
    Disk(#[from] Unreadable),
    #[error(transparent)]
    Signal(#[from] SignalError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The nodes whose disks may be destroyed in a run: the same ones throughout, and a minority.
pub(crate) fn destructible(seed: u64, nodes: &[String]) -> Vec<String> {
    let mut rng = stream(seed, "nodes whose disks may be destroyed");
    nodes.sample(&mut rng, nodes.len().saturating_sub(1) / 2).cloned().collect()
}

/// What the fault at `site` draws from on a node's disk.
fn rng_of(site: &Site<'_>, node: &NodeProcess) -> ChaCha8Rng {
    stream(site.ground.seed, &format!("disk of {}: {}", node.node(), site.id))
}

fn disk(node: &NodeProcess) -> Result<&Disk, DiskFaultError> {
    node.disk().ok_or_else(|| DiskFaultError::Unwatched(node.node().to_owned()))
}

/// Kills a node if it runs; whether it did.
async fn kill(node: &NodeProcess) -> Result<bool, SignalError> {
    match node.kill().await {
        Ok(_) => Ok(true),
        Err(SignalError::NotRunning { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends everything on a node's host; whether the node ran.
async fn cut_power(node: &NodeProcess) -> Result<bool, SignalError> {
    match node.cut_power().await {
        Ok(_) => Ok(true),
        Err(SignalError::NotRunning { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Starts a node that is down and sees whether it stays up.
async fn start_again(node: &NodeProcess) -> Result<(), String> {
    if node.is_running() {
        return Ok(());
    }
    node.start().map_err(|error| format!("starting it again: {error}"))?;
    prove_life(node).await.map_err(|error| format!("{}: {error}", node.node()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_below_the_data_directory() {
        assert!("../n2/data/log".parse::<DataFile>().is_err());
        assert!("/etc/passwd".parse::<DataFile>().is_err() && "".parse::<DataFile>().is_err());
        assert_eq!("log/1".parse(), Ok(DataFile::Named("log/1".to_owned())));
        assert_eq!("largest".parse(), Ok(DataFile::Largest));
    }

    #[test]
    fn disks_are_destroyed_on_a_minority_only() {
        for (nodes, most) in [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)] {
            let names: Vec<String> = (0..nodes).map(|i| format!("n{i}")).collect();
            assert_eq!(destructible(7, &names).len(), most);
            assert_eq!(destructible(7, &names), destructible(7, &names));
        }
    }
}
