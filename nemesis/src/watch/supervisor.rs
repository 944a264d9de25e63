//! Answers a node's reported calls for as long as the node lives, on a thread of its own.
//!
//! Calls on the disk are answered here, at once; one that is delayed waits in a list, not on the
//! thread. An exec is answered by a second thread, the attendant, which holds the new program still
//! while it puts the node's clocks in: what it makes that program do on the way (a shared mapping)
//! is reported as well, and must find this thread free. Both end with the last process that has the
//! filter.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::NodeClock;
use crate::disk::{CallOutcome, Disk};
use crate::seccomp::listener::{Listener, Notice, Report, WaitResult};

/// Watches until the node ends.
pub(super) fn watch(
    listener: &Listener,
    clock: Option<&NodeClock>,
    disk: Option<&Disk>,
) -> io::Result<()> {
    thread::scope(|scope| {
        // Bounded by the node's threads: each waits for one answer.
        let (attendant, execs) = channel::<Notice>();
        if let Some(clock) = clock {
            thread::Builder::new().name("clock attendant".to_owned()).spawn_scoped(
                scope,
                move || {
                    for exec in execs {
                        clock.attend(listener, &exec);
                    }
                },
            )?;
        }
        answer_all(listener, &attendant, disk)
    })
}

fn answer_all(
    listener: &Listener,
    attendant: &Sender<Notice>,
    disk: Option<&Disk>,
) -> io::Result<()> {
    // Bounded like the execs.
    let mut waiting: Vec<(Instant, Notice)> = Vec::new();
    loop {
        let now = Instant::now();
        for (_, notice) in waiting.extract_if(.., |(due, _)| *due <= now) {
            if let Some(disk) = disk {
                disk.take_again(Report { listener, notice: &notice }, || {
                    listener.answer(&notice, None);
                });
            }
        }
        let next = waiting.iter().map(|(due, _)| due.saturating_duration_since(now)).min();
        let notice = match listener.hear(next)? {
            WaitResult::Call(notice) => notice,
            WaitResult::Nothing => continue,
            WaitResult::End => return Ok(()),
        };
        if notice.is_exec() {
            // Nobody reports execs without an attendant, who ends after this thread only.
            let _ = attendant.send(notice);
            continue;
        }
        let mut answer = |fate| {
            let failure = match fate {
                CallOutcome::Pass => None,
                CallOutcome::Fail(errno) => Some(errno),
                CallOutcome::Wait(delay) => {
                    return waiting.push((now + delay.max(Duration::from_millis(1)), notice));
                }
            };
            // A caller that has been killed meanwhile needs no answer.
            listener.answer(&notice, failure);
        };
        match disk {
            Some(disk) => disk.take(Report { listener, notice: &notice }, answer),
            None => answer(CallOutcome::Pass),
        }
    }
}
