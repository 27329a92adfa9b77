//! What can happen, as a list that can be replayed, shrunk, and pasted into a test.

use super::{dots::Node, version::Key};

/// A version is named by its writer and its number among the writes of that node, in all its lives.
/// What cannot happen as things stand is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node writes.
    Put(Node, Key),
    Delete(Node, Key),
    /// A version arrives at a node by gossip, for the first time or again.
    Gossip(Node, usize, Node),
    /// The first says hello to the second.
    Begin(Node, Node),
    /// The next message of a session from the first arrives at the second.
    Step(Node, Node),
    /// The rest of a session takes place, or a whole one.
    Run(Node, Node),
    Cut(Node, Node),
    /// The first asks the second for what the third is to send it.
    Borrow(Node, Node, Node),
    /// The next version of what the first lends arrives at the second.
    Lend(Node, Node),
    /// The first tells the second, which sends it what it lacks, what it has seen by now.
    Tell(Node, Node),
    /// A node forgets a deleted key.
    Forget(Node, Key),
    /// A backup is made.
    Save(Node),
    /// A node starts again from its backup.
    Restore(Node),
    Join(Node),
    Leave(Node),
    /// At the last node, a version vanishes.
    Lose(Node, usize, Node),
    /// A whole record vanishes.
    LoseRecord(Node, Key),
    /// A node counts, and notices what is missing.
    Account(Node),
}
