//! Earlier versions as they lie in a store: each under its dot, and their names in the record of the key, so
//! that what is kept is known wherever the record is, and a key's history is read without looking at others.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    layout::OriginNo,
    shared::{Origins, Shared},
    stored::{StoredVersion, read_version, stored_version},
};
use crate::{
    causality::{Dot, Hlc},
    conflict::{BaseHash, Version, VersionHash},
    types::Key,
    wire,
};

/// The format of a kept version.
const KEPT_FORMAT: u8 = 1;
/// A hash and the length of the key stand before the key.
const HEAD_BYTES: usize = 1 + 32 + 2;

/// The name of a kept version, in the total order: stamp, origin, sequence.
pub(super) type Rank = (Hlc, Dot);

/// What is kept of a key as its record names it: stamp, origin, number.
#[derive(Serialize, Deserialize)]
struct Names(Vec<(u64, OriginNo, u64)>);

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// The names of what is kept, for the record of their key.
pub(super) fn encode_names<'a>(ranks: impl Iterator<Item = &'a Rank>, origins: &Origins) -> Bytes {
    let number = |origin| origins.number(origin).expect("origins are numbered before they are stored");
    let names = ranks.map(|(hlc, dot)| (hlc.0, number(&dot.origin), dot.seq)).collect();
    wire::encode(&Names(names))
}

/// Reads what [`encode_names`] wrote.
pub(super) fn decode_names(bytes: &[u8], shared: &Shared) -> Result<Vec<Rank>, StoreError> {
    let Names(names) = wire::decode_stored(bytes)
        .map_err(|error| damaged(&format!("the names of earlier versions cannot be read: {error}")))?;
    let origins = shared.origins();
    let rank = |(hlc, no, seq)| {
        let origin = origins.get(no).ok_or_else(|| damaged("an earlier version is of an unknown origin"))?;
        Ok((Hlc(hlc), Dot::new(origin, seq)))
    };
    names.into_iter().map(rank).collect()
}

/// The bytes of an earlier version. All its origins must have numbers.
pub(super) fn encode_kept(version: &Version, origins: &Origins) -> Bytes {
    let key = version.key.as_bytes();
    let mut out = Vec::with_capacity(HEAD_BYTES + version.size_hint());
    out.put_u8(KEPT_FORMAT);
    out.put_slice(&version.hash().0);
    out.put_u16(u16::try_from(key.len()).expect("keys are shorter"));
    out.put_slice(key);
    wire::encode_into(&stored_version(version, origins), &mut out);
    out.into_boxed_slice().into()
}

/// Adds the base that an earlier version has to `met`. One that is damaged has none: nobody reads it.
pub(super) fn base_of(bytes: &[u8], met: &mut BTreeSet<BaseHash>) {
    let length = |head: &[u8]| usize::from(u16::from_be_bytes([head[33], head[34]]));
    let stored = bytes.split_at_checked(HEAD_BYTES).and_then(|(head, rest)| rest.get(length(head)..));
    let version = stored.and_then(|stored| wire::decode_stored::<StoredVersion<'_>>(stored).ok());
    met.extend(version.and_then(|version| version.base));
}

/// Reads an earlier version, and holds it to its hash: unlike what is current it is read rarely, and what
/// rotted must not reach anybody.
pub(super) fn decode_kept(bytes: &Bytes, shared: &Shared) -> Result<Version, StoreError> {
    let cut = || damaged("an earlier version is cut");
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or_else(cut)?;
    if head[0] != KEPT_FORMAT {
        return Err(damaged(&format!("an earlier version of unknown format {}", head[0])));
    }
    let length = usize::from(u16::from_be_bytes([head[33], head[34]]));
    let (key, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let key = Key::from_bytes(key).map_err(|error| damaged(&format!("in an earlier version: {error}")))?;
    let stored: StoredVersion<'_> = wire::decode_stored(rest)
        .map_err(|error| damaged(&format!("an earlier version of {key} cannot be read: {error}")))?;
    let version = read_version(&key, bytes, &stored, shared)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(&head[1..33]);
    if version.hash() != VersionHash(hash) {
        return Err(damaged(&format!("an earlier version of {key} does not match its hash")));
    }
    Ok(version)
}
