//! Places a counterexample's operations on lanes and draws them.

use partita_checker::{EventKind, Function, ProcessId};

use super::scale::BrokenScale;
use crate::chart::pen::{Anchor, Area, Path, text_width};
use crate::chart::plot::{LEFT, RIGHT, WIDTH};
use crate::chart::{Paint, Pen};
use crate::evidence::{Evidence, Exhibit, ending, returned};
use crate::text::number::instant;
use crate::text::visible::visible;

const BAR: f64 = 18.0;
const LABEL: f64 = 17.0;
/// Room below a lane's bars, for arrows.
const CHANNEL: f64 = 24.0;
/// However short, an operation can be seen.
const LEAST_WIDTH: f64 = 6.0;

/// The lanes with everything on them.
pub(crate) struct Lanes<'a> {
    lanes: Vec<Lane>,
    bars: Vec<PlacedBar<'a>>,
    /// The lower edge.
    pub(crate) bottom: f64,
}

struct Lane {
    process: ProcessId,
    node: Option<String>,
    bar: f64,
    bottom: f64,
}

/// An operation's place.
pub(crate) struct PlacedBar<'a> {
    exhibit: &'a Exhibit<'a>,
    /// The bar itself.
    pub(crate) area: Area,
    open: bool,
    label: String,
    label_x: f64,
    label_y: f64,
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
            mine.sort_by(|left, right| left.label_x.total_cmp(&right.label_x));
            let mut free_from: Vec<f64> = Vec::new();
            let mut rows = Vec::new();
            for bar in &mine {
                let row = free_from.iter().position(|&free| free <= bar.label_x);
                let row = row.unwrap_or(free_from.len());
                free_from.resize(free_from.len().max(row + 1), 0.0);
                free_from[row] = bar.label_x + text_width(&bar.label) + 10.0;
                rows.push(row);
            }
            let bar_y = y + LABEL * free_from.len().max(1) as f64 + 2.0;
            for (bar, row) in mine.iter_mut().zip(rows) {
                bar.area.y = bar_y;
                bar.label_y = bar_y - 6.0 - LABEL * row as f64;
            }
            let node = mine.first().and_then(|bar| bar.exhibit.witness.node.clone());
            let same = mine.iter().all(|bar| bar.exhibit.witness.node == node);
            let bottom = bar_y + BAR + CHANNEL;
            lanes.push(Lane { process, node: node.filter(|_| same), bar: bar_y, bottom });
            y = bottom;
        }
        Self { lanes, bars, bottom: y }
    }

    /// The bar of the operation at `place` in the proof.
    pub(crate) fn bar(&self, place: usize) -> &PlacedBar<'a> {
        &self.bars[place]
    }

    /// Draws lanes, bars and labels.
    pub(crate) fn draw(&self, pen: &mut Pen) {
        for lane in &self.lanes {
            let name = format!("process {}", lane.process);
            pen.text((LEFT - 8.0, lane.bar + 8.0), Anchor::End, Paint::Text, &name);
            if let Some(node) = &lane.node {
                let node = format!("via {}", visible(node, 8));
                pen.text((LEFT - 8.0, lane.bar + 23.0), Anchor::End, Paint::Muted, &node);
            }
            let y = lane.bar + BAR / 2.0;
            pen.line((LEFT, y), (RIGHT, y), Paint::Grid);
            if lane.bottom < self.bottom {
                let edge = lane.bottom - CHANNEL / 2.0 + 8.0;
                pen.line((LEFT, edge), (RIGHT, edge), Paint::Grid);
            }
        }
        for bar in &self.bars {
            bar.draw(pen);
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
    let label_x = x.min(WIDTH - 4.0 - text_width(&label)).max(LEFT);
    let area = Area { x, y: 0.0, width: right - x, height: BAR };
    PlacedBar { exhibit, area, open: end.is_none(), label, label_x, label_y: 0.0 }
}

impl PlacedBar<'_> {
    fn draw(&self, pen: &mut Pen) {
        let witness = self.exhibit.witness;
        let hint = format!(
            "{}, invoked {}, came back {}",
            self.exhibit.label,
            instant(witness.invoked),
            ending(witness)
        );
        if self.open {
            self.fade(pen, &hint);
        } else {
            let looks = matches!(witness.function, Function::Read | Function::Contains)
                || witness.swapped == Some(false);
            let paint = match (self.exhibit.blame, witness.outcome) {
                (Some(_), _) => Paint::Culprit,
                (None, EventKind::Fail) => Paint::Aside,
                (None, _) if looks => Paint::Look,
                (None, _) => Paint::Change,
            };
            pen.bar(self.area, 3.0, paint, &hint);
        }
        let paint = if self.exhibit.blame.is_some() { Paint::CulpritText } else { Paint::Strong };
        pen.text((self.label_x, self.label_y), Anchor::Start, paint, &self.label);
    }

    /// An operation that never came back: its outline is open to the right, its fill thins out.
    fn fade(&self, pen: &mut Pen, hint: &str) {
        let Area { x, y, width, height } = self.area;
        pen.fading(self.area, Paint::Open, hint);
        let mut outline = Path::default();
        outline.start((x + width, y));
        outline.stroke((x, y));
        outline.stroke((x, y + height));
        outline.stroke((x + width, y + height));
        pen.path(&outline, Paint::OpenEdge, "");
        let note = "never came back →";
        if width > text_width(note) + 24.0 {
            let at = (x + width - 6.0, y + height - 5.0);
            pen.text(at, Anchor::End, Paint::Muted, note);
        }
    }
}
