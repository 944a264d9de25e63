//! Prints everything that the program says. Nothing else in `src/` writes to standard output or
//! standard error, which `tests/tidy` sees to.
//!
//! What is said holds foreign text: values that a broken store answered, names of files, messages of
//! others. So every line is made [visible](partita_reports::text::visible) and bounded here, errors
//! included. And nobody need be there to read: output that cannot be written, to a closed pipe or a
//! full disk, is dropped. A command's result is its exit code and the files it writes, and neither
//! depends on an audience.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use partita_reports::text::visible::{COMMAND_CHARACTERS, is_hidden, visible};
use serde::Serialize;

use crate::exit::{Failure, FailureContext};

/// Prints a line on standard output, as `println!` does.
#[macro_export]
macro_rules! outln {
    ($($part:tt)*) => { $crate::terminal::outln(format_args!($($part)*)) };
}

/// Prints a line on standard error, as `eprintln!` does: what is not part of the result.
#[macro_export]
macro_rules! errln {
    ($($part:tt)*) => { $crate::terminal::errln(format_args!($($part)*)) };
}

/// Prints a line on standard output. What would end the line is shown as an escape.
pub fn outln(text: Arguments<'_>) {
    let text = text.to_string();
    to_stdout(&(shown(&text) + "\n"));
}

/// Prints a line on standard error, unless only results and errors are wanted.
pub fn errln(text: Arguments<'_>) {
    progress(&text.to_string());
}

/// The line at the bottom of the terminal that shows a run's progress, while there is one.
static LIVE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether only results and errors are printed.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Sets the live line, above which lines on standard error are printed from now on.
pub fn set_live_line(live: Option<&ProgressBar>) {
    *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = live.cloned();
}

/// Prints only results and errors from now on.
pub fn set_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Whether only results and errors are printed.
pub fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Prints a line of progress on standard error, unless only results and errors are wanted.
pub fn progress(text: &str) {
    if !is_quiet() {
        stderr_line(text);
    }
}

/// Prints a line on standard error, above the live line if there is one.
pub fn stderr_line(text: &str) {
    let line = shown(text);
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match live.filter(|live| !live.is_hidden()) {
        Some(live) => live.println(line),
        None => to_stderr(&(line + "\n")),
    }
}

/// A line as it is printed.
pub fn shown(line: &str) -> String {
    visible(line, COMMAND_CHARACTERS)
}

/// Prints a JSON document as one line on standard output. Characters that are not seen are written
/// as JSON's own escapes, so that the document stays whole and the same.
///
/// # Errors
///
/// [`Failure`] if there is no such JSON.
pub fn document(document: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document).or_harness(|| "JSON".to_owned())?;
    to_stdout(&(ascii_where_hidden(&text) + "\n"));
    Ok(())
}

/// JSON without characters that are not seen; those stand in texts only, and have escapes there.
fn ascii_where_hidden(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// Prints a text of the program's own, such as its help, as it is.
pub fn own_text(text: &str) {
    to_stdout(text);
}

/// Prints why a command came to no result: the message and its causes, each once.
pub fn failure(failure: &Failure) {
    to_stderr(&in_lines(&failure.messages()));
}

/// Prints what is wrong with the arguments, which may hold anything.
pub fn usage(message: &str) {
    let lines: String = message.lines().map(|line| shown(line) + "\n").collect();
    to_stderr(&lines);
}

/// Messages, each caused by the next, as a person reads them.
fn in_lines(messages: &[String]) -> String {
    let mut text = String::new();
    for (place, message) in messages.iter().enumerate() {
        let is_last = place + 1 == messages.len();
        let first = match (place, is_last) {
            (0, _) => "  × ",
            (_, false) => "  ├─▶ ",
            (_, true) => "  ╰─▶ ",
        };
        let next = match (place, is_last) {
            (0, true) => "    ",
            (0, false) => "  │ ",
            (_, false) => "  │   ",
            (_, true) => "      ",
        };
        for (number, line) in message.lines().enumerate() {
            text.push_str(if number == 0 { first } else { next });
            text.push_str(&shown(line));
            text.push('\n');
        }
    }
    text
}

/// Standard output as it is, for histories, which are data and end with whoever reads them.
///
/// Lets the program end, as others in a pipe do, when nobody reads its output any more: `partita
/// generate | head`.
#[expect(unsafe_code, reason = "the disposition of a signal belongs to the whole process")]
pub fn data() -> impl Write {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default disposition runs no code of ours.
    let set = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    set.expect("every program may have the default");
    std::io::stdout().lock()
}

/// Whether it was said already that standard output cannot be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

fn to_stdout(text: &str) {
    let mut output = std::io::stdout().lock();
    let written = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    drop(output);
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        to_stderr(&format!("standard output cannot be written: {error}\n"));
    }
}

fn to_stderr(text: &str) {
    // There is nobody left to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(messages: &[&str]) -> String {
        in_lines(&messages.iter().map(|message| (*message).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn causes_stand_below_what_they_caused() {
        assert_eq!(lines(&["a", "b", "c"]), "  × a\n  ├─▶ b\n  ╰─▶ c\n");
        assert_eq!(lines(&["alone"]), "  × alone\n");
    }

    #[test]
    fn a_message_cannot_pass_for_another_by_its_line_ends() {
        assert_eq!(
            lines(&["one\n  × two\r\u{1b}[2J", "x"]),
            "  × one\n  │   × two\\r\\u{1b}[2J\n  ╰─▶ x\n"
        );
    }

    #[test]
    fn json_says_the_same_without_what_is_not_seen() {
        let value = "a\u{202e}b\u{9b}\u{e0041}\u{1b}\n\"ä";
        let json = ascii_where_hidden(&serde_json::to_string(value).expect("JSON"));
        assert!(!json.chars().any(is_hidden), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), value);
    }
}
