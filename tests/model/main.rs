//! A model of the protocol.

mod dice;
mod dots;
mod event;
mod history;
mod mistake;
mod named;
mod oracle;
mod reads;
mod record;
mod replica;
mod session;
mod shrink;
mod version;
mod world;

use mistake::Mistake;

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn all_end_well(count: u64, damage: bool) {
    let first = env("TIDINGS_MODEL_SEED", 0);
    for seed in first..first + count {
        if let Err((history, problem)) = history::play_random(seed, damage, None) {
            let (smaller, problem_smaller) = shrink::shrink(history, None);
            panic!(
                "seed {seed}: {problem}\nshrunk: {problem_smaller}\n{} nodes, {:?}",
                smaller.nodes, smaller.events
            );
        }
    }
}

#[test]
fn random_histories_end_well() {
    all_end_well(env("TIDINGS_MODEL_HISTORIES", 2_000), false);
}

#[test]
fn random_histories_with_damage_end_well() {
    all_end_well(env("TIDINGS_MODEL_HISTORIES", 2_000), true);
}

#[test]
#[ignore = "a survey"]
fn survey() {
    let count = env("TIDINGS_MODEL_HISTORIES", 2_000);
    for mistake in Mistake::ALL {
        for damage in [false, true] {
            let caught =
                (0..count).filter(|seed| history::play_random(*seed, damage, Some(mistake)).is_err()).count();
            println!("{mistake:?} damage={damage} caught {caught} of {count}");
        }
    }
}

#[test]
#[ignore = "a hunt"]
fn hunt() {
    let count = env("TIDINGS_MODEL_HISTORIES", 2_000);
    let first = env("TIDINGS_MODEL_SEED", 0);
    let name = std::env::var("MISTAKE").unwrap();
    let damage = std::env::var("DAMAGE").is_ok();
    for mistake in Mistake::ALL {
        if format!("{mistake:?}") != name {
            continue;
        }
        let mut best: Option<history::History> = None;
        for seed in first..first + count {
            if let Err((history, _)) = history::play_random(seed, damage, Some(mistake)) {
                if mistake == Mistake::DroppedAtOnceWithContext
                    && history.play(Some(Mistake::DroppedAtOnce)).is_err()
                {
                    continue;
                }
                let (h, problem) = shrink::shrink(history, Some(mistake));
                if mistake == Mistake::DroppedAtOnceWithContext
                    && h.play(Some(Mistake::DroppedAtOnce)).is_err()
                {
                    println!("{seed} SHRUNK AWAY");
                    continue;
                }
                if best.as_ref().is_none_or(|b| b.events.len() > h.events.len()) {
                    println!("{seed} {problem}: {} {:?}", h.nodes, h.events);
                    best = Some(h);
                }
            }
        }
    }
}
