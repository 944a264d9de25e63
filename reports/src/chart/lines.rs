//! Draws when nodes wrote lines to their logs: a lane for each node, a tick for each line.

use super::pen::{Anchor, Area};
use super::plot::{FOOT, HEAD, LEFT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::surroundings::LoggedLine;
use crate::text::number::{counted, instant};
use crate::text::visible::{TEXT_CHARACTERS, brief};

const LANE: f64 = 18.0;
const NAME_CHARACTERS: usize = 11;

/// The ticks, or `None` if nobody wrote anything.
pub(crate) fn draw(plot: &Plot<'_>, lines: &[LoggedLine]) -> Option<String> {
    let mut nodes: Vec<&str> = lines.iter().map(|line| line.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.is_empty() {
        return None;
    }
    let (top, bottom) = (HEAD, HEAD + nodes.len() as f64 * LANE + 2.0);
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.fault_names(&mut pen, HEAD - 4.0);
    for (row, node) in nodes.iter().enumerate() {
        let y = top + row as f64 * LANE;
        pen.text(
            (LEFT - 8.0, y + 14.0),
            Anchor::End,
            TextStyle::Text,
            &brief(node, NAME_CHARACTERS),
        );
        for line in lines.iter().filter(|line| line.node == *node) {
            let area = Area { x: plot.axis.x(line.at), y: y + 3.0, width: 2.0, height: LANE - 5.0 };
            let hint = format!("{}: {}", instant(line.at), brief(&line.text, TEXT_CHARACTERS));
            pen.bar(area, 0.0, MarkStyle::Max, &hint);
        }
    }
    plot.marks(&mut pen, top, bottom);
    let told = format!(
        "{} of {}",
        counted(lines.len() as u64, "line"),
        counted(nodes.len() as u64, "node")
    );
    Some(pen.finish("When nodes wrote lines", &told))
}
