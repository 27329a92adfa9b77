//! Smaller histories that fail alike: events are removed as long as what is left still fails.

use super::{history::History, mistake::Mistake};

pub fn shrink(mut history: History, mistake: Option<Mistake>) -> (History, String) {
    let mut problem = history.play(mistake).expect_err("it failed when it was drawn");
    let mut size = history.events.len();
    while size > 0 {
        let mut at = 0;
        let mut shrunk = false;
        while at < history.events.len() {
            let mut smaller = history.clone();
            smaller.events.drain(at..(at + size).min(history.events.len()));
            match smaller.play(mistake) {
                Err(other) => (history, problem, shrunk) = (smaller, other, true),
                Ok(()) => at += size,
            }
        }
        if !shrunk || size > 1 {
            size /= 2;
        }
    }
    (history, problem)
}
