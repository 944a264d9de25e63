//! What is known of the order of versions, and of which transactions took effect.

use super::data::{Lists, NONE, TransactionStatus, Transactions};

/// The versions of all keys in their order, as far as it is known.
#[derive(Debug)]
pub(crate) struct Order {
    /// Of every version its place among those of its key that were seen, or [`NONE`].
    pub(crate) position: Vec<u32>,
    /// Of every key the versions that were seen, in their order.
    pub(crate) observed: Lists,
    /// Of every key the versions of transactions that took effect which were not seen. They come
    /// after those that were; nothing is known of their order.
    pub(crate) unseen: Lists,
    /// The transactions that took effect: all that committed, and of those of which nobody knows the
    /// ones that were seen. The others may never have happened, and no answer depends on them.
    pub(crate) effective: Vec<bool>,
}

impl Order {
    /// Nothing is known but who took effect.
    pub(crate) fn of_nothing(read: &Transactions<'_>, effective: Vec<bool>) -> Self {
        let keys = read.keys.len();
        let [observed, unseen] = [(); 2].map(|()| Lists::new(keys, std::iter::empty()));
        Self { position: vec![NONE; read.versions.len()], observed, unseen, effective }
    }

    pub(crate) fn new(read: &Transactions<'_>, position: Vec<u32>, observed: Lists) -> Self {
        let committed = |one: &super::data::Transaction| one.fate == TransactionStatus::Committed;
        let mut effective: Vec<bool> = read.all.iter().map(committed).collect();
        for (version, place) in read.versions.iter().zip(&position) {
            if *place != NONE {
                effective[version.transaction as usize] = true;
            }
        }
        let unseen =
            (0..).zip(read.versions.iter().zip(&position)).filter_map(|(id, (one, at))| {
                let counts = *at == NONE && effective[one.transaction as usize];
                counts.then_some((one.key, id))
            });
        let unseen = Lists::new(read.keys.len(), unseen);
        Self { position, observed, unseen, effective }
    }
}
