//! Names for what is wrong with objects that only a search decides on, in the words of the field.
//!
//! Looks at a part of a history that is not linearizable, small as a rule, and counts. Finds no
//! name where the reason is not as plain as that.

use super::phrases::Phrases;
use super::{NEVER, Span};
use crate::event::Function;
use crate::history::{Action, History};
use crate::model::{Counter, INITIAL, Model, MultiRegister, Step};
use crate::verdict::Anomaly;
use crate::words::capital;

/// What is wrong with the part of a lock's history, which began free.
pub(super) fn lock(history: &History, part: &[Span]) -> Option<(Anomaly, String)> {
    let phrases = Phrases::new(history, part);
    let of = |wanted: Function| {
        (0_u32..).zip(part).filter(move |(_, span)| span.call.action.function() == wanted)
    };
    let done = |wanted: Function| {
        let mut done: Vec<(u64, u32)> = of(wanted)
            .filter(|(_, span)| span.is_completed())
            .map(|(place, span)| (span.returned, place))
            .collect();
        done.sort_unstable();
        done
    };
    let (acquired, released) = (done(Function::Acquire), done(Function::Release));
    let lock = phrases.object("lock");
    if let [.., (_, one), (_, other)] = acquired[..]
        && acquired.len() > of(Function::Release).count() + 1
    {
        let sentence = format!(
            "{} had acquired {lock} by {}, and {} by {}, but there were not enough releases for \
             both: two owners.",
            capital(&phrases.who(one)),
            phrases.until(one),
            phrases.who(other),
            phrases.until(other),
        );
        return Some((Anomaly::TwoOwners, sentence));
    }
    let &(_, last) = released.last()?;
    (released.len() > of(Function::Acquire).count()).then(|| {
        let sentence = format!(
            "{} released {lock} by {}, but it had not been acquired as often as it was released: \
             it was free.",
            capital(&phrases.who(last)),
            phrases.until(last),
        );
        (Anomaly::ReleaseOfFreeLock, sentence)
    })
}

/// What is wrong with the part of a counter's history, if some read is out of bounds.
pub(super) fn counter(
    counter: &Counter<'_>,
    history: &History,
    part: &[Span],
) -> Option<(Anomaly, String)> {
    let phrases = Phrases::new(history, part);
    let sum = |is_one: &dyn Fn(&Span) -> bool| -> i128 {
        let added = part.iter().filter(|span| is_one(span));
        added.filter_map(|span| counter.added(span.call)).map(i128::from).sum()
    };
    let gains = |span: &Span| counter.added(span.call).is_some_and(|amount| amount > 0);
    (0_u32..).zip(part).find_map(|(place, read)| {
        let observed = counter.observed(read.call).filter(|_| read.call.action == Action::Read)?;
        // Everything that can have happened, and everything that must have.
        let begun = |span: &Span| span.invoked < read.returned;
        let done = |span: &Span| span.returned < read.invoked && span.returned != NEVER;
        let initial = counter.initial();
        let most = initial + sum(&|it| if gains(it) { begun(it) } else { done(it) });
        let least = initial + sum(&|it| if gains(it) { done(it) } else { begun(it) });
        let (anomaly, bound, moral) = if i128::from(observed) > most {
            let bound = format!("all that was added by then makes {most} at most");
            (Anomaly::DuplicateApply, bound, "something was applied twice")
        } else if i128::from(observed) < least {
            let bound = format!("what had been added before makes {least} at least");
            (Anomaly::LostWrite, bound, "a lost addition")
        } else {
            return None;
        };
        let sentence = format!(
            "{} read {observed} from {} at {}, but {bound}: {moral}.",
            capital(&phrases.who(place)),
            phrases.object("counter"),
            phrases.from(place),
        );
        Some((anomaly, sentence))
    })
}

/// What is wrong with the part of a history of transactions, if one read what was never written, or
/// a part of what another wrote.
pub(super) fn transactions(
    registers: &MultiRegister,
    history: &History,
    part: &[Span],
) -> Option<(Anomaly, String)> {
    let phrases = Phrases::new(history, part);
    let steps = |span: &Span| registers.steps(span.call).unwrap_or((&[], false));
    let writers = |of: Step| {
        let writes = move |step: &Step| Step { writes: true, ..of } == *step;
        (0_u32..).zip(part).filter(move |(_, span)| steps(span).0.iter().any(writes))
    };
    (0_u32..).zip(part).find_map(|(reader, span)| {
        let (own, answered) = steps(span);
        let mut reads = own.iter().filter(|step| !step.writes && answered);
        // What it wrote itself it may see at once, and nobody else.
        let is_own = |read: &Step| {
            own.iter().any(|step| step.writes && step.register == read.register)
        };
        if reads.clone().any(is_own) {
            return None;
        }
        let shown = |read: &Step| {
            let [value, register] = [read.value, read.register].map(|it| registers.named(it));
            format!("{value} in register {register}")
        };
        let who = capital(&phrases.who(reader));
        let is_strange = |read: &&Step| read.value != INITIAL && writers(**read).next().is_none();
        let strange = reads.clone().find(is_strange);
        if let Some(read) = strange {
            let sentence = format!(
                "{who} read {} in a transaction at {}, which nobody wrote: a value from nowhere.",
                shown(read),
                phrases.until(reader),
            );
            return Some((Anomaly::ValueFromNowhere, sentence));
        }
        reads.find_map(|seen| {
            let mut all = writers(*seen);
            let (writer, span) = all.next()?;
            let is_only = all.next().is_none() && seen.value != INITIAL;
            let missed = own.iter().filter(|step| !step.writes).find(|read| {
                let mut written = steps(span).0.iter().filter(|step| step.writes);
                written.any(|step| step.register == read.register && step.value != read.value)
                    && writers(**read).next().is_none()
            })?;
            let sentence = format!(
                "{who} read {} in a transaction at {}, as {} had written it, but {}, which the same \
                 transaction had replaced: a fractured read.",
                shown(seen),
                phrases.until(reader),
                phrases.who(writer),
                shown(missed),
            );
            is_only.then_some((Anomaly::FracturedRead, sentence))
        })
    })
}
