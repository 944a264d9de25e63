//! Reads TCP and UDP inside an Ethernet frame, damages it, and makes up TCP resets.
//!
//! Understands IPv4 without fragments (RFC 791), TCP (RFC 9293) and UDP (RFC 768), which is all
//! that hosts of a lab exchange as long as datagrams fit into a frame. Checksums: RFC 1071, and RFC
//! 1624 for mending one after a change.

use std::net::Ipv4Addr;
use std::ops::Range;

use super::frame::Mac;

const ETHERNET: usize = 14;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The bits of TCP's flags.
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// One end of a connection: an address and a port.
pub(crate) type Endpoint = (Ipv4Addr, u16);

/// Where the parts of a frame are.
struct Layout {
    protocol: u8,
    /// Header and payload of TCP or UDP.
    transport: Range<usize>,
}

fn layout(frame: &[u8]) -> Option<Layout> {
    let ip = frame.get(ETHERNET..)?;
    if frame[12..14] != [0x08, 0x00] || *ip.first()? >> 4 != 4 {
        return None;
    }
    let header = usize::from(ip[0] & 0x0f) * 4;
    let total = usize::from(word(ip, 2)?);
    let is_fragment = word(ip, 6)? & 0x3fff != 0;
    if is_fragment || header < 20 || total < header || ip.len() < total {
        return None;
    }
    Some(Layout { protocol: ip[9], transport: ETHERNET + header..ETHERNET + total })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn double_word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What the switch wants to know of a TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    flags: u8,
    payload: u32,
}

impl Segment {
    /// The segment in a frame, if it holds one.
    pub(crate) fn read(frame: &[u8]) -> Option<Segment> {
        let Layout { protocol: TCP, transport } = layout(frame)? else { return None };
        let addresses = &frame[ETHERNET + 12..];
        let tcp = &frame[transport];
        let header = usize::from(*tcp.get(12)? >> 4) * 4;
        let payload = u32::try_from(tcp.len().checked_sub(header)?).ok()?;
        Some(Segment {
            source: (Ipv4Addr::from(double_word(addresses, 0)?), word(tcp, 0)?),
            destination: (Ipv4Addr::from(double_word(addresses, 4)?), word(tcp, 2)?),
            sequence: double_word(tcp, 4)?,
            acknowledgement: double_word(tcp, 8)?,
            flags: *tcp.get(13)?,
            payload,
        })
    }

    /// Whether it asks for a new connection.
    pub(crate) fn opens(&self) -> bool {
        self.flags & (SYN | ACK) == SYN
    }

    /// Whether its sender will send nothing more.
    pub(crate) fn is_last(&self) -> bool {
        self.flags & FIN != 0
    }

    /// Whether it ends its connection at once.
    pub(crate) fn resets(&self) -> bool {
        self.flags & RST != 0
    }

    /// What its sender expects to receive next, if it says so.
    pub(crate) fn expects(&self) -> Option<u32> {
        (self.flags & ACK != 0).then_some(self.acknowledgement)
    }

    /// The sequence number after it.
    pub(crate) fn end(&self) -> u32 {
        let marks = u32::from(self.flags & SYN != 0) + u32::from(self.is_last());
        self.sequence.wrapping_add(self.payload).wrapping_add(marks)
    }
}

/// How many bytes of data TCP or UDP carries in a frame.
pub(crate) fn payload(frame: &[u8]) -> u32 {
    let of_udp = || {
        let Layout { protocol: UDP, transport } = layout(frame)? else { return None };
        u32::try_from(transport.len().checked_sub(8)?).ok()
    };
    Segment::read(frame).map(|segment| segment.payload).or_else(of_udp).unwrap_or(0)
}

/// Flips a bit of what TCP or UDP carries, chosen by a number drawn evenly from all of `u32`; with
/// `mend`, the checksum fits again. Whether there was a bit to flip.
pub(crate) fn corrupt(frame: &mut [u8], draw: u32, mend: bool) -> bool {
    let Some(Layout { protocol, transport }) = layout(frame) else { return false };
    let start = transport.start;
    let (header, checksum) = match protocol {
        TCP => match frame.get(start + 12) {
            Some(offset) => (usize::from(offset >> 4) * 4, start + 16),
            None => return false,
        },
        UDP => (8, start + 6),
        _ => return false,
    };
    if header < 8 || start + header >= transport.end {
        return false;
    }
    let bits = (transport.end - start - header) * 8;
    let bit = ((bits as u64 * u64::from(draw)) >> 32) as usize;
    let place = start + header + bit / 8;
    // The checksum is a sum of whole words, counted from the start of the header.
    let even = place - (place - start) % 2;
    let word_at = |frame: &[u8]| {
        let low = if even + 1 < transport.end { frame[even + 1] } else { 0 };
        u16::from_be_bytes([frame[even], low])
    };
    let before = word_at(frame);
    frame[place] ^= 0x80 >> (bit % 8);
    if mend {
        let old = u16::from_be_bytes([frame[checksum], frame[checksum + 1]]);
        // UDP may do without: zero says that nothing was summed up, and all ones stand for zero.
        if protocol == TCP || old != 0 {
            let sum = fold(u32::from(!old) + u32::from(!before) + u32::from(word_at(frame)));
            let new = if protocol == UDP && !sum == 0 { 0xffff } else { !sum };
            frame[checksum..checksum + 2].copy_from_slice(&new.to_be_bytes());
        }
    }
    true
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn sum(bytes: &[u8]) -> u32 {
    let pair = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    bytes.chunks(2).map(pair).sum()
}

/// A reset as `from` would send it to `to`: with the sequence number that `to` expects next, and
/// acknowledging what `to` has sent, which one that is still connecting demands (RFC 9293 §3.10.7).
pub(crate) fn reset(
    macs: (Mac, Mac),
    (from, to): (Endpoint, Endpoint),
    sequence: u32,
    acknowledgement: u32,
) -> Box<[u8]> {
    let mut frame = [0_u8; ETHERNET + 40];
    frame[..6].copy_from_slice(&macs.1.0);
    frame[6..12].copy_from_slice(&macs.0.0);
    frame[12] = 0x08;
    let (ip, tcp) = frame[ETHERNET..].split_at_mut(20);
    // Version 4, five words; forty bytes; do not fragment; 64 hops; TCP.
    ip[..10].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, TCP]);
    ip[12..16].copy_from_slice(&from.0.octets());
    ip[16..20].copy_from_slice(&to.0.octets());
    let checksum = !fold(sum(ip));
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    tcp[..2].copy_from_slice(&from.1.to_be_bytes());
    tcp[2..4].copy_from_slice(&to.1.to_be_bytes());
    tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
    tcp[8..12].copy_from_slice(&acknowledgement.to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = RST | ACK;
    // The pseudo header: both addresses, the protocol and the length.
    let checksum = !fold(sum(&ip[12..20]) + u32::from(TCP) + 20 + sum(tcp));
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    Box::new(frame)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn endpoint(number: u8, port: u16) -> Endpoint {
        (Ipv4Addr::new(198, 18, 0, number), port)
    }

    /// A frame between hosts 1 and 2 with the flags of `bits` and a payload, checksums included.
    pub(crate) fn segment(
        (from, to): (Endpoint, Endpoint),
        bits: u8,
        (sequence, acknowledgement): (u32, u32),
        payload: &[u8],
    ) -> Vec<u8> {
        let macs = (Mac::local(from.0.octets()[3]), Mac::local(to.0.octets()[3]));
        let mut frame = reset(macs, (from, to), sequence, acknowledgement).into_vec();
        frame[ETHERNET + 33] = bits;
        frame.extend_from_slice(payload);
        let length = (frame.len() - ETHERNET) as u16;
        frame[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&length.to_be_bytes());
        frame[ETHERNET + 36..ETHERNET + 38].fill(0);
        let checksum = !transport_sum(&frame);
        frame[ETHERNET + 36..ETHERNET + 38].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    /// The sum over pseudo header and transport: all ones if the checksum fits.
    pub(crate) fn transport_sum(frame: &[u8]) -> u16 {
        let Layout { protocol, transport } = layout(frame).expect("TCP or UDP");
        let length = transport.len() as u32;
        let pseudo = sum(&frame[ETHERNET + 12..ETHERNET + 20]) + u32::from(protocol) + length;
        fold(pseudo + sum(&frame[transport]))
    }

    fn both() -> (Endpoint, Endpoint) {
        (endpoint(1, 7000), endpoint(2, 40_000))
    }

    #[test]
    fn a_reset_is_a_segment_with_checksums_that_fit() {
        let (from, to) = both();
        let frame = reset((Mac::local(1), Mac::local(2)), (from, to), 77, 99);
        assert_eq!(fold(sum(&frame[ETHERNET..ETHERNET + 20])), 0xffff);
        assert_eq!(transport_sum(&frame), 0xffff);
        let segment = Segment::read(&frame).expect("a segment");
        assert_eq!((segment.source, segment.destination), (from, to));
        assert!(segment.resets() && !segment.opens());
        assert_eq!((segment.sequence, segment.expects(), segment.end()), (77, Some(99), 77));
    }

    #[test]
    fn a_segment_ends_after_its_payload_and_its_marks() {
        let read = |bits, payload: &[u8]| {
            Segment::read(&segment(both(), bits, (u32::MAX, 5), payload)).expect("a segment")
        };
        let opening = read(SYN, b"");
        assert!(opening.opens());
        assert_eq!((opening.end(), opening.expects()), (0, None));
        let last = read(FIN | ACK, b"abc");
        assert!(last.is_last());
        assert_eq!((last.end(), last.expects()), (3, Some(5)));
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_is_no_segment() {
        let whole = segment(both(), ACK, (1, 2), b"payload");
        for length in 0..whole.len() {
            assert_eq!(Segment::read(&whole[..length]), None, "{length} bytes");
        }
        let changed = |at: usize, byte| {
            let mut frame = whole.clone();
            frame[at] = byte;
            Segment::read(&frame)
        };
        assert_eq!(changed(13, 0x06), None, "ARP");
        assert_eq!(changed(ETHERNET + 6, 0x20), None, "the first of several fragments");
        assert_eq!(changed(ETHERNET + 9, UDP), None);
        assert!(Segment::read(&whole).is_some());
    }

    #[test]
    fn a_corruption_flips_one_bit_of_the_payload() {
        for payload in [&b"x"[..], b"xy", b"an odd number of bytes"] {
            for draw in [0, 1 << 28, 1 << 31, u32::MAX - 99, u32::MAX] {
                for mend in [false, true] {
                    let whole = segment(both(), ACK, (1, 2), payload);
                    let mut damaged = whole.clone();
                    assert!(corrupt(&mut damaged, draw, mend));
                    let flipped: u32 = (ETHERNET + 40..whole.len())
                        .map(|at| (whole[at] ^ damaged[at]).count_ones())
                        .sum();
                    assert_eq!(flipped, 1, "{payload:?} {draw}");
                    assert_eq!(transport_sum(&damaged) == 0xffff, mend, "{payload:?} {draw}");
                    assert_eq!(whole[..ETHERNET + 36], damaged[..ETHERNET + 36]);
                }
            }
        }
    }

    #[test]
    fn a_frame_without_payload_cannot_be_corrupted() {
        let mut bare = segment(both(), ACK, (1, 2), b"");
        let before = bare.clone();
        assert!(!corrupt(&mut bare, 5, true));
        assert!(!corrupt(&mut [0; 60], 5, true));
        assert_eq!(bare, before);
    }
}
