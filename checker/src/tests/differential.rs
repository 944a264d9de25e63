//! Random histories of a real register, whole and damaged, by every engine; small ones by the
//! oracle too.

use super::lanes;
use super::registers::{examine, linearizable};
use super::rounds::rounds;
use crate::generate::{Mix, Plan};
use crate::{Event, EventKind, Function, History, Value, Verdict};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Damages a history in one place, as a faulty store or clock would, and keeps its form.
fn damage(events: &mut [Event], random: &mut ChaCha8Rng) {
    let place = random.random_range(0..events.len());
    match random.random_range(0..4) {
        0 => swap_neighbours(events, place),
        1 => {
            for _ in 0..20 {
                let place = random.random_range(0..events.len());
                swap_neighbours(events, place);
            }
        }
        2 => {
            let event = &mut events[place];
            if event.function == Function::Write && event.kind == EventKind::Ok {
                event.kind = EventKind::Fail;
            }
        }
        _ => answer_anew(&mut events[place], random),
    }
    renumber(events);
}

/// The events with new indexes and times, in the order in which they stand.
fn renumber(events: &mut [Event]) {
    let mut times: Vec<_> = events.iter().map(|event| event.time).collect();
    times.sort_unstable();
    for ((index, time), event) in (0..).zip(times).zip(events) {
        event.index = index;
        event.time = time;
    }
}

fn swap_neighbours(events: &mut [Event], place: usize) {
    if place + 1 < events.len() && events[place].process != events[place + 1].process {
        events.swap(place, place + 1);
    }
}

fn answer_anew(event: &mut Event, random: &mut ChaCha8Rng) {
    if event.kind != EventKind::Ok {
        return;
    }
    let greatest = 1 + event.index as i64 / 2;
    let value = match random.random_range(0..=greatest.min(40)) {
        0 => Value::Null,
        back => Value::Integer(greatest - back + 1),
    };
    match event.function {
        Function::Read => event.value = value,
        Function::Cas if random.random_bool(0.5) => {
            event.swapped = Some(false);
            event.saw = Some(value);
        }
        Function::Cas => (event.swapped, event.saw) = (Some(true), None),
        _ => {}
    }
}

/// Plans of all sorts: by the seed's digits so to speak.
fn plan(seed: u64, operations: usize) -> Plan {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let unique = random.random_bool(0.6);
    Plan {
        operations,
        clients: random.random_range(1..6),
        keys: 1,
        mix: Mix {
            reads: random.random_range(1..6),
            writes: random.random_range(0..4),
            swaps: random.random_range(0..6),
            deletes: u32::from(!unique && random.random_bool(0.3)),
        },
        unknown: if random.random_bool(0.5) { 0.15 } else { 0.0 },
        failed: if random.random_bool(0.3) { 0.1 } else { 0.0 },
        values: (!unique).then(|| random.random_range(1..4)),
        tells: unique || random.random_bool(0.5),
        fault: None,
        seed,
    }
}

#[test]
fn history_of_a_real_register_is_valid() {
    let rounds = rounds(10_000);
    for seed in 0..rounds {
        let operations = if seed % 10 == 0 { 100 } else { 20 };
        let history = History::from_events(plan(seed, operations).events()).unwrap();
        assert_ne!(examine(&history, &Value::Null, Some(true)), Verdict::Violation);
    }
    println!("{rounds} histories of registers, undamaged");
}

#[test]
fn engines_and_oracle_agree_on_small_damaged_histories() {
    let mut seen = [0; 2];
    for seed in 0..rounds(100_000) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut events: Vec<Event> = plan(seed, random.random_range(3..9)).events().collect();
        for _ in 0..random.random_range(1..4) {
            damage(&mut events, &mut random);
        }
        let history = History::from_events(events).unwrap();
        let truth = linearizable(&history, &Value::Null);
        examine(&history, &Value::Null, Some(truth));
        seen[usize::from(truth)] += 1;
    }
    println!(
        "{} histories of registers, damaged: violations and valid ones {seen:?}",
        seen[0] + seen[1]
    );
    assert!(seen.iter().all(|&count| count > 15_000), "{seen:?}");
}

#[test]
fn engines_agree_on_longer_damaged_histories() {
    let mut violations = 0;
    let rounds = rounds(20_000);
    for seed in 0..rounds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut events: Vec<Event> = plan(seed, random.random_range(20..60)).events().collect();
        for _ in 0..random.random_range(1..4) {
            damage(&mut events, &mut random);
        }
        let history = History::from_events(events).unwrap();
        violations += u64::from(examine(&history, &Value::Null, None) == Verdict::Violation);
    }
    println!("{rounds} longer histories of registers, damaged: {violations} violations");
    assert!((rounds / 10..rounds / 10 * 9).contains(&violations), "{violations} of {rounds}");
}

#[test]
fn initial_value_other_than_null_is_what_reads_see_first() {
    let lane = "p0 |r 7| |c 7 1| |r 1|";
    let history = History::from_events(lanes::parse(lane)).unwrap();
    assert_eq!(examine(&history, &Value::Integer(7), Some(true)), Verdict::Valid);
    assert_eq!(examine(&history, &Value::Integer(8), Some(false)), Verdict::Violation);
}
