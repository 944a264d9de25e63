//! Commands of a description: words, of which some may be for some nodes only, and steps that are run
//! once.

use std::fmt;
use std::time::Duration;

use partita_nemesis::units;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::words::{Names, expand};

/// How long a step may take unless the description says otherwise.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// A program and its arguments, word by word. A word may hold placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Command(Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// Of every node.
    Every(String),
    /// Of some.
    Some(ForSome),
}

/// Words that only some nodes are given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ForSome {
    #[serde(default)]
    only: Option<NodeNames>,
    #[serde(default)]
    not: Option<NodeNames>,
    words: Vec<String>,
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word, or a table such as { only = [\"n1\"], words = [\"--first\"] }")
            }

            fn visit_str<E>(self, word: &str) -> Result<Word, E> {
                Ok(Word::Every(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Word, A::Error> {
                let words = ForSome::deserialize(MapAccessDeserializer::new(map))?;
                match (&words.only, &words.not) {
                    (Some(_), None) | (None, Some(_)) => Ok(Word::Some(words)),
                    _ => Err(A::Error::custom("expected either `only` or `not`")),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// Names of nodes: `n1`, `n2` and so on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
struct NodeNames(Vec<String>);

impl TryFrom<Vec<String>> for NodeNames {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        match names.iter().find(|name| !is_node(name)) {
            Some(name) => Err(format!("`{name}` is no node; nodes are called n1, n2 and so on")),
            None => Ok(Self(names)),
        }
    }
}

/// Whether nodes of a run can be called that.
pub(super) fn is_node(name: &str) -> bool {
    let number = name.strip_prefix('n').and_then(|number| number.parse::<u32>().ok());
    number.is_some_and(|number| number > 0 && name == format!("n{number}"))
}

impl ForSome {
    fn is_for(&self, node: &str) -> bool {
        let names = |names: &NodeNames| names.0.iter().any(|name| name == node);
        self.only.as_ref().is_none_or(names) && !self.not.as_ref().is_some_and(names)
    }
}

impl Command {
    /// Its words as they are written, whoever they are for.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|word| {
            match word {
                Word::Every(word) => std::slice::from_ref(word),
                Word::Some(some) => &some.words,
            }
            .iter()
            .map(String::as_str)
        })
    }

    /// Its words as they are written, in a line.
    pub fn written(&self) -> String {
        self.texts().collect::<Vec<_>>().join(" ")
    }

    /// Whether it has no words for any node.
    pub fn is_empty(&self) -> bool {
        self.texts().next().is_none()
    }

    /// Its words for the node that has `own` names; `all` nodes have these.
    pub(super) fn line(&self, own: &Names, all: &[Names]) -> Vec<String> {
        let node = own.get("node").map_or("", String::as_str);
        let of = |word: &Word| match word {
            Word::Every(word) => vec![expand(word, own, all)],
            Word::Some(some) if some.is_for(node) => {
                some.words.iter().map(|word| expand(word, own, all)).collect()
            }
            Word::Some(_) => Vec::new(),
        };
        self.0.iter().flat_map(of).collect()
    }
}

/// What is written to a file: a text, or lines, of which some may be for some nodes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText(Command);

impl<'de> Deserialize<'de> for FileText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = FileText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of lines")
            }

            fn visit_str<E>(self, text: &str) -> Result<FileText, E> {
                Ok(FileText(Command(vec![Word::Every(text.to_owned())])))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<FileText, A::Error> {
                let mut lines = Command::deserialize(SeqAccessDeserializer::new(seq))?;
                for word in &mut lines.0 {
                    let lines = match word {
                        Word::Every(line) => std::slice::from_mut(line),
                        Word::Some(some) => &mut some.words,
                    };
                    lines.iter_mut().for_each(|line| line.push('\n'));
                }
                Ok(FileText(lines))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl FileText {
    /// As [`Command::texts`].
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.texts()
    }

    /// The text for the node that has `own` names; `all` nodes have these.
    pub(super) fn text(&self, own: &Names, all: &[Names]) -> String {
        self.0.line(own, all).concat()
    }
}

/// A command that is run once, on some nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is run.
    pub command: Command,
    /// The nodes on which it is run; all without it.
    on: Option<NodeNames>,
    /// How long it may take, on each node.
    pub limit: Duration,
    /// When it is run.
    pub when: When,
}

/// When a step is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Before the first node is started.
    #[default]
    BeforeStart,
    /// When all nodes were started, again and again until it succeeds.
    AfterStart,
}

impl Step {
    /// Whether it is run on `node`.
    pub fn is_on(&self, node: &str) -> bool {
        self.on.as_ref().is_none_or(|on| on.0.iter().any(|name| name == node))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct StepTable {
    command: Command,
    on: Option<NodeNames>,
    limit: Option<Span>,
    #[serde(default)]
    when: When,
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Step;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a command, or a table such as { command = […], on = [\"n1\"] }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Step, A::Error> {
                let command = Command::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(Step { command, on: None, limit: STEP_LIMIT, when: When::BeforeStart })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Step, A::Error> {
                let step = StepTable::deserialize(MapAccessDeserializer::new(map))?;
                let StepTable { command, on, limit, when } = step;
                Ok(Step { command, on, limit: limit.map_or(STEP_LIMIT, |it| it.0), when })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A time with its unit: `30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let time = units::duration(&text).filter(|time| !time.is_zero());
        time.map(Self).ok_or_else(|| format!("`{text}` is no time; expected one such as 30s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(node: &str) -> Names {
        [("node", node), ("n1.ip", "10.0.0.1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[derive(Debug, Deserialize)]
    struct Document {
        command: Command,
        #[serde(default)]
        prepare: Vec<Step>,
    }

    fn document(text: &str) -> Document {
        toml::from_str(text).expect(text)
    }

    #[test]
    fn words_are_for_some_nodes_only_where_the_description_says_so() {
        let command = document(
            "command = ['redis', { not = ['n1'], words = ['--replicaof', '{n1.ip}'] }, \
             { only = ['n1', 'n2'], words = ['-v'] }, '--{node}']",
        )
        .command;
        let line = |node: &str| command.line(&names(node), &[]).join(" ");
        assert_eq!(line("n1"), "redis -v --n1");
        assert_eq!(line("n2"), "redis --replicaof 10.0.0.1 -v --n2");
        assert_eq!(line("n3"), "redis --replicaof 10.0.0.1 --n3");
        assert_eq!(command.texts().count(), 5);
    }

    #[test]
    fn a_step_is_a_command_or_says_where_when_and_how_long() {
        let steps = document(
            "command = []\nprepare = [['mkdir', '{data}/x'], \
             { command = ['join'], on = ['n2'], limit = '5s', when = 'after-start' }]",
        )
        .prepare;
        assert!(steps[0].is_on("n1") && steps[0].is_on("n3"));
        assert_eq!((steps[0].limit, steps[0].when), (STEP_LIMIT, When::BeforeStart));
        assert!(steps[1].is_on("n2") && !steps[1].is_on("n1"));
        assert_eq!((steps[1].limit, steps[1].when), (Duration::from_secs(5), When::AfterStart));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_expected() {
        let cases = [
            ("command = [1]", "expected a word"),
            ("command = [{ words = ['x'] }]", "either `only` or `not`"),
            ("command = [{ only = ['n1'], not = ['n2'], words = [] }]", "either `only` or `not`"),
            ("command = [{ only = ['first'], words = [] }]", "`first` is no node"),
            ("command = [{ only = ['n01'], words = [] }]", "`n01` is no node"),
            ("command = [{ onyl = ['n1'], words = [] }]", "unknown field `onyl`"),
            ("command = []\nprepare = ['x']", "expected a command"),
            ("command = []\nprepare = [{ command = [], limit = '5' }]", "`5` is no time"),
        ];
        for (text, expected) in cases {
            let error = toml::from_str::<Document>(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
