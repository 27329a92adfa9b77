//! Which links are protected: gossip must not leave them out of its mesh, for what it does not send
//! over them arrives late by other ways, or by none.
//!
//! Both ends of a link come to the same answer, from the same lists: gossipsub fares worse with a
//! link that one end alone protects than with one that neither does.

use std::collections::BTreeMap;

use crate::causality::NodeId;

/// A link to an end with so few neighbours is protected whatever its ends share.
const DEGREE_SPARSE: usize = 3;
/// Up to this degree gossip leaves out a link or two of a node's, so that ways around one are
/// hardly all left out as well.
const DEGREE_MESHED: usize = 8;
/// So many ways over two more nodes are as good as a neighbour that both ends share.
const DETOURS_ENOUGH: usize = 2;

/// The connected peers of a node, each with the tags of its own neighbours once it has told them.
pub type Links = BTreeMap<NodeId, Option<Vec<u32>>>;

/// The short tag of a neighbour in a beacon.
pub fn tag(peer: &NodeId) -> u32 {
    let [a, b, c, d, ..] = *blake3::hash(&peer.0).as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The links whose protection may be another since `peer` told its neighbours, and what it is.
pub fn after_word_of(peer: NodeId, own: &NodeId, links: &Links) -> Vec<(NodeId, bool)> {
    let own_tag = tag(own);
    // A detour over `peer` may protect any link of a node that goes by detours.
    let concerned = |other: &NodeId| *other == peer || links.len() <= DEGREE_MESHED;
    let told = links.iter().filter_map(|(other, theirs)| Some((other, theirs.as_ref()?)));
    told.filter(|(other, _)| concerned(other))
        .map(|(other, theirs)| (*other, is_protected(other, theirs, own_tag, links)))
        .collect()
}

/// A link is protected when either end has few neighbours, or when its ends share none and there
/// are too few ways around it for the degree of its ends.
fn is_protected(peer: &NodeId, theirs: &[u32], own_tag: u32, links: &Links) -> bool {
    let (fewer, more) = (links.len().min(theirs.len()), links.len().max(theirs.len()));
    if fewer <= DEGREE_SPARSE {
        return true;
    }
    if links.keys().any(|other| theirs.contains(&tag(other))) {
        return false;
    }
    let others = links.iter().filter(|(other, _)| *other != peer);
    let detours = others.filter_map(|(_, next)| next.as_ref()).flatten();
    let detours = detours.filter(|next| **next != own_tag && theirs.contains(next));
    more > DEGREE_MESHED || detours.count() < DETOURS_ENOUGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn tags(peers: &[u8]) -> Vec<u32> {
        peers.iter().map(|n| tag(&id(*n))).collect()
    }

    /// Whether each end protects the link between the first two of these edges' nodes.
    fn ends(edges: &[(u8, u8)]) -> [bool; 2] {
        let of = |node: u8| -> Vec<u8> {
            let end = |&(a, b): &(u8, u8)| (a == node).then_some(b).or((b == node).then_some(a));
            edges.iter().filter_map(end).collect()
        };
        let seen_from = |node: u8, peer: u8| {
            let links: Links = of(node).into_iter().map(|n| (id(n), Some(tags(&of(n))))).collect();
            let told = after_word_of(id(peer), &id(node), &links);
            told.into_iter().find(|(other, _)| *other == id(peer)).expect("it told").1
        };
        let (a, b) = edges[0];
        [seen_from(a, b), seen_from(b, a)]
    }

    fn clique(nodes: std::ops::Range<u8>) -> Vec<(u8, u8)> {
        nodes.clone().flat_map(|a| nodes.clone().filter(move |b| a < *b).map(move |b| (a, b))).collect()
    }

    #[test]
    fn a_link_within_a_clique_is_not_protected_and_one_to_a_sparse_end_is() {
        assert_eq!(ends(&clique(0..6)), [false; 2]);
        assert_eq!(ends(&clique(0..4)), [true; 2], "all have three");
    }

    #[test]
    fn the_only_links_between_two_parts_are_protected() {
        let parts = |each: u8, bridges: u8| {
            let bridges = (0..bridges).map(|n| (n, each + n));
            bridges.chain(clique(0..each)).chain(clique(each..2 * each)).collect::<Vec<_>>()
        };
        assert_eq!(ends(&parts(5, 1)), [true; 2]);
        assert_eq!(ends(&parts(5, 2)), [true; 2], "one detour could be left out as well");
        assert_eq!(ends(&parts(5, 3)), [false; 2]);
        assert_eq!(ends(&parts(20, 3)), [true; 2], "a mesh leaves out most links of so many");
    }

    #[test]
    fn a_link_is_judged_once_its_end_has_told_and_again_when_another_has() {
        let mut links: Links = (1..6).map(|n| (id(n), None)).collect();
        links.insert(id(1), Some(tags(&[0, 11, 12, 13, 14])));
        assert_eq!(after_word_of(id(1), &id(0), &links), [(id(1), true)]);
        links.insert(id(2), Some(tags(&[0, 11, 12, 21, 22])));
        assert_eq!(after_word_of(id(2), &id(0), &links), [(id(1), false), (id(2), false)]);
    }
}
