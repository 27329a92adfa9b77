//! The peers that are refused, kept over restarts: one peer id a line.

use std::{collections::BTreeSet, io, path::PathBuf};

use super::small_file;
use crate::causality::NodeId;

/// The block list's name in the directory of the network.
const FILE: &str = "blocked";

/// The peers that are refused.
pub(super) struct Blocks {
    path: Option<PathBuf>,
    nodes: BTreeSet<NodeId>,
}

impl Blocks {
    /// Reads the list. A list that cannot be read is an error: who was cut off must stay cut off.
    pub(super) fn open(directory: Option<&PathBuf>) -> io::Result<Self> {
        let path = directory.map(|directory| directory.join(FILE));
        let text = path.as_deref().map(small_file::read).transpose()?.flatten().unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let nodes = lines.map(str::parse).collect::<Result<_, _>>().map_err(io::Error::other)?;
        Ok(Self { path, nodes })
    }

    /// Who is blocked.
    pub(super) fn nodes(&self) -> &BTreeSet<NodeId> {
        &self.nodes
    }

    /// Adds a node.
    pub(super) fn block(&mut self, node: NodeId) -> io::Result<()> {
        if self.nodes.insert(node) { self.save() } else { Ok(()) }
    }

    /// Removes a node.
    pub(super) fn unblock(&mut self, node: NodeId) -> io::Result<()> {
        if self.nodes.remove(&node) { self.save() } else { Ok(()) }
    }

    fn save(&self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let text: String = self.nodes.iter().map(|node| format!("{node}\n")).collect();
        small_file::replace(path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_outlives_a_restart_and_an_unblock_does_too() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().to_owned();
        let (ant, bat) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut blocks = Blocks::open(Some(&directory)).unwrap();
        blocks.block(ant).unwrap();
        blocks.block(bat).unwrap();
        let mut blocks = Blocks::open(Some(&directory)).unwrap();
        assert_eq!(blocks.nodes(), &BTreeSet::from([ant, bat]));
        blocks.unblock(ant).unwrap();
        assert_eq!(Blocks::open(Some(&directory)).unwrap().nodes(), &BTreeSet::from([bat]));
    }

    #[test]
    fn a_damaged_list_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "nobody\n").unwrap();
        assert!(Blocks::open(Some(&directory.path().to_owned())).is_err());
    }
}
