//! What the lab's links carried: `links.jsonl`, and captures of their frames where asked for.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::lab::{Capture, CaptureLimits, Series};
use partita_nemesis::{Cluster, Network};

use super::clock::RunClock;
use super::events::Events;
use super::folder::RunFolder;
use crate::exit::{Failure, OrFail};

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
        folder.write("links.jsonl", &lines(&network.series(), origin))
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

#[cfg(test)]
mod tests {
    use partita_nemesis::lab::{Counters, Link, Sample};

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
}
