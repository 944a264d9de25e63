//! Moves the clock of a program by an hour, to find out whether this machine allows it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::Pid;

use crate::clock::NodeClock;
use crate::lab::process::await_exit;
use crate::watch::Watch;

/// How far the clock is moved, in seconds.
const HOUR: u64 = 3_600;
/// How far the answer may be off: what starting a program may take on a busy machine.
const SLACK: u64 = 60;

/// Starts date(1) through a shell, with a clock that is an hour ahead, and reads what it says; what
/// went wrong, if something did. Waits for those two programs without a limit: the caller has one.
pub(super) fn rehearse() -> Result<(), String> {
    let clock = Arc::new(NodeClock::new("rehearsal").map_err(|error| error.to_string())?);
    clock.set_realtime(HOUR as i64 * 1_000_000_000);
    let mut command = Command::new("sh");
    command.args(["-c", "exec date +%s"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let watch = Watch::new("rehearsal", Some(Arc::clone(&clock)), None);
    watch.map_err(|error| format!("watching its execs: {error}"))?.attach(&mut command);
    let spawned = command.spawn();
    drop(command);
    let child = spawned.map_err(|error| format!("starting a program: {error}"))?;
    await_exit(Pid::from_raw(child.id().cast_signed()));
    let output = child.wait_with_output().map_err(|error| format!("reading: {error}"))?;
    if let Some(miss) = clock.latest_miss() {
        return Err(format!("changing a program at its start: {miss}"));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let said: u64 = said.trim().parse().map_err(|_| format!("date(1) said {said:?}"))?;
    let truth = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if said.abs_diff(truth + HOUR) > SLACK {
        return Err(format!("date(1) was told {said}, not {}", truth + HOUR));
    }
    Ok(())
}
