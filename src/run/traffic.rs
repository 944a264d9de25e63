//! What the lab's links carried: `links.jsonl`, messages between nodes in `messages.jsonl`, and captures
//! of their frames where asked for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::lab::{Capture, CaptureLimits, Message, Messages, Series};
use partita_nemesis::{Cluster, Network};
use partita_reports::messages::{FILE, FORMAT};

use super::clock::RunClock;
use super::events::Events;
use super::folder::RunFolder;
use crate::exit::{Failure, FailureContext};

/// The record of one run's frames.
pub struct Traffic {
    cluster: Arc<Cluster>,
    capture: Option<Capture>,
}

impl Traffic {
    /// Begins to record the frames of `cluster`; with `pcap`, whole, into the folder `pcap`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made.
    pub fn begin(cluster: &Arc<Cluster>, folder: &RunFolder, pcap: bool) -> Result<Self, Failure> {
        let path = folder.file("pcap");
        let begin = || cluster.lab().network().capture(&path, CaptureLimits::default());
        let capture = pcap.then(begin).transpose().or_harness(|| "--pcap".to_owned())?;
        Ok(Self { cluster: Arc::clone(cluster), capture })
    }

    /// Writes what was recorded. What a capture misses is told, but is no part of the verdict.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(
        self,
        folder: &RunFolder,
        clock: RunClock,
        events: &Events,
    ) -> Result<(), Failure> {
        if let Some(capture) = self.capture {
            match capture.finish() {
                Ok(captured) if captured.missed == 0 => {
                    events.remark(format!("captured {} frames in pcap/", captured.frames));
                }
                Ok(captured) => events.remark(format!(
                    "captured {} frames in pcap/; {} are missing: the disk was too slow, or a file \
                     was full",
                    captured.frames, captured.missed
                )),
                Err(error) => events.remark(format!("the capture is incomplete: {error}")),
            }
        }
        let network = self.cluster.lab().network();
        if let Network::Proxies(proxies) = network
            && proxies.strangers() > 0
        {
            events.remark(format!(
                "{} connections to relays came from processes that are no nodes, and were reset",
                proxies.strangers()
            ));
        }
        let origin = Duration::from_nanos(clock.at(network.started()).0);
        folder.write("links.jsonl", &lines(&network.series(), origin))?;
        folder.write(FILE, &message_lines(&network.messages(), network.unit(), origin))
    }
}

/// One line for each link and period in which it did anything: `time` in nanoseconds since the run
/// began, and the counters that are not zero.
fn lines(series: &Series, origin: Duration) -> String {
    let mut text = String::new();
    for sample in &series.samples {
        let link = &series.links[sample.link];
        let time = (origin + sample.start).as_nanos();
        let _ = write!(text, r#"{{"time":{time},"from":"{}","to":"{}""#, link.from, link.to);
        for (name, count) in sample.counters.named().filter(|(_, count)| *count > 0) {
            let _ = write!(text, r#","{name}":{count}"#);
        }
        text.push_str("}\n");
    }
    text
}

/// A header, and a line for each link and 100 ms in which messages were sent. Each message is its time
/// since the line's, its data in bytes and how long it was held, in microseconds, under its fate.
fn message_lines(all: &Messages, unit: &str, origin: Duration) -> String {
    let mut text =
        format!("{{\"format\":{FORMAT},\"unit\":\"{unit}\",\"forgotten\":{}}}\n", all.forgotten);
    let period = Series::PERIOD.as_nanos();
    let mut lines: BTreeMap<(u128, usize), Vec<&Message>> = BTreeMap::new();
    for message in &all.messages {
        let began = message.sent.as_nanos() / period * period;
        lines.entry((began, message.link)).or_default().push(message);
    }
    for ((began, link), messages) in lines {
        let link = &all.links[link];
        let time = origin.as_nanos() + began;
        let _ = write!(text, r#"{{"time":{time},"from":"{}","to":"{}""#, link.from, link.to);
        let mut fates: BTreeMap<_, Vec<&Message>> = BTreeMap::new();
        for message in messages {
            fates.entry(message.fate).or_default().push(message);
        }
        for (fate, messages) in fates {
            let of_one = |it: &&Message| {
                let after = (it.sent.as_nanos() - began) / 1_000;
                format!("[{after},{},{}]", it.bytes, it.held.as_micros())
            };
            let list: Vec<String> = messages.iter().map(of_one).collect();
            let _ = write!(text, r#","{}":[{}]"#, fate.name(), list.join(","));
        }
        text.push_str("}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use partita_nemesis::lab::{Counters, Fate, Link, Sample};

    use super::*;

    #[test]
    fn a_line_says_when_which_link_did_what() {
        let counters = Counters { forwarded: 3, blocked: 1, ..Counters::default() };
        let series = Series {
            links: vec![Link::new("n1", "n2"), Link::new("n2", "n1")],
            samples: vec![Sample { start: Duration::from_millis(100), link: 1, counters }],
            forgotten: 0,
        };
        assert_eq!(
            lines(&series, Duration::from_millis(7)),
            "{\"time\":107000000,\"from\":\"n2\",\"to\":\"n1\",\"forwarded\":3,\"blocked\":1}\n"
        );
    }

    #[test]
    fn messages_are_read_back_as_they_were_sent() {
        let ms = Duration::from_millis;
        let message = |sent, link, held, fate| Message { sent, link, bytes: 9, held, fate };
        let all = Messages {
            links: vec![Link::new("n1", "n2"), Link::new("n2", "n1")],
            messages: vec![
                message(ms(101), 1, ms(0), Fate::Delivered),
                message(ms(102), 1, ms(3), Fate::Blocked),
                message(ms(205), 0, ms(40), Fate::Delivered),
            ],
            forgotten: 4,
        };
        let text = message_lines(&all, "frames", ms(7));
        assert_eq!(
            text,
            "{\"format\":1,\"unit\":\"frames\",\"forgotten\":4}\n\
             {\"time\":107000000,\"from\":\"n2\",\"to\":\"n1\",\"delivered\":[[1000,9,0]],\"blocked\":[[2000,9,3000]]}\n\
             {\"time\":207000000,\"from\":\"n1\",\"to\":\"n2\",\"delivered\":[[5000,9,40000]]}\n"
        );
        let read = partita_reports::messages::messages(&text);
        let sent: Vec<u64> = read.all.iter().map(|it| it.at_ns.0 / 1_000_000).collect();
        assert_eq!((sent, read.forgotten), (vec![108, 109, 212], 4));
        for fate in Fate::ALL {
            let one = Messages { messages: vec![message(ms(1), 0, ms(2), fate)], ..all.clone() };
            let read = partita_reports::messages::messages(&message_lines(&one, "chunks", ms(0)));
            assert_eq!(read.all.len(), 1, "{fate:?}");
            assert_eq!(read.all[0].arrived(), fate == Fate::Delivered);
        }
    }
}
