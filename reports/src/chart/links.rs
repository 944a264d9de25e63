//! Draws what links between nodes carried, kept off and held back: a lane for each direction in which
//! anything was kept off or held.

use std::collections::BTreeMap;

use super::pen::{Anchor, Area};
use super::plot::{FOOT, HEAD, LEFT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::text::number::{count, counted};
use crate::text::visible::brief;
use crate::traffic::LinkPeriod;

const LANE: f64 = 20.0;
const NAME_CHARACTERS: usize = 11;
/// Lanes, at most: those that most was kept off.
const MOST_LANES: usize = 12;
/// The least width of a bar; periods that are closer together share one.
const LEAST_WIDTH: f64 = 2.0;

/// The drawing and what it leaves out.
pub(crate) struct Links {
    pub(crate) chart: String,
    pub(crate) note: String,
}

/// What one lane adds up to.
#[derive(Default)]
struct Lane<'a> {
    periods: Vec<&'a LinkPeriod>,
    kept_off: u64,
    held: u64,
}

/// The lanes, or `None` if nothing was kept off or held in the plot's time.
pub(crate) fn draw(plot: &Plot<'_>, periods: &[LinkPeriod]) -> Option<Links> {
    let mut lanes: BTreeMap<(&str, &str), Lane<'_>> = BTreeMap::new();
    let (begin, end) = (plot.axis.begin, plot.axis.end);
    for period in periods.iter().filter(|it| it.ended_ns() >= begin && it.at_ns <= end) {
        let lane = lanes.entry((&period.from, &period.to)).or_default();
        lane.kept_off += period.kept_off();
        lane.held += period.delayed;
        lane.periods.push(period);
    }
    let carried: u64 = lanes.values().flat_map(|lane| &lane.periods).map(|it| it.forwarded).sum();
    lanes.retain(|_, lane| lane.kept_off + lane.held > 0);
    let mut most: Vec<u64> = lanes.values().map(|lane| lane.kept_off + lane.held).collect();
    most.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    let least = *most.get(MOST_LANES - 1).or(most.last())?;
    let (kept_off, held) = lanes
        .values()
        .fold((0, 0), |(kept_off, held), lane| (kept_off + lane.kept_off, held + lane.held));
    let all = lanes.len();
    let shown: Vec<_> = lanes
        .into_iter()
        .filter(|(_, lane)| lane.kept_off + lane.held >= least)
        .take(MOST_LANES)
        .collect();
    let (top, bottom) = (HEAD, HEAD + shown.len() as f64 * LANE + 4.0);
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.fault_names(&mut pen, HEAD - 4.0);
    for (row, ((from, to), lane)) in shown.iter().enumerate() {
        let y = top + row as f64 * LANE;
        let name =
            format!("{} → {}", brief(from, NAME_CHARACTERS / 2), brief(to, NAME_CHARACTERS / 2));
        pen.text((LEFT - 8.0, y + 15.0), Anchor::End, TextStyle::Text, &name);
        lane.draw(&mut pen, plot, y, (from, to));
    }
    plot.marks(&mut pen, top, bottom);
    let mut note = format!(
        "{} arrived, {} were kept off, {} were held for a while; sums per 100 ms",
        counted(carried, "frame"),
        count(kept_off),
        count(held)
    );
    if all > shown.len() {
        note.push_str(&format!(
            "; {} more with less are left out",
            counted((all - shown.len()) as u64, "link")
        ));
    }
    let chart = pen.finish("What links kept off and held", &note);
    Some(Links { chart, note })
}

impl Lane<'_> {
    fn draw(&self, pen: &mut SvgBuilder, plot: &Plot<'_>, y: f64, (from, to): (&str, &str)) {
        let mut place = 0;
        while place < self.periods.len() {
            let first = self.periods[place];
            let x = plot.axis.x(first.at_ns);
            let rest = &self.periods[place..];
            let together =
                rest.iter().take_while(|it| plot.axis.x(it.at_ns) - x < LEAST_WIDTH).count();
            let (these, last) = (&rest[..together.max(1)], &rest[together.max(1) - 1]);
            let sum = |of: fn(&LinkPeriod) -> u64| these.iter().map(|it| of(it)).sum::<u64>();
            let (arrived, off, held) =
                (sum(|it| it.forwarded), sum(LinkPeriod::kept_off), sum(|it| it.delayed));
            let width = (plot.axis.x(last.ended_ns()) - x - 0.4).max(LEAST_WIDTH);
            let hint = format!(
                "{} to {} from {:.1} s: {} arrived, {} kept off, {} held",
                brief(from, 40),
                brief(to, 40),
                first.at_ns.as_seconds(),
                counted(arrived, "frame"),
                count(off),
                count(held)
            );
            // Told by height, too: what is kept off fills the lane.
            let (paint, height) = match (off, held) {
                (0, 0) => (MarkStyle::Carried, 4.0),
                (0, _) => (MarkStyle::Held, 9.0),
                _ => (MarkStyle::KeptOff, 16.0),
            };
            pen.bar(Area { x, y: y + 18.0 - height, width, height }, 0.0, paint, &hint);
            place += these.len();
        }
    }
}
