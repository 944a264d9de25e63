//! Reads as much of an Ethernet frame as a switch needs: where it goes and what it carries.

use std::fmt;

/// The hardware address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl Mac {
    /// The broadcast address.
    pub(crate) const BROADCAST: Mac = Mac([0xff; 6]);

    /// A locally administered address (IEEE 802-2014 §8.4) of this number.
    pub(crate) fn local(number: u8) -> Mac {
        Mac([0x02, 0, 198, 18, 0, number])
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];

/// Where a frame goes, if it is one that hosts of the lab exchange: IPv4 or ARP.
pub(crate) fn destination(frame: &[u8]) -> Option<Mac> {
    let header = frame.first_chunk::<14>()?;
    let [a, b, c, d, e, f, .., kind_high, kind_low] = *header;
    let kind = [kind_high, kind_low];
    (kind == IPV4 || kind == ARP).then_some(Mac([a, b, c, d, e, f]))
}
