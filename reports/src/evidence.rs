//! Puts a counterexample into words: its steps, what each operation is, where the history holds it.
//!
//! Adds nothing to what the checker found. Which operation gets the blame is said only where the
//! anomaly leaves no choice: the one read that a stale read or a lost write is about.

use partita_checker::{
    Analysis, Anomaly, Counterexample, CounterexampleOperation, Function, History, Nanoseconds,
    Relation,
};

use crate::text::operation::{returned, witness};
use crate::text::unit::TimeUnit;

/// Most operations and steps that any report lists; a proof is a handful.
const MOST: usize = 60;

/// A counterexample as reports show it.
pub(crate) struct Evidence<'a> {
    /// What the checker found.
    pub(crate) found: &'a Counterexample,
    /// Its operations, in their order.
    pub(crate) operations: Vec<Exhibit<'a>>,
    /// Why it is impossible, step by step.
    pub(crate) steps: Vec<Step>,
    /// How many operations are too many to list.
    pub(crate) left_out: usize,
    /// What the operations' times count.
    pub(crate) unit: TimeUnit,
}

/// One operation of the proof.
pub(crate) struct Exhibit<'a> {
    /// The operation.
    pub(crate) witness: &'a CounterexampleOperation,
    /// `write k1 = 17`.
    pub(crate) label: String,
    /// Why it cannot be explained, in a few words, where it is the one to blame.
    pub(crate) blame: Option<&'static str>,
    /// The lines of `history.jsonl`, counted from 1: invocation, and completion if there is one.
    pub(crate) lines: (u64, Option<u64>),
}

/// One step of the proof: the one operation must have taken effect before the other.
pub(crate) struct Step {
    /// The first operation's place in the proof.
    pub(crate) from: usize,
    /// The later one's.
    pub(crate) to: usize,
    /// Why.
    pub(crate) relation: Relation,
    /// Why, in a sentence.
    pub(crate) sentence: String,
}

impl<'a> Evidence<'a> {
    /// The evidence in what was found of `history`, if it was found guilty with proof.
    pub(crate) fn of(history: &History, analysis: &'a Analysis, unit: TimeUnit) -> Option<Self> {
        analysis.counterexample.as_ref().map(|found| Self::of_one(history, found, unit))
    }

    /// The evidence of one counterexample.
    pub(crate) fn of_one(history: &History, found: &'a Counterexample, unit: TimeUnit) -> Self {
        let guilty = culprit(found);
        let shown = &found.operations[..found.operations.len().min(MOST)];
        let operations = shown
            .iter()
            .enumerate()
            .map(|(place, witness)| Exhibit {
                witness,
                label: label(found, witness),
                blame: (guilty == Some(place)).then(|| blame(found.anomaly)).flatten(),
                lines: lines(history, witness),
            })
            .collect();
        let steps = found.cycle.iter().filter(|edge| edge.from.max(edge.to) < shown.len());
        let steps = steps
            .take(MOST)
            .map(|edge| Step {
                from: edge.from,
                to: edge.to,
                relation: edge.relation,
                sentence: step(found, [&shown[edge.from], &shown[edge.to]], edge.relation, unit),
            })
            .collect();
        Self { found, operations, steps, left_out: found.operations.len() - shown.len(), unit }
    }

    /// The first and the last moment of the proof.
    pub(crate) fn span(&self) -> (Nanoseconds, Nanoseconds) {
        let witnesses = || self.operations.iter().map(|exhibit| exhibit.witness);
        let begin = witnesses().map(|witness| witness.invoked).min().unwrap_or_default();
        let end = witnesses().map(|witness| returned(witness).unwrap_or(witness.invoked)).max();
        (begin, end.unwrap_or(begin).max(begin))
    }
}

/// An operation's end in words.
pub(crate) fn ending(witness: &CounterexampleOperation, unit: TimeUnit) -> String {
    match (returned(witness), witness.completed) {
        (Some(completed), _) => unit.instant(completed),
        (None, Some(gave_up)) => format!("never; gave up at {}", unit.instant(gave_up)),
        (None, None) => "never".to_owned(),
    }
}

fn lines(history: &History, witness: &CounterexampleOperation) -> (u64, Option<u64>) {
    let operations = history.operations();
    let place = operations.binary_search_by_key(&witness.index, |other| other.invoked.position);
    let completed = place.ok().and_then(|place| operations[place].completed());
    (witness.index + 1, completed.map(|moment| moment.position + 1))
}

/// The place of the one read that cannot be explained, where there is just one.
fn culprit(found: &Counterexample) -> Option<usize> {
    let is_read = |place: &usize| {
        found.operations.get(*place).is_some_and(|witness| witness.function == Function::Read)
    };
    let only_read = || {
        let proves = |place: &usize| is_read(place) && !found.operations[*place].context;
        let mut reads = (0..found.operations.len()).filter(proves);
        reads.next().filter(|_| reads.next().is_none())
    };
    match found.anomaly {
        Anomaly::StaleRead | Anomaly::LostWrite => {
            let back = |relation| relation == Relation::OverwrittenBefore;
            let mut reads =
                found.cycle.iter().filter(|edge| back(edge.relation)).map(|edge| edge.from);
            if found.cycle.is_empty() {
                return only_read();
            }
            let read = reads.next().filter(is_read)?;
            reads.all(|other| other == read).then_some(read)
        }
        Anomaly::ValueFromNowhere | Anomaly::ReadFromTheFuture | Anomaly::AbortedRead => {
            only_read()
        }
        _ => None,
    }
}

const fn blame(anomaly: Anomaly) -> Option<&'static str> {
    match anomaly {
        Anomaly::StaleRead => Some("stale"),
        Anomaly::LostWrite => Some("misses the write"),
        Anomaly::ValueFromNowhere => Some("nobody wrote it"),
        Anomaly::ReadFromTheFuture => Some("not yet written"),
        Anomaly::AbortedRead => Some("saw what had failed"),
        _ => None,
    }
}

fn label(found: &Counterexample, operation: &CounterexampleOperation) -> String {
    let label = witness(&found.key, operation);
    if operation.context { format!("{label} (for context)") } else { label }
}

fn step(
    found: &Counterexample,
    [from, to]: [&CounterexampleOperation; 2],
    relation: Relation,
    unit: TimeUnit,
) -> String {
    let [first, later] = [from, to].map(|operation| {
        format!("“{}” (process {})", witness(&found.key, operation), operation.process)
    });
    match relation {
        Relation::RealTime => {
            let ahead = returned(from).map(|completed| unit.duration(to.invoked.since(completed)));
            let ahead = ahead.map_or(String::new(), |ahead| format!("{ahead} "));
            format!("{first} came back {ahead}before {later} was invoked, so it took effect first.")
        }
        Relation::ReadsFrom => {
            format!("{later} saw what {first} wrote, so that write took effect first.")
        }
        Relation::OverwrittenBefore => format!(
            "{first} saw a value that was overwritten no later than by {later}, so it must have \
             taken effect first."
        ),
        Relation::VersionOrder => {
            format!("{first} wrote what {later} replaced, so it took effect first.")
        }
        Relation::Session => {
            format!("One process did {first} before {later}, so it took effect first.")
        }
        Relation::Inferred => {
            format!("{first} took effect before {later} in every order that explains all answers.")
        }
    }
}

/// A relation in the few words that fit on an arrow.
pub(crate) const fn relation_words(relation: Relation) -> &'static str {
    match relation {
        Relation::RealTime => "came back before",
        Relation::ReadsFrom => "was seen by",
        Relation::OverwrittenBefore | Relation::VersionOrder | Relation::Inferred => {
            "must come before"
        }
        Relation::Session => "was done by one process before",
    }
}
