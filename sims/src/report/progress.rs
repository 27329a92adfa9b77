//! How far an exploration is: a bar where a person looks at a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use crate::os;

/// A bar is drawn again no sooner than this.
const REDRAW: Duration = Duration::from_millis(100);
/// A line is written no sooner than this.
const LINE: Duration = Duration::from_secs(5);
/// How wide a bar is, in characters.
const WIDTH: usize = 24;
/// To the beginning of the line, and nothing behind it.
const CLEAR: &str = "\r\x1b[2K";

/// Tells of progress on standard error. What cannot be written is not told.
#[derive(Debug)]
pub struct Progress {
    all: u64,
    bar: bool,
    started: Duration,
    told: Option<Duration>,
}

impl Progress {
    /// Of so many simulations, none of which is done.
    #[must_use]
    pub fn new(all: u64) -> Self {
        Self { all, bar: std::io::stderr().is_terminal(), started: os::real(), told: None }
    }

    /// So many are done, so many of them failed.
    pub fn step(&mut self, done: u64, failed: u64) {
        let elapsed = os::real().saturating_sub(self.started);
        let pause = if self.bar { REDRAW } else { LINE };
        let since = elapsed.saturating_sub(self.told.unwrap_or_default());
        // A bar is there at once; a line only when this takes a while.
        if since < pause && !(self.bar && self.told.is_none()) {
            return;
        }
        self.told = Some(elapsed);
        let text = if self.bar {
            format!("{CLEAR}{}", bar(done, self.all, failed, elapsed))
        } else {
            format!("{}\n", line(done, self.all, failed, elapsed))
        };
        write(&text);
    }

    /// Takes the bar away, so that something else can be written. The next step brings it back.
    pub fn clear(&mut self) {
        if self.bar && self.told.take().is_some() {
            write(CLEAR);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _nobody_looks = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn line(done: u64, all: u64, failed: u64, elapsed: Duration) -> String {
    let mut text = format!("{done} of {all}, {failed} failed");
    if done > 0 {
        text += &format!(", {}", pace(done, elapsed));
    }
    if done > 0 && done < all {
        // Left to the second: it is a guess.
        let left = elapsed.as_millis() * u128::from(all - done) / u128::from(done);
        let seconds = u64::try_from(left.div_ceil(1_000)).unwrap_or(u64::MAX);
        text += &format!(", {} left", humantime::format_duration(Duration::from_secs(seconds)));
    }
    text
}

fn pace(done: u64, elapsed: Duration) -> String {
    let minutes = u128::from(done) * 60_000 / elapsed.as_millis().max(1);
    if minutes >= 60 { format!("{} a second", minutes / 60) } else { format!("{minutes} a minute") }
}

fn bar(done: u64, all: u64, failed: u64, elapsed: Duration) -> String {
    let eighths = usize::try_from(done.min(all) * 8 * WIDTH as u64 / all.max(1)).unwrap_or(0);
    let (full, part) = (eighths / 8, [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8]);
    let mut cells = "█".repeat(full);
    if full < WIDTH {
        cells.push(part);
        cells += &" ".repeat(WIDTH - full - 1);
    }
    format!("▕{cells}▏ {}", line(done, all, failed, elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_line_says_how_many_failed_and_how_long_it_still_takes() {
        assert_eq!(line(0, 100, 0, SECOND), "0 of 100, 0 failed");
        assert_eq!(line(20, 100, 1, 4 * SECOND), "20 of 100, 1 failed, 5 a second, 16s left");
        assert_eq!(line(1, 181, 0, 4 * SECOND), "1 of 181, 0 failed, 15 a minute, 12m left");
        assert_eq!(line(100, 100, 0, 50 * SECOND), "100 of 100, 0 failed, 2 a second");
    }

    #[test]
    fn a_bar_is_as_wide_at_every_time() {
        for done in 0..=100 {
            let bar = bar(done, 100, 0, SECOND);
            assert_eq!(bar.chars().position(|cell| cell.is_ascii_digit()), Some(WIDTH + 3), "{bar}");
        }
        assert!(bar(100, 100, 0, SECOND).contains(&"█".repeat(WIDTH)));
    }
}
