//! Draws a key's operations around the time of a proof, packed tightly, the proof's own among them.

use partita_checker::{Action, History, Nanoseconds, Operation, Outcome};

use super::axis::TimeAxis;
use super::pen::{Anchor, Area, Path};
use super::plot::{FOOT, LEFT, RIGHT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::evidence::Evidence;
use crate::text::number::{count, counted};
use crate::text::operation::operation;
use crate::text::unit::TimeUnit;

/// Operations drawn, at most: those nearest to the proof's end.
const MOST_OPERATIONS: usize = 400;
/// Rows, at most; what finds no place is left out.
const MOST_ROWS: usize = 24;
const ROW: f64 = 11.0;
const BAR: f64 = 8.0;
const TOP: f64 = 4.0;

/// The drawing and what it leaves out.
pub(crate) struct Nearby {
    pub(crate) chart: String,
    pub(crate) caption: String,
}

/// The drawing, or `None` if the key has no operations but the proof's.
pub(crate) fn draw(history: &History, evidence: &Evidence<'_>, plot: &Plot<'_>) -> Option<Nearby> {
    let key = history.keys().iter().position(|key| *key == evidence.found.key)?;
    let (first, last) = evidence.span();
    let margin = (last.since(first).0 / 10).clamp(evidence.unit.short().0, 2_000_000_000);
    let begin = Nanoseconds(first.0.saturating_sub(margin));
    let end = Nanoseconds(last.0.saturating_add(margin));
    let mut near: Vec<&Operation> = history
        .operations()
        .iter()
        .filter(|operation| operation.key.0 as usize == key && operation.invoked.time <= end)
        .filter(|operation| over(operation, end) >= begin)
        .collect();
    if near.len() <= evidence.operations.len() {
        return None;
    }
    let total = near.len();
    let of_proof = |operation: &Operation| {
        let index = operation.invoked.position;
        evidence.operations.iter().position(|exhibit| exhibit.witness.index == index)
    };
    near.sort_by_key(|operation| {
        (of_proof(operation).is_none(), operation.invoked.time.0.abs_diff(last.0))
    });
    near.truncate(MOST_OPERATIONS);
    near.sort_by_key(|operation| operation.invoked.position);
    let axis = TimeAxis { begin, end, left: LEFT, right: RIGHT, unit: evidence.unit };
    let mut rows = Rows { free_from: Vec::new() };
    let placed: Vec<_> = near
        .into_iter()
        .filter_map(|operation| {
            let x = axis.x(operation.invoked.time);
            let right = axis.x(over(operation, end)).max(x + 3.0);
            let row = rows.place(x, right)?;
            Some((operation, Area { x, y: row, width: right - x, height: BAR }))
        })
        .collect();
    let bottom = TOP + rows.free_from.len() as f64 * ROW + 4.0;
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    ground(&mut pen, plot, &axis, bottom);
    for (operation, area) in &placed {
        let blamed = of_proof(operation).map(|place| evidence.operations[place].blame.is_some());
        let hint = hint(history, operation, evidence.unit);
        pen.bar(*area, 2.0, paint(operation, blamed), &hint);
    }
    let at = axis.x(last);
    let mut mark = Path::default();
    mark.start((at, 0.0));
    mark.stroke((at, bottom));
    pen.path(&mark, MarkStyle::Finding, "the proof was complete");
    let caption = caption(placed.len(), total);
    let chart = pen.finish("Operations on the same key around that time", &caption);
    Some(Nearby { chart, caption })
}

fn caption(drawn: usize, total: usize) -> String {
    let mut caption = counted(drawn as u64, "operation");
    if drawn < total {
        caption.push_str(&format!(" of {}, those nearest to the violation", count(total as u64)));
    }
    caption.push_str("; the strong ones are those of the proof above.");
    caption
}

fn over(operation: &Operation, end: Nanoseconds) -> Nanoseconds {
    match operation.outcome {
        Outcome::Info(_) => end,
        Outcome::Ok(..) | Outcome::Fail(_) => operation.completed().map_or(end, |at| at.time),
    }
}

/// Rows that are each free from some place on.
struct Rows {
    free_from: Vec<f64>,
}

impl Rows {
    /// The upper edge of the first row that is free between `x` and `right`.
    fn place(&mut self, x: f64, right: f64) -> Option<f64> {
        let row = match self.free_from.iter().position(|&free| free <= x) {
            Some(row) => row,
            None if self.free_from.len() < MOST_ROWS => {
                self.free_from.push(0.0);
                self.free_from.len() - 1
            }
            None => return None,
        };
        self.free_from[row] = right + 1.5;
        Some(TOP + row as f64 * ROW)
    }
}

fn ground(pen: &mut SvgBuilder, plot: &Plot<'_>, axis: &TimeAxis, bottom: f64) {
    for (began, ended) in plot.windows.iter() {
        if began > axis.end || ended < axis.begin {
            continue;
        }
        let (x, right) = (axis.x(began), axis.x(ended));
        let area = Area { x, y: TOP, width: right - x, height: bottom - TOP };
        pen.bar(area, 0.0, MarkStyle::Shade, "");
    }
    for tick in axis.ticks(8) {
        pen.line((tick.at, TOP), (tick.at, bottom), MarkStyle::Grid);
        pen.text((tick.at, bottom + 16.0), Anchor::Middle, TextStyle::Muted, &tick.label);
    }
    pen.line((LEFT, bottom), (RIGHT, bottom), MarkStyle::Axis);
}

fn hint(history: &History, one: &Operation, unit: TimeUnit) -> String {
    let invoked = one.invoked.time;
    let end = one.completed().map_or(invoked, |moment| moment.time);
    let when = match (one.outcome, unit) {
        (Outcome::Info(_), _) => "never came back".to_owned(),
        (Outcome::Ok(..) | Outcome::Fail(_), TimeUnit::Clock) => {
            format!("took {}", unit.duration(end.since(invoked)))
        }
        (Outcome::Ok(..) | Outcome::Fail(_), TimeUnit::Events) => {
            format!("invoked {}, came back {}", unit.instant(invoked), unit.instant(end))
        }
    };
    format!(
        "process {}: {}, {when}, line {}",
        one.process,
        operation(history, one),
        one.invoked.position + 1
    )
}

const fn paint(one: &Operation, blamed: Option<bool>) -> MarkStyle {
    match (blamed, one.outcome, one.action) {
        (Some(true), ..) => MarkStyle::Culprit,
        (Some(false), _, Action::Read) => MarkStyle::Look,
        (Some(false), ..) => MarkStyle::Change,
        (None, Outcome::Info(_), _) => MarkStyle::AsideOpen,
        (None, Outcome::Fail(_), _) => MarkStyle::AsideFail,
        (None, Outcome::Ok(..), Action::Read) => MarkStyle::Aside,
        (None, Outcome::Ok(..), _) => MarkStyle::AsideChange,
    }
}
