//! Draws what nodes used and told over the run: a lane for each node, its numbers as steps.

mod series;

use super::pen::{Anchor, Path};
use super::plot::{FOOT, HEAD, LEFT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::samples::NodeSample;
use crate::series::Buckets;
use crate::text::visible::brief;
use series::Series;

const LANE: f64 = 34.0;
/// How much of a lane its highest number takes.
const FULL: f64 = 28.0;
const NAME_CHARACTERS: usize = 11;
/// Lanes, at most: the first nodes.
const MOST_LANES: usize = 16;
/// How many stretches a chart divides the run into, at most.
const MOST_STRETCHES: u64 = 160;
/// How long a stretch is at least, in nanoseconds: each has to have samples.
const LEAST_STRETCH: u64 = 400_000_000;
/// Clocks closer to the truth than this, in milliseconds, show it.
const TRUTH: f64 = 0.1;

/// One chart over the nodes.
pub(crate) struct NodeChart {
    /// What it is about.
    pub(crate) title: &'static str,
    /// The drawing.
    pub(crate) chart: String,
    /// What its numbers are.
    pub(crate) note: String,
}

/// What a chart draws of nodes.
struct Kind {
    title: &'static str,
    note: &'static str,
    /// What the numbers count: ` MiB`.
    unit: &'static str,
    of: fn(&[NodeSample], Buckets) -> Series<'_>,
    /// A chart whose numbers are all nearer to nothing than this is left out.
    least: f64,
}

/// The charts, in order.
const KINDS: &[Kind] = &[
    Kind {
        title: "CPU time of nodes",
        note: "cores in use",
        unit: "",
        of: series::cpu,
        least: 0.0,
    },
    Kind {
        title: "Memory of nodes",
        note: "resident memory, the most of each stretch",
        unit: " MiB",
        of: series::memory,
        least: 0.0,
    },
    Kind {
        title: "What nodes had yet to apply",
        note: "entries of the log that some node had said were committed, by what nodes say when they are \
               asked; the most of each stretch",
        unit: "",
        of: series::behind,
        least: 0.5,
    },
    Kind {
        title: "Syncs that nodes asked of their disks",
        note: "calls a second",
        unit: "/s",
        of: series::syncs,
        least: 0.0,
    },
    Kind {
        title: "How much longer the lab let syncs take",
        note: "mean of each stretch; how long the kernel takes for them is not seen",
        unit: " ms",
        of: series::sync_delays,
        least: 0.001,
    },
    Kind {
        title: "Realtime clocks of nodes",
        note: "how far they were from the run's clock, the most of each stretch; up is ahead",
        unit: " ms",
        of: series::realtime,
        least: TRUTH,
    },
    Kind {
        title: "Monotonic clocks of nodes",
        note: "how far they were from the run's clock, the most of each stretch; up is ahead",
        unit: " ms",
        of: series::monotonic,
        least: TRUTH,
    },
];

/// All charts that have anything to show.
pub(crate) fn draw_all(plot: &Plot<'_>, samples: &[NodeSample]) -> Vec<NodeChart> {
    if samples.is_empty() {
        return Vec::new();
    }
    let most = (plot.axis.end.0 / LEAST_STRETCH).clamp(1, MOST_STRETCHES);
    let buckets = Buckets::until(plot.axis.end, most);
    KINDS.iter().filter_map(|kind| kind.draw(plot, &(kind.of)(samples, buckets), buckets)).collect()
}

impl Kind {
    fn draw(&self, plot: &Plot<'_>, series: &Series<'_>, buckets: Buckets) -> Option<NodeChart> {
        let numbers = || series.values().flatten().flatten();
        let scale = numbers().fold(0.0_f64, |most, number| most.max(number.abs()));
        // Also if there is none at all.
        if scale <= self.least {
            return None;
        }
        let has_below = numbers().any(|number| *number < 0.0);
        let shown = series.len().min(MOST_LANES);
        let (top, bottom) = (HEAD, HEAD + shown as f64 * LANE + 4.0);
        let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
        plot.ground(&mut pen, top, bottom);
        plot.fault_names(&mut pen, HEAD - 4.0);
        let mut told = Vec::new();
        for (row, (node, numbers)) in series.iter().take(shown).enumerate() {
            let foot = top + (row + 1) as f64 * LANE - 2.0;
            let name = brief(node, NAME_CHARACTERS);
            pen.text((LEFT - 8.0, foot - 16.0), Anchor::End, TextStyle::Text, &name);
            let most = farthest(numbers);
            let label =
                most.map_or("–".to_owned(), |most| format!("{}{}", shorten(most), self.unit));
            pen.text((LEFT - 8.0, foot - 3.0), Anchor::End, TextStyle::Muted, &label);
            told.push(format!("{name} at most {label}"));
            let (zero, height) =
                if has_below { (foot - FULL / 2.0, FULL / 2.0) } else { (foot, FULL) };
            let steps = steps(plot, numbers, buckets, |number| zero - number / scale * height);
            pen.path(&steps, MarkStyle::P50, &format!("{name}: at most {label}"));
        }
        plot.marks(&mut pen, top, bottom);
        let left_out = series.len() - shown;
        let note = match left_out {
            0 => self.note.to_owned(),
            left_out => format!("{}; {left_out} more nodes are left out", self.note),
        };
        let chart = pen.finish(self.title, &format!("{}: {}.", self.note, told.join(", ")));
        Some(NodeChart { title: self.title, chart, note })
    }
}

/// The number that is farthest from nothing.
fn farthest(numbers: &[Option<f64>]) -> Option<f64> {
    let known = numbers.iter().flatten().copied();
    known.reduce(|most, number| if number.abs() > most.abs() { number } else { most })
}

/// Steps at the numbers' heights, with gaps where there is none.
fn steps(
    plot: &Plot<'_>,
    numbers: &[Option<f64>],
    buckets: Buckets,
    y: impl Fn(f64) -> f64,
) -> Path {
    let mut path = Path::default();
    let mut place = 0;
    let mut is_drawing = false;
    while place < numbers.len() {
        let Some(number) = numbers[place] else {
            is_drawing = false;
            place += 1;
            continue;
        };
        let height = y(number);
        // Stretches that look the same share a stroke.
        let is_same = |it: &&Option<f64>| it.is_some_and(|it| (y(it) - height).abs() < 0.05);
        let length = numbers[place..].iter().take_while(is_same).count().max(1);
        let from = plot.axis.x(buckets.begin(place));
        let to = plot.axis.x(buckets.begin(place + length));
        if is_drawing {
            path.stroke((from, height));
        } else {
            path.start((from, height));
        }
        path.stroke((to, height));
        is_drawing = true;
        place += length;
    }
    path
}

/// A number with three digits.
fn shorten(number: f64) -> String {
    match number.abs() {
        small if small < 1.0 => format!("{number:.2}"),
        middle if middle < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
