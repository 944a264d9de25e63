//! Reads replies in RESP2, the protocol of Redis, from a store that is not trusted.
//!
//! The store under test may be corrupt or hostile, and what it sends must neither be guessed at nor
//! cost the run: framing is strict, nothing recurses, nothing is allocated for what a length only
//! announces, and depth, elements and size are [limited](ReplyLimits). Bytes arrive in pieces; each is
//! looked at once, so that a reply sent byte by byte costs no more than one sent whole.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::super::encoding::SAMPLE_BYTES;
pub(super) use super::super::encoding::sample;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// A simple string: `+OK`.
    Simple(Bytes),
    /// An error, its word first: `-ERR no such key`.
    Error(Bytes),
    /// An integer: `:7`.
    Integer(i64),
    /// A bulk string, any bytes.
    Bulk(Bytes),
    /// The bulk string that is none: `$-1`.
    Null,
    /// The array that is none: `*-1`.
    NullArray,
    /// An array of replies.
    Array(Vec<Self>),
}

impl Reply {
    /// What kind of reply it is, with its article.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Simple(_) => "a simple string",
            Self::Error(_) => "an error",
            Self::Integer(_) => "an integer",
            Self::Bulk(_) => "a bulk string",
            Self::Null => "a null",
            Self::NullArray => "a null array",
            Self::Array(_) => "an array",
        }
    }

    /// The reply in one line of ASCII, cut: for messages.
    pub(super) fn sample(&self) -> String {
        match self {
            Self::Simple(bytes) => format!("+{}", sample(bytes)),
            Self::Error(bytes) => format!("-{}", sample(bytes)),
            Self::Integer(number) => format!(":{number}"),
            Self::Bulk(bytes) => sample(bytes),
            Self::Null => "$-1".to_owned(),
            Self::NullArray => "*-1".to_owned(),
            Self::Array(items) => format!("*{}", items.len()),
        }
    }
}

/// What a reply may be like at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplyLimits {
    /// Bytes of a line: of a simple string, an error, a number or a length.
    pub line: usize,
    /// Bytes altogether, lengths and line ends included.
    pub bytes: usize,
    /// Elements of all of its arrays together.
    pub elements: usize,
    /// Arrays inside each other.
    pub depth: usize,
}

impl Default for ReplyLimits {
    /// Far more than any answer to what clients, pollers and operators ask.
    fn default() -> Self {
        Self { line: 64 << 10, bytes: 16 << 20, elements: 1 << 16, depth: 16 }
    }
}

/// What is wrong with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum FramingProblem {
    /// The first byte names no type.
    #[error("a reply of no type that RESP2 has")]
    UnknownType,
    /// A carriage return or a line feed without the other.
    #[error("a line that does not end with CRLF")]
    LineEnd,
    /// No integer of 64 bits, or a length below -1.
    #[error("a number that is none")]
    Number,
    /// Something else than a line end after a bulk string.
    #[error("a bulk string longer than it said")]
    BulkEnd,
    /// [`ReplyLimits::line`].
    #[error("a line longer than the limit")]
    LineLimit,
    /// [`ReplyLimits::bytes`].
    #[error("a reply larger than the limit")]
    ByteLimit,
    /// [`ReplyLimits::elements`].
    #[error("a reply of more elements than the limit")]
    ElementLimit,
    /// [`ReplyLimits::depth`].
    #[error("a reply of more nested arrays than the limit")]
    DepthLimit,
}

/// Why a stream of replies cannot be read any further: where the next reply begins is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem}: `{sample}`")]
pub(super) struct FramingError {
    /// What is wrong.
    pub problem: FramingProblem,
    /// The bytes in question in ASCII, cut.
    pub sample: String,
}

/// An array whose elements are still coming.
#[derive(Debug)]
struct OpenArray {
    missing: usize,
    items: Vec<Reply>,
}

/// A piece of a reply.
enum Item {
    Whole(Reply),
    /// The beginning of an array that has elements.
    Array(usize),
}

/// Reads one reply after the other from the bytes that it is given.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    limits: ReplyLimits,
    /// What arrived and belongs to no finished piece yet.
    received: BytesMut,
    /// How many bytes of that were searched for a line end.
    searched: usize,
    /// The length of the bulk string that is coming.
    bulk: Option<usize>,
    /// Bytes of finished pieces of this reply.
    taken: usize,
    /// Elements that its arrays announced.
    elements: usize,
    open: Vec<OpenArray>,
}

impl ReplyReader {
    /// A reader with limits of its own.
    #[cfg(test)]
    pub(super) fn with_limits(limits: ReplyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Where to put bytes that arrived.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// What arrived after the last reply.
    pub(super) fn surplus(&self) -> &[u8] {
        &self.received
    }

    /// The next reply, or `None` while bytes of it are missing.
    ///
    /// # Errors
    ///
    /// [`FramingError`] if this is no RESP2 or is beyond a limit; the reader must not be used again.
    pub(super) fn next_reply(&mut self) -> Result<Option<Reply>, FramingError> {
        loop {
            let Some(item) = self.next_item()? else { return Ok(None) };
            let mut reply = match item {
                Item::Whole(reply) => reply,
                Item::Array(missing) => {
                    self.open.push(OpenArray { missing, items: Vec::new() });
                    continue;
                }
            };
            loop {
                let Some(array) = self.open.last_mut() else {
                    (self.taken, self.elements) = (0, 0);
                    return Ok(Some(reply));
                };
                array.items.push(reply);
                array.missing -= 1;
                if array.missing > 0 {
                    break;
                }
                let items = self.open.pop().map(|array| array.items);
                reply = Reply::Array(items.unwrap_or_default());
            }
        }
    }

    fn next_item(&mut self) -> Result<Option<Item>, FramingError> {
        if let Some(length) = self.bulk {
            return self.bulk_string(length);
        }
        let Some(line) = self.line()? else { return Ok(None) };
        let text = line.slice(1..);
        let wrong = |problem| FramingError { problem, sample: sample(&line) };
        let whole = |reply| Ok(Some(Item::Whole(reply)));
        match line[0] {
            b'+' => whole(Reply::Simple(text)),
            b'-' => whole(Reply::Error(text)),
            b':' => {
                whole(Reply::Integer(integer(&text).ok_or_else(|| wrong(FramingProblem::Number))?))
            }
            b'$' => match length(&text).ok_or_else(|| wrong(FramingProblem::Number))? {
                None => whole(Reply::Null),
                Some(length) if length > self.limits.bytes.saturating_sub(self.taken + 2) => {
                    Err(wrong(FramingProblem::ByteLimit))
                }
                Some(length) => {
                    self.bulk = Some(length);
                    self.bulk_string(length)
                }
            },
            _ => match length(&text).ok_or_else(|| wrong(FramingProblem::Number))? {
                None => whole(Reply::NullArray),
                Some(0) => whole(Reply::Array(Vec::new())),
                Some(count) if count > self.limits.elements - self.elements => {
                    Err(wrong(FramingProblem::ElementLimit))
                }
                Some(_) if self.open.len() >= self.limits.depth => {
                    Err(wrong(FramingProblem::DepthLimit))
                }
                Some(count) => {
                    self.elements += count;
                    Ok(Some(Item::Array(count)))
                }
            },
        }
    }

    /// The next line without its end, once it is there.
    fn line(&mut self) -> Result<Option<Bytes>, FramingError> {
        let wrong = |received: &[u8], problem| FramingError { problem, sample: sample(received) };
        let Some(first) = self.received.first() else { return Ok(None) };
        if !b"+-:$*".contains(first) {
            return Err(wrong(&self.received, FramingProblem::UnknownType));
        }
        let found = self.received[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = found.map(|place| self.searched + place) else {
            self.searched = self.received.len();
            if self.searched > self.limits.line {
                return Err(wrong(&self.received, FramingProblem::LineLimit));
            }
            return Ok(None);
        };
        self.searched = 0;
        if end > self.limits.line {
            return Err(wrong(&self.received, FramingProblem::LineLimit));
        }
        let ends = self.received[..end].iter().position(|byte| *byte == b'\r') == Some(end - 1);
        if !ends {
            return Err(wrong(&self.received, FramingProblem::LineEnd));
        }
        self.taken += end + 1;
        if self.taken > self.limits.bytes {
            return Err(wrong(&self.received, FramingProblem::ByteLimit));
        }
        let mut line = self.received.split_to(end + 1);
        line.truncate(end - 1);
        Ok(Some(line.freeze()))
    }

    fn bulk_string(&mut self, length: usize) -> Result<Option<Item>, FramingError> {
        let Some(end) = self.received.get(length..length + 2) else { return Ok(None) };
        if end != b"\r\n" {
            let sample = sample(&self.received[length.saturating_sub(SAMPLE_BYTES / 2)..]);
            return Err(FramingError { problem: FramingProblem::BulkEnd, sample });
        }
        self.bulk = None;
        self.taken += length + 2;
        let mut bytes = self.received.split_to(length + 2);
        bytes.truncate(length);
        Ok(Some(Item::Whole(Reply::Bulk(bytes.freeze()))))
    }
}

/// An integer as the protocol writes it: a sign if there is one, and digits.
fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A length, or `Some(None)` for the -1 that stands for nothing.
fn length(text: &[u8]) -> Option<Option<usize>> {
    if text == b"-1" {
        return Some(None);
    }
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten().map(Some)
}

#[cfg(test)]
mod tests;
