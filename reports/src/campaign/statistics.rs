//! What can be said from how many runs: intervals of rates, rates that valid runs exclude, and how much
//! the next run would show that none has shown.

use std::collections::BTreeMap;
use std::fmt;

/// The two-sided 95 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How sure a bound is.
const CONFIDENCE: f64 = 0.95;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Ratio {
    /// How often it happened.
    pub k: u64,
    /// How often it could have.
    pub n: u64,
}

impl Ratio {
    /// How often the outcomes that say anything were `true`.
    pub fn of(outcomes: impl IntoIterator<Item = Option<bool>>) -> Self {
        let mut ratio = Self::default();
        for happened in outcomes.into_iter().flatten() {
            ratio.n += 1;
            ratio.k += u64::from(happened);
        }
        ratio
    }

    /// The 95 % interval of the rate behind it, each from 0 to 1 (Wilson 1927, *Probable Inference, the Law
    /// of Succession, and Statistical Inference*). Everything if nothing was tried.
    pub fn interval(self) -> (f64, f64) {
        if self.n == 0 {
            return (0.0, 1.0);
        }
        let (k, n) = (self.k as f64, self.n as f64);
        let rate = k / n;
        let scale = 1.0 + Z * Z / n;
        let centre = rate + Z * Z / (2.0 * n);
        let spread = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
        let low = if self.k == 0 { 0.0 } else { (centre - spread) / scale };
        let high = if self.k == self.n { 1.0 } else { (centre + spread) / scale };
        (low.max(0.0), high.min(1.0))
    }

    /// How many trials in a row without it show, at 95 %, that it happens no more: for the low end of the
    /// interval, so that a rare thing is not given up too soon. Nothing if it never happened.
    pub fn clean_trials_to_close(self) -> Option<u64> {
        let (low, _) = self.interval();
        match low {
            low if low <= 0.0 => None,
            low if low >= 1.0 => Some(1),
            low => Some(((1.0 - CONFIDENCE).ln() / (1.0 - low).ln()).ceil().max(1.0) as u64),
        }
    }
}

/// The least, the median and the greatest of the middle half of some times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quartiles {
    /// A quarter is as short or shorter.
    pub lower: u64,
    /// Half of them are.
    pub median: u64,
    /// Three quarters are.
    pub upper: u64,
}

impl Quartiles {
    /// Of these times; none if there are none. Each is one of them: of an even number the lower.
    pub fn of(times: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut times: Vec<u64> = times.into_iter().collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        Some(Self { lower: times[last / 4], median: times[last / 2], upper: times[last * 3 / 4] })
    }
}

impl fmt::Display for Ratio {
    /// `8 of 10 (49 % to 94 %)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval();
        write!(f, "{} of {} ({:.0} % to {:.0} %)", self.k, self.n, low * 100.0, high * 100.0)
    }
}

/// The rate, of 1, above which so many valid runs exclude a bug at 95 %: exactly `1 - 0.05^(1/n)`, about
/// 3/n. Nothing is excluded by no run.
pub fn excluded_rate(valid_runs: u64) -> f64 {
    if valid_runs == 0 {
        return 1.0;
    }
    // As ln_1p and exp_m1, which keep the digits of what is close to 1.
    -((1.0 - CONFIDENCE).ln() / valid_runs as f64).exp_m1()
}

/// How likely the next run shows what none before it has shown: Good and Turing's estimate, the number of
/// what was seen in just one run by the number of runs, but never less than 3/n, which is all that n runs
/// can exclude. `runs` has what each run showed, without duplicates in a run.
pub fn unseen_rate<'a>(runs: impl IntoIterator<Item = &'a [String]>) -> f64 {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut count = 0_u64;
    for shown in runs {
        count += 1;
        for what in shown {
            *seen.entry(what).or_default() += 1;
        }
    }
    if count == 0 {
        return 1.0;
    }
    let once = seen.values().filter(|times| **times == 1).count() as f64;
    (once.max(3.0) / count as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() < 5e-4, "{actual} is not {expected}");
    }

    #[test]
    fn the_interval_is_that_of_wilson() {
        // Computed with another program from the published formula.
        for (k, n, low, high) in
            [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (1, 30, 0.0059, 0.1667)]
        {
            let (from, to) = Ratio { k, n }.interval();
            near(from, low);
            near(to, high);
        }
        near(Ratio { k: 10, n: 10 }.interval().0, 0.7225);
        assert_eq!(Ratio { k: 10, n: 10 }.interval().1, 1.0);
        assert_eq!(Ratio::default().interval(), (0.0, 1.0));
        assert_eq!(Ratio { k: 8, n: 10 }.to_string(), "8 of 10 (49 % to 94 %)");
    }

    #[test]
    fn trials_that_say_nothing_do_not_count() {
        let outcomes = [Some(true), None, Some(false), Some(true), None];
        assert_eq!(Ratio::of(outcomes), Ratio { k: 2, n: 3 });
    }

    #[test]
    fn a_rarer_thing_takes_longer_to_be_given_up() {
        assert_eq!(Ratio { k: 10, n: 10 }.clean_trials_to_close(), Some(3));
        let often = Ratio { k: 8, n: 10 }.clean_trials_to_close().expect("seen");
        let seldom = Ratio { k: 1, n: 10 }.clean_trials_to_close().expect("seen");
        assert!(often < 10 && seldom > 100, "{often} {seldom}");
        // That many clean trials leave at most 5 % of such a rate.
        let (low, _) = Ratio { k: 1, n: 10 }.interval();
        assert!((1.0 - low).powf(seldom as f64) <= 0.05);
        assert!((1.0 - low).powf(seldom as f64 - 1.0) > 0.05);
        assert_eq!(Ratio { k: 0, n: 10 }.clean_trials_to_close(), None);
    }

    #[test]
    fn valid_runs_exclude_about_three_by_their_number() {
        assert_eq!(excluded_rate(0), 1.0);
        near(excluded_rate(1), 0.95);
        near(excluded_rate(100), 0.02951);
        let many = excluded_rate(1_000_000) * 1e6;
        assert!((2.99..3.0).contains(&many), "{many}");
    }

    #[test]
    fn what_was_seen_once_says_how_much_is_unseen() {
        let run = |shown: &[&str]| shown.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let rate = |runs: &[Vec<String>]| unseen_rate(runs.iter().map(Vec::as_slice));
        assert_eq!(rate(&[]), 1.0);
        let mut runs: Vec<_> = (0..100).map(|_| run(&["kill leader"])).collect();
        near(rate(&runs), 0.03);
        for number in 0..10 {
            runs.push(run(&["kill leader", &format!("new {number}")]));
        }
        near(rate(&runs), 10.0 / 110.0);
        // Twice is not once.
        runs.push(run(&["new 0"]));
        near(rate(&runs), 9.0 / 111.0);
        assert_eq!(rate(&[run(&["a"])]), 1.0, "never more than certain");
    }
}
