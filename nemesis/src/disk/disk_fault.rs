//! Decides which of a node's disk calls fail or wait while a fault is in force.

use std::time::Duration;

use nix::errno::Errno;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Calls fail with EIO.
    Error {
        /// Which calls.
        on: FailingCalls,
        /// How many in a hundred.
        share_percent: u8,
    },
    /// No more than this can be added, in bytes: what needs more fails with ENOSPC.
    Full {
        /// The room that is left.
        room: u64,
        /// What needs room.
        writes: AllocationMode,
    },
    /// Every sync takes so much longer.
    Slow {
        /// How much.
        delay: Duration,
    },
}

/// What of a write needs room that was not taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocationMode {
    /// What makes a file longer: the rest is written where it stood, as by ext4 and XFS.
    InPlace,
    /// All of it: even what is overwritten or was allocated ahead goes to new blocks first, as by
    /// btrfs and ZFS, on snapshots and on thin volumes.
    CopyOnWrite,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailingCalls {
    /// Those that write.
    Write,
    /// Those that sync.
    Sync,
    /// All of these.
    Both,
}

/// What trouble did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were delayed.
    pub delayed: u64,
    /// By how much, all calls together.
    pub added: Duration,
}

/// What a call would do to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskCall {
    /// Change so many bytes, and make a file longer by so many.
    Write { bytes: u64, growth: u64 },
    /// Make a file or directory.
    Make,
    /// Promise that changes are durable.
    Sync,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    /// It goes on.
    Pass,
    /// It fails.
    Fail(Errno),
    /// It goes on after so long.
    Wait(Duration),
}

/// DiskFault in force.
#[derive(Debug)]
pub(super) struct ActiveDiskFault {
    trouble: DiskFault,
    rng: ChaCha8Rng,
    pub(super) tally: Tally,
}

impl ActiveDiskFault {
    pub(super) fn new(trouble: DiskFault, rng: ChaCha8Rng) -> ActiveDiskFault {
        ActiveDiskFault { trouble, rng, tally: Tally::default() }
    }

    /// What becomes of a call that does `deed`; counts it.
    pub(super) fn judge(&mut self, deed: DiskCall) -> CallOutcome {
        match (&mut self.trouble, deed) {
            (DiskFault::Error { on, share_percent }, deed) => {
                let meant = match deed {
                    DiskCall::Write { .. } => *on != FailingCalls::Sync,
                    DiskCall::Sync => *on != FailingCalls::Write,
                    DiskCall::Make => false,
                };
                if !meant || self.rng.random_range(0..100) >= *share_percent {
                    return CallOutcome::Pass;
                }
                self.fail(Errno::EIO)
            }
            (DiskFault::Full { .. }, DiskCall::Make) => self.fail(Errno::ENOSPC),
            (DiskFault::Full { room, writes }, DiskCall::Write { bytes, growth }) => {
                let needed = if *writes == AllocationMode::InPlace { growth } else { bytes };
                match room.checked_sub(needed) {
                    Some(left) => {
                        *room = left;
                        CallOutcome::Pass
                    }
                    None => self.fail(Errno::ENOSPC),
                }
            }
            (DiskFault::Slow { delay }, DiskCall::Sync) => {
                self.tally.delayed += 1;
                self.tally.added += *delay;
                CallOutcome::Wait(*delay)
            }
            (DiskFault::Full { .. }, DiskCall::Sync) | (DiskFault::Slow { .. }, _) => {
                CallOutcome::Pass
            }
        }
    }

    fn fail(&mut self, errno: Errno) -> CallOutcome {
        self.tally.failed += 1;
        CallOutcome::Fail(errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    fn armed(trouble: DiskFault) -> ActiveDiskFault {
        ActiveDiskFault::new(trouble, stream(1, "a disk"))
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_what_needs_no_room() {
        let mut full = armed(DiskFault::Full { room: 10, writes: AllocationMode::InPlace });
        let write = |growth| DiskCall::Write { bytes: 50, growth };
        assert_eq!(full.judge(write(8)), CallOutcome::Pass);
        assert_eq!(full.judge(write(3)), CallOutcome::Fail(Errno::ENOSPC));
        assert_eq!(full.judge(write(2)), CallOutcome::Pass);
        assert_eq!(full.judge(write(0)), CallOutcome::Pass);
        assert_eq!(full.judge(DiskCall::Sync), CallOutcome::Pass);
        assert_eq!(full.judge(DiskCall::Make), CallOutcome::Fail(Errno::ENOSPC));
        assert_eq!(full.tally.failed, 2);
    }

    #[test]
    fn where_nothing_is_written_in_place_a_full_disk_takes_no_overwriting_either() {
        let mut full = armed(DiskFault::Full { room: 10, writes: AllocationMode::CopyOnWrite });
        let write = |bytes| DiskCall::Write { bytes, growth: 0 };
        assert_eq!(full.judge(write(8)), CallOutcome::Pass);
        assert_eq!(full.judge(write(3)), CallOutcome::Fail(Errno::ENOSPC));
        assert_eq!(full.judge(write(2)), CallOutcome::Pass);
        assert_eq!(full.tally.failed, 1);
    }

    #[test]
    fn an_error_hits_its_share_of_the_calls_it_is_meant_for() {
        let mut broken = armed(DiskFault::Error { on: FailingCalls::Sync, share_percent: 30 });
        for _ in 0..1_000 {
            broken.judge(DiskCall::Sync);
            assert_eq!(broken.judge(DiskCall::Write { bytes: 1, growth: 1 }), CallOutcome::Pass);
        }
        assert!((200..400).contains(&broken.tally.failed), "{:?}", broken.tally);
    }

    #[test]
    fn a_slow_disk_delays_syncs_only() {
        let delay = Duration::from_millis(5);
        let mut slow = armed(DiskFault::Slow { delay });
        assert_eq!(slow.judge(DiskCall::Write { bytes: 1, growth: 1 }), CallOutcome::Pass);
        assert_eq!(slow.judge(DiskCall::Sync), CallOutcome::Wait(delay));
        assert_eq!(slow.tally, Tally { failed: 0, delayed: 1, added: delay });
    }
}
