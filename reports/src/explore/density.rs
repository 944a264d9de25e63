//! Counts the operations of each lane by stretches of time, for what a page cannot carry one by one.

use partita_checker::{History, Nanoseconds};

use super::lanes::Lanes;
use super::pack::Column;

/// How many counts all lanes of one kind have together, at most.
const MOST_CELLS: usize = 160_000;
/// How many stretches a lane is divided into, at least and at most: powers of two, since a coarser
/// level sums up two of a finer.
const STRETCHES: (usize, usize) = (256, 4096);

/// How many stretches each of `lanes` lanes is divided into.
pub(super) fn stretches(lanes: usize) -> usize {
    let (least, most) = STRETCHES;
    let room = (MOST_CELLS / lanes.max(1)).clamp(least, most);
    1 << room.ilog2()
}

/// How many operations were invoked in each stretch of each lane, lane by lane: first those that came
/// back `ok`, then the others.
pub(super) fn column(history: &History, lanes: &Lanes, end: Nanoseconds) -> Column {
    let stretches = stretches(lanes.names.len());
    let mut ok = vec![0_u64; stretches * lanes.names.len()];
    let mut others = ok.clone();
    for (operation, lane) in history.operations().iter().zip(&lanes.of) {
        let part = operation.invoked.time.0 as f64 / end.0.max(1) as f64;
        let stretch = ((part * stretches as f64) as usize).min(stretches - 1);
        let counts = if operation.is_ok() { &mut ok } else { &mut others };
        counts[*lane as usize * stretches + stretch] += 1;
    }
    let mut column = Column::default();
    ok.into_iter().chain(others).for_each(|count| column.push(count));
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_lanes_have_fewer_stretches_each_and_always_a_power_of_two() {
        assert_eq!([1, 10, 50, 400].map(stretches), [4096, 4096, 2048, 256]);
    }
}
