//! What a host may say about what happens at its node: whether a value is good, and whether somebody may.

mod authorize;
mod validate;

use std::fmt;

pub use authorize::{Asked, Authorize, Client, Extent, Operation, Who};
pub use validate::Validator;

/// Why a hook says no, in words for whoever asked: they are shown to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, and what to do about it.
    pub reason: String,
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(reason: T) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
