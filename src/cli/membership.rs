//! Who may join.

use std::path::Path;

use super::{failure::Failure, output, settings::Join};
use crate::node::{Membership, SwarmKeyError};

/// The membership that the settings ask for; makes the user's own key at the first start.
///
/// # Errors
/// When the key cannot be read or made.
pub(super) fn membership(join: &Join) -> Result<Membership, Failure> {
    let refused = |error: SwarmKeyError| Failure::refused(error.to_string());
    match join {
        Join::Open => {
            output::say("warning: --open: whoever reaches the port may join, read and write");
            Ok(Membership::Open)
        }
        Join::KeyFile(path) => Membership::load(path).map_err(refused),
        Join::OwnKey(path) => {
            let (membership, created) = Membership::load_or_create(path).map_err(refused)?;
            if created {
                say_how_to_copy(path);
            }
            Ok(membership)
        }
    }
}

fn say_how_to_copy(path: &Path) {
    let path = path.display();
    output::say(&format!(
        "made a key for your mesh: {path}. Only nodes with the same key may join: copy the file to the other machines, as in `scp -p {path} OTHER:.config/tidings/`"
    ));
}
