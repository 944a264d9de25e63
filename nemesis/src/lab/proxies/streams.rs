//! Decides when a chunk of a byte stream may go on: the policies of directed links, for relays.
//!
//! The core of the proxies, without socket, thread or clock. A link's streams share its policy, its
//! rate, its counters and its source of chance; each keeps its own order and waits for no other.
//! What is blocked is withheld and not dropped, since a byte stream has no gaps: it goes on when the
//! link is mended, as what TCP sends again after a partition. Leaves out what only frames can
//! suffer: loss, duplication, reordering, corruption.

use crate::lab::fabric::{
    Bucket, Counters, Fate, FrameDraws, FrameRandom, LinkMessages, MessageLog, Passed, Policy,
    Port, Sample, Series, Tally,
};

/// What follows the bytes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing more will be sent.
    Finished,
    /// The connection is gone.
    Reset,
}

/// Bytes that one read yielded, or the end of a stream, on its way through a link.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// How many of the bytes have left.
    pub(super) sent: usize,
    /// What it is if it has no bytes; a connection being opened has neither.
    pub(super) end: Option<End>,
    entered_ns: u64,
    luck: FrameDraws,
    /// Whether it was counted as withheld by a blocked link.
    is_blocked: bool,
    /// Whether it was counted as delayed.
    is_delayed: bool,
}

/// Whether a chunk may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Now.
    Now,
    /// At this time, unless the policy changes before.
    At(u64),
    /// Not before the policy changes.
    Changed,
}

/// The links between `n` hosts.
#[derive(Debug)]
pub(super) struct Streams {
    hosts: usize,
    /// From host `f` to host `t` at `f * n + t`. What a host says to itself has a link as well,
    /// which is always open.
    links: Vec<Link>,
    series: Series,
    messages: MessageLog,
}

#[derive(Debug)]
struct Link {
    policy: Policy,
    tally: Tally,
    dice: FrameRandom,
    bucket: Bucket,
    admitted: u64,
}

impl Streams {
    /// Of hosts of which the last is the clients'.
    pub(super) fn new(hosts: usize, seed: u64) -> Streams {
        let link = |place: usize| Link {
            policy: Policy::OPEN,
            tally: Tally::default(),
            dice: FrameRandom::new(seed, place / hosts, place % hosts),
            bucket: Bucket::default(),
            admitted: 0,
        };
        let links = (0..hosts * hosts).map(link).collect();
        Streams { hosts, links, series: Series::default(), messages: MessageLog::new(hosts) }
    }

    fn link(&mut self, (from, to): (Port, Port)) -> &mut Link {
        assert!(
            from < self.hosts && to < self.hosts,
            "link {from} to {to} of {} hosts",
            self.hosts
        );
        &mut self.links[from * self.hosts + to]
    }

    fn count(&mut self, link: (Port, Port), now_ns: u64, add: impl FnOnce(&mut Counters)) {
        let place = link.0 * self.hosts + link.1;
        let tally = &mut self.links[place].tally;
        tally.turn(link, now_ns, &mut self.series);
        add(&mut tally.counters);
    }

    /// Takes bytes, or an end, that came to a link.
    pub(super) fn admit(
        &mut self,
        at: (Port, Port),
        bytes: Vec<u8>,
        end: Option<End>,
        now_ns: u64,
    ) -> Chunk {
        let link = self.link(at);
        let number = link.admitted;
        link.admitted += 1;
        let luck =
            if link.policy.is_random() { link.dice.roll(number) } else { FrameDraws::default() };
        let (is_blocked, is_delayed) = (false, false);
        Chunk { bytes, sent: 0, end, entered_ns: now_ns, luck, is_blocked, is_delayed }
    }

    /// Whether the chunk may leave its link at `now_ns`; counts what keeps it. A chunk must wait for
    /// those of its stream that came before.
    pub(super) fn ask(&mut self, at: (Port, Port), chunk: &mut Chunk, now_ns: u64) -> Leave {
        let link = self.link(at);
        let Policy { block, hold, delay, jitter, rate, .. } = link.policy;
        if block {
            self.withhold(at, chunk, now_ns);
            return Leave::Changed;
        }
        let due_ns = chunk.entered_ns.saturating_add(chunk.luck.delay_ns(delay, jitter));
        let due_ns = due_ns.max(link.bucket.free_ns(rate));
        if !hold && due_ns <= now_ns {
            return Leave::Now;
        }
        if !std::mem::replace(&mut chunk.is_delayed, true) {
            self.count(at, now_ns, |counters| counters.delayed += 1);
        }
        if hold { Leave::Changed } else { Leave::At(due_ns) }
    }

    /// Whether a link carries nothing as long as its policy stays.
    pub(super) fn is_shut(&mut self, at: (Port, Port)) -> bool {
        let policy = self.link(at).policy;
        policy.block || policy.hold
    }

    /// Counts a chunk that waits behind others, if its link is blocked.
    pub(super) fn withhold(&mut self, at: (Port, Port), chunk: &mut Chunk, now_ns: u64) {
        if self.link(at).policy.block && !std::mem::replace(&mut chunk.is_blocked, true) {
            self.count(at, now_ns, |counters| counters.blocked += 1);
        }
    }

    /// Notes that bytes of a chunk have left; with `whole`, that it has left altogether.
    pub(super) fn left(&mut self, at: (Port, Port), bytes: usize, whole: bool, now_ns: u64) {
        let link = self.link(at);
        let rate = link.policy.rate;
        link.bucket.spend(rate, bytes, now_ns);
        self.count(at, now_ns, |counters| {
            counters.forwarded += u64::from(whole);
            counters.forwarded_bytes += bytes as u64;
        });
    }

    /// Remembers a chunk that has left altogether, or that its connection has given up.
    pub(super) fn note(
        &mut self,
        at: (Port, Port),
        chunk: &Chunk,
        is_delivered: bool,
        now_ns: u64,
    ) {
        let waited = chunk.is_blocked || chunk.is_delayed || !is_delivered;
        let fate = match (is_delivered, chunk.is_blocked) {
            (true, _) => Fate::Delivered,
            (false, true) => Fate::Blocked,
            (false, false) => Fate::Lost,
        };
        let passed = Passed {
            sent_ns: chunk.entered_ns,
            held_ns: if waited { now_ns.saturating_sub(chunk.entered_ns) } else { 0 },
            bytes: u32::try_from(chunk.bytes.len()).unwrap_or(u32::MAX),
            fate,
        };
        self.messages.note(at, passed);
    }

    /// The latest chunks between nodes, and how many older ones are forgotten.
    pub(super) fn messages(&self) -> (LinkMessages, u64) {
        self.messages.all()
    }

    /// Notes that a connection was reset.
    pub(super) fn reset(&mut self, at: (Port, Port), now_ns: u64) {
        self.count(at, now_ns, |counters| counters.reset += 1);
    }

    pub(super) fn policy(&mut self, at: (Port, Port)) -> Policy {
        self.link(at).policy
    }

    /// Changes the policy of a link, for what is under way as well.
    pub(super) fn set(&mut self, at: (Port, Port), policy: Policy, now_ns: u64) {
        let link = self.link(at);
        link.bucket.settle(link.policy.rate, now_ns);
        link.bucket.settle(policy.rate, now_ns);
        link.bucket.begin(now_ns);
        link.policy = policy;
    }

    pub(super) fn counters(&mut self, at: (Port, Port)) -> Counters {
        self.link(at).tally.counters
    }

    /// What every link did in each period of 100 ms in which it did anything, and how many samples
    /// older than these were given up.
    pub(super) fn series(&self) -> (Vec<Sample>, u64) {
        let open = self.links.iter().enumerate();
        let hosts = self.hosts;
        let open = open.filter_map(|(at, link)| link.tally.open((at / hosts, at % hosts)));
        (self.series.samples.iter().copied().chain(open).collect(), self.series.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::lab::fabric::{Jitter, Rate};

    const MS: u64 = 1_000_000;
    const AT: (Port, Port) = (0, 1);

    fn streams(policy: Policy) -> Streams {
        let mut streams = Streams::new(2, 7);
        streams.set(AT, policy, 0);
        streams
    }

    #[test]
    fn what_is_blocked_goes_on_when_the_link_is_mended() {
        let mut streams = streams(Policy { block: true, ..Policy::OPEN });
        let mut chunk = streams.admit(AT, vec![1, 2], None, MS);
        for now_ns in [MS, 2 * MS] {
            assert_eq!(streams.ask(AT, &mut chunk, now_ns), Leave::Changed);
        }
        assert_eq!(streams.counters(AT).blocked, 1, "counted once");
        streams.set(AT, Policy::OPEN, 3 * MS);
        assert_eq!(streams.ask(AT, &mut chunk, 3 * MS), Leave::Now);
        streams.left(AT, 2, true, 3 * MS);
        let counters = streams.counters(AT);
        assert_eq!((counters.forwarded, counters.forwarded_bytes), (1, 2));
    }

    #[test]
    fn only_the_direction_that_is_blocked_is_shut() {
        let mut streams = streams(Policy { block: true, ..Policy::OPEN });
        assert!(streams.is_shut(AT) && !streams.is_shut((1, 0)));
        let mut back = streams.admit((1, 0), vec![1], None, 0);
        assert_eq!(streams.ask((1, 0), &mut back, 0), Leave::Now);
    }

    #[test]
    fn a_delay_counts_from_when_a_piece_came_and_a_change_applies_to_it() {
        let delayed = |ms| Policy { delay: Duration::from_millis(ms), ..Policy::OPEN };
        let mut streams = streams(delayed(20));
        let mut chunk = streams.admit(AT, vec![1], None, 5 * MS);
        assert_eq!(streams.ask(AT, &mut chunk, 6 * MS), Leave::At(25 * MS));
        streams.set(AT, delayed(2), 7 * MS);
        assert_eq!(streams.ask(AT, &mut chunk, 7 * MS), Leave::Now);
        assert_eq!(streams.counters(AT).delayed, 1);
    }

    #[test]
    fn jitter_is_the_seeds() {
        let jitter = Jitter::Uniform { spread: Duration::from_millis(10) };
        let policy = Policy { delay: Duration::from_millis(20), jitter, ..Policy::OPEN };
        let draw = |seed| {
            let mut streams = Streams::new(2, seed);
            streams.set(AT, policy, 0);
            let mut due = |_| {
                let mut chunk = streams.admit(AT, vec![1], None, 0);
                streams.ask(AT, &mut chunk, 0)
            };
            (0..8).map(&mut due).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_rate_lets_a_burst_go_and_then_so_much_in_a_second() {
        let bytes_per_second = NonZeroU64::new(1_000).expect("not zero");
        let rate = Rate { burst_bytes: 100, ..Rate::new(bytes_per_second) };
        let mut streams = streams(Policy { rate: Some(rate), ..Policy::OPEN });
        let mut first = streams.admit(AT, vec![0; 200], None, 0);
        assert_eq!(streams.ask(AT, &mut first, 0), Leave::Now);
        streams.left(AT, 200, true, 0);
        let mut next = streams.admit(AT, vec![0; 10], None, 0);
        assert_eq!(streams.ask(AT, &mut next, 0), Leave::At(100 * MS));
    }

    #[test]
    fn a_held_link_counts_what_waits_behind_others_only_when_blocked() {
        let mut streams = streams(Policy { hold: true, ..Policy::OPEN });
        let mut chunk = streams.admit(AT, vec![1], None, 0);
        streams.withhold(AT, &mut chunk, 0);
        assert_eq!(streams.counters(AT), Counters::default());
        assert_eq!(streams.ask(AT, &mut chunk, 0), Leave::Changed);
        assert_eq!(streams.counters(AT).delayed, 1);
    }
}
