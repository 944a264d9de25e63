//! How far nodes had applied their logs.

use partita_checker::Nanoseconds;

use super::Moment;
use crate::text::number::{count, instant_short};
use crate::text::operation::name;

/// What a node said longer ago than this goes unmentioned, in nanoseconds.
const FRESH: u64 = 1_000_000_000;

/// The node that answered had last said that it had applied less than another node had.
pub(super) fn behind(moment: &Moment<'_>) -> Option<String> {
    let (own_at, own) = applied(moment, moment.node)?;
    let others = moment.run.record.nodes.iter().filter(|other| other.name != moment.node);
    let told = others.filter_map(|other| Some((&other.name, applied(moment, &other.name)?)));
    let (other, (at, most)) = told.max_by_key(|(_, (_, applied))| *applied)?;
    (most > own).then(|| {
        format!(
            "{} had last said, at {}, that it had applied its log up to entry {}; {}, at {}, up to {}.",
            name(moment.node),
            instant_short(own_at),
            count(own),
            name(other),
            instant_short(at),
            count(most)
        )
    })
}

/// What a node had last said before the operation came back that it had applied, and when.
fn applied(moment: &Moment<'_>, node: &str) -> Option<(Nanoseconds, u64)> {
    let samples = moment.surroundings.samples.iter().rev();
    let mut before = samples.filter(|it| it.node == node && it.at_ns <= moment.returned);
    let (at, applied) = before.find_map(|it| Some((it.at_ns, it.applied?)))?;
    (moment.returned.since(at).0 <= FRESH).then_some((at, applied))
}
