//! What a key holds: a string, a list or a set.
//!
//! A string lies in the map itself; lists and sets lie behind a reference count, so that a value
//! takes no more of the map than a string's handle does. A snapshot shares them: the first change of
//! a list or set after one was taken copies it, but none of its elements' bytes. What that copy
//! costs, and what a reply or an item of a snapshot can come to, is bounded by
//! [`MAX_COLLECTION_BYTES`](super::MAX_COLLECTION_BYTES).
//!
//! As in Redis there is no empty list and no empty set: the key goes with the last element. Members
//! of a set are in the order of their bytes, so that the same set has the same bytes on every server.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

/// What an element counts besides its own bytes.
const ELEMENT_BYTES: usize = 16;

/// A key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string of bytes.
    String(Bytes),
    /// Anything that has elements.
    Collection(Arc<Collection>),
}

/// A value that has elements, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Collection {
    /// Elements in order, each any number of times.
    List(List),
    /// Elements once each.
    Set(Set),
}

/// Which end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The left end in the words of Redis, where `LRANGE` begins.
    Front,
    /// The right end.
    Back,
}

impl From<Bytes> for Value {
    fn from(string: Bytes) -> Self {
        Self::String(string)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::Collection(Arc::new(Collection::List(list)))
    }
}

impl From<Set> for Value {
    fn from(set: Set) -> Self {
        Self::Collection(Arc::new(Collection::Set(set)))
    }
}

impl Value {
    /// The type's name, as Redis has it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Collection(collection) => match **collection {
                Collection::List(_) => "list",
                Collection::Set(_) => "set",
            },
        }
    }
}

/// The size of an element within a list, a set or a reply.
pub(super) fn element_bytes(element: &Bytes) -> usize {
    element.len() + ELEMENT_BYTES
}

/// The size of several elements.
pub(super) fn total_bytes<'a>(elements: impl IntoIterator<Item = &'a Bytes>) -> usize {
    elements.into_iter().map(element_bytes).sum()
}

/// Elements in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    elements: VecDeque<Bytes>,
    bytes: usize,
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, end: End, element: Bytes) {
        self.bytes += element_bytes(&element);
        match end {
            End::Front => self.elements.push_front(element),
            End::Back => self.elements.push_back(element),
        }
    }

    pub(super) fn pop(&mut self, end: End) -> Option<Bytes> {
        let element = match end {
            End::Front => self.elements.pop_front(),
            End::Back => self.elements.pop_back(),
        }?;
        self.bytes -= element_bytes(&element);
        Some(element)
    }

    /// The elements that [`List::pop`] would give, in that order.
    pub(super) fn next(&self, end: End, count: usize) -> impl Iterator<Item = &Bytes> {
        let place = move |number| match end {
            End::Front => number,
            End::Back => self.elements.len() - 1 - number,
        };
        (0..count.min(self.elements.len())).map(move |number| &self.elements[place(number)])
    }

    /// The elements from one place to another, both included; negative places count from the end,
    /// -1 being the last.
    pub(super) fn range(&self, first: i64, last: i64) -> impl Iterator<Item = &Bytes> {
        let length = i64::try_from(self.elements.len()).unwrap_or(i64::MAX);
        let place = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
        let (first, last) = (place(first).max(0), place(last).min(length - 1));
        let end = usize::try_from(last + 1).unwrap_or(0);
        let begin = usize::try_from(first).unwrap_or(usize::MAX).min(end);
        self.elements.range(begin..end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.elements.iter()
    }
}

/// Elements once each, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    members: BTreeSet<Bytes>,
    bytes: usize,
}

impl Set {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn contains(&self, member: &Bytes) -> bool {
        self.members.contains(member)
    }

    /// Adds a member, and says whether it is new.
    pub(crate) fn insert(&mut self, member: Bytes) -> bool {
        let bytes = element_bytes(&member);
        let new = self.members.insert(member);
        self.bytes += if new { bytes } else { 0 };
        new
    }

    pub(super) fn extend(&mut self, members: Vec<Bytes>) {
        for member in members {
            self.insert(member);
        }
    }

    /// Removes a member, and says whether it was one.
    pub(super) fn remove(&mut self, member: &Bytes) -> bool {
        let removed = self.members.remove(member);
        self.bytes -= if removed { element_bytes(member) } else { 0 };
        removed
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.members.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(elements: &[&'static str]) -> List {
        let mut list = List::default();
        elements.iter().for_each(|element| list.push(End::Back, Bytes::from(*element)));
        list
    }

    #[test]
    fn value_takes_no_more_of_the_map_than_a_string_does() {
        assert_eq!(size_of::<Value>(), size_of::<Bytes>());
    }

    #[test]
    fn range_counts_from_either_end_and_ends_where_the_list_does() {
        let list = list(&["a", "b", "c", "d"]);
        for (first, last, expected) in [
            (0, -1, "abcd"),
            (1, 2, "bc"),
            (-2, -1, "cd"),
            (-100, 1, "ab"),
            (2, 100, "cd"),
            (0, 0, "a"),
            (3, 1, ""),
            (4, 9, ""),
            (0, -5, ""),
            (i64::MIN, i64::MAX, "abcd"),
            (i64::MAX, i64::MIN, ""),
        ] {
            let found: Vec<u8> = list.range(first, last).flatten().copied().collect();
            assert_eq!(found, expected.as_bytes(), "{first} to {last}");
        }
        assert_eq!(List::default().range(0, -1).count(), 0);
    }

    #[test]
    fn size_follows_what_comes_and_goes() {
        let mut list = list(&["a", "bc"]);
        assert_eq!(list.bytes(), 3 + 2 * ELEMENT_BYTES);
        assert_eq!(list.next(End::Back, 9).cloned().collect::<Vec<_>>(), ["bc", "a"]);
        assert_eq!(list.pop(End::Front), Some("a".into()));
        assert_eq!(list.pop(End::Front), Some("bc".into()));
        assert_eq!((list.pop(End::Front), list.bytes()), (None, 0));
        let mut set = Set::default();
        assert!(set.insert("a".into()) && !set.insert("a".into()) && set.insert("bc".into()));
        assert_eq!(set.bytes(), 3 + 2 * ELEMENT_BYTES);
        assert!(set.remove(&"a".into()) && !set.remove(&"a".into()) && set.remove(&"bc".into()));
        assert_eq!((set.len(), set.bytes()), (0, 0));
    }
}
