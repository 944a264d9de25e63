//! One directed link: what its policy does to frames, and the frames it holds back.
//!
//! A frame passes two queues. In the first it waits for the rate, in the second for its delay; both
//! are first in, first out, so that no frame overtakes another, whatever policies come and go. Only
//! one that is to be reordered leaves the second queue for a place beside it. Nothing is decided
//! ahead: a frame carries its luck along, and when it leaves is worked out from the policy in force
//! *now*, so that a change applies to what is under way.

use std::collections::VecDeque;

use super::bucket::Bucket;
use super::luck::{Burst, FrameDraws, FrameRandom, nanoseconds};
use super::messages::Fate;
use super::policy::{Policy, Rate};
use super::tally::Tally;
use crate::lab::segment::corrupt;

/// The most frames a link holds back; more are dropped, as by any router's queue.
pub(crate) const QUEUE_LIMIT: usize = 16_384;
/// The most bytes a link holds back.
pub(crate) const QUEUE_BYTES: usize = 64 << 20;

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send it now, then say what became of it.
    Forward,
    /// Nothing: the fabric has taken a copy, which may be due at once.
    Hold,
    /// Nothing: it is gone, for this reason.
    Drop(Fate),
}

/// A directed link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) policy: Policy,
    pub(super) tally: Tally,
    dice: FrameRandom,
    burst: Burst,
    bucket: Bucket,
    /// Frames that came so far.
    admitted: u64,
    /// The frame with the highest number that has left.
    latest: Option<u64>,
    /// Waiting for the rate.
    waiting: VecDeque<Held>,
    waiting_bytes: usize,
    /// Waiting for the delay.
    line: VecDeque<Held>,
    /// Held back so that others overtake them; due in this order, each by `entered_ns`.
    strays: VecDeque<Held>,
    held_bytes: usize,
}

/// A frame that is held back.
#[derive(Debug)]
pub(super) struct Held {
    number: u64,
    pub(super) came_ns: u64,
    /// When it came, and then when it entered the queue that it is in.
    entered_ns: u64,
    luck: FrameDraws,
    pub(super) frame: Box<[u8]>,
}

impl Link {
    pub(super) fn new(dice: FrameRandom) -> Link {
        Link {
            policy: Policy::default(),
            tally: Tally::default(),
            dice,
            burst: Burst::default(),
            bucket: Bucket::default(),
            admitted: 0,
            latest: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            line: VecDeque::new(),
            strays: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Frames held back.
    fn held(&self) -> usize {
        self.waiting.len() + self.line.len() + self.strays.len()
    }

    /// Decides about a frame that came at `now_ns`.
    pub(super) fn admit(&mut self, frame: &[u8], now_ns: u64) -> Decision {
        let number = self.admitted;
        self.admitted += 1;
        let policy = self.policy;
        if policy.block {
            self.tally.counters.blocked += 1;
            return Decision::Drop(Fate::Blocked);
        }
        let luck = if policy.is_random() { self.dice.roll(number) } else { FrameDraws::default() };
        if self.burst.takes(policy.loss, &luck) {
            self.tally.counters.dropped += 1;
            return Decision::Drop(Fate::Dropped);
        }
        let damaged = self.damage(frame, &luck);
        let twice = policy.duplicate.befalls(luck.duplicate);
        let strays = policy.reorder.probability.befalls(luck.reorder);
        if damaged.is_none() && !twice && !strays && self.passes_at_once(frame.len(), now_ns) {
            self.depart(number);
            return Decision::Forward;
        }
        let held = Held {
            number,
            came_ns: now_ns,
            entered_ns: now_ns,
            luck,
            frame: damaged.unwrap_or_else(|| frame.into()),
        };
        let copy = twice.then(|| Held { frame: held.frame.clone(), ..held });
        if !self.enqueue(held) {
            self.tally.counters.overflowed += 1;
            return Decision::Drop(Fate::Overflowed);
        }
        if let Some(copy) = copy
            && self.enqueue(copy)
        {
            self.tally.counters.duplicated += 1;
        }
        let waits = self.next_ns().is_none_or(|due_ns| due_ns > now_ns);
        self.tally.counters.delayed += u64::from(waits || strays || !policy.is_prompt());
        Decision::Hold
    }

    fn damage(&mut self, frame: &[u8], luck: &FrameDraws) -> Option<Box<[u8]>> {
        let corruption = self.policy.corrupt;
        if !corruption.probability.befalls(luck.corruption) {
            return None;
        }
        let mut damaged: Box<[u8]> = frame.into();
        corrupt(&mut damaged, luck.bit, corruption.mend).then(|| {
            self.tally.counters.corrupted += 1;
            damaged
        })
    }

    /// Whether a frame that nothing befalls need not be held; it is charged for if so.
    fn passes_at_once(&mut self, bytes: usize, now_ns: u64) -> bool {
        let reordering = self.policy.reorder.probability != Default::default();
        let is_free = self.waiting.is_empty()
            && self.line.is_empty()
            && (self.strays.is_empty() || reordering);
        if !is_free || !self.policy.is_prompt() || self.bucket.free_ns(self.policy.rate) > now_ns {
            return false;
        }
        self.bucket.spend(self.policy.rate, bytes, now_ns);
        true
    }

    /// Puts a frame at the end of the first queue. Whether there was room.
    fn enqueue(&mut self, held: Held) -> bool {
        let bytes = held.frame.len();
        let full = self.held() >= QUEUE_LIMIT || self.held_bytes + bytes > QUEUE_BYTES;
        let limit = self.policy.rate.filter(|_| !self.policy.hold);
        let must_wait =
            !self.waiting.is_empty() || self.bucket.free_ns(self.policy.rate) > held.entered_ns;
        let beyond = |rate: Rate| self.waiting_bytes + bytes > rate.queue_bytes as usize;
        if full || (must_wait && limit.is_some_and(beyond)) {
            return false;
        }
        self.held_bytes += bytes;
        self.waiting_bytes += bytes;
        self.waiting.push_back(held);
        true
    }

    /// When something happens next, unless something else happens before.
    pub(super) fn next_ns(&self) -> Option<u64> {
        if self.policy.hold {
            return None;
        }
        [self.sendable_ns(), self.line_due_ns(), self.stray_due_ns()].into_iter().flatten().min()
    }

    /// When the rate lets the first queue's first frame go.
    fn sendable_ns(&self) -> Option<u64> {
        let first = self.waiting.front()?;
        Some(first.entered_ns.max(self.bucket.free_ns(self.policy.rate)))
    }

    /// When the second queue's first frame has waited as long as it should.
    fn line_due_ns(&self) -> Option<u64> {
        let first = self.line.front()?;
        let delay_ns = first.luck.delay_ns(self.policy.delay, self.policy.jitter);
        Some(first.entered_ns.saturating_add(delay_ns))
    }

    /// When the first of the strays is let go.
    fn stray_due_ns(&self) -> Option<u64> {
        let first = self.strays.front()?;
        if self.policy.reorder.probability == Default::default() {
            return Some(first.entered_ns);
        }
        Some(first.entered_ns.saturating_add(nanoseconds(self.policy.reorder.by)))
    }

    /// Takes a frame that leaves at `now_ns` or before, if there is one.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<Held> {
        if self.policy.hold {
            return None;
        }
        loop {
            self.advance(now_ns);
            let line_due_ns = self.line_due_ns().filter(|due_ns| *due_ns <= now_ns);
            let stray_due_ns = self.stray_due_ns().filter(|due_ns| *due_ns <= now_ns);
            let stray_first = match (stray_due_ns, line_due_ns) {
                (None, None) => return None,
                (Some(stray), Some(line)) => stray <= line,
                (stray, _) => stray.is_some(),
            };
            let queue = if stray_first { &mut self.strays } else { &mut self.line };
            let mut held = queue.pop_front()?;
            let strays = self.policy.reorder.probability.befalls(held.luck.reorder);
            if strays && !stray_first {
                held.entered_ns = line_due_ns.unwrap_or(now_ns);
                self.strays.push_back(held);
                continue;
            }
            self.held_bytes -= held.frame.len();
            self.depart(held.number);
            return Some(held);
        }
    }

    /// Moves frames from the first queue to the second as far as the rate allows.
    fn advance(&mut self, now_ns: u64) {
        while let Some(at_ns) = self.sendable_ns().filter(|at_ns| *at_ns <= now_ns)
            && let Some(mut held) = self.waiting.pop_front()
        {
            self.waiting_bytes -= held.frame.len();
            self.bucket.spend(self.policy.rate, held.frame.len(), at_ns);
            held.entered_ns = at_ns;
            self.line.push_back(held);
        }
    }

    fn depart(&mut self, number: u64) {
        if self.latest.is_some_and(|latest| number < latest) {
            self.tally.counters.reordered += 1;
        }
        self.latest = self.latest.max(Some(number));
    }

    /// Changes the policy, for frames to come and for frames held. The frames held that are dropped.
    pub(super) fn set(&mut self, policy: Policy, now_ns: u64) -> Vec<Held> {
        self.bucket.settle(self.policy.rate, now_ns);
        self.bucket.settle(policy.rate, now_ns);
        self.bucket.begin(now_ns);
        if policy.loss != self.policy.loss {
            self.burst = Burst::default();
        }
        self.policy = policy;
        if policy.block {
            self.tally.counters.blocked += self.held() as u64;
            (self.waiting_bytes, self.held_bytes) = (0, 0);
            let queues = [&mut self.waiting, &mut self.line, &mut self.strays];
            return queues.into_iter().flat_map(std::mem::take).collect();
        }
        Vec::new()
    }
}
