//! Changes of a round: small ones of time, length and victim, and larger ones of what it consists of.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use crate::fault::Target;
use crate::hunt::{Hunt, Round};
use crate::record::Family;

/// The longest that a fault's beginning is moved, in milliseconds.
const SHIFT_MS: u64 = 600;
/// What lengths are kept within where they are changed, in milliseconds.
const LENGTHS_MS: (u64, u64) = (50, 4_000);
/// The longest that a round may become, in milliseconds.
const LONGEST_MS: u64 = 8_000;
/// Whom a fault may hit instead.
const TARGETS: [Target; 3] = [Target::Leader, Target::Follower, Target::Random];

/// Makes one change, drawn from `rng`; `other` is what may be laid over the round, and `hunt` draws what may be
/// added.
pub(super) fn change(
    round: &mut Round,
    other: Option<&Round>,
    hunt: &mut Hunt<'_>,
    rng: &mut ChaCha8Rng,
) {
    match rng.random_range(0..6) {
        0 => shift(round, rng),
        1 => stretch(round, rng),
        2 => retarget(round, rng),
        3 => splice(round, other, rng),
        4 => add(round, hunt, rng),
        _ => drop_one(round, rng),
    }
    settle(round);
}

fn any(round: &Round, rng: &mut ChaCha8Rng) -> Option<usize> {
    (!round.faults.is_empty()).then(|| rng.random_range(0..round.faults.len()))
}

fn shift(round: &mut Round, rng: &mut ChaCha8Rng) {
    let Some(place) = any(round, rng) else { return };
    let by = rng.random_range(1..=SHIFT_MS);
    let planned = &mut round.faults[place];
    if rng.random() {
        planned.at_ms += by;
    } else if planned.at_ms >= by {
        planned.at_ms -= by;
    } else {
        // It begins before the others do.
        let earlier = by - planned.at_ms;
        planned.at_ms = 0;
        let others = round.faults.iter_mut().enumerate().filter(|(it, _)| *it != place);
        others.for_each(|(_, planned)| planned.at_ms += earlier);
        round.read_only.iter_mut().for_each(|phase| phase.at_ms += earlier);
    }
}

fn stretch(round: &mut Round, rng: &mut ChaCha8Rng) {
    let Some(place) = any(round, rng) else { return };
    let planned = &mut round.faults[place];
    // A change of members takes the time that it takes.
    if planned.fault.kind().family() == Family::Membership {
        return;
    }
    let factor: f64 = rng.random_range(0.4..2.5);
    let longer = (planned.duration_ms as f64 * factor) as u64;
    planned.duration_ms = longer.clamp(LENGTHS_MS.0, LENGTHS_MS.1);
}

fn retarget(round: &mut Round, rng: &mut ChaCha8Rng) {
    let Some(place) = any(round, rng) else { return };
    let planned = &mut round.faults[place];
    let target = &TARGETS[rng.random_range(0..TARGETS.len())];
    // Not those which every node has by itself: they would hit one node twice.
    let is_named = matches!(planned.target, Target::Nodes(_));
    if !is_named && planned.fault.kind().description().victims.accept(target) {
        planned.target = target.clone();
    }
}

/// What the round does up to some moment, and from then on what the other does.
fn splice(round: &mut Round, other: Option<&Round>, rng: &mut ChaCha8Rng) {
    let Some(other) = other else { return };
    let at_ms = rng.random_range(0..=round.ends_ms());
    let from_ms = if rng.random() { 0 } else { rng.random_range(0..=other.ends_ms()) };
    round.faults.retain(|planned| planned.at_ms <= at_ms);
    let later = other.faults.iter().filter(|planned| planned.at_ms >= from_ms);
    round.faults.extend(later.cloned().map(|mut planned| {
        planned.at_ms = planned.at_ms - from_ms + at_ms;
        planned
    }));
}

fn add(round: &mut Round, hunt: &mut Hunt<'_>, rng: &mut ChaCha8Rng) {
    let Some(mut planned) = hunt.short_fault() else { return };
    planned.at_ms = rng.random_range(0..=round.ends_ms());
    round.faults.push(planned);
}

fn drop_one(round: &mut Round, rng: &mut ChaCha8Rng) {
    if round.faults.len() > 1
        && let Some(place) = any(round, rng)
    {
        round.faults.remove(place);
    }
}

/// Lets the round begin with its first fault, and end before it is too long.
fn settle(round: &mut Round) {
    let first_ms = round.faults.iter().map(|planned| planned.at_ms).min().unwrap_or(0);
    round.faults.iter_mut().for_each(|planned| planned.at_ms -= first_ms);
    round
        .faults
        .retain(|planned| planned.at_ms + planned.wait_ms() + planned.duration_ms <= LONGEST_MS);
    round.faults.sort_by_key(|planned| planned.at_ms);
    let ends_ms = round.ends_ms();
    round.read_only.retain(|phase| phase.at_ms < ends_ms);
}
