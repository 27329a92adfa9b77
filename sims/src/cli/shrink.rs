//! `shrink`: the smallest plan that still fails.

use super::{Ended, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ShrinkArgs {
    /// Which seed fails
    seed: u64,
}

pub(super) fn shrink(_args: &ShrinkArgs) -> Result<Ended, Failure> {
    Err("not yet".into())
}
