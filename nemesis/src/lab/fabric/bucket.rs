//! Keeps a link to its rate.

use super::policy::Rate;

const SECOND_NS: u128 = 1_000_000_000;

/// A token bucket, seen from the other side: what was sent and is not paid for yet.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// In billionths of a byte.
    owed: u128,
    as_of_ns: u64,
}

impl Bucket {
    /// Takes off what was paid for up to `now_ns` at this rate; everything, if there is none.
    pub(crate) fn settle(&mut self, rate: Option<Rate>, now_ns: u64) {
        let Some(rate) = rate else {
            self.owed = 0;
            return;
        };
        let passed = u128::from(now_ns.saturating_sub(self.as_of_ns));
        self.owed = self.owed.saturating_sub(passed * u128::from(rate.bytes_per_second.get()));
        self.as_of_ns = self.as_of_ns.max(now_ns);
    }

    /// From when on the next bytes may be sent.
    pub(crate) fn free_ns(&self, rate: Option<Rate>) -> u64 {
        let Some(rate) = rate else { return 0 };
        let over = self.owed.saturating_sub(u128::from(rate.burst_bytes) * SECOND_NS);
        let wait = over.div_ceil(u128::from(rate.bytes_per_second.get()));
        self.as_of_ns.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Notes that so many bytes were sent.
    pub(crate) fn spend(&mut self, rate: Option<Rate>, bytes: usize, now_ns: u64) {
        if rate.is_some() {
            self.settle(rate, now_ns);
            self.owed += bytes as u128 * SECOND_NS;
        }
    }

    /// Forgets the time before `now_ns`: what was not sent then does not add up.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.as_of_ns = self.as_of_ns.max(now_ns);
    }
}
