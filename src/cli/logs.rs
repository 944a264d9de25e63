//! `partita logs`: what nodes and the harness wrote in a run, in the order of the run's clock.

use std::io::{self, BufWriter, Write};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use partita_checker::Nanoseconds;
use partita_reports::logs::{HarnessLines, NodeLines, Stream};

use super::{run_folder, status};
use crate::exit::{Exit, Failure, FailureContext};
use crate::{telemetry, terminal};

/// Prints what nodes and the harness wrote in a run, line by line in the order of the run's clock,
/// with the faults between them.
///
/// Each line has the time in seconds since the run began, and where it comes from: a node and its
/// stream (`out`, `err`), `harness` (the run's harness.log), or `fault`. A node's line has the time at
/// which it was seen to be written.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita logs partita-runs/latest\n  \
                        partita logs partita-runs/latest --node n1 --from 5s --to 7s\n  \
                        partita logs partita-runs/latest --harness info")]
pub struct Arguments {
    /// The run's folder.
    #[arg(value_name = "RUN")]
    folder: PathBuf,
    /// Print the output of this node only; may be repeated.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Print lines from this time of the run on.
    #[arg(long, default_value = "0s", value_name = "TIME", value_parser = super::duration)]
    from: Duration,
    /// Print lines up to this time of the run.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    to: Option<Duration>,
    /// The lowest level of the harness's own lines that are printed.
    #[arg(long, default_value = "trace", value_name = "LEVEL")]
    harness: Least,
}

/// Which lines of the harness are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Least {
    /// No line of the harness.
    None,
    /// Errors.
    Error,
    /// Warnings and above.
    Warn,
    /// Steps of the run and above.
    Info,
    /// Connections and above.
    Debug,
    /// Everything that was logged.
    Trace,
}

impl Least {
    /// Whether a line of `harness.log` is among these. What has no level goes with any.
    fn has(self, text: &str) -> bool {
        let level = text.split(' ').next().unwrap_or_default();
        let is_wanted = Self::from_str(level, true).map_or(self > Self::None, |own| own <= self);
        is_wanted && self > Self::None
    }
}

/// A line of any source.
struct Line {
    at: Nanoseconds,
    source: String,
    text: String,
}

/// The lines of one source, in the order of their times.
type Lines = Peekable<Box<dyn Iterator<Item = io::Result<Line>>>>;

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if this is no run's folder, there is no such node, or a log cannot be read.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let name = || arguments.folder.display().to_string();
    let sources = sources(arguments)?;
    let to = arguments.to.map_or(Nanoseconds(u64::MAX), nanoseconds);
    let mut output = BufWriter::new(terminal::data());
    let lines = Merged { sources };
    for line in lines {
        let line = line.or_usage(name)?;
        if line.at > to {
            break;
        }
        let text = terminal::shown(&line.text);
        // As for any output: that nobody reads it changes nothing.
        let _ = writeln!(output, "{:>12.6} {:<8} {text}", line.at.as_seconds(), line.source);
    }
    let _ = output.flush();
    Ok(Exit::Valid)
}

fn nanoseconds(time: Duration) -> Nanoseconds {
    Nanoseconds(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Everything that is asked for.
fn sources(arguments: &Arguments) -> Result<Vec<Lines>, Failure> {
    let Arguments { folder, harness, .. } = arguments;
    let from = nanoseconds(arguments.from);
    let mut sources = vec![faults(folder, from)?];
    if *harness != Least::None {
        sources.extend(harness_lines(folder, from, *harness)?);
    }
    let nodes = nodes(folder)?;
    for wanted in &arguments.node {
        if !nodes.contains(wanted) {
            let known = nodes.join(", ");
            let problem = format!("--node: the run has no node {wanted}; expected {known}");
            return Err(Failure::usage(miette::miette!("{problem}")));
        }
    }
    for node in nodes.iter().filter(|it| arguments.node.is_empty() || arguments.node.contains(it)) {
        for (stream, name) in [(Stream::Stdout, "out"), (Stream::Stderr, "err")] {
            let lines = NodeLines::open(folder, node, stream, from);
            let lines = lines.or_usage(|| "the run's nodes".to_owned())?;
            let source = format!("{node} {name}");
            sources.push(peekable(lines.map(move |line| {
                line.map(|line| Line { at: line.at, source: source.clone(), text: line.text })
            })));
        }
    }
    Ok(sources)
}

fn peekable(lines: impl Iterator<Item = io::Result<Line>> + 'static) -> Lines {
    let boxed: Box<dyn Iterator<Item = io::Result<Line>>> = Box::new(lines);
    boxed.peekable()
}

/// The names of the nodes that have a folder, in order.
fn nodes(folder: &Path) -> Result<Vec<String>, Failure> {
    let path = folder.join("nodes");
    let entries = match std::fs::read_dir(&path) {
        // A run that failed before there were any.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_run(folder) => {
            return Ok(Vec::new());
        }
        entries => entries.or_usage(|| path.display().to_string())?,
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names)
}

fn is_run(folder: &Path) -> bool {
    folder.join("plan.json").is_file() || folder.join(telemetry::FILE).is_file()
}

/// When each fault began and ended.
fn faults(folder: &Path, from: Nanoseconds) -> Result<Lines, Failure> {
    // A run that failed before there was any has no such file.
    let faults = match folder.join("schedule.jsonl").exists() {
        true => run_folder::faults(folder)?,
        false => Vec::new(),
    };
    let line = |id: u32, at_ns: u64, text: String| Line {
        at: Nanoseconds(at_ns),
        source: "fault".to_owned(),
        text: format!("{id}: {text}"),
    };
    let mut lines = Vec::new();
    for fault in faults {
        let mut begun = fault.clone();
        (begun.ended_ns, begun.error) = (None, None);
        lines.push(line(fault.id, fault.began_ns, status::sentence(&begun)));
        if let Some(ended_ns) = fault.ended_ns {
            lines.push(line(fault.id, ended_ns, status::sentence(&fault)));
        }
    }
    lines.retain(|line| line.at >= from);
    lines.sort_by_key(|line| line.at);
    Ok(peekable(lines.into_iter().map(Ok)))
}

/// The lines of `harness.log`; none if the run has no such file.
fn harness_lines(folder: &Path, from: Nanoseconds, least: Least) -> Result<Option<Lines>, Failure> {
    let lines = match HarnessLines::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        lines => lines.or_usage(|| folder.join(telemetry::FILE).display().to_string())?,
    };
    let lines = lines.filter(move |line| {
        line.as_ref().map_or(true, |line| line.at >= from && least.has(&line.text))
    });
    let source = || "harness".to_owned();
    Ok(Some(peekable(lines.map(move |line| {
        line.map(|line| Line { at: line.at, source: source(), text: line.text })
    }))))
}

/// Takes whichever line is next. Of lines of one time those of the first source come first.
struct Merged {
    sources: Vec<Lines>,
}

impl Iterator for Merged {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<(usize, Nanoseconds)> = None;
        for (place, source) in self.sources.iter_mut().enumerate() {
            // An error comes before everything.
            let at = source.peek().map(|line| line.as_ref().map_or(Nanoseconds(0), |line| line.at));
            if let Some(at) = at
                && first.is_none_or(|(_, least)| at < least)
            {
                first = Some((place, at));
            }
        }
        self.sources[first?.0].next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_sources_are_merged_by_time() {
        let source = |name: &str, times: &[u64]| {
            let line = |at: &u64| {
                Ok(Line { at: Nanoseconds(*at), source: name.to_owned(), text: String::new() })
            };
            peekable(times.iter().map(line).collect::<Vec<_>>().into_iter())
        };
        let sources = vec![source("a", &[1, 4, 4]), source("b", &[]), source("c", &[0, 4, 9])];
        let merged = Merged { sources }.map(|line| line.expect("a line"));
        let merged: Vec<(u64, String)> = merged.map(|line| (line.at.0, line.source)).collect();
        let expected = [(0, "c"), (1, "a"), (4, "a"), (4, "a"), (4, "c"), (9, "c")];
        assert_eq!(merged, expected.map(|(at, name)| (at, name.to_owned())));
    }

    #[test]
    fn lines_of_the_harness_are_chosen_by_their_level() {
        assert!(Least::Info.has("INFO faults x: y"));
        assert!(Least::Info.has("WARN faults x: y"));
        assert!(!Least::Info.has("DEBUG faults x: y"));
        assert!(Least::Trace.has("TRACE faults x: y"));
        assert!(Least::Info.has("[partita: the log is full, what follows is left out]"));
        assert!(!Least::None.has("ERROR - it failed"));
    }
}
