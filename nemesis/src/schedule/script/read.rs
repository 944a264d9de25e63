//! Reads a [`Script`] from TOML, and says where and why it cannot.
//!
//! Tables are read by serde, a fault's parameters into the fault's own type. Where a table holds
//! fields of two, as a fault's time beside its parameters, they are taken apart first: so places are
//! kept, and every key is one that something knows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{LONGEST, Script, ScriptedCommand, ScriptedFault, ScriptedPhase, Span};
use crate::fault::read::Keys;
use crate::fault::values::{Count, Value, ValueError, text_value};
use crate::fault::{FAULTS, FaultKind, Target, Victims, described};
use crate::names::or_similar;
use crate::schedule::{Trigger, USUAL_WAIT_MS, When};
use crate::units;

/// Why a script cannot be read or played: where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}: {problem}")]
pub struct ScriptError {
    /// The file, or the name of a recipe.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl ScriptError {
    pub(super) fn new(name: &str, line: usize, problem: impl Into<String>) -> ScriptError {
        ScriptError { name: name.to_owned(), line, problem: problem.into() }
    }
}

/// A problem and the place of the text that has it.
type Problem = (Range<usize>, String);

/// What a file can hold.
const FIELDS: [&str; 10] = [
    "about",
    "nodes",
    "every",
    "seed",
    "workload",
    "clients",
    "rate",
    "arguments",
    "commands",
    "read-only",
];

/// What a fault can hold beside its parameters.
const BESIDE: [&str; 6] = ["id", "at", "for", "when", "wait", "target"];

/// How many of these a fault has whose victims are fixed.
const WITHOUT_TARGET: usize = 5;

/// Names of earlier versions, and what is called so now.
const RENAMED: [(&str, &str); 2] = [("lulls", "read-only"), ("stutter", "pause-loop")];

/// All of a file but its faults.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Head {
    about: String,
    nodes: Option<Count<1, 99>>,
    arguments: BTreeMap<String, Vec<String>>,
    workload: Option<String>,
    clients: Option<Count<0, { u32::MAX }>>,
    rate: Option<Count<0, { u32::MAX }>>,
    seed: Option<u64>,
    every: Option<Every>,
    read_only: Vec<ScriptedPhase>,
    commands: BTreeMap<String, Vec<ScriptedCommand>>,
}

/// What a fault holds beside its parameters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Beside {
    id: Option<u32>,
    at: Option<Span>,
    r#for: Option<Span>,
    when: Option<When>,
    wait: Option<Wait>,
    target: Option<Target>,
}

/// How often a list is played.
struct Every(Duration);

impl Value for Every {
    fn expected() -> String {
        "a time with a unit, of at least 100ms".to_owned()
    }

    fn read(text: &str) -> Option<Every> {
        let bounds = Duration::from_millis(100)..LONGEST;
        units::duration(text).filter(|every| bounds.contains(every)).map(Every)
    }
}

impl std::fmt::Display for Every {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&units::written(self.0))
    }
}

text_value!(Every);

impl Script {
    /// Reads a script that was found in the file, or under the name, `name`.
    ///
    /// # Errors
    ///
    /// The first thing that is not understood, with its line and what was expected.
    pub fn parse(name: &str, text: &str) -> Result<Script, ScriptError> {
        let error = |(place, problem): Problem| ScriptError::new(name, line(text, &place), problem);
        let table = DeTable::parse(text).map_err(|problem| {
            error((problem.span().unwrap_or(0..0), problem.message().to_owned()))
        })?;
        let mut script = read(table, text).map_err(error)?;
        name.clone_into(&mut script.name);
        Ok(script)
    }
}

fn line(text: &str, place: &Range<usize>) -> usize {
    1 + text.bytes().take(place.start).filter(|byte| *byte == b'\n').count()
}

fn read(table: Spanned<DeTable<'_>>, text: &str) -> Result<Script, Problem> {
    let place = table.span();
    let mut table = table.into_inner();
    let faults = table.remove("faults");
    if let Some(key) = table.keys().find(|key| !FIELDS.contains(&key.get_ref().as_ref())) {
        return Err((key.span(), unknown(key.get_ref(), &[&FIELDS[..], &["faults"]].concat())));
    }
    let faults = faults.ok_or((0..0, "no `faults`: expected a list of them".to_owned()))?;
    let faults = match (faults.span(), faults.into_inner()) {
        (_, DeValue::Array(faults)) => faults,
        (place, _) => return Err((place, "expected a list of faults".to_owned())),
    };
    let faults = faults.into_iter().map(|fault| scripted(fault, text)).collect::<Result<_, _>>()?;
    let head: Head = deserialize(table, place)?;
    let script = Script {
        name: String::new(),
        about: head.about,
        nodes: head.nodes.map(Count::get),
        arguments: head.arguments,
        workload: head.workload,
        clients: head.clients.map(Count::get),
        rate: head.rate.map(Count::get),
        seed: head.seed,
        every: head.every.map(|every| every.0),
        faults,
        read_only: head.read_only,
        commands: head.commands,
    };
    check_rounds(&script, text)?;
    Ok(script)
}

/// A list that is played again and again has no numbers, and fits into a round.
fn check_rounds(script: &Script, text: &str) -> Result<(), Problem> {
    let Some(limit) = script.every else { return Ok(()) };
    match script.faults.iter().find(|fault| fault.at.most >= limit || fault.id.is_some()) {
        Some(fault) => {
            let place = text.split_inclusive('\n').take(fault.line - 1).map(str::len).sum();
            let problem = "a list that is played again and again has no `id`s, and its faults \
                           begin before it does";
            Err((place..place, problem.to_owned()))
        }
        None => Ok(()),
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    match RENAMED.iter().find(|(old, _)| *old == name) {
        Some((_, new)) => format!("unknown `{name}`: it is called `{new}` now"),
        None => format!("unknown `{name}`; {}", or_similar(name, known, "expected ")),
    }
}

/// Reads what a table holds, all of whose keys are known.
fn deserialize<T: DeserializeOwned>(table: DeTable<'_>, place: Range<usize>) -> Result<T, Problem> {
    let keys = Keys::of(&table);
    let from = toml::de::Deserializer::from(Spanned::new(place, table));
    T::deserialize(from).map_err(|error| keys.locate(&error))
}

const A_FAULT: &str =
    "a fault, such as { at = \"2s\", for = \"3s\", fault = \"kill\", target = \"n1\" }";

fn scripted(value: Spanned<DeValue<'_>>, text: &str) -> Result<ScriptedFault, Problem> {
    let place = value.span();
    let DeValue::Table(mut table) = value.into_inner() else {
        return Err((place, format!("expected {A_FAULT}")));
    };
    let Some(name) = table.remove("fault") else {
        return Err((place, format!("no `fault` here; expected {A_FAULT}")));
    };
    let kind = kind(&name)?;
    let takes_target = matches!(kind.description().victims, Victims::Chosen { .. });
    let beside = if takes_target { &BESIDE[..] } else { &BESIDE[..WITHOUT_TARGET] };
    let (taken, parameters): (DeTable<'_>, DeTable<'_>) =
        table.into_iter().partition(|(key, _)| beside.contains(&key.get_ref().as_ref()));
    let target_place = taken.get("target").map(Spanned::span);
    let taken: Beside = deserialize(taken, place.clone())?;
    let fault = kind
        .read(Spanned::new(place.clone(), parameters), &BESIDE[..WITHOUT_TARGET])
        .map_err(|error| (error.place, error.problem))?;
    let row = kind.description();
    Ok(ScriptedFault {
        id: taken.id,
        at: taken.at.unwrap_or(Span { least: Duration::ZERO, most: Duration::ZERO }),
        duration: taken.r#for.unwrap_or(Span {
            least: Duration::from_millis(row.drawn.shortest_ms),
            most: Duration::from_millis(row.drawn.longest_ms),
        }),
        fault,
        trigger: trigger(taken.when, taken.wait, &place)?,
        target: target(kind, taken.target, target_place)?,
        line: line(text, &place),
    })
}

/// How long a fault waits.
#[derive(Clone, Copy)]
struct Wait(Duration);

impl Value for Wait {
    fn expected() -> String {
        "a time with a unit, of at least 1ms and at most 10min".to_owned()
    }

    fn read(text: &str) -> Option<Wait> {
        let bounds = Duration::from_millis(1)..=Duration::from_secs(600);
        units::duration(text).filter(|wait| bounds.contains(wait)).map(Wait)
    }
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&units::written(self.0))
    }
}

text_value!(Wait);

fn trigger(
    when: Option<When>,
    wait: Option<Wait>,
    place: &Range<usize>,
) -> Result<Option<Trigger>, Problem> {
    let wait_ms = wait.map_or(USUAL_WAIT_MS, |wait| super::milliseconds(wait.0));
    match (when, wait) {
        (Some(when), _) => Ok(Some(Trigger { when, wait_ms })),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let problem = format!("`wait` without `when`: expected {}", When::expected());
            Err((place.clone(), problem))
        }
    }
}

fn kind(name: &Spanned<DeValue<'_>>) -> Result<FaultKind, Problem> {
    let Some(text) = name.get_ref().as_str() else {
        return Err((name.span(), "expected the name of a fault".to_owned()));
    };
    FaultKind::named(text).ok_or_else(|| {
        let mut known = FAULTS.map(FaultKind::name).to_vec();
        known.extend(described::names());
        (name.span(), unknown(text, &known).replacen("unknown", "unknown fault", 1))
    })
}

/// The victims that a fault has where it is given `target`.
fn target(
    kind: FaultKind,
    target: Option<Target>,
    place: Option<Range<usize>>,
) -> Result<Target, Problem> {
    let victims = &kind.description().victims;
    match (target, victims) {
        (None, _) => Ok(victims.default_target().clone()),
        (Some(target), _) if victims.accept(&target) => Ok(target),
        (Some(target), Victims::Chosen { unit, .. }) => {
            let error = ValueError { found: target.to_string(), expected: (*unit).to_owned() };
            Err((place.unwrap_or_default(), format!("target: {error}")))
        }
        (Some(_), Victims::Fixed(_)) => {
            Err((place.unwrap_or_default(), kind.unknown("target", &BESIDE[..WITHOUT_TARGET])))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        let fault = |inside: &str| format!("faults = [\n  {{ fault = \"one-way\", {inside} }},\n]");
        let every = "every = \"1s\"\nfaults = [\n\n{ fault = \"kill\", at = \"2s\" }]".to_owned();
        let cases = [
            ("faults = [".to_owned(), "mine.toml:1: "),
            ("about = \"x\"\n".to_owned(), "no `faults`"),
            ("\nfualts = []\n".to_owned(), "mine.toml:2: unknown `fualts`; expected about"),
            ("\nfualts = []\n".to_owned(), "faults; did you mean `faults`?"),
            ("faults = 3".to_owned(), "mine.toml:1: expected a list of faults"),
            ("\nnodes = \"five\"\nfaults = []".to_owned(), ":2: nodes: \"five\" is not it"),
            ("every = \"1\"\nfaults = []".to_owned(), "a time with a unit"),
            ("faults = [\n\n  { at = \"1s\" },\n]".to_owned(), "mine.toml:3: no `fault` here"),
            ("faults = [\n  \"kill\"]".to_owned(), "mine.toml:2: expected a fault, such as"),
            (
                "faults = [\n  { fault = \"kil\" }]".to_owned(),
                "mine.toml:2: unknown fault `kil`; expected isolate",
            ),
            ("faults = [\n  { fault = \"kil\" }]".to_owned(), "did you mean `kill`"),
            (fault("at = \"2s..1s\""), "mine.toml:2: at: \"2s..1s\" is not it"),
            (fault("for = 3"), "for: \"3\" is not it: expected a time"),
            (fault("when = \"lunch\""), "expected election, new-leader, restart or catching-up"),
            (fault("wait = \"1s\""), "mine.toml:2: `wait` without `when`: expected election"),
            (fault("when = \"restart\", wait = \"0s\""), "at least 1ms and at most 10min"),
            (fault("id = -1"), "mine.toml:2: id: "),
            (
                fault("direktion = \"in\""),
                "mine.toml:2: unknown `direktion`; one-way takes id, at, for, when, wait, \
                 target, direction, \
                 clients; did you mean `direction`?",
            ),
            (fault("direction = \"up\""), ":2: direction: \"up\" is not it: expected in or out"),
            (
                fault("\n direction = true"),
                ":3: direction: invalid type: boolean `true`, expected in",
            ),
            (fault("target = \"n1,\""), "mine.toml:2: target: \"n1,\" is not it: expected leader"),
            (
                "faults = [{ fault = \"transfer-leadership\", target = \"leader\" }]".to_owned(),
                "target: \"leader\" is not it: expected follower or a node's name",
            ),
            (
                "faults = [{ fault = \"kill-all\", target = \"n1\" }]".to_owned(),
                "unknown `target`; kill-all takes id, at, for, when, wait, down",
            ),
            (every, ":4: "),
            ("arguments = [\"x\"]\nfaults = []".to_owned(), "arguments: invalid type: sequence"),
            (
                "faults = []\nread-only = [{ at = \"1s\" }]".to_owned(),
                "mine.toml:2: read-only: missing field `for`",
            ),
        ];
        for (text, expected) in cases {
            let error = Script::parse("mine.toml", &text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn arguments_are_for_one_target() {
        let text = "arguments = { raft-node = [\"--heartbeat\", \"50ms\"] }\nfaults = []\n";
        let script = Script::parse("mine.toml", text).expect("a script");
        assert_eq!(script.arguments["raft-node"], ["--heartbeat", "50ms"]);
    }

    #[test]
    fn a_number_is_a_value_as_well() {
        let text = "faults = [{ fault = \"clock-rate\", rate = 1.5 }]";
        let script = Script::parse("mine.toml", text).expect("a script");
        assert_eq!(script.faults[0].fault.parameters()["rate"], "1.5");
    }

    #[test]
    fn a_name_of_an_earlier_version_is_answered_with_the_one_of_now() {
        let error = |text| Script::parse("old.toml", text).expect_err("old").to_string();
        let lulls = error("faults = []\nlulls = []\n");
        assert_eq!(lulls, "old.toml:2: unknown `lulls`: it is called `read-only` now");
        let stutter = error("faults = [{ fault = \"stutter\" }]");
        let expected = "old.toml:1: unknown fault `stutter`: it is called `pause-loop` now";
        assert_eq!(stutter, expected);
    }

    #[test]
    fn a_seed_is_any_number_of_64_bits() {
        let text = format!("seed = {}\nfaults = []\n", u64::MAX);
        assert_eq!(Script::parse("mine.toml", &text).map(|it| it.seed), Ok(Some(u64::MAX)));
    }
}
