//! Who may join.

use std::path::Path;

use super::{failure::Failure, output};
use crate::node::Membership;

/// The membership that the settings ask for; makes the user's own key at the first start.
///
/// # Errors
/// When the key cannot be read or made.
pub(super) fn membership(swarm_key: Option<&Path>) -> Result<Membership, Failure> {
    let Some(path) = swarm_key else {
        output::say("warning: --open: whoever reaches the port may join, read and write");
        return Ok(Membership::Open);
    };
    let (key, made) =
        load_or_create(path).map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    if made {
        output::say(&format!(
            "made a key for your mesh: {0}. Nodes with the same key may join; for another machine copy the file there: scp -p {0} OTHER:.config/tidings/",
            path.display()
        ));
    }
    Ok(Membership::SwarmKey(key))
}

/// The key in the file, and whether it was made just now.
fn load_or_create(_: &Path) -> std::io::Result<([u8; 32], bool)> {
    unimplemented!("network::libp2p::swarm_key")
}
