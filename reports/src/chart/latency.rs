//! Draws how long operations took over the run, on a logarithmic scale.
//!
//! Quantiles as lines; behind them, how densely the operations lie, as cells of four shades whose
//! number does not grow with the history's.

use partita_checker::Nanoseconds;

use super::pen::{Anchor, Area, Path};
use super::plot::{FOOT, HEAD, LEFT, RIGHT, WIDTH};
use super::{MarkStyle, Plot, SvgBuilder, TextStyle};
use crate::series::latency::{Latency, Quantiles, ROWS_PER_DECADE, Waits};
use crate::text::number::{count, duration};

const HEIGHT: f64 = 190.0;
const SHADES: u8 = 5;

/// The chart with its axes.
pub(crate) fn draw(plot: &Plot<'_>, latency: &Latency) -> String {
    let (top, bottom) = (HEAD + 4.0, HEAD + 4.0 + HEIGHT);
    let scale = LogScale { decades: latency.decades, top, bottom };
    let mut pen = SvgBuilder::new(WIDTH, bottom + FOOT);
    plot.ground(&mut pen, top, bottom);
    plot.fault_names(&mut pen, HEAD - 4.0);
    for exponent in latency.decades.0..=latency.decades.1 {
        let y = scale.y(f64::from(exponent));
        pen.line((LEFT, y), (RIGHT, y), MarkStyle::Grid);
        let label = duration(Nanoseconds(10_u64.saturating_pow(exponent)));
        pen.text((LEFT - 8.0, y + 4.0), Anchor::End, TextStyle::Muted, &label);
    }
    densities(&mut pen, plot, latency, scale);
    quantiles(&mut pen, plot, latency, scale);
    plot.marks(&mut pen, top, bottom);
    pen.finish("Latency", &description(latency))
}

/// Latency upwards, logarithmic.
#[derive(Clone, Copy)]
struct LogScale {
    decades: (u32, u32),
    top: f64,
    bottom: f64,
}

impl LogScale {
    /// The place of 10^`exponent` nanoseconds.
    fn y(self, exponent: f64) -> f64 {
        let (first, last) = (f64::from(self.decades.0), f64::from(self.decades.1));
        self.bottom - (exponent - first) / (last - first) * (self.bottom - self.top)
    }

    fn of(self, latency: Nanoseconds) -> f64 {
        self.y((latency.0.max(1) as f64).log10())
    }
}

fn densities(pen: &mut SvgBuilder, plot: &Plot<'_>, latency: &Latency, scale: LogScale) {
    let rows = latency.rows();
    let densest = latency.ok_density.iter().copied().max().unwrap_or(0);
    let mut shades: [Path; SHADES as usize] = Default::default();
    let mut unknown = Path::default();
    for (cell, (&ok, &info)) in latency.ok_density.iter().zip(&latency.info_density).enumerate() {
        if ok == 0 && info == 0 {
            continue;
        }
        let (bucket, row) = (cell / rows, cell % rows);
        let x = plot.axis.x(latency.buckets.begin(bucket));
        let right = plot.axis.x(latency.buckets.begin(bucket + 1));
        let exponent =
            |row: usize| f64::from(latency.decades.0) + row as f64 / ROWS_PER_DECADE as f64;
        let (y, foot) = (scale.y(exponent(row + 1)), scale.y(exponent(row)));
        let width = (right - x - 0.6).max(0.8);
        if ok > 0 {
            let area = Area { x, y: y + 0.3, width, height: foot - y - 0.6 };
            shades[shade(ok, densest)].block(area);
        }
        if info > 0 {
            let (middle, centre) = (x + width / 2.0, f64::midpoint(y, foot));
            unknown.start((middle - 3.0, centre - 3.0));
            unknown.stroke((middle + 3.0, centre + 3.0));
            unknown.start((middle - 3.0, centre + 3.0));
            unknown.stroke((middle + 3.0, centre - 3.0));
        }
    }
    for (shade, path) in (0..SHADES).zip(&shades) {
        pen.path(path, MarkStyle::Density(shade), "");
    }
    pen.path(&unknown, MarkStyle::InfoDensity, "");
}

/// Shades grow with the logarithm: one slow operation among thousands must be seen.
fn shade(operations: u32, densest: u32) -> usize {
    let part = f64::from(operations).ln_1p() / f64::from(densest).ln_1p();
    ((part * f64::from(SHADES)) as usize).min(usize::from(SHADES) - 1)
}

/// Picks one quantile.
type Quantile = fn(&Quantiles) -> Nanoseconds;

fn quantiles(pen: &mut SvgBuilder, plot: &Plot<'_>, latency: &Latency, scale: LogScale) {
    let lines: [(MarkStyle, Quantile); 3] = [
        (MarkStyle::P99, |quantiles| quantiles.p99),
        (MarkStyle::P95, |quantiles| quantiles.p95),
        (MarkStyle::P50, |quantiles| quantiles.p50),
    ];
    let middle = |stretch: usize| {
        let x = plot.axis.x(latency.stretches.begin(stretch));
        f64::midpoint(x, plot.axis.x(latency.stretches.begin(stretch + 1)))
    };
    for (paint, quantile) in lines {
        let mut path = Path::default();
        let mut drawing = false;
        for (stretch, quantiles) in latency.quantiles.iter().enumerate() {
            let Some(quantiles) = quantiles else {
                drawing = false;
                continue;
            };
            let point = (middle(stretch), scale.of(quantile(quantiles)));
            if drawing {
                path.stroke(point);
            } else {
                path.start((point.0 - 1.0, point.1));
                path.stroke(point);
            }
            drawing = true;
        }
        pen.path(&path, paint, "");
    }
    let mut slowest = Path::default();
    for (stretch, quantiles) in latency.quantiles.iter().enumerate() {
        let Some(quantiles) = quantiles else { continue };
        let (x, y) = (middle(stretch), scale.of(quantiles.max));
        slowest.block(Area { x: x - 1.5, y: y - 1.5, width: 3.0, height: 3.0 });
    }
    pen.path(&slowest, MarkStyle::Max, "");
}

fn description(latency: &Latency) -> String {
    let mut parts = Vec::new();
    for (when, quantiles) in [("outside faults", latency.calm), ("during faults", latency.faulty)] {
        let Some(Waits { p50, p95, p99, max, unanswered, .. }) = quantiles else { continue };
        parts.push(format!(
            "{when}: median {p50}, p95 {p95}, p99 {p99}, max {max}, {} without an answer",
            count(unanswered)
        ));
    }
    if parts.is_empty() {
        return "No operation came back with an answer.".to_owned();
    }
    format!("{}.", parts.join("; "))
}
