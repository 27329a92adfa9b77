//! The same comparison by negentropy, over as many ids of 32 bytes with a time each. It finds out who
//! holds what, no more: only its own messages are counted, not what it takes to then fetch versions.

use std::time::{Duration, Instant};

use negentropy::{Id, Negentropy, NegentropyStorageVector};

use super::shared::mixed;

/// What a comparison cost.
pub struct Cost {
    pub bytes: usize,
    pub round_trips: usize,
    pub took: Duration,
}

fn id(n: usize) -> Id {
    let words: Vec<u8> = (0..4).flat_map(|word| mixed((n * 4 + word) as u64).to_le_bytes()).collect();
    Id::from_byte_array(words.try_into().unwrap())
}

fn without(count: usize, lost: &[usize]) -> NegentropyStorageVector {
    let mut lost: Vec<usize> = lost.to_vec();
    lost.sort_unstable();
    let mut storage = NegentropyStorageVector::with_capacity(count);
    for n in (0..count).filter(|n| lost.binary_search(n).is_err()) {
        storage.insert(n as u64, id(n)).unwrap();
    }
    storage.seal().unwrap();
    storage
}

/// Two sets of `count` ids, of which each lacks some. `frame` is its limit of bytes, 0 for none.
pub fn run(count: usize, lost: [&[usize]; 2], frame: u64) -> Cost {
    let (a, b) = (without(count, lost[0]), without(count, lost[1]));
    let started = Instant::now();
    let mut caller = Negentropy::borrowed(&a, frame).unwrap();
    let mut called = Negentropy::borrowed(&b, frame).unwrap();
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let mut message = Some(caller.initiate().unwrap());
    let (mut bytes, mut round_trips) = (0, 0);
    while let Some(question) = message {
        let answer = called.reconcile(&question).unwrap();
        bytes += question.len() + answer.len();
        round_trips += 1;
        message = caller.reconcile_with_ids(&answer, &mut have, &mut need).unwrap();
    }
    assert_eq!((have.len(), need.len()), (lost[1].len(), lost[0].len()), "it found all of them");
    Cost { bytes, round_trips, took: started.elapsed() }
}
