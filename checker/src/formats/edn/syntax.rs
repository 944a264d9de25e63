//! Reads EDN, the notation of Clojure's data, byte by byte.
//!
//! Source: the format's specification (<https://github.com/edn-format/edn>). Texts, keywords,
//! numbers, nil, booleans and collections of these become [`Value`]s: a list and a vector are one
//! list, a set is its members in order, a map its pairs in order. Symbols, characters, ratios and
//! numbers that neither a 64-bit integer nor a double holds are refused once they matter; a tag is
//! ignored in favour of what it tags. Holds one operation at a time, of bounded length and depth.

use std::io::BufRead;
use std::sync::Arc;

use super::text;
use crate::formats::error::{LONGEST_LINE, ReadError, ReadProblem};
use crate::formats::lines::fill;
use crate::value::Value;

/// How many collections may lie in each other.
const DEEPEST: usize = 64;

/// The longest part of a file that an error repeats, in bytes.
const LONGEST_QUOTE: usize = 40;

/// A byte of a file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) struct Place {
    pub(in crate::formats) line: u64,
    pub(in crate::formats) column: usize,
}

/// A file of EDN, and where in it the reader is.
#[derive(Debug)]
pub(in crate::formats) struct Parser<R> {
    name: Arc<str>,
    input: R,
    place: Place,
    /// How many bytes this operation may still have.
    left: usize,
    /// How many `#_` wait for the end of their forms.
    discards: usize,
    /// Whether a `#` was consumed that begins a set or a token.
    hash: bool,
    /// The first form that stands for no value of ours.
    refused: Option<(Place, String)>,
    scratch: Vec<u8>,
}

impl<R: BufRead> Parser<R> {
    /// A parser whose input begins at `place` of the file that is called `name`.
    pub(in crate::formats) fn new(name: Arc<str>, input: R, place: Place) -> Self {
        Self {
            name,
            input,
            place,
            left: LONGEST_LINE,
            discards: 0,
            hash: false,
            refused: None,
            scratch: Vec::new(),
        }
    }

    /// Says that what follows is another operation.
    pub(super) const fn begin_operation(&mut self) {
        self.left = LONGEST_LINE;
    }

    /// Where the next byte is.
    pub(in crate::formats) const fn place(&self) -> Place {
        self.place
    }

    /// The next byte, which is not consumed; nothing at the end of the file.
    pub(in crate::formats) fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        match fill(&mut self.input) {
            Ok(buffer) => Ok(buffer.first().copied()),
            Err(error) => Err(self.error(self.place, error.into())),
        }
    }

    /// Consumes the byte that [`Self::peek`] showed.
    fn bump(&mut self, byte: u8) -> Result<(), ReadError> {
        if self.left == 0 {
            return Err(self.error(self.place, ReadProblem::OperationTooLong));
        }
        self.left -= 1;
        self.input.consume(1);
        if byte == b'\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Ok(())
    }

    /// Consumes `byte` if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, ReadError> {
        let found = self.peek()? == Some(byte);
        if found {
            self.bump(byte)?;
        }
        Ok(found)
    }

    /// Skips blanks, which commas are, comments and what `#_` takes back. Then stands before a
    /// form, the end of a collection or that of the file; tags are skipped as well.
    pub(in crate::formats) fn blank(&mut self) -> Result<Option<u8>, ReadError> {
        while !self.hash {
            match self.peek()? {
                Some(byte) if is_blank(byte) => self.bump(byte)?,
                Some(b';') => self.comment()?,
                Some(b'#') => self.hash()?,
                found => return Ok(found),
            }
        }
        Ok(Some(b'#'))
    }

    fn comment(&mut self) -> Result<(), ReadError> {
        while let Some(byte) = self.peek()? {
            self.bump(byte)?;
            if byte == b'\n' {
                break;
            }
        }
        Ok(())
    }

    /// Skips `#_` with its form, or a tag, or only the `#` of something else.
    fn hash(&mut self) -> Result<(), ReadError> {
        let place = self.place;
        self.bump(b'#')?;
        match self.peek()? {
            Some(b'_') if self.discards == DEEPEST => {
                let expected = format!("at most {DEEPEST} `#_` in each other");
                return Err(self.unexpected(place, &expected, "another"));
            }
            Some(b'_') => {
                self.bump(b'_')?;
                self.discards += 1;
                self.skip_form("a form after `#_`")?;
                self.discards -= 1;
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                self.token()?;
            }
            Some(b'{' | b'#') => self.hash = true,
            _ => return Err(self.unexpected(place, "a set, a tag or `#_`", "`#`")),
        }
        Ok(())
    }

    /// Why the forms read since this was last asked are not all values: symbols, characters,
    /// ratios and numbers that are too great were read as nil.
    pub(in crate::formats) fn refusal(&mut self) -> Option<ReadError> {
        let (place, found) = self.refused.take()?;
        let expected = "nil, a boolean, a number of 64 bits, a string, a keyword or a collection \
                        of these";
        Some(self.unexpected(place, expected, found))
    }

    /// Reads a form; see [`Self::refusal`] for those that are no values.
    pub(in crate::formats) fn value(&mut self, expected: &str) -> Result<Value, ReadError> {
        self.form(expected, 0)
    }

    fn form(&mut self, expected: &str, depth: usize) -> Result<Value, ReadError> {
        let first = self.blank()?;
        let place = self.place;
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} collections in each other");
            return Err(self.unexpected(place, &expected, "another"));
        }
        match first {
            None => Err(self.ends_early(expected)),
            Some(b'"') => Ok(text::from_string(self.string()?)),
            Some(open @ (b'[' | b'(')) => {
                let close = if open == b'[' { b']' } else { b')' };
                self.bump(open)?;
                Ok(Value::list(self.items(close, depth)?))
            }
            Some(b'{') => self.map(depth),
            Some(b'#') => self.set(depth),
            Some(b':') => self.keyword().map(Value::text),
            Some(byte @ (b']' | b')' | b'}')) => {
                Err(self.unexpected(place, expected, format!("`{}`", char::from(byte))))
            }
            Some(_) => self.atom(place),
        }
    }

    fn items(&mut self, close: u8, depth: usize) -> Result<Vec<Value>, ReadError> {
        let mut items = Vec::new();
        while self.blank()? != Some(close) {
            let expected = match close {
                b']' => "an item or `]`",
                b')' => "an item or `)`",
                _ => "an item or `}`",
            };
            items.push(self.form(expected, depth + 1)?);
        }
        self.bump(close)?;
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Result<Value, ReadError> {
        let place = self.place;
        self.bump(b'{')?;
        let items = self.items(b'}', depth)?;
        if items.len() % 2 != 0 {
            return Err(self.unexpected(place, "a value for every key", "a key more"));
        }
        let mut pairs: Vec<Value> = items.chunks_exact(2).map(Value::list).collect();
        pairs.sort();
        Ok(Value::list(pairs))
    }

    /// A set; its `#` is consumed.
    fn set(&mut self, depth: usize) -> Result<Value, ReadError> {
        let place = self.place;
        self.hash = false;
        if self.peek()? != Some(b'{') {
            let found = quote(&["#", self.token()?].concat());
            self.refused.get_or_insert((place, found));
            return Ok(Value::Null);
        }
        self.bump(b'{')?;
        let mut members = self.items(b'}', depth)?;
        members.sort();
        Ok(Value::list(members))
    }

    /// Reads a keyword, whose colon is next; with its colon.
    pub(super) fn keyword(&mut self) -> Result<&str, ReadError> {
        let place = self.place;
        if !text::is_keyword(self.token()?) {
            let found = quote(&String::from_utf8_lossy(&self.scratch));
            return Err(self.unexpected(place, "a keyword as in `:name`", found));
        }
        Ok(std::str::from_utf8(&self.scratch).unwrap_or_default())
    }

    fn atom(&mut self, place: Place) -> Result<Value, ReadError> {
        let token = self.token()?;
        let value = match token {
            "nil" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => text::number(token),
        };
        if let Some(value) = value {
            return Ok(value);
        }
        let found = quote(token);
        self.refused.get_or_insert((place, found));
        Ok(Value::Null)
    }

    /// The bytes up to the next delimiter; at least one byte, whatever it is.
    fn token(&mut self) -> Result<&str, ReadError> {
        let place = self.place;
        self.scratch.clear();
        if let Some(first) = self.peek()? {
            self.scratch.push(first);
            self.bump(first)?;
            // A backslash makes a character of whatever follows.
            if first == b'\\'
                && let Some(second) = self.peek()?
            {
                self.scratch.push(second);
                self.bump(second)?;
            }
        }
        while self.extend_token()? {}
        if std::str::from_utf8(&self.scratch).is_err() {
            return Err(self.unexpected(place, "UTF-8", "other bytes"));
        }
        Ok(std::str::from_utf8(&self.scratch).unwrap_or_default())
    }

    /// Adds what is in the buffer to a token; false if the token ends there.
    fn extend_token(&mut self) -> Result<bool, ReadError> {
        let buffer = match fill(&mut self.input) {
            Ok(buffer) => buffer,
            Err(error) => return Err(self.error(self.place, error.into())),
        };
        let end = buffer.iter().position(|&byte| is_delimiter(byte));
        let length = end.unwrap_or(buffer.len());
        if length > self.left {
            return Err(self.error(self.place, ReadProblem::OperationTooLong));
        }
        self.scratch.extend_from_slice(&buffer[..length]);
        self.left -= length;
        self.place.column += length;
        self.input.consume(length);
        Ok(end.is_none() && length > 0)
    }

    /// A text in quotes, without them.
    fn string(&mut self) -> Result<String, ReadError> {
        let place = self.place;
        self.bump(b'"')?;
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        loop {
            let Some(byte) = self.peek()? else {
                return Err(self.ends_early("the end of a string"));
            };
            let here = self.place;
            self.bump(byte)?;
            match byte {
                b'"' => break,
                b'\\' => {
                    let letter = self.escape(here)?;
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                byte => bytes.push(byte),
            }
        }
        let text = std::str::from_utf8(&bytes).map(str::to_owned);
        self.scratch = bytes;
        text.map_err(|_| self.unexpected(place, "UTF-8", "other bytes"))
    }

    /// What follows a backslash in a text.
    fn escape(&mut self, place: Place) -> Result<char, ReadError> {
        let Some(byte) = self.peek()? else {
            return Err(self.ends_early("the rest of an escape"));
        };
        self.bump(byte)?;
        Ok(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' => char::from(byte),
            b'u' => {
                let first = self.hexadecimal(place)?;
                let mut code = first;
                if (0xd800..0xdc00).contains(&first) && self.take(b'\\')? && self.take(b'u')? {
                    let second = self.hexadecimal(place)?;
                    if (0xdc00..0xe000).contains(&second) {
                        code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    }
                }
                let half = || self.unexpected(place, "a whole character", "half a surrogate pair");
                char::from_u32(code).ok_or_else(half)?
            }
            _ => {
                let expected = "one of `\\n`, `\\t`, `\\r`, `\\b`, `\\f`, `\\\"`, `\\\\`, `\\u`";
                return Err(self.unexpected(place, expected, "another escape"));
            }
        })
    }

    fn hexadecimal(&mut self, place: Place) -> Result<u32, ReadError> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.peek()?.unwrap_or(b'"');
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(self.unexpected(
                    place,
                    "four hexadecimal digits after `\\u`",
                    "others",
                ));
            };
            self.bump(byte)?;
            number = number * 16 + digit;
        }
        Ok(number)
    }

    /// Goes past a form of any kind, of which it keeps nothing.
    pub(super) fn skip_form(&mut self, expected: &str) -> Result<(), ReadError> {
        let mut closes: Vec<u8> = Vec::new();
        loop {
            let place = self.place;
            match self.blank()? {
                None => return Err(self.ends_early(expected)),
                Some(b'"') => drop(self.string()?),
                Some(byte @ (b'[' | b'(' | b'{')) => {
                    self.bump(byte)?;
                    if closes.len() > DEEPEST {
                        let expected = format!("at most {DEEPEST} collections in each other");
                        return Err(self.unexpected(place, &expected, "another"));
                    }
                    closes.push(closing(byte));
                    continue;
                }
                // The set's brace, or a token such as `##Inf`, follows.
                Some(b'#') => {
                    self.hash = false;
                    if self.peek()? == Some(b'{') {
                        continue;
                    }
                    self.token()?;
                }
                Some(byte @ (b']' | b')' | b'}')) => {
                    let place = self.place;
                    if closes.pop() != Some(byte) {
                        let found = format!("`{}`", char::from(byte));
                        return Err(self.unexpected(place, expected, found));
                    }
                    self.bump(byte)?;
                }
                Some(_) => drop(self.token()?.len()),
            }
            if closes.is_empty() {
                return Ok(());
            }
        }
    }

    /// An error at `place`.
    pub(in crate::formats) fn error(&self, place: Place, problem: ReadProblem) -> ReadError {
        let Place { line, column } = place;
        ReadError { file: self.name.clone(), line, column: Some(column), problem }
    }

    /// Something else stands at `place` than what was `expected`.
    pub(in crate::formats) fn unexpected(
        &self,
        place: Place,
        expected: &str,
        found: impl Into<String>,
    ) -> ReadError {
        self.error(place, ReadProblem::unexpected(expected, found))
    }

    /// The file ends where something was `expected`.
    pub(super) fn ends_early(&self, expected: &str) -> ReadError {
        self.error(self.place, ReadProblem::EndsEarly(expected.to_owned()))
    }
}

const fn closing(open: u8) -> u8 {
    match open {
        b'[' => b']',
        b'(' => b')',
        _ => b'}',
    }
}

const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b',' || byte == 0x0b
}

const fn is_delimiter(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'[' | b']' | b'(' | b')' | b'{' | b'}' | b'"' | b';')
}

/// A part of a file as an error repeats it.
pub(in crate::formats) fn quote(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_QUOTE);
    let rest = if end < text.len() { "…" } else { "" };
    format!("`{}{rest}`", &text[..end])
}

/// A byte of a file as an error repeats it.
pub(super) fn quote_byte(byte: u8) -> String {
    if byte.is_ascii_graphic() {
        format!("`{}`", char::from(byte))
    } else {
        format!("the byte {byte:#04x}")
    }
}
