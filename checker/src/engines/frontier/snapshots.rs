//! Moments of a sweep to go back to, the denser the nearer.

use super::sweep::Snapshot;

/// Returns between two snapshots of the finest level.
pub(super) const SPACING: usize = 64;
/// How many times sparser each level is than the one before.
const RATIO: usize = 8;
const LEVELS: usize = 6;

/// The last two snapshots of every level, the first of all, and the last complete one.
pub(super) struct Snapshots<const W: usize> {
    first: Snapshot<W>,
    levels: [[Option<Snapshot<W>>; 2]; LEVELS],
    /// Nothing if that is the first.
    whole: Option<Snapshot<W>>,
}

impl<const W: usize> Snapshots<W> {
    pub(super) fn new(first: &Snapshot<W>) -> Self {
        let levels = std::array::from_fn(|_| [None, None]);
        Self { first: first.clone(), levels, whole: None }
    }

    /// Keeps the moment on every level that is due.
    pub(super) fn keep(&mut self, now: &Snapshot<W>) {
        if now.cursor.round == 0 {
            return;
        }
        let mut spacing = SPACING;
        for level in &mut self.levels {
            if now.cursor.round.is_multiple_of(spacing) {
                level.swap(0, 1);
                level[0] = Some(now.clone());
            }
            spacing *= RATIO;
        }
        if now.complete && now.cursor.round >= self.whole().cursor.round {
            self.whole = Some(now.clone());
        }
    }

    /// The latest at or before `round`.
    pub(super) fn before(&self, round: usize) -> &Snapshot<W> {
        let kept = self.levels.iter().flatten().flatten().chain(&self.whole);
        kept.filter(|snapshot| snapshot.cursor.round <= round)
            .max_by_key(|snapshot| snapshot.cursor.round)
            .unwrap_or(&self.first)
    }

    /// The latest that lacks nothing that is possible.
    pub(super) fn whole(&self) -> &Snapshot<W> {
        self.whole.as_ref().unwrap_or(&self.first)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Snapshot<W>> {
        let kept = self.levels.iter_mut().flatten().flatten();
        kept.chain(&mut self.whole).chain([&mut self.first])
    }

    pub(super) fn bytes(&self) -> usize {
        let kept = self.levels.iter().flatten().flatten();
        kept.chain(&self.whole).chain([&self.first]).map(Snapshot::bytes).sum()
    }
}
