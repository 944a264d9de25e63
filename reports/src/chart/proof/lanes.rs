//! Places a counterexample's operations on lanes and draws them.

use partita_checker::{EventKind, Function, ProcessId};

use super::scale::BrokenScale;
use crate::chart::pen::{Anchor, Area, Path, text_width};
use crate::chart::plot::{LEFT, RIGHT, WIDTH};
use crate::chart::{MarkStyle, SvgBuilder, TextStyle};
use crate::evidence::{Evidence, Exhibit, ending};
use crate::text::operation::returned;
use crate::text::unit::TimeUnit;
use crate::text::visible::brief;

const BAR: f64 = 24.0;
const LABEL: f64 = 17.0;
/// Room between lanes, for arrows.
const CHANNEL: f64 = 40.0;
/// However short, an operation can be seen.
const LEAST_WIDTH: f64 = 6.0;
/// How much wider than plain type the type of labels is.
const BOLD: f64 = 1.12;
const NEVER: &str = "never came back →";

/// The lanes with everything on them.
pub(crate) struct Lanes<'a> {
    lanes: Vec<Lane>,
    bars: Vec<PlacedBar<'a>>,
    unit: TimeUnit,
    /// The lower edge.
    pub(crate) bottom: f64,
}

struct Lane {
    process: ProcessId,
    node: Option<String>,
    bar: f64,
}

/// An operation's place.
pub(crate) struct PlacedBar<'a> {
    exhibit: &'a Exhibit<'a>,
    /// The bar itself.
    pub(crate) area: Area,
    open: bool,
    label: String,
    label_at: LabelAt,
}

/// Where an operation's label stands.
#[derive(Clone, Copy)]
enum LabelAt {
    /// On the bar.
    Inside,
    /// To the right of the bar.
    Beside,
    /// Above the bar, from this place on, in this row counted upwards.
    Above(f64, usize),
}

impl PlacedBar<'_> {
    /// The right edge of what is certain: an operation that never came back ends nowhere.
    pub(crate) fn right(&self) -> f64 {
        self.area.x + self.area.width
    }

    /// The middle of the bar, or a place near its begin if it never ends.
    pub(crate) fn middle(&self) -> f64 {
        if self.open { self.area.x + 30.0 } else { self.area.x + self.area.width / 2.0 }
    }
}

impl<'a> Lanes<'a> {
    /// Places the operations on one lane per process, lanes in order of first appearance.
    pub(crate) fn of(evidence: &'a Evidence<'a>, scale: &BrokenScale, top: f64) -> Self {
        let mut processes: Vec<ProcessId> = Vec::new();
        for exhibit in &evidence.operations {
            if !processes.contains(&exhibit.witness.process) {
                processes.push(exhibit.witness.process);
            }
        }
        let mut bars: Vec<PlacedBar<'_>> =
            evidence.operations.iter().map(|exhibit| place(exhibit, scale)).collect();
        let mut y = top;
        let mut lanes = Vec::new();
        for process in processes {
            let mut mine: Vec<_> =
                bars.iter_mut().filter(|bar| bar.exhibit.witness.process == process).collect();
            mine.sort_by(|left, right| left.area.x.total_cmp(&right.area.x));
            let bar_y = y + LABEL * label_rows(&mut mine) as f64 + 6.0;
            for bar in &mut mine {
                bar.area.y = bar_y;
            }
            let node = mine.first().and_then(|bar| bar.exhibit.witness.node.clone());
            let same = mine.iter().all(|bar| bar.exhibit.witness.node == node);
            lanes.push(Lane { process, node: node.filter(|_| same), bar: bar_y });
            y = bar_y + BAR + CHANNEL;
        }
        let process = |place: usize| evidence.operations[place].witness.process;
        let hangs = evidence.steps.iter().any(|step| process(step.from) == process(step.to));
        let bottom = if hangs { y } else { y - CHANNEL + 12.0 };
        Self { lanes, bars, unit: evidence.unit, bottom }
    }

    /// The bar of the operation at `place` in the proof.
    pub(crate) fn bar(&self, place: usize) -> &PlacedBar<'a> {
        &self.bars[place]
    }

    /// Where bars and labels are.
    pub(super) fn inked(&self) -> impl Iterator<Item = Area> + '_ {
        self.bars.iter().flat_map(|bar| [bar.area, bar.label_area()])
    }

    /// Draws lanes, bars and labels.
    pub(crate) fn draw(&self, pen: &mut SvgBuilder) {
        for lane in &self.lanes {
            let name = format!("process {}", lane.process);
            pen.text(
                (LEFT - 8.0, lane.bar + if lane.node.is_some() { 10.0 } else { 16.0 }),
                Anchor::End,
                TextStyle::Text,
                &name,
            );
            if let Some(node) = &lane.node {
                let node = format!("via {}", brief(node, 8));
                pen.text((LEFT - 8.0, lane.bar + 25.0), Anchor::End, TextStyle::Muted, &node);
            }
            let y = lane.bar + BAR / 2.0;
            pen.line((LEFT, y), (RIGHT, y), MarkStyle::Grid);
        }
        for bar in &self.bars {
            bar.draw(pen, self.unit);
        }
    }
}

fn place<'a>(exhibit: &'a Exhibit<'a>, scale: &BrokenScale) -> PlacedBar<'a> {
    let x = scale.x(exhibit.witness.invoked);
    let end = returned(exhibit.witness);
    let right = end.map_or(RIGHT, |end| scale.x(end).max(x + LEAST_WIDTH));
    let label = match exhibit.blame {
        Some(blame) => format!("{} — {blame}", exhibit.label),
        None => exhibit.label.clone(),
    };
    let area = Area { x, y: 0.0, width: right - x, height: BAR };
    PlacedBar { exhibit, area, open: end.is_none(), label, label_at: LabelAt::Inside }
}

/// Finds a place for every label of one lane, whose bars come by their left edges; returns how many
/// rows above the bars that takes.
fn label_rows(bars: &mut [&mut PlacedBar<'_>]) -> usize {
    let mut free_from: Vec<f64> = Vec::new();
    for index in 0..bars.len() {
        let next = bars.get(index + 1).map_or(WIDTH, |next| next.area.x);
        let bar = &mut *bars[index];
        let width = text_width(&bar.label) * BOLD + 12.0;
        let room = bar.area.width - if bar.open { text_width(NEVER) + 20.0 } else { 0.0 };
        bar.label_at = if width <= room.min(next - bar.area.x) {
            LabelAt::Inside
        } else if !bar.open && bar.right() + width <= next {
            LabelAt::Beside
        } else {
            let x = bar.area.x.min(WIDTH - 4.0 - width).max(LEFT);
            let row = free_from.iter().position(|&free| free <= x).unwrap_or(free_from.len());
            free_from.resize(free_from.len().max(row + 1), 0.0);
            free_from[row] = x + width;
            LabelAt::Above(x, row)
        };
    }
    free_from.len()
}

impl PlacedBar<'_> {
    fn draw(&self, pen: &mut SvgBuilder, unit: TimeUnit) {
        let witness = self.exhibit.witness;
        let hint = format!(
            "{}, invoked {}, came back {}",
            self.exhibit.label,
            unit.instant(witness.invoked),
            ending(witness, unit)
        );
        if self.open {
            self.fade(pen, &hint);
        } else {
            pen.bar(self.area, 3.0, self.paint(), &hint);
        }
        self.label(pen);
    }

    /// Where the label begins, on its baseline.
    fn label_start(&self) -> (f64, f64) {
        let Area { x, y, .. } = self.area;
        match self.label_at {
            LabelAt::Inside => (x + 7.0, y + 16.5),
            LabelAt::Beside => (self.right() + 7.0, y + 16.5),
            LabelAt::Above(x, row) => (x, y - 6.0 - LABEL * row as f64),
        }
    }

    fn label_area(&self) -> Area {
        let (x, y) = self.label_start();
        Area { x, y: y - 11.0, width: text_width(&self.label) * BOLD, height: 14.0 }
    }

    fn label(&self, pen: &mut SvgBuilder) {
        let paint = match self.label_at {
            _ if self.exhibit.blame.is_some() => TextStyle::Culprit,
            LabelAt::Inside if self.paint() == MarkStyle::Change => TextStyle::OnChange,
            LabelAt::Inside => TextStyle::OnLook,
            LabelAt::Beside | LabelAt::Above(..) => TextStyle::Strong,
        };
        pen.text(self.label_start(), Anchor::Start, paint, &self.label);
    }

    fn paint(&self) -> MarkStyle {
        let witness = self.exhibit.witness;
        let looks = matches!(witness.function, Function::Read | Function::Contains)
            || witness.swapped == Some(false);
        match (self.exhibit.blame, witness.outcome) {
            (Some(_), _) => MarkStyle::Culprit,
            _ if self.open => MarkStyle::Open,
            (None, EventKind::Fail) => MarkStyle::Aside,
            (None, _) if looks => MarkStyle::Look,
            (None, _) => MarkStyle::Change,
        }
    }

    /// An operation that never came back: its outline is open to the right, its fill thins out.
    fn fade(&self, pen: &mut SvgBuilder, hint: &str) {
        let Area { x, y, width, height } = self.area;
        pen.fading(self.area, MarkStyle::Open, hint);
        let mut outline = Path::default();
        outline.start((x + width, y));
        outline.stroke((x, y));
        outline.stroke((x, y + height));
        outline.stroke((x + width, y + height));
        pen.path(&outline, MarkStyle::OpenEdge, "");
        if width > text_width(NEVER) + 24.0 {
            let at = (x + width - 6.0, y + 16.5);
            pen.text(at, Anchor::End, TextStyle::Muted, NEVER);
        }
    }
}
