//! Requests as clients send them, and what an honest store answers.

use std::collections::HashMap;
use std::io::{self, BufRead};

/// A request's words.
pub(crate) type Words = Vec<Vec<u8>>;

/// Reads the next request; `None` at the end of the connection.
pub(crate) fn next(from: &mut impl BufRead) -> io::Result<Option<Words>> {
    let Some(count) = number(from)? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let length = number(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut word = vec![0; length + 2];
        from.read_exact(&mut word)?;
        word.truncate(length);
        words.push(word);
    }
    Ok(Some(words))
}

/// The number in a line that begins with a type.
fn number(from: &mut impl BufRead) -> io::Result<Option<usize>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let number = line.get(1..).and_then(|digits| digits.trim_end().parse().ok());
    number.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A bulk string, or the one that is none.
pub(crate) fn bulk(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        None => b"$-1\r\n".to_vec(),
        Some(bytes) => [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
    }
}

pub(crate) fn integer(number: usize) -> Vec<u8> {
    format!(":{number}\r\n").into_bytes()
}

/// Whether a request is a compare-and-set.
pub(crate) fn is_swap(words: &[Vec<u8>]) -> bool {
    words[0] == b"SET" && words.len() > 3
}

/// Whether it is a plain write.
pub(crate) fn is_write(words: &[Vec<u8>]) -> bool {
    words[0] == b"SET" && words.len() == 3
}

/// What keys hold.
#[derive(Default)]
pub(crate) struct Data {
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// What keys held before their last change.
    before: HashMap<Vec<u8>, Vec<u8>>,
    sessions: usize,
    answered: HashMap<(Vec<u8>, Vec<u8>), Vec<u8>>,
}

impl Data {
    /// Does what `words` ask for, and answers.
    pub(crate) fn answer(&mut self, words: &[Vec<u8>]) -> Vec<u8> {
        match words {
            [word] if word == b"SESSION" => {
                self.sessions += 1;
                integer(self.sessions)
            }
            [word, session, number, command @ ..] if word == b"ONCE" => {
                let id = (session.clone(), number.clone());
                if let Some(answer) = self.answered.get(&id) {
                    return answer.clone();
                }
                let answer = self.answer(command);
                self.answered.insert(id, answer.clone());
                answer
            }
            [word, key] if word == b"GET" => bulk(self.values.get(key).map(Vec::as_slice)),
            [word, key, value] if word == b"SET" => {
                self.put(key, value.clone());
                b"+OK\r\n".to_vec()
            }
            [word, key, new, _, expected, _] if word == b"SET" => {
                let old = self.values.get(key).cloned();
                if old.as_ref() == Some(expected) {
                    self.put(key, new.clone());
                }
                bulk(old.as_deref())
            }
            [word, key, token] if word == b"APPEND" => {
                let whole = [self.values.get(key).cloned().unwrap_or_default(), token.clone()];
                let whole = whole.concat();
                let length = whole.len();
                self.put(key, whole);
                integer(length)
            }
            [word, key] if word == b"DEL" => {
                integer(usize::from(self.values.remove(key).is_some()))
            }
            // It expires at once, which is before any moment that was asked for.
            [word, key, _] if word == b"PEXPIRE" => {
                integer(usize::from(self.values.remove(key).is_some()))
            }
            _ => b"-ERR unknown command\r\n".to_vec(),
        }
    }

    /// What the key held before its last change.
    pub(crate) fn stale(&self, key: &[u8]) -> Vec<u8> {
        bulk(self.before.get(key).map(Vec::as_slice))
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        if let Some(old) = self.values.insert(key.to_vec(), value) {
            self.before.insert(key.to_vec(), old);
        }
    }
}
