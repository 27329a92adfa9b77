//! How and when the latest versions came here, for whoever asks about a key.
//!
//! In memory only: it is for people who ask why a key is as it is, and no write is to pay for it with more
//! than a place in a list.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::{causality::Dot, report::Arrival, types::Namespace};

/// So many are remembered, the latest: some 130 bytes each.
pub const ARRIVALS_MAX: usize = 8_192;

/// The latest arrivals of a node.
#[derive(Debug, Default)]
pub struct Arrivals(Mutex<VecDeque<(Namespace, Dot, Arrival)>>);

impl Arrivals {
    /// Takes note of what was committed.
    pub fn note(&self, came: impl IntoIterator<Item = (Namespace, Dot, Arrival)>) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in came {
            if list.len() == ARRIVALS_MAX {
                list.pop_front();
            }
            list.push_back(one);
        }
    }

    /// How the version `dot` of `namespace` came here, if that is remembered; the latest time, if it came again.
    pub fn of(&self, namespace: &Namespace, dot: Dot) -> Option<Arrival> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = list.iter().rev().find(|(home, one, _)| *one == dot && home == namespace);
        found.map(|(_, _, arrival)| *arrival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{NodeId, Origin},
        report::Came,
    };

    #[test]
    fn the_latest_are_remembered_by_namespace_and_dot() {
        let origin = Origin { node: NodeId([1; 32]), epoch: 1 };
        let birds = Namespace::new("birds").expect("lawful");
        let arrivals = Arrivals::default();
        let came = |at| Arrival { at, by: Came::Written, from: None };
        let all = 1..=ARRIVALS_MAX as u64 + 1;
        arrivals.note(all.map(|seq| (Namespace::default(), Dot::new(origin, seq), came(seq))));
        let of = |seq| arrivals.of(&Namespace::default(), Dot::new(origin, seq)).map(|arrival| arrival.at);
        assert_eq!(
            (of(1), of(2), of(ARRIVALS_MAX as u64 + 1)),
            (None, Some(2), Some(ARRIVALS_MAX as u64 + 1))
        );
        assert_eq!(arrivals.of(&birds, Dot::new(origin, 2)), None);
        arrivals.note([(Namespace::default(), Dot::new(origin, 9), came(77))]);
        assert_eq!(of(9), Some(77));
    }
}
