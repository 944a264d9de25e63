//! What the node that answered had sent to others and received from them.

use partita_checker::Nanoseconds;

use super::Moment;
use crate::text::number::{count, counted, instant_short};
use crate::text::operation::name;

/// What is held for a shorter time may just be under way.
const LEAST_HELD: Nanoseconds = Nanoseconds(100_000_000);

/// The nodes that nothing the node sent had reached for a while, though it sent something.
pub(super) fn unheard_by(moment: &Moment<'_>) -> Option<String> {
    let mut since: Option<Nanoseconds> = None;
    let mut cut = Vec::new();
    for other in others(moment) {
        let log = &moment.surroundings.messages;
        let Some(silence) = log.silence((moment.node, other), moment.returned) else { continue };
        if silence.kept_off == 0 {
            continue;
        }
        since = since.max(Some(silence.since));
        cut.push(format!("{} ({} kept off)", name(other), counted(silence.kept_off, "message")));
    }
    Some(format!(
        "From {} until {}, nothing that {} sent reached {}.",
        instant_short(since?),
        if moment.operation.is_some() { "it answered" } else { "then" },
        name(moment.node),
        cut.join(" or "),
    ))
}

/// The nodes whose messages to it were all held back when it answered.
pub(super) fn held(moment: &Moment<'_>) -> Option<String> {
    let log = &moment.surroundings.messages;
    let of_one = |other: &str| {
        let silence = log.silence((other, moment.node), moment.returned)?;
        let is_long = moment.returned.since(silence.since) >= LEAST_HELD;
        (silence.held > 0 && silence.kept_off == 0 && is_long).then(|| {
            let (number, since) = (count(silence.held), instant_short(silence.since));
            format!("{number} of {}, the first sent at {since}", name(other))
        })
    };
    let held: Vec<String> = others(moment).filter_map(of_one).collect();
    (!held.is_empty()).then(|| {
        format!("Messages to {} were being held back then: {}.", name(moment.node), held.join("; "))
    })
}

/// The names of the other nodes.
fn others<'a>(moment: &Moment<'a>) -> impl Iterator<Item = &'a str> {
    let own = moment.node;
    moment.run.record.nodes.iter().map(|node| node.name.as_str()).filter(move |name| *name != own)
}
