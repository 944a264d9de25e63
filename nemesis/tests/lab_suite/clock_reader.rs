//! A program that says how far its clocks are from the kernel's, over and over.
//!
//! It asks the vDSO, through the C library as any program does, between two system calls that ask
//! the kernel itself; the answer is a range. A second thread asks for the monotonic time without
//! pause. A line a time: `REALTIME_LOW REALTIME_HIGH MONOTONIC_LOW MONOTONIC_HIGH BACK`, in
//! nanoseconds ahead of the truth, and how often the monotonic clock was seen to go back. Compiled
//! both as a part of the tests and by itself, so it uses nothing but the standard library.

#![expect(unsafe_code, reason = "the C library's functions have no safe interface")]

use std::ffi::{c_int, c_long};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const REALTIME: c_int = 0;
const MONOTONIC: c_int = 1;
const SYS_CLOCK_GETTIME: c_long = 228;

unsafe extern "C" {
    fn clock_gettime(clock: c_int, time: *mut [i64; 2]) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

fn nanoseconds(time: [i64; 2]) -> i64 {
    time[0] * 1_000_000_000 + time[1]
}

fn shown(clock: c_int) -> i64 {
    let mut time = [0; 2];
    // SAFETY: writes two words, seconds and nanoseconds.
    assert_eq!(unsafe { clock_gettime(clock, &raw mut time) }, 0);
    nanoseconds(time)
}

fn truth(clock: c_int) -> i64 {
    let mut time = [0; 2];
    // SAFETY: as above.
    assert_eq!(unsafe { syscall(SYS_CLOCK_GETTIME, clock, &raw mut time) }, 0);
    nanoseconds(time)
}

fn shift(clock: c_int) -> (i64, i64) {
    let before = truth(clock);
    let shown = shown(clock);
    (shown - truth(clock), shown - before)
}

/// Becomes date(1), from a thread that is not the first.
fn become_date() -> ! {
    let date = || Command::new("date").arg("+%s").exec();
    panic!("{:?}", thread::spawn(date).join());
}

pub(crate) fn main() {
    if std::env::args().nth(1).is_some_and(|word| word == "become-date") {
        become_date();
    }
    static BACK: AtomicU64 = AtomicU64::new(0);
    thread::spawn(|| {
        let mut latest = shown(MONOTONIC);
        loop {
            for _ in 0..1_000 {
                let now = shown(MONOTONIC);
                if now < latest {
                    BACK.fetch_add(1, Ordering::Relaxed);
                }
                latest = now;
            }
            thread::sleep(Duration::from_millis(1));
        }
    });
    let mut stdout = std::io::stdout();
    loop {
        let ((a, b), (c, d)) = (shift(REALTIME), shift(MONOTONIC));
        let back = BACK.load(Ordering::Relaxed);
        if writeln!(stdout, "{a} {b} {c} {d} {back}").and_then(|()| stdout.flush()).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
