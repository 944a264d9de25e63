//! Which content follows which: every piece that a read shows makes a version out of another.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::pieces::{INITIAL, NONE, Pieces};
use crate::engines::{Cancellation, Slots, Span, Stopped};
use crate::history::{Action, Response};
use crate::model::{Append, Call};
use crate::value::{Value, ValueId};

/// The versions of an object, each by the piece that it ends with.
pub(super) struct Versions {
    /// By piece, the version that it was appended to; [`NONE`] if no read shows it, or it is a
    /// base.
    previous: Vec<u32>,
    /// By piece, of the reads that show it one of the shortest contents.
    seen_by: Vec<u32>,
    /// By piece, how many pieces that read shows.
    seen_in: Vec<u32>,
    /// By span, the version that it read.
    read: Vec<u32>,
}

/// A violation that shows before zones do. Numbers are spans.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finding {
    /// A read shows what no pieces make.
    FromNowhere { read: u32 },
    /// A read shows a piece twice.
    Twice { read: u32, piece: u32 },
    /// Two reads show a piece after different ones.
    Disagreement { one: u32, other: u32, piece: u32 },
}

/// Why there are no versions.
pub(super) enum NoVersions {
    Finding(Finding),
    /// The time is up.
    Stopped,
}

impl From<Stopped> for NoVersions {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Finding> for NoVersions {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

/// What is remembered while contents are looked at.
struct Scratch {
    /// By piece, the read that was last seen to show it.
    shown: Vec<u32>,
    /// By piece, the one that was last seen to follow it.
    next: Vec<u32>,
}

impl Versions {
    pub(super) fn of(
        model: &Append<'_>,
        spans: &[Span],
        pieces: &Pieces<'_>,
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Result<Self, NoVersions> {
        let mut this = Self {
            previous: vec![NONE; pieces.len()],
            seen_by: vec![NONE; pieces.len()],
            seen_in: vec![u32::MAX; pieces.len()],
            read: vec![NONE; spans.len()],
        };
        slots.clear();
        let mut scratch =
            Scratch { shown: vec![NONE; pieces.len()], next: vec![NONE; pieces.len()] };
        for (place, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            let (Action::Read, Some(Response::Value(id))) = (span.call.action, span.call.response)
            else {
                continue;
            };
            this.read[place as usize] = match slots.get(id) {
                Some(version) => version,
                None => {
                    let version =
                        this.look(place, model.value(id), pieces, &mut scratch, cancellation)?;
                    slots.set(id, version);
                    version
                }
            };
        }
        Ok(this)
    }

    /// The version that the content is.
    fn look(
        &mut self,
        read: u32,
        content: &Value,
        pieces: &Pieces<'_>,
        scratch: &mut Scratch,
        cancellation: &Cancellation<'_>,
    ) -> Result<u32, NoVersions> {
        let Scratch { shown, next } = scratch;
        let likely = |last: Option<u32>| next[last.unwrap_or(INITIAL) as usize];
        let (found, end) = pieces.take_apart(content, likely, cancellation)?;
        let mut version = INITIAL;
        let length = found.len() as u32;
        for piece in found {
            cancellation.step()?;
            if std::mem::replace(&mut shown[piece as usize], read) == read {
                return Err(Finding::Twice { read, piece }.into());
            }
            let seen_by = &mut self.seen_by[piece as usize];
            if !pieces.get(piece).is_base {
                let previous = &mut self.previous[piece as usize];
                if *seen_by != NONE && *previous != version {
                    let one = *seen_by;
                    return Err(Finding::Disagreement { one, other: read, piece }.into());
                }
                *previous = version;
            }
            if length < self.seen_in[piece as usize] {
                (*seen_by, self.seen_in[piece as usize]) = (read, length);
            }
            next[version as usize] = piece;
            version = piece;
        }
        if !pieces.is_whole(content, end) {
            return Err(Finding::FromNowhere { read }.into());
        }
        Ok(version)
    }

    /// The spans as operations on a register that holds versions, with the places that they had.
    pub(super) fn as_registers(
        &self,
        spans: &[Span],
        pieces: &Pieces<'_>,
        cancellation: &Cancellation<'_>,
    ) -> Result<(Vec<Span>, Vec<u32>), Stopped> {
        let mut registers = Vec::with_capacity(spans.len());
        let mut places = Vec::with_capacity(spans.len());
        for (place, span) in (0_u32..).zip(spans) {
            cancellation.step()?;
            if let Some(call) = self.as_register(place, span, pieces) {
                registers.push(Span { call, ..*span });
                places.push(place);
            }
        }
        Ok((registers, places))
    }

    fn as_register(&self, place: u32, span: &Span, pieces: &Pieces<'_>) -> Option<Call> {
        let Some(piece) = pieces.of_span(place) else {
            let read = ValueId(self.read[place as usize]);
            return Some(Call { action: Action::Read, response: Some(Response::Value(read)) });
        };
        let (new, previous) = (ValueId(piece), self.previous[piece as usize]);
        if previous != NONE {
            let action = Action::Cas { expected: ValueId(previous), new };
            return Some(Call { action, response: span.call.response.map(|_| Response::Swapped) });
        }
        let response = span.call.response.map(|_| Response::Done);
        // Of unknown outcome and seen by nobody, it may as well not have happened.
        (response.is_some() || pieces.get(piece).is_base)
            .then_some(Call { action: Action::Write(new), response })
    }

    /// Adds, to members of a proof on registers, the reads that show after what each append among
    /// them came, with the appends between. `members` are spans, and whether only what they wrote
    /// matters.
    pub(super) fn add_reads(&self, pieces: &Pieces<'_>, members: &mut BTreeMap<u32, bool>) {
        let mut pending: Vec<u32> = members.keys().copied().collect();
        // By piece: whether a read among the members shows it.
        let mut shown = FxHashSet::default();
        let mut show = |read: u32, members: &mut BTreeMap<u32, bool>| {
            let mut piece = self.read[read as usize];
            while piece != INITIAL && shown.insert(piece) {
                let writer = pieces.get(piece).span;
                let is_cut = *members.entry(writer).or_insert(false);
                if is_cut || pieces.get(piece).is_base {
                    break;
                }
                piece = self.previous[piece as usize];
            }
        };
        for &read in pending.iter().filter(|&&place| pieces.of_span(place).is_none()) {
            show(read, members);
        }
        pending.retain(|&place| pieces.of_span(place).is_some());
        for append in pending {
            let piece = pieces.of_span(append).expect("an append or a put");
            let (previous, read) = (self.previous[piece as usize], self.seen_by[piece as usize]);
            if previous != NONE && !members[&append] && members.insert(read, false).is_none() {
                show(read, members);
            }
        }
    }

    /// The pieces of the version, in order.
    pub(super) fn content(&self, version: u32, pieces: &Pieces<'_>) -> Vec<u32> {
        let mut content = vec![version];
        let mut last = version;
        while !pieces.get(last).is_base {
            last = self.previous[last as usize];
            content.push(last);
        }
        if pieces.begins_empty {
            content.retain(|&piece| piece != INITIAL);
        }
        content.reverse();
        content
    }
}
