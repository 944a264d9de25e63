//! What nodes used and told while a run went on: the lines of `nodes.jsonl`.

use partita_checker::Nanoseconds;
use serde::{Deserialize, Serialize};

/// The form of the lines that this version writes, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The form of the lines after it.
    pub format: u64,
}

/// What was seen of one node at one time. What is not known is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSample {
    /// When.
    #[serde(rename = "time")]
    pub at_ns: Nanoseconds,
    /// Of which node.
    pub node: String,
    /// The CPU time that its processes used since the sample before that had it, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ns: Option<u64>,
    /// The resident memory of its processes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The highest index of its log that it said it had applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
    /// The highest index of its log that it said was committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<u64>,
    /// How far its realtime clock was from the run's, in nanoseconds; positive if it was ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_ns: Option<i64>,
    /// The same of its monotonic clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monotonic_ns: Option<i64>,
    /// How many times its processes had asked the disk to sync since the run began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syncs: Option<u64>,
    /// How much longer the lab let them take since then, all together, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_delay_ns: Option<u64>,
}

/// The samples in the text of a `nodes.jsonl`, by time. Empty if its form is newer than this version
/// knows. A line that cannot be read is passed over: what is told of nodes explains a verdict and
/// decides none.
pub fn samples(text: &str) -> Vec<NodeSample> {
    let mut lines = text.lines();
    let header = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok());
    if header.is_none_or(|header| header.format > FORMAT) {
        return Vec::new();
    }
    let read = |line| serde_json::from_str(line).ok();
    let mut samples: Vec<NodeSample> = lines.filter_map(read).collect();
    samples.retain(|sample| !sample.node.is_empty());
    samples.sort_by_key(|sample| sample.at_ns);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_read_back_as_they_are_written_and_broken_lines_are_passed_over() {
        let sample = NodeSample {
            at_ns: Nanoseconds(7),
            node: "n2".to_owned(),
            memory: Some(4_096),
            realtime_ns: Some(-5),
            ..NodeSample::default()
        };
        let line = serde_json::to_string(&sample).expect("a line");
        assert_eq!(line, r#"{"time":7,"node":"n2","memory":4096,"realtime_ns":-5}"#);
        let text =
            format!("{{\"format\":1}}\n{line}\n{{\"time\":3,\"node\":\"n1\",\"new\":1}}\n{{\"ti");
        let [first, second] = samples(&text).try_into().expect("two samples");
        assert_eq!((first.at_ns.0, &*first.node), (3, "n1"));
        assert_eq!(second, sample);
    }

    #[test]
    fn a_newer_form_or_none_is_not_read() {
        let line = r#"{"time":3,"node":"n1"}"#;
        assert_eq!(samples(&format!("{{\"format\":2}}\n{line}\n")), []);
        assert_eq!(samples(&format!("{line}\n{line}\n")), []);
        assert_eq!(samples(""), []);
    }
}
