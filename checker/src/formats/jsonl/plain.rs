//! Reads the lines of JSON that our own writer makes, and only those.
//!
//! Such a line has its fields in one order, no blanks, no escapes in its texts and no numbers but
//! short integers. It is recognised byte by byte, in one pass that copies nothing. On anything else
//! there is no answer: the line may still be a valid event, which is for `serde_json` to say. So
//! nothing is decided here that could be decided otherwise there.

mod recent;

pub(in crate::formats) use self::recent::Recent;
use crate::event::{EventKind, Function, Nanoseconds, ProcessId, Record};
use crate::formats::error::LONGEST_LINE;
use crate::value::{Datum, Scalar, Value};

/// How many lists may stand in each other; deeper ones are left to the other reader.
const DEEPEST: usize = 8;

/// As many digits as surely fit 64 bits, signed or not.
const LONGEST_NUMBER: usize = 18;

/// The event in the line that `text` begins with, and the length of the line with its end; nothing
/// if the line is not whole or has another form. Lists that stand in it are kept in `recent`.
pub(in crate::formats) fn record<'a>(
    text: &'a [u8],
    recent: &'a mut Recent,
) -> Option<(Record<'a>, usize)> {
    let mut line = Line { text, at: 0 };
    line.skip(b"{\"index\":")?;
    let index = line.number()?;
    line.skip(b",\"time\":")?;
    let time = Nanoseconds(line.number()?);
    line.skip(b",\"process\":")?;
    let process = ProcessId(u32::try_from(line.number()?).ok()?);
    line.skip(b",\"type\":\"")?;
    let kind = line.kind()?;
    line.skip(b",\"f\":\"")?;
    let function = line.function()?;
    // Whether one may be missing is not for this reader to say.
    line.skip(b",\"key\":")?;
    let key = line.datum()?;
    line.skip(b",\"value\":")?;
    let value = line.datum_or_list(recent)?;
    let swapped = if line.skips(b",\"swapped\":") { Some(line.truth()?) } else { None };
    let saw = if line.skips(b",\"saw\":") { Some(line.datum()?) } else { None };
    let node = if line.skips(b",\"node\":\"") { Some(line.text()?) } else { None };
    let error = if line.skips(b",\"error\":\"") { Some(line.text()?) } else { None };
    let level = if line.skips(b",\"level\":\"") { Some(line.text()?.parse().ok()?) } else { None };
    let revision = if line.skips(b",\"revision\":") { Some(line.number()?) } else { None };
    line.skip(b"}\n")?;
    let record = Record {
        index,
        time,
        process,
        kind,
        function,
        key,
        value,
        swapped,
        saw,
        node,
        error,
        level,
        revision,
    };
    (line.at <= LONGEST_LINE).then_some((record, line.at))
}

/// A line, and how far it is read.
struct Line<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Line<'a> {
    #[inline(always)]
    fn skips<const LENGTH: usize>(&mut self, expected: &[u8; LENGTH]) -> bool {
        let found = self.text.get(self.at..self.at + LENGTH) == Some(expected);
        if found {
            self.at += LENGTH;
        }
        found
    }

    #[inline(always)]
    fn skip<const LENGTH: usize>(&mut self, expected: &[u8; LENGTH]) -> Option<()> {
        self.skips(expected).then_some(())
    }

    /// A number without sign, fraction or exponent.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let digits = self.text.get(self.at..)?;
        let mut number = 0;
        let mut length = 0;
        while let Some(digit) = digits.get(length).filter(|digit| digit.is_ascii_digit()) {
            if length == LONGEST_NUMBER {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
            length += 1;
        }
        // What follows is a delimiter, or the next comparison fails: `1.5` and `1e5` stop there.
        let leading_zero = length > 1 && digits[0] == b'0';
        if length == 0 || leading_zero {
            return None;
        }
        self.at += length;
        Some(number)
    }

    fn integer(&mut self) -> Option<i64> {
        if self.skips(b"-") {
            // `-0` is a double to JSON's readers.
            let number = i64::try_from(self.number()?).ok()?;
            return (number != 0).then_some(-number);
        }
        self.number().and_then(|number| i64::try_from(number).ok())
    }

    /// What stands before the next quote, which is skipped.
    fn text(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).ok()
    }

    fn kind(&mut self) -> Option<EventKind> {
        if self.skips(b"ok\"") {
            Some(EventKind::Ok)
        } else if self.skips(b"invoke\"") {
            Some(EventKind::Invoke)
        } else if self.skips(b"fail\"") {
            Some(EventKind::Fail)
        } else {
            self.skip(b"info\"").map(|()| EventKind::Info)
        }
    }

    fn function(&mut self) -> Option<Function> {
        if self.skips(b"read\"") {
            Some(Function::Read)
        } else if self.skips(b"write\"") {
            Some(Function::Write)
        } else {
            self.text().and_then(Function::from_name)
        }
    }

    fn truth(&mut self) -> Option<bool> {
        if self.skips(b"true") { Some(true) } else { self.skip(b"false").map(|()| false) }
    }

    fn scalar(&mut self) -> Option<Scalar<'a>> {
        match self.text.get(self.at)? {
            b'"' => {
                self.at += 1;
                self.text().map(Scalar::Text)
            }
            b'n' => self.skip(b"null").map(|()| Scalar::Null),
            b't' | b'f' => self.truth().map(Scalar::Bool),
            _ => self.integer().map(Scalar::Integer),
        }
    }

    /// Any datum; a list that is no pair is left in `recent`.
    fn datum_or_list(&mut self, recent: &'a mut Recent) -> Option<Datum<'a>> {
        let start = self.at;
        if let Some(datum) = self.datum() {
            return Some(datum);
        }
        self.at = start;
        recent.begin();
        let list = self.list(recent, 0)?;
        Some(Datum::from(recent.keep(list)))
    }

    /// A list of scalars and lists.
    fn list(&mut self, recent: &mut Recent, depth: usize) -> Option<Value> {
        let start = self.at;
        self.skip(b"[")?;
        let first = recent.items();
        let mut is_flat = true;
        while !self.skips(b"]") {
            if recent.items() > first {
                self.skip(b",")?;
            }
            let item = match self.text.get(self.at)? {
                b'[' if depth == DEEPEST => return None,
                b'[' => {
                    is_flat = false;
                    self.list(recent, depth + 1)?
                }
                _ => match self.scalar()? {
                    Scalar::Text(text) => recent.text(text),
                    scalar => scalar.into(),
                },
            };
            recent.push(item);
        }
        Some(recent.list(first, is_flat.then(|| &self.text[start..self.at])))
    }

    /// A scalar, or a list of two.
    fn datum(&mut self) -> Option<Datum<'a>> {
        if !self.skips(b"[") {
            return self.scalar().map(Datum::Scalar);
        }
        let first = self.scalar()?;
        self.skip(b",")?;
        let second = self.scalar()?;
        self.skip(b"]")?;
        Some(Datum::Pair([first, second]))
    }
}

#[cfg(test)]
mod tests;
