//! The scenarios that come with the program.

use super::Scenario;

/// A scenario of the library, and its file.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// The text of its file.
    pub text: &'static str,
}

macro_rules! listed {
    ($($name:literal),* $(,)?) => {
        &[$(Listed { name: $name, text: include_str!(concat!("../../scenarios/", $name, ".toml")) }),*]
    };
}

const LIBRARY: &[Listed] = listed![
    "partition-heals",
    "dumbbell",
    "ferry",
    "line-of-30",
    "dying-hub",
    "churn",
    "skewed-clocks",
    "crash-restart",
    "power-loss",
    "late-joiner",
    "slow-peer",
    "flapping-link",
    "hot-key",
    "large-values",
    "stalled-disk",
    "stalled-ten-minutes",
    "year-away",
    "forgetful",
    "any-weather",
    "glomers-3d",
    "glomers-3d-partition",
    "glomers-3e",
    "glomers-3e-partition",
    "steady",
    "busy",
    "halves",
];

impl Listed {
    /// Reads it.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        Scenario::parse(&format!("scenarios/{}.toml", self.name), self.text)
            .expect("every scenario of the library is read by a test")
    }
}

/// All of them.
#[must_use]
pub fn library() -> &'static [Listed] {
    LIBRARY
}

/// The one of this name.
#[must_use]
pub fn find(name: &str) -> Option<Scenario> {
    LIBRARY.iter().find(|listed| listed.name == name).map(Listed::scenario)
}
