//! What links carried, dropped and held back: the lines of `links.jsonl`.

use partita_checker::Nanoseconds;
use serde::Deserialize;

/// How long each line tells of.
const PERIOD: Nanoseconds = Nanoseconds(100_000_000);

/// What one link did in 100 ms.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LinkPeriod {
    /// When the period began.
    #[serde(rename = "time")]
    pub at_ns: Nanoseconds,
    /// Who sent.
    pub from: String,
    /// Who was to receive.
    pub to: String,
    /// Frames, or chunks of relays, that were delivered.
    pub forwarded: u64,
    /// Bytes in them.
    pub forwarded_bytes: u64,
    /// Dropped or withheld, because the link was blocked.
    pub blocked: u64,
    /// Held back for a while.
    pub delayed: u64,
    /// Dropped because too many were held back already.
    pub overflowed: u64,
    /// Not taken by the kernel.
    pub lost: u64,
    /// Dropped by the link's policy.
    pub dropped: u64,
}

impl LinkPeriod {
    /// How many did not arrive, whatever kept them.
    pub fn kept_off(&self) -> u64 {
        self.blocked + self.overflowed + self.lost + self.dropped
    }

    /// When the period ended.
    pub fn ended_ns(&self) -> Nanoseconds {
        Nanoseconds(self.at_ns.0.saturating_add(PERIOD.0))
    }
}

/// The periods in the text of a `links.jsonl`. A line that cannot be read is passed over: what is told
/// of links explains a verdict and decides none.
pub fn periods(text: &str) -> Vec<LinkPeriod> {
    let mut periods: Vec<LinkPeriod> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    periods.sort_by_key(|period| period.at_ns);
    periods
}

/// Since when nothing of `from` had reached `to` at the time `at`, and how much of what was sent was kept
/// off; `None` if something had, or nothing was sent.
pub(crate) fn unheard_since(
    periods: &[LinkPeriod],
    (from, to): (&str, &str),
    at: Nanoseconds,
) -> Option<(Nanoseconds, u64)> {
    let mut known: Option<(Nanoseconds, u64)> = None;
    let own = periods.iter().rev().filter(|it| it.from == from && it.to == to && it.at_ns <= at);
    for period in own {
        if period.forwarded > 0 {
            break;
        }
        if period.kept_off() > 0 {
            let before = known.map_or(0, |(_, frames)| frames);
            known = Some((period.at_ns, before + period.kept_off()));
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_that_are_not_there_are_zero_and_broken_lines_are_passed_over() {
        let text = "{\"time\":207,\"from\":\"n2\",\"to\":\"n1\",\"forwarded\":3,\"later\":1}\n\
                    {\"time\":107,\"from\":\"n2\",\"to\":\"n1\",\"blocked\":1,\"lost\":2}\n{\"time";
        let [first, second] = periods(text).try_into().expect("two lines");
        assert_eq!((first.at_ns.0, first.kept_off(), first.forwarded), (107, 3, 0));
        assert_eq!((second.at_ns.0, second.kept_off(), second.forwarded), (207, 0, 3));
    }

    #[test]
    fn a_link_is_silent_since_the_first_frame_that_was_kept_off_after_the_last_that_arrived() {
        let period = |at: u64, forwarded, blocked| LinkPeriod {
            at_ns: Nanoseconds(at),
            from: "n1".into(),
            to: "n3".into(),
            forwarded,
            blocked,
            ..LinkPeriod::default()
        };
        let since = |periods: &[LinkPeriod]| {
            let since = unheard_since(periods, ("n1", "n3"), Nanoseconds(500));
            since.map(|(at, frames)| (at.0, frames))
        };
        let cut = [period(100, 5, 0), period(200, 0, 2), period(300, 0, 3), period(600, 9, 0)];
        assert_eq!(since(&cut), Some((200, 5)));
        let passed = [period(100, 0, 5), period(400, 1, 0)];
        assert_eq!(since(&passed), None, "it was healed before");
        assert_eq!(since(&[period(400, 1, 7)]), None, "some arrived");
        assert_eq!(since(&[period(600, 0, 7)]), None, "that is later");
        assert_eq!(since(&[]), None);
        let other = LinkPeriod { to: "n2".into(), ..period(300, 0, 7) };
        assert_eq!(since(&[other]), None, "another link");
    }
}
