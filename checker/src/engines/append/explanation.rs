//! Puts what reads show wrongly into words that a newcomer understands, and picks what proves it.
//!
//! Of a content only the end matters: the last piece before what is wrong stands in the proof as
//! the put of all up to it, which it also is, and the pieces before it are left out.

use super::pieces::{NONE, Pieces, beginning};
use super::versions::{Finding, Versions};

use crate::engines::phrases::Phrases;
use crate::engines::{Cancellation, Span, counterexample};
use crate::event::Function;
use crate::history::{History, Response};
use crate::model::Append;
use crate::value::Value;
use crate::verdict::{Anomaly, Counterexample, CounterexampleOperation, Relation};
use crate::words::{around, brief, capital};

pub(super) fn explain(
    model: &Append<'_>,
    history: &History,
    spans: &[Span],
    pieces: &Pieces<'_>,
    finding: &Finding,
) -> Counterexample {
    let explainer = Explainer { model, pieces, phrases: Phrases::new(history, spans) };
    let proof = explainer.proof(finding);
    let words = explainer.words(finding);
    let mut found = counterexample::of(history, spans, &proof.members, &proof.cycle, words);
    for (place, content) in proof.puts {
        let index = explainer.phrases.operation(place).invoked.position;
        let witness = found.operations.iter_mut().find(|witness| witness.index == index);
        show_as_put(witness.expect("a put is a member"), content);
    }
    found
}

struct Explainer<'a> {
    model: &'a Append<'a>,
    pieces: &'a Pieces<'a>,
    phrases: Phrases<'a>,
}

/// What proves a violation, by places of spans.
#[derive(Default)]
struct Proof {
    members: Vec<u32>,
    /// Members that stand for puts of these contents.
    puts: Vec<(u32, Value)>,
    cycle: Vec<(u32, u32, Relation)>,
}

impl Explainer<'_> {
    fn content(&self, read: u32) -> &Value {
        match self.phrases.spans[read as usize].call.response {
            Some(Response::Value(content)) => self.model.value(content),
            _ => &Value::Null,
        }
    }

    /// The pieces that the read shows, and after each how much.
    fn shown(&self, read: u32) -> Vec<(u32, Value)> {
        let content = self.content(read);
        let found = self.pieces.take_apart(content, |_| NONE, &Cancellation::never());
        let (found, _) = found.expect("nothing tells it to stop");
        let mut end = 0;
        found
            .into_iter()
            .map(|piece| {
                end += self.pieces.size(piece);
                (piece, beginning(content, end))
            })
            .collect()
    }

    fn proof(&self, finding: &Finding) -> Proof {
        let mut proof = Proof::default();
        match *finding {
            Finding::FromNowhere { read } => {
                proof.members.push(read);
                if let Some(last) = self.shown(read).pop() {
                    self.add_put(last, &mut proof);
                }
            }
            Finding::Twice { read, piece } => {
                proof.members.push(read);
                let shown = self.shown(read);
                let mut places = (0..shown.len()).filter(|&place| shown[place].0 == piece);
                if let (Some(first), Some(second)) = (places.next(), places.next()) {
                    self.add_put(shown[first].clone(), &mut proof);
                    self.add(&shown[first + 1..second], &mut proof);
                }
            }
            Finding::Disagreement { one, other, piece } => {
                use Relation::OverwrittenBefore;
                proof.cycle =
                    vec![(one, other, OverwrittenBefore), (other, one, OverwrittenBefore)];
                for read in [one, other] {
                    proof.members.push(read);
                    let mut shown = self.shown(read);
                    let after = shown.iter().position(|(it, _)| *it == piece).unwrap_or(0);
                    let rest = shown.split_off(after);
                    self.add(&rest, &mut proof);
                    if let Some(last) = shown.pop() {
                        self.add_put(last, &mut proof);
                    }
                }
                self.undo_puts(&mut proof);
            }
        }
        proof
    }

    fn add(&self, shown: &[(u32, Value)], proof: &mut Proof) {
        let spans = shown.iter().map(|(piece, _)| self.pieces.get(*piece).span);
        proof.members.extend(spans.filter(|&span| span != NONE));
    }

    fn add_put(&self, (piece, content): (u32, Value), proof: &mut Proof) {
        let piece = self.pieces.get(piece);
        if piece.span != NONE {
            proof.members.push(piece.span);
            if !piece.is_base {
                proof.puts.push((piece.span, content));
            }
        }
    }

    /// If a piece would stand for two things, all are what they were.
    fn undo_puts(&self, proof: &mut Proof) {
        let count = |span: u32| proof.members.iter().filter(|&&member| member == span).count();
        if proof.puts.iter().any(|&(span, _)| count(span) > 1) {
            proof.puts.clear();
            let reads: Vec<u32> = proof.cycle.iter().map(|&(read, _, _)| read).collect();
            for read in reads {
                self.add(&self.shown(read), proof);
            }
        }
    }

    /// "process 3 (via n1) read […, 1, 2, …] from key k1", so that one sees where the piece stands.
    fn saw_around(&self, read: u32, piece: u32) -> String {
        let phrases = &self.phrases;
        let place = match phrases.key {
            Value::Null => String::new(),
            key => format!(" from key {}", key.in_words()),
        };
        let content = self.content(read);
        let at = match content {
            Value::List(items) => {
                let value = self.model.value(self.pieces.get(piece).value);
                items.iter().position(|item| item == value).unwrap_or(0)
            }
            _ => 0,
        };
        format!("{} read {}{place}", phrases.who(read), around(content, at))
    }

    fn words(&self, finding: &Finding) -> (Anomaly, String) {
        let phrases = &self.phrases;
        let saw = |read: u32| {
            let place = match phrases.key {
                Value::Null => String::new(),
                key => format!(" from key {}", key.in_words()),
            };
            format!("{} read {}{place}", phrases.who(read), brief(self.content(read)))
        };
        let name = |piece: u32| brief(self.model.value(self.pieces.get(piece).value));
        match *finding {
            Finding::FromNowhere { read } => (
                Anomaly::ValueFromNowhere,
                format!(
                    "{} at {}, which nothing that was put and appended can make: a value from \
                     nowhere.",
                    capital(&saw(read)),
                    phrases.until(read),
                ),
            ),
            Finding::Twice { read, piece } => (
                Anomaly::DuplicateApply,
                format!(
                    "{} at {}, which shows {} twice, but it was added only once, by {}: applied \
                     twice.",
                    capital(&saw(read)),
                    phrases.until(read),
                    name(piece),
                    phrases.who(self.pieces.get(piece).span),
                ),
            ),
            Finding::Disagreement { one, other, piece } => (
                Anomaly::ContradictoryOrder,
                format!(
                    "{}, and {}: they show {} after different contents, but it was added only once.",
                    capital(&self.saw_around(one, piece)),
                    self.saw_around(other, piece),
                    name(piece),
                ),
            ),
        }
    }
}

/// Shows an append as the put of the whole content that it also is.
pub(super) fn as_put(
    model: &Append<'_>,
    versions: &Versions,
    pieces: &Pieces<'_>,
    span: u32,
    witness: &mut CounterexampleOperation,
) {
    let Some(version) = pieces.of_span(span) else { return };
    let content = versions.content(version, pieces).into_iter().map(|piece| pieces.get(piece));
    let content = if model.is_list() {
        let items = content.flat_map(|piece| match model.value(piece.value) {
            Value::List(items) if piece.is_base => items.to_vec(),
            item => vec![item.clone()],
        });
        Value::list(items.collect::<Vec<_>>())
    } else {
        let texts = content.map(|piece| match model.value(piece.value) {
            Value::Text(text) => text,
            _ => "",
        });
        Value::text(texts.collect::<String>())
    };
    show_as_put(witness, content);
}

fn show_as_put(witness: &mut CounterexampleOperation, content: Value) {
    witness.function = Function::Write;
    witness.argument = None;
    witness.value = content;
}
