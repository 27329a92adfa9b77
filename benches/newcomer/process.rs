//! One node, in a process of its own, told what to do a line at a time.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use super::node;

pub struct Process {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub address: String,
}

/// How a newcomer came to hold what there is.
pub struct Filled {
    pub seconds: f64,
    pub peak_mb: f64,
    pub bytes: f64,
    /// How long the newcomer computed, in seconds.
    pub busy: f64,
}

impl Filled {
    pub fn rate(&self, keys: usize) -> f64 {
        keys as f64 / self.seconds
    }
}

impl Process {
    /// Starts a node, has it dial `peers`, and write so many keys.
    pub fn start(path: &Path, peers: &[String], keys: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(node::DIRECTORY, path)
            .env(node::PEERS, peers.join(","))
            .env(node::WRITES, keys.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, orders, answers, address: String::new() };
        process.address = process.answer();
        process
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn numbers(&mut self) -> Vec<f64> {
        self.answer().split(' ').map(|word| word.parse().unwrap()).collect()
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Waits until it holds so many keys.
    pub fn fill(&mut self, keys: usize) -> Filled {
        self.order(&format!("fill {keys}"));
        let [seconds, peak_mb, bytes, busy] = self.numbers()[..] else { panic!("four numbers") };
        Filled { seconds, peak_mb, bytes, busy }
    }

    /// Live writes per second, and the p99 of their latency in milliseconds.
    pub fn write_for(&mut self, time: Duration) -> (f64, f64) {
        self.begin_to_write();
        std::thread::sleep(time);
        self.stop_to_write()
    }

    pub fn begin_to_write(&mut self) {
        self.order("write");
    }

    pub fn stop_to_write(&mut self) -> (f64, f64) {
        self.order("enough");
        let [rate, p99] = self.numbers()[..] else { panic!("two numbers") };
        (rate, p99)
    }

    pub fn stop(mut self) {
        self.order("stop");
        self.child.wait().unwrap();
    }
}
