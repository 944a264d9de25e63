//! Describes the faults of disks: what is lost, what fails, and what is damaged.

use super::units::size;
use super::{ANY_TARGET, Description, Fault, ONE_TARGET, Parameter, Reach};
use crate::disk::parameters as disk;
use crate::record::Family;

const HOW_TORN: Parameter = Parameter {
    name: disk::TEAR,
    summary: "what survives of bytes that were not synced: none, or a random part of each file \
              that ends at a sector of 512 bytes, appended bytes at any byte",
    unit: "none, sector or byte",
    default: "byte",
    accepts: |text| disk::tear(text).is_some(),
};

const WHICH_NAMES: Parameter = Parameter {
    name: disk::NAMES,
    summary: "which names survive: those made before the latest sync of anything, as ext4 and XFS \
              have it, or those only whose directory was synced, as fsync(2) has it",
    unit: "journal or posix",
    default: "journal",
    accepts: |text| disk::name_model(text).is_some(),
};

const WHICH_FILE: Parameter = Parameter {
    name: disk::FILE,
    summary: "the file, by its path below the data directory",
    unit: "a path, or largest",
    default: "largest",
    accepts: disk::is_file,
};

/// Their rows of [`super::FAULTS`], in its order.
pub(super) const ROWS: [Description; 7] = [
    row(
        Fault::PowerLoss,
        "power-loss",
        "take power from nodes at once: what they had not synced is gone; later start it again",
        &[ANY_TARGET, HOW_TORN, WHICH_NAMES],
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
                name: disk::OPERATION,
                summary: "which calls fail",
                unit: "write, sync or both",
                default: "sync",
                accepts: |text| disk::operations(text).is_some(),
            },
            Parameter {
                name: disk::SHARE,
                summary: "how many of them fail, at random",
                unit: "percent, 1% to 100%",
                default: "100%",
                accepts: |text| disk::share(text).is_some(),
            },
        ],
    ),
    row(
        Fault::DiskFull,
        "disk-full",
        "let what needs room on one node's disk fail with ENOSPC",
        &[
            ONE_TARGET,
            Parameter {
                name: disk::ROOM,
                summary: "how much can still be added before",
                unit: "a size: B, KiB or MiB",
                default: "0B",
                accepts: |text| size(text).is_some(),
            },
            Parameter {
                name: disk::WRITES,
                summary: "what needs room: what makes a file longer (in-place), or every write, what \
                          is overwritten or was allocated ahead as well (copy-on-write)",
                unit: "in-place, as ext4 and XFS, or copy-on-write, as btrfs and ZFS",
                default: "in-place",
                accepts: |text| disk::writes(text).is_some(),
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
                name: disk::DELAY,
                summary: "by how much",
                unit: "a duration, up to 10s",
                default: "100ms",
                accepts: |text| disk::delay(text).is_some(),
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
                name: disk::PLACE,
                summary: "which byte; by default one of the first half, where no store can take \
                          the damage for a torn end",
                unit: "a size from the file's start, or random",
                default: "random",
                accepts: |text| disk::spot(text).is_some(),
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
                name: disk::KEEP,
                summary: "how much of the file is left",
                unit: "percent, 0% to 99%",
                default: "50%",
                accepts: |text| disk::keep_percent(text).is_some(),
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
    let reach = match fault {
        Fault::PowerLoss | Fault::PowerLossAll => Reach::Any,
        _ => Reach::One,
    };
    Description { fault, name, family, summary, reach, shortest_ms, longest_ms, parameters }
}
