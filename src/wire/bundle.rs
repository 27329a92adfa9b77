//! Bundles: a delta in a file, for meshes without a wire between them.
//!
//! ```text
//! "tidings bundle" 0x00, version (1)
//! chunks: kind (u8), length (u32, little-endian), payload, hash (32 bytes)
//!   0 head:  namespace, what the receiver is taken to have seen, how many writes are expected
//!   1 page:  versions, with the bases they have
//!   2 large: one version, whose value follows
//!   3 end:   what the writer had seen and vouches for, its floors, how many versions there were
//!   4 bytes: a part of the value of the large version before, until all of it is there
//! ```
//!
//! Each hash is blake3 over the hash before it (the first: over the 16 bytes in front) and the chunk, so
//! it holds for all that stands before: the last one is that of the whole.

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::{Page, decode, decode_stored, encode};
use crate::{
    causality::{Floors, SeenSet},
    conflict::{Payload, Version},
    types::Namespace,
};

/// The version of the format that is written, and the newest that is read.
pub const BUNDLE_VERSION: u8 = 1;
/// The first bytes of a bundle, before its version.
const MAGIC: &[u8; 15] = b"tidings bundle\0";
/// The most bytes in one chunk: room for a seen set with millions of holes.
pub const BUNDLE_CHUNK_BYTES_MAX: usize = 32 * 1024 * 1024;
const HEAD_BYTES: usize = 5;
const HASH_BYTES: usize = 32;
/// The most bytes of a large value in one chunk.
pub const BUNDLE_PART_BYTES: usize = 256 * 1024;

/// What a bundle is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHead {
    /// The namespace.
    pub namespace: Namespace,
    /// What is left out: what the receiver is taken to have seen.
    pub since: SeenSet,
    /// So many writes were seen beside that; superseded ones do not come.
    pub expected: u64,
}

/// What a bundle ends with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleEnd {
    /// What the writer had seen, without what it had lost.
    pub frontier: SeenSet,
    /// What was left there of forgotten deletes.
    pub floors: Floors,
    /// How many versions there were.
    pub versions: u64,
}

/// A part of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleChunk {
    /// The first.
    Head(BundleHead),
    /// Versions.
    Page(Page),
    /// A version with a large value, which follows.
    Large(Box<Version>),
    /// A part of the value of the large version before; with the last one, all have the hash that it says.
    Bytes {
        /// The part.
        part: Bytes,
        /// Whether it is the last one.
        last: bool,
    },
    /// The last.
    End(BundleEnd),
}

/// The bytes are no bundle that can be read. `at` is the byte where the chunk begins that is not right: all
/// before it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Something else.
    #[error("this is no bundle: one is written by `tidings export`")]
    NotABundle,
    /// Of a later format.
    #[error("the bundle has format {0}, this program reads up to {BUNDLE_VERSION}: update this program")]
    Newer(u8),
    /// The bytes do not match their hash.
    #[error(
        "the bundle was altered, or damaged on its way: the part at byte {at} does not match its hash; copy it again"
    )]
    Altered {
        /// Where the part begins.
        at: u64,
    },
    /// It ends in the middle.
    #[error("the bundle is cut: it ends in the part at byte {at}; copy it again, all of it")]
    Cut {
        /// Where the part begins.
        at: u64,
    },
    /// The part matches its hash and makes no sense: its writer has a bug, or means no good.
    #[error("the part of the bundle at byte {at} makes no sense: {why}; export it again")]
    Malformed {
        /// Where the part begins.
        at: u64,
        /// What is wrong with it.
        why: String,
    },
}

fn chained(before: &[u8; 32], chunk: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    chunk.iter().for_each(|part| {
        hasher.update(part);
    });
    *hasher.finalize().as_bytes()
}

fn start() -> (Bytes, [u8; 32]) {
    let start = [&MAGIC[..], &[BUNDLE_VERSION]].concat();
    let hash = *blake3::hash(&start).as_bytes();
    (start.into(), hash)
}

/// Writes a bundle, a chunk at a time.
#[derive(Debug)]
pub struct BundleWriter {
    hash: [u8; 32],
    begun: bool,
}

impl Default for BundleWriter {
    fn default() -> Self {
        Self { hash: start().1, begun: false }
    }
}

impl BundleWriter {
    /// The bytes of the next chunk; before the first one stands what every bundle begins with.
    ///
    /// # Errors
    /// When it has more bytes than a chunk may have.
    pub fn chunk(&mut self, chunk: &BundleChunk) -> Result<Bytes, String> {
        let (kind, payload) = match chunk {
            BundleChunk::Head(head) => (0, encode(head)),
            BundleChunk::Page(page) => (1, encode(page)),
            BundleChunk::Large(version) => (2, encode(&Page { versions: vec![(**version).clone()] })),
            BundleChunk::Bytes { part, .. } => (4, part.clone()),
            BundleChunk::End(end) => (3, encode(end)),
        };
        if payload.len() > BUNDLE_CHUNK_BYTES_MAX {
            return Err(format!("a part of {} bytes, the limit is {BUNDLE_CHUNK_BYTES_MAX}", payload.len()));
        }
        let length = u32::try_from(payload.len()).expect("below the limit").to_le_bytes();
        self.hash = chained(&self.hash, &[&[kind], &length, &payload]);
        let before = if std::mem::replace(&mut self.begun, true) { Bytes::new() } else { start().0 };
        Ok([&before[..], &[kind], &length, &payload, &self.hash].concat().into())
    }
}

/// Reads a bundle from bytes as they come; what it gives is verified.
#[derive(Debug)]
pub struct BundleReader {
    bytes: BytesMut,
    at: u64,
    hash: [u8; 32],
    begun: bool,
    headed: bool,
    ended: bool,
    large: Option<Large>,
}

/// A large value that comes.
#[derive(Debug)]
struct Large {
    hash: [u8; 32],
    left: u64,
    came: blake3::Hasher,
}

impl Default for BundleReader {
    fn default() -> Self {
        Self {
            bytes: BytesMut::new(),
            at: 0,
            hash: start().1,
            begun: false,
            headed: false,
            ended: false,
            large: None,
        }
    }
}

impl BundleReader {
    /// More of it has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Where the next chunk begins: all before it was given.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next chunk, if all of it has come.
    ///
    /// # Errors
    /// [`BundleError`]; nothing more is to be had then.
    pub fn next_chunk(&mut self) -> Result<Option<BundleChunk>, BundleError> {
        if !self.begun && !self.begin()? {
            return Ok(None);
        }
        if self.ended && !self.bytes.is_empty() {
            return Err(self.malformed("something follows its end"));
        }
        let Some(head) = self.bytes.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let [kind, length @ ..] = *head;
        let size = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if size > BUNDLE_CHUNK_BYTES_MAX {
            // No writer makes one: what stands there is no length.
            return Err(BundleError::Altered { at: self.at });
        }
        if self.bytes.len() < HEAD_BYTES + size + HASH_BYTES {
            return Ok(None);
        }
        let chunk = self.bytes.split_to(HEAD_BYTES + size + HASH_BYTES).freeze();
        let (payload, said) = (chunk.slice(HEAD_BYTES..HEAD_BYTES + size), &chunk[HEAD_BYTES + size..]);
        let hash = chained(&self.hash, &[&chunk[..HEAD_BYTES], &payload]);
        if hash[..] != *said {
            return Err(BundleError::Altered { at: self.at });
        }
        let read = self.read(kind, &payload)?;
        self.hash = hash;
        self.at += chunk.len() as u64;
        Ok(Some(read))
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// [`BundleError::Cut`] when it does not end with its end.
    pub fn finish(&self) -> Result<(), BundleError> {
        match self.ended && self.bytes.is_empty() {
            true => Ok(()),
            false if self.at == 0 && !MAGIC.starts_with(&self.bytes[..self.bytes.len().min(MAGIC.len())]) => {
                Err(BundleError::NotABundle)
            }
            false => Err(BundleError::Cut { at: self.at }),
        }
    }

    fn begin(&mut self) -> Result<bool, BundleError> {
        let Some(start) = self.bytes.first_chunk::<16>() else { return Ok(false) };
        let [magic @ .., version] = *start;
        if magic != *MAGIC {
            return Err(BundleError::NotABundle);
        }
        if version != BUNDLE_VERSION {
            return Err(BundleError::Newer(version));
        }
        self.bytes.advance(start.len());
        (self.begun, self.at) = (true, 16);
        Ok(true)
    }

    fn malformed(&self, why: impl Into<String>) -> BundleError {
        BundleError::Malformed { at: self.at, why: why.into() }
    }

    fn read(&mut self, kind: u8, payload: &Bytes) -> Result<BundleChunk, BundleError> {
        if self.headed == (kind == 0) {
            return Err(self.malformed("its head does not stand first, and once"));
        }
        if self.large.is_some() != (kind == 4) {
            return Err(self.malformed("a large value is cut"));
        }
        let chunk = match kind {
            0 => BundleChunk::Head(self.whole(payload)?),
            1 => BundleChunk::Page(self.page(payload)?),
            2 => self.large(payload)?,
            4 => self.part(payload)?,
            3 => BundleChunk::End(self.whole(payload)?),
            other => return Err(self.malformed(format!("it is of the unknown kind {other}"))),
        };
        self.headed = true;
        self.ended |= kind == 3;
        Ok(chunk)
    }

    fn whole<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, BundleError> {
        decode_stored(payload).map_err(|error| self.malformed(error.to_string()))
    }

    fn page(&self, payload: &[u8]) -> Result<Page, BundleError> {
        decode(payload).map_err(|error| self.malformed(error.to_string()))
    }

    fn large(&mut self, payload: &Bytes) -> Result<BundleChunk, BundleError> {
        let mut versions = self.page(payload)?.versions;
        let (Some(version), true) = (versions.pop(), versions.is_empty()) else {
            return Err(self.malformed("it is not one version"));
        };
        let Some(Payload::Blob { hash, size }) = version.put().map(|put| &put.payload) else {
            return Err(self.malformed("it has no large value"));
        };
        self.large = Some(Large { hash: *hash, left: *size, came: blake3::Hasher::new() });
        Ok(BundleChunk::Large(Box::new(version)))
    }

    fn part(&mut self, part: &Bytes) -> Result<BundleChunk, BundleError> {
        let wrong = self.malformed("a large value is not the one that its version names");
        let Some(large) = &mut self.large else { return Err(wrong) };
        large.came.update(part);
        match large.left.checked_sub(part.len() as u64) {
            Some(left) if left > 0 && !part.is_empty() => large.left = left,
            Some(0) if *large.came.finalize().as_bytes() == large.hash => {
                self.large = None;
                return Ok(BundleChunk::Bytes { part: part.clone(), last: true });
            }
            _ => return Err(wrong),
        }
        Ok(BundleChunk::Bytes { part: part.clone(), last: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        causality::{Context, Dot, Hlc, NodeId, Origin},
        conflict::{Body, Put},
        types::{ContentType, Key},
    };

    fn version(seq: u64, payload: Payload) -> Version {
        let origin = Origin { node: NodeId([7; 32]), epoch: 1 };
        let body = Body::Put(Put { content_type: ContentType::octets(), payload });
        let key = Key::new("nest").expect("lawful");
        Version { dot: Dot::new(origin, seq), hlc: Hlc(seq), base: None, context: Context::new(), key, body }
    }

    fn chunks() -> Vec<BundleChunk> {
        let bytes = Bytes::from(vec![9; 40_000]);
        let large = Payload::Blob { hash: *blake3::hash(&bytes).as_bytes(), size: 40_000 };
        let small = Payload::Inline(Bytes::from_static(b"egg"));
        let head = BundleHead { namespace: Namespace::default(), since: SeenSet::new(), expected: 2 };
        vec![
            BundleChunk::Head(head),
            BundleChunk::Page(Page { versions: vec![version(1, small)] }),
            BundleChunk::Large(Box::new(version(2, large))),
            BundleChunk::Bytes { part: bytes.slice(..30_000), last: false },
            BundleChunk::Bytes { part: bytes.slice(30_000..), last: true },
            BundleChunk::End(BundleEnd { frontier: SeenSet::new(), floors: Floors::new(), versions: 2 }),
        ]
    }

    fn bundle(chunks: &[BundleChunk]) -> Vec<u8> {
        let mut writer = BundleWriter::default();
        chunks.iter().flat_map(|chunk| writer.chunk(chunk).expect("small").to_vec()).collect()
    }

    /// The chunks that were given, and how it ended.
    fn read(bytes: &[u8], step: usize) -> (Vec<BundleChunk>, Result<(), BundleError>) {
        let (mut reader, mut given) = (BundleReader::default(), Vec::new());
        for part in bytes.chunks(step) {
            reader.push(part);
            loop {
                match reader.next_chunk() {
                    Ok(Some(chunk)) => given.push(chunk),
                    Ok(None) => break,
                    Err(error) => return (given, Err(error)),
                }
            }
        }
        let end = reader.finish();
        (given, end)
    }

    #[test]
    fn a_bundle_is_read_as_it_was_written_however_it_comes() {
        for step in [1, 7, 1_000, 1_000_000] {
            assert_eq!(read(&bundle(&chunks()), step), (chunks(), Ok(())), "{step} bytes at a time");
        }
    }

    #[test]
    fn a_bundle_that_is_cut_anywhere_says_so_and_gives_nothing_beyond() {
        let whole = bundle(&chunks());
        for end in (0..200).chain((200..whole.len()).step_by(997)).chain([whole.len() - 1]) {
            let (given, result) = read(&whole[..end], 4_096);
            assert!(matches!(result, Err(BundleError::Cut { .. })), "cut at {end}: {result:?}");
            assert_eq!(given[..], chunks()[..given.len()], "cut at {end}");
        }
    }

    #[test]
    fn a_bundle_that_is_altered_anywhere_says_so_and_gives_nothing_that_is() {
        let whole = bundle(&chunks());
        for at in (0..400).chain((400..whole.len()).step_by(997)) {
            let mut altered = whole.clone();
            altered[at] ^= 0x20;
            let (given, result) = read(&altered, 4_096);
            let error = result.expect_err("altered");
            assert!(given[..] == chunks()[..given.len()] && given.len() < 6, "altered at {at}");
            let expected = match at {
                0..15 => error == BundleError::NotABundle,
                15 => error == BundleError::Newer(BUNDLE_VERSION ^ 0x20),
                _ => matches!(error, BundleError::Altered { .. } | BundleError::Cut { .. }),
            };
            assert!(expected, "altered at {at}: {error}");
        }
    }

    #[test]
    fn chunks_out_of_order_or_too_many_are_malformed() {
        let all = chunks();
        let malformed = |chunks: &[BundleChunk]| {
            matches!(read(&bundle(chunks), 4_096).1, Err(BundleError::Malformed { .. }))
        };
        assert!(malformed(&all[1..]), "no head");
        assert!(malformed(&[&all[..1], &all[..]].concat()), "two heads");
        assert!(malformed(&[&all[..], &all[1..2]].concat()), "a page behind the end");
        assert!(malformed(&[&all[..3], &all[5..]].concat()), "a large value without its bytes");
        assert!(malformed(&[&all[..1], &all[3..4]].concat()), "bytes of nothing");
        let wrong = BundleChunk::Bytes { part: Bytes::from(vec![8; 40_000]), last: true };
        assert!(malformed(&[&all[..3], &[wrong][..]].concat()), "other bytes than the version names");
    }
}
