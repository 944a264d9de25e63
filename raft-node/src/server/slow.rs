//! Decides which requests are worth a line for having taken long, and writes it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::engine::Outcome;
use crate::core::operation::{Command, End, Query, Step, Write};
use crate::core::{Admin, Operation};

/// The most lines in any one second.
const LINES_A_SECOND: u32 = 5;
/// How much of a key a line shows, in characters.
const KEY_SHOWN: usize = 40;

/// What is remembered of a request until its outcome is known.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) is_write: bool,
    pub(super) arrived: Instant,
    name: &'static str,
    key: Option<Bytes>,
}

impl PendingRequest {
    pub(super) fn new(operation: &Operation, arrived: Instant) -> Self {
        let (name, key) = match operation {
            Operation::Read(query) | Operation::StaleRead(query) => name_read(query),
            Operation::Write(write) => match &**write {
                Write::Plain(command) | Write::Once { command, .. } => name(command),
                Write::OpenSession => ("SESSION", None),
            },
            Operation::Admin(admin) => (name_admin(admin), None),
        };
        Self { is_write: operation.is_write(), arrived, name, key: key.cloned() }
    }
}

fn name(command: &Command) -> (&'static str, Option<&Bytes>) {
    match command {
        Command::Set { key, .. } => ("SET", Some(key)),
        Command::Append { key, .. } => ("APPEND", Some(key)),
        Command::Delete { keys } => ("DEL", keys.first()),
        Command::SetMany { pairs } => ("MSET", pairs.first().map(|(key, _)| key)),
        Command::Take { key } => ("GETDEL", Some(key)),
        Command::Add { key, .. } => ("INCRBY", Some(key)),
        Command::Expire { key, .. } => ("PEXPIRE", Some(key)),
        Command::Persist { key } => ("PERSIST", Some(key)),
        Command::DeleteIf { key, .. } => ("DELEX", Some(key)),
        Command::Push { key, end: End::Front, .. } => ("LPUSH", Some(key)),
        Command::Push { key, end: End::Back, .. } => ("RPUSH", Some(key)),
        Command::Pop { key, end: End::Front, .. } => ("LPOP", Some(key)),
        Command::Pop { key, end: End::Back, .. } => ("RPOP", Some(key)),
        Command::AddMembers { key, .. } => ("SADD", Some(key)),
        Command::RemoveMembers { key, .. } => ("SREM", Some(key)),
        // Its first key, as with the others that have several.
        Command::Transaction { steps } => ("EXEC", steps.first().and_then(first_key)),
    }
}

fn name_read(query: &Query) -> (&'static str, Option<&Bytes>) {
    match query {
        Query::Value(key) => ("GET", Some(key)),
        Query::Values(keys) => ("MGET", keys.first()),
        Query::Count(keys) => ("EXISTS", keys.first()),
        Query::Expiry(key) => ("PTTL", Some(key)),
        Query::Type(key) => ("TYPE", Some(key)),
        Query::Range { key, .. } => ("LRANGE", Some(key)),
        Query::Length(key) => ("LLEN", Some(key)),
        Query::Members(key) => ("SMEMBERS", Some(key)),
        Query::Cardinality(key) => ("SCARD", Some(key)),
        Query::Contains { key, .. } => ("SISMEMBER", Some(key)),
    }
}

fn first_key(step: &Step) -> Option<&Bytes> {
    match step {
        Step::Read(query) => name_read(query).1,
        Step::Write(command) => name(command).1,
        Step::Check { key, .. } => Some(key),
    }
}

fn name_admin(admin: &Admin) -> &'static str {
    match admin {
        Admin::Add { .. } => "RAFT ADD",
        Admin::Remove { .. } => "RAFT REMOVE",
        Admin::Transfer { .. } => "RAFT TRANSFER",
        Admin::Snapshot => "RAFT SNAPSHOT",
    }
}

/// Writes about slow requests, a few lines a second at most.
#[derive(Debug)]
pub(super) struct SlowLog {
    limit: Duration,
    second: Option<Instant>,
    lines: u32,
    left_out: u32,
}

/// What a request that took too long is told about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was not slow.
    Fast,
    /// It was, but lines enough were written about others.
    Silent,
    /// It was: this is the line.
    Line(String),
}

impl SlowLog {
    /// Requests that take this long are slow.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, second: None, lines: 0, left_out: 0 }
    }

    /// Judges a request that has just got its outcome.
    pub(super) fn judge(
        &mut self,
        about: &PendingRequest,
        took: Duration,
        now: Instant,
        outcome: &Outcome,
    ) -> Verdict {
        if took < self.limit {
            return Verdict::Fast;
        }
        let second = Duration::from_secs(1);
        if self.second.is_none_or(|began| now.saturating_duration_since(began) >= second) {
            (self.second, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_A_SECOND {
            self.left_out += 1;
            return Verdict::Silent;
        }
        self.lines += 1;
        let key = about.key.as_ref().map(|key| {
            let shown: String = key.escape_ascii().to_string().chars().take(KEY_SHOWN).collect();
            format!(" {shown}")
        });
        let (name, key, millis) = (about.name, key.unwrap_or_default(), took.as_millis());
        let outcome = match outcome {
            Ok(_) => "done".to_owned(),
            Err(refusal) => refusal.prefix().to_owned(),
        };
        let more = match std::mem::take(&mut self.left_out) {
            0 => String::new(),
            count => format!("; {count} more were not shown"),
        };
        Verdict::Line(format!("slow request: {name}{key} took {millis} ms, {outcome}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{Refusal, Reply};

    #[test]
    fn slow_requests_get_a_few_lines_a_second_and_the_rest_is_counted() {
        let now = Instant::now();
        let about = PendingRequest::new(&Operation::Read(Query::Value("k\n".into())), now);
        let mut log = SlowLog::new(Duration::from_millis(100));
        let mut judge = |millis, later| {
            let took = Duration::from_millis(millis);
            log.judge(&about, took, now + Duration::from_secs(later), &Ok(Reply::Nil))
        };
        assert_eq!(judge(99, 0), Verdict::Fast);
        for _ in 0..LINES_A_SECOND {
            let line = "slow request: GET k\\n took 100 ms, done".to_owned();
            assert_eq!(judge(100, 0), Verdict::Line(line));
        }
        assert_eq!(judge(100, 0), Verdict::Silent);
        let Verdict::Line(line) = judge(100, 1) else { panic!("a second later there is room") };
        assert!(line.ends_with("; 1 more were not shown"), "{line}");
    }

    #[test]
    fn line_says_why_a_slow_request_was_refused() {
        let now = Instant::now();
        let command = Command::Add { key: "n".into(), amount: 1 };
        let about = PendingRequest::new(&Operation::from(Write::Plain(command)), now);
        let mut log = SlowLog::new(Duration::ZERO);
        let verdict = log.judge(&about, Duration::ZERO, now, &Err(Refusal::Uncertain));
        assert_eq!(
            verdict,
            Verdict::Line("slow request: INCRBY n took 0 ms, UNCERTAIN".to_owned())
        );
    }
}
