//! What the fabric does to frames, without any network.

use std::num::NonZeroU64;
use std::time::Duration;

use proptest::prelude::*;

use super::link::QUEUE_LIMIT;
use super::*;
use crate::lab::segment::tests::{endpoint, segment, transport_sum};

const MS: u64 = 1_000_000;
const BLOCK: Policy = Policy { block: true, ..Policy::OPEN };
const HOLD: Policy = Policy { hold: true, ..Policy::OPEN };
const NONE: [u64; 0] = [];
const HALF: Probability = Probability::per_million(500_000);

fn fabric() -> Fabric {
    Fabric::new(&[Mac::local(1), Mac::local(2), Mac::local(3)], 7)
}

fn frame_to(mac: Mac, kind: [u8; 2], body: u8) -> Vec<u8> {
    [&mac.0[..], &Mac::local(1).0, &kind, &[body; 46]].concat()
}

fn delay(ms: u64) -> Policy {
    Policy { delay: Duration::from_millis(ms), ..Policy::OPEN }
}

fn rate(bytes_per_second: u64, burst_bytes: u32, queue_bytes: u32) -> Policy {
    let bytes_per_second = NonZeroU64::new(bytes_per_second).expect("more than nothing");
    Policy { rate: Some(Rate { bytes_per_second, burst_bytes, queue_bytes }), ..Policy::OPEN }
}

/// The numbers of the frames that leave at `now_ns`.
fn leaving(fabric: &mut Fabric, now_ns: u64) -> Vec<u64> {
    std::iter::from_fn(|| fabric.pop_due(now_ns)).map(|due| number(&due.frame)).collect()
}

fn number(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[..8].try_into().expect("eight bytes"))
}

/// Admits numbered frames of ten bytes on the first link at `now_ns`; which leave at once.
fn admit(fabric: &mut Fabric, numbers: std::ops::Range<u64>, now_ns: u64) -> Vec<u64> {
    let mut left = Vec::new();
    for number in numbers {
        let frame = [&number.to_be_bytes()[..], &[0, 0]].concat();
        match fabric.admit(0, 1, &frame, now_ns) {
            Decision::Forward => left.push(number),
            Decision::Hold => left.extend(leaving(fabric, now_ns)),
            Decision::Drop(_) => {}
        }
    }
    left
}

#[test]
fn frames_go_where_their_hardware_address_says() {
    let fabric = fabric();
    let route = |mac, kind| fabric.route(0, &frame_to(mac, kind, 0));
    assert_eq!(route(Mac::local(3), [8, 0]), Route::To(2));
    assert_eq!(route(Mac::BROADCAST, [8, 6]), Route::All);
    assert_eq!(route(Mac::local(9), [8, 0]), Route::Nowhere, "an unknown host");
    assert_eq!(route(Mac::local(1), [8, 0]), Route::Nowhere, "the sender itself");
    assert_eq!(route(Mac::local(2), [0x86, 0xdd]), Route::Nowhere, "IPv6");
    assert_eq!(fabric.route(0, &[0; 13]), Route::Nowhere, "less than a header");
}

#[test]
fn a_block_cuts_one_direction_only() {
    let mut fabric = fabric();
    fabric.set(0, 1, BLOCK, 0);
    assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Drop(Fate::Blocked));
    assert_eq!(fabric.admit(1, 0, b"frame", 0), Decision::Forward);
    assert_eq!(fabric.admit(0, 2, b"frame", 0), Decision::Forward);
    fabric.set(0, 1, Policy::default(), 0);
    assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Forward);
    assert_eq!(fabric.counters(0, 1).blocked, 1);
    assert_eq!(fabric.counters(1, 0).blocked, 0);
}

#[test]
fn a_delayed_frame_leaves_when_its_time_has_come() {
    let mut fabric = fabric();
    fabric.set(0, 1, delay(5), 0);
    assert_eq!(admit(&mut fabric, 0..1, 2 * MS), NONE);
    assert_eq!(leaving(&mut fabric, 7 * MS - 1), NONE);
    assert_eq!(fabric.next_due_ns(), Some(7 * MS));
    assert_eq!(leaving(&mut fabric, 7 * MS), [0]);
    assert_eq!((fabric.pop_due(u64::MAX), fabric.next_due_ns()), (None, None));
    assert_eq!(fabric.counters(0, 1).delayed, 1);
}

#[test]
fn lifting_a_delay_frees_what_it_held_and_lets_nothing_overtake() {
    let mut fabric = fabric();
    fabric.set(0, 1, delay(1_000), 0);
    assert_eq!(admit(&mut fabric, 0..1, 0), NONE);
    fabric.set(0, 1, Policy::default(), MS);
    assert_eq!(admit(&mut fabric, 1..2, MS), [0, 1], "the first still waited");
    assert_eq!(admit(&mut fabric, 2..3, MS), [2]);
}

#[test]
fn jitter_varies_the_delay_and_keeps_the_order() {
    let mut fabric = fabric();
    let jitter = Jitter::Uniform { spread: Duration::from_millis(10) };
    fabric.set(0, 1, Policy { jitter, ..delay(10) }, 0);
    assert_eq!(admit(&mut fabric, 0..100, 0), NONE);
    let mut steps = Vec::new();
    while let Some(due_ns) = fabric.next_due_ns() {
        steps.extend(leaving(&mut fabric, due_ns).into_iter().map(|number| (number, due_ns)));
    }
    assert!(steps.is_sorted() && steps.len() == 100, "{steps:?}");
    assert!(steps[0].1 > 0 && steps[99].1 <= 20 * MS && steps[0].1 < steps[99].1);
}

#[test]
fn a_block_drops_what_the_link_held() {
    let mut fabric = fabric();
    fabric.set(0, 1, delay(5), 0);
    fabric.admit(0, 1, b"frame", 0);
    fabric.set(0, 1, BLOCK, 0);
    assert_eq!((fabric.pop_due(u64::MAX), fabric.next_due_ns()), (None, None));
    assert_eq!(fabric.counters(0, 1).blocked, 1);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let mut fabric = fabric();
    fabric.set(0, 1, delay(5), 0);
    for _ in 0..QUEUE_LIMIT {
        assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Hold);
    }
    assert_eq!(fabric.admit(0, 1, b"frame", 0), Decision::Drop(Fate::Overflowed));
    assert_eq!(fabric.counters(0, 1).overflowed, 1);
}

#[test]
fn a_hold_keeps_everything_and_releases_it_in_order() {
    let mut fabric = fabric();
    fabric.set(0, 1, HOLD, 0);
    assert_eq!(admit(&mut fabric, 0..50, 0), NONE);
    assert_eq!((leaving(&mut fabric, u64::MAX), fabric.next_due_ns()), (vec![], None));
    fabric.set(0, 1, Policy::OPEN, 9 * MS);
    assert_eq!(leaving(&mut fabric, 9 * MS), (0..50).collect::<Vec<_>>());
    assert_eq!(admit(&mut fabric, 50..51, 9 * MS), [50]);
    assert_eq!(fabric.counters(0, 1).delayed, 50);
}

#[test]
fn a_loss_takes_its_share_and_the_same_frames_again() {
    let lossy = |seed| {
        let mut fabric = Fabric::new(&[Mac::local(1), Mac::local(2)], seed);
        let loss = Loss::Independent { probability: HALF };
        fabric.set(0, 1, Policy { loss, ..Policy::OPEN }, 0);
        let left = admit(&mut fabric, 0..1_000, 0);
        assert_eq!(fabric.counters(0, 1).dropped + left.len() as u64, 1_000);
        left
    };
    assert!((450..550).contains(&lossy(1).len()));
    assert_eq!(lossy(1), lossy(1));
    assert_ne!(lossy(1), lossy(2));
}

#[test]
fn a_frames_fate_does_not_depend_on_policies_before_it() {
    let loss = Policy { loss: Loss::Independent { probability: HALF }, ..Policy::OPEN };
    let mut early = fabric();
    early.set(0, 1, loss, 0);
    let mut late = fabric();
    assert_eq!(admit(&mut late, 0..100, 0).len(), 100);
    late.set(0, 1, loss, 0);
    admit(&mut early, 0..100, 0);
    assert_eq!(admit(&mut early, 100..200, 5), admit(&mut late, 100..200, 7));
}

#[test]
fn a_duplicate_follows_its_original() {
    let mut fabric = fabric();
    fabric.set(0, 1, Policy { duplicate: Probability::ALWAYS, ..Policy::OPEN }, 0);
    assert_eq!(admit(&mut fabric, 0..3, 0), [0, 0, 1, 1, 2, 2]);
    assert_eq!(fabric.counters(0, 1).duplicated, 3);
    assert_eq!(fabric.counters(0, 1).delayed, 0, "nothing waited");
    fabric.set(0, 1, Policy::OPEN, 0);
    assert_eq!(admit(&mut fabric, 3..5, 0), [3, 4]);
}

#[test]
fn a_reordered_frame_is_overtaken_until_its_time_is_up() {
    let mut fabric = fabric();
    let reorder = Reorder { probability: HALF, by: Duration::from_millis(5) };
    fabric.set(0, 1, Policy { reorder, ..Policy::OPEN }, 0);
    let first = admit(&mut fabric, 0..100, 0);
    assert!((30..70).contains(&first.len()) && first.is_sorted(), "{first:?}");
    assert_eq!(leaving(&mut fabric, 5 * MS - 1), NONE);
    let last = leaving(&mut fabric, 5 * MS);
    assert_eq!(first.len() + last.len(), 100);
    let overtaken = last.iter().filter(|late| first.iter().any(|early| early > late)).count();
    assert_eq!(fabric.counters(0, 1).reordered, overtaken as u64);
}

#[test]
fn lifting_a_reordering_lets_the_late_frames_go_first() {
    let mut fabric = fabric();
    let reorder = Reorder { probability: Probability::ALWAYS, by: Duration::from_secs(5) };
    fabric.set(0, 1, Policy { reorder, ..Policy::OPEN }, 0);
    assert_eq!(admit(&mut fabric, 0..3, 0), NONE);
    fabric.set(0, 1, Policy::OPEN, MS);
    assert_eq!(admit(&mut fabric, 3..4, MS), [0, 1, 2, 3]);
}

#[test]
fn a_corruption_reaches_the_frame_and_leaves_the_checksum_as_asked() {
    let frame = segment((endpoint(1, 5), endpoint(2, 6)), 0x10, (1, 2), b"payload");
    for mend in [false, true] {
        let mut fabric = fabric();
        let corrupt = Corruption { probability: Probability::ALWAYS, mend };
        fabric.set(0, 1, Policy { corrupt, ..Policy::OPEN }, 0);
        assert_eq!(fabric.admit(0, 1, &frame, 0), Decision::Hold);
        let damaged = fabric.pop_due(0).expect("due at once").frame;
        assert_ne!(damaged[..], frame[..]);
        assert_eq!(transport_sum(&damaged) == 0xffff, mend);
        assert_eq!((fabric.counters(0, 1).corrupted, fabric.counters(0, 1).delayed), (1, 0));
        let bare = segment((endpoint(1, 5), endpoint(2, 6)), 0x10, (1, 2), b"");
        assert_eq!(fabric.admit(0, 1, &bare, 0), Decision::Forward, "nothing to corrupt");
    }
}

#[test]
fn a_rate_lets_a_burst_pass_and_then_so_much_a_second() {
    let mut fabric = fabric();
    // Ten bytes a millisecond, and frames of ten bytes.
    fabric.set(0, 1, rate(10_000, 20, 1_000), 0);
    assert_eq!(admit(&mut fabric, 0..10, 0), [0, 1, 2], "the burst, and what exceeds it");
    for (ms, left) in [(1, 3), (2, 4), (3, 5)] {
        assert_eq!(leaving(&mut fabric, ms * MS - 1), NONE);
        assert_eq!(leaving(&mut fabric, ms * MS), [left]);
    }
    assert_eq!(leaving(&mut fabric, 1_000 * MS), [6, 7, 8, 9]);
}

#[test]
fn a_rate_drops_what_its_queue_cannot_hold() {
    let mut fabric = fabric();
    fabric.set(0, 1, rate(10_000, 0, 50), 0);
    assert_eq!(admit(&mut fabric, 0..10, 0), [0]);
    assert_eq!(fabric.counters(0, 1).overflowed, 4);
    assert_eq!(leaving(&mut fabric, 1_000 * MS), [1, 2, 3, 4, 5]);
}

#[test]
fn a_changed_rate_applies_to_what_waits() {
    let mut fabric = fabric();
    fabric.set(0, 1, rate(10, 0, 1_000), 0);
    assert_eq!(admit(&mut fabric, 0..5, 0), [0]);
    assert_eq!(fabric.next_due_ns(), Some(1_000 * MS));
    fabric.set(0, 1, rate(10_000, 0, 1_000), 0);
    assert_eq!(leaving(&mut fabric, 2 * MS), [1, 2]);
    fabric.set(0, 1, Policy::OPEN, 2 * MS);
    assert_eq!(leaving(&mut fabric, 2 * MS), [3, 4]);
}

#[test]
fn a_rates_frames_wait_for_the_delay_as_well() {
    let mut fabric = fabric();
    fabric.set(0, 1, Policy { delay: Duration::from_millis(5), ..rate(10_000, 0, 1_000) }, 0);
    assert_eq!(admit(&mut fabric, 0..3, 0), NONE);
    for (ms, left) in [(5, 0), (6, 1), (7, 2)] {
        assert_eq!(leaving(&mut fabric, ms * MS - 1), NONE);
        assert_eq!(leaving(&mut fabric, ms * MS), [left]);
    }
}

#[test]
fn a_reset_is_made_up_for_both_ends_and_passes_every_policy() {
    let mut fabric = fabric();
    let there = (endpoint(1, 5), endpoint(2, 6));
    fabric.admit(0, 1, &segment(there, 0x02, (100, 0), b""), 0);
    fabric.admit(1, 0, &segment((there.1, there.0), 0x12, (500, 101), b""), 0);
    fabric.set(0, 1, BLOCK, 0);
    assert_eq!(fabric.reset(0, 1, 0), 1);
    let forged: Vec<Due> = std::iter::from_fn(|| fabric.pop_forged()).collect();
    let ends: Vec<_> = forged.iter().map(|due| (due.from, due.to)).collect();
    assert_eq!(ends, [(1, 0), (0, 1)]);
    assert!(forged.iter().all(|due| fabric.route(due.from, &due.frame) == Route::To(due.to)));
    assert_eq!((fabric.counters(0, 1).reset, fabric.counters(0, 1).blocked), (1, 0));
    assert_eq!(fabric.reset(1, 0, 0), 0, "it is over");
}

#[test]
fn the_series_adds_up_to_the_counters() {
    let mut fabric = fabric();
    for ms in [0, 1, 99, 100, 350, 351, 1_000] {
        fabric.admit(0, 1, b"frame", ms * MS);
        fabric.delivered((0, 1), b"frame", (ms * MS, ms * MS));
    }
    let (samples, forgotten) = fabric.series();
    let found: Vec<_> = samples.iter().map(|s| (s.period, s.counters.forwarded)).collect();
    assert_eq!((found, forgotten), (vec![(0, 3), (1, 1), (3, 2), (10, 1)], 0));
    assert_eq!(fabric.series().0, samples, "looking changes nothing");
}

#[derive(Debug, Clone)]
enum Step {
    Admit(Port, Port),
    Set(Port, Port, Policy),
    Wait(u64),
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let share = || prop_oneof![2 => Just(0), 1 => 0..=1_000_000_u32];
    let share = move || share().prop_map(Probability::per_million);
    let rate = prop::option::weighted(0.3, (1_000..100_000_u64, 0..40_u32, 0..400_u32));
    let times = (0..4_u64, 0..3_u64, 0..4_u64);
    let kinds = (prop::bool::weighted(0.1), prop::bool::weighted(0.2), 0..4_u8);
    (kinds, times, (share(), share(), share()), rate).prop_map(
        |((block, hold, kind), (ms, spread, by), (loss, duplicate, reorder), rate)| {
            let spread = Duration::from_millis(spread);
            Policy {
                block,
                hold,
                delay: Duration::from_millis(ms),
                jitter: match kind {
                    0 => Jitter::None,
                    1 => Jitter::Uniform { spread },
                    2 => Jitter::Normal { deviation: spread },
                    _ => Jitter::Pareto { scale: spread },
                },
                loss: Loss::Independent { probability: loss },
                duplicate,
                reorder: Reorder { probability: reorder, by: Duration::from_millis(by) },
                corrupt: Corruption::default(),
                rate: rate.map(|(bytes, burst_bytes, queue_bytes)| Rate {
                    bytes_per_second: NonZeroU64::new(bytes).expect("more than nothing"),
                    burst_bytes,
                    queue_bytes,
                }),
            }
        },
    )
}

fn any_step(policy: BoxedStrategy<Policy>) -> impl Strategy<Value = Step> {
    let port = 0..3_usize;
    prop_oneof![
        6 => (port.clone(), port.clone()).prop_map(|(from, to)| Step::Admit(from, to)),
        2 => (port.clone(), port, policy).prop_map(|(from, to, p)| Step::Set(from, to, p)),
        2 => (0..3 * MS).prop_map(Step::Wait),
    ]
}

/// Every frame that arrived, in order of arrival, by link.
type Arrived = [[Vec<u64>; 3]; 3];

/// Plays steps, then opens every link and lets everything arrive; how many frames were sent on
/// each link, and what arrived.
fn play(fabric: &mut Fabric, steps: Vec<Step>) -> ([[u64; 3]; 3], Arrived) {
    let (mut now_ns, mut admitted, mut arrived) = (0, [[0_u64; 3]; 3], Arrived::default());
    let open = (0..9).map(|place| Step::Set(place / 3, place % 3, Policy::OPEN));
    for step in steps.into_iter().chain(open).chain([Step::Wait(0)]) {
        let mut deliver = |fabric: &mut Fabric, from: Port, to: Port, frame: &[u8]| {
            arrived[from][to].push(number(frame));
            fabric.delivered((from, to), frame, (now_ns, now_ns));
        };
        match step {
            Step::Admit(from, to) => {
                let frame = u64::to_be_bytes(admitted[from][to]);
                admitted[from][to] += 1;
                if fabric.admit(from, to, &frame, now_ns) == Decision::Forward {
                    deliver(fabric, from, to, &frame);
                }
            }
            Step::Set(from, to, policy) => fabric.set(from, to, policy, now_ns),
            Step::Wait(ns) => now_ns += ns,
        }
        let mut deliver = |fabric: &mut Fabric, from: Port, to: Port, frame: &[u8]| {
            arrived[from][to].push(number(frame));
            fabric.delivered((from, to), frame, (now_ns, now_ns));
        };
        while let Some(Due { from, to, frame, .. }) = fabric.pop_due(now_ns) {
            deliver(fabric, from, to, &frame);
        }
    }
    (admitted, arrived)
}

/// A segment with data from the first host to the second.
fn data() -> Vec<u8> {
    segment((endpoint(1, 4_000), endpoint(2, 7_000)), 0x10, (1, 1), b"entries")
}

/// What became of the messages on the first link: sent, held (ms) and fate.
fn fates(fabric: &Fabric) -> Vec<(u64, u64, Fate)> {
    let (messages, forgotten) = fabric.messages();
    assert_eq!(forgotten, 0);
    assert!(messages.iter().all(|(link, it)| *link == (0, 1) && it.bytes == 7), "{messages:?}");
    messages.iter().map(|(_, it)| (it.sent_ns / MS, it.held_ns / MS, it.fate)).collect()
}

#[test]
fn what_became_of_each_message_is_remembered() {
    let mut fabric = fabric();
    assert_eq!(fabric.admit(0, 1, &data(), MS), Decision::Forward);
    fabric.delivered((0, 1), &data(), (MS, MS));
    assert_eq!(fabric.admit(0, 1, &data(), 2 * MS), Decision::Forward);
    fabric.lost((0, 1), &data(), (2 * MS, 2 * MS));
    fabric.set(0, 1, delay(5), 3 * MS);
    assert_eq!(fabric.admit(0, 1, &data(), 3 * MS), Decision::Hold);
    let due = fabric.pop_due(8 * MS).expect("it is due");
    fabric.delivered((0, 1), &due.frame, (due.came_ns, 8 * MS));
    fabric.set(0, 1, HOLD, 9 * MS);
    assert_eq!(fabric.admit(0, 1, &data(), 9 * MS), Decision::Hold);
    fabric.set(0, 1, BLOCK, 12 * MS);
    assert_eq!(fabric.admit(0, 1, &data(), 13 * MS), Decision::Drop(Fate::Blocked));
    let all =
        Policy { loss: Loss::Independent { probability: Probability::ALWAYS }, ..Policy::OPEN };
    fabric.set(0, 1, all, 14 * MS);
    fabric.admit(0, 1, &data(), 14 * MS);
    let expected = [
        (1, 0, Fate::Delivered),
        (2, 0, Fate::Lost),
        (3, 5, Fate::Delivered),
        (9, 3, Fate::Blocked),
        (13, 0, Fate::Blocked),
        (14, 0, Fate::Dropped),
    ];
    assert_eq!(fates(&fabric), expected);
}

#[test]
fn acknowledgements_and_what_clients_say_are_no_messages_between_nodes() {
    let mut fabric = fabric();
    let bare = segment((endpoint(1, 4_000), endpoint(2, 7_000)), 0x10, (1, 1), b"");
    for (link, frame) in [((0, 1), bare), ((2, 1), data()), ((0, 2), data()), ((0, 1), vec![7; 60])]
    {
        fabric.delivered(link, &frame, (1, 1));
        fabric.set(link.0, link.1, BLOCK, 2);
        fabric.admit(link.0, link.1, &frame, 3);
    }
    assert_eq!(fates(&fabric), []);
}

proptest! {
    /// Whatever policies come and go, every frame arrives, and any copy of it, or is counted as
    /// dropped; and once all is lifted, nothing is left behind.
    #[test]
    fn every_frame_is_accounted_for(
        steps in prop::collection::vec(any_step(any_policy().boxed()), 0..200)
    ) {
        let mut fabric = fabric();
        let (admitted, arrived) = play(&mut fabric, steps);
        prop_assert_eq!(fabric.next_due_ns(), None);
        for (from, to) in (0..9).map(|place| (place / 3, place % 3)) {
            let counters = fabric.counters(from, to);
            let mut numbers = arrived[from][to].clone();
            prop_assert_eq!(counters.forwarded, numbers.len() as u64);
            let gone = counters.blocked + counters.dropped + counters.overflowed;
            prop_assert_eq!(counters.forwarded + gone, admitted[from][to] + counters.duplicated);
            numbers.sort_unstable();
            numbers.dedup();
            let copies = counters.forwarded - numbers.len() as u64;
            prop_assert!(copies <= counters.duplicated, "{copies} {counters:?}");
        }
    }

    /// Without duplication and reordering, nothing is doubled and nothing overtaken.
    #[test]
    fn no_frame_is_doubled_or_overtaken_unless_asked_for(
        steps in prop::collection::vec(any_step(any_policy().prop_map(|policy| Policy {
            duplicate: Probability::NEVER, reorder: Reorder::default(), ..policy
        }).boxed()), 0..200)
    ) {
        let mut fabric = fabric();
        let (_, arrived) = play(&mut fabric, steps);
        for numbers in arrived.iter().flatten() {
            prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        }
    }

    /// Delay, jitter and hold lose nothing, however they change.
    #[test]
    fn no_frame_is_lost_by_waiting(
        steps in prop::collection::vec(any_step(any_policy().prop_map(|policy| Policy {
            hold: policy.hold, delay: policy.delay, jitter: policy.jitter, ..Policy::OPEN
        }).boxed()), 0..200)
    ) {
        let mut fabric = fabric();
        let (admitted, arrived) = play(&mut fabric, steps);
        for (from, to) in (0..9).map(|place| (place / 3, place % 3)) {
            let expected: Vec<u64> = (0..admitted[from][to]).collect();
            prop_assert_eq!(&arrived[from][to], &expected);
        }
    }

    /// The same frames at the same times meet the same fate; another seed decides otherwise.
    #[test]
    fn decisions_repeat_under_one_seed(
        steps in prop::collection::vec(any_step(any_policy().boxed()), 0..200)
    ) {
        let (mut first, mut second) = (fabric(), fabric());
        prop_assert_eq!(play(&mut first, steps.clone()), play(&mut second, steps));
    }
}
