//! Who may join.

use std::path::Path;

use super::{failure::Failure, output};
use crate::{network::libp2p::swarm_key, node::Membership};

/// The membership that the settings ask for; makes the user's own key at the first start.
///
/// # Errors
/// When the key cannot be read or made.
pub(super) fn membership(swarm_key: Option<&Path>) -> Result<Membership, Failure> {
    let Some(path) = swarm_key else {
        output::say("warning: --open: whoever reaches the port may join, read and write");
        return Ok(Membership::Open);
    };
    let loaded = swarm_key::load_or_create(path).map_err(|error| Failure::refused(error.to_string()))?;
    if loaded.created {
        output::say(&format!(
            "made a key for your mesh: {0}. Nodes with the same key may join; for another machine copy the file there: scp -p {0} OTHER:.config/tidings/",
            path.display()
        ));
    }
    Ok(Membership::SwarmKey(loaded.key))
}
