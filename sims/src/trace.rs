//! A hash over everything that happened: two runs with the same hash were the same run.

use std::{fmt::Write, time::Duration};

use crate::history::{Seen, What};

/// Takes in events in order; keeps their hash, and their text if told to.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    events: u64,
    log: Option<String>,
    line: String,
}

impl Trace {
    /// A trace that keeps a line of text for each event.
    #[must_use]
    pub fn with_log() -> Self {
        Self { log: Some(String::new()), ..Self::default() }
    }

    /// Takes in an event.
    pub fn add(&mut self, at: Duration, what: &What) {
        self.line.clear();
        let written = describe(&mut self.line, what);
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        self.hasher.update(&at.as_nanos().to_le_bytes()).update(self.line.as_bytes()).update(b"\n");
        self.events += 1;
        if let Some(log) = &mut self.log {
            let seconds = at.as_secs_f64();
            let added = writeln!(log, "{seconds:>12.6} {}", self.line);
            debug_assert!(added.is_ok(), "writing to a string cannot fail");
        }
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash, 64 hex digits.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }

    /// The lines, if they were to be kept.
    #[must_use]
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }
}

fn describe(out: &mut String, what: &What) -> std::fmt::Result {
    match what {
        What::Applied { node, local, version } => {
            write!(out, "n{node} {} ", if *local { "writes" } else { "applies" })?;
            describe_version(out, version)
        }
        What::Started { node, records, seen } => {
            write!(out, "n{node} starts with {} versions, {} seen", records.len(), seen.count())?;
            for byte in &seen.hash()[..8] {
                write!(out, "{byte:02x}")?;
            }
            Ok(())
        }
        What::Sample(samples) => {
            out.push_str("sample");
            for (node, sample) in samples.iter().enumerate() {
                write!(out, " n{node}:{}/{}:{}", sample.agreed, sample.keys, sample.sent.wire)?;
            }
            Ok(())
        }
        other => write!(out, "{other:?}"),
    }
}

fn describe_version(out: &mut String, version: &Seen) -> std::fmt::Result {
    write!(out, "{} {} {}", version.dot, version.key, version.hlc.0)?;
    match &version.value {
        None => out.push_str(" deleted"),
        Some([a, b, c, d, ..]) => write!(out, " {a:02x}{b:02x}{c:02x}{d:02x}")?,
    }
    Ok(())
}
