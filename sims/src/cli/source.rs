//! Where plans come from.

use std::path::Path;

use super::{Failure, What};
use crate::{
    plan::Plan,
    scenario::{self, Overrides, Scenario},
    topology::Topology,
};

/// A scenario to draw plans from, or a plan that was drawn.
pub enum Source {
    /// With the dice not thrown yet.
    Scenario(Box<Scenario>, Overrides),
    /// With them thrown: every seed is the same plan.
    Plan(Box<Plan>),
}

impl Source {
    /// The scenario of this name, or what is in this file.
    ///
    /// # Errors
    /// When there is none, or it makes no sense.
    pub fn find(name: &str, what: &What) -> Result<Self, Failure> {
        let overrides = overrides(what)?;
        if let Some(scenario) = scenario::find(name) {
            return Ok(Self::Scenario(Box::new(scenario), overrides));
        }
        let path = Path::new(name);
        if !path.exists() {
            return Err(nothing_like(name));
        }
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        if Plan::is_plan(path, &text) {
            if overrides != Overrides::default() {
                return Err(format!("{name} is a plan, with its dice thrown: edit it, or run its scenario"));
            }
            let plan = Plan::load(path).map_err(|error| error.to_string())?;
            return Ok(Self::Plan(Box::new(plan)));
        }
        let scenario = Scenario::parse(name, &text).map_err(|error| error.to_string())?;
        Ok(Self::Scenario(Box::new(scenario), overrides))
    }

    /// The plan of a seed.
    ///
    /// # Errors
    /// When it makes no sense with what was asked for.
    pub fn plan(&self, seed: u64) -> Result<Plan, Failure> {
        match self {
            Self::Scenario(scenario, overrides) => {
                scenario.draw(seed, overrides).map_err(|error| error.to_string())
            }
            Self::Plan(plan) => Ok((**plan).clone()),
        }
    }

    /// The seed to run when none is asked for.
    #[must_use]
    pub fn first_seed(&self) -> u64 {
        match self {
            Self::Scenario(..) => 1,
            Self::Plan(plan) => plan.seed,
        }
    }
}

fn nothing_like(name: &str) -> Failure {
    let names: Vec<&str> = scenario::library().iter().map(|listed| listed.name).collect();
    format!("there is no scenario and no file {name:?}; scenarios are {}", names.join(", "))
}

fn overrides(what: &What) -> Result<Overrides, Failure> {
    let topology = match &what.topology {
        None => None,
        Some(name) => Some(Topology::named(name).ok_or_else(|| {
            format!("{name:?} is no topology: line, ring, star, grid, tree, tree4, geometric, small-world, scale-free, full, dumbbell, islands")
        })?),
    };
    let store = what.store.map(Into::into);
    Ok(Overrides { nodes: what.nodes, topology, duration: what.duration, store })
}

/// The command that runs a seed again.
#[must_use]
pub fn replay_command(scenario: &str, seed: u64, what: &What) -> String {
    let mut command = format!("cargo sim replay {seed} --scenario {scenario}");
    if let Some(nodes) = what.nodes {
        command += &format!(" --nodes {nodes}");
    }
    if let Some(topology) = &what.topology {
        command += &format!(" --topology {topology}");
    }
    if let Some(duration) = what.duration {
        command +=
            &format!(" --duration {}", humantime::format_duration(duration).to_string().replace(' ', ""));
    }
    match what.store {
        Some(super::Store::Fjall) => command += " --store fjall",
        Some(super::Store::Memory) => command += " --store memory",
        None => {}
    }
    command
}
