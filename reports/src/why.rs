//! What is on record of the moment of a finding: who answered or ended, what that node said it was, who else
//! led, what became of what it missed, which faults it was under, who did not reach it, and what it wrote last.
//!
//! Each sentence is one function's, and says nothing that the records do not hold; where they do not
//! hold it, there is no sentence. Roles are what nodes said when they were asked, some times a second:
//! a role lasts from the first answer that told it to the first that told another.

mod faults;
mod indexes;
mod messages;
mod roles;
mod source;

use partita_checker::{CounterexampleOperation, Nanoseconds, Verdict};

use crate::evidence::Evidence;
use crate::finding::FindingKind;
use crate::run::Run;
use crate::surroundings::RunArtifacts;
use crate::text::number::{count, instant_short};
use crate::text::operation::{name, returned, witness};
use crate::text::visible::brief;
use crate::traffic::unheard_since;
use source::Source;

/// How much of a line of a log is told, in characters.
const LINE_CHARACTERS: usize = 160;

/// The operation that cannot be explained or the end of a node, with what is known around it.
struct Moment<'a> {
    run: &'a Run<'a>,
    surroundings: &'a RunArtifacts,
    /// The operation, and the proof that has it.
    operation: Option<(&'a Evidence<'a>, &'a CounterexampleOperation)>,
    /// Whether that operation is the one that cannot be explained; or else it is the last of several
    /// that contradict each other.
    is_blamed: bool,
    /// The node that answered or ended.
    node: &'a str,
    /// When the operation was invoked.
    invoked: Nanoseconds,
    /// When it came back, or when the node ended.
    returned: Nanoseconds,
    /// The other operation that it is about, if there is one.
    source: Option<Source>,
}

/// What is on record, most telling first.
#[derive(Default)]
pub(crate) struct Why {
    /// What the node that answered said that it was, and who had answered what it missed, if that is known.
    pub(crate) first: Vec<String>,
    /// Everything else.
    pub(crate) others: Vec<String>,
}

/// What is on record. Nothing if no one operation or node is at the end of it, or it is not
/// known which node answered.
pub(crate) fn sentences(
    run: &Run<'_>,
    evidence: Option<&Evidence<'_>>,
    surroundings: &RunArtifacts,
) -> Why {
    let Some(moment) = Moment::of(run, evidence, surroundings) else { return Why::default() };
    let role = match moment.operation {
        Some(_) => roles::two_leaders(&moment)
            .or_else(|| roles::not_the_leader(&moment))
            .or_else(|| roles::own(&moment)),
        None => roles::last(&moment),
    };
    let first = role.into_iter().chain(source::told(&moment)).collect();
    let of_operations = match moment.operation {
        Some(_) => vec![
            roles::next(&moment),
            roles::rivals(&moment),
            roles::new_leaders(&moment),
            indexes::behind(&moment),
        ],
        None => Vec::new(),
    };
    let faults = faults::in_force(&moment)
        .into_iter()
        .chain(faults::before(&moment))
        .chain(faults::of_source(&moment))
        .chain(faults::of_leaders(&moment));
    let beside = [
        unheard(&moment),
        messages::unheard_by(&moment),
        messages::held(&moment),
        last_line(&moment),
    ];
    let others = of_operations.into_iter().flatten().chain(faults);
    let others = others.chain(beside.into_iter().flatten()).collect();
    Why { first, others }
}

/// The node that answered or ended, if it is known.
pub(crate) fn node(run: &Run<'_>, evidence: Option<&Evidence<'_>>) -> Option<String> {
    Moment::of(run, evidence, &RunArtifacts::default()).map(|moment| moment.node.to_owned())
}

impl<'a> Moment<'a> {
    fn of(
        run: &'a Run<'a>,
        evidence: Option<&'a Evidence<'a>>,
        surroundings: &'a RunArtifacts,
    ) -> Option<Self> {
        let Some(evidence) = evidence else { return Self::of_finding(run, surroundings) };
        let blamed = evidence.operations.iter().position(|exhibit| exhibit.blame.is_some());
        let operation = match blamed {
            Some(place) => evidence.operations[place].witness,
            None => last_answered(evidence)?,
        };
        let (node, returned) = (operation.node.as_deref()?, returned(operation)?);
        Some(Self {
            run,
            surroundings,
            operation: Some((evidence, operation)),
            is_blamed: blamed.is_some(),
            node,
            invoked: operation.invoked,
            returned,
            source: Source::of(run.history, evidence, blamed),
        })
    }

    /// The first finding that is of one node and has a time.
    fn of_finding(run: &'a Run<'a>, surroundings: &'a RunArtifacts) -> Option<Self> {
        if run.verdict() == Verdict::Violation {
            return None;
        }
        let findings = run.record.findings.iter().filter(|it| it.kind != FindingKind::Violation);
        let mut known = findings.filter_map(|it| Some((it.node.as_deref()?, it.at_ns?)));
        let (node, at) = known.next()?;
        Some(Self {
            run,
            surroundings,
            operation: None,
            is_blamed: false,
            node,
            invoked: at,
            returned: at,
            source: None,
        })
    }

    /// The node that answered, and what, if that is not clear from the finding.
    fn subject(&self) -> String {
        let node = name(self.node);
        match self.operation {
            Some((evidence, operation)) if !self.is_blamed => {
                let answered = witness(&evidence.found.key, operation);
                format!("{node}, which answered “{answered}” last,")
            }
            _ => format!("{node}, which answered,"),
        }
    }

    /// Since when what happened counts: since the other operation came back, or the proof began.
    fn since(&self) -> Nanoseconds {
        self.source.as_ref().map_or_else(|| self.begun(), |source| source.returned)
    }

    /// When the first operation of the proof was invoked.
    fn begun(&self) -> Nanoseconds {
        let first = |(evidence, _): (&Evidence<'_>, _)| {
            evidence.found.proof().map(|operation| operation.invoked).min()
        };
        self.operation.and_then(first).unwrap_or(self.invoked)
    }
}

/// The operation of the proof that came back last with an answer.
fn last_answered<'a>(evidence: &Evidence<'a>) -> Option<&'a CounterexampleOperation> {
    let answered = evidence.found.proof().filter(|it| it.node.is_some() && returned(it).is_some());
    answered.max_by_key(|it| returned(it))
}

/// The nodes of which nothing had reached the one that answered for a while, though something was
/// sent.
fn unheard(moment: &Moment<'_>) -> Option<String> {
    let others = moment.run.record.nodes.iter().filter(|other| other.name != moment.node);
    let links = &moment.surroundings.links;
    let cut: Vec<_> = others
        .filter_map(|other| {
            let (since, frames) = unheard_since(links, (&other.name, moment.node), moment.invoked)?;
            Some((since, format!("{} ({} kept off)", name(&other.name), count(frames))))
        })
        .collect();
    // Since when nothing of any of them had come.
    let since = cut.iter().map(|(since, _)| *since).max()?;
    let names: Vec<_> = cut.into_iter().map(|(_, name)| name).collect();
    Some(format!(
        "From {} until {}, nothing that was sent by {} reached {}.",
        instant_short(since),
        if moment.operation.is_some() { "the operation was invoked" } else { "then" },
        names.join(" and "),
        name(moment.node),
    ))
}

/// What the node had written to its log last.
fn last_line(moment: &Moment<'_>) -> Option<String> {
    let mut lines = moment.surroundings.lines.iter().rev();
    let own = lines.find(|line| {
        line.node == moment.node && line.at <= moment.returned && !line.text.trim().is_empty()
    })?;
    Some(format!(
        "The last line that {} had written before, at {}: “{}”.",
        name(moment.node),
        instant_short(own.at),
        brief(own.text.trim(), LINE_CHARACTERS)
    ))
}
