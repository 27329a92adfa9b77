//! Where things lie in a store: one keyspace, the first byte says what a key is.
//!
//! ```text
//! f                        format version (u32)
//! m <name>                 facts about this store: its life, its clock
//! n <ns u16>               namespace of this number
//! o <origin u32>           origin of this number
//! r <ns u16> <key>         record: context and siblings
//! d <ns u16> <origin u32> <seq u64>    dot index: hash and key of a held version
//! b <ns u16> <origin u32> <seq u64>    bytes of a large value, beside its version
//! s <ns u16> <origin u32> <chunk u64>  seen: the intervals of an origin that begin in a chunk
//! g <ns u16> <hlc u64> <origin u32> <seq u64>  deletes that stand alone, by their stamps: the key;
//!                          also records without siblings, under the stamp of their last drop
//! y <ns u16> <hlc u64> <origin u32> <seq u64>  versions dropped on a peer's word: when, and what
//! c <ns u16> <part u32>    the digests, as they were when the store was closed
//! h <hash>                 a base: what it covers
//! x <ns u16> <origin u32> <block u64>  dead: 64 bits; or the last of the blocks that are dead to the
//!                          last bit from here on
//! e <ns u16> <deadline u64> <origin u32> <seq u64>  what expires and is held, by its deadline: the key
//! k <ns u16> <origin u32> <seq u64>    an earlier version that is kept; the record of its key names it
//! ```
//!
//! Numbers in keys are big-endian, so that they sort. Namespaces and origins are numbered per
//! store; no other store knows the numbers.

use bytes::{BufMut, Bytes};

/// The format that this program writes, and the newest it reads.
pub const FORMAT: u32 = 3;

/// The number of a namespace in one store.
pub type NsNo = u16;
/// The number of an origin in one store.
pub type OriginNo = u32;

/// The key of the format version.
pub const FORMAT_KEY: &[u8] = b"f";

/// The key of a fact about the store.
#[must_use]
pub fn fact(name: &str) -> Bytes {
    [b"m", name.as_bytes()].concat().into()
}

/// The key of a namespace's name.
#[must_use]
pub fn namespace(no: NsNo) -> Bytes {
    head(b'n', 3).with_u16(no).done()
}

/// The key of an origin.
#[must_use]
pub fn origin(no: OriginNo) -> Bytes {
    head(b'o', 5).with_u32(no).done()
}

/// The key of a record.
#[must_use]
pub fn record(ns: NsNo, key: &[u8]) -> Bytes {
    head(b'r', 3 + key.len()).with_u16(ns).with_slice(key).done()
}

/// The namespace in the key of a record.
#[must_use]
pub fn ns_of_record(at: &[u8]) -> NsNo {
    at.get(1..3).and_then(|no| no.try_into().ok()).map_or(0, NsNo::from_be_bytes)
}

/// The key of a dot index entry.
#[must_use]
pub fn dot(ns: NsNo, origin: OriginNo, seq: u64) -> Bytes {
    head(b'd', 15).with_u16(ns).with_u32(origin).with_u64(seq).done()
}

/// The key of an earlier version.
#[must_use]
pub fn kept(ns: NsNo, origin: OriginNo, seq: u64) -> Bytes {
    head(b'k', 15).with_u16(ns).with_u32(origin).with_u64(seq).done()
}

/// The key of a large value.
#[must_use]
pub fn blob(ns: NsNo, origin: OriginNo, seq: u64) -> Bytes {
    head(b'b', 15).with_u16(ns).with_u32(origin).with_u64(seq).done()
}

/// The key of a chunk of what was seen of an origin.
#[must_use]
pub fn seen(ns: NsNo, origin: OriginNo, chunk: u64) -> Bytes {
    head(b's', 15).with_u16(ns).with_u32(origin).with_u64(chunk).done()
}

/// The key of 64 bits of dead dots.
#[must_use]
pub fn dead(ns: NsNo, origin: OriginNo, block: u64) -> Bytes {
    head(b'x', 15).with_u16(ns).with_u32(origin).with_u64(block).done()
}

/// The key of a delete that stands alone, or of a record that was left without siblings.
#[must_use]
pub fn forgettable(ns: NsNo, hlc: u64, origin: OriginNo, seq: u64) -> Bytes {
    head(b'g', 23).with_u16(ns).with_u64(hlc).with_u32(origin).with_u64(seq).done()
}

/// The key of what expires at `deadline`.
#[must_use]
pub fn deadline(ns: NsNo, deadline: u64, origin: OriginNo, seq: u64) -> Bytes {
    head(b'e', 23).with_u16(ns).with_u64(deadline).with_u32(origin).with_u64(seq).done()
}

/// The deadline in such a key.
#[must_use]
pub fn deadline_of(at: &[u8]) -> u64 {
    at.get(3..11).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// The key of a version that was dropped on a peer's word at `hlc`.
#[must_use]
pub fn dropped(ns: NsNo, hlc: u64, origin: OriginNo, seq: u64) -> Bytes {
    head(b'y', 23).with_u16(ns).with_u64(hlc).with_u32(origin).with_u64(seq).done()
}

/// The key of a part of the digests as they were when the store was closed.
#[must_use]
pub fn checkpoint(ns: NsNo, part: u32) -> Bytes {
    head(b'c', 7).with_u16(ns).with_u32(part).done()
}

/// The key of a base.
#[must_use]
pub fn base(hash: &[u8; 32]) -> Bytes {
    head(b'h', 33).with_slice(hash).done()
}

/// The first key and the first key after all keys that begin with `tag`.
#[must_use]
pub fn all(tag: u8) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(&[tag]), Bytes::copy_from_slice(&[tag + 1]))
}

/// The first key after all that begin with `prefix`.
#[must_use]
pub fn after(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

/// Filled to its capacity, a vector becomes [`Bytes`] without another allocation.
struct Head(Vec<u8>);

fn head(tag: u8, capacity: usize) -> Head {
    let mut bytes = Vec::with_capacity(capacity);
    bytes.put_u8(tag);
    Head(bytes)
}

impl Head {
    fn with_u16(mut self, n: u16) -> Self {
        self.0.put_u16(n);
        self
    }

    fn with_u32(mut self, n: u32) -> Self {
        self.0.put_u32(n);
        self
    }

    fn with_u64(mut self, n: u64) -> Self {
        self.0.put_u64(n);
        self
    }

    fn with_slice(mut self, bytes: &[u8]) -> Self {
        self.0.put_slice(bytes);
        self
    }

    fn done(self) -> Bytes {
        self.0.into()
    }
}
