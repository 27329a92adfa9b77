//! Peer ids of libp2p and the nodes they stand for; addresses with and without them.

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::causality::NodeId;

/// What stands before the key in the peer id of an ed25519 key: an identity multihash of a protobuf.
const ED25519_HEAD: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The node behind a peer id; none if its key is of another kind than ed25519.
pub(super) fn node_of(peer: &PeerId) -> Option<NodeId> {
    let bytes = peer.to_bytes();
    let key = bytes.strip_prefix(&ED25519_HEAD)?;
    Some(NodeId(key.try_into().ok()?))
}

/// The peer id of a node.
pub(super) fn peer_of(node: NodeId) -> PeerId {
    let mut bytes = [0; 38];
    bytes[..6].copy_from_slice(&ED25519_HEAD);
    bytes[6..].copy_from_slice(&node.0);
    PeerId::from_bytes(&bytes).expect("32 bytes behind this head are an identity multihash")
}

/// Takes the `/p2p/ID` off the end of an address.
pub(super) fn split(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.pop() {
        Some(Protocol::P2p(peer)) => (address, Some(peer)),
        Some(other) => {
            address.push(other);
            (address, None)
        }
        None => (address, None),
    }
}

/// Whether the address is one that only the same machine can dial.
pub(super) fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}

/// Whether somebody could dial it at all: no wildcard address, no port 0.
pub(super) fn is_dialable(address: &Multiaddr) -> bool {
    !address.is_empty()
        && !address.iter().any(|part| match part {
            Protocol::Ip4(ip) => ip.is_unspecified(),
            Protocol::Ip6(ip) => ip.is_unspecified(),
            Protocol::Tcp(port) | Protocol::Udp(port) => port == 0,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_behind_its_peer_id() {
        let node = NodeId([7; 32]);
        assert_eq!(node_of(&peer_of(node)), Some(node));
        assert_eq!(peer_of(node).to_string(), node.to_string());
        assert_eq!(node_of(&PeerId::random()), None);
    }

    #[test]
    fn the_peer_id_comes_off_an_address() {
        let ant = NodeId([1; 32]);
        let bare: Multiaddr = "/ip4/127.0.0.1/tcp/7701".parse().unwrap();
        let full: Multiaddr = format!("{bare}/p2p/{ant}").parse().unwrap();
        assert_eq!(split(full), (bare.clone(), Some(peer_of(ant))));
        assert_eq!(split(bare.clone()), (bare, None));
        assert_eq!(split(Multiaddr::empty()), (Multiaddr::empty(), None));
    }

    #[test]
    fn wildcards_and_port_zero_cannot_be_dialled() {
        for (text, lawful) in [
            ("/ip4/10.0.0.1/tcp/7701", true),
            ("/dns/ant.example/tcp/7701", true),
            ("/memory/7", true),
            ("/ip4/0.0.0.0/tcp/7701", false),
            ("/ip6/::/tcp/7701", false),
            ("/ip4/10.0.0.1/tcp/0", false),
        ] {
            assert_eq!(is_dialable(&text.parse().unwrap()), lawful, "{text}");
        }
    }
}
