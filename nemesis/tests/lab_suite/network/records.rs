//! What the switch tells of the links: counters in time, and captures of their frames.

use std::path::Path;

use partita_nemesis::Policy;
use partita_nemesis::lab::{CaptureError, CaptureLimits, Captured, Series};

use super::{host, lab, received, send, udp};

pub(super) fn series() {
    let lab = lab();
    let (one, two) = (udp(host(&lab, "n1")), udp(host(&lab, "n2")));
    for round in 0..3 {
        for byte in 0..10 {
            send(&one, host(&lab, "n2"), byte);
            assert_eq!(received(&two), Some(byte));
        }
        assert_eq!(received(&two), None, "longer than a period, round {round}");
    }
    let Series { links, samples, forgotten } = lab.network().series();
    assert_eq!(forgotten, 0);
    let of_link = samples.iter().filter(|sample| {
        let link = &links[sample.link];
        (&*link.from, &*link.to) == ("n1", "n2")
    });
    let of_link: Vec<_> = of_link.collect();
    assert!(of_link.len() >= 3, "{of_link:?}");
    assert!(of_link.is_sorted_by(|a, b| a.start < b.start), "a period has one sample");
    let whole = of_link.iter().all(|sample| {
        sample.start.as_nanos() % Series::PERIOD.as_nanos() == 0
            && sample.start <= lab.network().started().elapsed()
    });
    assert!(whole, "{of_link:?}");
    let total: u64 = of_link.iter().map(|sample| sample.counters.forwarded).sum();
    assert_eq!(total, lab.network().counters("n1", "n2").expect("a link").forwarded);
}

/// Reads a file in the format of libpcap: the frames, and how long each was.
fn read_pcap(path: &Path) -> Vec<(u64, usize, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("a capture");
    let (header, mut rest) = bytes.split_at(24);
    let word = |bytes: &[u8], at: usize| {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
    };
    assert_eq!((word(header, 0), word(header, 20)), (0xa1b2_3c4d, 1), "nanoseconds, Ethernet");
    let version = [2_u16.to_ne_bytes(), 4_u16.to_ne_bytes()].concat();
    assert_eq!(header[4..8], version);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let at_ns = u64::from(word(rest, 0)) * 1_000_000_000 + u64::from(word(rest, 4));
        let (kept, length) = (word(rest, 8) as usize, word(rest, 12) as usize);
        frames.push((at_ns, length, rest[16..16 + kept].to_vec()));
        rest = &rest[16 + kept..];
    }
    frames
}

pub(super) fn capture() {
    let lab = lab();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("pcap");
    let (one, two) = (udp(host(&lab, "n1")), udp(host(&lab, "n2")));
    let n2 = host(&lab, "n2");
    send(&one, n2, 1);
    assert_eq!(received(&two), Some(1), "before the capture");
    let capture = lab.network().capture(&folder, CaptureLimits::default()).expect("captures");
    let second = lab.network().capture(&folder, CaptureLimits::default());
    assert!(matches!(second, Err(CaptureError::Busy)));
    for byte in 2..5 {
        send(&one, n2, byte);
        assert_eq!(received(&two), Some(byte));
    }
    lab.network().set("n1", "n2", Policy { block: true, ..Policy::OPEN }).expect("a link");
    send(&one, n2, 5);
    assert_eq!(received(&two), None);
    assert_eq!(capture.finish().expect("written"), Captured { frames: 3, missed: 0 });
    lab.network().set("n1", "n2", Policy::OPEN).expect("a link");
    send(&one, n2, 6);
    assert_eq!(received(&two), Some(6), "after the capture");

    let frames = read_pcap(&folder.join("n1-to-n2.pcap"));
    assert!(frames.is_sorted_by(|a, b| a.0 <= b.0), "in order of time");
    let payloads: Vec<u8> = frames.iter().map(|(_, _, frame)| frame[42]).collect();
    assert_eq!(payloads, [2, 3, 4], "what was delivered while it ran");
    assert!(frames.iter().all(|(_, length, frame)| *length == 43 && frame.len() == 43));
    let files = std::fs::read_dir(&folder).expect("a folder").count();
    assert_eq!(files, 1, "links that carry nothing have no file");
}

pub(super) fn limited_capture() {
    let lab = lab();
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (udp(host(&lab, "n1")), udp(host(&lab, "n2")));
    // The file's header, and two frames of twenty bytes with theirs.
    let limits = CaptureLimits { frame_bytes: 20, file_bytes: 24 + 2 * 36 };
    let capture = lab.network().capture(folder.path(), limits).expect("captures");
    for byte in 0..5 {
        send(&one, host(&lab, "n2"), byte);
        assert_eq!(received(&two), Some(byte));
    }
    assert_eq!(capture.finish().expect("written"), Captured { frames: 2, missed: 3 });
    let frames = read_pcap(&folder.path().join("n1-to-n2.pcap"));
    assert!(frames.iter().all(|(_, length, frame)| *length == 43 && frame.len() == 20));
    assert_eq!(frames.len(), 2);
}
