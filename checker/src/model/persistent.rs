//! Collections of which every version stays: a changed copy shares all but a few nodes.
//!
//! A search goes back to earlier states again and again and keeps many of them. So a copy costs
//! nothing, a change O(log n) in a [`Trie`] and O(1) in a [`List`]. Both carry a hash of their
//! content: unequal ones are told apart at once, and equal ones mostly share their nodes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// How many bits of a key each level of a trie looks at.
const BITS: u32 = 4;
const WIDTH: usize = 1 << BITS;

/// A map from numbers to numbers.
///
/// Two tries are equal if they hold the same and have the same height; tries that were made for
/// the same capacity, or grew to the same greatest key, have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trie {
    hash: u64,
    len: u32,
    /// Levels below the root; 0 if the root is a leaf.
    height: u32,
    root: Option<Arc<Node>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Inner([Option<Arc<Node>>; WIDTH]),
    Leaf { present: u16, values: [u32; WIDTH] },
}

/// What the allocator adds to a piece of memory, with the counts of an [`Arc`], in bytes.
const SHARED: usize = 32;

impl Trie {
    /// Bytes that one change adds: a node of every level.
    pub(crate) const fn bytes_per_change(&self) -> usize {
        (self.height as usize + 1) * (size_of::<Node>() + SHARED)
    }

    /// An empty trie for keys below `capacity`; it grows where more are needed.
    pub(crate) const fn new(capacity: usize) -> Self {
        let mut height = 0;
        while (height + 1) * BITS < usize::BITS && capacity > WIDTH << (height * BITS) {
            height += 1;
        }
        Self { hash: 0, len: 0, height, root: None }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// The sum of the [hashes](mix) of the entries.
    pub(crate) const fn content_hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn get(&self, key: u32) -> Option<u32> {
        if !self.reaches(key) {
            return None;
        }
        let mut node = self.root.as_deref()?;
        let mut level = self.height;
        loop {
            let slot = slot(key, level);
            match node {
                Node::Inner(children) => node = children[slot].as_deref()?,
                Node::Leaf { present, values } => {
                    return (present & 1 << slot != 0).then_some(values[slot]);
                }
            }
            level = level.saturating_sub(1);
        }
    }

    pub(crate) fn contains(&self, key: u32) -> bool {
        self.get(key).is_some()
    }

    /// This trie with `key` at `value`.
    #[must_use]
    pub(crate) fn with(&self, key: u32, value: u32) -> Self {
        let mut grown = self.clone();
        while !grown.reaches(key) {
            grown.raise();
        }
        let before = grown.get(key);
        if before == Some(value) {
            return grown;
        }
        if let Some(before) = before {
            grown.hash = grown.hash.wrapping_sub(mix(key, before));
        } else {
            grown.len += 1;
        }
        grown.hash = grown.hash.wrapping_add(mix(key, value));
        grown.root = Some(insert(grown.root.as_deref(), key, value, grown.height));
        grown
    }

    /// This trie without `key`.
    #[must_use]
    pub(crate) fn without(&self, key: u32) -> Self {
        let (Some(before), Some(root)) = (self.get(key), self.root.as_deref()) else {
            return self.clone();
        };
        Self {
            hash: self.hash.wrapping_sub(mix(key, before)),
            len: self.len - 1,
            height: self.height,
            root: remove(root, key, self.height),
        }
    }

    /// The keys with their values, by key.
    pub(crate) fn entries(&self) -> Vec<(u32, u32)> {
        let mut entries = Vec::with_capacity(self.len as usize);
        if let Some(root) = &self.root {
            collect(root, 0, &mut entries);
        }
        entries
    }

    const fn reaches(&self, key: u32) -> bool {
        let bits = (self.height + 1) * BITS;
        bits >= u32::BITS || key >> bits == 0
    }

    fn raise(&mut self) {
        self.height += 1;
        self.root = self.root.take().map(|root| {
            let mut children = [const { None }; WIDTH];
            children[0] = Some(root);
            Arc::new(Node::Inner(children))
        });
    }
}

impl Hash for Trie {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

const fn slot(key: u32, level: u32) -> usize {
    (key >> (level * BITS)) as usize % WIDTH
}

fn insert(node: Option<&Node>, key: u32, value: u32, level: u32) -> Arc<Node> {
    let slot = slot(key, level);
    Arc::new(if level == 0 {
        let (mut present, mut values) = match node {
            Some(Node::Leaf { present, values }) => (*present, *values),
            _ => (0, [0; WIDTH]),
        };
        present |= 1 << slot;
        values[slot] = value;
        Node::Leaf { present, values }
    } else {
        let mut children = match node {
            Some(Node::Inner(children)) => children.clone(),
            _ => [const { None }; WIDTH],
        };
        children[slot] = Some(insert(children[slot].as_deref(), key, value, level - 1));
        Node::Inner(children)
    })
}

/// The node without the key; nothing if it holds no other. So equal contents have equal nodes.
fn remove(node: &Node, key: u32, level: u32) -> Option<Arc<Node>> {
    let slot = slot(key, level);
    match node {
        Node::Leaf { present, values } => {
            let present = present & !(1 << slot);
            let mut values = *values;
            values[slot] = 0;
            (present != 0).then(|| Arc::new(Node::Leaf { present, values }))
        }
        Node::Inner(children) => {
            let mut children = children.clone();
            children[slot] = children[slot].as_deref().and_then(|it| remove(it, key, level - 1));
            children.iter().any(Option::is_some).then(|| Arc::new(Node::Inner(children)))
        }
    }
}

fn collect(node: &Node, prefix: u32, entries: &mut Vec<(u32, u32)>) {
    let key = |slot: usize| prefix << BITS | slot as u32;
    match node {
        Node::Inner(children) => {
            for (slot, child) in children.iter().enumerate() {
                if let Some(child) = child {
                    collect(child, key(slot), entries);
                }
            }
        }
        Node::Leaf { present, values } => {
            let there = (0..WIDTH).filter(|slot| present & 1 << slot != 0);
            entries.extend(there.map(|slot| (key(slot), values[slot])));
        }
    }
}

/// A hash of a pair of numbers: the finaliser of splitmix64.
pub(crate) const fn mix(key: u32, value: u32) -> u64 {
    let mut bits = ((key as u64) << 32 | value as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// A list of numbers that grows and shrinks at one end.
#[derive(Debug, Clone, Default)]
pub(crate) struct List(Option<Arc<Cell>>);

impl List {
    /// Bytes that one change adds.
    pub(crate) const BYTES_PER_CHANGE: usize = size_of::<Cell>() + SHARED;
}

#[derive(Debug)]
struct Cell {
    item: u32,
    len: u32,
    hash: u64,
    below: List,
}

impl List {
    /// This list with `item` on top.
    #[must_use]
    pub(crate) fn with(&self, item: u32) -> Self {
        let (len, hash) = self.0.as_ref().map_or((0, 0), |cell| (cell.len, cell.hash));
        let hash = mix(item, len).wrapping_add(hash.rotate_left(5).wrapping_mul(0x2545_f491));
        Self(Some(Arc::new(Cell { item, len: len + 1, hash, below: self.clone() })))
    }

    /// The item on top and the list below it.
    pub(crate) fn top(&self) -> Option<(u32, &Self)> {
        self.0.as_ref().map(|cell| (cell.item, &cell.below))
    }

    /// The items from the top.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut rest = self;
        std::iter::from_fn(move || {
            let (item, below) = rest.top()?;
            rest = below;
            Some(item)
        })
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self, other);
        loop {
            match (&one.0, &other.0) {
                (None, None) => return true,
                (Some(left), Some(right)) => {
                    if Arc::ptr_eq(left, right) {
                        return true;
                    }
                    if (left.len, left.hash, left.item) != (right.len, right.hash, right.item) {
                        return false;
                    }
                    (one, other) = (&left.below, &right.below);
                }
                _ => return false,
            }
        }
    }
}

impl Eq for List {}

impl Hash for List {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.as_ref().map_or(0, |cell| cell.hash));
    }
}

impl Drop for List {
    /// Takes cells off one by one: the drop that the compiler makes would recurse along the list.
    fn drop(&mut self) {
        let mut next = self.0.take();
        while let Some(mut cell) = next.and_then(Arc::into_inner) {
            next = cell.below.0.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn trie_holds_what_a_map_holds(
            steps in proptest::collection::vec((0_u32..600, proptest::option::of(0_u32..5)), 0..200)
        ) {
            let (mut trie, mut map) = (Trie::new(100), BTreeMap::new());
            for (key, value) in steps {
                trie = match value {
                    Some(value) => {
                        map.insert(key, value);
                        trie.with(key, value)
                    }
                    None => {
                        map.remove(&key);
                        trie.without(key)
                    }
                };
                prop_assert_eq!(trie.get(key), map.get(&key).copied());
            }
            prop_assert_eq!(trie.len() as usize, map.len());
            prop_assert_eq!(trie.entries(), map.clone().into_iter().collect::<Vec<_>>());
            let mut anew = Trie::new(600);
            for (&key, &value) in map.iter().rev() {
                anew = anew.with(key, value);
            }
            prop_assert_eq!(trie.hash, anew.hash);
            while trie.height < anew.height {
                trie.raise();
            }
            prop_assert_eq!(trie, anew);
        }
    }

    #[test]
    fn earlier_version_stays_as_it_was() {
        let one = Trie::new(10).with(3, 1);
        let two = one.with(3, 2).with(9, 9).without(3);
        assert_eq!((one.get(3), one.get(9)), (Some(1), None));
        assert_eq!((two.get(3), two.get(9)), (None, Some(9)));
    }

    #[test]
    fn lists_are_equal_by_content() {
        let one = List::default().with(1).with(2);
        let other = List::default().with(1).with(2);
        assert_eq!(one, other);
        assert_ne!(one, List::default().with(2).with(1));
        assert_ne!(one, List::default().with(2));
        assert_eq!(one.iter().collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn long_list_is_dropped_without_recursion() {
        let mut list = List::default();
        for item in 0..1_000_000 {
            list = list.with(item);
        }
        assert_eq!(list.top().map(|(item, _)| item), Some(999_999));
    }
}
