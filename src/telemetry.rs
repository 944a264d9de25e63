//! The log of the harness: one `tracing` subscriber for the terminal and for a run's `harness.log`.
//!
//! Everything below the command line emits events of `tracing` and knows nothing of where they go.
//! Here they go to two places, each with directives of its own: to the terminal what `-v`, `-vv` and
//! `-q` ask for, warnings if nothing does; and to `harness.log` in the run's folder everything down to
//! each connection. `PARTITA_LOG` replaces the directives of both, `-v` and `-q` then win on the
//! terminal. See `docs/logs.md`.
//!
//! A line in the file is
//!
//! ```text
//! 2026-03-01T09:30:00.125042Z 5.120345678 DEBUG faults fault{id=2 name=kill}: partita_nemesis::lab::process: killed node=n1
//! ```
//!
//! the machine's time in UTC, the run's clock in seconds (`-` where there is none: before the clock
//! starts, and in the process that waits for the controller), the level, the run's phase (`-` outside
//! of one), the spans that the event is in, where it comes from, and what happened. It is written by one system call
//! when it happens, so that it outlives a controller that is killed. Two processes write to one file,
//! the one that the user started and the controller inside the lab; it is opened for appending.
//!
//! The subscriber starts no thread and holds no lock while it writes: a lab is entered by a process
//! with one thread, which forks.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::{ArgAction, Args};
use partita_reports::text::visible::{COMMAND_CHARACTERS, visible};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::exit::{Failure, FailureContext};
use crate::terminal;

/// The variable that holds directives: `debug`, or `warn,partita_nemesis::lab=trace`.
pub const VARIABLE: &str = "PARTITA_LOG";

/// The log's name in a run's folder.
pub const FILE: &str = "harness.log";

/// The target of events that the terminal shows in its own way already.
pub const SHOWN: &str = "partita::status";

/// What is logged of crates that are not ours, whatever is asked of ours by flags.
const OTHERS: LevelFilter = LevelFilter::WARN;

/// The prefix of our crates' names.
const OURS: &str = "partita";

/// The most that `harness.log` may hold, in bytes: only `trace` comes near that.
const LIMIT: u64 = 256 << 20;

/// How much is kept of what was logged before there was a file, in bytes.
const EARLY: usize = 64 << 10;

/// Verbosity of the log on the terminal.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Verbosity {
    /// Log more to standard error: steps of the lab and the run; `-vv`, each connection; `-vvv`, each
    /// operation.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Print only results and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
}

impl Verbosity {
    /// The level that was asked for, if one was.
    fn level(self) -> Option<LevelFilter> {
        match (self.quiet, self.verbose) {
            (true, _) => Some(LevelFilter::ERROR),
            (_, 0) => None,
            (_, 1) => Some(LevelFilter::INFO),
            (_, 2) => Some(LevelFilter::DEBUG),
            _ => Some(LevelFilter::TRACE),
        }
    }
}

/// Which events go where.
struct Directives {
    terminal: Targets,
    file: Targets,
}

impl Directives {
    /// What the flags and the variable's value ask for.
    fn new(verbosity: Verbosity, variable: Option<&str>) -> Result<Self, Failure> {
        let asked = match variable.filter(|text| !text.trim().is_empty()) {
            Some(text) => Some(text.parse::<Targets>().or_usage(|| format!("{VARIABLE}={text}"))?),
            None => None,
        };
        let ours = |level| Targets::new().with_default(OTHERS).with_target(OURS, level);
        let terminal = match (verbosity.level(), &asked) {
            (Some(LevelFilter::ERROR), _) => Targets::new().with_default(LevelFilter::ERROR),
            (Some(level), _) => ours(level),
            (None, Some(asked)) => asked.clone(),
            (None, None) => ours(LevelFilter::WARN),
        };
        let terminal = terminal.with_target(SHOWN, LevelFilter::OFF);
        Ok(Self { terminal, file: asked.unwrap_or_else(|| ours(LevelFilter::DEBUG)) })
    }
}

/// Begins to log. What is logged goes to the terminal only, until [`write_to`] names a file.
///
/// Does nothing if this process logs already.
///
/// # Errors
///
/// [`Failure`] if `PARTITA_LOG` cannot be understood.
pub fn init(verbosity: Verbosity) -> Result<(), Failure> {
    let variable = std::env::var_os(VARIABLE);
    let variable = variable.as_ref().map(|text| text.to_string_lossy());
    let Directives { terminal, file } = Directives::new(verbosity, variable.as_deref())?;
    if verbosity.quiet {
        terminal::set_quiet();
    }
    let on_terminal = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .event_format(Lines::Terminal)
        .with_writer(|| ToTerminal)
        .with_filter(terminal);
    let in_file = tracing_subscriber::fmt::layer()
        .log_internal_errors(false)
        .event_format(Lines::File)
        .with_writer(|| ToFile)
        .with_filter(file);
    let subscriber = tracing_subscriber::registry().with(on_terminal).with(in_file);
    // Another one can be there only in tests, which perform several commands in one process.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// Writes what is logged from now on to `harness.log` in `folder`, behind what it holds. Only the
/// first call of a process has an effect.
///
/// # Errors
///
/// [`Failure`] if the file cannot be opened.
pub fn write_to(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(FILE);
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let file = file.or_harness(|| path.display().to_string())?;
    let length = file.metadata().map_or(0, |data| data.len());
    let log = RUN.file.get_or_init(|| LogFile { file, length: AtomicU64::new(length) });
    let early = std::mem::take(&mut *RUN.early.lock().unwrap_or_else(PoisonError::into_inner));
    log.append(&early).or_harness(|| path.display().to_string())
}

/// Stamps what is logged from now on with the run's clock, in nanoseconds. Only the first call of a
/// process has an effect.
pub fn stamp_by(clock: impl Fn() -> u64 + Send + Sync + 'static) {
    let _ = RUN.clock.set(Box::new(clock));
}

/// Sets the phase that the run is in from now on.
pub fn set_phase(name: &str) {
    // One word: it stands between others.
    *RUN.phase.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.replace(' ', "-"));
}

/// What lines say of the one run of this process.
struct Run {
    file: OnceLock<LogFile>,
    /// What was logged before there was a file.
    early: Mutex<Vec<u8>>,
    clock: OnceLock<Box<dyn Fn() -> u64 + Send + Sync>>,
    phase: Mutex<Option<String>>,
}

static RUN: Run = Run {
    file: OnceLock::new(),
    early: Mutex::new(Vec::new()),
    clock: OnceLock::new(),
    phase: Mutex::new(None),
};

impl Run {
    fn now_ns(&self) -> Option<u64> {
        self.clock.get().map(|clock| clock())
    }

    /// Keeps a line until there is a file; commands other than runs never have one.
    fn keep_early(&self, line: &[u8]) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        if early.len() + line.len() <= EARLY {
            early.extend_from_slice(line);
        }
    }

    fn phase(&self) -> String {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        phase.clone().unwrap_or_else(|| "-".to_owned())
    }
}

/// The file that lines go to, and how long it is.
struct LogFile {
    file: File,
    length: AtomicU64,
}

impl LogFile {
    /// Appends a line, unless the file is full, which its last line says.
    fn append(&self, line: &[u8]) -> io::Result<()> {
        let before = self.length.fetch_add(line.len() as u64, Ordering::Relaxed);
        if before + line.len() as u64 <= LIMIT {
            return (&self.file).write_all(line);
        }
        if before <= LIMIT {
            return (&self.file)
                .write_all(b"[partita: the log is full, what follows is left out]\n");
        }
        Ok(())
    }
}

/// Takes whole lines.
struct ToTerminal;

impl Write for ToTerminal {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        terminal::stderr_line(String::from_utf8_lossy(line).trim_end());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes whole lines.
struct ToFile;

impl Write for ToFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match RUN.file.get() {
            Some(file) => file.append(line)?,
            None => RUN.keep_early(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    Terminal,
    File,
}

impl Lines {
    /// What stands before spans and message.
    fn head(self, level: tracing::Level) -> String {
        let now_ns = RUN.now_ns();
        match self {
            Self::Terminal => {
                let clock = now_ns.map(|now_ns| format!("[{:6.2} s] ", now_ns as f64 / 1e9));
                format!("{}{level} ", clock.unwrap_or_default())
            }
            Self::File => {
                let wall = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
                let clock = now_ns.map_or_else(|| "-".to_owned(), seconds);
                format!("{wall} {clock} {level} {} ", RUN.phase())
            }
        }
    }
}

/// Nanoseconds as seconds with nine digits.
fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = String::new();
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            said.push_str(span.name());
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && !fields.is_empty()
            {
                write!(said, "{{{fields}}}")?;
            }
            said.push_str(": ");
        }
        let metadata = event.metadata();
        if *self == Self::File && metadata.target() != SHOWN {
            write!(said, "{}: ", metadata.target())?;
        }
        context.format_fields(Writer::new(&mut said), event)?;
        // It holds what nodes and files said.
        let said = visible(&said, COMMAND_CHARACTERS);
        writeln!(writer, "{}{said}", self.head(*metadata.level()))
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn directives(verbose: u8, quiet: bool, variable: Option<&str>) -> Directives {
        Directives::new(Verbosity { verbose, quiet }, variable).expect("well-formed directives")
    }

    #[test]
    fn the_terminal_shows_warnings_and_the_file_each_connection_unless_told_otherwise() {
        let by_default = directives(0, false, None);
        let lab = "partita_nemesis::lab::process";
        assert!(by_default.terminal.would_enable(lab, &Level::WARN));
        assert!(!by_default.terminal.would_enable(lab, &Level::INFO));
        assert!(by_default.file.would_enable(lab, &Level::DEBUG));
        assert!(!by_default.file.would_enable(lab, &Level::TRACE));
        assert!(!by_default.file.would_enable("h2::client", &Level::INFO));
    }

    #[test]
    fn flags_are_of_the_terminal_alone() {
        for (verbose, shown, hidden) in
            [(1, Level::INFO, Level::DEBUG), (2, Level::DEBUG, Level::TRACE)]
        {
            let told = directives(verbose, false, None);
            assert!(told.terminal.would_enable("partita::run", &shown), "{verbose}");
            assert!(!told.terminal.would_enable("partita::run", &hidden), "{verbose}");
            assert!(told.file.would_enable("partita::run", &Level::DEBUG), "{verbose}");
        }
        let quiet = directives(0, true, None);
        assert!(!quiet.terminal.would_enable("partita::run", &Level::WARN));
        assert!(quiet.terminal.would_enable("partita::run", &Level::ERROR));
        assert!(quiet.file.would_enable("partita::run", &Level::DEBUG));
    }

    #[test]
    fn the_variable_replaces_both_and_flags_still_win_on_the_terminal() {
        let text = Some("warn,partita_nemesis::lab=trace");
        let told = directives(0, false, text);
        for place in [&told.terminal, &told.file] {
            assert!(place.would_enable("partita_nemesis::lab::host", &Level::TRACE));
            assert!(!place.would_enable("partita::run", &Level::INFO));
        }
        let flagged = directives(1, false, text);
        assert!(!flagged.terminal.would_enable("partita_nemesis::lab::host", &Level::TRACE));
        assert!(flagged.file.would_enable("partita_nemesis::lab::host", &Level::TRACE));
    }

    #[test]
    fn what_the_terminal_shows_in_its_own_way_is_not_shown_twice() {
        for told in [directives(3, false, None), directives(0, false, Some("trace"))] {
            assert!(!told.terminal.would_enable(SHOWN, &Level::ERROR));
            assert!(told.file.would_enable(SHOWN, &Level::INFO));
        }
    }

    #[test]
    fn directives_that_are_not_understood_are_a_fault_of_usage() {
        let refused = Directives::new(Verbosity::default(), Some("partita=loud"));
        let failure = refused.err().expect("no such level");
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        assert!(failure.messages().join(": ").contains("PARTITA_LOG=partita=loud"));
    }

    #[test]
    fn a_full_log_says_so_once_and_grows_no_more() {
        let file = tempfile::tempfile().expect("a file");
        let log = LogFile { file, length: AtomicU64::new(LIMIT - 5) };
        for line in [b"four\n", b"five\n", b"more\n"] {
            log.append(line).expect("written");
        }
        let mut text = String::new();
        io::Seek::rewind(&mut &log.file).expect("rewound");
        io::Read::read_to_string(&mut &log.file, &mut text).expect("text");
        assert_eq!(text.matches("the log is full").count(), 1, "{text}");
        assert!(text.starts_with("four\n") && !text.contains("more"), "{text}");
    }

    #[test]
    fn clocks_are_written_with_every_nanosecond() {
        assert_eq!(seconds(5_000_000_070), "5.000000070");
    }
}
