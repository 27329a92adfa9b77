//! `/tidings/sync/1`: one exchange between two nodes, both directions at once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Claims, Descent, Frame, FrameError, Got, Items, Lacking, Verdicts, Wants, Way, bounds, decode, encode,
    write_frame,
};
use crate::{
    causality::{Floors, Intervals, SeenSet},
    conflict::Version,
    types::Namespace,
};

/// A page is closed when it holds this many bytes; it holds at least one version.
pub const PAGE_BYTES: usize = 64 * 1024;
/// The most versions in one page.
pub const PAGE_VERSIONS: usize = 1_000;

/// A message of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeFrame {
    /// The first frame each way; equal hashes end the exchange.
    Hello(Hello),
    /// What the sender has seen, or a part of it.
    Seen(SeenPart),
    /// Versions that the receiver has not seen.
    Page(Page),
    /// All that the receiver had not seen has been sent.
    End(End),
    /// In the place of a hello: the sender has no room for an exchange now; ask again later.
    Busy,
    /// In the place of a hello: the sender does not carry the namespace.
    NotCarried,
    /// Ranges are compared: one step down.
    Descent(Descent),
    /// Versions that only the sender holds.
    Claims(Claims),
    /// What becomes of claims.
    Verdicts(Verdicts),
    /// Versions that settle claims.
    Items(Items),
    /// The sender claims no more of what the descent found; it may of what becomes live meanwhile.
    Claimed,
    /// The sender claims nothing more at all. It answers still.
    Bye,
    /// What the sender has seen, as it differs from what both had when they last parted.
    SeenSince(SeenSince),
    /// Before the hello of the end that opened the stream, if versions go one way only: which one, as
    /// that end sees it.
    Way(Way),
    /// Which of the writes that the sender lacks it would have.
    Wants(Wants),
    /// Claims that bring what they claim: what was wanted.
    Offers(Items),
    /// What the earliest verdicts that wanted something, and were not answered with this, wanted is sent.
    Sent,
    /// What the sender has seen meanwhile of what it is being sent.
    Got(Got),
    /// In the place of a hello: the sender is sent what it lacks by another, and asks for a part of it.
    Lacking(Lacking),
    /// After that: send one page.
    More,
}

/// What is compared, and the hash of what the sender has seen of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The namespace compared.
    pub namespace: Namespace,
    /// [`SeenSet::hash`] of what the sender has seen, cut to 16 bytes.
    pub seen_hash: [u8; 16],
    /// [`Floors::hash`] of what is left of the deletes that the sender has forgotten.
    pub floors_hash: [u8; 16],
    /// The hash of all that the sender holds of what is compared; absent while it is not known yet.
    pub root: Option<[u8; 32]>,
    /// Drawn for this exchange: digests are keyed with it.
    pub nonce: u64,
    /// The tag of what the two had seen between them when they last parted, if the sender remembers
    /// that. Where both remember the same, each says how far it differs; else it shows everything.
    pub parting: Option<[u8; 8]>,
}

/// A part of what the sender has seen: all parts together are its seen set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPart {
    /// The part.
    pub set: SeenSet,
    /// Whether another part follows.
    pub more: bool,
    /// With the last part: what is left of the deletes that the sender has forgotten.
    pub floors: Option<Floors>,
}

/// The most origins that either list of [`SeenSince`] may name.
const SINCE_ORIGINS_MAX: usize = 1_024;

/// What the sender has seen, as it differs from what both had seen between them when they last parted.
/// An origin that stands there is named by its place, counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenSince {
    /// What was seen besides.
    #[serde(deserialize_with = "bounds::list::<_, _, SINCE_ORIGINS_MAX>")]
    pub more: Vec<(u32, Intervals)>,
    /// What was not seen, though it stands there.
    #[serde(deserialize_with = "bounds::list::<_, _, SINCE_ORIGINS_MAX>")]
    pub fewer: Vec<(u32, Intervals)>,
    /// What was seen of origins that do not stand there.
    pub fresh: SeenSet,
    /// What is left of the deletes that the sender has forgotten; absent where the hellos say that it is
    /// the same at both.
    pub floors: Option<Floors>,
}

/// Versions in dot order, applied as one atomic batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The versions, at most [`PAGE_VERSIONS`].
    #[serde(with = "super::versions")]
    pub versions: Vec<Version>,
}

/// The sender's frontier is what it said it has seen, without what it found lost on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Writes that the sender has seen and does not vouch for: neither held nor dead.
    pub lost: SeenSet,
}

impl Hello {
    /// The hello of a replica that has seen `seen`, and remembers no parting.
    #[must_use]
    pub fn new(
        namespace: Namespace,
        seen: &SeenSet,
        floors: &Floors,
        root: Option<[u8; 32]>,
        nonce: u64,
    ) -> Self {
        let mut seen_hash = [0; 16];
        seen_hash.copy_from_slice(&seen.hash()[..16]);
        Self { namespace, seen_hash, floors_hash: floors.hash(), root, nonce, parting: None }
    }
}

impl ExchangeFrame {
    /// What it is, in words.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "a hello",
            Self::Seen(_) | Self::SeenSince(_) => "a seen set",
            Self::Page(_) => "a page",
            Self::End(_) => "an end",
            Self::Busy => "that it is busy",
            Self::NotCarried => "that it does not carry the namespace",
            Self::Descent(_) => "digests of ranges",
            Self::Claims(_) => "claims",
            Self::Verdicts(_) => "verdicts",
            Self::Items(_) => "items",
            Self::Claimed => "that all is claimed",
            Self::Bye => "a bye",
            Self::Way(_) => "which way versions go",
            Self::Wants(_) => "what it wants",
            Self::Offers(_) => "offers",
            Self::Sent => "that all is sent",
            Self::Got(_) => "what it has seen meanwhile",
            Self::Lacking(_) => "what it lacks",
            Self::More => "that one more page may come",
        }
    }

    /// Whether it brings versions. Of such frames only a few are read ahead of the stream.
    #[must_use]
    pub const fn brings_versions(&self) -> bool {
        matches!(self, Self::Page(_) | Self::Items(_) | Self::Offers(_))
    }

    /// The frame as it stands on the stream.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Hello(hello) => write_frame(0, &encode(hello)),
            Self::Seen(part) => write_frame(1, &encode(part)),
            Self::Page(page) => write_frame(2, &encode(page)),
            Self::End(end) => write_frame(3, &encode(end)),
            Self::Busy => write_frame(4, &[]),
            Self::NotCarried => write_frame(5, &[]),
            Self::Descent(descent) => write_frame(6, &encode(descent)),
            Self::Claims(claims) => write_frame(7, &encode(claims)),
            Self::Verdicts(verdicts) => write_frame(8, &encode(verdicts)),
            Self::Items(items) => write_frame(9, &encode(items)),
            Self::Claimed => write_frame(10, &[]),
            Self::Bye => write_frame(11, &[]),
            Self::SeenSince(since) => write_frame(12, &encode(since)),
            Self::Way(way) => write_frame(13, &encode(way)),
            Self::Wants(wants) => write_frame(14, &encode(wants)),
            Self::Offers(items) => write_frame(15, &encode(items)),
            Self::Sent => write_frame(16, &[]),
            Self::Got(got) => write_frame(17, &encode(got)),
            Self::Lacking(lacking) => write_frame(18, &encode(lacking)),
            Self::More => write_frame(19, &[]),
        }
    }

    /// Reads a frame of this stream.
    ///
    /// # Errors
    /// When the kind is unknown or the payload malformed.
    pub fn from_frame(frame: &Frame) -> Result<Self, FrameError> {
        let payload = &frame.payload;
        Ok(match frame.kind {
            0 => Self::Hello(decode(payload)?),
            1 => Self::Seen(decode(payload)?),
            2 => Self::Page(decode(payload)?),
            3 => Self::End(decode(payload)?),
            4 => decode(payload).map(|()| Self::Busy)?,
            5 => decode(payload).map(|()| Self::NotCarried)?,
            6 => Self::Descent(decode(payload)?),
            7 => Self::Claims(decode(payload)?),
            8 => Self::Verdicts(decode(payload)?),
            9 => Self::Items(decode(payload)?),
            10 => decode(payload).map(|()| Self::Claimed)?,
            11 => decode(payload).map(|()| Self::Bye)?,
            12 => Self::SeenSince(decode(payload)?),
            13 => Self::Way(decode(payload)?),
            14 => Self::Wants(decode(payload)?),
            15 => Self::Offers(decode(payload)?),
            16 => decode(payload).map(|()| Self::Sent)?,
            17 => Self::Got(decode(payload)?),
            18 => Self::Lacking(decode(payload)?),
            19 => decode(payload).map(|()| Self::More)?,
            kind => return Err(FrameError::Kind(kind)),
        })
    }
}
