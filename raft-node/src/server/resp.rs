//! Reads requests and writes replies in RESP2 and RESP3, the protocols of Redis.
//!
//! Both have the same requests; a client that says `HELLO 3` gets replies with types that RESP2
//! lacks: null, maps and sets. A request is an array of bulk strings, or a line of words (inline, for a person with netcat).
//! That is all a server needs to read, so this is a small codec of our own: the general one of the
//! `redis-protocol` crate recurses as deep as nested arrays go and has no limits on lengths, and
//! both are an attacker's to choose. Nothing is allocated for what a length only announces.

use bytes::Bytes;

/// The longest request, its lengths and line ends included.
pub(super) const MAX_REQUEST_BYTES: usize = 4 << 20;
/// The most words in a request.
const MAX_WORDS: usize = 1024;
/// The longest inline request, and the longest line that announces a length.
const MAX_LINE_BYTES: usize = 64 << 10;

/// Which replies a client understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    /// What every client begins with.
    #[default]
    Resp2,
    /// What `HELLO 3` switches to.
    Resp3,
}

impl Protocol {
    /// Its number, as `HELLO` has it.
    pub(super) fn version(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Why a stream is not RESP. The connection cannot go on: where the next request begins is
/// unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("Protocol error: invalid multibulk length")]
    ArrayLength,
    #[error("Protocol error: expected '$'")]
    NotABulkString,
    #[error("Protocol error: invalid bulk length")]
    BulkLength,
    #[error("Protocol error: expected CRLF after a bulk string")]
    LineEnd,
    #[error("Protocol error: too big inline request")]
    LineTooLong,
    #[error("Protocol error: request exceeds {MAX_REQUEST_BYTES} bytes")]
    TooLong,
}

/// A request, which may have no words, and how many bytes it took.
pub(super) type Parsed = (Vec<Bytes>, usize);

/// Reads the first whole request in the buffer, if there is one.
pub(super) fn parse_request(buffer: &[u8]) -> Result<Option<Parsed>, ProtocolError> {
    let mut cursor = Cursor { bytes: buffer, at: 0 };
    let Some(ranges) = cursor.request()? else {
        // Whatever is missing, this much must have been enough.
        let full = buffer.len() >= MAX_REQUEST_BYTES;
        return if full { Err(ProtocolError::TooLong) } else { Ok(None) };
    };
    // Copies, so that a short key does not keep a long request in memory.
    let copy = |range| Bytes::copy_from_slice(&buffer[range]);
    Ok(Some((ranges.into_iter().map(copy).collect(), cursor.at)))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn request(&mut self) -> Result<Option<Vec<std::ops::Range<usize>>>, ProtocolError> {
        if self.bytes.first() != Some(&b'*') {
            return self.inline();
        }
        let Some(count) = self.length(b'*')? else { return Ok(None) };
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        if count > MAX_WORDS {
            return Err(ProtocolError::ArrayLength);
        }
        let mut words = Vec::new();
        for _ in 0..count {
            match self.bytes.get(self.at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(_) => return Err(ProtocolError::NotABulkString),
            }
            let Some(length) = self.length(b'$')? else { return Ok(None) };
            let length = usize::try_from(length).map_err(|_| ProtocolError::BulkLength)?;
            if length > MAX_REQUEST_BYTES || self.at + length > MAX_REQUEST_BYTES {
                return Err(ProtocolError::BulkLength);
            }
            let word = self.at..self.at + length;
            match self.bytes.get(word.end..word.end + 2) {
                None => return Ok(None),
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError::LineEnd),
            }
            self.at = word.end + 2;
            words.push(word);
        }
        Ok(Some(words))
    }

    fn inline(&mut self) -> Result<Option<Vec<std::ops::Range<usize>>>, ProtocolError> {
        let Some(line) = self.line()? else { return Ok(None) };
        let mut words = Vec::new();
        let mut at = line.start;
        for word in self.bytes[line].split(u8::is_ascii_whitespace) {
            if !word.is_empty() {
                words.push(at..at + word.len());
            }
            at += word.len() + 1;
        }
        Ok(Some(words))
    }

    /// The number on a line that begins with `sign`.
    fn length(&mut self, sign: u8) -> Result<Option<i64>, ProtocolError> {
        let Some(line) = self.line()? else { return Ok(None) };
        let digits = std::str::from_utf8(&self.bytes[line.start + 1..line.end]).ok();
        let length = digits.and_then(|digits| digits.parse().ok());
        let error =
            if sign == b'*' { ProtocolError::ArrayLength } else { ProtocolError::BulkLength };
        length.map(Some).ok_or(error)
    }

    /// The next line without its end.
    fn line(&mut self) -> Result<Option<std::ops::Range<usize>>, ProtocolError> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().take(MAX_LINE_BYTES).position(|byte| *byte == b'\n') else {
            let long = rest.len() >= MAX_LINE_BYTES;
            return if long { Err(ProtocolError::LineTooLong) } else { Ok(None) };
        };
        let start = self.at;
        self.at += length + 1;
        let end = start + length - usize::from(rest[..length].ends_with(b"\r"));
        Ok(Some(start..end))
    }
}

/// Writes replies.
pub(super) mod put {
    use super::Protocol;

    pub(crate) fn simple(out: &mut Vec<u8>, text: &str) {
        line(out, b'+', text);
    }

    /// An error: its first word says what kind.
    pub(crate) fn error(out: &mut Vec<u8>, text: &str) {
        line(out, b'-', text);
    }

    pub(crate) fn integer(out: &mut Vec<u8>, number: i64) {
        line(out, b':', &number.to_string());
    }

    pub(crate) fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
        line(out, b'$', &bytes.len().to_string());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }

    pub(crate) fn nil(out: &mut Vec<u8>, protocol: Protocol) {
        match protocol {
            Protocol::Resp2 => line(out, b'$', "-1"),
            Protocol::Resp3 => line(out, b'_', ""),
        }
    }

    /// No array at all.
    pub(crate) fn nil_array(out: &mut Vec<u8>, protocol: Protocol) {
        match protocol {
            Protocol::Resp2 => line(out, b'*', "-1"),
            Protocol::Resp3 => line(out, b'_', ""),
        }
    }

    /// Begins an array of as many replies.
    pub(crate) fn array(out: &mut Vec<u8>, length: usize) {
        line(out, b'*', &length.to_string());
    }

    /// Begins a set of as many replies; in RESP2 an array.
    pub(crate) fn set(out: &mut Vec<u8>, protocol: Protocol, length: usize) {
        match protocol {
            Protocol::Resp2 => array(out, length),
            Protocol::Resp3 => line(out, b'~', &length.to_string()),
        }
    }

    /// Begins a map of as many pairs; in RESP2 an array of keys and values in turn.
    pub(crate) fn map(out: &mut Vec<u8>, protocol: Protocol, pairs: usize) {
        match protocol {
            Protocol::Resp2 => array(out, 2 * pairs),
            Protocol::Resp3 => line(out, b'%', &pairs.to_string()),
        }
    }

    fn line(out: &mut Vec<u8>, sign: u8, text: &str) {
        out.push(sign);
        // A line end inside would begin another reply.
        out.extend(text.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(text: &[u8]) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        parse_request(text).map(|parsed| parsed.map(|(words, _)| words))
    }

    #[test]
    fn request_is_an_array_of_bulk_strings_or_a_line() {
        let words = Ok(Some(vec!["GET".into(), "a b".into()]));
        assert_eq!(take(b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n"), words);
        assert_eq!(take(b"  PING  x \r\n"), Ok(Some(vec!["PING".into(), "x".into()])));
        assert_eq!(take(b"\r\n"), Ok(Some(vec![])));
        assert_eq!(take(b"*0\r\n"), Ok(Some(vec![])));
    }

    #[test]
    fn part_of_a_request_waits_for_the_rest() {
        let whole = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        for length in 0..whole.len() {
            assert_eq!(take(&whole[..length]), Ok(None), "{length}");
        }
    }

    #[test]
    fn pipelined_requests_come_one_by_one() {
        let buffer = b"*1\r\n$4\r\nPING\r\nECHO x\r\n*1\r\n";
        assert_eq!(parse_request(buffer), Ok(Some((vec!["PING".into()], 14))));
        let echo = vec!["ECHO".into(), "x".into()];
        assert_eq!(parse_request(&buffer[14..]), Ok(Some((echo, 8))));
        assert_eq!(parse_request(&buffer[22..]), Ok(None));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_before_the_content_comes() {
        assert_eq!(take(b"*1025\r\n"), Err(ProtocolError::ArrayLength));
        assert_eq!(take(b"*x\r\n"), Err(ProtocolError::ArrayLength));
        assert_eq!(take(b"*1\r\n$99999999\r\n"), Err(ProtocolError::BulkLength));
        assert_eq!(take(b"*1\r\n$-1\r\n"), Err(ProtocolError::BulkLength));
        assert_eq!(take(b"*1\r\n:1\r\n"), Err(ProtocolError::NotABulkString));
        assert_eq!(take(b"*1\r\n$1\r\nab\r\n"), Err(ProtocolError::LineEnd));
        assert_eq!(take(&[b'x'; MAX_LINE_BYTES]), Err(ProtocolError::LineTooLong));
    }

    #[test]
    fn null_and_maps_have_types_of_their_own_in_resp3_only() {
        let reply = |protocol| {
            let mut out = Vec::new();
            put::map(&mut out, protocol, 1);
            put::bulk(&mut out, b"k");
            put::nil(&mut out, protocol);
            out
        };
        assert_eq!(reply(Protocol::Resp2), b"*2\r\n$1\r\nk\r\n$-1\r\n");
        assert_eq!(reply(Protocol::Resp3), b"%1\r\n$1\r\nk\r\n_\r\n");
    }

    #[test]
    fn error_text_cannot_begin_another_reply() {
        let mut out = Vec::new();
        put::error(&mut out, "ERR a\r\n+OK");
        assert_eq!(out, b"-ERR a  +OK\r\n");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut rest = &bytes[..];
            while let Ok(Some((_, taken))) = parse_request(rest) {
                rest = &rest[taken..];
            }
        }
    }
}
