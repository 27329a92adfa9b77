//! Scenarios: what a simulation is about, as a person writes it; a seed makes a [`Plan`] of it.
//!
//! Wherever a value is written, so is a range, both ends included, of which the seed draws one:
//! `10` or `"3..10"`, `"20ms"` or `"10ms..100ms"`, `2000` or `"16..64KiB"`. An example with all there is:
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! Every purpose has dice of its own: one more fault does not move the work, nor the links.

mod draw;
mod fault;
mod file;
mod keys;
mod library;
mod lives;
mod pick;
mod problem;
mod times;
mod value;
mod weather;
mod work;

#[cfg(test)]
mod tests;

use std::{path::Path, time::Duration};

pub(crate) use self::problem::Complaint;
pub use self::{
    library::{Listed, find, library},
    problem::Problem,
};
use crate::{
    plan::{Plan, StoreKind},
    topology::Topology,
};

/// A scenario that makes sense.
#[derive(Clone, Debug)]
pub struct Scenario {
    path: String,
    name: String,
    text: String,
    file: file::File,
}

/// What is to be otherwise than the scenario says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// So many nodes.
    pub nodes: Option<usize>,
    /// Another shape.
    pub topology: Option<Topology>,
    /// Another duration.
    pub duration: Option<Duration>,
    /// Another store.
    pub store: Option<StoreKind>,
}

/// Seeds that a scenario is tried with as it is read: what chance alone brings up is rarely left after these.
const SEEDS_TRIED: u64 = 4;

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or makes no sense: where, why, and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Problem> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Problem::Read { path: path.to_path_buf(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a text; `path` names it in errors, and names the scenario unless it does so itself.
    ///
    /// # Errors
    /// When it makes no sense: where, why, and what to do.
    pub fn parse(path: &str, text: &str) -> Result<Self, Problem> {
        let file: file::File =
            toml::from_str(text).map_err(|error| Complaint::of_toml(&error).in_file(path, text))?;
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = file.name.clone().or(stem).unwrap_or_else(|| path.into());
        let scenario = Self { path: path.into(), name, text: text.into(), file };
        scenario.check()?;
        Ok(scenario)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is about, in a sentence.
    #[must_use]
    pub fn about(&self) -> &str {
        &self.file.about
    }

    /// Throws the dice: the same plan for the same seed.
    ///
    /// # Errors
    /// When it makes no sense with these overrides: where, why, and what to do.
    pub fn draw(&self, seed: u64, overrides: &Overrides) -> Result<Plan, Problem> {
        draw::plan(&self.name, &self.file, seed, overrides)
            .map_err(|complaint| complaint.in_file(&self.path, &self.text))
    }

    /// Whether the fewest nodes, the most nodes, and the shortest time make sense.
    fn check(&self) -> Result<(), Problem> {
        let nodes = self.file.nodes.get_ref();
        let duration = Some(self.file.duration.get_ref().low);
        for nodes in [nodes.low, nodes.high] {
            let overrides = Overrides { nodes: Some(nodes), duration, ..Overrides::default() };
            for seed in 0..SEEDS_TRIED {
                self.draw(seed, &overrides)?;
            }
        }
        Ok(())
    }
}
