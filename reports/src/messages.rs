//! Messages between nodes, as the lab saw them: the lines of `messages.jsonl`.

use std::collections::BTreeMap;

use partita_checker::Nanoseconds;
use serde::Deserialize;

/// The file's name in a run's folder.
pub const FILE: &str = "messages.jsonl";
/// The form of the lines that this version writes, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// What is known of a run's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageLog {
    /// The directed links that carried any: who sent, and to whom.
    pub links: Vec<(String, String)>,
    /// In order of when they were sent.
    pub all: Vec<Message>,
    /// How many were sent before these, and are not on record.
    pub forgotten: u64,
}

/// A frame with data, or a chunk that a relay read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// When it was sent.
    pub at_ns: Nanoseconds,
    /// Its link's place in [`MessageLog::links`].
    pub link: usize,
    /// How much data it had, in bytes.
    pub bytes: u64,
    /// How long it was held back.
    pub held_ns: Nanoseconds,
    /// What kept it off; `None` if it arrived.
    pub kept_off: Option<KeptOff>,
}

/// Why a message did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptOff {
    /// The link was blocked.
    Blocked,
    /// The link's policy lost it.
    Dropped,
    /// Too many were held back already.
    Overflowed,
    /// The kernel did not take it, or its connection ended.
    Lost,
}

impl KeptOff {
    /// In words, after a number.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Dropped => "dropped by loss",
            Self::Overflowed => "dropped, since too many were held",
            Self::Lost => "lost with their connection or by the kernel",
        }
    }
}

impl Message {
    /// Whether it reached the receiver.
    pub fn arrived(&self) -> bool {
        self.kept_off.is_none()
    }

    /// When it left its link, or was given up.
    pub fn left_ns(&self) -> Nanoseconds {
        Nanoseconds(self.at_ns.0.saturating_add(self.held_ns.0))
    }
}

#[derive(Deserialize)]
struct Header {
    format: u64,
    #[serde(default)]
    forgotten: u64,
}

#[derive(Deserialize)]
struct Line {
    time: Nanoseconds,
    from: String,
    to: String,
    #[serde(default)]
    delivered: Vec<[u64; 3]>,
    #[serde(default)]
    blocked: Vec<[u64; 3]>,
    #[serde(default)]
    dropped: Vec<[u64; 3]>,
    #[serde(default)]
    overflowed: Vec<[u64; 3]>,
    #[serde(default)]
    lost: Vec<[u64; 3]>,
}

impl Line {
    fn messages(&self, link: usize) -> impl Iterator<Item = Message> + '_ {
        let fates = [
            (None, &self.delivered),
            (Some(KeptOff::Blocked), &self.blocked),
            (Some(KeptOff::Dropped), &self.dropped),
            (Some(KeptOff::Overflowed), &self.overflowed),
            (Some(KeptOff::Lost), &self.lost),
        ];
        fates.into_iter().flat_map(move |(kept_off, list)| {
            list.iter().map(move |[after, bytes, held]| Message {
                at_ns: Nanoseconds(self.time.0.saturating_add(after.saturating_mul(1_000))),
                link,
                bytes: *bytes,
                held_ns: Nanoseconds(held.saturating_mul(1_000)),
                kept_off,
            })
        })
    }
}

/// The messages in the text of a `messages.jsonl`. None if its form is newer than this version knows. A
/// line that cannot be read is passed over: what is told of messages explains a verdict and decides none.
pub fn messages(text: &str) -> MessageLog {
    let mut lines = text.lines();
    let header = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok());
    let Some(header) = header.filter(|header| header.format <= FORMAT) else {
        return MessageLog::default();
    };
    let mut log = MessageLog { forgotten: header.forgotten, ..MessageLog::default() };
    let mut places = BTreeMap::new();
    for line in lines.filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        let link = *places.entry((line.from.clone(), line.to.clone())).or_insert_with(|| {
            log.links.push((line.from.clone(), line.to.clone()));
            log.links.len() - 1
        });
        log.all.extend(line.messages(link));
    }
    log.all.sort_by_key(|message| message.at_ns);
    log
}

/// Since when nothing with data that one node sent had reached another at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    /// When the first message that did not arrive was sent.
    pub(crate) since: Nanoseconds,
    /// How many were kept off since then.
    pub(crate) kept_off: u64,
    /// How many were still held back at that time.
    pub(crate) held: u64,
}

impl MessageLog {
    /// Those of one link, in order of when they were sent.
    fn of(&self, (from, to): (&str, &str)) -> impl DoubleEndedIterator<Item = &Message> {
        let link = self.links.iter().position(|(one, other)| one == from && other == to);
        self.all.iter().filter(move |message| Some(message.link) == link)
    }

    /// The silence of a link at a time; `None` if what was sent last had arrived, or nothing was sent.
    pub(crate) fn silence(&self, link: (&str, &str), at: Nanoseconds) -> Option<Silence> {
        let mut known: Option<Silence> = None;
        // One that was held may have arrived after others that were sent later.
        let arrived = self.of(link).filter(|it| it.arrived() && it.left_ns() <= at);
        let last = arrived.map(Message::left_ns).max();
        let after =
            self.of(link).filter(|it| it.at_ns <= at && last.is_none_or(|last| it.at_ns > last));
        for message in after {
            let known = known.get_or_insert(Silence { since: message.at_ns, kept_off: 0, held: 0 });
            let is_held = message.left_ns() > at;
            known.held += u64::from(is_held);
            known.kept_off += u64::from(!is_held);
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &str) -> MessageLog {
        messages(&format!("{{\"format\":1,\"unit\":\"frames\",\"forgotten\":0}}\n{lines}"))
    }

    #[test]
    fn broken_lines_are_passed_over_and_newer_forms_are_not_read() {
        let line = r#"{"time":5000,"from":"n1","to":"n2","delivered":[[2,9,0]],"new":[[1]]}"#;
        let read = log(&format!("{line}\n{{\"time\":3,\"from\":\"n1\"}}\n{{\"ti"));
        assert_eq!(read.links, [("n1".to_owned(), "n2".to_owned())]);
        assert_eq!(read.all.iter().map(|it| it.at_ns.0).collect::<Vec<_>>(), [7_000]);
        assert_eq!(messages(&format!("{{\"format\":2}}\n{line}\n")), MessageLog::default());
        assert_eq!(messages(""), MessageLog::default());
    }

    #[test]
    fn a_link_is_silent_since_the_first_message_after_the_last_that_arrived() {
        let silence = |lines: &str, at: u64| {
            let silence = log(lines).silence(("n1", "n3"), Nanoseconds(at * 1_000));
            silence.map(|it| (it.since.0 / 1_000, it.kept_off, it.held))
        };
        let cut = r#"{"time":0,"from":"n1","to":"n3","delivered":[[100,9,0]],"blocked":[[200,9,0],[300,9,0]]}"#;
        assert_eq!(silence(cut, 500), Some((200, 2, 0)));
        assert_eq!(silence(cut, 250), Some((200, 1, 0)), "the other comes later");
        assert_eq!(silence(cut, 150), None, "it had arrived");
        assert_eq!(silence(cut, 50), None, "nothing had been sent");
        let held = r#"{"time":0,"from":"n1","to":"n3","delivered":[[200,9,700]]}"#;
        assert_eq!(silence(held, 500), Some((200, 0, 1)));
        assert_eq!(silence(held, 950), None, "it has been let go");
        let healed =
            r#"{"time":0,"from":"n1","to":"n3","blocked":[[200,9,0]],"delivered":[[400,9,0]]}"#;
        assert_eq!(silence(healed, 500), None);
        assert_eq!(silence(&cut.replace("n3", "n2"), 500), None, "another link");
    }
}
