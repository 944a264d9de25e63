//! What the times of a history count: nanoseconds of a clock, or events.

use partita_checker::{History, Nanoseconds};

use super::number::{duration, instant};

/// What times count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// Nanoseconds since the run began.
    Clock,
    /// The events before this one: the history carries no times, and how long anything took is
    /// unknown.
    Events,
}

impl TimeUnit {
    /// What the times of a recorded history count.
    pub(crate) fn of(history: &History) -> Self {
        if history.has_clock() { Self::Clock } else { Self::Events }
    }

    /// A point in time: `12.345678 s` or `event 12`.
    pub(crate) fn instant(self, time: Nanoseconds) -> String {
        match self {
            Self::Clock => instant(time),
            Self::Events => format!("event {}", time.0),
        }
    }

    /// A length of time: `2.31 s` or `12 events`.
    pub(crate) fn duration(self, length: Nanoseconds) -> String {
        match (self, length.0) {
            (Self::Clock, _) => duration(length),
            (Self::Events, 1) => "1 event".to_owned(),
            (Self::Events, count) => format!("{count} events"),
        }
    }

    /// A millisecond, or one event.
    pub(crate) const fn short(self) -> Nanoseconds {
        match self {
            Self::Clock => Nanoseconds(1_000_000),
            Self::Events => Nanoseconds(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_clock_events_are_counted() {
        let [one, many] = [1, 12_000_000].map(Nanoseconds);
        assert_eq!(TimeUnit::Events.instant(many), "event 12000000");
        assert_eq!(TimeUnit::Events.duration(one), "1 event");
        assert_eq!(TimeUnit::Events.duration(many), "12000000 events");
        assert_eq!(TimeUnit::Clock.instant(many), "0.012000 s");
        assert_eq!(TimeUnit::Clock.duration(many), "12 ms");
    }
}
