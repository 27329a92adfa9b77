//! Signs what the node publishes, and checks what others signed: ed25519 over the bytes as they are.

use bytes::Bytes;
use libp2p::identity::ed25519;

use crate::{
    causality::NodeId,
    network::Signer,
    wire::{EnvelopeError, SignedEnvelope},
};

/// Signs with the node's own key.
pub(super) struct KeySigner {
    node: NodeId,
    keypair: ed25519::Keypair,
}

impl KeySigner {
    /// Signs with `keypair`.
    pub(super) fn new(keypair: ed25519::Keypair) -> Self {
        Self { node: NodeId(keypair.public().to_bytes()), keypair }
    }
}

impl Signer for KeySigner {
    fn node(&self) -> NodeId {
        self.node
    }

    fn sign(&self, payload: Bytes) -> SignedEnvelope {
        let signature = self.keypair.sign(&SignedEnvelope::signed_bytes(&payload));
        let signature = signature.try_into().expect("an ed25519 signature has 64 bytes");
        SignedEnvelope::new(self.node, signature, payload)
    }
}

/// Checks that the signer of an envelope signed these bytes.
pub(super) fn verify(signed: &SignedEnvelope) -> Result<(), EnvelopeError> {
    let refused = || EnvelopeError::Signature(signed.signer);
    let key = ed25519::PublicKey::try_from_bytes(&signed.signer.0).map_err(|_| refused())?;
    let message = SignedEnvelope::signed_bytes(&signed.payload);
    if key.verify(&message, &signed.signature()) { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_and_its_signer_alone() {
        let (ant, bat) = (ed25519::Keypair::generate(), ed25519::Keypair::generate());
        let signed = KeySigner::new(ant).sign(Bytes::from_static(b"news"));
        assert_eq!(verify(&signed), Ok(()));

        let other_bytes = SignedEnvelope { payload: Bytes::from_static(b"olds"), ..signed };
        let other_signer = SignedEnvelope { signer: NodeId(bat.public().to_bytes()), ..signed.clone() };
        let no_key = SignedEnvelope { signer: NodeId([0xff; 32]), ..signed };
        for forged in [other_bytes, other_signer, no_key] {
            assert_eq!(verify(&forged), Err(EnvelopeError::Signature(forged.signer)));
        }
    }
}
