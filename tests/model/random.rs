//! Random histories, and mistakes planted in them.

use super::{
    counter_examples::counter_example,
    history::{History, play_random, play_variation},
    mistake::Mistake,
    shrink::shrink,
};

/// How many histories of a kind are played: `TIDINGS_MODEL_HISTORIES`, from the seed
/// `TIDINGS_MODEL_SEED` on.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name, default| {
        std::env::var(name).map_or(default, |value| value.parse().expect("a number of histories, or a seed"))
    };
    let first = number("TIDINGS_MODEL_SEED", 0);
    first..first + number("TIDINGS_MODEL_HISTORIES", default)
}

fn ends_well(seed: u64, outcome: Result<(), (History, String)>) {
    if let Err((history, problem)) = outcome {
        let (History { nodes, events }, smaller) = shrink(history, None);
        panic!(
            "seed {seed}: {problem}\nsmaller: {smaller}\nHistory {{ nodes: {nodes}, events: vec!{events:?} }}"
        );
    }
}

fn all_end_well(count: u64, damage: bool) {
    seeds(count).for_each(|seed| ends_well(seed, play_random(seed, damage, None)));
}

fn variations_end_well(count: u64, damage: bool) {
    for seed in seeds(count) {
        let nth = usize::try_from(seed).expect("few") % Mistake::ALL.len();
        let history = counter_example(Mistake::ALL[nth]);
        ends_well(seed, play_variation(&history, seed, damage, None));
    }
}

#[test]
fn random_histories_end_well() {
    all_end_well(2_000, false);
}

#[test]
fn random_histories_with_damage_end_well() {
    all_end_well(2_000, true);
}

#[test]
fn variations_of_the_counter_examples_end_well() {
    variations_end_well(2_000, false);
}

#[test]
fn variations_of_the_counter_examples_with_damage_end_well() {
    variations_end_well(2_000, true);
}

#[test]
#[ignore = "takes a minute: cargo test --release --test model a_hundred_thousand -- --ignored"]
fn a_hundred_thousand_histories_of_each_kind_end_well() {
    for damage in [false, true] {
        all_end_well(100_000, damage);
        variations_end_well(100_000, damage);
    }
}

/// Each mistake is looked for where it shows: in any history, or near its counter-example.
#[test]
fn each_planted_mistake_is_caught() {
    for mistake in Mistake::ALL {
        let at_random =
            (0..2_000).find(|seed| play_random(*seed, mistake.needs_damage(), Some(mistake)).is_err());
        let near = || {
            let history = counter_example(mistake);
            let caught = |seed: &u64| play_variation(&history, *seed, false, Some(mistake)).is_err();
            (0..2_000).find(caught)
        };
        assert!(at_random.or_else(near).is_some(), "{mistake:?} goes unnoticed");
    }
}
