//! Decides whether the history of a growing string or list is linearizable, by its *versions*.
//!
//! If no piece was put or appended twice and contents can be taken apart into pieces in one way
//! only, a read shows every piece that is there, in order. So each piece that some read shows turns
//! one known content into another: its append is a compare-and-set from the one version to the
//! other, a put is a write, and a read is a read of the version that its last piece made. What was
//! appended and is shown by no read came last before a put or the end of the history; it is like a
//! write of a value that was never observed, since whatever follows it is another write. Of unknown
//! outcome, it may as well not have happened. These registers are linearizable exactly if the
//! object is, with the same order of operations, and [zones] decide on them.
//!
//! Costs what zones cost, besides looking once at every piece of every content that was read.
//!
//! Leaves alone, as [`Decision::Inexact`], deletes, empty pieces, pieces that were put or appended
//! twice, and texts of which one piece begins with another.

mod explanation;
mod pieces;
mod versions;

use std::collections::BTreeMap;

use super::zones;
use super::{Cancellation, Decision, Monitored, Slots, Span};
use crate::history::History;
use crate::model::{Append, Register};
use crate::value::Value;
use pieces::{NoPieces, Pieces};
use versions::{NoVersions, Versions};

impl Monitored for Append<'_> {
    const ENGINE: &'static str = "zones";

    type Scratch = Slots;

    fn scratch(&self, history: &History) -> Slots {
        Slots::new(history.values.len())
    }

    fn monitor(
        &self,
        history: &History,
        spans: &[Span],
        slots: &mut Slots,
        cancellation: &Cancellation<'_>,
    ) -> Decision {
        let pieces = match Pieces::of(self, spans, cancellation) {
            Ok(pieces) => pieces,
            Err(NoPieces::Inexact(obstacle)) => return Decision::Inexact(obstacle),
            Err(NoPieces::Stopped) => return Decision::Stopped,
        };
        let versions = match Versions::of(self, spans, &pieces, slots, cancellation) {
            Ok(versions) => versions,
            Err(NoVersions::Finding(finding)) => {
                let found = explanation::explain(self, history, spans, &pieces, &finding);
                return Decision::Violation(Box::new(found));
            }
            Err(NoVersions::Stopped) => return Decision::Stopped,
        };
        // Null, as the version of number 0, is what the object begins with.
        let register = Register::new(&Value::Null, &history.values);
        let Ok((registers, places)) = versions.as_registers(spans, &pieces, cancellation) else {
            return Decision::Stopped;
        };
        let mut slots = Slots::new(pieces.len());
        match zones::decide(&registers, register, &mut slots, cancellation) {
            zones::Decision::Inexact(obstacle) => Decision::Inexact(obstacle),
            zones::Decision::Stopped => Decision::Stopped,
            zones::Decision::Valid(order) => {
                Decision::Valid(order.into_iter().map(|span| places[span as usize]).collect())
            }
            zones::Decision::Violation(mut evidence) => {
                complete(&mut evidence, &versions, &pieces, &places);
                let mut found = zones::explain(history, &registers, &evidence);
                for (member, witness) in evidence.members.iter().zip(&mut found.operations) {
                    if member.as_write {
                        let span = places[member.span as usize];
                        explanation::as_put(self, &versions, &pieces, span, witness);
                    }
                }
                Decision::Violation(Box::new(found))
            }
        }
    }
}

/// Adds to a proof on registers what shows that appends are the compare-and-sets they stand for.
fn complete(
    evidence: &mut zones::Evidence,
    versions: &Versions,
    pieces: &Pieces<'_>,
    places: &[u32],
) {
    let members = evidence.members.iter();
    let mut members: BTreeMap<u32, bool> =
        members.map(|member| (places[member.span as usize], member.as_write)).collect();
    versions.add_reads(pieces, &mut members);
    let register = |place: u32| places.binary_search(&place).expect("it is a register's") as u32;
    evidence.members = members
        .into_iter()
        .map(|(place, as_write)| zones::Member { span: register(place), as_write })
        .collect();
}
