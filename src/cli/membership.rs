//! Who may join.

use std::{io, path::Path};

use super::{failure::Failure, output, settings::Join};
use crate::node::Membership;

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
        Join::KeyFile(path) => load(path).map_err(|error| unusable(path, &error))?,
        Join::OwnKey(path) => {
            let (key, made) = load_or_create(path).map_err(|error| unusable(path, &error))?;
            if made {
                say_how_to_copy(path);
            }
            key
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

fn unusable(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::refused(format!("the swarm key {} cannot be used: {error}", path.display()))
}

/// The key in the file.
fn load(_: &Path) -> io::Result<[u8; 32]> {
    unimplemented!("network::libp2p::swarm_key::load")
}

/// The key in the file, and whether it was made just now.
fn load_or_create(_: &Path) -> io::Result<([u8; 32], bool)> {
    unimplemented!("network::libp2p::swarm_key::load_or_create")
}
