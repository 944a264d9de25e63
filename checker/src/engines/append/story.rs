//! Puts what reads show wrongly into words that a newcomer understands.

use super::pieces::Pieces;
use super::versions::{Finding, Versions};
use crate::engines::narrator::Narrator;
use crate::engines::{Span, counterexample};
use crate::event::Function;
use crate::history::{History, Response};
use crate::model::Append;
use crate::value::Value;
use crate::verdict::{Anomaly, Counterexample, Relation, Witness};
use crate::words::{brief, capital};

pub(super) fn tell(
    model: &Append<'_>,
    history: &History,
    spans: &[Span],
    pieces: &Pieces<'_>,
    finding: &Finding,
) -> Counterexample {
    let narrator = Narrator::new(history, spans);
    let saw = |read: u32| {
        let object = narrator.object("key");
        format!("{} read {} from {object}", narrator.who(read), brief(&narrator.answer(read)))
    };
    let name = |piece: u32| brief(model.value(pieces.get(piece).value));
    let mut cycle = Vec::new();
    let (reads, anomaly, sentence) = match *finding {
        Finding::FromNowhere { read } => {
            let sentence = format!(
                "{} at {}, which nothing that was put and appended can make: a value from nowhere.",
                capital(&saw(read)),
                narrator.until(read),
            );
            (vec![read], Anomaly::ValueFromNowhere, sentence)
        }
        Finding::Twice { read, piece } => {
            let sentence = format!(
                "{} at {}, which shows {} twice, but it was added only once, by {}: applied twice.",
                capital(&saw(read)),
                narrator.until(read),
                name(piece),
                narrator.who(pieces.get(piece).span),
            );
            (vec![read], Anomaly::DuplicateApply, sentence)
        }
        Finding::Disagreement { one, other, piece } => {
            cycle.push((one, other, Relation::OverwrittenBefore));
            cycle.push((other, one, Relation::OverwrittenBefore));
            let sentence = format!(
                "{}, and {}: they show {} after different contents, but it was added only once.",
                capital(&saw(one)),
                saw(other),
                name(piece),
            );
            (vec![one, other], Anomaly::ContradictoryOrder, sentence)
        }
    };
    let mut members = reads.clone();
    for read in reads {
        if let Some(Response::Value(content)) = spans[read as usize].call.response {
            let within = pieces.within(model.value(content)).into_iter();
            members.extend(
                within.map(|piece| pieces.get(piece).span).filter(|&it| it != super::pieces::NONE),
            );
        }
    }
    counterexample::of(history, spans, &members, &cycle, (anomaly, sentence))
}

/// Shows an append as the put of the whole content that it also is.
pub(super) fn as_put(
    model: &Append<'_>,
    versions: &Versions,
    pieces: &Pieces<'_>,
    span: u32,
    witness: &mut Witness,
) {
    let Some(version) = pieces.of_span(span) else { return };
    let content = versions.content(version, pieces);
    let values = content.into_iter().map(|piece| model.value(pieces.get(piece).value));
    witness.function = Function::Write;
    witness.argument = None;
    witness.value = if model.is_list() {
        let items = values.zip(0..).flat_map(|(value, place)| match value {
            // A base is a list of items; so can a later item be, but then it is one.
            Value::List(items) if place == 0 && is_base(pieces, versions, version) => {
                items.to_vec()
            }
            item => vec![item.clone()],
        });
        Value::list(items.collect::<Vec<_>>())
    } else {
        Value::text(values.map(ToString::to_string).collect::<String>())
    };
}

fn is_base(pieces: &Pieces<'_>, versions: &Versions, version: u32) -> bool {
    let content = versions.content(version, pieces);
    content.first().is_some_and(|&first| pieces.get(first).is_base)
}
