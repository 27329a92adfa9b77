//! What readers see (rule 9), told anew: the strategies that need no bodies.

use super::{dots::Dot, record::Record, version::Version};

/// What a reader sees of a key under each strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    last_write_wins: Option<Dot>,
    first_write_wins: Option<Dot>,
    delete_wins: Option<Dot>,
    update_wins: Option<Dot>,
    keep_all: Vec<Dot>,
}

impl Reads {
    pub fn of(record: &Record) -> Self {
        let siblings = || record.siblings.iter().map(AsRef::as_ref);
        let puts = || siblings().filter(|version| !version.is_delete);
        let order = |version: &&Version| (version.hlc, version.dot);
        let greatest = siblings().max_by_key(order).filter(|version| !version.is_delete);
        let any_delete = siblings().any(|version| version.is_delete);
        let mut keep_all: Vec<Dot> = siblings().map(|version| version.dot).collect();
        keep_all.sort();
        if !record.has_put() {
            keep_all.clear();
        }
        let dot = |version: Option<&Version>| version.map(|version| version.dot);
        Self {
            last_write_wins: dot(greatest),
            first_write_wins: dot(puts().min_by_key(order)),
            delete_wins: dot(greatest.filter(|_| !any_delete)),
            update_wins: dot(puts().max_by_key(order)),
            keep_all,
        }
    }
}
