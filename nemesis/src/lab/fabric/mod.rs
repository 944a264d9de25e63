//! Decides what becomes of every frame: forwarded at once, held back, changed, doubled or dropped.
//!
//! The core of the switch, without socket, thread or clock: frames and times come in, decisions
//! come out. Each ordered pair of hosts is a [`link`] with a [`Policy`], counters and a source of
//! chance of its own, so that a partition in one direction is no special case and what befalls a
//! link's n-th frame is the same in every run of one seed. Deciding costs a table look-up, and for
//! TCP another to follow the connection; links with frames to release stand in an agenda, so that
//! idle ones cost nothing. Leaves out the shared medium: hosts never collide, and a link without a rate is
//! as fast as the machine.

mod bucket;
mod connections;
mod link;
mod luck;
mod messages;
mod policy;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::frame::{Mac, destination};
use super::segment::{self, Segment};
use connections::{Connections, Reset};
use link::Link;

pub(crate) use bucket::Bucket;
pub(crate) use link::Decision;
pub(crate) use luck::{FrameDraws, FrameRandom};
pub use messages::Fate;
pub(crate) use messages::{LinkMessages, MessageLog, Passed};
pub use policy::{
    Corruption, InvalidProbability, Jitter, Loss, Policy, Probability, Rate, Reorder,
};
pub use tally::Counters;
pub(crate) use tally::{PERIOD_NS, Sample, Series, Tally};

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

/// A frame to be sent: one that has waited long enough, or one made up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) from: Port,
    pub(crate) to: Port,
    pub(crate) frame: Box<[u8]>,
    /// When it came; of one made up, when it was.
    pub(crate) came_ns: u64,
}

/// The links between `n` hosts. Times are nanoseconds of one clock that never goes back.
#[derive(Debug)]
pub(crate) struct Fabric {
    ports: HashMap<Mac, Port>,
    macs: Vec<Mac>,
    /// From port `f` to port `t` at `f * n + t`.
    links: Vec<Link>,
    /// When something happens next on each link that holds frames, and the link's place.
    agenda: BTreeSet<(u64, usize)>,
    /// What each link's entry in the agenda says.
    entries: Vec<Option<u64>>,
    connections: Connections,
    /// Resets to be sent, whatever the links' policies.
    forged: VecDeque<Due>,
    series: Series,
    messages: MessageLog,
}

impl Fabric {
    /// Links between hosts of these hardware addresses; a host's port is its place in `hosts`. The last
    /// is the clients'.
    pub(crate) fn new(hosts: &[Mac], seed: u64) -> Fabric {
        let ports = hosts.len();
        let link = |place| Link::new(FrameRandom::new(seed, place / ports, place % ports));
        Fabric {
            ports: hosts.iter().enumerate().map(|(port, mac)| (*mac, port)).collect(),
            macs: hosts.to_vec(),
            links: (0..ports * ports).map(link).collect(),
            agenda: BTreeSet::new(),
            entries: vec![None; ports * ports],
            connections: Connections::default(),
            forged: VecDeque::new(),
            series: Series::default(),
            messages: MessageLog::new(ports),
        }
    }

    /// The number of hosts.
    pub(crate) fn ports(&self) -> usize {
        self.macs.len()
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

    /// What to do with a frame on a link at `now_ns`. If it says [`Decision::Forward`], say what
    /// became of the frame: [`Fabric::delivered`] or [`Fabric::lost`].
    pub(crate) fn admit(&mut self, from: Port, to: Port, frame: &[u8], now_ns: u64) -> Decision {
        if let Some(segment) = Segment::read(frame)
            && let Some(again) = self.connections.sent((from, to), &segment, now_ns)
        {
            self.forge(again, now_ns);
        }
        let decision = self.work((from, to), now_ns, |link| link.admit(frame, now_ns));
        if let Decision::Drop(fate) = decision {
            self.note((from, to), frame, (now_ns, now_ns), fate);
        }
        decision
    }

    /// Takes a frame that is due at `now_ns`, if there is one. Call until there is none; send each
    /// and say what became of it.
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<Due> {
        while let Some((due_ns, place)) = self.agenda.first().copied() {
            if due_ns > now_ns {
                return None;
            }
            let (from, to) = (place / self.ports(), place % self.ports());
            if let Some(held) = self.work((from, to), now_ns, |link| link.pop(now_ns)) {
                return Some(Due { from, to, frame: held.frame, came_ns: held.came_ns });
            }
        }
        None
    }

    /// When a link with held frames has something to do.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        self.agenda.first().map(|(due_ns, _)| *due_ns)
    }

    /// Takes a frame that no host sent. It belongs to no link's traffic: send it, and that is all.
    pub(crate) fn pop_forged(&mut self) -> Option<Due> {
        self.forged.pop_front()
    }

    /// Notes that a frame that came at the first of these times reached the receiver's interface at the
    /// second.
    pub(crate) fn delivered(&mut self, link: (Port, Port), frame: &[u8], times_ns: (u64, u64)) {
        if let Some(segment) = Segment::read(frame) {
            self.connections.delivered(&segment);
        }
        self.note(link, frame, times_ns, Fate::Delivered);
        self.count(link, times_ns.1, |counters| {
            counters.forwarded += 1;
            counters.forwarded_bytes += frame.len() as u64;
        });
    }

    /// Notes that the kernel did not take a frame, which came at the first of these times, at the second.
    pub(crate) fn lost(&mut self, link: (Port, Port), frame: &[u8], times_ns: (u64, u64)) {
        self.note(link, frame, times_ns, Fate::Lost);
        self.count(link, times_ns.1, |counters| counters.lost += 1);
    }

    /// Remembers what became of a frame that came and left at these times.
    fn note(&mut self, link: (Port, Port), frame: &[u8], times_ns: (u64, u64), fate: Fate) {
        let (sent_ns, left_ns) = times_ns;
        let bytes = segment::payload(frame);
        let held_ns = left_ns.saturating_sub(sent_ns);
        self.messages.note(link, Passed { sent_ns, held_ns, bytes, fate });
    }

    /// The latest messages between nodes, and how many older ones are forgotten.
    pub(crate) fn messages(&self) -> (LinkMessages, u64) {
        self.messages.all()
    }

    /// The policy of a link.
    pub(crate) fn policy(&self, from: Port, to: Port) -> Policy {
        self.links[self.place(from, to)].policy
    }

    /// Changes the policy of a link, for frames to come and for frames it holds.
    pub(crate) fn set(&mut self, from: Port, to: Port, policy: Policy, now_ns: u64) {
        let dropped = self.work((from, to), now_ns, |link| link.set(policy, now_ns));
        for held in dropped {
            self.note((from, to), &held.frame, (held.came_ns, now_ns), Fate::Blocked);
        }
    }

    /// Makes up resets for both ends of every connection seen on a link; how many connections.
    pub(crate) fn reset(&mut self, from: Port, to: Port, now_ns: u64) -> u64 {
        let (resets, connections) = self.connections.reset(from, to, now_ns);
        for reset in resets {
            self.forge(reset, now_ns);
        }
        self.count((from, to), now_ns, |counters| counters.reset += connections);
        connections
    }

    /// What a link did so far.
    pub(crate) fn counters(&self, from: Port, to: Port) -> Counters {
        self.links[self.place(from, to)].tally.counters
    }

    /// What every link did in each period of 100 ms in which it did anything, and how many samples
    /// older than these were given up.
    pub(crate) fn series(&self) -> (Vec<Sample>, u64) {
        let ports = self.ports();
        let open = self.links.iter().enumerate();
        let open = open.filter_map(|(at, link)| link.tally.open((at / ports, at % ports)));
        (self.series.samples.iter().copied().chain(open).collect(), self.series.forgotten)
    }

    fn forge(&mut self, reset: Reset, now_ns: u64) {
        let ((from, near), (to, far)) = (reset.from, reset.to);
        let macs = (self.macs[from], self.macs[to]);
        let frame = segment::reset(macs, (near, far), reset.sequence, reset.acknowledgement);
        self.forged.push_back(Due { from, to, frame, came_ns: now_ns });
    }

    fn count(&mut self, (from, to): (Port, Port), now_ns: u64, add: impl FnOnce(&mut Counters)) {
        let place = self.place(from, to);
        let tally = &mut self.links[place].tally;
        tally.turn((from, to), now_ns, &mut self.series);
        add(&mut tally.counters);
    }

    /// Does something to a link that may change when it has something to do.
    fn work<T>(
        &mut self,
        (from, to): (Port, Port),
        now_ns: u64,
        act: impl FnOnce(&mut Link) -> T,
    ) -> T {
        let place = self.place(from, to);
        let link = &mut self.links[place];
        link.tally.turn((from, to), now_ns, &mut self.series);
        let result = act(link);
        let next_ns = link.next_ns();
        let entry = &mut self.entries[place];
        if *entry != next_ns {
            if let Some(due_ns) = entry.take() {
                self.agenda.remove(&(due_ns, place));
            }
            if let Some(due_ns) = next_ns {
                self.agenda.insert((due_ns, place));
            }
            *entry = next_ns;
        }
        result
    }

    fn place(&self, from: Port, to: Port) -> usize {
        let ports = self.ports();
        assert!(from < ports && to < ports, "link {from} to {to} of {ports} ports");
        from * ports + to
    }
}
