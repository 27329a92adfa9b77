//! Who may join.

use std::path::Path;

use super::{failure::Failure, output, settings::Join};
use crate::{network::libp2p::swarm_key, node::Membership};

/// The membership that the settings ask for; makes the user's own key at the first start.
///
/// # Errors
/// When the key cannot be read or made.
pub(super) fn membership(join: &Join) -> Result<Membership, Failure> {
    let key = match join {
        Join::Open => {
            output::say("warning: --open: whoever reaches the port may join, read and write");
            return Ok(Membership::Open);
        }
        Join::KeyFile(path) => swarm_key::load(path).map_err(|error| Failure::refused(error.to_string()))?,
        Join::OwnKey(path) => {
            let loaded =
                swarm_key::load_or_create(path).map_err(|error| Failure::refused(error.to_string()))?;
            if loaded.created {
                say_how_to_copy(path);
            }
            loaded.key
        }
    };
    Ok(Membership::SwarmKey(key))
}

fn say_how_to_copy(path: &Path) {
    let path = path.display();
    output::say(&format!(
        "made a key for your mesh: {path}. Only nodes with the same key may join: copy the file to the other machines, as in `scp -p {path} OTHER:.config/tidings/`"
    ));
}
