//! Records and dot index entries as they lie in a store.
//!
//! A record names origins by their numbers in this store, leaves out its key, and leaves out its
//! context where that follows from the siblings, as it nearly always does. Values are slices of
//! the bytes read: nothing is copied.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    kept::{self, Rank},
    layout::OriginNo,
    plain,
    shared::{Origins, Shared},
};
use crate::{
    causality::{Context, Dot, Hlc},
    conflict::{Base, BaseHash, Body, Payload, Put, Reading, Record, Version, VersionHash},
    types::{ContentType, Key},
    wire,
};

/// The format of a stored record and of a dot index entry.
const STORED_FORMAT: u8 = 1;
/// The format of a record that names earlier versions: the length of their names, the names, and what is in
/// [`STORED_FORMAT`] otherwise.
const WITH_HISTORY_FORMAT: u8 = 3;

#[derive(Serialize, Deserialize)]
struct StoredRecord<'a> {
    /// Absent where it follows from the siblings.
    context: Option<Vec<(OriginNo, u64)>>,
    #[serde(borrow)]
    siblings: Vec<StoredVersion<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredVersion<'a> {
    pub(super) origin: OriginNo,
    pub(super) seq: u64,
    pub(super) hlc: u64,
    pub(super) base: Option<BaseHash>,
    pub(super) context: Vec<(OriginNo, u64)>,
    #[serde(borrow)]
    pub(super) body: StoredBody<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StoredBody<'a> {
    Delete,
    Text(&'a [u8]),
    Json(&'a [u8]),
    Octets(&'a [u8]),
    Other(&'a str, &'a [u8]),
    Blob(&'a str, [u8; 32], u64),
    Until(u64, &'a str, &'a [u8]),
    BlobUntil(u64, &'a str, [u8; 32], u64),
    /// With the stamps of fields, as they are sent.
    Fields(&'a str, &'a [u8], Cow<'a, [u8]>),
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(what.to_owned())
}

/// The bytes of a record. All its origins must have numbers.
pub(super) fn encode_record<'a>(
    record: &Record,
    earlier: impl ExactSizeIterator<Item = &'a Rank>,
    origins: &Origins,
) -> Bytes {
    let stored = StoredRecord {
        context: (!record.context_follows()).then(|| numbered(record.context(), origins)),
        siblings: record.siblings().iter().map(|version| stored_version(version, origins)).collect(),
    };
    let values: usize = record.siblings().iter().map(Version::size_hint).sum();
    let mut out = Vec::with_capacity(values);
    if earlier.len() == 0 {
        out.push(STORED_FORMAT);
    } else {
        let names = kept::encode_names(earlier, origins);
        out.push(WITH_HISTORY_FORMAT);
        out.extend_from_slice(&u16::try_from(names.len()).expect("at most 1,000 names").to_le_bytes());
        out.extend_from_slice(&names);
    }
    wire::encode_into(&stored, &mut out);
    // What the hint was too large by must not stay with the store's memtable.
    out.into_boxed_slice().into()
}

fn numbered(context: &Context, origins: &Origins) -> Vec<(OriginNo, u64)> {
    let number = |origin| origins.number(&origin).expect("origins are numbered before they are stored");
    context.iter().map(|(origin, seq)| (number(origin), seq)).collect()
}

pub(super) fn stored_version<'a>(version: &'a Version, origins: &Origins) -> StoredVersion<'a> {
    StoredVersion {
        origin: origins.number(&version.dot.origin).expect("origins are numbered before they are stored"),
        seq: version.dot.seq,
        hlc: version.hlc.0,
        base: version.base.as_ref().map(Base::hash),
        context: numbered(&version.context, origins),
        body: stored_body(&version.body),
    }
}

fn stored_body(body: &Body) -> StoredBody<'_> {
    let put = match body {
        Body::Delete => return StoredBody::Delete,
        Body::Expiring { put, until } => {
            let content_type = put.content_type.as_str();
            return match &put.payload {
                Payload::Inline(bytes) => StoredBody::Until(*until, content_type, bytes),
                Payload::Blob { hash, size } => StoredBody::BlobUntil(*until, content_type, *hash, *size),
            };
        }
        Body::Fields(Put { content_type, payload: Payload::Inline(bytes) }, stamps) => {
            return StoredBody::Fields(content_type.as_str(), bytes, Cow::Owned(wire::encode(stamps).into()));
        }
        Body::Put(put) | Body::Fields(put, _) => put,
    };
    let content_type = put.content_type.as_str();
    match &put.payload {
        Payload::Blob { hash, size } => StoredBody::Blob(content_type, *hash, *size),
        Payload::Inline(bytes) if put.content_type == ContentType::text() => StoredBody::Text(bytes),
        Payload::Inline(bytes) if put.content_type == ContentType::json() => StoredBody::Json(bytes),
        Payload::Inline(bytes) if put.content_type == ContentType::octets() => StoredBody::Octets(bytes),
        Payload::Inline(bytes) => StoredBody::Other(content_type, bytes),
    }
}

/// Reads the record of `key`; its values share `bytes`.
pub(super) fn decode_record(key: &Key, bytes: &Bytes, shared: &Shared) -> Result<Record, StoreError> {
    let stored: StoredRecord<'_> = decode(bytes, "record")?;
    let mut siblings = Vec::with_capacity(stored.siblings.len());
    for version in stored.siblings {
        siblings.push(read_version(key, bytes, &version, shared)?);
    }
    let origins = shared.origins();
    let record = match stored.context {
        Some(context) => Record::from_parts(siblings, read_context(&context, &origins)?),
        None => Record::from_siblings(siblings),
    };
    Ok(record)
}

/// Adds the bases that the versions of a record have to `met`.
pub(super) fn bases_of(bytes: &[u8], met: &mut BTreeSet<BaseHash>) -> Result<(), StoreError> {
    let stored: StoredRecord<'_> = decode(bytes, "record")?;
    met.extend(stored.siblings.iter().filter_map(|version| version.base));
    Ok(())
}

/// How a [`StoredRecord`] begins when it has one sibling and no context of its own.
const ONE_SIBLING: [u8; 2] = [0, 1];

/// Reads the record of `key` for a reader: what it does not need is not made.
#[inline]
pub(super) fn decode_reading(key: &Key, bytes: &Bytes, shared: &Shared) -> Result<Reading, StoreError> {
    let body = body(bytes, "record")?;
    let Some(rest) = body.strip_prefix(&ONE_SIBLING) else {
        return decode_record(key, bytes, shared).map(Reading::Many);
    };
    let only = match plain::read(rest) {
        Some(only) => only,
        None => wire::decode_stored(rest)
            .map_err(|error| damaged(&format!("a record cannot be read: {error}")))?,
    };
    read_version(key, bytes, &only, shared).map(Reading::One)
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, StoreError> {
    wire::decode_stored(body(bytes, what)?)
        .map_err(|error| damaged(&format!("a {what} cannot be read: {error}")))
}

/// What follows the format.
#[inline]
fn body<'a>(bytes: &'a [u8], what: &str) -> Result<&'a [u8], StoreError> {
    match bytes.split_first() {
        Some((&STORED_FORMAT, rest)) => Ok(rest),
        Some((&WITH_HISTORY_FORMAT, _)) => Ok(names_and_rest(bytes)?.1),
        Some((format, _)) => Err(damaged(&format!("a {what} of unknown format {format}"))),
        None => Err(damaged(&format!("an empty {what}"))),
    }
}

/// The names of earlier versions in a record that has some, and what follows them.
fn names_and_rest(bytes: &[u8]) -> Result<(&[u8], &[u8]), StoreError> {
    let cut = || damaged("a record is cut");
    let (head, rest) = bytes.split_at_checked(3).ok_or_else(cut)?;
    rest.split_at_checked(usize::from(u16::from_le_bytes([head[1], head[2]]))).ok_or_else(cut)
}

/// The names of the earlier versions that a record has.
pub(super) fn decode_names_of(bytes: &[u8], shared: &Shared) -> Result<Vec<Rank>, StoreError> {
    match bytes.first() {
        Some(&WITH_HISTORY_FORMAT) => kept::decode_names(names_and_rest(bytes)?.0, shared),
        _ => Ok(Vec::new()),
    }
}

#[inline]
fn read_context(stored: &[(OriginNo, u64)], origins: &Origins) -> Result<Context, StoreError> {
    if stored.is_empty() {
        return Ok(Context::new());
    }
    stored.iter().map(|(no, seq)| Ok(Dot::new(origin(*no, origins)?, *seq))).collect()
}

#[inline]
fn origin(no: OriginNo, origins: &Origins) -> Result<crate::causality::Origin, StoreError> {
    origins.get(no).ok_or_else(|| damaged(&format!("origin number {no} is unknown")))
}

#[inline]
pub(super) fn read_version(
    key: &Key,
    bytes: &Bytes,
    stored: &StoredVersion<'_>,
    shared: &Shared,
) -> Result<Version, StoreError> {
    let origins = &shared.origins();
    Ok(Version {
        dot: Dot::new(origin(stored.origin, origins)?, stored.seq),
        hlc: Hlc(stored.hlc),
        base: stored
            .base
            .map(|hash| shared.bases().get(&hash).cloned().ok_or_else(|| damaged("a base is unknown")))
            .transpose()?,
        context: read_context(&stored.context, origins)?,
        key: key.clone(),
        body: read_body(bytes, &stored.body)?,
    })
}

#[inline]
fn read_body(bytes: &Bytes, stored: &StoredBody<'_>) -> Result<Body, StoreError> {
    let other = |text: &str| {
        ContentType::new(text).map_err(|error| damaged(&format!("a record has a bad content type: {error}")))
    };
    let (content_type, payload) = match stored {
        StoredBody::Delete => return Ok(Body::Delete),
        StoredBody::Text(value) => (ContentType::text(), Payload::Inline(bytes.slice_ref(value))),
        StoredBody::Json(value) => (ContentType::json(), Payload::Inline(bytes.slice_ref(value))),
        StoredBody::Octets(value) => (ContentType::octets(), Payload::Inline(bytes.slice_ref(value))),
        StoredBody::Fields(text, value, stamps) => {
            let stamps = wire::decode_stored(stamps)
                .map_err(|error| damaged(&format!("the stamps of fields cannot be read: {error}")))?;
            let put = Put { content_type: other(text)?, payload: Payload::Inline(bytes.slice_ref(value)) };
            return Ok(Body::Fields(put, Arc::new(stamps)));
        }
        StoredBody::Other(text, value) | StoredBody::Until(_, text, value) => {
            (other(text)?, Payload::Inline(bytes.slice_ref(value)))
        }
        StoredBody::Blob(text, hash, size) | StoredBody::BlobUntil(_, text, hash, size) => {
            (other(text)?, Payload::Blob { hash: *hash, size: *size })
        }
    };
    let put = Put { content_type, payload };
    Ok(match stored {
        StoredBody::Until(until, ..) | StoredBody::BlobUntil(until, ..) => {
            Body::Expiring { put, until: *until }
        }
        _ => Body::Put(put),
    })
}

/// An entry of the dot index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: VersionHash,
    pub(super) key: Key,
    /// Whether it is in the set that replicas compare: not if it is a delete that stands alone, for
    /// one side may have forgotten what the other remembers.
    pub(super) compared: bool,
}

/// The format of an entry that is not compared.
const UNCOMPARED_FORMAT: u8 = 2;

/// The bytes of a dot index entry: the hash of the version, and the key it was written to.
pub(super) fn encode_dot(hash: VersionHash, key: &Key, compared: bool) -> Bytes {
    let mut out = Vec::with_capacity(33 + key.as_bytes().len());
    out.push(if compared { STORED_FORMAT } else { UNCOMPARED_FORMAT });
    out.extend_from_slice(&hash.0);
    out.extend_from_slice(key.as_bytes());
    out.into()
}

/// Reads a dot index entry.
pub(super) fn decode_dot(bytes: &[u8]) -> Result<Entry, StoreError> {
    match bytes.split_first() {
        Some((&format @ (STORED_FORMAT | UNCOMPARED_FORMAT), rest)) if rest.len() > 32 => {
            let (head, key) = rest.split_at(32);
            let mut hash = [0; 32];
            hash.copy_from_slice(head);
            let key = Key::from_bytes(key).map_err(|error| damaged(&format!("in the dot index: {error}")))?;
            Ok(Entry { hash: VersionHash(hash), key, compared: format == STORED_FORMAT })
        }
        _ => Err(damaged("an entry of the dot index cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causality::{NodeId, Origin};

    fn version(seq: u64) -> Version {
        let put =
            Put { content_type: ContentType::text(), payload: Payload::Inline(Bytes::from_static(b"worm")) };
        let dot = Dot::new(Origin { node: NodeId([7; 32]), epoch: seq }, seq);
        let key = Key::new("nest").expect("lawful");
        Version { dot, hlc: Hlc(seq), base: None, context: Context::new(), key, body: Body::Put(put) }
    }

    #[test]
    fn the_short_way_reads_what_the_general_way_reads() {
        let shared = Shared::default();
        let origin = version(1).dot.origin;
        shared.origins_mut().intern(origin);
        let types = [ContentType::text(), ContentType::json(), ContentType::octets()];
        let numbers = [1, 250, 251, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        for (content_type, number) in types.iter().flat_map(|kind| numbers.map(|number| (kind, number))) {
            let length = usize::try_from(number.min(70_000)).expect("small");
            let payload = Payload::Inline(vec![7; length].into());
            let put = Put { content_type: content_type.clone(), payload };
            let dot = Dot::new(origin, number);
            let version = Version { dot, hlc: Hlc(number), body: Body::Put(put), ..version(1) };
            let bytes =
                encode_record(&Record::from_siblings(vec![version.clone()]), [].iter(), &shared.origins());
            let general: StoredVersion<'_> = wire::decode_stored(&bytes[3..]).expect("just written");
            let short = plain::read(&bytes[3..]).expect("plain");
            let read = |stored| read_version(&version.key, &bytes, &stored, &shared);
            assert_eq!(read(short).expect("numbered"), version);
            assert_eq!(read(general).expect("numbered"), version);
            for end in 3..bytes.len().min(40) {
                assert!(plain::read(&bytes[3..end]).is_none(), "cut at {end}");
            }
        }
    }

    #[test]
    fn readers_find_what_was_stored_however_many_siblings_there_are() {
        let shared = Shared::default();
        for seq in 1..4 {
            shared.origins_mut().intern(version(seq).dot.origin);
        }
        let with_past =
            Record::from_parts(vec![version(2)], [version(1).dot, version(2).dot].into_iter().collect());
        for record in [
            Record::from_siblings(vec![version(1)]),
            Record::from_siblings(vec![version(1), version(3)]),
            Record::from_siblings(vec![]),
            with_past,
        ] {
            let bytes = encode_record(&record, [].iter(), &shared.origins());
            let key = &version(1).key;
            assert_eq!(decode_record(key, &bytes, &shared).expect("just written"), record);
            let reading = decode_reading(key, &bytes, &shared).expect("just written");
            assert_eq!(reading.siblings(), record.siblings());
            let follows = *record.context() == record.context_of_siblings();
            assert_eq!(record.context_follows(), follows);
            let plain = record.siblings().len() == 1 && follows;
            assert_eq!(matches!(reading, Reading::One(_)), plain);
        }
    }
}
