//! Draws the steps of a proof as numbered arrows between its operations.

use partita_checker::Relation;

use super::lanes::{Lanes, PlacedBar};
use crate::chart::pen::{Anchor, Area, Path, text_width};
use crate::chart::plot::{LEFT, WIDTH};
use crate::chart::{MarkStyle, SvgBuilder, TextStyle};
use crate::evidence::{Evidence, Step, relation_words};

/// With more steps than this, arrows carry numbers only.
const MOST_WORDS: usize = 6;
const DISC: f64 = 8.5;

/// Draws all arrows first and their badges over them.
pub(super) fn draw(pen: &mut SvgBuilder, evidence: &Evidence<'_>, lanes: &Lanes<'_>) {
    let worded = evidence.steps.len() <= MOST_WORDS;
    let curves: Vec<_> = evidence.steps.iter().map(|step| Curve::of(step, lanes)).collect();
    for (curve, step) in curves.iter().zip(&evidence.steps) {
        curve.draw(pen, step.relation);
    }
    let mut taken: Vec<Area> = lanes.inked().collect();
    for (index, (curve, step)) in curves.iter().zip(&evidence.steps).enumerate() {
        let words = if worded { relation_words(step.relation) } else { "" };
        let badge = Badge::on(curve, words, &taken);
        taken.push(badge.area(words));
        badge.draw(pen, index + 1, words, step.relation);
    }
}

/// An arrow's line: a quadratic curve.
struct Curve {
    from: (f64, f64),
    by: (f64, f64),
    to: (f64, f64),
}

impl Curve {
    /// Between lanes, the curve stays in the room between the two bars, on the left side of its own
    /// direction, so that two arrows to and fro lie apart. Within a lane it
    /// hangs below, each relation at its own depth.
    fn of(step: &Step, lanes: &Lanes<'_>) -> Self {
        let (source, target) = (lanes.bar(step.from), lanes.bar(step.to));
        let (from_x, to_x) = match step.relation {
            Relation::RealTime | Relation::Session => (source.right(), target.area.x),
            Relation::ReadsFrom
            | Relation::OverwrittenBefore
            | Relation::VersionOrder
            | Relation::Inferred => (source.middle(), target.middle()),
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
            let depth = match step.relation {
                Relation::RealTime | Relation::Session => 22.0,
                Relation::ReadsFrom => 44.0,
                Relation::OverwrittenBefore | Relation::VersionOrder | Relation::Inferred => 66.0,
            };
            (middle.0, middle.1 + depth)
        } else {
            let (across, down) = (to.0 - from.0, to.1 - from.1);
            let length = across.hypot(down).max(1.0);
            let bend = (length * 0.22).clamp(14.0, 60.0);
            let (least, greatest) = (from.1.min(to.1) + 3.0, from.1.max(to.1) - 3.0);
            let y = (middle.1 + across / length * bend).max(least).min(greatest);
            (middle.0 - down / length * bend, y)
        };
        Self { from, by, to }
    }

    /// The point at `part` of the way, from 0 to 1.
    fn point(&self, part: f64) -> (f64, f64) {
        let rest = 1.0 - part;
        let mix = |from: f64, by: f64, to: f64| {
            from * rest * rest + by * 2.0 * part * rest + to * part * part
        };
        (mix(self.from.0, self.by.0, self.to.0), mix(self.from.1, self.by.1, self.to.1))
    }

    fn draw(&self, pen: &mut SvgBuilder, relation: Relation) {
        let paint = match relation {
            Relation::RealTime | Relation::Session => MarkStyle::RealTime,
            Relation::ReadsFrom => MarkStyle::ReadsFrom,
            Relation::OverwrittenBefore | Relation::VersionOrder | Relation::Inferred => {
                MarkStyle::Overwritten
            }
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
        pen.path(&head, MarkStyle::ArrowHead, "");
    }
}

/// A step's number on its arrow, with words to one side.
#[derive(Clone, Copy)]
struct Badge {
    centre: (f64, f64),
    side: Anchor,
}

impl Badge {
    /// The place along `curve`, and the side for the words, that covers least of what is taken;
    /// of equals the one nearest to the middle, words to the right.
    fn on(curve: &Curve, words: &str, taken: &[Area]) -> Self {
        let mut best = (f64::INFINITY, Self { centre: curve.point(0.5), side: Anchor::Start });
        for part in [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8] {
            for side in [Anchor::Start, Anchor::End] {
                let badge = Self { centre: curve.point(part), side };
                let area = badge.area(words);
                let outside = (LEFT - area.x).max(area.x + area.width - WIDTH).max(0.0);
                let covered: f64 = taken.iter().map(|other| shared(area, *other)).sum();
                let cost = covered + outside * area.height;
                if cost < best.0 {
                    best = (cost, badge);
                }
            }
        }
        best.1
    }

    fn area(self, words: &str) -> Area {
        let width = 2.0 * DISC + if words.is_empty() { 0.0 } else { 6.0 + text_width(words) };
        let x = match self.side {
            Anchor::End => self.centre.0 + DISC - width,
            Anchor::Start | Anchor::Middle => self.centre.0 - DISC,
        };
        Area { x, y: self.centre.1 - DISC, width, height: 2.0 * DISC }
    }

    fn draw(self, pen: &mut SvgBuilder, number: usize, words: &str, relation: Relation) {
        let (x, y) = self.centre;
        pen.disc(self.centre, DISC, MarkStyle::Disc);
        pen.text((x, y + 4.0), Anchor::Middle, TextStyle::OnDisc, &number.to_string());
        if words.is_empty() {
            return;
        }
        let paint = match relation {
            Relation::OverwrittenBefore | Relation::VersionOrder | Relation::Inferred => {
                TextStyle::Overwritten
            }
            Relation::RealTime | Relation::Session | Relation::ReadsFrom => TextStyle::Arrow,
        };
        let beside = if self.side == Anchor::End { -DISC - 4.0 } else { DISC + 4.0 };
        pen.text((x + beside, y + 4.0), self.side, paint, words);
    }
}

/// The area that two rectangles share.
fn shared(one: Area, other: Area) -> f64 {
    let overlap = |a: f64, a_length: f64, b: f64, b_length: f64| {
        ((a + a_length).min(b + b_length) - a.max(b)).max(0.0)
    };
    overlap(one.x, one.width, other.x, other.width)
        * overlap(one.y, one.height, other.y, other.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_moves_along_its_arrow_off_what_is_drawn_already() {
        let curve = Curve { from: (200.0, 0.0), by: (500.0, 20.0), to: (800.0, 40.0) };
        let free = Badge::on(&curve, "came back before", &[]);
        assert_eq!(free.centre, curve.point(0.5));
        let taken = free.area("came back before");
        let moved = Badge::on(&curve, "came back before", &[taken]);
        assert_eq!(shared(moved.area("came back before"), taken), 0.0);
    }
}
