//! The frame that all charts over the run share: one time axis, the faults' shade, the phases.

use partita_checker::{Analysis, Counterexample, Nanoseconds};
use partita_nemesis::FaultRecord;

use super::axis::TimeAxis;
use super::pen::{Anchor, Area, Path, text_width};
use super::{MarkStyle, SvgBuilder, TextStyle};
use crate::finding::FindingKind;
use crate::run::{Phase, Run};
use crate::series::{Windows, windows};
use crate::text::number::instant_short;
use crate::text::operation::value;
use crate::text::unit::TimeUnit;
use crate::text::visible::{LABEL_CHARACTERS, brief};

/// The width of every drawing.
pub(crate) const WIDTH: f64 = 1200.0;
/// Where time begins.
pub(crate) const LEFT: f64 = 84.0;
/// Where time ends.
pub(crate) const RIGHT: f64 = 1150.0;
/// What the time axis with its labels takes below a chart.
pub(crate) const FOOT: f64 = 24.0;
/// What the names of the faults take above a chart.
pub(crate) const HEAD: f64 = 18.0;

/// What the charts over the run have in common.
#[derive(Debug)]
pub(crate) struct Plot<'a> {
    /// The whole run.
    pub(crate) axis: TimeAxis,
    /// When faults were in force.
    pub(crate) windows: Windows,
    faults: Vec<&'a FaultRecord>,
    phases: Vec<&'a Phase>,
    findings: Vec<Finding>,
}

/// Something that was found, as charts mark it.
#[derive(Debug, Clone)]
struct Finding {
    /// When it was seen, or its proof was complete.
    at: Nanoseconds,
    /// `stale read on k3`, `crash: panic at src/log.rs:31`.
    what: String,
}

impl<'a> Plot<'a> {
    pub(crate) fn of(run: &Run<'a>) -> Self {
        let plot = Self::until(run.end(), TimeUnit::Clock, run.faults, &run.record.phases);
        let mut plot = plot.marking(run.analysis);
        let others = run.record.findings.iter().filter(|it| it.kind != FindingKind::Violation);
        plot.findings.extend(others.filter_map(|found| {
            Some(Finding { at: found.at_ns?, what: brief(&found.in_words(), LABEL_CHARACTERS) })
        }));
        plot.findings.sort_by_key(|finding| finding.at);
        plot
    }

    /// The frame of a part of the run.
    pub(crate) fn zoomed(&self, begin: Nanoseconds, end: Nanoseconds) -> Self {
        let end = end.max(Nanoseconds(begin.0 + 1_000));
        let run_ends = self.axis.end;
        let is_in = |from: Nanoseconds, to: Nanoseconds| from <= end && to >= begin;
        let faults = self.faults.iter().copied().filter(|fault| {
            let (from, to) = windows::span(fault, run_ends);
            is_in(from, to)
        });
        let faults: Vec<_> = faults.collect();
        let phases = self.phases.iter().copied().filter(|it| is_in(it.began_ns, it.ended_ns));
        let findings = self.findings.iter().filter(|finding| is_in(finding.at, finding.at));
        Self {
            axis: TimeAxis { begin, end, ..self.axis },
            windows: Windows::of(faults.iter().copied(), run_ends),
            phases: phases.collect(),
            findings: findings.cloned().collect(),
            faults,
        }
    }

    /// The same with the moments of what was found.
    pub(crate) fn marking(self, analysis: &Analysis) -> Self {
        let others = analysis.keys.iter().filter_map(|key| key.counterexample.as_deref());
        let mut findings: Vec<Finding> = analysis
            .counterexample
            .iter()
            .chain(others)
            .map(|found| Finding {
                at: proven_at(found),
                what: format!("{} on {}", found.anomaly.title(), value(&found.key)),
            })
            .collect();
        findings.sort_by_key(|finding| finding.at);
        findings.dedup_by(|one, other| (one.at, &one.what) == (other.at, &other.what));
        Self { findings, ..self }
    }

    /// The frame from the beginning of time to `end`.
    pub(crate) fn until(
        end: Nanoseconds,
        unit: TimeUnit,
        faults: &'a [FaultRecord],
        phases: &'a [Phase],
    ) -> Self {
        Self {
            axis: TimeAxis { begin: Nanoseconds(0), end, left: LEFT, right: RIGHT, unit },
            windows: Windows::of(faults, end),
            faults: faults.iter().collect(),
            phases: phases.iter().collect(),
            findings: Vec::new(),
        }
    }

    /// The faults with their begin and end.
    pub(crate) fn faults(
        &self,
    ) -> impl Iterator<Item = (&'a FaultRecord, Nanoseconds, Nanoseconds)> + '_ {
        self.faults.iter().copied().map(|fault| {
            let (began, ended) = windows::span(fault, self.axis.end);
            (fault, began, ended)
        })
    }

    /// When faults were in force, without the pauses that are too short to be seen: no more than
    /// one shade for every other unit of width.
    fn shades(&self) -> Vec<(Nanoseconds, Nanoseconds)> {
        let mut shades: Vec<(Nanoseconds, Nanoseconds)> = Vec::new();
        for (began, ended) in self.windows.iter() {
            match shades.last_mut() {
                Some(last) if self.axis.x(began) - self.axis.x(last.1) < 1.0 => last.1 = ended,
                _ => shades.push((began, ended)),
            }
        }
        shades
    }

    /// The background from `top` to `bottom`: faults shaded and named above, phases apart, the time
    /// axis below.
    pub(crate) fn ground(&self, pen: &mut SvgBuilder, top: f64, bottom: f64) {
        for (began, ended) in self.shades() {
            let (x, right) = (self.axis.x(began), self.axis.x(ended));
            let width = (right - x).max(1.0);
            let area = Area { x, y: top, width, height: bottom - top };
            let hint = format!("faults in force {} to {}", at(began), at(ended));
            pen.bar(area, 0.0, MarkStyle::Shade, &hint);
        }
        for tick in self.axis.ticks(10) {
            pen.line((tick.at, top), (tick.at, bottom), MarkStyle::Grid);
            pen.text((tick.at, bottom + 16.0), Anchor::Middle, TextStyle::Muted, &tick.label);
        }
        for phase in self.phases.iter().skip(1) {
            let x = self.axis.x(phase.began_ns);
            pen.line((x, top), (x, bottom), MarkStyle::PhaseEdge);
        }
        pen.line((LEFT, bottom), (RIGHT, bottom), MarkStyle::Axis);
    }

    /// Whether there is anything to mark.
    pub(crate) fn has_findings(&self) -> bool {
        !self.findings.is_empty()
    }

    /// Marks the moments of findings from `top` to `bottom`; those closer than a unit of width share
    /// a mark.
    pub(crate) fn marks(&self, pen: &mut SvgBuilder, top: f64, bottom: f64) {
        let mut rest = self.findings.as_slice();
        while let Some(first) = rest.first() {
            let x = self.axis.x(first.at);
            let together = rest.partition_point(|finding| self.axis.x(finding.at) - x < 1.0);
            let (these, others) = rest.split_at(together.max(1));
            let mut hint = format!("{} at {}", first.what, at(first.at));
            if these.len() > 1 {
                hint.push_str(&format!(", and {} more", these.len() - 1));
            }
            let mut path = Path::default();
            path.start((x, top - 4.0));
            path.stroke((x, bottom));
            pen.path(&path, MarkStyle::Finding, &hint);
            rest = others;
        }
    }

    /// The faults' names on one line, each where it began, left out where they would overlap.
    pub(crate) fn fault_names(&self, pen: &mut SvgBuilder, baseline: f64) {
        let mut free_from = LEFT;
        for (fault, began, _) in self.faults() {
            let name = fault_name(fault);
            let x = self.axis.x(began);
            let width = text_width(&name);
            if x >= free_from && x + width <= WIDTH {
                pen.text((x, baseline), Anchor::Start, TextStyle::Fault, &name);
                free_from = x + width + 8.0;
            }
        }
    }

    /// The phases' names on one line, left out where they do not fit.
    pub(crate) fn phase_names(&self, pen: &mut SvgBuilder, baseline: f64) {
        for phase in &self.phases {
            let (x, right) = (self.axis.x(phase.began_ns), self.axis.x(phase.ended_ns));
            let name = brief(&phase.name, LABEL_CHARACTERS);
            if text_width(&name) <= right - x {
                let middle = f64::midpoint(x, right);
                pen.text((middle, baseline), Anchor::Middle, TextStyle::Muted, &name);
            }
        }
    }
}

/// When the last operation of a proof came back.
pub(crate) fn proven_at(found: &Counterexample) -> Nanoseconds {
    let ends = found.proof().map(|witness| witness.completed.unwrap_or(witness.invoked));
    ends.max().unwrap_or_default()
}

/// A fault as charts and tables name it: its number and its name.
pub(crate) fn fault_name(fault: &FaultRecord) -> String {
    format!("#{} {}", fault.id, brief(&fault.fault, LABEL_CHARACTERS))
}

/// A time for a hint.
pub(crate) fn at(time: Nanoseconds) -> String {
    instant_short(time)
}
