//! Draws messages between nodes: a line for each node, and from sender to receiver a stroke for each
//! message, from when it was sent to when it arrived; one that was kept off ends half way, in a cross.

use std::collections::{BTreeMap, BTreeSet};

use partita_checker::Nanoseconds;

use super::pen::{Anchor, Path};
use super::plot::{FOOT, HEAD, LEFT, RIGHT, WIDTH, at};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::messages::{Message, MessageLog};
use crate::text::number::{count, counted, duration};
use crate::text::visible::brief;

const LANE: f64 = 56.0;
const NAME_CHARACTERS: usize = 11;
/// Messages of one link and fate that are sent within this width share a stroke.
const COLUMN: f64 = 4.0;
/// What was held longer than this counts as held back.
const HELD: Nanoseconds = Nanoseconds(1_000_000);
const CROSS: f64 = 3.0;

/// What became of a message, as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Carried,
    Held,
    KeptOff,
}

/// Messages that share a stroke.
struct Stroke {
    first: Message,
    last: Message,
    number: u64,
    bytes: u64,
}

/// The drawing and its numbers.
pub(crate) struct Messages {
    pub(crate) chart: String,
    pub(crate) note: String,
    pub(crate) links: Vec<LinkSum>,
}

/// What became of the messages of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LinkSum {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) arrived: u64,
    pub(crate) bytes: u64,
    /// How many of those that arrived had been held back.
    pub(crate) held: u64,
    /// How long at most, of all.
    pub(crate) longest: Nanoseconds,
    /// How many were kept off, by what.
    pub(crate) kept_off: BTreeMap<&'static str, u64>,
    /// When the last that arrived before the moment did so.
    pub(crate) last: Option<Nanoseconds>,
}

/// The messages between `nodes` in the plot's time, or `None` if none are on record.
pub(crate) fn draw(
    plot: &Plot<'_>,
    log: &MessageLog,
    nodes: &[&str],
    moment: Nanoseconds,
) -> Option<Messages> {
    let (begin, end) = (plot.axis.begin, plot.axis.end);
    let lanes = |link: usize| {
        let (from, to) = log.links.get(link)?;
        let lane = |name: &str| nodes.iter().position(|node| *node == name);
        Some((lane(from)?, lane(to)?))
    };
    let from = log.all.partition_point(|message| message.at_ns < begin);
    let until = log.all.partition_point(|message| message.at_ns <= end);
    let near: Vec<&Message> =
        log.all[from..until].iter().filter(|it| lanes(it.link).is_some()).collect();
    if near.is_empty() {
        return None;
    }
    let (top, bottom) = (HEAD, HEAD + nodes.len() as f64 * LANE - 12.0);
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.fault_names(&mut pen, HEAD - 4.0);
    let middle = |lane: usize| top + lane as f64 * LANE + (LANE - 12.0) / 2.0;
    for (lane, node) in nodes.iter().enumerate() {
        let y = middle(lane);
        pen.text(
            (LEFT - 8.0, y + 4.0),
            Anchor::End,
            TextStyle::Text,
            &brief(node, NAME_CHARACTERS),
        );
        pen.line((LEFT, y), (RIGHT, y), MarkStyle::Axis);
    }
    for ((fate, link, _), stroke) in strokes(plot, &near) {
        let Some((from, to)) = lanes(link) else { continue };
        stroke.draw(&mut pen, plot, fate, (middle(from), middle(to)), &log.links[link]);
    }
    plot.marks(&mut pen, top, bottom);
    let links = sums(log, &near, moment);
    let note = note(&links);
    let chart = pen.finish("Messages between nodes", &note);
    Some(Messages { chart, note, links })
}

fn fate(message: &Message) -> Fate {
    match message.kept_off {
        Some(_) => Fate::KeptOff,
        None if message.held_ns > HELD => Fate::Held,
        None => Fate::Carried,
    }
}

/// The strokes, those that matter least first: what is drawn later lies above.
fn strokes(plot: &Plot<'_>, near: &[&Message]) -> BTreeMap<(Fate, usize, u64), Stroke> {
    let mut strokes: BTreeMap<_, Stroke> = BTreeMap::new();
    for message in near {
        let column = ((plot.axis.x(message.at_ns) - LEFT) / COLUMN) as u64;
        let fresh = Stroke { first: **message, last: **message, number: 0, bytes: 0 };
        let stroke = strokes.entry((fate(message), message.link, column)).or_insert(fresh);
        stroke.last = **message;
        stroke.number += 1;
        stroke.bytes += message.bytes;
    }
    strokes
}

impl Stroke {
    fn draw(
        &self,
        pen: &mut SvgBuilder,
        plot: &Plot<'_>,
        fate: Fate,
        (from, to): (f64, f64),
        (sender, receiver): &(String, String),
    ) {
        let x = plot.axis.x(self.first.at_ns);
        let mut path = Path::default();
        path.start((x, from));
        let (style, what) = match fate {
            Fate::Carried => (MarkStyle::MessageCarried, "arrived".to_owned()),
            Fate::Held => {
                let held = duration(self.first.held_ns);
                (MarkStyle::MessageHeld, format!("arrived after it was held for {held}"))
            }
            Fate::KeptOff => {
                let by = self.first.kept_off.map_or("", |it| it.in_words());
                (MarkStyle::MessageKeptOff, format!("kept off: {by}"))
            }
        };
        if fate == Fate::KeptOff {
            let y = from + (to - from).signum() * 16.0;
            path.stroke((x, y));
            for side in [-CROSS, CROSS] {
                path.start((x - CROSS, y - side));
                path.stroke((x + CROSS, y + side));
            }
        } else {
            path.stroke((plot.axis.x(self.first.left_ns()).min(RIGHT), to));
        }
        // What arrived is told by the table: a page has room for some hundred hints, not thousands.
        let hint = match fate {
            Fate::Carried => String::new(),
            _ => format!(
                "{} to {} at {}{}: {}, {} bytes, {what}",
                brief(sender, 40),
                brief(receiver, 40),
                at(self.first.at_ns),
                if self.number > 1 {
                    format!(" to {}", at(self.last.at_ns))
                } else {
                    String::new()
                },
                counted(self.number, "message"),
                count(self.bytes),
            ),
        };
        pen.path(&path, style, &hint);
    }
}

/// What became of the messages of each link, by sender and receiver.
fn sums(log: &MessageLog, near: &[&Message], moment: Nanoseconds) -> Vec<LinkSum> {
    let links: BTreeSet<usize> = near.iter().map(|message| message.link).collect();
    let mut sums: Vec<LinkSum> = links
        .into_iter()
        .map(|link| {
            let (from, to) = log.links[link].clone();
            let mut sum = LinkSum { from, to, ..LinkSum::default() };
            for message in near.iter().filter(|message| message.link == link) {
                sum.add(message, moment);
            }
            sum
        })
        .collect();
    sums.sort_by(|one, other| (&one.from, &one.to).cmp(&(&other.from, &other.to)));
    sums
}

impl LinkSum {
    fn add(&mut self, message: &Message, moment: Nanoseconds) {
        match message.kept_off {
            Some(by) => *self.kept_off.entry(by.in_words()).or_default() += 1,
            None => {
                self.arrived += 1;
                self.bytes += message.bytes;
                self.held += u64::from(fate(message) == Fate::Held);
                if message.left_ns() <= moment {
                    self.last = self.last.max(Some(message.left_ns()));
                }
            }
        }
        self.longest = self.longest.max(message.held_ns);
    }

    /// How many were kept off.
    pub(crate) fn kept_off(&self) -> u64 {
        self.kept_off.values().sum()
    }
}

fn note(links: &[LinkSum]) -> String {
    let sum = |of: fn(&LinkSum) -> u64| links.iter().map(of).sum::<u64>();
    format!(
        "{} arrived, {} of them after more than {}; {} were kept off",
        counted(sum(|it| it.arrived), "message"),
        count(sum(|it| it.held)),
        duration(HELD),
        count(sum(LinkSum::kept_off)),
    )
}
