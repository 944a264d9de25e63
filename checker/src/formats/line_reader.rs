//! Reads a file line by line, of which it keeps one in memory, of bounded length.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::Arc;

use super::error::{LONGEST_LINE, ReadError, ReadProblem};

/// A file, and where in it the reader is.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    name: Arc<str>,
    input: R,
    /// The line that is being read, with its end.
    text: Vec<u8>,
    number: u64,
}

impl<R: BufRead> LineReader<R> {
    pub(super) fn new(name: &str, input: R) -> Self {
        Self { name: name.into(), input, text: Vec::new(), number: 0 }
    }

    /// Goes to the next line, which is then the [text](Self::text); false at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        self.text.clear();
        self.number += 1;
        let mut bounded = Read::take(&mut self.input, LONGEST_LINE as u64 + 1);
        match bounded.read_until(b'\n', &mut self.text) {
            Err(error) => Err(self.error(None, error.into())),
            Ok(0) => Ok(false),
            Ok(length) if length > LONGEST_LINE => Err(self.error(None, ReadProblem::LineTooLong)),
            Ok(_) => Ok(true),
        }
    }

    /// Goes to the next line that is not blank; false at the end of the file.
    pub(super) fn advance_to_text(&mut self) -> Result<bool, ReadError> {
        while self.advance()? {
            if !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The line, with its end if it has one.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Lets `take` look at what follows in the buffer, which may be any part of the rest of the
    /// file. Its answer is how many bytes make up the next line, and what it makes of them.
    pub(super) fn peek<T>(
        &mut self,
        take: impl FnOnce(&[u8]) -> Option<(usize, T)>,
    ) -> Result<Option<T>, ReadError> {
        let buffer = match fill(&mut self.input) {
            Ok(buffer) => buffer,
            Err(error) => {
                let (file, line) = (self.name.clone(), self.number + 1);
                return Err(ReadError { file, line, column: None, problem: error.into() });
            }
        };
        let Some((length, taken)) = take(buffer) else { return Ok(None) };
        self.input.consume(length);
        self.number += 1;
        Ok(Some(taken))
    }

    /// The line's number, from 1.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The file's name.
    pub(super) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// An error in this line.
    pub(super) fn error(&self, column: Option<usize>, problem: ReadProblem) -> ReadError {
        ReadError { file: self.name.clone(), line: self.number, column, problem }
    }
}

/// As [`io::BufRead::fill_buf`], but waits where a signal interrupts it.
pub(super) fn fill<R: BufRead>(input: &mut R) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    // Without a byte consumed, the buffer is still there; the borrow checker wants it asked again.
    input.fill_buf()
}
