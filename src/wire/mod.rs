//! Messages between nodes, and their bytes.
//!
//! Everything that arrives is decoded under a limit and fully consumed or refused. Enums are
//! append-only, maps are ordered, numbers are of fixed width. Golden vectors hold the format.

mod blob;
mod codec;
mod envelope;
mod exchange;
mod frame;
mod link;

pub use blob::{BLOB_CHUNK_BYTES, BlobReply, BlobRequest};
pub use codec::{DecodeError, decode, decode_stored, encode, encode_into};
pub use envelope::{Envelope, EnvelopeError, SignedEnvelope};
pub use exchange::{End, ExchangeFrame, Hello, PAGE_BYTES, PAGE_VERSIONS, Page, SeenPart};
pub use frame::{
    FRAME_BYTES_MAX, FRAME_HEAD_BYTES, Frame, FrameError, FrameHead, FrameReader, PROTOCOL_VERSION,
    read_head, write_frame,
};
pub use link::{
    Answer, Beacon, LINK_ADDRESSES_MAX, LINK_HELLO_NAME_BYTES_MAX, LinkFrame, LinkHello, NEED_SEQS_MAX, Need,
    Needed, PeerAddresses,
};
