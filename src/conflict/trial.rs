//! A resolver is tried before it is trusted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use thiserror::Error;

use super::{Body, Failure, Payload, Put, Resolution, Resolver, Version};
use crate::{
    causality::{Context, Dot, Hlc, NodeId, Origin},
    types::{ContentType, Key},
};

/// So many sets of siblings a resolver is tried on …
const SETS: usize = 200;
/// … each in so many orders beside the first.
const ORDERS: usize = 4;
/// The most siblings in such a set.
const SIBLINGS_MAX: u64 = 6;

/// A resolver cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Untrustworthy {
    /// Its answer depends on more than the set of siblings.
    #[error(
        "its answer for {siblings} siblings changed with their order (or with chance or time): replicas would show different \
         values; sort by `Version::rank` or fold with something commutative"
    )]
    Order {
        /// How many siblings there were.
        siblings: usize,
    },
    /// It panicked.
    #[error(
        "it panicked on {siblings} siblings: it must answer for every set, deletes and values of any type included"
    )]
    Panicked {
        /// How many siblings there were.
        siblings: usize,
    },
    /// It did not answer.
    #[error("it did not answer for {siblings} siblings: it must be quick, and wait for nothing")]
    Silent {
        /// How many siblings there were.
        siblings: usize,
    },
}

/// Tries `resolver` on sets of siblings made from `seed`, each in several orders.
///
/// # Errors
/// When its answer depends on the order, or it panics.
pub fn trial(resolver: &dyn Resolver, seed: u64) -> Result<(), Untrustworthy> {
    let ask = |siblings: &[Version]| {
        catch_unwind(AssertUnwindSafe(|| resolver.resolve(siblings))).map_err(|_| Failure::Panicked)
    };
    trial_by(ask, seed)
}

/// The same of a resolver that is asked by `ask`.
///
/// # Errors
/// When its answer depends on the order, or it fails.
pub fn trial_by(
    mut ask: impl FnMut(&[Version]) -> Result<Resolution, Failure>,
    seed: u64,
) -> Result<(), Untrustworthy> {
    let mut ask = |siblings: &[Version]| {
        ask(siblings).map_err(|why| match why {
            Failure::Silent | Failure::Resting => Untrustworthy::Silent { siblings: siblings.len() },
            Failure::Panicked | Failure::NoSuchVersion => {
                Untrustworthy::Panicked { siblings: siblings.len() }
            }
        })
    };
    let mut dice = Dice(seed);
    for _ in 0..SETS {
        let mut siblings = siblings(&mut dice);
        let first = ask(&siblings)?;
        for _ in 0..ORDERS {
            shuffle(&mut siblings, &mut dice);
            if ask(&siblings)? != first {
                return Err(Untrustworthy::Order { siblings: siblings.len() });
            }
        }
    }
    Ok(())
}

/// Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

fn shuffle(siblings: &mut [Version], dice: &mut Dice) {
    for last in (1..siblings.len()).rev() {
        let bound = u64::try_from(last + 1).expect("a handful");
        siblings.swap(last, usize::try_from(dice.below(bound)).expect("a handful"));
    }
}

fn siblings(dice: &mut Dice) -> Vec<Version> {
    let count = 2 + dice.below(SIBLINGS_MAX - 1);
    // Few values and few stamps, so that some are equal.
    (0..count)
        .map(|n| {
            let node = NodeId([u8::try_from(n).expect("a handful"); 32]);
            let dot = Dot::new(Origin { node, epoch: dice.below(3) }, 1 + dice.below(3));
            let hlc = Hlc::from_millis(1_700_000_000_000 + dice.below(3));
            let key = Key::new("trial").expect("a key");
            Version { dot, hlc, base: None, context: Context::new(), key, body: body(dice) }
        })
        .collect()
}

fn body(dice: &mut Dice) -> Body {
    let number = dice.below(4);
    let (content_type, text) = match dice.below(8) {
        0 => return Body::Delete,
        1 => (ContentType::text(), "ant ".repeat(usize::try_from(number).expect("a handful"))),
        2 => (ContentType::json(), format!("{number}")),
        3 => (ContentType::json(), format!("[{number},\"a\"]")),
        4 => (ContentType::octets(), "\u{0}".to_owned()),
        _ => (ContentType::json(), format!("{{\"a\":{number},\"b\":{}}}", dice.below(3))),
    };
    Body::Put(Put { content_type, payload: Payload::Inline(Bytes::from(text)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Of<F>(F);

    impl<F: Fn(&[Version]) -> Resolution + Send + Sync + 'static> Resolver for Of<F> {
        fn resolve(&self, siblings: &[Version]) -> Resolution {
            (self.0)(siblings)
        }
    }

    #[test]
    fn a_resolver_that_goes_by_order_or_panics_is_found_whatever_the_seed() {
        for seed in 0..50 {
            let first = Of(|siblings: &[Version]| Resolution::Version(siblings[0].dot));
            assert!(matches!(trial(&first, seed), Err(Untrustworthy::Order { .. })));
            // Equal stamps are left to the order.
            let stamp = Of(|siblings: &[Version]| {
                let latest = siblings.iter().max_by_key(|version| version.hlc);
                latest.map_or(Resolution::Nothing, |version| Resolution::Version(version.dot))
            });
            assert!(matches!(trial(&stamp, seed), Err(Untrustworthy::Order { .. })));
            let panics = Of(|siblings: &[Version]| {
                assert!(!siblings.iter().any(Version::is_delete), "no deletes, please");
                Resolution::Nothing
            });
            assert!(matches!(trial(&panics, seed), Err(Untrustworthy::Panicked { .. })));
            let good = Of(|siblings: &[Version]| {
                let greatest = siblings.iter().max_by_key(|version| version.rank());
                greatest.map_or(Resolution::Nothing, |version| Resolution::Version(version.dot))
            });
            assert_eq!(trial(&good, seed), Ok(()));
        }
    }
}
