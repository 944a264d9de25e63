//! Draws who was what in which term, one lane per node, up to the end of the run.
//!
//! A role is told by its height and pattern: a leader fills its lane, a follower half of it, a
//! candidate is hollow, a node without a process is a thin line, a silent one is dotted. Changes
//! closer together than a pixel are drawn as the last of them.

use partita_checker::Nanoseconds;

use super::pen::{Anchor, Area, Path, text_width};
use super::plot::{FOOT, HEAD, LEFT, RIGHT, WIDTH, at};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::roles::RoleChange;
use crate::run::Run;
use crate::text::number::counted;
use crate::text::visible::brief;

const LANE: f64 = 32.0;
const NAME_CHARACTERS: usize = 11;

/// The lanes, or `None` if no role of any node was ever seen.
pub(crate) fn draw(run: &Run<'_>, plot: &Plot<'_>) -> Option<String> {
    if run.record.roles.is_empty() || run.record.nodes.is_empty() {
        return None;
    }
    let top = HEAD + 4.0;
    let bottom = top + run.record.nodes.len() as f64 * LANE;
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.fault_names(&mut pen, HEAD - 4.0);
    let mut y = top;
    for node in &run.record.nodes {
        let name = brief(&node.name, NAME_CHARACTERS);
        pen.text((LEFT - 8.0, y + 20.0), Anchor::End, TextStyle::Text, &name);
        let is_in =
            |it: &RoleInterval<'_>| it.ended >= plot.axis.begin && it.change.at_ns <= plot.axis.end;
        for stretch in stretches(run, plot, &node.name).into_iter().filter(is_in) {
            stretch.draw(&mut pen, y);
        }
        y += LANE;
    }
    plot.marks(&mut pen, top, bottom);
    Some(pen.finish("Roles and terms of the nodes", &description(run)))
}

fn description(run: &Run<'_>) -> String {
    let leaders: Vec<_> =
        run.record.roles.iter().filter(|change| change.role == "leader").collect();
    let mut text = format!("{} seen", counted(leaders.len() as u64, "leadership"));
    if let Some(term) = run.record.roles.iter().filter_map(|change| change.term).max() {
        text.push_str(&format!(", highest term {term}"));
    }
    if let Some(last) = leaders.last() {
        let node = brief(&last.node, NAME_CHARACTERS);
        text.push_str(&format!(", last {node} from {}", at(last.at_ns)));
    }
    text.push('.');
    text
}

/// A time during which a node was in one role and term.
struct RoleInterval<'a> {
    change: &'a RoleChange,
    x: f64,
    right: f64,
    ended: Nanoseconds,
    /// Whether the term differs from that of the stretch before.
    new_term: bool,
}

fn stretches<'a>(run: &Run<'a>, plot: &Plot<'_>, node: &str) -> Vec<RoleInterval<'a>> {
    let changes: Vec<_> = run.record.roles.iter().filter(|change| change.node == node).collect();
    let mut stretches: Vec<RoleInterval<'_>> = Vec::new();
    for (index, &change) in changes.iter().enumerate() {
        let ended = changes.get(index + 1).map_or(plot.axis.end, |next| next.at_ns);
        let (x, right) = (plot.axis.x(change.at_ns), plot.axis.x(ended));
        let known = changes[..index].iter().rev().find_map(|before| before.term);
        let mut stretch = RoleInterval {
            change,
            x,
            right,
            ended,
            new_term: change.term.is_some_and(|term| Some(term) != known),
        };
        if let Some(before) = stretches.last_mut() {
            if before.change.role == change.role && before.change.term == change.term {
                (before.right, before.ended) = (right, ended);
                continue;
            }
            if before.right - before.x < 1.0 {
                stretch.x = before.x;
                stretch.new_term |= before.new_term;
                *before = stretch;
                continue;
            }
        }
        stretches.push(stretch);
    }
    stretches
}

impl RoleInterval<'_> {
    fn draw(&self, pen: &mut SvgBuilder, lane: f64) {
        let middle = lane + LANE / 2.0;
        let hint = format!(
            "{} {}{} from {} to {}",
            brief(&self.change.node, 40),
            brief(&self.change.role, 40),
            self.change.term.map_or(String::new(), |term| format!(", term {term}")),
            at(self.change.at_ns),
            at(self.ended)
        );
        let width = (self.right - self.x - 0.8).max(0.8);
        let (height, paint) = match self.change.role.as_str() {
            "leader" => (24.0, MarkStyle::Leader),
            "follower" => (16.0, MarkStyle::Follower),
            "candidate" => (20.0, MarkStyle::Candidate),
            "down" => return self.line(pen, middle, MarkStyle::Down, &hint),
            "silent" => return self.line(pen, middle, MarkStyle::Silent, &hint),
            _ => (12.0, MarkStyle::OtherRole),
        };
        let area = Area { x: self.x, y: middle - height / 2.0, width, height };
        pen.bar(area, 2.0, paint, &hint);
        let ink = if paint == MarkStyle::Leader { TextStyle::OnLeader } else { TextStyle::Text };
        self.label(pen, middle + 4.0, ink);
    }

    fn line(&self, pen: &mut SvgBuilder, middle: f64, paint: MarkStyle, hint: &str) {
        let mut path = Path::default();
        path.start((self.x, middle));
        path.stroke((self.right.max(self.x + 1.0), middle));
        pen.path(&path, paint, hint);
        self.label(pen, middle - 4.0, TextStyle::Text);
    }

    /// The longest of the stretch's names that fits into it.
    fn label(&self, pen: &mut SvgBuilder, baseline: f64, ink: TextStyle) {
        let role = brief(&self.change.role, 20);
        let names = match self.change.term {
            Some(term) if self.new_term || self.change.role == "leader" => {
                vec![format!("{role}, term {term}"), format!("term {term}")]
            }
            _ if matches!(role.as_str(), "follower") => Vec::new(),
            _ => vec![role],
        };
        let room = self.right.min(RIGHT) - self.x - 8.0;
        if let Some(name) = names.iter().find(|name| text_width(name) <= room) {
            pen.text((self.x + 5.0, baseline), Anchor::Start, ink, name);
        }
    }
}
