//! Puts a violation by a set into words that a newcomer understands.

use rustc_hash::FxHashSet;

use super::{Fault, Finding};
use crate::engines::phrases::Phrases;
use crate::engines::{Span, counterexample};
use crate::event::Function;
use crate::history::{Action, History};
use crate::model::Set;
use crate::value::{Value, ValueId};
use crate::verdict::{Anomaly, Counterexample, Relation};
use crate::words::{brief, capital};

pub(super) fn explain(
    set: &Set<'_>,
    history: &History,
    spans: &[Span],
    finding: &Finding,
) -> Counterexample {
    let explainer = Explainer { set, phrases: Phrases::new(history, spans) };
    let (anomaly, sentence) = explainer.words(finding);
    let cycle = cycle(&finding.fault);
    counterexample::of(history, spans, &finding.members, &cycle, (anomaly, sentence))
}

fn cycle(fault: &Fault) -> Vec<(u32, u32, Relation)> {
    use Relation::{OverwrittenBefore, ReadsFrom, RealTime};
    match *fault {
        Fault::FromTheFuture { add, observer } => {
            vec![(add, observer, ReadsFrom), (observer, add, RealTime)]
        }
        Fault::Missing { add, observer, .. } => {
            vec![(add, observer, RealTime), (observer, add, OverwrittenBefore)]
        }
        Fault::Resurrected { remove, observer } => {
            vec![(remove, observer, RealTime), (observer, remove, OverwrittenBefore)]
        }
        Fault::Shrunk { earlier, later } => {
            vec![(earlier, later, RealTime), (later, earlier, OverwrittenBefore)]
        }
        Fault::Incomparable { one, other } => {
            vec![(one, other, OverwrittenBefore), (other, one, OverwrittenBefore)]
        }
        Fault::FromNowhere { .. } | Fault::Repeated { .. } | Fault::Contradiction => Vec::new(),
    }
}

struct Explainer<'a> {
    set: &'a Set<'a>,
    phrases: Phrases<'a>,
}

impl Explainer<'_> {
    fn words(&self, finding: &Finding) -> (Anomaly, String) {
        match finding.fault {
            Fault::FromNowhere { observer } => (
                Anomaly::ValueFromNowhere,
                format!(
                    "{}, but nobody added it: a value from nowhere.",
                    self.saw_stranger(observer)
                ),
            ),
            Fault::Repeated { read } => (Anomaly::DuplicateElement, self.repeated(read)),
            Fault::FromTheFuture { add, observer } => (
                Anomaly::ReadFromTheFuture,
                format!(
                    "{} and was done at {}, before {} was even asked for at {}: a read from the \
                     future.",
                    capital(&self.saw(observer, add)),
                    self.phrases.until(observer),
                    self.the_change(add),
                    self.phrases.from(add),
                ),
            ),
            Fault::Missing { add, observer, seen } => {
                let anomaly = if seen { Anomaly::StaleRead } else { Anomaly::LostElement };
                let moral =
                    if seen { "a stale read" } else { "nobody ever saw it: a lost element" };
                (anomaly, self.missing(add, observer, moral))
            }
            Fault::Resurrected { remove, observer } => (
                Anomaly::ResurrectedElement,
                format!(
                    "{} at {}, after {} had come back at {}: a removed element came back.",
                    capital(&self.saw(observer, remove)),
                    self.phrases.from(observer),
                    self.the_change(remove),
                    self.phrases.until(remove),
                ),
            ),
            Fault::Shrunk { earlier, later } => (
                Anomaly::StaleRead,
                format!(
                    "{} read {} at {} and missed {}, which {} had read by {}, and nothing was \
                     removed: a stale read.",
                    capital(&self.phrases.who(later)),
                    self.phrases.object("set"),
                    self.phrases.from(later),
                    brief(&self.only_in(earlier, later)),
                    self.phrases.who(earlier),
                    self.phrases.until(earlier),
                ),
            ),
            Fault::Incomparable { one, other } => (
                Anomaly::ContradictoryOrder,
                format!(
                    "{} saw {} in {} without {}, {} the other way round, and nothing was removed: \
                     one of them was added first.",
                    capital(&self.phrases.who(one)),
                    brief(&self.only_in(one, other)),
                    self.phrases.object("set"),
                    brief(&self.only_in(other, one)),
                    self.phrases.who(other),
                ),
            ),
            Fault::Contradiction => (
                Anomaly::NotLinearizable,
                format!(
                    "No order of these {} operations on {} explains what their clients saw.",
                    finding.members.len(),
                    self.phrases.object("set"),
                ),
            ),
        }
    }

    fn repeated(&self, read: u32) -> String {
        format!(
            "{} read {} from {} at {}, which shows an element twice.",
            capital(&self.phrases.who(read)),
            self.phrases.answered(read),
            self.phrases.object("set"),
            self.phrases.until(read),
        )
    }

    fn missing(&self, add: u32, observer: u32, moral: &str) -> String {
        format!(
            "{} did not find {} in {} at {}, after {} had come back at {}: {moral}.",
            capital(&self.phrases.who(observer)),
            self.phrases.asked(add),
            self.phrases.object("set"),
            self.phrases.from(observer),
            self.the_change(add),
            self.phrases.until(add),
        )
    }

    fn saw(&self, observer: u32, change: u32) -> String {
        format!(
            "{} found {} in {}",
            self.phrases.who(observer),
            self.phrases.asked(change),
            self.phrases.object("set"),
        )
    }

    fn saw_stranger(&self, observer: u32) -> String {
        let element = match self.phrases.operation(observer).action {
            Action::Read => brief(&self.stranger(observer)),
            _ => self.phrases.asked(observer),
        };
        let who = capital(&self.phrases.who(observer));
        format!("{who} found {element} in {}", self.phrases.object("set"))
    }

    /// An element of the read that was never added.
    fn stranger(&self, read: u32) -> Value {
        let Phrases { history, spans, .. } = self.phrases;
        let touches = spans.iter().filter_map(|span| self.set.touch(span.call));
        let added: FxHashSet<ValueId> = touches
            .filter(|touch| touch.is_there == Some(true))
            .map(|touch| touch.element)
            .collect();
        let is_stranger =
            |item: &&Value| history.values.find(item).is_none_or(|item| !added.contains(&item));
        match self.phrases.answer(read) {
            Value::List(items) => items.iter().find(is_stranger).cloned().unwrap_or_default(),
            answer => answer,
        }
    }

    /// An element that the one read shows and the other does not.
    fn only_in(&self, one: u32, other: u32) -> Value {
        let (Value::List(one), other) = (self.phrases.answer(one), self.phrases.answer(other))
        else {
            return Value::Null;
        };
        let others: &[Value] = if let Value::List(items) = &other { items } else { &[] };
        let others: FxHashSet<&Value> = others.iter().collect();
        one.iter().find(|item| !others.contains(item)).cloned().unwrap_or_default()
    }

    /// "the add of 17 by process 3 (via n1)"
    fn the_change(&self, place: u32) -> String {
        let function = self.phrases.operation(place).action.function();
        let verb = match function {
            Function::Remove => "removal",
            _ => "addition",
        };
        format!("the {verb} of {} by {}", self.phrases.asked(place), self.phrases.who(place))
    }
}
