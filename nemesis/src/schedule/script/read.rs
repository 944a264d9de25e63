//! Reads a [`Script`] from TOML, and says where and why it cannot.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Script, ScriptedCommand, ScriptedFault, ScriptedLull, Span};
use crate::fault::units::duration;
use crate::fault::{FAULTS, Fault, TARGET, Target};

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

const KNOWN: &str =
    "about, nodes, every, seed, workload, clients, rate, arguments, commands, lulls or faults";

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
        let mut script = read(table.get_ref(), text).map_err(error)?;
        name.clone_into(&mut script.name);
        Ok(script)
    }
}

fn line(text: &str, place: &Range<usize>) -> usize {
    1 + text.bytes().take(place.start).filter(|byte| *byte == b'\n').count()
}

fn read(table: &DeTable<'_>, text: &str) -> Result<Script, Problem> {
    let mut script = Script::default();
    let mut has_faults = false;
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "about" => word(value, "a line of text")?.clone_into(&mut script.about),
            "nodes" => script.nodes = Some(number(value, "a number of nodes, 1 to 99")?),
            "workload" => {
                script.workload = Some(word(value, "the name of a workload")?.to_owned());
            }
            "clients" => script.clients = Some(number(value, "a number of clients")?),
            "rate" => script.rate = Some(number(value, "a number of operations a second")?),
            "commands" => script.commands = commands(value)?,
            "lulls" => {
                let list = value.get_ref().as_array();
                let list = list.ok_or_else(|| expected(value, "a list of lulls"))?;
                script.lulls = list.iter().map(scripted_lull).collect::<Result<_, _>>()?;
            }
            "seed" => script.seed = Some(number(value, "a whole number")?),
            "every" => {
                let every = time(value)?;
                if every < Duration::from_millis(100) {
                    return Err(expected(value, "a time of at least 100ms"));
                }
                script.every = Some(every);
            }
            "arguments" => script.arguments = arguments(value)?,
            "faults" => {
                has_faults = true;
                let list = value.get_ref().as_array();
                let list = list.ok_or_else(|| expected(value, "a list of faults"))?;
                let faults = list.iter().map(|fault| scripted(fault, text));
                script.faults = faults.collect::<Result<_, _>>()?;
            }
            other => return Err((key.span(), format!("unknown `{other}`; expected {KNOWN}"))),
        }
    }
    if !has_faults {
        return Err((0..0, "no `faults`: expected a list of them".to_owned()));
    }
    let limit = script.every.unwrap_or(Duration::MAX);
    match script.faults.iter().find(|fault| fault.at.most >= limit || fault.id.is_some()) {
        Some(fault) if script.every.is_some() => {
            let place = text.split_inclusive('\n').take(fault.line - 1).map(str::len).sum();
            let problem = "a list that is played again and again has no `id`s, and its faults \
                           begin before it does";
            Err((place..place, problem.to_owned()))
        }
        _ => Ok(script),
    }
}

fn arguments(value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let what =
        "a list of words for each target, such as { raft-node = [\"--heartbeat\", \"50ms\"] }";
    let table = value.get_ref().as_table().ok_or_else(|| expected(value, what))?;
    let list = |(target, words): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let list = words.get_ref().as_array().ok_or_else(|| expected(words, what))?;
        let list = list.iter().map(|it| word(it, what).map(str::to_owned));
        let target: &std::borrow::Cow<'_, str> = target.get_ref();
        Ok((target.to_string(), list.collect::<Result<_, Problem>>()?))
    };
    table.iter().map(list).collect()
}

fn commands(
    value: &Spanned<DeValue<'_>>,
) -> Result<BTreeMap<String, Vec<ScriptedCommand>>, Problem> {
    let what = "a list of commands for each target, such as \
                { raft-node = [{ at = \"2s\", say = \"RAFT TRANSFER\" }] }";
    let table = value.get_ref().as_table().ok_or_else(|| expected(value, what))?;
    let command = |value: &Spanned<DeValue<'_>>| {
        let table = value.get_ref().as_table().ok_or_else(|| expected(value, what))?;
        let (Some(at), Some(say), 2) = (table.get("at"), table.get("say"), table.len()) else {
            return Err(expected(value, what));
        };
        Ok(ScriptedCommand { at: span(at)?, say: word(say, what)?.to_owned() })
    };
    let list = |(target, list): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let list = list.get_ref().as_array().ok_or_else(|| expected(list, what))?;
        let target: &std::borrow::Cow<'_, str> = target.get_ref();
        Ok((target.to_string(), list.iter().map(command).collect::<Result<_, Problem>>()?))
    };
    table.iter().map(list).collect()
}

fn scripted_lull(value: &Spanned<DeValue<'_>>) -> Result<ScriptedLull, Problem> {
    let what = "a lull, such as { at = \"2s\", for = \"3s\" }";
    let table = value.get_ref().as_table().ok_or_else(|| expected(value, what))?;
    let (Some(at), Some(duration), 2) = (table.get("at"), table.get("for"), table.len()) else {
        return Err(expected(value, what));
    };
    Ok(ScriptedLull { at: span(at)?, duration: span(duration)? })
}

fn scripted(value: &Spanned<DeValue<'_>>, text: &str) -> Result<ScriptedFault, Problem> {
    let what = "a fault, such as { at = \"2s\", for = \"3s\", fault = \"kill\", target = \"n1\" }";
    let table = value.get_ref().as_table().ok_or_else(|| expected(value, what))?;
    let fault = match table.get("fault") {
        Some(name) => {
            let known = || FAULTS.map(|row| row.name).join(", ");
            let named = Fault::named(word(name, "the name of a fault")?);
            named.ok_or_else(|| expected(name, &format!("a fault: {}", known())))?
        }
        None => return Err((value.span(), format!("no `fault` here; expected {what}"))),
    };
    let row = fault.description();
    let (least, most) =
        (Duration::from_millis(row.shortest_ms), Duration::from_millis(row.longest_ms));
    let mut scripted = ScriptedFault {
        id: None,
        at: Span { least: Duration::ZERO, most: Duration::ZERO },
        duration: Span { least, most },
        fault,
        target: row.default_target(),
        parameters: BTreeMap::new(),
        line: line(text, &value.span()),
    };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "fault" => {}
            "id" => scripted.id = Some(number(value, "a whole number")?),
            "at" => scripted.at = span(value)?,
            "for" => scripted.duration = span(value)?,
            name => {
                let Some(parameter) = row.parameters.iter().find(|it| it.name == name) else {
                    let known: Vec<&str> = row.parameters.iter().map(|it| it.name).collect();
                    let known = known.join(", ");
                    let problem = format!("unknown `{name}`; {fault} takes at, for, id, {known}");
                    return Err((key.span(), problem));
                };
                let given = plain(value).ok_or_else(|| expected(value, parameter.unit))?;
                if !(parameter.accepts)(&given) {
                    return Err(expected(value, parameter.unit));
                }
                if name == TARGET {
                    let target: Result<Target, _> = given.parse();
                    scripted.target = target.map_err(|error| (value.span(), error.to_string()))?;
                } else {
                    scripted.parameters.insert(name.to_owned(), given);
                }
            }
        }
    }
    Ok(scripted)
}

fn expected(value: &Spanned<DeValue<'_>>, what: &str) -> Problem {
    let found = plain(value).map_or_else(String::new, |text| format!("{text:?} is not it: "));
    (value.span(), format!("{found}expected {what}"))
}

/// A text, or a number as it was written.
fn plain(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

fn word<'a>(value: &'a Spanned<DeValue<'_>>, what: &str) -> Result<&'a str, Problem> {
    value.get_ref().as_str().ok_or_else(|| expected(value, what))
}

fn number<N: std::str::FromStr>(value: &Spanned<DeValue<'_>>, what: &str) -> Result<N, Problem> {
    let text = value.get_ref().as_integer().map(toml::de::DeInteger::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| expected(value, what))
}

fn time(value: &Spanned<DeValue<'_>>) -> Result<Duration, Problem> {
    let what = "a time with a unit, such as \"2s\" or \"250ms\"";
    let text = word(value, what)?;
    duration(text).filter(|time| *time < LONGEST).ok_or_else(|| expected(value, what))
}

/// The longest time of a script: past any run.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

fn span(value: &Spanned<DeValue<'_>>) -> Result<Span, Problem> {
    let what = "a time such as \"2s\", or two such as \"1s..2s\"";
    let text = word(value, what)?;
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let both = duration(least).zip(duration(most));
    both.filter(|(least, most)| least <= most && *most < LONGEST)
        .map(|(least, most)| Span { least, most })
        .ok_or_else(|| expected(value, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        let fault = |inside: &str| format!("faults = [\n  {{ fault = \"one-way\", {inside} }},\n]");
        let cases = [
            ("faults = [".to_owned(), "mine.toml:1: "),
            ("about = \"x\"\n".to_owned(), "no `faults`"),
            ("\nfualts = []\n".to_owned(), "mine.toml:2: unknown `fualts`; expected about"),
            ("nodes = \"five\"\nfaults = []".to_owned(), "mine.toml:1: \"five\" is not it"),
            ("every = \"1\"\nfaults = []".to_owned(), "a time with a unit"),
            ("faults = [\n\n  { at = \"1s\" },\n]".to_owned(), "mine.toml:3: no `fault` here"),
            (
                "faults = [\n  { fault = \"kil\" }]".to_owned(),
                "\"kil\" is not it: expected a fault",
            ),
            (fault("at = \"2s..1s\""), "mine.toml:2: \"2s..1s\" is not it"),
            (fault("for = 3"), "\"3\" is not it: expected a time"),
            (fault("direktion = \"in\""), "one-way takes at, for, id, target, direction"),
            (fault("direction = \"up\""), "mine.toml:2: \"up\" is not it: expected in or out"),
            (fault("target = \"n1,\""), "mine.toml:2: \"n1,\" is not it: expected leader"),
            ("every = \"1s\"\nfaults = [\n\n{ fault = \"kill\", at = \"2s\" }]".to_owned(), ":4: "),
            ("arguments = [\"x\"]\nfaults = []".to_owned(), "a list of words for each target"),
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
        assert_eq!(script.faults[0].parameters["rate"], "1.5");
    }
}
