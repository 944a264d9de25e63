//! Publishes where the server stands, and writes log lines that begin with it.
//!
//! The engine publishes its state after each turn; answers about it are read from here. Log lines
//! are events of `tracing`: each becomes one line on standard error, with the time in UTC, by the
//! server's own wall clock, and a banner made from the published state when the line is written:
//!
//! `2026-03-01T09:30:00.125Z [server 1, term=3, commit index=17] became leader, votes=[1, 2]`
//!
//! An event about a moment that may be past brings its own `banner`. Events below the level asked for
//! cost a comparison and format nothing. A closed standard error is no reason to stop.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::peers::client_address;
use crate::core::membership::Configuration;
use crate::core::units::NodeId;
use crate::core::{Banner, Status};

/// How much to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// What needs a person.
    Warn,
    /// Changes of state: roles, leaders, members, connections, start and stop; slow requests.
    Info,
    /// Each message between servers.
    Debug,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

/// What the server last made known of itself.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) status: Status,
    pub(super) configuration: Arc<Configuration>,
    /// Where clients reach the servers, as the command line has it.
    pub(super) addresses: Arc<BTreeMap<NodeId, SocketAddr>>,
}

impl View {
    /// Where clients reach a server, if anyone said so.
    pub(super) fn client_address(&self, id: NodeId) -> Option<SocketAddr> {
        let told = self.configuration.addresses.get(&id).and_then(|words| client_address(words));
        self.addresses.get(&id).copied().or(told)
    }

    /// Where clients reach the leader, if both are known.
    pub(super) fn leader_address(&self) -> Option<SocketAddr> {
        self.client_address(self.status.leader?)
    }
}

/// The server's published state. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    view: Arc<Mutex<View>>,
}

impl Journal {
    pub(super) fn new(view: View) -> Self {
        Self { view: Arc::new(Mutex::new(view)) }
    }

    /// Makes a new state known.
    pub(super) fn publish(&self, status: Status) {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).status = status;
    }

    /// Makes new members known.
    pub(super) fn publish_members(&self, configuration: Arc<Configuration>) {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).configuration = configuration;
    }

    /// The state last made known.
    pub(super) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn banner(&self) -> Banner {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).status.banner
    }

    /// Writes events of at least this level to standard error, one line each.
    pub(super) fn dispatch(&self, level: Level) -> Dispatch {
        self.dispatch_to(level, std::io::stderr)
    }

    fn dispatch_to<W>(&self, level: Level, writer: W) -> Dispatch
    where
        W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
    {
        let lines = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::from(level))
            // It would complain on standard error of standard error.
            .log_internal_errors(false)
            .with_writer(writer)
            .event_format(Lines { journal: self.clone() });
        Dispatch::new(lines.finish())
    }
}

/// The form of log lines.
struct Lines {
    journal: Journal,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        put_time(&mut writer, u64::try_from(time.as_millis()).unwrap_or(u64::MAX))?;
        match parts.banner {
            Some(banner) => write!(writer, " {banner}")?,
            None => write!(writer, " {}", self.journal.banner())?,
        }
        writeln!(writer, " {}{}", parts.message, parts.fields)
    }
}

/// What an event says.
#[derive(Default)]
struct Parts {
    banner: Option<String>,
    message: String,
    fields: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            "banner" => write!(self.banner.get_or_insert_default(), "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

/// Writes a moment in UTC, given in milliseconds since 1970.
fn put_time(out: &mut impl Write, millis: u64) -> fmt::Result {
    let (days, millis) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = date(days);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The year, month and day of a day, counted from the first of 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin with March here, so that the day that leap years add is a year's last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year, month + 3);
    if month > 12 { (year + 1, month - 12, day) } else { (year, month, day) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::core::units::{Index, Term};
    use crate::core::{Config, Core, Restored};

    fn time(millis: u64) -> String {
        let mut text = String::new();
        put_time(&mut text, millis).expect("a string");
        text
    }

    #[test]
    fn time_is_that_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (68_169_599, "1972-02-28T23:59:59.007Z"),
            (68_169_600, "1972-02-29T00:00:00.007Z"),
            (68_256_000, "1972-03-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (1_735_689_600, "2025-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(time(seconds * 1000 + 7), expected, "{seconds}");
        }
    }

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn journal() -> Journal {
        let config = Config {
            id: NodeId(7),
            members: [NodeId(7)].into(),
            heartbeat: std::time::Duration::from_millis(100),
            election_timeout: std::time::Duration::from_millis(250)
                ..=std::time::Duration::from_millis(400),
            request_timeout: std::time::Duration::from_secs(2),
            leader_wait: std::time::Duration::from_secs(1),
            compaction: crate::core::Compaction::default(),
            lease: None,
            seed: 0,
            mutations: crate::mutations::Mutations::default(),
        };
        let core = Core::new(config, Restored::default(), std::time::Duration::ZERO);
        let configuration = Arc::clone(core.configuration());
        Journal::new(View { status: core.status(), configuration, addresses: Arc::default() })
    }

    fn logged(level: Level) -> Vec<String> {
        let (sink, journal) = (Sink::default(), journal());
        let into = sink.clone();
        let dispatch = journal.dispatch_to(level, move || into.clone());
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::debug!("to 2: {}", "Vote");
            let mut status = journal.view().status;
            status.banner.commit = Index(5);
            journal.publish(status);
            tracing::info!("connected");
            let banner = Banner { server: NodeId(7), term: Term(9), commit: Index(4) };
            tracing::info!(%banner, "stepped down");
            tracing::warn!(attempt = 3, "lost");
        });
        let text = String::from_utf8(sink.0.lock().expect("no panics").clone()).expect("text");
        assert!(text.lines().all(|line| line.as_bytes()[23] == b'Z'), "{text}");
        text.lines().map(|line| line[25..].to_owned()).collect()
    }

    #[test]
    fn line_begins_with_time_and_where_the_server_stands() {
        let lines = [
            "[server 7, term=0, commit index=5] connected",
            "[server 7, term=9, commit index=4] stepped down",
            "[server 7, term=0, commit index=5] lost attempt=3",
        ];
        assert_eq!(logged(Level::Info), lines);
    }

    #[test]
    fn level_decides_what_is_written() {
        assert_eq!(logged(Level::Warn).len(), 1);
        let all = logged(Level::Debug);
        assert_eq!((all.len(), &*all[0]), (4, "[server 7, term=0, commit index=0] to 2: Vote"));
    }
}
