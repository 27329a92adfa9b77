//! Who a node is to others.

use libp2p::identity::Keypair;

use super::peer::node_of;
use crate::causality::NodeId;

/// The node whose ed25519 key has these 32 secret bytes.
///
/// # Panics
/// Never: any 32 bytes are a secret key.
#[must_use]
pub fn node_id(secret: &[u8; 32]) -> NodeId {
    let keypair = Keypair::ed25519_from_bytes(*secret).expect("any 32 bytes are a secret key");
    node_of(&keypair.public().to_peer_id()).expect("the key is an ed25519 key")
}
