//! Puts a violation by a queue or stack into words that a newcomer understands.

use super::Finding;
use super::items::{Flaw, Item, NONE};
use crate::engines::phrases::Phrases;
use crate::engines::{Span, counterexample};
use crate::event::Function;
use crate::history::{Action, History};
use crate::verdict::{Anomaly, Counterexample, Relation};
use crate::words::capital;

/// The counterexample that `finding` on `spans` of `history` amounts to, with the takes of `unknown`
/// outcome that belong to it.
pub(super) fn explain(
    history: &History,
    spans: &[Span],
    finding: &Finding,
    unknown: &[u32],
) -> Counterexample {
    let explainer = Explainer { phrases: Phrases::new(history, spans) };
    let (anomaly, sentence) = explainer.words(finding);
    let mut members = members(finding);
    members.extend(unknown);
    counterexample::of(history, spans, &members, &cycle(finding), (anomaly, sentence))
}

fn members(finding: &Finding) -> Vec<u32> {
    let of = |items: &[Item]| items.iter().flat_map(|item| [item.put, item.take]).collect();
    let mut members: Vec<u32> = match finding {
        Finding::Flaw(Flaw::FromNowhere { take }) => vec![*take],
        Finding::Flaw(Flaw::TakenTwice { put, first, second }) => vec![*put, *first, *second],
        Finding::Flaw(Flaw::FromTheFuture { put, take }) => vec![*put, *take],
        Finding::FalseEmpty { empty, chain } => {
            let mut members: Vec<u32> = of(chain);
            members.push(*empty);
            members
        }
        Finding::Overtaken { first, second } => of(&[*first, *second]),
        Finding::Crossing { chain } => of(chain),
    };
    members.retain(|&member| member != NONE);
    members
}

fn cycle(finding: &Finding) -> Vec<(u32, u32, Relation)> {
    use Relation::{OverwrittenBefore, ReadsFrom, RealTime};
    match finding {
        Finding::Flaw(Flaw::FromTheFuture { put, take }) => {
            vec![(*put, *take, ReadsFrom), (*take, *put, RealTime)]
        }
        Finding::FalseEmpty { empty, chain } => match &chain[..] {
            [item] => vec![(item.put, *empty, RealTime), (*empty, item.put, OverwrittenBefore)],
            _ => Vec::new(),
        },
        Finding::Overtaken { first, second } if first.take == NONE => vec![
            (first.put, second.put, RealTime),
            (second.put, second.take, ReadsFrom),
            (second.take, first.put, OverwrittenBefore),
        ],
        Finding::Overtaken { first, second } => {
            vec![(second.take, first.take, RealTime), (first.take, second.take, OverwrittenBefore)]
        }
        Finding::Crossing { chain } => match &chain[..] {
            [below, above] if above.take == NONE => {
                vec![(above.put, below.take, RealTime), (below.take, above.put, OverwrittenBefore)]
            }
            [below, above] => vec![
                (below.take, above.take, RealTime),
                (above.take, below.take, OverwrittenBefore),
            ],
            _ => Vec::new(),
        },
        Finding::Flaw(_) => Vec::new(),
    }
}

struct Explainer<'a> {
    phrases: Phrases<'a>,
}

impl Explainer<'_> {
    fn words(&self, finding: &Finding) -> (Anomaly, String) {
        match finding {
            Finding::Flaw(Flaw::FromNowhere { take }) => {
                (Anomaly::ValueFromNowhere, self.taken_from_nowhere(*take))
            }
            Finding::Flaw(Flaw::TakenTwice { first, second, .. }) => {
                (Anomaly::DuplicateApply, self.taken_twice(*first, *second))
            }
            Finding::Flaw(Flaw::FromTheFuture { put, take }) => {
                (Anomaly::ReadFromTheFuture, self.taken_too_early(*put, *take))
            }
            Finding::FalseEmpty { empty, chain } => {
                let anomaly = match &chain[..] {
                    [item] if item.take == NONE => Anomaly::LostElement,
                    _ => Anomaly::FalseEmpty,
                };
                (anomaly, self.false_empty(*empty, chain))
            }
            Finding::Overtaken { first, second } => {
                let anomaly = if first.take == NONE {
                    Anomaly::LostElement
                } else {
                    Anomaly::OutOfOrderDequeue
                };
                (anomaly, self.overtaken(first, second))
            }
            Finding::Crossing { chain } => (Anomaly::OutOfOrderPop, self.crossing(chain)),
        }
    }

    fn is_queue(&self) -> bool {
        let action = self.phrases.spans[0].call.action;
        matches!(action, Action::Other(Function::Enqueue | Function::Dequeue, _))
    }

    fn object(&self) -> String {
        self.phrases.object(if self.is_queue() { "queue" } else { "stack" })
    }

    fn taken_from_nowhere(&self, take: u32) -> String {
        let Phrases { history, .. } = self.phrases;
        let (done, to_do) =
            if self.is_queue() { ("enqueued", "enqueue") } else { ("pushed", "push") };
        let value = self.phrases.answer(take);
        let key = self.phrases.operation(take).key;
        let failed = history.operations.iter().find(|operation| {
            operation.is_failed()
                && operation.key == key
                && history.argument(operation.action) == value
        });
        let origin = match failed {
            Some(failed) => format!(
                "which only process {} tried to {to_do}, and was told that it had not",
                failed.process
            ),
            None => format!("which nobody {done}"),
        };
        format!("{}, {origin}: a value from nowhere.", capital(&self.took(take)))
    }

    fn taken_twice(&self, first: u32, second: u32) -> String {
        format!(
            "{}, and {}: it was put in once, and given out twice.",
            capital(&self.took(first)),
            self.took(second),
        )
    }

    fn taken_too_early(&self, put: u32, take: u32) -> String {
        format!(
            "{} and was done at {}, before {} was even asked for at {}: a value from the future.",
            capital(&self.took(take)),
            self.phrases.until(take),
            self.the_put(put),
            self.phrases.from(put),
        )
    }

    fn false_empty(&self, empty: u32, chain: &[Item]) -> String {
        let who = capital(&self.phrases.who(empty));
        let found = format!(
            "{who} was told at {} that {} was empty",
            self.phrases.until(empty),
            self.object(),
        );
        let [item] = chain else {
            let values: Vec<String> =
                chain.iter().map(|item| self.phrases.asked(item.put)).collect();
            return format!(
                "{found}, but from {} on there was always one of {} in it.",
                self.phrases.from(empty),
                values.join(", "),
            );
        };
        let put = format!(
            "{} had come back at {}",
            self.the_put(item.put),
            self.phrases.until(item.put),
        );
        match item.take {
            NONE => format!("{found}, but {put}, and nobody ever took it out: a lost element."),
            take => format!(
                "{found}, but {put}, and {} was taken out only after that, at {}.",
                self.phrases.asked(item.put),
                self.phrases.from(take),
            ),
        }
    }

    fn overtaken(&self, first: &Item, second: &Item) -> String {
        let value = self.phrases.asked(first.put);
        let ahead = format!(
            "{value} had been in {} since {}, before {} was even asked for at {}",
            self.object(),
            self.phrases.until(first.put),
            self.the_put(second.put),
            self.phrases.from(second.put),
        );
        let overtook =
            format!("yet {} by {}", self.took(second.take), self.phrases.until(second.take));
        match first.take {
            NONE => format!(
                "{}, {overtook}, and nobody had taken {value} before: it was lost or overtaken.",
                capital(&ahead)
            ),
            take => format!(
                "{}, {overtook}, before anybody asked for {value}, which {} got only later: out of \
                 order.",
                capital(&ahead),
                self.phrases.who(take),
            ),
        }
    }

    fn crossing(&self, chain: &[Item]) -> String {
        let value = |item: &Item| self.phrases.asked(item.put);
        let [below, above] = chain else {
            let values: Vec<String> = chain.iter().map(value).collect();
            return format!(
                "There was always one of {} on {}, but none of them can have lain below the others \
                 all that time: each was pushed too late or popped too early.",
                values.join(", "),
                self.object(),
            );
        };
        let sentence = format!(
            "{} at {}, while {} still lay on top of it, pushed by {} at {}",
            capital(&self.took(below.take)),
            self.phrases.until(below.take),
            value(above),
            self.phrases.who(above.put),
            self.phrases.until(above.put),
        );
        match above.take {
            NONE => format!("{sentence} and never popped: out of order."),
            take => format!(
                "{sentence} and popped only later, at {}: out of order.",
                self.phrases.from(take)
            ),
        }
    }

    /// "process 3 (via n1) dequeued 17 from queue q1"
    fn took(&self, take: u32) -> String {
        let verb = if self.is_queue() { "dequeued" } else { "popped" };
        format!(
            "{} {verb} {} from {}",
            self.phrases.who(take),
            self.phrases.answered(take),
            self.object(),
        )
    }

    /// "the enqueue of 17 by process 3 (via n1)"
    fn the_put(&self, put: u32) -> String {
        let noun = if self.is_queue() { "enqueue" } else { "push" };
        format!("the {noun} of {} by {}", self.phrases.asked(put), self.phrases.who(put))
    }
}
