//! Draws a counterexample: one lane per process, a bar per operation, an arrow per step.
//!
//! A write is a filled bar, a read a hollow one, the one that cannot be explained red with its
//! blame beside it; an operation that never came back fades out to the right. Arrows carry the
//! numbers of the steps in the text. Long stretches in which nothing of the proof happens are cut
//! out of the time axis, and each cut says how long it is.

mod arrows;
mod lanes;
mod scale;

use super::pen::{Anchor, Area};
use super::plot::{FOOT, LEFT, RIGHT, WIDTH, fault_name};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::chart::pen::text_width;
use crate::evidence::Evidence;
use crate::text::number::{counted, duration};
use crate::text::operation::returned;

use crate::text::visible::{LABEL_CHARACTERS, brief};

use lanes::Lanes;
use scale::BrokenScale;

/// The line of fault names above the lanes.
const HEAD: f64 = 22.0;

/// The drawing of `evidence`, with the faults of `plot` that were in force at the time.
pub(crate) fn draw(evidence: &Evidence<'_>, plot: &Plot<'_>) -> String {
    let witnesses = || evidence.operations.iter().map(|exhibit| exhibit.witness);
    let begins = witnesses().map(|witness| witness.invoked);
    let times = begins.chain(witnesses().filter_map(returned)).collect();
    let scale = BrokenScale::over(times, evidence.unit, LEFT + 24.0, RIGHT - 60.0);
    let lanes = Lanes::of(evidence, &scale, HEAD + 4.0);
    let mut pen = SvgBuilder::new(WIDTH, lanes.bottom + FOOT + 2.0);
    shade(&mut pen, plot, &scale, lanes.bottom);
    axis(&mut pen, &scale, lanes.bottom);
    lanes.draw(&mut pen);
    arrows::draw(&mut pen, evidence, &lanes);
    pen.finish("The operations that prove the violation", &description(evidence))
}

fn shade(pen: &mut SvgBuilder, plot: &Plot<'_>, scale: &BrokenScale, bottom: f64) {
    let (first, last) = scale.span();
    let mut free_from = LEFT;
    for (began, ended) in
        plot.windows.iter().filter(|&(began, ended)| began <= last && first <= ended)
    {
        let x = if began < first { LEFT } else { scale.x(began) };
        let right = if ended > last { RIGHT } else { scale.x(ended) };
        let area = Area { x, y: HEAD, width: (right - x).max(2.0), height: bottom - HEAD };
        pen.bar(area, 0.0, MarkStyle::Shade, "");
    }
    for (fault, began, ended) in plot.faults() {
        if began > last || ended < first {
            continue;
        }
        let x = if began < first { LEFT } else { scale.x(began) };
        let since = match began < first {
            true => format!(" (since {} before)", duration(first.since(began))),
            false => String::new(),
        };
        let nodes = brief(&fault.nodes.join(" "), LABEL_CHARACTERS);
        let name = format!("{} {nodes}{since}", fault_name(fault));
        let x = x.max(free_from);
        if x + text_width(&name) < WIDTH {
            pen.text((x, HEAD - 6.0), Anchor::Start, TextStyle::Fault, &name);
            free_from = x + text_width(&name) + 12.0;
        }
    }
}

fn axis(pen: &mut SvgBuilder, scale: &BrokenScale, bottom: f64) {
    for tick in scale.ticks() {
        pen.line((tick.at, HEAD), (tick.at, bottom), MarkStyle::Grid);
        pen.text((tick.at, bottom + 17.0), Anchor::Middle, TextStyle::Muted, &tick.label);
    }
    pen.line((LEFT, bottom), (RIGHT, bottom), MarkStyle::Axis);
    let gaps: Vec<_> = scale
        .gaps()
        .map(|(x, right, length)| (f64::midpoint(x, right), scale.unit.duration(length)))
        .collect();
    let in_full = |length: &str| format!("{length} later");
    let collide = gaps.windows(2).any(|pair| {
        let [(left, one), (right, other)] = pair else { return false };
        let widths = [one, other].map(|length| text_width(&in_full(length)));
        right - left < f64::midpoint(widths[0], widths[1]) + 6.0
    });
    for (middle, length) in gaps {
        for side in [middle - 3.0, middle + 3.0] {
            pen.line((side + 3.0, HEAD), (side - 3.0, bottom), MarkStyle::Gap);
        }
        let label = if collide { format!("+{length}") } else { in_full(&length) };
        pen.text((middle, bottom + 17.0), Anchor::Middle, TextStyle::Text, &label);
    }
}

fn description(evidence: &Evidence<'_>) -> String {
    let (begin, end) = evidence.span();
    let labels: Vec<_> = evidence
        .operations
        .iter()
        .take(12)
        .map(|exhibit| format!("process {}: {}", exhibit.witness.process, exhibit.label))
        .collect();
    format!(
        "{} between {} and {}. {}.",
        counted(evidence.operations.len() as u64, "operation"),
        evidence.unit.instant(begin),
        evidence.unit.instant(end),
        labels.join("; ")
    )
}
