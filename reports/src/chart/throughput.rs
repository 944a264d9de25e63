//! Draws operations per second over the run, stacked by what became of them.

use super::axis::AmountAxis;
use super::pen::{Anchor, Area, Path};
use super::plot::{FOOT, HEAD, LEFT, RIGHT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::series::throughput::{Ended, Throughput};
use crate::text::number::{amount, counted};

const HEIGHT: f64 = 130.0;

/// How many operations lie below a layer of the stack, and how many in it.
type Layer = fn(Ended) -> (u64, u64);

/// The chart with its axes.
pub(crate) fn draw(plot: &Plot<'_>, throughput: &Throughput) -> String {
    let (top, bottom) = (HEAD + 20.0, HEAD + 20.0 + HEIGHT);
    let per_second = 1e9 / throughput.buckets.width.0 as f64;
    let busiest = throughput.ended.iter().map(|ended| ended.total()).max().unwrap_or(0);
    let axis = AmountAxis::holding(busiest as f64 * per_second, top, bottom);
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.phase_names(&mut pen, 12.0);
    plot.fault_names(&mut pen, HEAD + 14.0);
    for tick in axis.ticks() {
        pen.line((LEFT, tick.at), (RIGHT, tick.at), MarkStyle::Grid);
        pen.text((LEFT - 8.0, tick.at + 4.0), Anchor::End, TextStyle::Muted, &tick.label);
    }
    pen.text((LEFT - 8.0, bottom + 4.0), Anchor::End, TextStyle::Muted, "0");
    let layers: [(MarkStyle, Layer); 3] = [
        (MarkStyle::Ok, |ended| (0, ended.ok)),
        (MarkStyle::Fail, |ended| (ended.ok, ended.fail)),
        (MarkStyle::Info, |ended| (ended.ok + ended.fail, ended.info)),
    ];
    for (paint, layer) in layers {
        let mut path = Path::default();
        for (index, &ended) in throughput.ended.iter().enumerate() {
            let (below, number) = layer(ended);
            if number == 0 {
                continue;
            }
            let foot = axis.y(below as f64 * per_second);
            let height = (foot - axis.y((below + number) as f64 * per_second)).max(1.0);
            let x = plot.axis.x(throughput.buckets.begin(index));
            let right = plot.axis.x(throughput.buckets.begin(index + 1));
            let width = (right - x - 0.6).max(0.8);
            path.block(Area { x, y: foot - height, width, height });
        }
        pen.path(&path, paint, "");
    }
    plot.marks(&mut pen, top, bottom);
    pen.finish("Operations per second", &description(throughput, busiest as f64 * per_second))
}

fn description(throughput: &Throughput, busiest: f64) -> String {
    let sum = |part: fn(&Ended) -> u64| throughput.ended.iter().map(part).sum::<u64>();
    let mut text = format!(
        "Up to {} operations a second. In all {} ok, {} fail, {} info",
        amount(busiest),
        sum(|ended| ended.ok),
        sum(|ended| ended.fail),
        sum(|ended| ended.info)
    );
    if throughput.open > 0 {
        text.push_str(&format!(
            "; {} never came back and are not drawn",
            counted(throughput.open, "operation")
        ));
    }
    text.push('.');
    text
}
