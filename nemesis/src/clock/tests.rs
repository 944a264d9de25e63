//! The stub as a node runs it: the same code, on this process's own vDSO and a real page.

#![expect(unsafe_code, reason = "the stub is machine code")]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use proptest::prelude::*;

use super::page::PAGE;
use super::stub::{Addresses, Entries, image};
use super::*;

type ClockGettime = extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int;
type Gettimeofday = extern "C" fn(*mut libc::timeval, *mut libc::timezone) -> libc::c_int;
type Time = extern "C" fn(*mut libc::time_t) -> libc::time_t;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// As much of a vDSO as has all that there is to read, in bytes.
const VDSO: usize = 2 * PAGE;
/// The clocks that a timeline applies to, with the places of their timelines; those left out that
/// machines without a real-time clock chip lack.
const FOLLOWERS: [(libc::clockid_t, usize); 7] = [
    (libc::CLOCK_REALTIME, 0),
    (libc::CLOCK_REALTIME_COARSE, 0),
    (libc::CLOCK_MONOTONIC, 1),
    (libc::CLOCK_MONOTONIC_COARSE, 1),
    (libc::CLOCK_MONOTONIC_RAW, 2),
    (libc::CLOCK_BOOTTIME, 3),
    (libc::CLOCK_TAI, 4),
];

/// The stub, callable. Its memory is not given back: tests end soon.
#[derive(Clone, Copy)]
struct Stub {
    code: usize,
    entries: Entries,
}

impl Stub {
    fn new(clock: &NodeClock) -> Stub {
        // SAFETY: takes a number.
        let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        // SAFETY: the kernel has mapped the vDSO there for good, two pages or more.
        let vdso = unsafe { std::slice::from_raw_parts(base as *const u8, VDSO) };
        let layout = vdso::read(vdso).expect("a vDSO");
        let (control, seen) = clock.page.addresses();
        let clock_gettime = base + layout.clock_gettime;
        let gettimeofday = base + layout.gettimeofday;
        let (code, entries) = image(Addresses { control, seen, clock_gettime, gettimeofday });
        assert!(code.len() <= PAGE);
        let size = const { NonZeroUsize::new(PAGE).expect("not zero") };
        let write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: new memory, filled and made code before anybody calls it.
        unsafe {
            let memory = mmap_anonymous(None, size, write, MapFlags::MAP_PRIVATE).expect("memory");
            memory.cast::<u8>().as_ptr().copy_from(code.as_ptr(), code.len());
            mprotect(memory, PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_EXEC).expect("code");
            Stub { code: memory.addr().get(), entries }
        }
    }

    fn entry(&self, offset: u64) -> *const () {
        std::ptr::with_exposed_provenance(self.code + offset as usize)
    }

    fn read(&self, clock: libc::clockid_t) -> Option<i64> {
        // SAFETY: the entry is a function of this type.
        let call: ClockGettime =
            unsafe { std::mem::transmute(self.entry(self.entries.clock_gettime)) };
        let mut time = libc::timespec { tv_sec: -1, tv_nsec: -1 };
        let answer = call(clock, &raw mut time);
        assert!(answer != 0 || (0..SECOND).contains(&time.tv_nsec), "{time:?}");
        (answer == 0).then_some(time.tv_sec * SECOND + time.tv_nsec)
    }
}

/// What the kernel says.
fn truth(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one such structure.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
    time.tv_sec * SECOND + time.tv_nsec
}

fn new_clock() -> NodeClock {
    NodeClock::new("n1").expect("a page")
}

/// Every clock shows what its timeline says for a true time between two readings of the truth.
fn assert_follows(clock: &NodeClock, stub: &Stub) {
    for (id, place) in FOLLOWERS {
        let before = truth(id);
        let shown = stub.read(id).expect("the kernel has this clock");
        let after = truth(id);
        let timeline = &locked(&clock.state).timelines[place];
        let expected = timeline.at(before)..=timeline.at(after);
        assert!(expected.contains(&shown), "clock {id}: {shown} is not in {expected:?}");
    }
}

#[test]
fn untouched_clocks_show_the_truth() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    assert_follows(&clock, &stub);
    assert_eq!(clock.shift(), ClockOffset { realtime_ns: 0, monotonic_ns: 0 });
}

#[test]
fn a_step_moves_realtime_alone() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    for offset in [HOUR, -24 * HOUR, 1, 0] {
        clock.set_realtime(offset);
        assert_follows(&clock, &stub);
        assert_eq!(clock.shift(), ClockOffset { realtime_ns: offset, monotonic_ns: 0 });
    }
}

#[test]
fn clocks_of_processor_time_and_unknown_ones_are_left_alone() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    clock.set_realtime(HOUR);
    clock.run_at(2.0, Clocks::Both);
    for id in [libc::CLOCK_PROCESS_CPUTIME_ID, libc::CLOCK_THREAD_CPUTIME_ID] {
        let before = truth(id);
        let shown = stub.read(id).expect("the kernel has this clock");
        assert!((before..=truth(id)).contains(&shown));
    }
    for unknown in [10, 12, 99, -1] {
        assert_eq!(stub.read(unknown), None, "clock {unknown}");
    }
}

#[test]
fn time_and_gettimeofday_agree_with_realtime() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    clock.set_realtime(-HOUR);
    // SAFETY: the entries are functions of these types.
    let (gettimeofday, time) = unsafe {
        let gettimeofday = stub.entry(stub.entries.gettimeofday);
        let time = stub.entry(stub.entries.time);
        (
            std::mem::transmute::<*const (), Gettimeofday>(gettimeofday),
            std::mem::transmute::<*const (), Time>(time),
        )
    };
    let mut day = libc::timeval { tv_sec: 0, tv_usec: -1 };
    // SAFETY: all zeroes are valid for this structure of numbers.
    let mut zone: libc::timezone = unsafe { std::mem::zeroed() };
    let mut seconds = 0;
    let before = truth(libc::CLOCK_REALTIME) - HOUR;
    assert_eq!(gettimeofday(&raw mut day, &raw mut zone), 0);
    let returned = time(&raw mut seconds);
    let after = truth(libc::CLOCK_REALTIME) - HOUR;
    let microseconds = day.tv_sec * 1_000_000 + day.tv_usec;
    assert!((before / 1_000..=after / 1_000).contains(&microseconds));
    // It is told by the coarse clock, which lags by a tick.
    assert!(((before - 20_000_000) / SECOND..=after / SECOND).contains(&seconds));
    assert_eq!(returned, seconds);
    assert_eq!(gettimeofday(std::ptr::null_mut(), std::ptr::null_mut()), 0);
    assert!(time(std::ptr::null_mut()) >= seconds);
}

#[test]
fn what_was_told_is_counted_and_measured() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    stub.read(libc::CLOCK_MONOTONIC);
    assert_eq!(clock.seen()[0], ClockReadings::default());
    clock.set_realtime(-HOUR);
    stub.read(libc::CLOCK_REALTIME);
    stub.read(libc::CLOCK_TAI);
    let [realtime, monotonic] = clock.seen();
    assert_eq!(realtime, ClockReadings { readings: 2, furthest_ns: -HOUR });
    assert_eq!(monotonic, ClockReadings { readings: 1, furthest_ns: 0 });
    clock.forget();
    assert_eq!(clock.seen()[0], ClockReadings { readings: 2, furthest_ns: 0 });
}

#[test]
fn a_healed_monotonic_clock_meets_the_truth_again() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    clock.run_at(2.0, Clocks::Monotonic);
    thread::sleep(Duration::from_millis(30));
    clock.heal();
    let ahead = clock.shift().monotonic_ns;
    assert!(ahead > 0);
    let begun = truth(libc::CLOCK_MONOTONIC);
    loop {
        let is_due = truth(libc::CLOCK_MONOTONIC) - begun > 2 * ahead;
        assert_follows(&clock, &stub);
        if clock.shift().monotonic_ns == 0 {
            break;
        }
        assert!(!is_due, "still off");
    }
    assert_follows(&clock, &stub);
}

/// Readers on several threads never see a monotonic clock go back, nor a clock that no version of
/// the page showed, while another thread changes the page as fast as it may.
#[test]
fn a_monotonic_clock_never_goes_back_while_it_is_changed() {
    let clock = new_clock();
    let stub = Stub::new(&clock);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for ids in [
            [libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME],
            [libc::CLOCK_MONOTONIC_COARSE, libc::CLOCK_MONOTONIC_RAW],
        ] {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut latest = ids.map(|id| stub.read(id).expect("a clock"));
                while !is_over.load(Ordering::Relaxed) {
                    for (latest, id) in latest.iter_mut().zip(ids) {
                        let now = stub.read(id).expect("a clock");
                        assert!(now >= *latest, "clock {id} went back by {}", *latest - now);
                        *latest = now;
                    }
                    let shown = stub.read(libc::CLOCK_REALTIME).expect("a clock");
                    let off = shown - truth(libc::CLOCK_REALTIME);
                    let near = |offset: i64| (off - offset).abs() < 60 * SECOND;
                    assert!(near(0) || near(HOUR), "realtime is off by {off}");
                }
            });
        }
        for (step, factor) in (0..20).zip([0.5, 2.0, 1.25].into_iter().cycle()) {
            clock.run_at(factor, Clocks::Monotonic);
            for _ in 0..200 {
                clock.set_realtime(HOUR);
                clock.set_realtime(0);
            }
            if step % 4 == 3 {
                clock.heal();
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

proptest! {
    #[test]
    fn no_bytes_make_the_reading_of_a_vdso_fail_but_in_words(
        mut bytes in prop::collection::vec(any::<u8>(), 64..512)
    ) {
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        prop_assert!(vdso::read(&bytes).is_err());
    }
}
