//! Puts a violation into words that a newcomer understands.

use super::evidence::{Evidence, Explanation};
use crate::engines::{Span, witness};
use crate::event::Nanoseconds;
use crate::history::{Action, History, Operation, Outcome, Response};
use crate::value::{Value, ValueId};
use crate::verdict::{Anomaly, Counterexample, Edge};
use crate::words::{self, brief, capital};

/// The counterexample that `evidence` on `spans` of `history` amounts to.
pub(crate) fn explain(history: &History, spans: &[Span], evidence: &Evidence) -> Counterexample {
    let explainer = Explainer { history, spans };
    let operations = evidence
        .members
        .iter()
        .map(|member| witness(history, &spans[member.span as usize], member.as_write));
    let place = |span: u32| {
        let found = evidence.members.iter().position(|member| member.span == span);
        found.expect("an edge joins members")
    };
    let edges = evidence.edges.iter();
    let (anomaly, sentence, stale_for) = explainer.words(&evidence.explanation);
    Counterexample {
        key: explainer.key().clone(),
        anomaly,
        sentence,
        stale_for: stale_for.filter(|_| history.has_clock()),
        stale_by_versions: evidence.versions,
        operations: operations.collect(),
        cycle: edges
            .map(|&(from, to, relation)| Edge {
                from: place(from),
                to: place(to),
                relation,
                given: Vec::new(),
            })
            .collect(),
        impasse: None,
        hint: None,
    }
}

struct Explainer<'a> {
    history: &'a History,
    spans: &'a [Span],
}

impl Explainer<'_> {
    fn operation(&self, span: u32) -> &Operation {
        &self.history.operations[self.spans[span as usize].operation as usize]
    }

    fn key(&self) -> &Value {
        self.history.key(self.history.operations[self.spans[0].operation as usize].key)
    }

    fn words(&self, explanation: &Explanation) -> (Anomaly, String, Option<Nanoseconds>) {
        match *explanation {
            Explanation::RefusedItsOwn { cas } => {
                (Anomaly::NotLinearizable, self.refused_its_own(cas), None)
            }
            Explanation::FromNowhere { observer } => {
                (Anomaly::ValueFromNowhere, self.nowhere(observer), None)
            }
            Explanation::SwappedTwice { first, second } => {
                (Anomaly::LostUpdate, self.swapped_twice(first, second), None)
            }
            Explanation::Circle { ref swaps } => (Anomaly::CircularSwaps, self.circle(swaps), None),
            Explanation::Future { writer, observer } => {
                (Anomaly::ReadFromTheFuture, self.future(writer, observer), None)
            }
            Explanation::Stale { reader, newer } => {
                let stale_for = self.began(reader).since(self.ended(newer));
                (Anomaly::StaleRead, self.stale(reader, newer, stale_for), Some(stale_for))
            }
            // In a part of a history, others may have seen what nobody saw here.
            Explanation::Lost { reader, write } if self.is_seen(write) => {
                let stale_for = self.began(reader).since(self.ended(write));
                (Anomaly::StaleRead, self.stale(reader, write, stale_for), Some(stale_for))
            }
            Explanation::Lost { reader, write } => {
                let stale_for = self.began(reader).since(self.ended(write));
                (Anomaly::LostWrite, self.lost(reader, write, stale_for), Some(stale_for))
            }
            Explanation::Contradiction { one, other } => {
                (Anomaly::ContradictoryOrder, self.contradiction(one, other), None)
            }
        }
    }

    fn refused_its_own(&self, cas: u32) -> String {
        let expected = self.observed(cas);
        format!(
            "{} expected {expected} in a compare-and-set{} at {}, was refused, and was told that \
             it had found {expected}: exactly what it expected.",
            capital(&self.who(cas)),
            self.on_key(),
            self.instant(self.began(cas)),
        )
    }

    fn nowhere(&self, observer: u32) -> String {
        let value = self.observed_id(observer);
        let origin = match value.and_then(|value| self.failed_writer(value)) {
            Some(writer) => format!(
                "which only process {} tried to write, and was told that it had not: \
                 a value from nowhere",
                writer.process
            ),
            None => "which nobody wrote: a value from nowhere".to_owned(),
        };
        format!("{}, {origin}.", capital(&self.saw(observer)))
    }

    fn swapped_twice(&self, first: u32, second: u32) -> String {
        if let Action::Other(..) = self.operation(first).action {
            return format!(
                "{} and {} both came directly after the same content{}, as reads show: only one of \
                 them can.",
                capital(&self.the_write(first)),
                self.the_write(second),
                self.on_key(),
            );
        }
        format!(
            "{} swapped {}{}, and {} swapped {}: both replaced {}, which can only go once, \
             but went twice: a lost update.",
            capital(&self.who(first)),
            self.swap(first),
            self.on_key(),
            self.who(second),
            self.swap(second),
            self.observed(first),
        )
    }

    fn circle(&self, swaps: &[u32]) -> String {
        let shown: Vec<String> = swaps.iter().take(4).map(|&cas| self.swap(cas)).collect();
        let more = if swaps.len() > 4 { " and so on" } else { "" };
        format!(
            "Compare-and-sets{} could only follow each other in a circle: {}{more}; \
             none of them can have been the first.",
            self.on_key(),
            shown.join(", "),
        )
    }

    fn future(&self, writer: u32, observer: u32) -> String {
        let ahead = self.began(writer).since(self.ended(observer));
        format!(
            "{} and was done at {}, {} before {} was even asked for: a read from the future.",
            capital(&self.saw(observer)),
            self.instant(self.ended(observer)),
            self.duration(ahead),
            self.the_write(writer),
        )
    }

    fn stale(&self, reader: u32, newer: u32, stale_for: Nanoseconds) -> String {
        let newer = if self.is_write(newer) {
            format!("{} had completed and replaced it", self.the_write(newer))
        } else {
            let told = self.saw_what(newer);
            format!("{} had {told}, which replaced it", self.who(newer))
        };
        format!(
            "{} at {}, {} after {newer}: a stale read.",
            capital(&self.saw(reader)),
            self.instant(self.began(reader)),
            self.duration(stale_for),
        )
    }

    fn lost(&self, reader: u32, write: u32, stale_for: Nanoseconds) -> String {
        format!(
            "{} at {}, {} after {} had completed and replaced it; nobody ever saw {}: \
             a lost write.",
            capital(&self.saw(reader)),
            self.instant(self.began(reader)),
            self.duration(stale_for),
            self.the_write(write),
            self.written(write),
        )
    }

    fn contradiction(&self, one: [u32; 2], other: [u32; 2]) -> String {
        let each =
            |[first, then]: [u32; 2]| format!("{} before {}", self.did(first), self.did(then));
        format!(
            "{}, but {}: no single order of the values fits both.",
            capital(&each(one)),
            each(other)
        )
    }

    /// "process 3 (via n1)"
    fn who(&self, span: u32) -> String {
        let operation = self.operation(span);
        match operation.node {
            Some(node) => format!(
                "process {} (via {})",
                operation.process,
                self.history.nodes[usize::from(node.0)]
            ),
            None => format!("process {}", operation.process),
        }
    }

    /// "process 3 (via n1) read 17 from key k1"
    fn saw(&self, span: u32) -> String {
        let place = match (self.operation(span).action, self.key()) {
            (Action::Read, key) if !key.is_null() => format!(" from key {}", key.in_words()),
            _ => self.on_key(),
        };
        format!("{} {}{place}", self.who(span), self.saw_what(span))
    }

    fn saw_what(&self, span: u32) -> String {
        let value = self.observed(span);
        match (self.operation(span).action, self.operation(span).response()) {
            (Action::Cas { .. }, Some(Response::Mismatch(_))) => {
                format!("found {value} in a compare-and-set that did not match")
            }
            (Action::Cas { .. }, _) => format!("swapped {}", self.swap(span)),
            (Action::Other(..), _) => {
                format!("appended {} right after an older value", self.written(span))
            }
            _ => format!("read {value}"),
        }
    }

    /// "process 3 (via n1) wrote 17 to key k1" or what it saw.
    fn did(&self, span: u32) -> String {
        match self.operation(span).action {
            Action::Write(value) => {
                format!("{} wrote {}{}", self.who(span), self.show(value), self.on_key())
            }
            _ => self.saw(span),
        }
    }

    /// "the write of 18 by process 5"
    fn the_write(&self, span: u32) -> String {
        match self.operation(span).action {
            Action::Cas { .. } => {
                format!("the compare-and-set from {} by {}", self.swap(span), self.who(span))
            }
            Action::Other(..) => {
                format!("the append of {} by {}", self.written(span), self.who(span))
            }
            _ => format!("the write of {} by {}", self.written(span), self.who(span)),
        }
    }

    fn is_write(&self, span: u32) -> bool {
        matches!(
            (self.operation(span).action, self.operation(span).response()),
            (Action::Write(_) | Action::Other(..), _)
                | (Action::Cas { .. }, Some(Response::Swapped) | None)
        )
    }

    /// "17 to 18"
    fn swap(&self, span: u32) -> String {
        match self.operation(span).action {
            Action::Cas { expected, new } => {
                format!("{} to {}", self.show(expected), self.show(new))
            }
            _ => self.written(span),
        }
    }

    fn on_key(&self) -> String {
        match self.key() {
            Value::Null => String::new(),
            key => format!(" on key {}", key.in_words()),
        }
    }

    fn observed_id(&self, span: u32) -> Option<ValueId> {
        match (self.operation(span).action, self.operation(span).response()) {
            (Action::Read, Some(Response::Value(value))) => Some(value),
            (Action::Cas { .. }, Some(Response::Mismatch(saw))) => saw,
            (Action::Cas { expected, .. }, _) => Some(expected),
            _ => None,
        }
    }

    fn observed(&self, span: u32) -> String {
        self.observed_id(span).map_or_else(|| "nothing".to_owned(), |value| self.show(value))
    }

    fn written(&self, span: u32) -> String {
        match self.operation(span).action {
            Action::Write(value) | Action::Cas { new: value, .. } | Action::Other(_, value) => {
                self.show(value)
            }
            _ => "nothing".to_owned(),
        }
    }

    fn show(&self, value: ValueId) -> String {
        brief(self.history.values.get(value))
    }

    /// Whether an operation on the key is known to have observed what the span wrote.
    fn is_seen(&self, span: u32) -> bool {
        let (Action::Write(value) | Action::Cas { new: value, .. }) = self.operation(span).action
        else {
            return false;
        };
        let key = self.operation(span).key;
        self.history.operations.iter().any(|operation| {
            let observed = match (operation.action, operation.response()) {
                (Action::Read, Some(Response::Value(read))) => Some(read),
                (Action::Cas { .. }, Some(Response::Mismatch(saw))) => saw,
                (Action::Cas { expected, .. }, Some(Response::Swapped)) => Some(expected),
                _ => None,
            };
            operation.key == key && observed == Some(value)
        })
    }

    /// An operation on the key that was to write the value and certainly did not.
    fn failed_writer(&self, value: ValueId) -> Option<&Operation> {
        let key = self.operation(0).key;
        self.history.operations.iter().find(|operation| {
            let written = match operation.action {
                Action::Write(written) | Action::Cas { new: written, .. } => Some(written),
                _ => None,
            };
            let refused = operation.is_failed()
                || matches!(operation.response(), Some(Response::Mismatch(_)));
            refused && operation.key == key && written == Some(value)
        })
    }

    fn instant(&self, time: Nanoseconds) -> String {
        words::instant(time, self.history.has_clock())
    }

    fn duration(&self, time: Nanoseconds) -> String {
        words::duration(time, self.history.has_clock())
    }

    fn began(&self, span: u32) -> Nanoseconds {
        self.operation(span).invoked.time
    }

    fn ended(&self, span: u32) -> Nanoseconds {
        match self.operation(span).outcome {
            Outcome::Ok(moment, _) | Outcome::Fail(moment) | Outcome::Info(Some(moment)) => {
                moment.time
            }
            Outcome::Info(None) => self.operation(span).invoked.time,
        }
    }
}
