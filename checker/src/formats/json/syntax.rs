//! Reads JSON with the place of everything in it.
//!
//! [`Items`] takes a file apart into its top-level objects, of bounded length, one at a time: one a
//! line, one over several lines, or the elements of one array. [`parse`] makes a tree of one.
//! Numbers stay as they are written until somebody wants a [`Value`]; a name twice in one object,
//! half a surrogate pair, and more than [`DEEPEST`] lists and objects in each other are refused.
//!
//! Source: RFC 8259.

use std::borrow::Cow;
use std::io::BufRead;
use std::sync::Arc;

use super::number;
use crate::formats::edn::syntax::quote;
use crate::formats::error::{LONGEST_LINE, ReadError, ReadProblem};
use crate::formats::line_reader::fill;
use crate::value::Value;

/// How many lists and objects may lie in each other.
const DEEPEST: usize = 64;

/// A part of an object, and where in its text it begins.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) form: NodeKind<'a>,
}

/// What stands there.
#[derive(Debug)]
pub(super) enum NodeKind<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    /// Names, each with its place and what it stands for.
    Object(Vec<(usize, Cow<'a, str>, Node<'a>)>),
}

/// Whether the fields are those of a value with its version.
fn is_versioned(fields: &[(usize, Cow<'_, str>, Node<'_>)]) -> bool {
    let has = |name: &str| fields.iter().any(|(_, known, _)| known == name);
    fields.len() == 2 && has("value") && has("version")
}

/// What is wrong in an object, and where in its text.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) problem: ReadProblem,
    /// Whether the text ended there, and could go on well.
    pub(super) at_end: bool,
}

impl SyntaxError {
    pub(super) fn new(at: usize, problem: ReadProblem) -> Self {
        Self { at, problem, at_end: false }
    }

    /// Something else stands at `at` than what was `expected`.
    pub(super) fn unexpected(
        at: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::new(at, ReadProblem::unexpected(expected, found))
    }
}

impl Node<'_> {
    /// What a client wrote, read or named so.
    pub(super) fn value(&self) -> Result<Value, SyntaxError> {
        match &self.form {
            NodeKind::Null => Ok(Value::Null),
            NodeKind::Bool(truth) => Ok(Value::Bool(*truth)),
            NodeKind::Number(token) => number::value(token).ok_or_else(|| {
                let expected = "a number that a 64-bit integer or a double holds exactly";
                SyntaxError::unexpected(self.at, expected, quote(token))
            }),
            NodeKind::Text(text) => Ok(Value::text(&**text)),
            NodeKind::List(items) => {
                let items: Result<Vec<Value>, SyntaxError> =
                    items.iter().map(Node::value).collect();
                items.map(Value::list)
            }
            // A value with its version is the one map that is known.
            NodeKind::Object(fields) if is_versioned(fields) => {
                let pair = |(_, name, node): &(usize, Cow<'_, str>, Node<'_>)| {
                    Ok(Value::list([Value::text(&**name), node.value()?]))
                };
                let pairs: Result<Vec<Value>, SyntaxError> = fields.iter().map(pair).collect();
                pairs.map(Value::list)
            }
            NodeKind::Object(_) => {
                let expected = "null, a boolean, a number, a string or a list of these";
                Err(SyntaxError::unexpected(self.at, expected, "an object"))
            }
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.form {
            NodeKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing stands there.
    pub(super) const fn is_null(&self) -> bool {
        matches!(self.form, NodeKind::Null)
    }

    /// What stands there, as an error repeats it.
    pub(super) fn describe(&self) -> String {
        match &self.form {
            NodeKind::Null => "null".to_owned(),
            NodeKind::Bool(truth) => truth.to_string(),
            NodeKind::Number(token) => quote(token),
            NodeKind::Text(text) => quote(&serde_json::to_string(&**text).unwrap_or_default()),
            NodeKind::List(_) => "a list".to_owned(),
            NodeKind::Object(_) => "an object".to_owned(),
        }
    }
}

/// Reads `text`, which is to be one object.
pub(super) fn parse(text: &str) -> Result<Node<'_>, SyntaxError> {
    let mut parser = Parser { text, at: 0 };
    parser.blanks();
    let node = parser.node(0)?;
    parser.blanks();
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.unexpected("nothing after the object")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        match self.text[self.at..].chars().next() {
            Some(letter) => {
                let found = quote(&letter.escape_debug().to_string());
                SyntaxError::unexpected(self.at, expected, found)
            }
            None => {
                let problem = ReadProblem::EndsEarly(expected.to_owned());
                SyntaxError { at: self.at, problem, at_end: true }
            }
        }
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), SyntaxError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn node(&mut self, depth: usize) -> Result<Node<'a>, SyntaxError> {
        let at = self.at;
        if depth > DEEPEST {
            let expected = format!("at most {DEEPEST} lists and objects in each other");
            return Err(SyntaxError::unexpected(at, expected, "another"));
        }
        let form = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => NodeKind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => NodeKind::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { at, form })
    }

    fn object(&mut self, depth: usize) -> Result<NodeKind<'a>, SyntaxError> {
        self.at += 1;
        let mut fields: Vec<(usize, Cow<'a, str>, Node<'a>)> = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(NodeKind::Object(fields));
        }
        loop {
            self.blanks();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a field's name in quotes"));
            }
            let name = self.string()?;
            if fields.iter().any(|(_, known, _)| *known == name) {
                let found = format!("{} again", quote(&name));
                return Err(SyntaxError::unexpected(at, "every field once", found));
            }
            self.blanks();
            self.expect(b':', "`:` and the value of a field")?;
            self.blanks();
            let node = self.node(depth + 1)?;
            fields.push((at, name, node));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(NodeKind::Object(fields));
                }
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<NodeKind<'a>, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(NodeKind::List(items));
        }
        loop {
            self.blanks();
            items.push(self.node(depth + 1)?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(NodeKind::List(items));
                }
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn word(&mut self) -> Result<NodeKind<'a>, SyntaxError> {
        let rest = &self.text[self.at..];
        for (word, form) in [
            ("null", NodeKind::Null),
            ("true", NodeKind::Bool(true)),
            ("false", NodeKind::Bool(false)),
        ] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(form);
            }
            if !rest.is_empty() && word.starts_with(rest) {
                self.at = self.text.len();
                return Err(self.unexpected("the rest of a value"));
            }
        }
        Err(self.unexpected("null, a boolean, a number, a string, a list or an object"))
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.at;
        self.digits()?;
        if self.text.as_bytes()[first] == b'0' && self.at > first + 1 {
            self.at = first + 1;
            return Err(self.unexpected("a number without leading zeros"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// A text in quotes, without them.
    fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut copy: Option<String> = None;
        let mut from = start;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let stop = |byte: &u8| matches!(byte, b'"' | b'\\') || *byte < b' ';
            self.at += rest.iter().position(stop).unwrap_or(rest.len());
            let piece = &self.text[from..self.at];
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match copy {
                        None => Cow::Borrowed(piece),
                        Some(copy) => Cow::Owned(copy + piece),
                    });
                }
                Some(b'\\') => {
                    let copy = copy.get_or_insert_default();
                    copy.push_str(piece);
                    let letter = self.escape()?;
                    copy.push(letter);
                    from = self.at;
                }
                _ => return Err(self.unexpected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let letter = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hexadecimal()?;
                let mut code = first;
                if (0xd800..0xdc00).contains(&first) {
                    self.expect(b'\\', "the other half of a surrogate pair")?;
                    self.expect(b'u', "the other half of a surrogate pair")?;
                    let second = self.hexadecimal()?;
                    if (0xdc00..0xe000).contains(&second) {
                        code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    }
                }
                return char::from_u32(code).ok_or_else(|| {
                    SyntaxError::unexpected(start, "a whole character", "half a surrogate pair")
                });
            }
            _ => return Err(self.unexpected("one of the letters `\"\\/bfnrtu` after `\\`")),
        };
        self.at += 1;
        Ok(letter)
    }

    fn hexadecimal(&mut self) -> Result<u32, SyntaxError> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("four hexadecimal digits after `\\u`"));
            };
            number = number * 16 + digit;
            self.at += 1;
        }
        Ok(number)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where the reader is: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: usize,
}

impl Place {
    const fn advance(&mut self, byte: u8) {
        if byte == b'\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// An object, which [`Items::text`] has.
    Item,
    /// Nothing; the file is whole.
    End,
    /// The file ends in the middle of an object or an array.
    Cut,
}

/// How the objects of a file stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// Nothing was read yet.
    Start,
    /// One after the other.
    Lines,
    /// In an array, of which no element was read yet.
    Opened,
    /// In an array, after an element.
    Array,
    /// After an array.
    Closed,
}

/// The objects of a file.
#[derive(Debug)]
pub(super) struct Items<R> {
    name: Arc<str>,
    input: R,
    place: Place,
    frame: Frame,
    /// The object that was read last, and where it begins.
    text: Vec<u8>,
    start: Place,
}

impl<R: BufRead> Items<R> {
    pub(super) fn new(name: &str, input: R) -> Self {
        let place = Place { line: 1, column: 1 };
        let (name, frame) = (name.into(), Frame::Start);
        Self { name, input, place, frame, text: Vec::new(), start: place }
    }

    /// The object that [`Self::advance`] read, or what there is of it; UTF-8 where the object is
    /// whole.
    pub(super) fn text(&self) -> Result<&str, ReadError> {
        std::str::from_utf8(&self.text).map_err(|error| {
            let problem = ReadProblem::unexpected("UTF-8", "other bytes");
            self.error(error.valid_up_to(), problem)
        })
    }

    /// The line on which the object begins.
    pub(super) const fn line(&self) -> u64 {
        self.start.line
    }

    /// The line that the reader has come to.
    pub(super) const fn last_line(&self) -> u64 {
        self.place.line
    }

    /// Lets `take` look at what follows in the buffer, which may be any part of the rest of the
    /// file, unless the file has its objects in an array. Its answer is how many bytes make up the
    /// next line, and what it makes of them.
    pub(super) fn peek<T>(
        &mut self,
        take: impl FnOnce(&[u8], u64) -> Option<(usize, T)>,
    ) -> Result<Option<T>, ReadError> {
        if !matches!(self.frame, Frame::Start | Frame::Lines) {
            return Ok(None);
        }
        // An object that was read the other way, as one is that a buffer ends in, leaves the end of its
        // line behind.
        if self.place.column != 1 && self.fill()?.first() == Some(&b'\n') {
            self.input.consume(1);
            self.place.advance(b'\n');
        }
        if self.place.column != 1 {
            return Ok(None);
        }
        let line = self.place.line;
        let Some((length, taken)) = take(self.fill()?, line) else { return Ok(None) };
        self.input.consume(length);
        self.place.line += 1;
        self.start = Place { line, column: 1 };
        self.frame = Frame::Lines;
        Ok(Some(taken))
    }

    /// Goes to the next object.
    pub(super) fn advance(&mut self) -> Result<Next, ReadError> {
        loop {
            let Some(byte) = self.blanks()? else {
                let open = matches!(self.frame, Frame::Opened | Frame::Array);
                return Ok(if open { Next::Cut } else { Next::End });
            };
            match (self.frame, byte) {
                // A file system that lost its power may leave zeros where data was to be.
                (_, 0) => return self.zeros(),
                (Frame::Start, b'[') => self.step(Frame::Opened),
                (Frame::Opened | Frame::Array, b']') => self.step(Frame::Closed),
                (Frame::Array, b',') => {
                    self.step(Frame::Array);
                    if self.blanks()?.is_some_and(|byte| byte != b'{') {
                        return Err(self.unexpected("another object after `,`"));
                    }
                    return self.item();
                }
                (Frame::Start, b'{') => {
                    self.frame = Frame::Lines;
                    return self.item();
                }
                (Frame::Opened, b'{') => {
                    self.frame = Frame::Array;
                    return self.item();
                }
                (Frame::Lines, b'{') => return self.item(),
                (Frame::Array, _) => return Err(self.unexpected("`,` or `]` after an object")),
                (Frame::Closed, _) => return Err(self.unexpected("nothing after the array")),
                _ => return Err(self.unexpected("an event as a JSON object")),
            }
        }
    }

    fn fill(&mut self) -> Result<&[u8], ReadError> {
        let Self { name, input, place, .. } = self;
        fill(input).map_err(|error| {
            let Place { line, column } = *place;
            ReadError { file: name.clone(), line, column: Some(column), problem: error.into() }
        })
    }

    fn step(&mut self, frame: Frame) {
        self.input.consume(1);
        self.place.column += 1;
        self.frame = frame;
    }

    /// Skips blanks; the byte after them.
    fn blanks(&mut self) -> Result<Option<u8>, ReadError> {
        let mut skipped = 0;
        loop {
            let mut place = self.place;
            let buffer = self.fill()?;
            let end = buffer.iter().position(|&byte| !is_blank(byte));
            let length = end.unwrap_or(buffer.len());
            buffer[..length].iter().for_each(|&byte| place.advance(byte));
            let next = buffer.get(length).copied();
            let over = buffer.is_empty();
            self.input.consume(length);
            self.place = place;
            if over || end.is_some() {
                return Ok(next);
            }
            skipped += length;
            if skipped > LONGEST_LINE {
                self.start = self.place;
                return Err(self.error(0, ReadProblem::LineTooLong));
            }
        }
    }

    /// Zeros up to the end of the file are a cut; others are refused.
    fn zeros(&mut self) -> Result<Next, ReadError> {
        let refusal = self.unexpected("an event as a JSON object");
        loop {
            let buffer = self.fill()?;
            if buffer.is_empty() {
                return Ok(Next::Cut);
            }
            if buffer.iter().any(|&byte| byte != 0) {
                return Err(refusal);
            }
            let length = buffer.len();
            self.input.consume(length);
        }
    }

    /// Something else than what was `expected` follows in the buffer.
    fn unexpected(&mut self, expected: &str) -> ReadError {
        self.start = self.place;
        self.text.clear();
        let found = match fill(&mut self.input) {
            Ok(buffer) => {
                let line = buffer.split(|&byte| byte == b'\n').next().unwrap_or_default();
                quote(String::from_utf8_lossy(&line[..line.len().min(100)]).trim_end())
            }
            Err(error) => error.to_string(),
        };
        self.error(0, ReadProblem::unexpected(expected, found))
    }

    /// Reads an object, whose brace is next, to its end.
    fn item(&mut self) -> Result<Next, ReadError> {
        self.text.clear();
        self.start = self.place;
        let mut scan = Scan::default();
        loop {
            let mut place = self.place;
            let mut text = std::mem::take(&mut self.text);
            let buffer = self.fill()?;
            let end = buffer.iter().position(|&byte| {
                place.advance(byte);
                scan.ends_at(byte)
            });
            let length = end.map_or(buffer.len(), |end| end + 1);
            text.extend_from_slice(&buffer[..length]);
            self.input.consume(length);
            (self.place, self.text) = (place, text);
            if end.is_some() {
                return Ok(Next::Item);
            }
            if length == 0 {
                return self.ended();
            }
            if self.text.len() > LONGEST_LINE {
                self.damage()?;
                return Err(self.error(0, ReadProblem::OperationTooLong));
            }
        }
    }

    /// The file ended in the middle of an object: a cut, unless something is wrong further up.
    fn ended(&mut self) -> Result<Next, ReadError> {
        while self.text.last().is_some_and(|&byte| byte == 0 || is_blank(byte)) {
            self.text.pop();
        }
        self.damage()?;
        Ok(Next::Cut)
    }

    /// What is wrong with the beginning of an object, besides that it has no end.
    fn damage(&self) -> Result<(), ReadError> {
        let text = match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            // The cut may have gone through a letter.
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(&self.text[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return self.text().map(|_| ()),
        };
        match parse(text) {
            Err(fault) if !fault.at_end => Err(self.error(fault.at, fault.problem)),
            _ => Ok(()),
        }
    }

    /// An error at the byte `at` of the object that was read last.
    pub(super) fn error(&self, at: usize, problem: ReadProblem) -> ReadError {
        let mut place = self.start;
        self.text[..at.min(self.text.len())].iter().for_each(|&byte| place.advance(byte));
        let (file, Place { line, column }) = (self.name.clone(), place);
        ReadError { file, line, column: Some(column), problem }
    }
}

/// Finds the end of an object.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Whether the object ends with this byte.
    const fn ends_at(&mut self, byte: u8) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match byte {
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
