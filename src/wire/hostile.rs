//! What a hostile or broken peer may send: nothing makes a reader fail, or keep more than a frame.

use bytes::Bytes;
use proptest::{collection, prelude::*};

use super::{golden::*, *};
use crate::{
    causality::{Context, Dot, Hlc, NodeId, Origin, SEQ_MAX},
    conflict::{Body, Payload, Put, Version},
    types::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, ContentType, NAMESPACES_MAX, Namespace},
};

/// Reads `bytes` as every message there is.
fn read_as_all(bytes: &[u8]) {
    for kind in 0..8 {
        let frame = Frame { kind, payload: Bytes::copy_from_slice(bytes) };
        _ = LinkFrame::from_frame(&frame).map(|frame| frame.to_bytes());
        _ = ExchangeFrame::from_frame(&frame).map(|frame| frame.to_bytes());
        _ = BlobRequest::from_frame(&frame);
        _ = BlobReply::from_frame(&frame);
    }
    _ = decode::<Version>(bytes).map(|version| version.hash());
    _ = SignedEnvelope::from_bytes(bytes).map(|signed| signed.open().is_ok());
    _ = decode::<Envelope>(bytes);
}

/// What a message would be with all these bytes in the place of its payload.
fn framed(kind: u8, payload: &[u8]) -> Frame {
    Frame { kind, payload: Bytes::copy_from_slice(payload) }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in collection::vec(any::<u8>(), 0..400)) {
        read_as_all(&bytes);
        let mut reader = FrameReader::new();
        reader.push(&bytes);
        while let Ok(Some(_)) = reader.next_frame() {}
    }

    #[test]
    fn flipped_bits_do_no_harm(which in 0..frames().len(), flips in collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..6)) {
        let (name, bytes) = &frames()[which];
        let mut bytes = bytes.to_vec();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if let Ok(read) = again(name, &bytes) && !read.is_empty() {
            prop_assert!(again(name, &read).is_ok(), "what was read can be written and read again");
        }
        read_as_all(&bytes[FRAME_HEAD_BYTES..]);
    }

    #[test]
    fn frames_are_the_same_however_the_stream_is_split(cuts in collection::vec(1..40_usize, 1..200)) {
        let all: Vec<_> = frames();
        let stream: Vec<u8> = all.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        let (mut reader, mut rest, mut found) = (FrameReader::new(), &stream[..], vec![]);
        for cut in cuts.iter().cycle() {
            let (piece, left) = rest.split_at((*cut).min(rest.len()));
            reader.push(piece);
            while let Some(frame) = reader.next_frame().expect("frames of ours") {
                found.push(write_frame(frame.kind, &frame.payload));
            }
            rest = left;
            if rest.is_empty() { break; }
        }
        prop_assert!(reader.is_empty());
        prop_assert_eq!(found, all.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_cut_at_any_byte_or_followed_by_one_is_refused() {
    for (name, bytes) in frames().into_iter().filter(|(name, _)| *name != "blob-1-chunk") {
        let (kind, payload) = (bytes[1], &bytes[FRAME_HEAD_BYTES..]);
        for length in 0..payload.len() {
            let cut = write_frame(kind, &payload[..length]);
            assert!(again(name, &cut).is_err(), "{name} cut to {length}");
        }
        let longer = write_frame(kind, &[payload, &[0]].concat());
        assert!(again(name, &longer).is_err(), "{name} with a byte after it");
    }
    let signed = envelope().to_bytes();
    for length in 0..signed.len() {
        assert!(SignedEnvelope::from_bytes(&signed[..length]).is_err(), "cut to {length}");
    }
    let payload = envelope().payload;
    for length in 0..payload.len() {
        let cut = SignedEnvelope::new(envelope().signer, [0; 64], payload.slice(..length));
        assert!(cut.open().is_err(), "cut to {length}");
    }
}

#[test]
fn a_length_that_is_claimed_and_does_not_come_is_refused() {
    // The longest lengths that bincode can claim, at each place of each message.
    for bomb in
        [&[0xfc, 0xff, 0xff, 0xff, 0xff][..], &[0xfd; 9], &[0xfd, 0, 0, 0, 0, 1, 0, 0, 0], &[0xfe; 17]]
    {
        for (_, bytes) in frames() {
            let payload = &bytes[FRAME_HEAD_BYTES..];
            for at in 0..payload.len() {
                read_as_all(&[&payload[..at], bomb].concat());
            }
        }
    }
}

#[test]
fn a_frame_of_another_version_or_too_long_is_refused_by_its_head() {
    let head = |version: u8, length: u32| {
        let [a, b, c, d] = length.to_le_bytes();
        read_head([version, 0, a, b, c, d])
    };
    let max = u32::try_from(FRAME_BYTES_MAX).expect("fits");
    assert_eq!(head(PROTOCOL_VERSION, max), Ok(FrameHead { kind: 0, length: FRAME_BYTES_MAX }));
    assert_eq!(head(PROTOCOL_VERSION, max + 1), Err(FrameError::TooLong(FRAME_BYTES_MAX + 1)));
    assert_eq!(head(PROTOCOL_VERSION + 1, 0), Err(FrameError::Version(PROTOCOL_VERSION + 1)));
    let mut reader = FrameReader::new();
    reader.push(&[PROTOCOL_VERSION, 0, 0xff, 0xff, 0xff, 0xff]);
    assert!(reader.next_frame().is_err(), "nobody waits for four gigabytes");
    assert!(decode::<Bytes>(&vec![0; FRAME_BYTES_MAX + 1]).is_err());
}

#[test]
fn lists_and_texts_keep_to_their_bounds() {
    let namespace = Namespace::default();
    let origin = Origin { node: NodeId([1; 32]), epoch: 1 };
    let need = |first, last| encode(&Need { namespace: namespace.clone(), origin, first, last });
    for (first, last, lawful) in [
        (1, 256, true),
        (1, 257, false),
        (0, 1, false),
        (2, 1, false),
        (SEQ_MAX, SEQ_MAX, true),
        (SEQ_MAX, SEQ_MAX + 1, false),
        (1, u64::MAX, false),
    ] {
        assert_eq!(LinkFrame::from_frame(&framed(3, &need(first, last))).is_ok(), lawful, "{first}..={last}");
    }
    let needed = |answers: Vec<u64>| {
        let answers = answers.into_iter().map(|seq| (seq, Answer::Unknown)).collect();
        let needed = Needed { namespace: namespace.clone(), origin, answers };
        LinkFrame::from_frame(&framed(4, &encode(&needed))).is_ok()
    };
    assert!(needed((1..=256).collect()));
    assert!(!needed((1..=257).collect()) && !needed(vec![2, 1]) && !needed(vec![0]));
    let beacon = |namespaces: usize, neighbours: usize| {
        let beacon =
            Beacon { seen: vec![(namespace.clone(), 1); namespaces], neighbours: vec![1; neighbours] };
        LinkFrame::from_frame(&framed(1, &encode(&beacon))).is_ok()
    };
    assert!(beacon(NAMESPACES_MAX, BEACON_NEIGHBOURS_MAX));
    assert!(!beacon(NAMESPACES_MAX + 1, 0) && !beacon(0, BEACON_NEIGHBOURS_MAX + 1));
    let hello = |name: usize, listen: Vec<String>| LinkHello {
        mesh: "m".into(),
        name: "ä".repeat(name),
        epoch: 1,
        instance: 0x0123_4567_89ab_cdef,
        wall_ms: 1,
        listen,
    };
    let address = |bytes: usize| vec!["x".repeat(bytes)];
    let read = |hello: &LinkHello| LinkFrame::from_frame(&framed(0, &encode(hello)));
    for (hello, lawful) in [
        (hello(64, address(ADDRESS_BYTES_MAX)), true),
        (hello(65, vec![]), false),
        (hello(1, address(ADDRESS_BYTES_MAX + 1)), false),
        (hello(1, vec![String::new(); PEER_ADDRESSES_MAX + 1]), false),
    ] {
        assert_eq!(read(&hello).is_ok(), lawful);
        let sent = LinkFrame::Hello(hello).to_bytes();
        assert!(
            LinkFrame::from_frame(&framed(0, &sent[FRAME_HEAD_BYTES..])).is_ok(),
            "what is sent is fitted"
        );
    }
    let chunk = |bytes| BlobReply::from_frame(&framed(1, &vec![0; bytes])).is_ok();
    assert!(chunk(BLOB_CHUNK_BYTES) && !chunk(BLOB_CHUNK_BYTES + 1));
}

#[test]
fn a_page_and_an_envelope_keep_to_their_counts() {
    let origin = Origin { node: NodeId([1; 32]), epoch: 1 };
    let version = |seq| Version { dot: Dot::new(origin, seq), ..delete(origin) };
    let versions = |count: usize| (1..=count as u64).map(version).collect::<Vec<_>>();
    for (count, lawful) in [(PAGE_VERSIONS, true), (PAGE_VERSIONS + 1, false)] {
        let page = Page { versions: versions(count) };
        assert_eq!(ExchangeFrame::from_frame(&framed(2, &encode(&page))).is_ok(), lawful);
    }
    let envelope = |versions| {
        let payload = encode(&Envelope { namespace: Namespace::default(), versions });
        SignedEnvelope::new(origin.node, [0; 64], payload).open()
    };
    assert!(envelope(versions(BATCH_OPERATIONS_MAX)).is_ok());
    assert!(envelope(versions(BATCH_OPERATIONS_MAX + 1)).is_err());
    assert_eq!(envelope(vec![]), Err(EnvelopeError::Count(0)));
    assert_eq!(envelope(vec![version(2), version(1)]), Err(EnvelopeError::Order));
    let forged = Version { dot: Dot::new(Origin { node: NodeId([2; 32]), epoch: 1 }, 1), ..version(1) };
    assert!(matches!(envelope(vec![forged]), Err(EnvelopeError::ForgedOrigin { .. })));
    let other_life = Version { dot: Dot::new(Origin { epoch: 2, ..origin }, 2), ..version(1) };
    assert_eq!(envelope(vec![version(1), other_life]), Err(EnvelopeError::Order));
}

#[test]
fn a_full_batch_fits_a_message_and_what_does_not_is_split() {
    let origin = Origin { node: NodeId([1; 32]), epoch: u64::MAX };
    let full = |writers: u8| {
        let context: Context = (2..2 + writers)
            .map(|n| Dot::new(Origin { node: NodeId([n; 32]), epoch: u64::MAX }, SEQ_MAX))
            .collect();
        let content_type = ContentType::new(&format!("x/{}", "y".repeat(253))).expect("lawful");
        let payload = Payload::Inline(vec![0; BATCH_BYTES_MAX / BATCH_OPERATIONS_MAX].into());
        let body = Body::Put(Put { content_type, payload });
        let version = Version { hlc: Hlc(u64::MAX), context, body, ..delete(origin) };
        let numbered = |seq| Version { dot: Dot::new(origin, SEQ_MAX - seq), ..version.clone() };
        let versions = (0..BATCH_OPERATIONS_MAX as u64).rev().map(numbered).collect();
        Envelope { namespace: Namespace::default(), versions }
    };
    assert_eq!(full(10).fitted().len(), 1);
    let crowded = full(100);
    let parts = crowded.clone().fitted();
    assert!(parts.len() > 1);
    for part in &parts {
        let signed = SignedEnvelope::new(origin.node, [0; 64], encode(part));
        let read = SignedEnvelope::from_bytes(&signed.to_bytes()).and_then(|signed| signed.open());
        assert_eq!(read.as_ref(), Ok(part));
    }
    assert_eq!(parts.into_iter().flat_map(|part| part.versions).collect::<Vec<_>>(), crowded.versions);
}

fn delete(origin: Origin) -> Version {
    let key = "k".parse().expect("lawful");
    Version {
        dot: Dot::new(origin, 1),
        hlc: Hlc(1),
        base: None,
        context: Default::default(),
        key,
        body: Body::Delete,
    }
}
