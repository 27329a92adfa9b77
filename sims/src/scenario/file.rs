//! A scenario file as it is written: `serde` reads it, nothing is drawn yet.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::value::{Bytes, Nodes, Range, Several, Skew};
use crate::plan::{Expect, How, NodeNo, Settings};

/// A key that may be absent, and where it stands.
pub(super) type Maybe<T> = Option<Spanned<T>>;
pub(super) type Times = Range<Duration>;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: Option<String>,
    pub(super) about: String,
    pub(super) nodes: Spanned<Range<usize>>,
    pub(super) duration: Spanned<Times>,
    pub(super) late: Maybe<Nodes>,
    pub(super) topology: TopologyTable,
    #[serde(default)]
    pub(super) link: LinkTable,
    #[serde(default)]
    pub(super) settings: Settings,
    pub(super) work: Maybe<Several<WorkTable>>,
    #[serde(default)]
    pub(super) at: Vec<Spanned<FaultTable>>,
    pub(super) weather: Maybe<WeatherTable>,
    #[serde(default)]
    pub(super) expect: Expect,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopologyTable {
    pub(super) kind: Spanned<String>,
    pub(super) fan_out: Maybe<usize>,
    pub(super) radius: Maybe<f64>,
    pub(super) degree: Maybe<usize>,
    pub(super) rewire: Maybe<f64>,
    pub(super) links: Maybe<usize>,
    pub(super) islands: Maybe<usize>,
    pub(super) stay: Maybe<Times>,
    pub(super) edges: Maybe<Vec<(NodeNo, NodeNo)>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkTable {
    pub(super) latency: Option<Times>,
    pub(super) jitter: Option<Times>,
    pub(super) bandwidth: Maybe<Range<Bytes>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Distribution {
    #[default]
    Uniform,
    Zipf,
    Hot,
    Unique,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Spacing {
    #[default]
    Poisson,
    Even,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkTable {
    pub(super) from: Maybe<Times>,
    pub(super) until: Maybe<Times>,
    pub(super) rate: Maybe<f64>,
    pub(super) count: Maybe<Range<usize>>,
    #[serde(default)]
    pub(super) spacing: Spacing,
    pub(super) keys: Maybe<usize>,
    pub(super) prefix: Maybe<String>,
    #[serde(default)]
    pub(super) distribution: Distribution,
    pub(super) exponent: Maybe<f64>,
    pub(super) hot: Maybe<f64>,
    pub(super) value: Maybe<Range<Bytes>>,
    pub(super) large: Maybe<LargeTable>,
    pub(super) reads: Maybe<f64>,
    pub(super) deletes: Maybe<f64>,
    pub(super) batches: Maybe<f64>,
    pub(super) batch: Maybe<Range<usize>>,
    pub(super) writers: Maybe<Nodes>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LargeTable {
    pub(super) share: Spanned<f64>,
    pub(super) value: Spanned<Range<Bytes>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Partition,
    Cut,
    Flap,
    Slow,
    Crash,
    LosePower,
    Wipe,
    Leave,
    Join,
    StallDisk,
    FailDisk,
    Clock,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultTable {
    pub(super) time: Spanned<Times>,
    pub(super) fault: Spanned<Kind>,
    #[serde(rename = "for")]
    pub(super) lasts: Maybe<Times>,
    pub(super) groups: Maybe<Groups>,
    pub(super) how: Maybe<How>,
    pub(super) links: Maybe<Links>,
    pub(super) one_way: Maybe<bool>,
    pub(super) up: Maybe<Times>,
    pub(super) down: Maybe<Times>,
    pub(super) latency: Maybe<Times>,
    pub(super) jitter: Maybe<Times>,
    pub(super) bandwidth: Maybe<Range<Bytes>>,
    #[serde(alias = "node")]
    pub(super) nodes: Maybe<Nodes>,
    pub(super) skew: Maybe<Range<Skew>>,
}

/// Groups of a partition.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "these are no groups: write `2` (so many, by chance), or lists as `[[0, 1], [\"2..4\"]]`"
)]
pub(super) enum Groups {
    /// So many, each connected, by chance.
    Random(usize),
    /// These.
    Listed(Vec<Nodes>),
}

/// Which links.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "these are no links: write `[[0, 1], [1, 2]]`, `\"any\"`, `\"all\"`, `{ random = 2 }`, or `{ of = 3 }` for all links of node 3"
)]
pub(super) enum Links {
    Listed(Vec<(NodeNo, NodeNo)>),
    Named(LinksName),
    Random { random: usize },
    Of { of: Nodes },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LinksName {
    Any,
    All,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeatherTable {
    pub(super) every: Spanned<Times>,
    pub(super) kinds: Maybe<Vec<Kind>>,
    pub(super) lasts: Maybe<Times>,
    pub(super) from: Maybe<Times>,
    pub(super) until: Maybe<Times>,
    pub(super) skew: Maybe<Range<Skew>>,
}
