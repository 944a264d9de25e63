//! A node's answer to a command that somebody wrote: in words, or as a table if it is one.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::reply::Reply;

/// What a node answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A text, or a number as one.
    Text(String),
    /// Nothing, said expressly.
    Nothing,
    /// Several answers.
    List(Vec<Answer>),
}

impl Answer {
    pub(super) fn of(frame: &Reply) -> Self {
        let text = |bytes: &Bytes| Self::Text(String::from_utf8_lossy(bytes).into_owned());
        match frame {
            Reply::Simple(bytes) | Reply::Bulk(bytes) | Reply::Error(bytes) => text(bytes),
            Reply::Integer(number) => Self::Text(number.to_string()),
            Reply::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Reply::Null | Reply::NullArray => Self::Nothing,
        }
    }

    /// The answer as a table: rows of named values. A list has a row in each of its items, a list of
    /// names and values in turn; a text has a row in each line, of words like `name=value` between
    /// blanks or commas. What is neither is left out.
    pub(super) fn rows(&self) -> Vec<BTreeMap<String, String>> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Text(text) => text.lines().map(row_of_line).filter(|it| !it.is_empty()).collect(),
            Self::List(items) => items.iter().filter_map(Self::row).collect(),
        }
    }

    fn row(&self) -> Option<BTreeMap<String, String>> {
        let Self::List(items) = self else { return None };
        let pairs = items.chunks_exact(2).filter_map(|pair| match pair {
            [Self::Text(name), Self::Text(value)] => Some((name.clone(), value.clone())),
            _ => None,
        });
        Some(pairs.collect())
    }
}

fn row_of_line(line: &str) -> BTreeMap<String, String> {
    let words = line.split(|c: char| c == ',' || c.is_whitespace());
    let pairs = words.filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// As a person reads it, in one line.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Nothing => f.write_str("nothing"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.to_owned().into())
    }

    fn row(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_list_of_lists_is_a_table_of_named_values() {
        let member =
            |id, part| Reply::Array(vec![bulk("id"), Reply::Integer(id), bulk("part"), bulk(part)]);
        let reply = Reply::Array(vec![member(1, "voter"), member(4, "learner"), bulk("x")]);
        let answer = Answer::of(&reply);
        let expected =
            [row(&[("id", "1"), ("part", "voter")]), row(&[("id", "4"), ("part", "learner")])];
        assert_eq!(answer.rows(), expected);
        assert_eq!(answer.to_string(), "[[id 1 part voter] [id 4 part learner] x]");
    }

    #[test]
    fn a_text_is_a_table_with_a_row_in_a_line() {
        let answer = Answer::of(&bulk("role:leader\r\nn1 id=1,voting=yes\nn2 id=2, voting=no\n"));
        let expected =
            [row(&[("id", "1"), ("voting", "yes")]), row(&[("id", "2"), ("voting", "no")])];
        assert_eq!(answer.rows(), expected);
        assert_eq!(Answer::of(&Reply::Null).rows(), Vec::<BTreeMap<_, _>>::new());
    }
}
