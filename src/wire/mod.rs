//! Messages between nodes, and their bytes.
//!
//! Everything that arrives is decoded under a limit and fully consumed or refused; lists, texts and
//! numbers have bounds of their own. Enums are append-only, maps are ordered, numbers are of fixed
//! width, no type is recursive and no list has elements without bytes. The files in `golden/` hold
//! the format: a change of them is a change of the protocol.
//!
//! What is decoded may have been written in a longer way than this program writes it (a number in
//! more bytes than it needs). So signatures are checked over the bytes that came, and hashes of
//! versions are made of what was read, written anew.

mod blob;
mod bounds;
mod bundle;
mod carrier;
mod codec;
mod envelope;
mod exchange;
mod frame;
mod held;
mod lending;
mod link;
mod ranges;
mod versions;
mod way;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;

pub use blob::{BLOB_CHUNK_BYTES, BlobReply, BlobRequest};
pub use bundle::{
    BUNDLE_CHUNK_BYTES_MAX, BUNDLE_PART_BYTES, BUNDLE_VERSION, BundleChunk, BundleEnd, BundleError,
    BundleHead, BundleReader, BundleWriter,
};
pub use carrier::{CARRIER_REASON_BYTES_MAX, CarrierFrame, CarrierHello};
pub use codec::{DecodeError, decode, decode_stored, encode, encode_into};
pub use envelope::{ENVELOPE_BYTES_MAX, Envelope, EnvelopeError, SignedEnvelope};
pub use exchange::{End, ExchangeFrame, Hello, PAGE_BYTES, PAGE_VERSIONS, Page, SeenPart, SeenSince};
pub use frame::{
    FRAME_BYTES_MAX, FRAME_HEAD_BYTES, Frame, FrameError, FrameHead, FrameReader, PROTOCOL_VERSION,
    read_head, write_frame,
};
pub use held::{HELD_WRITES, Held};
pub use lending::{Got, Lacking};
pub use link::{
    ADDRESS_BYTES_MAX, Answer, BEACON_NEIGHBOURS_MAX, Beacon, LINK_ADDRESSES_MAX, LINK_HELLO_NAME_BYTES_MAX,
    LinkFrame, LinkHello, NEED_SEQS_MAX, NEEDED_ANSWERS_MAX, NEEDED_BYTES, Need, Needed, PEER_ADDRESSES_MAX,
    PeerAddresses,
};
pub use ranges::{
    CLAIMS_MAX, Claim, Claims, Descent, Items, Parts, RANGES_MAX, Range, RangeHeld, Verdict, Verdicts, Wants,
};
pub use way::Way;
