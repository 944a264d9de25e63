//! Reads what a disk fault is given: what survives, which calls fail, what is damaged.

use std::time::Duration;

use rand::seq::IndexedRandom;

use super::contents::Tear;
use super::image::NameModel;
use super::trouble::{Operations, Trouble, Writes};
use crate::fault::Fault;
use crate::fault::units::{duration_in, percent, size};
use crate::random::stream;
use crate::schedule::PlannedFault;

/// The names of the parameters.
pub(crate) const TEAR: &str = "tear";
pub(crate) const NAMES: &str = "names";
pub(crate) const OPERATION: &str = "operation";
pub(crate) const SHARE: &str = "share";
pub(crate) const ROOM: &str = "room";
pub(crate) const WRITES: &str = "writes";
pub(crate) const DELAY: &str = "delay";
pub(crate) const FILE: &str = "file";
pub(crate) const PLACE: &str = "place";
pub(crate) const KEEP: &str = "keep";

/// The longest that a sync can be delayed: a node that is killed or healed meanwhile waits no more.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Where a bit is flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// At a random byte of the first half.
    Random,
    /// At this byte.
    At(u64),
}

/// What survives of bytes that were not synced.
pub(crate) fn tear(text: &str) -> Option<Tear> {
    match text {
        "none" => Some(Tear::Nothing),
        "sector" => Some(Tear::Sector),
        "byte" => Some(Tear::Byte),
        _ => None,
    }
}

/// Which names survive.
pub(crate) fn name_model(text: &str) -> Option<NameModel> {
    match text {
        "journal" => Some(NameModel::Journal),
        "posix" => Some(NameModel::Posix),
        _ => None,
    }
}

/// Which calls fail.
pub(crate) fn operations(text: &str) -> Option<Operations> {
    match text {
        "write" => Some(Operations::Write),
        "sync" => Some(Operations::Sync),
        "both" => Some(Operations::Both),
        _ => None,
    }
}

/// What of a write needs room.
pub(crate) fn writes(text: &str) -> Option<Writes> {
    match text {
        "in-place" => Some(Writes::InPlace),
        "copy-on-write" => Some(Writes::CopyOnWrite),
        _ => None,
    }
}

/// How many of them fail, in percent: some.
pub(crate) fn share(text: &str) -> Option<u8> {
    percent(text).filter(|percent| *percent > 0)
}

/// By how much syncs are delayed.
pub(crate) fn delay(text: &str) -> Option<Duration> {
    duration_in(text, Duration::ZERO..=LONGEST_DELAY)
}

/// Whether a text names a file below a data directory, or the largest.
pub(crate) fn is_file(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('/') && !text.contains("..")
}

/// The file that is damaged; none for the largest.
pub(crate) fn file(text: &str) -> Option<&str> {
    Some(text).filter(|file| *file != "largest")
}

/// Where a bit is flipped.
pub(crate) fn spot(text: &str) -> Option<Spot> {
    match text {
        "random" => Some(Spot::Random),
        place => size(place).map(Spot::At),
    }
}

/// How much of a file is left, in percent: not all.
pub(crate) fn keep_percent(text: &str) -> Option<u8> {
    percent(text).filter(|percent| *percent < 100)
}

/// What is wrong with a disk that is not whole, by a planned fault; none if a parameter is not
/// understood or the fault is another.
pub(crate) fn trouble(planned: &PlannedFault) -> Option<Trouble> {
    match planned.fault {
        Fault::DiskError => {
            let on = operations(planned.word(OPERATION))?;
            Some(Trouble::Error { on, share_percent: share(planned.word(SHARE))? })
        }
        Fault::DiskFull => {
            let room = size(planned.word(ROOM))?;
            Some(Trouble::Full { room, writes: writes(planned.word(WRITES))? })
        }
        Fault::DiskSlow => Some(Trouble::Slow { delay: delay(planned.word(DELAY))? }),
        _ => None,
    }
}

/// Whether `fault` destroys what was promised to be durable. No store survives that on a majority.
pub(crate) fn destroys(fault: Fault) -> bool {
    matches!(fault, Fault::BitFlip | Fault::Truncate)
}

/// The nodes whose disks may be destroyed in a run: the same ones throughout, and a minority.
pub(crate) fn destructible(seed: u64, nodes: &[String]) -> Vec<String> {
    let mut rng = stream(seed, "nodes whose disks may be destroyed");
    nodes.sample(&mut rng, nodes.len().saturating_sub(1) / 2).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_disk_cannot_suffer_is_not_understood() {
        assert_eq!((delay("11s"), share("0%"), keep_percent("100%")), (None, None, None));
        assert!(!is_file("../n2/data/log") && !is_file("/etc/passwd") && is_file("log/1"));
        assert_eq!((spot("random"), spot("7B")), (Some(Spot::Random), Some(Spot::At(7))));
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
