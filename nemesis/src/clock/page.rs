//! The memory through which the controller moves a node's clocks, and sees what the node saw.
//!
//! Two pages of a file without a name, mapped by the controller and by every program of the node.
//! Of the first, the control page, nodes may only read: a sequence number, then a [`Timeline`] for
//! each of five clocks. Into the second, nodes write what they were told (see [`super::stub`]).
//!
//! **Writing.** One writer at a time, by a lock. It makes the sequence number odd, passes a full
//! fence (SeqCst), reads the true clocks, stores the pieces (relaxed), and makes the number even
//! (release). Readers that find it odd spin: for the 200 ns that takes, or for as long as the
//! writer is kept off its processor just then. They lose time, as any process may at any moment;
//! what they never get is a torn timeline or an answer that a later one contradicts.

#![expect(unsafe_code, reason = "memory shared with other programs has no safe interface")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};

use super::timeline::{PIECES, Timeline};

/// The size of a page on x86-64, and of either half of the memory, in bytes.
pub(super) const PAGE: usize = 4_096;
/// Where the timelines begin in the control page, in words.
const TIMELINES: usize = 8;
/// How far the timelines are from each other, in words; likewise pieces.
const TIMELINE: usize = 16;
const PIECE: usize = 4;
/// How many lines the page of what was seen has, and how long one is, in words.
const LINES: usize = 64;
const LINE: usize = 8;

/// The clocks that have a timeline each, in the order of the page; all others of the kernel's
/// clocks follow one of these or are left alone.
pub(super) const CLOCKS: [ClockId; 5] = [
    ClockId::CLOCK_REALTIME,
    ClockId::CLOCK_MONOTONIC,
    ClockId::CLOCK_MONOTONIC_RAW,
    ClockId::CLOCK_BOOTTIME,
    ClockId::CLOCK_TAI,
];

/// What the programs of a node were told of one kind of clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockReadings {
    /// How often, since the node's clocks were made. At least: threads may lose counts to others.
    pub readings: u64,
    /// How far from the truth the answer was that was furthest from it, of each thread's latest, in
    /// nanoseconds; positive if the clock was ahead.
    pub furthest_ns: i64,
}

/// The memory of one node's clocks.
#[derive(Debug)]
pub(super) struct Page {
    file: OwnedFd,
    memory: NonNull<AtomicU64>,
}

// SAFETY: the memory is mapped until this is dropped, and is only ever touched through atomics.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A page on which all clocks show the truth.
    pub(super) fn new(name: &CStr) -> io::Result<Page> {
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&file, 2 * PAGE as i64)?;
        let size = const { std::num::NonZeroUsize::new(2 * PAGE).expect("not zero") };
        let flags = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: maps a new file at an address of the kernel's choice.
        let memory = unsafe { mmap(None, size, flags, MapFlags::MAP_SHARED, &file, 0) }?;
        let page = Page { file, memory: memory.cast() };
        page.store(&std::array::from_fn(|_| Timeline::truth()));
        Ok(page)
    }

    /// The file that programs of the node map.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Where this process has the control page, and the page of what was seen.
    #[cfg(test)]
    pub(super) fn addresses(&self) -> (u64, u64) {
        let control = self.memory.addr().get() as u64;
        (control, control + PAGE as u64)
    }

    /// Changes the timelines as `change` says, which is given the true times of [`CLOCKS`] at the
    /// moment of the change. The caller sees to it that nobody else does so meanwhile.
    pub(super) fn change(
        &self,
        timelines: &mut [Timeline; CLOCKS.len()],
        change: impl FnOnce(&mut [Timeline; CLOCKS.len()], [i64; CLOCKS.len()]),
    ) {
        // What takes time is done before readers are held up.
        let mut changed = timelines.clone();
        let sequence = self.word(0).load(Ordering::Relaxed);
        self.word(0).store(sequence + 1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        change(&mut changed, true_times());
        self.store(&changed);
        self.word(0).store(sequence + 2, Ordering::Release);
        *timelines = changed;
    }

    fn store(&self, timelines: &[Timeline; CLOCKS.len()]) {
        for (clock, timeline) in timelines.iter().enumerate() {
            for (place, piece) in timeline.pieces().iter().enumerate() {
                let word = TIMELINES + clock * TIMELINE + place * PIECE;
                let values = [piece.from, piece.shown, piece.rate.0];
                for (offset, value) in values.into_iter().enumerate() {
                    self.word(word + offset).store(value.cast_unsigned(), Ordering::Relaxed);
                }
            }
        }
    }

    /// What programs were told of the realtime clocks, and of the monotonic ones.
    pub(super) fn seen(&self) -> [ClockReadings; 2] {
        [0, 2].map(|kind| {
            let mut seen = ClockReadings::default();
            for line in 0..LINES {
                let word = PAGE / 8 + line * LINE + kind;
                seen.readings += self.word(word).load(Ordering::Relaxed);
                let shift = self.word(word + 1).load(Ordering::Relaxed).cast_signed();
                if shift.unsigned_abs() > seen.furthest_ns.unsigned_abs() {
                    seen.furthest_ns = shift;
                }
            }
            seen
        })
    }

    /// Forgets how far from the truth answers were, so that [`Page::seen`] tells of later ones
    /// only.
    pub(super) fn forget(&self) {
        for line in 0..LINES {
            for kind in [0, 2] {
                self.word(PAGE / 8 + line * LINE + kind + 1).store(0, Ordering::Relaxed);
            }
        }
    }

    fn word(&self, number: usize) -> &AtomicU64 {
        assert!(number < 2 * PAGE / 8, "within the memory");
        // SAFETY: within the mapping, which lives as long as `self`, and aligned; other programs
        // access the word by single instructions, as atomics do.
        unsafe { self.memory.add(number).as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: nobody has references into the mapping any more. Fails for no mapping of ours.
        let _ = unsafe { munmap(self.memory.cast(), 2 * PAGE) };
    }
}

/// What the true clocks show now, in the order of [`CLOCKS`], in nanoseconds.
pub(super) fn true_times() -> [i64; CLOCKS.len()] {
    CLOCKS.map(|clock| {
        let time = clock_gettime(clock).expect("the kernel has this clock");
        time.tv_sec() * 1_000_000_000 + time.tv_nsec()
    })
}

const _: () = assert!(PIECES * PIECE == TIMELINE);
const _: () = assert!(LINES * LINE * 8 == PAGE);
