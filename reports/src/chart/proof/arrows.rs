//! Draws the steps of a proof as numbered arrows between its operations.

use partita_checker::Relation;

use super::lanes::{Lanes, PlacedBar};
use crate::chart::pen::{Anchor, Path, text_width};
use crate::chart::plot::{LEFT, WIDTH};
use crate::chart::{Paint, Pen};
use crate::evidence::{Evidence, Step, relation_words};

/// With more steps than this, arrows carry numbers only.
const MOST_WORDS: usize = 6;
const DISC: f64 = 8.5;

pub(crate) fn draw(pen: &mut Pen, evidence: &Evidence<'_>, lanes: &Lanes<'_>) {
    let worded = evidence.steps.len() <= MOST_WORDS;
    let mut badges: Vec<(f64, f64)> = Vec::new();
    for (index, step) in evidence.steps.iter().enumerate() {
        let curve = Curve::of(step, lanes);
        curve.draw(pen, step.relation);
        let words = if worded { relation_words(step.relation) } else { "" };
        let mut badge = curve.badge();
        badge.0 = badge.0.clamp(LEFT + DISC, WIDTH - text_width(words) - 2.0 * DISC - 8.0);
        while badges.iter().any(|other| near(*other, badge)) {
            badge.1 += 2.0 * DISC + 2.0;
        }
        badges.push(badge);
        pen.disc(badge, DISC, Paint::Disc);
        let number = (index + 1).to_string();
        pen.text((badge.0, badge.1 + 4.0), Anchor::Middle, Paint::OnDisc, &number);
        let paint = match step.relation {
            Relation::OverwrittenBefore => Paint::OverwrittenText,
            Relation::RealTime | Relation::ReadsFrom => Paint::ArrowText,
        };
        pen.text((badge.0 + DISC + 4.0, badge.1 + 4.0), Anchor::Start, paint, words);
    }
}

/// Whether two badges with their words would lie on each other.
fn near(one: (f64, f64), other: (f64, f64)) -> bool {
    (one.1 - other.1).abs() < 2.0 * DISC && (one.0 - other.0).abs() < 130.0
}

/// An arrow's line: a quadratic curve.
struct Curve {
    from: (f64, f64),
    by: (f64, f64),
    to: (f64, f64),
}

impl Curve {
    fn of(step: &Step, lanes: &Lanes<'_>) -> Self {
        let (source, target) = (lanes.bar(step.from), lanes.bar(step.to));
        let (from_x, to_x) = match step.relation {
            Relation::RealTime => (source.right(), target.area.x),
            Relation::ReadsFrom | Relation::OverwrittenBefore => (source.middle(), target.middle()),
        };
        let below = source.area.y < target.area.y;
        let same_lane = (source.area.y - target.area.y).abs() < 1.0;
        let edge = |bar: &PlacedBar<'_>, lower: bool| {
            if lower { bar.area.y + bar.area.height } else { bar.area.y }
        };
        let from = (from_x, edge(source, below || same_lane));
        let to = (to_x, edge(target, !below || same_lane));
        let middle = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
        let by = if same_lane {
            (middle.0, middle.1 + 40.0)
        } else {
            let (across, down) = (to.0 - from.0, to.1 - from.1);
            let length = across.hypot(down).max(1.0);
            let bend = (length * 0.22).clamp(14.0, 60.0);
            (middle.0 - down / length * bend, middle.1 + across / length * bend)
        };
        Self { from, by, to }
    }

    /// The point halfway along.
    fn badge(&self) -> (f64, f64) {
        let half = |from: f64, by: f64, to: f64| from / 4.0 + by / 2.0 + to / 4.0;
        (half(self.from.0, self.by.0, self.to.0), half(self.from.1, self.by.1, self.to.1))
    }

    fn draw(&self, pen: &mut Pen, relation: Relation) {
        let paint = match relation {
            Relation::RealTime => Paint::RealTime,
            Relation::ReadsFrom => Paint::ReadsFrom,
            Relation::OverwrittenBefore => Paint::Overwritten,
        };
        let mut line = Path::default();
        line.start(self.from);
        line.curve(self.by, self.to);
        pen.path(&line, paint, relation_words(relation));
        let (across, down) = (self.to.0 - self.by.0, self.to.1 - self.by.1);
        let length = across.hypot(down).max(1.0);
        let (across, down) = (across / length, down / length);
        let mut head = Path::default();
        for side in [1.0, -1.0] {
            head.start((
                self.to.0 - across * 9.0 - down * 4.5 * side,
                self.to.1 - down * 9.0 + across * 4.5 * side,
            ));
            head.stroke(self.to);
        }
        pen.path(&head, Paint::ArrowHead, "");
    }
}
