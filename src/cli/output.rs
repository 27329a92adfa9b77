//! Printing that does not panic when nobody reads.

use std::io::{self, IsTerminal, Write};

use super::failure::Failure;

/// Writes bytes to stdout.
///
/// # Errors
/// When whoever reads has gone, or the disk behind is full.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_left(),
        _ => Failure::refused(format!("stdout cannot be written: {error}")),
    })
}

/// Writes a line to stdout.
///
/// # Errors
/// As [`bytes()`].
pub(super) fn line(text: &str) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a line to stderr, where somebody may look or not.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person looks at stdout.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
