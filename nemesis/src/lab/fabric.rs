//! Decides what becomes of every frame: forwarded at once, held back, or dropped.
//!
//! The core of the switch, without socket, thread or clock: frames and times come in, decisions
//! come out. Each ordered pair of hosts is a link with a [`Policy`] and counters of its own, so
//! that a partition in one direction is no special case. A link is a queue: whatever its policy was
//! and is, no frame overtakes another. A held frame leaves once it has waited as long as the delay
//! *now* in force, so a changed policy applies to what is under way; a blocked link loses what it
//! held. Deciding costs a table look-up; looking for due frames walks all links, but only while a
//! frame is held. Leaves out loss, duplication, corruption and rates.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::frame::{Mac, destination};

/// The most frames a link holds back; more are dropped, as by any router's queue.
pub(crate) const QUEUE_LIMIT: usize = 4_096;

/// How one directed link carries frames. The default carries them all at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether the link carries nothing at all.
    pub block: bool,
    /// How long every frame is held back.
    pub delay: Duration,
}

/// What a directed link did since the lab was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames delivered to the receiver's interface.
    pub forwarded: u64,
    /// Bytes in those frames, headers included.
    pub forwarded_bytes: u64,
    /// Frames dropped because the link was blocked.
    pub blocked: u64,
    /// Frames that were held back for a while, whatever became of them then.
    pub delayed: u64,
    /// Frames dropped because too many were held back already.
    pub overflowed: u64,
    /// Frames the kernel did not take.
    pub lost: u64,
}

/// A port of the switch: the number of a host, from 0.
pub(crate) type Port = usize;

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// To one host.
    To(Port),
    /// To every host but the sender.
    All,
    /// Nowhere: it is no frame that hosts of the lab exchange.
    Nowhere,
}

/// What to do with a frame on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send it now, then say what became of it: [`Fabric::delivered`] or [`Fabric::lost`].
    Forward,
    /// Nothing: the fabric has taken a copy.
    Hold,
    /// Nothing: it is gone.
    Drop,
}

/// A frame that has waited long enough. Send it, then say what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) from: Port,
    pub(crate) to: Port,
    pub(crate) frame: Box<[u8]>,
}

/// The links between `n` hosts. Times are nanoseconds of one clock that never goes back.
#[derive(Debug)]
pub(crate) struct Fabric {
    ports: HashMap<Mac, Port>,
    /// From port `f` to port `t` at `f * n + t`.
    links: Vec<Link>,
    /// Frames held back on all links.
    held: usize,
}

#[derive(Debug, Default)]
struct Link {
    policy: Policy,
    counters: Counters,
    queue: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    admitted_ns: u64,
    frame: Box<[u8]>,
}

impl Link {
    fn next_due_ns(&self) -> Option<u64> {
        let delay_ns = u64::try_from(self.policy.delay.as_nanos()).unwrap_or(u64::MAX);
        self.queue.front().map(|held| held.admitted_ns.saturating_add(delay_ns))
    }
}

impl Fabric {
    /// Links between hosts of these hardware addresses; a host's port is its place in `hosts`.
    pub(crate) fn new(hosts: &[Mac]) -> Fabric {
        let ports = hosts.iter().enumerate().map(|(port, mac)| (*mac, port)).collect();
        let mut links = Vec::new();
        links.resize_with(hosts.len() * hosts.len(), Link::default);
        Fabric { ports, links, held: 0 }
    }

    /// The number of hosts.
    pub(crate) fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Where a frame that came in at `from` goes.
    pub(crate) fn route(&self, from: Port, frame: &[u8]) -> Route {
        match destination(frame) {
            Some(Mac::BROADCAST) => Route::All,
            Some(mac) => match self.ports.get(&mac) {
                Some(port) if *port != from => Route::To(*port),
                _ => Route::Nowhere,
            },
            None => Route::Nowhere,
        }
    }

    /// What to do with a frame on a link at `now_ns`.
    pub(crate) fn admit(&mut self, from: Port, to: Port, frame: &[u8], now_ns: u64) -> Decision {
        let link = self.link_mut(from, to);
        if link.policy.block {
            link.counters.blocked += 1;
            return Decision::Drop;
        }
        if link.policy.delay.is_zero() && link.queue.is_empty() {
            return Decision::Forward;
        }
        if link.queue.len() >= QUEUE_LIMIT {
            link.counters.overflowed += 1;
            return Decision::Drop;
        }
        link.counters.delayed += 1;
        link.queue.push_back(Held { admitted_ns: now_ns, frame: frame.into() });
        self.held += 1;
        Decision::Hold
    }

    /// Takes a frame that is due at `now_ns`, if there is one. Call until there is none.
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<Due> {
        if self.held == 0 {
            return None;
        }
        let is_due = |link: &Link| link.next_due_ns().is_some_and(|due_ns| due_ns <= now_ns);
        let place = self.links.iter().position(is_due)?;
        let held = self.links[place].queue.pop_front()?;
        self.held -= 1;
        let (from, to) = (place / self.ports.len(), place % self.ports.len());
        Some(Due { from, to, frame: held.frame })
    }

    /// When the next held frame is due.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        if self.held == 0 {
            return None;
        }
        self.links.iter().filter_map(Link::next_due_ns).min()
    }

    /// Notes that a frame of `bytes` reached the receiver's interface.
    pub(crate) fn delivered(&mut self, from: Port, to: Port, bytes: usize) {
        let counters = &mut self.link_mut(from, to).counters;
        counters.forwarded += 1;
        counters.forwarded_bytes += bytes as u64;
    }

    /// Notes that the kernel did not take a frame.
    pub(crate) fn lost(&mut self, from: Port, to: Port) {
        self.link_mut(from, to).counters.lost += 1;
    }

    /// The policy of a link.
    pub(crate) fn policy(&self, from: Port, to: Port) -> Policy {
        self.links[self.place(from, to)].policy
    }

    /// Changes the policy of a link, for frames to come and for frames it holds.
    pub(crate) fn set(&mut self, from: Port, to: Port, policy: Policy) {
        let link = self.link_mut(from, to);
        link.policy = policy;
        if policy.block {
            let dropped = link.queue.len();
            link.queue.clear();
            link.counters.blocked += dropped as u64;
            self.held -= dropped;
        }
    }

    /// What a link did so far.
    pub(crate) fn counters(&self, from: Port, to: Port) -> Counters {
        self.links[self.place(from, to)].counters
    }

    fn link_mut(&mut self, from: Port, to: Port) -> &mut Link {
        let place = self.place(from, to);
        &mut self.links[place]
    }

    fn place(&self, from: Port, to: Port) -> usize {
        let ports = self.ports.len();
        assert!(from < ports && to < ports, "link {from} to {to} of {ports} ports");
        from * ports + to
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fabric() -> Fabric {
        Fabric::new(&[Mac::local(1), Mac::local(2), Mac::local(3)])
    }

    fn frame_to(mac: Mac, kind: [u8; 2], body: u8) -> Vec<u8> {
        [&mac.0[..], &Mac::local(1).0, &kind, &[body; 46]].concat()
    }

    fn delay(ms: u64) -> Policy {
        Policy { block: false, delay: Duration::from_millis(ms) }
    }

    const BLOCK: Policy = Policy { block: true, delay: Duration::ZERO };
    const MS: u64 = 1_000_000;

    #[test]
    fn frames_go_where_their_hardware_address_says() {
        let fabric = fabric();
        let route = |mac, kind| fabric.route(0, &frame_to(mac, kind, 0));
        assert_eq!(route(Mac::local(3), [8, 0]), Route::To(2));
        assert_eq!(route(Mac::BROADCAST, [8, 6]), Route::All);
        assert_eq!(route(Mac::local(9), [8, 0]), Route::Nowhere, "an unknown host");
        assert_eq!(route(Mac::local(1), [8, 0]), Route::Nowhere, "the sender itself");
        assert_eq!(route(Mac::local(2), [0x86, 0xdd]), Route::Nowhere, "IPv6");
        assert_eq!(fabric.route(0, &[0; 13]), Route::Nowhere, "less than a header");
    }

    #[test]
    fn a_block_cuts_one_direction_only() {
        let mut fabric = fabric();
        fabric.set(0, 1, BLOCK);
        assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Drop);
        assert_eq!(fabric.admit(1, 0, b"frame", 0), Decision::Forward);
        assert_eq!(fabric.admit(0, 2, b"frame", 0), Decision::Forward);
        fabric.set(0, 1, Policy::default());
        assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Forward);
        assert_eq!(fabric.counters(0, 1).blocked, 1);
        assert_eq!(fabric.counters(1, 0).blocked, 0);
    }

    #[test]
    fn a_delayed_frame_leaves_when_its_time_has_come() {
        let mut fabric = fabric();
        fabric.set(0, 1, delay(5));
        assert_eq!(fabric.admit(0, 1, b"frame", 2 * MS), Decision::Hold);
        assert_eq!(fabric.next_due_ns(), Some(7 * MS));
        assert_eq!(fabric.pop_due(7 * MS - 1), None);
        let due = fabric.pop_due(7 * MS).expect("due");
        assert_eq!((due.from, due.to, &due.frame[..]), (0, 1, &b"frame"[..]));
        assert_eq!((fabric.pop_due(u64::MAX), fabric.next_due_ns()), (None, None));
    }

    #[test]
    fn lifting_a_delay_frees_what_it_held_and_lets_nothing_overtake() {
        let mut fabric = fabric();
        fabric.set(0, 1, delay(1_000));
        fabric.admit(0, 1, b"first", 0);
        fabric.set(0, 1, Policy::default());
        assert_eq!(fabric.admit(0, 1, b"second", MS), Decision::Hold, "the first still waits");
        assert_eq!(fabric.pop_due(MS).map(|due| due.frame), Some(b"first"[..].into()));
        assert_eq!(fabric.pop_due(MS).map(|due| due.frame), Some(b"second"[..].into()));
        assert_eq!(fabric.admit(0, 1, b"third", MS), Decision::Forward);
    }

    #[test]
    fn a_block_drops_what_the_link_held() {
        let mut fabric = fabric();
        fabric.set(0, 1, delay(5));
        fabric.admit(0, 1, b"frame", 0);
        fabric.set(0, 1, BLOCK);
        assert_eq!(fabric.pop_due(u64::MAX), None);
        assert_eq!(fabric.counters(0, 1).blocked, 1);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let mut fabric = fabric();
        fabric.set(0, 1, delay(5));
        for _ in 0..QUEUE_LIMIT {
            assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Hold);
        }
        assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Drop);
        assert_eq!(fabric.counters(0, 1).overflowed, 1);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Admit(Port, Port),
        Set(Port, Port, Policy),
        Wait(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let port = 0..3_usize;
        let policy = (prop::bool::weighted(0.2), 0..4_u64)
            .prop_map(|(block, ms)| Policy { block, delay: Duration::from_millis(ms) });
        prop_oneof![
            6 => (port.clone(), port.clone()).prop_map(|(from, to)| Step::Admit(from, to)),
            2 => (port.clone(), port, policy).prop_map(|(from, to, p)| Step::Set(from, to, p)),
            2 => (0..3 * MS).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever policies come and go, every frame is delivered once or dropped once, and those
        /// delivered on a link arrive in the order in which they were sent.
        #[test]
        fn no_frame_is_lost_doubled_or_overtaken(
            steps in prop::collection::vec(any_step(), 0..200)
        ) {
            let mut fabric = fabric();
            let (mut now_ns, mut admitted) = (0, [[0_u64; 3]; 3]);
            let mut arrived: [[Vec<u64>; 3]; 3] = Default::default();
            for step in steps {
                match step {
                    Step::Admit(from, to) => {
                        let number = admitted[from][to];
                        admitted[from][to] += 1;
                        let frame = number.to_be_bytes();
                        if fabric.admit(from, to, &frame, now_ns) == Decision::Forward {
                            arrived[from][to].push(number);
                            fabric.delivered(from, to, frame.len());
                        }
                    }
                    Step::Set(from, to, policy) => fabric.set(from, to, policy),
                    Step::Wait(ns) => now_ns += ns,
                }
                while let Some(Due { from, to, frame }) = fabric.pop_due(now_ns) {
                    let number = u64::from_be_bytes(frame[..].try_into().expect("eight bytes"));
                    arrived[from][to].push(number);
                    fabric.delivered(from, to, frame.len());
                }
            }
            while let Some(Due { from, to, frame }) = fabric.pop_due(u64::MAX) {
                let number = u64::from_be_bytes(frame[..].try_into().expect("eight bytes"));
                arrived[from][to].push(number);
                fabric.delivered(from, to, frame.len());
            }
            prop_assert_eq!(fabric.next_due_ns(), None);
            for from in 0..3 {
                for to in 0..3 {
                    let numbers = &arrived[from][to];
                    prop_assert!(numbers.is_sorted_by(|a, b| a < b));
                    let counters = fabric.counters(from, to);
                    prop_assert_eq!(counters.forwarded, numbers.len() as u64);
                    prop_assert_eq!(counters.forwarded + counters.blocked, admitted[from][to]);
                }
            }
        }
    }
}
