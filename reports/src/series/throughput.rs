//! Counts operations per stretch of time, by what became of them.
//!
//! An operation counts when it came back, or when its client gave up on it. One that was still open
//! when the history ended has no such time and is counted apart.

use partita_checker::{History, Outcome};

use super::Buckets;

/// Operations per bucket.
#[derive(Debug, Clone)]
pub(crate) struct Throughput {
    /// The stretches of time.
    pub(crate) buckets: Buckets,
    /// Per bucket, what became of the operations that ended in it.
    pub(crate) ended: Vec<Ended>,
    /// Operations that had neither come back nor been given up when the history ended.
    pub(crate) open: u64,
}

/// How many operations ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// With an answer.
    pub(crate) ok: u64,
    /// Certainly without effect.
    pub(crate) fail: u64,
    /// With an unknown outcome.
    pub(crate) info: u64,
}

impl Ended {
    /// All of them.
    pub(crate) fn total(self) -> u64 {
        self.ok + self.fail + self.info
    }
}

impl Throughput {
    pub(crate) fn of(history: &History, buckets: Buckets) -> Self {
        let mut ended = vec![Ended::default(); buckets.count];
        let mut open = 0;
        for operation in history.operations() {
            let Some(moment) = operation.completed() else {
                open += 1;
                continue;
            };
            let bucket = &mut ended[buckets.index(moment.time)];
            match operation.outcome {
                Outcome::Ok(..) => bucket.ok += 1,
                Outcome::Fail(_) => bucket.fail += 1,
                Outcome::Info(_) => bucket.info += 1,
            }
        }
        Self { buckets, ended, open }
    }
}
