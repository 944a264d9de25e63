//! Lists the values from which drawn faults get their parameters.
//!
//! They are such that whatever comes together of them has an effect that can be measured within a
//! second on a store that is in use.

use crate::clock::parameters as clock;
use crate::disk::parameters as disk;
use crate::fault::{DIRECTION, Fault, link, membership, partition, process};

/// The parameters of a drawn fault, each with the values it may have.
pub(super) fn words(fault: Fault) -> &'static [(&'static str, &'static [&'static str])] {
    const ANY: &[&str] = &["both", "in", "out"];
    const SPELLS: &[&str] = &["100ms", "300ms", "700ms"];
    match fault {
        Fault::MajorityMinority => &[(partition::SIZE, &["largest", "random"])],
        Fault::OneWay => &[(DIRECTION, &["in", "out"])],
        Fault::ClientsFromLeader => &[(DIRECTION, ANY)],
        Fault::Flapping => &[(partition::DOWN, SPELLS), (partition::UP, SPELLS)],
        Fault::Delay => &[
            (link::DELAY, &["5ms", "20ms", "100ms", "300ms"]),
            (link::JITTER, &["0", "5ms", "50ms"]),
            (link::DISTRIBUTION, &["uniform", "normal", "pareto"]),
            (DIRECTION, ANY),
        ],
        Fault::Loss => &[(link::SHARE, &["10%", "20%", "40%"]), (DIRECTION, ANY)],
        Fault::BurstLoss => &[(link::SHARE, &["30%", "50%"]), (link::LENGTH, &["5", "20"])],
        Fault::Duplicate => &[(link::SHARE, &["10%", "50%"]), (DIRECTION, ANY)],
        Fault::Reorder => &[(link::SHARE, &["20%", "50%"]), (link::BY, &["20ms", "50ms", "100ms"])],
        Fault::Corrupt => &[(link::SHARE, &["10%", "30%"])],
        Fault::Rate => &[(link::RATE, &["4KiB/s", "16KiB/s"])],
        Fault::Hold => &[(DIRECTION, ANY)],
        Fault::Reset => &[(link::EVERY, &["50ms", "200ms", "1s"])],
        Fault::Stutter => {
            &[(process::PERIOD, &["50ms", "200ms", "1s"]), (process::SHARE, &["20%", "50%", "90%"])]
        }
        Fault::KillAll => &[(process::DOWN, &["0s", "500ms"])],
        Fault::RollingRestart => &[(process::HOW, &["terminate", "kill"])],
        Fault::RestartVoters => &[(process::WITHIN, &["200ms", "400ms"])],
        // Past every timeout, and past no more than a few of them.
        Fault::ClockStep => &[(clock::BY, &["-1h", "-10s", "-500ms", "500ms", "10s", "1h"])],
        Fault::ClockStrobe => &[
            (clock::BY, &["-2s", "-100ms", "100ms", "2s"]),
            (clock::PERIOD, &["5ms", "50ms", "200ms"]),
        ],
        Fault::ClockRate => &[(clock::RATE, &["0.5", "0.8", "1.25", "2"])],
        Fault::PowerLoss | Fault::PowerLossAll => &[(disk::TEAR, &["none", "sector", "byte"])],
        Fault::DiskError => {
            &[(disk::OPERATION, &["write", "sync", "both"]), (disk::SHARE, &["100%", "30%"])]
        }
        // A store that allocates ahead needs no room in place for longer than such a spell lasts.
        Fault::DiskFull => &[(disk::WRITES, &["copy-on-write"]), (disk::ROOM, &["0B", "16KiB"])],
        Fault::AddNode => &[(membership::OUT, &["0", "300ms", "1s"])],
        Fault::DiskSlow => &[(disk::DELAY, &["20ms", "100ms", "300ms"])],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FAULTS;

    #[test]
    fn every_word_is_one_that_its_fault_accepts() {
        for row in &FAULTS {
            for (name, words) in words(row.fault) {
                let parameter = row.parameters.iter().find(|it| it.name == *name);
                let accepts = parameter.unwrap_or_else(|| panic!("{} {name}", row.name)).accepts;
                assert!(words.iter().all(|word| accepts(word)), "{} {name}", row.name);
            }
        }
    }
}
