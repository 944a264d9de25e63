//! Notes when the controller itself stood still: suspended, or without a processor.
//!
//! A controller that does not run carries no frames, answers no time-out in time and takes no times
//! of operations, and all of that looks as if the store had done it. A thread sleeps in short steps
//! and measures how late it wakes; whoever is that late was not the only one. Recording late only
//! widens intervals, so that a violation stands all the same.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use partita_checker::{History, Nanoseconds, Outcome};
use partita_reports::Stall;

use super::clock::RunClock;

/// The part of a client's time-out that a controller may stand still without being noted.
const SHARE: u32 = 10;
/// The longest step of the thread.
const LONGEST_STEP: Duration = Duration::from_millis(20);
/// Stalls that are kept one by one; beyond, the last grows.
const MOST: usize = 10_000;

/// When the controller stood still. Watches until it is dropped.
pub struct Stalls {
    found: Arc<Mutex<Vec<Stall>>>,
    // The thread ends when nobody can tell it anything any more.
    _watching: Sender<()>,
}

impl Stalls {
    /// Watches from now on for stalls longer than a tenth of `time_out`.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn watch(clock: RunClock, time_out: Duration) -> std::io::Result<Self> {
        let limit = time_out / SHARE;
        let step = (limit / 2).clamp(Duration::from_millis(1), LONGEST_STEP);
        let found = Arc::new(Mutex::new(Vec::new()));
        let (watching, ended) = channel();
        let theirs = Arc::clone(&found);
        thread::Builder::new().name("stalls".to_owned()).spawn(move || {
            loop {
                let asleep = Instant::now();
                if ended.recv_timeout(step) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                let late = asleep.elapsed().saturating_sub(step);
                if late > limit {
                    note(&theirs, clock.at(asleep), late);
                }
            }
        })?;
        Ok(Self { found, _watching: watching })
    }

    /// Those so far, as they come.
    pub fn log(&self) -> StallLog {
        StallLog(Arc::clone(&self.found))
    }

    /// Those so far, in order.
    pub fn all(&self) -> Vec<Stall> {
        self.log().all()
    }

    /// How long it stood still in all so far: what limits on the store's time are longer by.
    pub fn total(&self) -> Duration {
        self.log().total()
    }
}

/// When the controller stood still, for whoever must not blame nodes for it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StallLog(Arc<Mutex<Vec<Stall>>>);

impl StallLog {
    /// Those so far, in order.
    pub fn all(&self) -> Vec<Stall> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long it stood still in all so far.
    pub fn total(&self) -> Duration {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_nanos(found.iter().map(|stall| stall.length_ns.0).sum())
    }
}

fn note(found: &Mutex<Vec<Stall>>, began_ns: Nanoseconds, late: Duration) {
    let length_ns = Nanoseconds(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
    tracing::info!(began = began_ns.as_seconds(), length = ?late, "the controller stood still");
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    if found.len() < MOST {
        found.push(Stall { began_ns, length_ns });
    } else if let Some(last) = found.last_mut() {
        last.length_ns.0 = last.length_ns.0.saturating_add(length_ns.0);
    }
}

/// What is said of them, if there are any.
pub fn sentence(stalls: &[Stall], history: &History) -> Option<String> {
    let longest = stalls.iter().max_by_key(|stall| stall.length_ns)?;
    let total_ns: u64 = stalls.iter().map(|stall| stall.length_ns.0).sum();
    let open = history.operations().iter().filter(|operation| {
        let Outcome::Info(gave_up) = operation.outcome else { return false };
        let until = gave_up.map_or(u64::MAX, |moment| moment.time.0);
        stalls.iter().any(|stall| {
            operation.invoked.time.0 <= stall.began_ns.0 + stall.length_ns.0
                && stall.began_ns.0 <= until
        })
    });
    let times = if stalls.len() == 1 { "once" } else { &format!("{} times", stalls.len()) };
    Some(format!(
        "the controller itself stood still {times}, for {:.1} s in all and at most {:.1} s, at \
         {:.1} s: what took long or was not answered then, {} operations of unknown outcome among \
         it, may be its own doing and not the store's",
        total_ns as f64 / 1e9,
        longest.length_ns.as_seconds(),
        longest.began_ns.as_seconds(),
        open.count()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_how_often_how_long_and_when() {
        assert_eq!(sentence(&[], &History::default()), None);
        let stall = |began: u64, length: u64| Stall {
            began_ns: Nanoseconds(began * 1_000_000_000),
            length_ns: Nanoseconds(length * 1_000_000_000),
        };
        let said = sentence(&[stall(3, 1), stall(9, 4)], &History::default()).expect("said");
        for part in ["2 times", "5.0 s in all", "at most 4.0 s", "at 9.0 s"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn the_length_of_what_is_kept_never_gets_lost() {
        let found = Mutex::new(Vec::new());
        for _ in 0..MOST + 5 {
            note(&found, Nanoseconds(1), Duration::from_nanos(2));
        }
        let found = found.into_inner().expect("whole");
        assert_eq!(found.len(), MOST);
        assert_eq!(found.iter().map(|stall| stall.length_ns.0).sum::<u64>(), 2 * (MOST as u64 + 5));
    }
}
