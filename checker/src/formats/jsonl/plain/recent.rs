//! Lists and texts that were read lately, so that equal ones are held once.
//!
//! The answer of a transaction repeats what was asked, its reads show lists that others read as
//! well, and the names of micro-operations are always the same few. Two tables in which each value
//! has one place, from which the next one with that place takes it, find most of these.

use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;

use crate::value::Value;

/// Places for lists; a power of two.
const LISTS: usize = 1 << 12;

/// Places for texts; a power of two.
const TEXTS: usize = 1 << 8;

/// The most items of a list that is kept.
const LONGEST: usize = 64;

/// Lists and texts that were read lately.
#[derive(Debug)]
pub(in crate::formats) struct Recent {
    lists: Vec<Option<Arc<[Value]>>>,
    texts: Vec<Option<Arc<str>>>,
    /// The items of the lists that are being read, those of inner ones last.
    items: Vec<Value>,
    /// The last list that was read whole.
    whole: Value,
}

impl Default for Recent {
    fn default() -> Self {
        let (items, whole) = (Vec::new(), Value::Null);
        Self { lists: vec![None; LISTS], texts: vec![None; TEXTS], items, whole }
    }
}

impl Recent {
    /// Forgets what a line has left that was given up.
    pub(super) fn begin(&mut self) {
        self.items.clear();
    }

    /// How many items there are of lists that are being read.
    pub(super) const fn items(&self) -> usize {
        self.items.len()
    }

    /// One more item of the list that is being read.
    pub(super) fn push(&mut self, item: Value) {
        self.items.push(item);
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) -> Value {
        let known = &mut self.texts[place(text.as_bytes(), TEXTS)];
        match known {
            Some(known) if **known == *text => Value::Text(known.clone()),
            _ => Value::Text(known.insert(text.into()).clone()),
        }
    }

    /// The list of the items from number `first` on, which no longer stand there. One without other
    /// lists in it is known by its spelling.
    pub(super) fn list(&mut self, first: usize, spelling: Option<&[u8]>) -> Value {
        let is_short = self.items.len() - first <= LONGEST;
        let Some(spelling) = spelling.filter(|_| is_short) else {
            return Value::List(self.items.drain(first..).collect());
        };
        let known = &mut self.lists[place(spelling, LISTS)];
        if let Some(known) = known.as_ref().filter(|known| known[..] == self.items[first..]) {
            self.items.truncate(first);
            return Value::List(known.clone());
        }
        Value::List(known.insert(self.items.drain(first..).collect()).clone())
    }

    /// Keeps a list for as long as the record is looked at that it belongs to.
    pub(super) fn keep(&mut self, list: Value) -> &Value {
        self.whole = list;
        &self.whole
    }
}

fn place(spelling: &[u8], places: usize) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(spelling);
    hasher.finish() as usize & (places - 1)
}
