//! What collections take of memory, as the searches count it to keep within their limits.

use std::collections::{HashMap, HashSet};
use std::mem::needs_drop;
use std::thread;

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

/// How many values are given back on the spot.
const FEW: usize = 10_000;

/// Gives values back behind the back of a search that was told to stop: to free what millions of
/// them point to takes tenths of a second, for which a caller with a limit should not have to wait.
/// For some time their memory is there still.
pub(super) fn discard<T: Send + 'static, C: IntoIterator<Item = T> + Send + 'static>(
    values: C,
    count: usize,
) {
    if needs_drop::<T>() && count > FEW {
        // If there can be no thread, the closure is dropped here, and the values with it.
        let _ = thread::Builder::new().name("discard".to_owned()).spawn(move || drop(values));
    }
}
