//! A bar on stderr while a node is filled, for a person who looks at a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use tokio::time::{self, Instant};

use super::table::span;
use crate::node::Filling;

/// The bar is drawn again so often.
const REDRAW: Duration = Duration::from_millis(200);
/// How wide it is, in characters.
const WIDTH: u64 = 24;
/// To the beginning of the line, and nothing behind it.
const CLEAR: &str = "\r\x1b[2K";

/// Shows how far fills are, as long as there are any; nothing where nobody looks.
pub(super) struct Bar {
    terminal: bool,
    next: Option<Instant>,
}

impl Bar {
    /// There is none yet.
    pub(super) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), next: None }
    }

    /// A fill has begun.
    pub(super) fn begin(&mut self) {
        if self.terminal {
            self.next = Some(Instant::now());
        }
    }

    /// Waits until it should be drawn again; for ever, if there is none. Cancel-safe.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => time::sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    /// Draws it; the one line is for the fill that is said first. Where there is none it ends.
    pub(super) fn draw(&mut self, filling: &[Filling]) {
        self.clear();
        self.next = filling.first().map(|_| Instant::now() + REDRAW);
        if let Some(first) = filling.first() {
            write(&text(first));
        }
    }

    /// Takes it away, so that something else can be written; it comes back when it is due.
    pub(super) fn clear(&self) {
        if self.next.is_some() {
            write(CLEAR);
        }
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _nobody_looks = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn text(filling: &Filling) -> String {
    let Filling { passed, expected, per_second, seconds_left, .. } = filling;
    let full = passed.min(expected) * WIDTH / (*expected).max(1);
    let bar: String = (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect();
    let left = seconds_left.map(|left| format!(", {} left", span(left))).unwrap_or_default();
    format!("[{bar}] {passed} of {expected} writes, {per_second} a second{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filling(passed: u64, seconds_left: Option<u64>) -> Filling {
        let expected = 1_000_000;
        Filling {
            namespace: Default::default(),
            from: "12D3".into(),
            also_from: None,
            versions: passed,
            expected,
            passed,
            per_second: 50_000,
            seconds_left,
        }
    }

    #[test]
    fn a_bar_says_how_much_came_how_fast_and_how_long_it_takes() {
        assert_eq!(
            text(&filling(250_000, Some(15))),
            "[######..................] 250000 of 1000000 writes, 50000 a second, 15s left"
        );
        assert!(text(&filling(0, None)).ends_with("0 of 1000000 writes, 50000 a second"));
        for passed in [0, 1, 999_999, 1_000_000, 1_000_001] {
            assert_eq!(text(&filling(passed, None)).find(']'), Some(25), "as wide at every time");
        }
    }
}
