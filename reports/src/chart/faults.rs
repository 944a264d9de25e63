//! Draws the faults as bars over the run, one band of rows per family.

use partita_checker::Nanoseconds;
use partita_nemesis::{Family, FaultRecord};

use super::pen::{Anchor, Area, text_width};
use super::plot::{FOOT, LEFT, RIGHT, WIDTH, at, fault_name};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::text::number::{counted, duration};
use crate::text::visible::{LABEL_CHARACTERS, brief};

const ROW: f64 = 22.0;
const BAR: f64 = 18.0;
const TOP: f64 = 20.0;

/// No family takes more rows than this; what would need another is drawn over the last.
const MOST_ROWS: usize = 6;

/// The first `at_most` faults as bars, or `None` if there were none.
pub(crate) fn draw(plot: &Plot<'_>, at_most: usize) -> Option<String> {
    let faults: Vec<_> = plot.faults().take(at_most).collect();
    let mut families: Vec<Family> = faults.iter().map(|(fault, ..)| fault.family).collect();
    families.sort_unstable();
    families.dedup();
    if families.is_empty() {
        return None;
    }
    let bands: Vec<_> =
        families.into_iter().map(|family| Band::of(plot, &faults, family)).collect();
    let rows: usize = bands.iter().map(|band| band.rows).sum();
    let bottom = TOP + rows as f64 * ROW + bands.len() as f64 * 6.0;
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, TOP, bottom);
    plot.phase_names(&mut pen, 13.0);
    let mut y = TOP + 4.0;
    for band in &bands {
        pen.text((LEFT - 8.0, y + 13.0), Anchor::End, TextStyle::Muted, family_name(band.family));
        for bar in &band.bars {
            bar.draw(&mut pen, y);
        }
        y += band.rows as f64 * ROW + 6.0;
        if y < bottom {
            pen.line((LEFT, y - 4.0), (RIGHT, y - 4.0), MarkStyle::Grid);
        }
    }
    plot.marks(&mut pen, TOP, bottom);
    let description = description(plot);
    Some(pen.finish("Faults over the run", &description))
}

fn description(plot: &Plot<'_>) -> String {
    let total = plot.faults().count() as u64;
    let first = plot.faults().map(|(_, began, _)| began).min().unwrap_or_default();
    let last = plot.faults().map(|(.., ended)| ended).max().unwrap_or_default();
    format!("{} between {} and {}; see the table.", counted(total, "fault"), at(first), at(last))
}

/// A fault with its begin and end.
type Spanned<'a> = (&'a FaultRecord, Nanoseconds, Nanoseconds);

/// The faults of one family in as few rows as keep them apart.
struct Band<'a> {
    family: Family,
    rows: usize,
    bars: Vec<Bar<'a>>,
}

/// One fault's place.
struct Bar<'a> {
    fault: &'a FaultRecord,
    row: usize,
    x: f64,
    width: f64,
    label: Option<Label>,
    length: Nanoseconds,
}

impl<'a> Band<'a> {
    fn of(plot: &Plot<'a>, faults: &[Spanned<'a>], family: Family) -> Self {
        let mut free_from: Vec<f64> = Vec::new();
        let mut bars = Vec::new();
        let mut spans: Vec<_> =
            faults.iter().copied().filter(|(fault, ..)| fault.family == family).collect();
        spans.sort_by_key(|&(fault, began, _)| (began, fault.id));
        for (fault, began, ended) in spans {
            let x = plot.axis.x(began);
            let width = (plot.axis.x(ended) - x).max(3.0);
            let label = label(fault, x, width);
            let beside = match &label {
                Some(Label::Beside(text)) => text_width(text) + 8.0,
                Some(Label::Inside(_)) | None => 0.0,
            };
            let row = match free_from.iter().position(|&free| free <= x) {
                Some(row) => row,
                None if free_from.len() < MOST_ROWS => {
                    free_from.push(0.0);
                    free_from.len() - 1
                }
                None => MOST_ROWS - 1,
            };
            free_from[row] = x + width + beside + 2.0;
            bars.push(Bar { fault, row, x, width, label, length: ended.since(began) });
        }
        Self { family, rows: free_from.len().max(1), bars }
    }
}

/// Where a fault's name stands: on its bar if it fits there, else to the right of it.
enum Label {
    Inside(String),
    Beside(String),
}

/// The longest name of a fault that has room; none near the edge.
fn label(fault: &FaultRecord, x: f64, width: f64) -> Option<Label> {
    let name = fault_name(fault);
    let number = format!("#{}", fault.id);
    let full = match fault.nodes.as_slice() {
        [] => name.clone(),
        nodes => format!("{name} {}", brief(&nodes.join(" "), LABEL_CHARACTERS)),
    };
    let fits = |text: &String| text_width(text) + 8.0 <= width;
    if let Some(text) = [&full, &name].into_iter().find(|text| fits(text)) {
        return Some(Label::Inside(text.clone()));
    }
    let room = WIDTH - x - width - 4.0;
    [name, number].into_iter().find(|text| text_width(text) <= room).map(Label::Beside)
}

impl Bar<'_> {
    fn draw(&self, pen: &mut SvgBuilder, top: f64) {
        let y = top + self.row as f64 * ROW;
        let dud = self.fault.error.is_some() || !self.fault.had_effect();
        let paint = if dud { MarkStyle::DudFault } else { MarkStyle::Fault };
        let area = Area { x: self.x, y, width: self.width, height: BAR };
        let note = match (&self.fault.error, dud) {
            (Some(_), _) => ", failed",
            (None, true) => ", no measured effect",
            (None, false) => "",
        };
        let hint = format!(
            "{} on {} for {}{note}",
            fault_name(self.fault),
            brief(&self.fault.nodes.join(", "), LABEL_CHARACTERS),
            duration(self.length)
        );
        pen.bar(area, 3.0, paint, &hint);
        let (x, paint, text) = match &self.label {
            Some(Label::Inside(text)) => (self.x + 4.0, TextStyle::OnFault, text),
            Some(Label::Beside(text)) => (self.x + self.width + 4.0, TextStyle::Fault, text),
            None => return,
        };
        pen.text((x, y + 13.0), Anchor::Start, paint, text);
    }
}

/// A family as tables and charts name it.
pub(crate) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::Partition => "partition",
        Family::Link => "link",
        Family::Process => "process",
        Family::Clock => "clock",
        Family::Disk => "disk",
        Family::Membership => "membership",
        Family::Described => "described",
    }
}
