//! Reads EDN, the notation of Clojure's data, byte by byte.
//!
//! Source: the format's specification (<https://github.com/edn-format/edn>). Texts, keywords,
//! numbers, nil, booleans and collections of these become [`Value`]s: a list and a vector are one
//! list, a set is its members in order, a map its pairs in order. All else is gone past, and refused
//! once it matters: symbols, characters, ratios, numbers that neither a 64-bit integer nor a double
//! holds, regular expressions, what Clojure prints without being able to read it. A tag is ignored
//! in favour of what it tags, as metadata is. Holds one operation at a time, of bounded length.

use std::io::BufRead;
use std::sync::Arc;

use super::text;
use crate::formats::error::{LONGEST_LINE, ReadError, ReadProblem};
use crate::formats::line_reader::fill;
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
    refused: Option<(Place, ReadProblem)>,
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
                Some(b'^') => {
                    let place = self.place;
                    self.bump(b'^')?;
                    self.discard(place, "metadata after `^`")?;
                }
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
            Some(b'_') => {
                self.bump(b'_')?;
                self.discard(place, "a form after `#_`")?;
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                self.token()?;
            }
            // The map of which this is the namespace follows.
            Some(b':') => {
                let found = quote(&["#", self.token()?].concat());
                self.refuse(place, found);
            }
            Some(b'^') => {
                self.bump(b'^')?;
                self.discard(place, "metadata after `#^`")?;
            }
            Some(b'{' | b'#' | b'"' | b'(' | b'<' | b'\'' | b'=' | b'?') => self.hash = true,
            _ => return Err(self.unexpected(place, "a set, a tag or `#_`", "`#`")),
        }
        Ok(())
    }

    /// Skips a form that another one follows.
    fn discard(&mut self, place: Place, expected: &str) -> Result<(), ReadError> {
        if self.discards == DEEPEST {
            let expected = format!("at most {DEEPEST} `#_` or `^` in each other");
            return Err(self.unexpected(place, &expected, "another"));
        }
        self.discards += 1;
        self.skip_form(expected)?;
        self.discards -= 1;
        Ok(())
    }

    /// Keeps what stands for no value of ours, until it is known whether that matters.
    fn refuse(&mut self, place: Place, found: impl Into<String>) {
        let expected = "nil, a boolean, a number of 64 bits, a string, a keyword or a collection \
                        of these";
        self.refused.get_or_insert_with(|| (place, ReadProblem::unexpected(expected, found)));
    }

    /// Forgets what stood for no value so far.
    pub(super) fn forget_refusal(&mut self) {
        self.refused = None;
    }

    /// Why the forms read since this was last asked are not all values: symbols, characters,
    /// ratios and numbers that are too great were read as nil.
    pub(in crate::formats) fn refusal(&mut self) -> Option<ReadError> {
        let (place, problem) = self.refused.take()?;
        Some(self.error(place, problem))
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
            let problem = ReadProblem::unexpected(expected, "another");
            self.refused.get_or_insert((place, problem));
            return self.skip_form("a form").map(|()| Value::Null);
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
            Some(b':') => self.keyword(place),
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
            let problem = ReadProblem::unexpected("a value for every key", "a key more");
            self.refused.get_or_insert((place, problem));
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
            let found = self.opaque()?;
            self.refuse(place, found);
            return Ok(Value::Null);
        }
        self.bump(b'{')?;
        let mut members = self.items(b'}', depth)?;
        members.sort();
        if members.windows(2).any(|pair| pair[0] == pair[1]) {
            let problem = ReadProblem::unexpected("every member of a set once", "one twice");
            self.refused.get_or_insert((place, problem));
        }
        Ok(Value::list(members))
    }

    /// Goes past something that only Clojure's printer or reader knows, whose `#` is consumed.
    fn opaque(&mut self) -> Result<String, ReadError> {
        match self.peek()? {
            Some(b'"') => Ok(quote(&format!("#\"{}\"", self.string()?))),
            Some(b'(') => {
                self.skip_form("a function")?;
                Ok("`#(`".to_owned())
            }
            // As in `#<Object java.lang.Object@1>`, which has no other end than its last `>`.
            Some(b'<') => {
                let mut open = 0_usize;
                while let Some(byte) = self.peek()? {
                    self.bump(byte)?;
                    open = match byte {
                        b'<' => open + 1,
                        b'>' => open - 1,
                        _ => open,
                    };
                    if open == 0 {
                        return Ok("`#<`".to_owned());
                    }
                }
                Err(self.ends_early("`>`"))
            }
            _ => {
                let token = quote(&["#", self.token()?].concat());
                // `#=(…)`, `#?(…)`
                if matches!(self.peek()?, Some(b'(' | b'[' | b'{')) {
                    self.skip_form("a form")?;
                }
                Ok(token)
            }
        }
    }

    /// Reads a keyword, whose colon is next; with its colon.
    fn keyword(&mut self, place: Place) -> Result<Value, ReadError> {
        let token = self.token()?;
        if text::is_keyword(token) {
            return Ok(Value::text(token));
        }
        let problem = ReadProblem::unexpected("a keyword as in `:name`", quote(token));
        self.refused.get_or_insert((place, problem));
        Ok(Value::Null)
    }

    /// Reads the name of a field, whose colon is next; with its colon.
    pub(super) fn field_name(&mut self) -> Result<&str, ReadError> {
        self.token()
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
        let is_prefix = is_prefix(token);
        self.refuse(place, found);
        if is_prefix && self.peek()?.is_some_and(opens) {
            self.skip_form("a form")?;
        }
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
            let problem = ReadProblem::unexpected("UTF-8", "other bytes");
            self.refused.get_or_insert((place, problem));
            self.scratch.clear();
            self.scratch.extend_from_slice("\u{fffd}".as_bytes());
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
        Ok(text.unwrap_or_else(|_| {
            let problem = ReadProblem::unexpected("UTF-8", "other bytes");
            self.refused.get_or_insert((place, problem));
            String::new()
        }))
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
                char::from_u32(code).unwrap_or_else(|| {
                    let half = "half a surrogate pair";
                    self.refused.get_or_insert_with(|| {
                        (place, ReadProblem::unexpected("a whole character", half))
                    });
                    char::REPLACEMENT_CHARACTER
                })
            }
            _ => {
                let expected = "one of `\\n`, `\\t`, `\\r`, `\\b`, `\\f`, `\\\"`, `\\\\`, `\\u`";
                let problem = ReadProblem::unexpected(expected, "another escape");
                self.refused.get_or_insert((place, problem));
                char::REPLACEMENT_CHARACTER
            }
        })
    }

    fn hexadecimal(&mut self, place: Place) -> Result<u32, ReadError> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.peek()?.unwrap_or(b'"');
            let Some(digit) = char::from(byte).to_digit(16) else {
                let expected = "four hexadecimal digits after `\\u`";
                let problem = ReadProblem::unexpected(expected, "others");
                self.refused.get_or_insert((place, problem));
                return Ok(u32::from(char::REPLACEMENT_CHARACTER));
            };
            self.bump(byte)?;
            number = number * 16 + digit;
        }
        Ok(number)
    }

    /// Goes past a form of any kind, of which it keeps nothing.
    pub(super) fn skip_form(&mut self, expected: &str) -> Result<(), ReadError> {
        let refused = self.refused.take();
        let skipped = self.skip_any(expected);
        self.refused = refused;
        skipped
    }

    fn skip_any(&mut self, expected: &str) -> Result<(), ReadError> {
        let mut closes: Vec<u8> = Vec::new();
        loop {
            match self.blank()? {
                None => return Err(self.ends_early(expected)),
                Some(b'"') => drop(self.string()?),
                Some(byte @ (b'[' | b'(' | b'{')) => {
                    self.bump(byte)?;
                    closes.push(closing(byte));
                    continue;
                }
                // The set's brace, or something such as `##Inf`, follows.
                Some(b'#') => {
                    self.hash = false;
                    if self.peek()? == Some(b'(') || self.peek()? == Some(b'{') {
                        continue;
                    }
                    match self.peek()? {
                        Some(b'"' | b'<') => drop(self.opaque()?),
                        _ => {
                            self.token()?;
                            // `#=(…)`, `#?(…)`
                            if matches!(self.peek()?, Some(b'(' | b'[' | b'{')) {
                                continue;
                            }
                        }
                    }
                }
                Some(byte @ (b']' | b')' | b'}')) => {
                    let place = self.place;
                    if closes.pop() != Some(byte) {
                        let found = format!("`{}`", char::from(byte));
                        return Err(self.unexpected(place, expected, found));
                    }
                    self.bump(byte)?;
                }
                Some(_) => {
                    let is_prefix = is_prefix(self.token()?);
                    if is_prefix && self.peek()?.is_some_and(opens) {
                        continue;
                    }
                }
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

/// Whether the token belongs to the form that follows it at once: a quote, or one undone.
fn is_prefix(token: &str) -> bool {
    matches!(token, "'" | "`" | "~" | "~@" | "@")
}

/// Whether a form begins with the byte that may follow a token at once.
const fn opens(byte: u8) -> bool {
    matches!(byte, b'[' | b'(' | b'{' | b'"')
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
