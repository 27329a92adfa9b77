//! Why the program ends without having done what it was asked for.

use std::process::ExitCode;

use super::output;

/// A reason to stop, with the exit status that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    status: u8,
    message: Option<String>,
}

impl Failure {
    /// Not found, or refused.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { status: 1, message: Some(message.into()) }
    }

    /// The usage is wrong: arguments, environment or file of settings.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, message: Some(message.into()) }
    }

    /// Nobody answered, or not as a node does.
    pub(super) fn no_answer(message: impl Into<String>) -> Self {
        Self { status: 3, message: Some(message.into()) }
    }

    /// Whoever reads the output has read enough.
    pub(super) const fn reader_left() -> Self {
        Self { status: 0, message: None }
    }

    /// Says it on stderr; the exit status.
    pub(super) fn report(self) -> ExitCode {
        if let Some(message) = self.message {
            output::say(&format!("tidings: {message}"));
        }
        ExitCode::from(self.status)
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> (u8, &str) {
        (self.status, self.message.as_deref().unwrap_or(""))
    }
}
