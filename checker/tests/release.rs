//! How little a search has left to do once it is told to stop: what it holds, however much, it holds
//! in few pieces of memory.
#![expect(unsafe_code, reason = "counts what the allocator is asked for, and passes it on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use partita_checker::{
    EngineChoice, Event, EventKind, Function, History, ModelKind, Nanoseconds, Options, ProcessId,
    Value, Verdict, check,
};

/// The system's allocator, which counts how often memory is asked for and given back.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static RELEASED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it is to an allocator that keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        RELEASED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `memory` came from `alloc` above, and so from the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CLIENTS: u32 = 40;
const VALUES: u32 = 12;

/// Changes that all overlap, and a read of what no order of any of them gives.
fn laborious(change: fn(u32) -> (Function, Value)) -> History {
    let changed = |kind| {
        move |client| {
            let (function, value) = change(client);
            let swapped = kind == EventKind::Ok && function == Function::Cas;
            (client, kind, function, value, swapped.then_some(true))
        }
    };
    let read = [(EventKind::Invoke, Value::Null), (EventKind::Ok, Value::Integer(-1))]
        .map(|(kind, value)| (CLIENTS, kind, Function::Read, value, None));
    let invoked = (0..CLIENTS).map(changed(EventKind::Invoke));
    let events = invoked.chain((0..CLIENTS).map(changed(EventKind::Ok))).chain(read);
    let event = |(index, (process, kind, function, value, swapped))| Event {
        index,
        time: Nanoseconds(index),
        process: ProcessId(process),
        kind,
        function,
        key: Value::text("k"),
        value,
        swapped,
        saw: None,
        node: None,
        error: None,
        level: None,
        revision: None,
    };
    History::from_events((0..).zip(events).map(event)).unwrap()
}

fn addition(client: u32) -> (Function, Value) {
    (Function::Add, Value::Integer(1 << client))
}

fn swap(client: u32) -> (Function, Value) {
    let (from, step) = (client * 7 % VALUES, 1 + client * 5 % (VALUES - 1));
    let pair = [from, (from + step) % VALUES].map(|value| Value::Integer(value.into()));
    (Function::Cas, Value::list(pair))
}

#[test]
fn search_that_is_told_to_stop_lets_go_of_little() {
    // How often a search is asked before it is told to stop, and how much it may let go of then.
    const ENOUGH: usize = 600;
    const LITTLE: usize = 12_000;
    let histories = [
        (ModelKind::Counter, Value::Null, laborious(addition)),
        (ModelKind::Register, Value::Integer(0), laborious(swap)),
    ];
    for (model, initial, history) in histories {
        for engine in [EngineChoice::Frontier, EngineChoice::Wgl, EngineChoice::Auto] {
            let before = ALLOCATED.load(Ordering::Relaxed);
            let asked = AtomicUsize::new(0);
            let stop = || {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number == ENOUGH {
                    RELEASED.store(0, Ordering::Relaxed);
                }
                number >= ENOUGH
            };
            let memory = usize::MAX;
            let initial = initial.clone();
            let options =
                Options::of(model).with_engine(engine).with_memory(memory).with_initial(initial);
            let (analysis, _) = check(&history, &options, &stop);
            let released = RELEASED.load(Ordering::Relaxed);
            assert_eq!(analysis.verdict, Verdict::Unknown);
            assert!(analysis.reasons[0].contains("the time ran out"), "{:?}", analysis.reasons);
            assert!(released <= LITTLE, "{model}, {engine}: {released} pieces");
            assert!(ALLOCATED.load(Ordering::Relaxed) > before, "the allocator counts");
        }
    }
}
