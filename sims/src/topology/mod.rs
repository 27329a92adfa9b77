//! Who is linked with whom: the shapes that a scenario names, always connected, without loops and
//! without doubles, the same for the same dice.

mod island;
mod parts;
mod place;
mod random;
mod shape;

#[cfg(test)]
mod tests;

pub(crate) use self::parts::neighbours;
use crate::{dice::Dice, plan::NodeNo};

/// The shape of a mesh.
#[derive(Clone, Debug, PartialEq)]
pub enum Topology {
    /// One after the other.
    Line,
    /// A line whose ends are linked.
    Ring,
    /// All linked with node 0, and with nobody else.
    Star,
    /// Rows and columns, as square as can be.
    Grid,
    /// Every node has up to so many below it; node 0 is the root.
    Tree {
        /// Nodes below a node.
        fan_out: usize,
    },
    /// Nodes strewn over a square, linked where they are near (Gilbert 1961).
    Geometric {
        /// How near, where the square has sides of 1; what connects all of them usually where absent.
        radius: Option<f64>,
    },
    /// A ring with links to near neighbours, of which some are moved (Watts and Strogatz 1998).
    SmallWorld {
        /// Links of a node before any is moved; even.
        degree: usize,
        /// The share of links that are moved.
        rewire: f64,
    },
    /// Every node links with some that were there before it, rather with well-linked ones (Barabási
    /// and Albert 1999).
    ScaleFree {
        /// Links that a node brings.
        links: usize,
    },
    /// All with all.
    Full,
    /// Two dense halves and a single link, or node where the number is odd, between them.
    Dumbbell,
    /// Dense islands, and a ferry, the last node, which is linked with one of them at a time.
    Islands {
        /// How many islands.
        islands: usize,
    },
    /// These links.
    Edges(Vec<(NodeNo, NodeNo)>),
}

/// A mesh as it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The links, each once.
    pub links: Vec<(NodeNo, NodeNo)>,
    /// Where the nodes stand, both coordinates in `0.0..=1.0`.
    pub places: Vec<(f64, f64)>,
    /// The links of a ferry, of which one works at a time; empty where there is no ferry.
    pub ferry: Vec<(NodeNo, NodeNo)>,
}

/// Names of all kinds, as in a file.
pub const KINDS: [&str; 12] = [
    "line",
    "ring",
    "star",
    "grid",
    "tree",
    "geometric",
    "small-world",
    "scale-free",
    "full",
    "dumbbell",
    "islands",
    "edges",
];

impl Topology {
    /// The kind of this name, with the usual parameters: `ring`, `tree`, `tree4`, `small-world`.
    /// Nothing for a name that is none, and for `edges`, which need to be listed.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "line" => Self::Line,
            "ring" => Self::Ring,
            "star" => Self::Star,
            "grid" => Self::Grid,
            "tree" => Self::Tree { fan_out: 2 },
            "geometric" => Self::Geometric { radius: None },
            "small-world" => Self::SmallWorld { degree: 4, rewire: 0.2 },
            "scale-free" => Self::ScaleFree { links: 2 },
            "full" => Self::Full,
            "dumbbell" => Self::Dumbbell,
            "islands" => Self::Islands { islands: 2 },
            _ => Self::Tree { fan_out: name.strip_prefix("tree")?.parse().ok()? },
        })
    }

    /// Its name, as in a file.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Ring => "ring",
            Self::Star => "star",
            Self::Grid => "grid",
            Self::Tree { .. } => "tree",
            Self::Geometric { .. } => "geometric",
            Self::SmallWorld { .. } => "small-world",
            Self::ScaleFree { .. } => "scale-free",
            Self::Full => "full",
            Self::Dumbbell => "dumbbell",
            Self::Islands { .. } => "islands",
            Self::Edges(_) => "edges",
        }
    }

    /// A kind by chance, of those that so many nodes can form.
    pub fn any(nodes: usize, dice: &mut Dice) -> Self {
        let possible: Vec<Self> = KINDS
            .iter()
            .filter_map(|name| Self::named(name))
            .filter(|topology| topology.check(nodes).is_ok())
            .collect();
        dice.pick(&possible).cloned().unwrap_or(Self::Full)
    }

    /// Whether the links depend on chance.
    #[must_use]
    pub fn is_random(&self) -> bool {
        matches!(self, Self::Geometric { .. } | Self::SmallWorld { .. } | Self::ScaleFree { .. })
    }

    /// Whether so many nodes can form it.
    ///
    /// # Errors
    /// When they cannot: why, and what to do.
    pub fn check(&self, nodes: usize) -> Result<(), String> {
        self.check_parameters(nodes)?;
        let least = self.nodes_min();
        if nodes < least {
            return Err(format!(
                "a {} needs at least {least} nodes, not {nodes}: raise `nodes`, or take `full`",
                self.name()
            ));
        }
        Ok(())
    }

    /// The mesh of so many nodes.
    ///
    /// # Errors
    /// When so many nodes cannot form it: see [`check`](Self::check).
    pub fn draw(&self, nodes: usize, dice: &mut Dice) -> Result<Layout, String> {
        self.check(nodes)?;
        let layout = match self {
            Self::Line => shape::line(nodes),
            Self::Ring => shape::ring(nodes),
            Self::Star => shape::star(nodes),
            Self::Grid => shape::grid(nodes),
            Self::Tree { fan_out } => shape::tree(nodes, *fan_out),
            Self::Full => shape::full(nodes),
            Self::Edges(edges) => shape::edges(nodes, edges),
            Self::Geometric { radius } => random::geometric(nodes, *radius, dice),
            Self::SmallWorld { degree, rewire } => random::small_world(nodes, *degree, *rewire, dice),
            Self::ScaleFree { links } => random::scale_free(nodes, *links, dice),
            Self::Dumbbell => island::dumbbell(nodes),
            Self::Islands { islands } => island::islands(nodes, *islands),
        };
        Ok(layout)
    }

    fn nodes_min(&self) -> usize {
        match self {
            Self::Full | Self::Edges(_) => 1,
            Self::Ring => 3,
            Self::Dumbbell => 4,
            Self::SmallWorld { degree, .. } => degree + 1,
            Self::ScaleFree { links } => links + 1,
            Self::Islands { islands } => islands + 1,
            _ => 2,
        }
    }

    fn check_parameters(&self, nodes: usize) -> Result<(), String> {
        match self {
            Self::Tree { fan_out: 0 } => {
                Err("a tree with `fan_out = 0` has no branches: take 1 or more".into())
            }
            Self::Geometric { radius: Some(radius) } if !(*radius > 0.0 && *radius <= 1.5) => {
                Err(format!("no two nodes are linked by a radius of {radius}: take one above 0, up to 1.5"))
            }
            Self::SmallWorld { degree, .. } if *degree == 0 || degree % 2 == 1 => Err(format!(
                "a small world of degree {degree} is not possible: take 2, 4 or another even number"
            )),
            Self::SmallWorld { degree, .. } if *degree >= nodes => Err(format!(
                "a node cannot have {degree} links among {nodes} nodes: take a `degree` below {nodes}, or more `nodes`"
            )),
            Self::SmallWorld { rewire, .. } if !(0.0..=1.0).contains(rewire) => {
                Err(format!("`rewire = {rewire}` is no share: take one from 0.0 to 1.0"))
            }
            Self::ScaleFree { links: 0 } => {
                Err("a node that brings no links stays alone: take `links = 1` or more".into())
            }
            Self::Islands { islands } if *islands < 2 => Err(format!(
                "a ferry between {islands} islands has nowhere to go: take `islands = 2` or more"
            )),
            Self::Islands { islands } if *islands >= nodes => Err(format!(
                "{islands} islands and a ferry need at least {} nodes, not {nodes}: take fewer `islands`, or more `nodes`",
                islands + 1
            )),
            Self::Edges(edges) => check_edges(edges, nodes),
            _ => Ok(()),
        }
    }
}

fn check_edges(edges: &[(NodeNo, NodeNo)], nodes: usize) -> Result<(), String> {
    for (position, &(from, to)) in edges.iter().enumerate() {
        if let Some(absent) = [from, to].into_iter().find(|node| *node >= nodes) {
            return Err(format!(
                "the edge [{from}, {to}] names node {absent}, but the nodes are 0 to {}: correct it, or raise `nodes`",
                nodes.saturating_sub(1)
            ));
        }
        if from == to {
            return Err(format!("the edge [{from}, {to}] links a node with itself: remove it"));
        }
        if edges[..position].iter().any(|&other| other == (from, to) || other == (to, from)) {
            return Err(format!("the edge [{from}, {to}] is there twice: remove one"));
        }
    }
    let apart = parts::parts(nodes, edges);
    match apart.get(1) {
        Some(part) => Err(format!(
            "no edges lead from node 0 to {part:?}: all nodes must be connected; add an edge between them"
        )),
        None => Ok(()),
    }
}
