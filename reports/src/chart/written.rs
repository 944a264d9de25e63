//! Draws what became of written values by the time at which they were sent, a row for each fate.

use super::pen::{Anchor, Area};
use super::plot::{FOOT, HEAD, LEFT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::series::written::{WriteOutcome, Written};
use crate::text::number::{count, counted, duration, instant_short};

const ROW: f64 = 24.0;

/// The drawing and its sums in words.
pub(crate) struct WrittenView {
    pub(crate) chart: String,
    pub(crate) note: String,
}

/// A row for each fate that any value has.
pub(crate) fn draw(plot: &Plot<'_>, written: &Written) -> WrittenView {
    let fates: Vec<WriteOutcome> =
        WriteOutcome::ALL.into_iter().filter(|it| written.total(*it) > 0).collect();
    let (top, bottom) = (HEAD, HEAD + ROW * fates.len() as f64 + 2.0);
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.fault_names(&mut pen, HEAD - 4.0);
    let most = written.counts.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
    for (row, fate) in fates.iter().enumerate() {
        let foot = top + ROW * (row + 1) as f64;
        pen.text((LEFT - 8.0, foot - 4.0), Anchor::End, TextStyle::Text, name(*fate));
        for (index, counts) in written.counts.iter().enumerate() {
            let number = counts[*fate as usize];
            if number == 0 {
                continue;
            }
            let (begin, end) = (written.buckets.begin(index), written.buckets.begin(index + 1));
            let x = plot.axis.x(begin);
            // By area: one value among thousands is still seen.
            let height = ((number as f64 / most).sqrt() * (ROW - 4.0)).max(2.5);
            let width = (plot.axis.x(end) - x - 0.6).max(1.2);
            let hint = format!(
                "{} sent from {} on: {}",
                counted(number, "value"),
                instant_short(begin),
                in_words(*fate)
            );
            pen.bar(Area { x, y: foot - height, width, height }, 0.0, paint(*fate), &hint);
        }
    }
    plot.marks(&mut pen, top, bottom);
    let sums = fates.iter().map(|it| format!("{} {}", count(written.total(*it)), in_words(*it)));
    let mut note = sums.collect::<Vec<_>>().join(", ");
    note.push_str(&format!("; summed per {}, by invocation", duration(written.buckets.width)));
    if written.left_out > 0 {
        let left_out = counted(written.left_out, "write");
        note.push_str(&format!(
            "; {left_out} of values that were written more than once are left out"
        ));
    }
    let chart = pen.finish("What became of written values", &note);
    WrittenView { chart, note }
}

const fn name(fate: WriteOutcome) -> &'static str {
    match fate {
        WriteOutcome::OkRead => "ok, read",
        WriteOutcome::OkUnread => "ok, unread",
        WriteOutcome::OpenRead => "info, read",
        WriteOutcome::OpenUnread => "info, unread",
        WriteOutcome::FailRead => "fail, read",
    }
}

const fn in_words(fate: WriteOutcome) -> &'static str {
    match fate {
        WriteOutcome::OkRead => "answered and read",
        WriteOutcome::OkUnread => "answered and never read",
        WriteOutcome::OpenRead => "of unknown outcome and read",
        WriteOutcome::OpenUnread => "of unknown outcome and never read",
        WriteOutcome::FailRead => "certainly failed and read all the same",
    }
}

const fn paint(fate: WriteOutcome) -> MarkStyle {
    match fate {
        WriteOutcome::OkRead => MarkStyle::Ok,
        WriteOutcome::OkUnread => MarkStyle::Density(2),
        WriteOutcome::OpenRead | WriteOutcome::OpenUnread => MarkStyle::Info,
        WriteOutcome::FailRead => MarkStyle::KeptOff,
    }
}
