//! What collections take of memory, as the searches count it to keep within their limits.

use std::collections::{HashMap, HashSet};

/// What the allocator adds to a piece of memory, about, in bytes.
pub(super) const ALLOCATION: usize = 16;

/// How many entries a table may gain between two looks at what it takes.
const SOON: usize = 1 << 14;

/// Bytes that the table of a map takes.
pub(super) fn map_bytes<K, V, S>(map: &HashMap<K, V, S>) -> usize {
    table_bytes(map.len(), map.capacity(), size_of::<(K, V)>())
}

/// Bytes that the table of a set takes.
pub(super) fn set_bytes<K, S>(set: &HashSet<K, S>) -> usize {
    table_bytes(set.len(), set.capacity(), size_of::<K>())
}

/// Of every eight places of a table seven are used, and each has a byte besides its entry. A table
/// that is about to grow needs for a moment, besides its own, the memory of one twice as large.
const fn table_bytes(len: usize, capacity: usize, entry: usize) -> usize {
    let now = capacity / 7 * 8 * (entry + 1);
    if len + SOON > capacity { 3 * now } else { now }
}
