//! Holds the keys and their values, shared with the snapshots that were taken of them.
//!
//! Keys are spread by hash over a fixed number of shards, each an ordered map behind a reference
//! count, and the shards over groups, which are shared as well. Cloning the whole copies one pointer
//! per group; the first write to a shard after that copies its group's pointers and the shard, but
//! none of the bytes in it. With a million keys a shard holds about 250, and a copy takes some
//! microseconds: a snapshot makes no one wait, and costs at most one copy of the map, without the
//! keys' and values' bytes, spread over the writes that follow it.
//!
//! Values are strings, lists and sets; see [`value`](super::value).
//!
//! A key takes about 110 bytes in its map (its hash and two 32-byte handles at the usual fill of a
//! B-tree), and two allocations with its own bytes and its value's: some 300 bytes in all for a key
//! of 10 and a value of 100 bytes. Groups and shards come into being with their first key, so that a
//! store of a few keys is small and quick to walk through.
//!
//! Keys that expire are indexed by their time besides. Iteration is in the order of the shards, then
//! of the keys' hashes, then of the keys: the same contents give the same bytes on every server.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::units::Timestamp;
use super::value::{Collection, Value};

/// How many shards there are, and how many of them make a group; powers of two.
const SHARDS: usize = 4096;
const GROUP: usize = 64;

type Shard = BTreeMap<Name, Value>;
type Group = [Option<Arc<Shard>>; GROUP];

/// A key as shards order it: by its hash first, which lies in the map itself, so that few comparisons
/// have to fetch a key's bytes from wherever they lie.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    hash: u32,
    key: Bytes,
}

impl Name {
    fn of(key: &Bytes) -> Self {
        Self { hash: crc32c::crc32c(key), key: key.clone() }
    }

    fn shard(&self) -> usize {
        self.hash as usize % SHARDS
    }
}

/// The keys and their values.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    groups: Box<[Option<Arc<Group>>; SHARDS / GROUP]>,
    count: usize,
    expiries: Arc<Expiries>,
}

/// The keys that expire, both ways.
#[derive(Clone, Debug, Default)]
struct Expiries {
    by_key: BTreeMap<Bytes, Timestamp>,
    by_time: BTreeSet<(Timestamp, Bytes)>,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            groups: Box::new([const { None }; SHARDS / GROUP]),
            count: 0,
            expiries: Arc::default(),
        }
    }
}

/// A place in the iteration over all keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    shard: usize,
    last: Option<Name>,
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// How many keys expire.
    pub(crate) fn expiring(&self) -> usize {
        self.expiries.by_key.len()
    }

    pub(crate) fn get(&self, key: &Bytes) -> Option<&Value> {
        let name = Name::of(key);
        self.shard(name.shard())?.get(&name)
    }

    fn shard(&self, number: usize) -> Option<&Shard> {
        self.groups[number / GROUP].as_ref()?[number % GROUP].as_deref()
    }

    fn shard_mut(&mut self, number: usize) -> &mut Shard {
        let group = &mut self.groups[number / GROUP];
        let group = group.get_or_insert_with(|| Arc::new([const { None }; GROUP]));
        Arc::make_mut(Arc::make_mut(group)[number % GROUP].get_or_insert_default())
    }

    /// Sets a value and forgets when the key was to expire.
    pub(crate) fn insert(&mut self, key: &Bytes, value: Value) {
        self.replace(key, value);
        self.set_expiry(key, None);
    }

    /// Sets a value; if the key is to expire, it still is.
    pub(crate) fn replace(&mut self, key: &Bytes, value: Value) {
        let name = Name::of(key);
        let added = self.shard_mut(name.shard()).insert(name, value).is_none();
        self.count += usize::from(added);
    }

    /// A list or set, to be changed; none if the key holds something else, or nothing.
    pub(super) fn collection_mut(&mut self, key: &Bytes) -> Option<&mut Collection> {
        // Nothing is copied for a key that is not there.
        let Value::Collection(_) = self.get(key)? else { return None };
        let name = Name::of(key);
        match self.shard_mut(name.shard()).get_mut(&name)? {
            Value::Collection(collection) => Some(Arc::make_mut(collection)),
            Value::String(_) => None,
        }
    }

    /// Removes a key, and says whether there was one.
    pub(crate) fn remove(&mut self, key: &Bytes) -> bool {
        // Nothing is copied for a key that is not there.
        if self.get(key).is_none() {
            return false;
        }
        let name = Name::of(key);
        self.shard_mut(name.shard()).remove(&name);
        self.count -= 1;
        self.set_expiry(key, None);
        true
    }

    /// Says when a key that exists expires.
    pub(crate) fn set_expiry(&mut self, key: &Bytes, at: Option<Timestamp>) {
        if at.is_none() && self.expiries.by_key.is_empty() {
            return;
        }
        let expiries = Arc::make_mut(&mut self.expiries);
        let before = match at {
            Some(at) => expiries.by_key.insert(key.clone(), at),
            None => expiries.by_key.remove(key),
        };
        if let Some(before) = before {
            expiries.by_time.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            expiries.by_time.insert((at, key.clone()));
        }
    }

    pub(crate) fn expiry(&self, key: &[u8]) -> Option<Timestamp> {
        self.expiries.by_key.get(key).copied()
    }

    /// When the next key expires.
    pub(crate) fn next_expiry(&self) -> Option<Timestamp> {
        self.expiries.by_time.first().map(|(at, _)| *at)
    }

    /// Removes the keys that expire at this time or before.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.expiries.by_time.first()
            && *at <= now
        {
            let key = key.clone();
            self.remove(&key);
        }
    }

    /// Adds all keys of `others`, over those of the same name.
    pub(crate) fn merge(&mut self, others: &Self) {
        let shards = others.groups.iter().flatten().flat_map(|group| group.iter().flatten());
        for (Name { key, .. }, value) in shards.flat_map(|shard| shard.iter()) {
            self.insert(key, value.clone());
            self.set_expiry(key, others.expiry(key));
        }
    }

    /// The next key in the order of the iteration, and its value.
    pub(crate) fn next_after(&self, place: &mut Place) -> Option<(&Bytes, &Value)> {
        loop {
            let Some(group) = self.groups.get(place.shard / GROUP)? else {
                *place = Place { shard: (place.shard / GROUP + 1) * GROUP, last: None };
                continue;
            };
            if let Some(shard) = &group[place.shard % GROUP] {
                let lower = place.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                let next = shard.range::<Name, _>((lower, Bound::Unbounded)).next();
                if let Some((name, value)) = next {
                    place.last = Some(name.clone());
                    return Some((&name.key, value));
                }
            }
            *place = Place { shard: place.shard + 1, last: None };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::{End, List};
    use super::*;

    fn key(number: u32) -> Bytes {
        Bytes::from(number.to_string())
    }

    fn string(number: u32) -> Value {
        key(number).into()
    }

    fn contents(values: &Values) -> BTreeMap<Bytes, Value> {
        let mut place = Place::default();
        std::iter::from_fn(|| {
            values.next_after(&mut place).map(|(key, value)| (key.clone(), value.clone()))
        })
        .collect()
    }

    #[test]
    fn clone_keeps_what_the_original_loses_and_changes() {
        let mut values = Values::default();
        (0..10_000).for_each(|number| values.insert(&key(number), string(number)));
        let clone = values.clone();
        (0..5_000).for_each(|number| assert!(values.remove(&key(number))));
        (5_000..10_000).for_each(|number| values.insert(&key(number), Bytes::new().into()));
        assert_eq!((clone.len(), values.len()), (10_000, 5_000));
        let seen = contents(&clone);
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|(key, value)| *value == key.clone().into()));
        assert!(contents(&values).values().all(|value| *value == Bytes::new().into()));
    }

    #[test]
    fn key_set_anew_does_not_expire() {
        let mut values = Values::default();
        values.insert(&key(1), string(1));
        values.insert(&key(2), string(2));
        values.set_expiry(&key(1), Some(Timestamp(10)));
        values.set_expiry(&key(2), Some(Timestamp(11)));
        values.set_expiry(&key(2), Some(Timestamp(10)));
        assert_eq!(values.next_expiry(), Some(Timestamp(10)));
        values.insert(&key(1), string(3));
        values.expire(Timestamp(9));
        assert_eq!(values.len(), 2);
        values.expire(Timestamp(10));
        assert_eq!(contents(&values), BTreeMap::from([(key(1), string(3))]));
        assert_eq!(values.next_expiry(), None);
    }

    #[test]
    fn list_that_changes_leaves_its_clone_as_it_was() {
        let mut values = Values::default();
        let mut list = List::default();
        list.push(End::Back, key(1));
        values.insert(&key(7), list.clone().into());
        let clone = values.clone();
        match values.collection_mut(&key(7)) {
            Some(Collection::List(list)) => list.push(End::Back, key(2)),
            other => panic!("{other:?}"),
        }
        assert_eq!(clone.get(&key(7)), Some(&list.into()));
        assert_ne!(values.get(&key(7)), clone.get(&key(7)));
        values.insert(&key(8), string(8));
        assert_eq!(values.collection_mut(&key(8)), None, "a string has no elements");
        assert_eq!(values.collection_mut(&key(9)), None);
    }
}
