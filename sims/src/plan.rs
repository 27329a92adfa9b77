//! What happens in one simulation, concrete to the millisecond: a scenario with the dice thrown.
//!
//! A plan, its seed and the program give the same events every time. It is written as TOML or JSON,
//! made smaller by shrinking, and run again.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

/// The number of a node in a simulation.
pub type NodeNo = usize;

/// One simulation, ready to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The scenario it was drawn from.
    pub scenario: String,
    /// What the scenario is about, in a sentence.
    pub about: String,
    /// The seed it was drawn from; also that of keys, jitter and hashing while it runs.
    #[serde(with = "crate::plan_file::seed_of")]
    pub seed: u64,
    /// The nodes, those that join later included.
    pub nodes: usize,
    /// Nodes that are not there at the beginning.
    pub late: BTreeSet<NodeNo>,
    /// How the nodes are set.
    pub settings: Settings,
    /// Who can reach whom, and how well. The first of the two dials.
    pub edges: Vec<Edge>,
    /// Where the nodes stand in a drawing, both coordinates in `0.0..=1.0`.
    pub places: Vec<(f64, f64)>,
    /// What users do, in order of time.
    pub operations: Vec<Operation>,
    /// What goes wrong, in order of time.
    pub faults: Vec<Fault>,
    /// Users and weather have ended by then.
    #[serde(with = "humantime_of")]
    pub ends: Duration,
    /// What must hold.
    pub expect: Expect,
}

/// Settings that all nodes share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What the nodes store in.
    pub store: StoreKind,
    /// What an acknowledged write has survived: `buffer` (a crash) or `fsync` (a loss of power).
    pub durability: Durability,
    /// How often neighbours compare.
    #[serde(with = "humantime_of")]
    pub sync_interval: Duration,
    /// How long a delete is remembered one by one; 7 days unless told.
    #[serde(with = "humantime_maybe")]
    pub delete_retention: Option<Duration>,
    /// Whether nodes tell each other of further peers, and dial those; else links are exactly the edges.
    pub peer_exchange: bool,
    /// The mesh degree of gossip.
    pub gossip_degree: Option<usize>,
    /// The time between two heartbeats of gossip.
    #[serde(with = "humantime_maybe")]
    pub heartbeat: Option<Duration>,
}

/// What nodes store in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A disk in memory, which can lose power, stall and fail.
    #[default]
    Memory,
    /// The real store in a temporary directory. Its crashes are orderly.
    Fjall,
}

/// What an acknowledged write has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// The end of the process.
    #[default]
    Buffer,
    /// A loss of power.
    Fsync,
}

/// A link between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Who dials.
    pub from: NodeNo,
    /// Who is dialled.
    pub to: NodeNo,
    /// How good it is, the same both ways.
    #[serde(flatten)]
    pub quality: Quality,
}

/// How good a link is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The time a byte is under way, one way.
    #[serde(with = "humantime_of")]
    pub latency: Duration,
    /// Up to so much more, by chance.
    #[serde(with = "humantime_of")]
    pub jitter: Duration,
    /// Bytes per second each way; unlimited where absent.
    pub bandwidth: Option<u64>,
}

/// Something that a user does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// When, since the beginning.
    #[serde(with = "humantime_of")]
    pub at: Duration,
    /// At which node.
    pub node: NodeNo,
    /// What.
    #[serde(flatten)]
    pub action: Action,
}

/// What a user does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Stores a value of so many bytes that no other operation stores.
    Put {
        /// The key.
        key: String,
        /// Bytes of the value, at least 16.
        size: usize,
    },
    /// Deletes a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Several puts as one unit.
    Batch {
        /// The keys.
        keys: Vec<String>,
        /// Bytes of each value.
        size: usize,
    },
    /// Reads a key.
    Get {
        /// The key.
        key: String,
    },
}

/// Something that goes wrong, and whether it is put right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins, since the beginning.
    #[serde(with = "humantime_of")]
    pub at: Duration,
    /// How long it lasts; for good where absent.
    #[serde(with = "humantime_maybe", rename = "for", default)]
    pub lasts: Option<Duration>,
    /// What it is.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// How a link is interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Nothing passes and nothing is lost: what was sent arrives when the link is back, as with TCP.
    #[default]
    Freeze,
    /// Connections are reset, and new ones are refused.
    Break,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// No link between different groups works. Nodes in no group keep all their links.
    Partition {
        /// The groups.
        groups: Vec<Vec<NodeNo>>,
        /// How.
        #[serde(default)]
        how: How,
    },
    /// Links that do not work.
    Cut {
        /// From whom to whom.
        links: Vec<(NodeNo, NodeNo)>,
        /// How.
        #[serde(default)]
        how: How,
        /// Only what the first sends to the second is held up.
        #[serde(default)]
        one_way: bool,
    },
    /// A link that comes and goes.
    Flap {
        /// Between whom.
        link: (NodeNo, NodeNo),
        /// How.
        #[serde(default)]
        how: How,
        /// Time it works.
        #[serde(with = "humantime_of")]
        up: Duration,
        /// Time it does not.
        #[serde(with = "humantime_of")]
        down: Duration,
    },
    /// Links of another quality.
    Slow {
        /// Between whom.
        links: Vec<(NodeNo, NodeNo)>,
        /// As bad as this.
        #[serde(flatten)]
        quality: Quality,
    },
    /// The process dies at whatever it awaits, and is started again after the fault.
    Crash {
        /// Whose.
        node: NodeNo,
    },
    /// The machine dies: peers see silence, and what was not synced is gone.
    LosePower {
        /// Whose.
        node: NodeNo,
    },
    /// The process dies and the disk is lost; a new node with a new identity takes its place.
    Wipe {
        /// Whose.
        node: NodeNo,
    },
    /// The node leaves in good order.
    Leave {
        /// Who.
        node: NodeNo,
    },
    /// A node that was not there at the beginning starts.
    Join {
        /// Who.
        node: NodeNo,
    },
    /// The disk does not answer.
    StallDisk {
        /// Whose.
        node: NodeNo,
    },
    /// Writes to the disk fail.
    FailDisk {
        /// Whose.
        node: NodeNo,
    },
    /// The wall clock is wrong.
    Clock {
        /// Whose.
        node: NodeNo,
        /// Ahead of the right time by so many milliseconds; behind, where negative.
        skew_ms: i64,
    },
}

/// What must hold of a simulation; what is absent is not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// All nodes that are up and connected agree so long after the last fault and the last write.
    #[serde(with = "humantime_of")]
    pub agree_within: Duration,
    /// Time from an acknowledged write to all nodes that were up and connected, median, at most.
    #[serde(with = "humantime_maybe")]
    pub median_latency: Option<Duration>,
    /// The same, maximum.
    #[serde(with = "humantime_maybe")]
    pub max_latency: Option<Duration>,
    /// Time from an acknowledged write to the last read, at any node, that misses it, median, at most:
    /// what Maelstrom calls stable latency.
    #[serde(with = "humantime_maybe", skip_serializing_if = "Option::is_none")]
    pub stable_median: Option<Duration>,
    /// The same, maximum.
    #[serde(with = "humantime_maybe", skip_serializing_if = "Option::is_none")]
    pub stable_max: Option<Duration>,
    /// Messages between nodes per operation, at most.
    pub messages_per_operation: Option<f64>,
    /// Bytes per node and sync interval once all is quiet, at most.
    pub quiet_bytes: Option<u64>,
}

impl Plan {
    /// So many nodes, each linked with the next, that nobody uses and nothing befalls for 10 s.
    #[must_use]
    pub fn empty(nodes: usize, seed: u64) -> Self {
        let link = |from| Edge { from, to: from + 1, quality: Quality::default() };
        #[expect(clippy::cast_precision_loss, reason = "a place in a drawing")]
        let place = |node: usize| ((node as f64 + 0.5) / nodes.max(1) as f64, 0.5);
        Self {
            scenario: "empty".to_owned(),
            about: "Nobody does anything.".to_owned(),
            seed,
            nodes,
            late: BTreeSet::new(),
            settings: Settings::default(),
            edges: (0..nodes.saturating_sub(1)).map(link).collect(),
            places: (0..nodes).map(place).collect(),
            operations: Vec::new(),
            faults: Vec::new(),
            ends: Duration::from_secs(10),
            expect: Expect::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store: StoreKind::default(),
            durability: Durability::default(),
            sync_interval: Duration::from_secs(10),
            delete_retention: None,
            peer_exchange: false,
            gossip_degree: None,
            heartbeat: None,
        }
    }
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            agree_within: Duration::from_secs(60),
            median_latency: None,
            max_latency: None,
            stable_median: None,
            stable_max: None,
            messages_per_operation: None,
            quiet_bytes: None,
        }
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self { latency: Duration::from_millis(20), jitter: Duration::ZERO, bandwidth: None }
    }
}

impl Plan {
    /// Whether deletes may be forgotten before the end. Then a history no longer tells by itself what
    /// a node accounts for: oracles that ask that are content with what lives and what is read.
    #[must_use]
    pub fn forgets(&self) -> bool {
        let retention = self.settings.delete_retention;
        retention.is_some_and(|retention| retention < self.ends + self.expect.agree_within)
    }
}

impl Fault {
    /// The node whose process ends, where that is what goes wrong.
    #[must_use]
    pub fn kills(&self) -> Option<NodeNo> {
        match self.kind {
            FaultKind::Crash { node } | FaultKind::LosePower { node } | FaultKind::Wipe { node } => {
                Some(node)
            }
            _ => None,
        }
    }

    /// When it is over, if it ever is.
    #[must_use]
    pub fn ends(&self) -> Option<Duration> {
        self.lasts.map(|lasts| self.at + lasts)
    }
}

impl FaultKind {
    /// Its name, as in a file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Partition { .. } => "partition",
            Self::Cut { .. } => "cut",
            Self::Flap { .. } => "flap",
            Self::Slow { .. } => "slow",
            Self::Crash { .. } => "crash",
            Self::LosePower { .. } => "lose-power",
            Self::Wipe { .. } => "wipe",
            Self::Leave { .. } => "leave",
            Self::Join { .. } => "join",
            Self::StallDisk { .. } => "stall-disk",
            Self::FailDisk { .. } => "fail-disk",
            Self::Clock { .. } => "clock",
        }
    }

    /// The nodes it names, as often as it does.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeNo> {
        match self {
            Self::Partition { groups, .. } => groups.concat(),
            Self::Cut { links, .. } | Self::Slow { links, .. } => {
                links.iter().flat_map(|&(from, to)| [from, to]).collect()
            }
            Self::Flap { link, .. } => vec![link.0, link.1],
            Self::Crash { node }
            | Self::LosePower { node }
            | Self::Wipe { node }
            | Self::Leave { node }
            | Self::Join { node }
            | Self::StallDisk { node }
            | Self::FailDisk { node }
            | Self::Clock { node, .. } => vec![*node],
        }
    }
}

/// Durations as people write them: `1m 30s`, `250ms`.
pub mod humantime_of {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "{text:?} is no duration ({error}): write one as `90s`, `1m 30s`, `250ms`"
            ))
        })
    }
}

/// The same where there may be none.
pub mod humantime_maybe {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Wrapped(#[serde(with = "super::humantime_of")] Duration);

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::humantime_of::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
    }
}
