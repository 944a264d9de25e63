//! Follows the TCP connections between hosts, so that they can be reset from outside.
//!
//! A receiver obeys a reset only if its sequence number is exactly the one expected next (RFC 5961
//! §3.2). That is the highest acknowledgement it has sent, or, if it has not acknowledged yet, the
//! end of what was delivered to it last: a reset is forged for both. Were neither right, the
//! receiver would answer with a *challenge acknowledgement* that names the right one; so an end
//! that asks for something newer after its reset is sent another for that, and one that still
//! speaks later, when all that was under way has arrived, once more after ever longer pauses. Only
//! then is it taken to have outlived them.
//!
//! Connections are known from their first segment on, since the switch is there before the hosts
//! are. One whose two ends have both said their last is forgotten.

use std::collections::HashMap;

use super::Port;
use crate::lab::segment::{Endpoint, Segment};

/// The most connections followed at once; what opens beyond that cannot be reset.
pub(super) const CONNECTIONS: usize = 1 << 16;
/// How often an end that asks for something newer is sent a reset for that.
const ANSWERS: u8 = 64;
/// How often an end that goes on speaking is sent another reset.
const ATTEMPTS: u8 = 4;
/// The pause before the first of these, which doubles from one to the next.
const PAUSE_NS: u64 = 20_000_000;

/// A reset to be forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reset {
    /// The end that it seems to come from.
    pub(super) from: (Port, Endpoint),
    /// The end that it goes to.
    pub(super) to: (Port, Endpoint),
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
}

/// The connections of a lab, each under its two endpoints in order.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<(Endpoint, Endpoint), [End; 2]>);

/// What is known of one end of a connection.
#[derive(Debug, Clone, Copy)]
struct End {
    host: Port,
    endpoint: Endpoint,
    /// The sequence number after all it has sent.
    sent: Option<u32>,
    /// What it expects next, as it last said.
    expects: Option<u32>,
    /// The sequence number after what was last delivered to it.
    delivered: Option<u32>,
    /// Whether it has said that it will send nothing more.
    is_done: bool,
    /// Set while it counts as reset.
    pursuit: Option<Pursuit>,
}

/// What is done about an end that goes on speaking after its reset.
#[derive(Debug, Clone, Copy)]
struct Pursuit {
    /// The latest sequence number for which it was sent a reset.
    tried: u32,
    answers: u8,
    attempts: u8,
    next_ns: u64,
    pause_ns: u64,
}

impl Pursuit {
    fn new(tried: u32, now_ns: u64) -> Pursuit {
        let next_ns = now_ns.saturating_add(PAUSE_NS);
        let (answers, attempts) = (ANSWERS, ATTEMPTS);
        Pursuit { tried, answers, attempts, next_ns, pause_ns: 2 * PAUSE_NS }
    }

    /// Whether an end that speaks, and expects so much, is sent another reset; none if it is given
    /// up on.
    fn goes_on(&mut self, expects: u32, now_ns: u64) -> Option<bool> {
        if self.answers > 0
            && expects != self.tried
            && later(Some(self.tried), expects) == Some(expects)
        {
            self.tried = expects;
            self.answers -= 1;
            return Some(true);
        }
        if now_ns < self.next_ns {
            return Some(false);
        }
        self.attempts = self.attempts.checked_sub(1)?;
        self.next_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns *= 2;
        Some(true)
    }
}

impl End {
    fn new(host: Port, endpoint: Endpoint) -> End {
        End {
            host,
            endpoint,
            sent: None,
            expects: None,
            delivered: None,
            is_done: false,
            pursuit: None,
        }
    }

    /// What it probably expects next.
    fn next(&self) -> u32 {
        self.expects.or(self.delivered).unwrap_or(0)
    }

    fn is_alive(&self) -> bool {
        !self.is_done && self.pursuit.is_none()
    }

    /// The resets that seem to come from `other`, of which one fits unless something was lost.
    fn resets(&self, other: &End) -> impl Iterator<Item = Reset> {
        let first = self.next();
        let second = self.delivered.filter(|delivered| *delivered != first);
        let (from, to) = ((other.host, other.endpoint), (self.host, self.endpoint));
        let acknowledgement = self.sent.unwrap_or(0);
        let forge = move |sequence| Reset { from, to, sequence, acknowledgement };
        [Some(first), second].into_iter().flatten().map(forge)
    }
}

/// The later of two sequence numbers, which wrap around (RFC 9293 §3.4).
fn later(known: Option<u32>, new: u32) -> Option<u32> {
    match known {
        Some(known) if (new.wrapping_sub(known) as i32) < 0 => Some(known),
        _ => Some(new),
    }
}

impl Connections {
    /// Notes a segment that a host has sent. The reset that its sender needs once more, if it
    /// speaks on a connection that was reset.
    pub(super) fn sent(
        &mut self,
        link: (Port, Port),
        segment: &Segment,
        now_ns: u64,
    ) -> Option<Reset> {
        let key = key(segment);
        if segment.opens() {
            self.open(key, link, segment);
            return None;
        }
        let ends = self.0.get_mut(&key)?;
        let [own, other] = ends;
        let (own, other) =
            if own.endpoint == segment.source { (own, &*other) } else { (other, &*own) };
        own.sent = later(own.sent, segment.end());
        if let Some(expected) = segment.expects() {
            own.expects = later(own.expects, expected);
        }
        own.is_done |= segment.is_last() || segment.resets();
        let mut again = None;
        if !segment.resets()
            && let Some(pursuit) = &mut own.pursuit
        {
            match pursuit.goes_on(own.expects.or(own.delivered).unwrap_or(0), now_ns) {
                Some(true) => again = own.resets(other).next(),
                Some(false) => {}
                None => own.pursuit = None,
            }
        }
        if ends.iter().all(|end| end.is_done && end.pursuit.is_none()) {
            self.0.remove(&key);
        }
        again
    }

    /// Notes a segment that was delivered.
    pub(super) fn delivered(&mut self, segment: &Segment) {
        if let Some(ends) = self.0.get_mut(&key(segment)) {
            let receiver = usize::from(ends[1].endpoint == segment.destination);
            ends[receiver].delivered = later(ends[receiver].delivered, segment.end());
        }
    }

    /// The resets that end every connection seen on a link, and the number of those connections.
    pub(super) fn reset(&mut self, from: Port, to: Port, now_ns: u64) -> (Vec<Reset>, u64) {
        let (mut resets, mut count) = (Vec::new(), 0);
        let mut keys: Vec<_> = self.0.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let Some([one, two]) = self.0.get_mut(&key) else { continue };
            let sender = if one.host == from { &*one } else { &*two };
            let joins = [(from, to), (to, from)].contains(&(one.host, two.host));
            let is_over = one.pursuit.is_some() && two.pursuit.is_some();
            if !joins || is_over || sender.sent.is_none() {
                continue;
            }
            resets.extend(one.resets(two).chain(two.resets(one)));
            for end in [one, two] {
                end.pursuit = Some(Pursuit::new(end.next(), now_ns));
            }
            count += 1;
        }
        (resets, count)
    }

    fn open(&mut self, key: (Endpoint, Endpoint), (from, to): (Port, Port), segment: &Segment) {
        if self.0.len() >= CONNECTIONS {
            self.0.retain(|_, ends| ends.iter().all(End::is_alive));
            if self.0.len() >= CONNECTIONS {
                return;
            }
        }
        let mut opener = End::new(from, segment.source);
        opener.sent = Some(segment.end());
        let other = End::new(to, segment.destination);
        let ends = if key.0 == segment.source { [opener, other] } else { [other, opener] };
        self.0.insert(key, ends);
    }
}

fn key(segment: &Segment) -> (Endpoint, Endpoint) {
    let (source, destination) = (segment.source, segment.destination);
    (source.min(destination), source.max(destination))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::segment::tests::{endpoint, segment};

    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;

    /// A client on host 0 and a server on host 1; both sides' segments pass through.
    struct Dialogue(Connections, u64);

    impl Dialogue {
        fn new() -> Dialogue {
            let mut dialogue = Dialogue(Connections::default(), 0);
            dialogue.client(SYN, (100, 0), b"");
            dialogue.server(SYN | ACK, (500, 101), b"");
            dialogue.client(ACK, (101, 501), b"");
            dialogue
        }

        fn client(&mut self, bits: u8, numbers: (u32, u32), payload: &[u8]) -> Option<Reset> {
            let ends = (endpoint(1, 40_000), endpoint(2, 7000));
            self.pass((0, 1), &segment(ends, bits, numbers, payload))
        }

        fn server(&mut self, bits: u8, numbers: (u32, u32), payload: &[u8]) -> Option<Reset> {
            let ends = (endpoint(2, 7000), endpoint(1, 40_000));
            self.pass((1, 0), &segment(ends, bits, numbers, payload))
        }

        fn pass(&mut self, link: (Port, Port), frame: &[u8]) -> Option<Reset> {
            let segment = Segment::read(frame).expect("a segment");
            let again = self.0.sent(link, &segment, self.1);
            self.0.delivered(&segment);
            again
        }

        fn reset(&mut self) -> Vec<(Port, u32, u32)> {
            let (resets, count) = self.0.reset(0, 1, self.1);
            assert_eq!(count, u64::from(!resets.is_empty()));
            resets.iter().map(|it| (it.to.0, it.sequence, it.acknowledgement)).collect()
        }
    }

    #[test]
    fn a_reset_has_the_sequence_number_that_each_end_expects() {
        let mut dialogue = Dialogue::new();
        dialogue.client(ACK, (101, 501), b"request");
        dialogue.server(ACK, (501, 108), b"answer");
        dialogue.client(ACK, (108, 507), b"");
        assert_eq!(dialogue.reset(), [(0, 507, 108), (1, 108, 507)]);
    }

    #[test]
    fn what_is_not_acknowledged_yet_may_have_been_received() {
        let mut dialogue = Dialogue::new();
        dialogue.client(ACK, (101, 501), b"request");
        assert_eq!(dialogue.reset(), [(0, 501, 108), (1, 101, 501), (1, 108, 501)]);
    }

    #[test]
    fn a_connection_without_an_answer_is_reset_at_the_end_that_waits() {
        let mut dialogue = Dialogue(Connections::default(), 0);
        dialogue.client(SYN, (100, 0), b"");
        assert_eq!(dialogue.reset(), [(0, 0, 101), (1, 101, 0)]);
    }

    #[test]
    fn an_end_that_asks_for_something_newer_is_sent_a_reset_for_that() {
        let mut dialogue = Dialogue::new();
        dialogue.reset();
        let again = dialogue.client(ACK, (101, 777), b"").expect("another");
        assert_eq!((again.to.0, again.sequence), (0, 777));
        assert_eq!(dialogue.client(ACK, (101, 777), b""), None, "which may be under way");
        assert_eq!(dialogue.client(ACK, (101, 600), b""), None, "older than that");
        let newer = |dialogue: &mut Dialogue, number| dialogue.client(ACK, (101, number), b"");
        let more = (800..1_800).filter(|number| newer(&mut dialogue, *number).is_some()).count();
        assert_eq!(more, usize::from(ANSWERS) - 1);
    }

    #[test]
    fn a_connection_is_reset_once_unless_it_lives_on() {
        let mut dialogue = Dialogue::new();
        assert!(!dialogue.reset().is_empty());
        for _ in 0..1_000 {
            assert_eq!(dialogue.client(ACK, (101, 501), b"under way"), None);
        }
        assert_eq!(dialogue.reset(), [], "it is over");
        for _ in 0..ATTEMPTS {
            dialogue.1 += 1_000_000_000;
            assert!(dialogue.client(ACK, (101, 501), b"").is_some());
        }
        assert_eq!(dialogue.reset(), []);
        dialogue.1 += 1_000_000_000;
        assert_eq!(dialogue.client(ACK, (101, 501), b""), None, "it is given up on");
        assert!(!dialogue.reset().is_empty(), "it has outlived its resets");
    }

    #[test]
    fn a_connection_whose_ends_are_done_is_forgotten() {
        let mut ended = Dialogue::new();
        ended.client(FIN | ACK, (101, 501), b"");
        assert_eq!(ended.0.0.len(), 1, "the server may go on");
        ended.server(FIN | ACK, (501, 102), b"");
        assert_eq!(ended.reset(), []);
        let mut aborted = Dialogue::new();
        aborted.client(RST, (101, 0), b"");
        assert_eq!(aborted.0.0.len(), 1, "its reset may be lost");
    }

    #[test]
    fn only_connections_between_the_links_hosts_are_reset() {
        let mut dialogue = Dialogue::new();
        for (from, to) in [(0, 2), (2, 1), (0, 0)] {
            assert_eq!(dialogue.0.reset(from, to, 0), (Vec::new(), 0));
        }
        assert_eq!(dialogue.0.reset(1, 0, 0).1, 1, "it was seen in either direction");
    }

    #[test]
    fn sequence_numbers_wrap_around() {
        assert_eq!(later(Some(u32::MAX - 5), 3), Some(3));
        assert_eq!(later(Some(3), u32::MAX - 5), Some(3));
    }
}
