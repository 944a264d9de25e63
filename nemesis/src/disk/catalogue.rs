//! Describes the disk faults: their rows in the table of faults, and what they can be given.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::seq::IndexedRandom;

use super::contents::Tear;
use super::image::NameModel;
use super::trouble::{Operations, Trouble};
use crate::fault::{Description, Fault, ONE_TARGET, Parameter};
use crate::random::stream;
use crate::record::Family;

const TEAR: &str = "tear";
const NAMES: &str = "names";
const OPERATION: &str = "operation";
const SHARE: &str = "share";
const ROOM: &str = "room";
const DELAY: &str = "delay";
const FILE: &str = "file";
const PLACE: &str = "place";
const KEEP: &str = "keep";

/// The longest that a sync can be delayed: a node that is killed or healed meanwhile waits no more.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

const HOW_TORN: Parameter = Parameter {
    name: TEAR,
    summary: "what survives of bytes that were not synced: none, or a random part of each file \
              that ends at a sector of 512 bytes, appended bytes at any byte",
    unit: "none, sector or byte",
    default: "byte",
};

const WHICH_NAMES: Parameter = Parameter {
    name: NAMES,
    summary: "which names survive: those made before the latest sync of anything, as ext4 and XFS \
              have it, or those only whose directory was synced, as fsync(2) has it",
    unit: "journal or posix",
    default: "journal",
};

const WHICH_FILE: Parameter = Parameter {
    name: FILE,
    summary: "the file, by its path below the data directory",
    unit: "a path, or largest",
    default: "largest",
};

/// The disk's rows of [`crate::fault::FAULTS`].
pub(crate) const ROWS: [Description; 7] = [
    row(
        Fault::PowerLoss,
        "power-loss",
        "take one node's power: what it had not synced is gone; later start it again",
        &[ONE_TARGET, HOW_TORN, WHICH_NAMES],
    ),
    row(
        Fault::PowerLossAll,
        "power-loss-all",
        "take all nodes' power at once and give it back at once; watch them recover",
        &[HOW_TORN, WHICH_NAMES],
    ),
    row(
        Fault::DiskError,
        "disk-error",
        "let one node's writes or syncs fail with EIO; start it again if it ends of that",
        &[
            ONE_TARGET,
            Parameter {
                name: OPERATION,
                summary: "which calls fail",
                unit: "write, sync or both",
                default: "sync",
            },
            Parameter {
                name: SHARE,
                summary: "how many of them fail, at random",
                unit: "percent, 1% to 100%",
                default: "100%",
            },
        ],
    ),
    row(
        Fault::DiskFull,
        "disk-full",
        "let what makes one node's files longer or more fail with ENOSPC",
        &[
            ONE_TARGET,
            Parameter {
                name: ROOM,
                summary: "how much can still be added before",
                unit: "a size: B, KiB or MiB",
                default: "0B",
            },
        ],
    ),
    row(
        Fault::DiskSlow,
        "disk-slow",
        "let every sync of one node take longer",
        &[
            ONE_TARGET,
            Parameter {
                name: DELAY,
                summary: "by how much",
                unit: "a duration, up to 10s",
                default: "100ms",
            },
        ],
    ),
    row(
        Fault::BitFlip,
        "bit-flip",
        "kill one node, flip one bit of a file of its, and start it again",
        &[
            ONE_TARGET,
            WHICH_FILE,
            Parameter {
                name: PLACE,
                summary: "which byte; by default one of the first half, where no store can take \
                          the damage for a torn end",
                unit: "a size from the file's start, or random",
                default: "random",
            },
        ],
    ),
    row(
        Fault::Truncate,
        "truncate",
        "kill one node, cut a file of its short, and start it again",
        &[
            ONE_TARGET,
            WHICH_FILE,
            Parameter {
                name: KEEP,
                summary: "how much of the file is left",
                unit: "percent, 0% to 99%",
                default: "50%",
            },
        ],
    ),
];

const fn row(
    fault: Fault,
    name: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
) -> Description {
    // As long as a node is down after a kill.
    let (shortest_ms, longest_ms) = (1_500, 3_500);
    let family = Family::Disk;
    Description { fault, name, family, summary, shortest_ms, longest_ms, parameters }
}

/// What a disk fault was given, by name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a>(pub(crate) &'a BTreeMap<String, String>);

/// Where a bit is flipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// At a random byte of the first half.
    Random,
    /// At this byte.
    At(u64),
}

impl<'a> Given<'a> {
    fn value(&self, fault: Fault, name: &str) -> &'a str {
        let parameters = fault.description().parameters;
        let default = || parameters.iter().find(|it| it.name == name).map_or("", |it| it.default);
        self.0.get(name).map_or_else(default, String::as_str)
    }

    /// What survives of bytes that were not synced; none if that is not understood.
    pub(crate) fn tear(&self) -> Option<Tear> {
        match self.value(Fault::PowerLoss, TEAR) {
            "none" => Some(Tear::Nothing),
            "sector" => Some(Tear::Sector),
            "byte" => Some(Tear::Byte),
            _ => None,
        }
    }

    /// Which names survive; none if that is not understood.
    pub(crate) fn name_model(&self) -> Option<NameModel> {
        match self.value(Fault::PowerLoss, NAMES) {
            "journal" => Some(NameModel::Journal),
            "posix" => Some(NameModel::Posix),
            _ => None,
        }
    }

    /// What is wrong with a disk that is not whole; none if that is not understood.
    pub(crate) fn trouble(&self, fault: Fault) -> Option<Trouble> {
        match fault {
            Fault::DiskError => {
                let on = match self.value(fault, OPERATION) {
                    "write" => Operations::Write,
                    "sync" => Operations::Sync,
                    "both" => Operations::Both,
                    _ => return None,
                };
                let share_percent = percent(self.value(fault, SHARE)).filter(|it| *it > 0)?;
                Some(Trouble::Error { on, share_percent })
            }
            Fault::DiskFull => Some(Trouble::Full { room: size(self.value(fault, ROOM))? }),
            Fault::DiskSlow => {
                let delay = duration(self.value(fault, DELAY))?;
                Some(Trouble::Slow { delay }).filter(|_| delay <= LONGEST_DELAY)
            }
            _ => None,
        }
    }

    /// The file that is damaged; none for the largest.
    pub(crate) fn file(&self) -> Option<&'a str> {
        Some(self.value(Fault::BitFlip, FILE)).filter(|file| *file != "largest")
    }

    /// Where a bit is flipped; none if that is not understood.
    pub(crate) fn spot(&self) -> Option<Spot> {
        match self.value(Fault::BitFlip, PLACE) {
            "random" => Some(Spot::Random),
            place => size(place).map(Spot::At),
        }
    }

    /// How much of a file is left, in percent; none if that is not understood.
    pub(crate) fn keep_percent(&self) -> Option<u8> {
        percent(self.value(Fault::Truncate, KEEP)).filter(|percent| *percent < 100)
    }
}

/// What `fault` expects of the parameter `name`, if it does not understand `value`.
pub(crate) fn misunderstood(fault: Fault, name: &str, value: &str) -> Option<String> {
    let parameters = fault.description().parameters;
    let Some(parameter) =
        parameters.iter().find(|it| it.name == name && it.name != crate::fault::TARGET)
    else {
        let known = parameters.iter().map(|it| it.name).filter(|it| *it != crate::fault::TARGET);
        return Some(format!("the parameters {}", known.collect::<Vec<_>>().join(", ")));
    };
    let only = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let given = Given(&only);
    let is_understood = match name {
        TEAR => given.tear().is_some(),
        NAMES => given.name_model().is_some(),
        FILE => !value.is_empty() && !value.starts_with('/') && !value.contains(".."),
        PLACE => given.spot().is_some(),
        KEEP => given.keep_percent().is_some(),
        _ => given.trouble(fault).is_some(),
    };
    (!is_understood).then(|| parameter.unit.to_owned())
}

/// What a disk fault was given, defaults included; for its record.
pub(crate) fn in_full(fault: Fault, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let named = fault.description().parameters.iter().filter(|it| it.name != crate::fault::TARGET);
    named.map(|it| (it.name.to_owned(), Given(given).value(fault, it.name).to_owned())).collect()
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

fn percent(text: &str) -> Option<u8> {
    text.strip_suffix('%')?.trim().parse().ok().filter(|percent| *percent <= 100)
}

fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];
    let (number, unit) =
        units.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

fn duration(text: &str) -> Option<Duration> {
    let units = [("ms", 1), ("s", 1_000)];
    let (number, unit) =
        units.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_understands_its_own_default() {
        for row in &ROWS {
            for parameter in row.parameters.iter().filter(|it| it.name != crate::fault::TARGET) {
                let answer = misunderstood(row.fault, parameter.name, parameter.default);
                assert_eq!(answer, None, "{}: {}", row.name, parameter.name);
                let answer = misunderstood(row.fault, parameter.name, "");
                assert_eq!(answer.as_deref(), Some(parameter.unit), "{}", row.name);
            }
        }
    }

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(
            (size("64KiB"), size("3B"), size("64"), size("xB")),
            (Some(65_536), Some(3), None, None)
        );
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!((duration("2s"), duration("2")), (Some(Duration::from_secs(2)), None));
        assert!(misunderstood(Fault::DiskSlow, DELAY, "11s").is_some());
        assert!(misunderstood(Fault::BitFlip, FILE, "../n2/data/log").is_some());
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
