//! What benches share: the table they print, dice, and rates. One that does not use all of it says so
//! where it names this module: `#[expect(dead_code, reason = "…")]`.

use std::{fmt::Write, time::Duration};

/// One line of the table.
struct Row {
    cells: [String; 6],
}

/// Collects rows, and prints them in the end.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

/// What a figure is to be.
#[derive(Clone, Copy)]
pub enum Target {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// Whatever it is.
    None,
}

impl Target {
    fn shown(self, value: f64) -> [String; 2] {
        let yes_no = |reached| if reached { "yes" } else { "NO" }.to_owned();
        match self {
            Self::AtLeast(least) => [format!("≥ {least}"), yes_no(value >= least)],
            Self::AtMost(most) => [format!("≤ {most}"), yes_no(value <= most)],
            Self::None => [String::new(), String::new()],
        }
    }
}

impl Table {
    /// A figure beside another: what counts is the ratio.
    pub fn ratio(&mut self, what: &str, (ours, theirs): (f64, f64), unit: &str, target: Target) {
        let ratio = ours / theirs;
        let [target, reached] = target.shown(ratio);
        let cells =
            [what.to_owned(), shown(ours, unit), shown(theirs, unit), format!("{ratio:.3}"), target, reached];
        self.add(cells);
    }

    /// A figure on its own.
    pub fn figure(&mut self, what: &str, ours: f64, unit: &str, target: Target) {
        let [target, reached] = target.shown(ours);
        self.add([what.to_owned(), shown(ours, unit), String::new(), String::new(), target, reached]);
    }

    fn add(&mut self, cells: [String; 6]) {
        eprintln!("{}", cells.join(" | "));
        self.rows.push(Row { cells });
    }

    /// Prints the table.
    pub fn print(&self, title: &str) {
        let head = ["", "tidings", "beside", "ratio", "target", "reached"].map(str::to_owned);
        let rule = ["---"; 6].map(str::to_owned);
        let mut out = format!("\n{title}\n\n");
        for cells in [&head, &rule].into_iter().chain(self.rows.iter().map(|row| &row.cells)) {
            writeln!(out, "| {} |", cells.join(" | ")).expect("a string takes all");
        }
        println!("{out}");
    }
}

fn shown(value: f64, unit: &str) -> String {
    match value {
        v if v >= 10_000.0 => format!("{:.0} k{unit}", v / 1_000.0),
        v if v >= 100.0 => format!("{v:.0} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

/// How many per second.
pub fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

/// The value at `share` (0 to 1) of the sorted `values`.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

/// A number of the environment, to make a run shorter.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Mixes the bits of `n`: a permutation, so that fresh numbers stay fresh (splitmix64).
pub fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// How long this process has been computing, in hundredths of a second.
pub fn busy_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}
