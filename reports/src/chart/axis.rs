//! Maps times and amounts to places, and finds round numbers to label.

use partita_checker::Nanoseconds;

use crate::text::number::trimmed;
use crate::text::unit::TimeUnit;

/// A labelled place on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// Where.
    pub(crate) at: f64,
    /// What stands there.
    pub(crate) label: String,
}

/// Time to the right, linear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeAxis {
    /// The time at the left edge.
    pub(crate) begin: Nanoseconds,
    /// The time at the right edge, later than the begin.
    pub(crate) end: Nanoseconds,
    /// The left edge.
    pub(crate) left: f64,
    /// The right edge.
    pub(crate) right: f64,
    /// What its times count.
    pub(crate) unit: TimeUnit,
}

impl TimeAxis {
    /// The place of `time`; the nearer edge for times outside.
    pub(crate) fn x(&self, time: Nanoseconds) -> f64 {
        let whole = self.end.since(self.begin).0.max(1) as f64;
        let part = time.min(self.end).since(self.begin).0 as f64;
        self.left + part / whole * (self.right - self.left)
    }

    /// Round times, about `wanted` of them.
    pub(crate) fn ticks(&self, wanted: u64) -> Vec<Tick> {
        let step = round_step(self.end.since(self.begin).0, wanted);
        let mut ticks = Vec::new();
        let mut time = self.begin.0.div_ceil(step).saturating_mul(step);
        while time <= self.end.0 {
            let label = match self.unit {
                TimeUnit::Clock => time_label(Nanoseconds(time), step),
                TimeUnit::Events => self.unit.instant(Nanoseconds(time)),
            };
            ticks.push(Tick { at: self.x(Nanoseconds(time)), label });
            let Some(next) = time.checked_add(step) else { break };
            time = next;
        }
        ticks
    }
}

/// The least round step (1, 2 or 5 times a power of ten) that divides `length` into at most
/// `wanted` parts.
pub(crate) fn round_step(length: u64, wanted: u64) -> u64 {
    let mut magnitude = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = magnitude.saturating_mul(factor);
            if length / step <= wanted || step == u64::MAX {
                return step;
            }
        }
        magnitude = magnitude.saturating_mul(10);
    }
}

/// A time in seconds, or in milliseconds near the run's begin, with the digits that `step` calls
/// for.
fn time_label(time: Nanoseconds, step: u64) -> String {
    if time.0 == 0 {
        return "0 s".to_owned();
    }
    if time.0 < 1_000_000_000 && !step.is_multiple_of(100_000_000) {
        return format!("{} ms", trimmed(format!("{:.6}", time.as_milliseconds())));
    }
    let decimals = match step {
        1_000_000_000.. => 0,
        _ => 9 - step.ilog10() as usize,
    };
    format!("{:.decimals$} s", time.as_seconds())
}

/// Amounts upwards from 0, linear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AmountAxis {
    /// The amount at the upper edge.
    pub(crate) greatest: f64,
    /// The upper edge.
    pub(crate) top: f64,
    /// The lower edge, where the amount is 0.
    pub(crate) bottom: f64,
}

impl AmountAxis {
    /// An axis that holds `greatest`, rounded up.
    pub(crate) fn holding(greatest: f64, top: f64, bottom: f64) -> Self {
        let whole = greatest.ceil().clamp(1.0, 1e15) as u64;
        let step = round_step(whole, 4);
        Self { greatest: whole.div_ceil(step) as f64 * step as f64, top, bottom }
    }

    /// The place of `amount`.
    pub(crate) fn y(&self, amount: f64) -> f64 {
        self.bottom - amount / self.greatest * (self.bottom - self.top)
    }

    /// Round amounts above 0.
    pub(crate) fn ticks(&self) -> Vec<Tick> {
        let step = round_step(self.greatest as u64, 4);
        (1..=self.greatest as u64 / step)
            .map(|number| {
                let amount = number * step;
                Tick { at: self.y(amount as f64), label: crate::text::number::count(amount) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(begin: u64, end: u64, unit: TimeUnit) -> Vec<String> {
        let [begin, end] = [begin, end].map(Nanoseconds);
        let axis = TimeAxis { begin, end, left: 0.0, right: 100.0, unit };
        axis.ticks(5).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_times_in_seconds() {
        assert_eq!(
            labels(0, 20_000_000_000, TimeUnit::Clock),
            ["0 s", "5 s", "10 s", "15 s", "20 s"]
        );
        assert_eq!(
            labels(12_300_000_000, 12_303_000_000, TimeUnit::Clock).last().unwrap(),
            "12.303 s"
        );
    }

    #[test]
    fn a_short_run_is_labelled_in_milliseconds() {
        assert_eq!(labels(0, 3_000_000, TimeUnit::Clock), ["0 s", "1 ms", "2 ms", "3 ms"]);
    }

    #[test]
    fn events_are_labelled_by_their_numbers() {
        assert_eq!(labels(2, 5, TimeUnit::Events), [2, 3, 4, 5].map(|at| format!("event {at}")));
        assert_eq!(labels(0, 20_000_000_000, TimeUnit::Events)[1], "event 5000000000");
    }

    #[test]
    fn times_outside_stay_at_the_edges() {
        let [begin, end] = [10, 20].map(Nanoseconds);
        let axis = TimeAxis { begin, end, left: 5.0, right: 105.0, unit: TimeUnit::Clock };
        assert_eq!([0, 10, 15, 99].map(|at| axis.x(Nanoseconds(at))), [5.0, 5.0, 55.0, 105.0]);
    }

    #[test]
    fn an_amount_axis_ends_at_a_round_number_that_holds_everything() {
        let axis = AmountAxis::holding(1_730.0, 0.0, 100.0);
        assert_eq!(axis.greatest, 2_000.0);
        assert_eq!(axis.ticks().last().unwrap().label, "2,000");
        assert_eq!(AmountAxis::holding(0.0, 0.0, 1.0).greatest, 1.0);
    }
}
