//! Reads what a disk fault is given: what survives, which calls fail, what is damaged.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::seq::IndexedRandom;

use super::contents::Tear;
use super::image::NameModel;
use super::trouble::{Operations, Trouble};
use crate::fault::{Fault, TARGET};
use crate::random::stream;

/// The names of the parameters.
pub(crate) const TEAR: &str = "tear";
pub(crate) const NAMES: &str = "names";
pub(crate) const OPERATION: &str = "operation";
pub(crate) const SHARE: &str = "share";
pub(crate) const ROOM: &str = "room";
pub(crate) const DELAY: &str = "delay";
pub(crate) const FILE: &str = "file";
pub(crate) const PLACE: &str = "place";
pub(crate) const KEEP: &str = "keep";

/// The longest that a sync can be delayed: a node that is killed or healed meanwhile waits no more.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

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
    let Some(parameter) = parameters.iter().find(|it| it.name == name && it.name != TARGET) else {
        let known = parameters.iter().map(|it| it.name).filter(|it| *it != TARGET);
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
    use crate::fault::FAULTS;
    use crate::record::Family;

    #[test]
    fn every_parameter_understands_its_own_default() {
        let rows = FAULTS.iter().filter(|row| row.family == Family::Disk);
        for row in rows {
            for parameter in row.parameters.iter().filter(|it| it.name != TARGET) {
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
