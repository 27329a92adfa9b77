//! One sample of every message, held to its bytes in `golden/`.
//!
//! After a change that is meant, write them anew: `TIDINGS_GOLDEN=write cargo test --lib golden`,
//! and read the difference: what peers of the version before cannot read needs a new kind of frame
//! or a new protocol version.

use std::{fmt::Write, fs, path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::*;
use crate::{
    causality::{Context, Dot, Floors, Hlc, Intervals, NodeId, Origin, SeenSet},
    conflict::{Base, Body, Payload, Put, Record, Strategy, Version},
    replica::{Precondition, Rules, plan_write},
    types::{ContentType, Key, Namespace},
};

const ANT: Origin = Origin { node: NodeId([0xa1; 32]), epoch: 0x0102_0304_0506_0708 };
const BAT: Origin = Origin { node: NodeId([0xb2; 32]), epoch: 9 };

fn put() -> Version {
    let content_type = ContentType::text();
    let body = Body::Put(Put { content_type, payload: Payload::Inline(Bytes::from_static(b"hello")) });
    let context: Context = [Dot::new(BAT, 300)].into_iter().collect();
    let key = Key::new("users/ant").expect("lawful");
    let hlc = Hlc(Hlc::from_millis(1_800_000_000_000).0 | 5);
    Version { dot: Dot::new(ANT, 1), hlc, base: None, context, key, body }
}

fn large() -> Version {
    let payload = Payload::Blob { hash: [0xcc; 32], size: 70_000 };
    let body = Body::Put(Put { content_type: ContentType::octets(), payload });
    Version {
        dot: Dot::new(ANT, 70_000),
        base: Some(Base::new(Arc::new([Dot::new(BAT, 4)].into_iter().collect()))),
        body,
        ..put()
    }
}

/// One field of three was changed, one removed; another is as an earlier write left it.
fn fields() -> Version {
    let json = |text: &'static str| {
        let payload = Payload::Inline(Bytes::from_static(text.as_bytes()));
        Body::Put(Put { content_type: ContentType::json(), payload })
    };
    let rules = Rules { strategy: &Strategy::MergeFields, ..Rules::default() };
    let write = |current: Option<&Record>, dot, text| {
        let stamp = |_: &[Version]| Hlc::from_millis(1_800_000_000_000 + u64::from(current.is_some()));
        plan_write(current, put().key, dot, json(text), Precondition::None, None, rules, stamp)
            .expect("lawful")
    };
    let first = write(None, Dot::new(BAT, 1), r#"{"a":1,"b":{"c":2,"d":3},"e":4}"#);
    write(Some(&first.plan.record), Dot::new(ANT, 1), r#"{"a":1,"b":{"c":2,"d":5}}"#).version
}

fn delete() -> Version {
    Version { dot: Dot::new(BAT, 2), context: Context::new(), body: Body::Delete, ..put() }
}

fn expiring() -> Version {
    let put = put().put().cloned().expect("a put");
    Version { body: Body::Expiring { put, until: 1_800_000_030_000 }, ..self::put() }
}

fn seen() -> SeenSet {
    let mut seen = SeenSet::new();
    seen.insert_range(ANT, 1, 1_000);
    seen.insert_range(ANT, 1_002, 1_002);
    seen.insert_range(BAT, 7, 70_000);
    seen
}

fn floors() -> Floors {
    Floors {
        covered: [Dot::new(ANT, 7), Dot::new(BAT, 400)].into_iter().collect(),
        deletes: [Dot::new(BAT, 401)].into_iter().collect(),
    }
}

fn descent() -> Descent {
    let range = Range::Origins { level: 1, index: 0 };
    let blocks = Range::Blocks { origin: 1, level: 2, index: 70_000 };
    let (mut held, mut lacking) = (Held([u64::MAX; 16]), Held::default());
    (held.0[3], held.0[5], lacking.0[15]) = (0, 0xff00, 0b1001);
    Descent {
        ranges: vec![
            Parts { range, present: 0b101, digests: vec![[1; 8], [2; 8]] },
            Parts { range: blocks, present: 1 << 15, digests: vec![[3; 8]] },
        ],
        held: vec![RangeHeld { origin: 0, index: 9, writes: held }],
        lacking: vec![RangeHeld { origin: 1, index: 300, writes: lacking }],
        colliding: vec![(1, 9)],
        more: false,
    }
}

fn hello() -> LinkHello {
    LinkHello {
        mesh: "default".into(),
        name: "ant".into(),
        epoch: ANT.epoch,
        instance: 0x0123_4567_89ab_cdef,
        wall_ms: 1_800_000_000_000,
        listen: vec!["/ip4/10.0.0.1/tcp/7701".into()],
    }
}

/// Frames of a stream: name, bytes.
pub fn frames() -> Vec<(&'static str, Bytes)> {
    let namespace = Namespace::default();
    let listen = hello().listen;
    let link = [
        ("link-0-hello", LinkFrame::Hello(hello())),
        (
            "link-1-beacon",
            LinkFrame::Beacon(Beacon {
                seen: vec![(namespace.clone(), seen().tag())],
                neighbours: vec![1, 70_000],
            }),
        ),
        ("link-2-addresses", LinkFrame::Addresses(vec![PeerAddresses { peer: BAT.node, addresses: listen }])),
        (
            "link-3-need",
            LinkFrame::Need(Need { namespace: namespace.clone(), origin: ANT, first: 1, last: 256 }),
        ),
        (
            "link-4-needed",
            LinkFrame::Needed(Needed {
                namespace: namespace.clone(),
                origin: ANT,
                answers: vec![(1, Answer::Version(put())), (2, Answer::Unknown)],
            }),
        ),
        ("link-5-blocked", LinkFrame::Blocked),
        ("link-6-twin", LinkFrame::Twin),
    ];
    let sync = [
        (
            "sync-0-hello",
            ExchangeFrame::Hello(Hello::new(namespace.clone(), &seen(), &floors(), Some([0xee; 32]), 77)),
        ),
        ("sync-1-seen", ExchangeFrame::Seen(SeenPart { set: seen(), more: false, floors: Some(floors()) })),
        ("sync-2-page", ExchangeFrame::Page(Page { versions: vec![put(), large(), delete()] })),
        ("sync-3-end", ExchangeFrame::End(End { lost: SeenSet::from_iter([Dot::new(ANT, 5)]) })),
        ("sync-4-busy", ExchangeFrame::Busy),
        ("sync-5-not-carried", ExchangeFrame::NotCarried),
        ("sync-6-descent", ExchangeFrame::Descent(descent())),
        (
            "sync-7-claims",
            ExchangeFrame::Claims(Claims { claims: vec![Claim { origin: 1, seq: 300, key: put().key }] }),
        ),
        (
            "sync-8-verdicts",
            ExchangeFrame::Verdicts(Verdicts {
                verdicts: vec![Verdict::Want, Verdict::Held, Verdict::Superseded, Verdict::Dead],
            }),
        ),
        ("sync-9-items", ExchangeFrame::Items(Items { versions: vec![large(), put()] })),
        ("sync-10-claimed", ExchangeFrame::Claimed),
        ("sync-11-bye", ExchangeFrame::Bye),
        (
            "sync-12-seen-since",
            ExchangeFrame::SeenSince(SeenSince {
                more: vec![(1, Intervals::from_range(7, 9))],
                fewer: vec![(0, Intervals::up_to(1))],
                fresh: seen(),
                floors: Some(floors()),
            }),
        ),
        ("sync-13-way", ExchangeFrame::Way(Way::Give)),
        ("sync-14-wants", ExchangeFrame::Wants(Wants { ranges: descent().lacking })),
        ("sync-15-offers", ExchangeFrame::Offers(Items { versions: vec![put(), large()] })),
        ("sync-16-sent", ExchangeFrame::Sent),
        ("sync-17-got", ExchangeFrame::Got(Got { seen: seen() })),
        (
            "sync-18-lacking",
            ExchangeFrame::Lacking(Lacking { namespace: namespace.clone(), set: seen(), more: true }),
        ),
        ("sync-19-more", ExchangeFrame::More),
    ];
    let carrier = [
        ("carrier-0-hello", CarrierFrame::Hello(CarrierHello { node: ANT.node, hello: hello() })),
        ("carrier-1-refused", CarrierFrame::refused("of another mesh")),
    ];
    let request = BlobRequest { namespace, dot: large().dot, hash: [0xcc; 32] };
    let blob = [
        ("blob-1-chunk", BlobReply::Chunk(Bytes::from_static(b"a part of a large value"))),
        ("blob-2-gone", BlobReply::Gone),
        ("blob-3-busy", BlobReply::Busy),
    ];
    let link = link.into_iter().map(|(name, frame)| (name, frame.to_bytes()));
    let sync = sync.into_iter().map(|(name, frame)| (name, frame.to_bytes()));
    let blob = blob.into_iter().map(|(name, frame)| (name, frame.to_bytes()));
    let carrier = carrier.into_iter().map(|(name, frame)| (name, frame.to_bytes()));
    link.chain(carrier).chain(sync).chain([("blob-0-request", request.to_bytes())]).chain(blob).collect()
}

/// The bytes of a frame, read by its stream and written again.
pub fn again(name: &str, bytes: &[u8]) -> Result<Bytes, FrameError> {
    let mut reader = FrameReader::new();
    reader.push(bytes);
    let Some(frame) = reader.next_frame()? else { return Ok(Bytes::new()) };
    Ok(match name.split('-').next() {
        Some("link") => LinkFrame::from_frame(&frame)?.to_bytes(),
        Some("carrier") => CarrierFrame::from_frame(&frame)?.to_bytes(),
        Some("sync") => ExchangeFrame::from_frame(&frame)?.to_bytes(),
        Some("blob") if frame.kind == 0 => BlobRequest::from_frame(&frame)?.to_bytes(),
        _ => BlobReply::from_frame(&frame)?.to_bytes(),
    })
}

pub fn envelope() -> SignedEnvelope {
    let versions = vec![put(), large()];
    let payload = encode(&Envelope { namespace: Namespace::default(), versions });
    SignedEnvelope::new(ANT.node, [0x51; 64], payload)
}

/// What is stored, or hashed, in the format of the wire.
fn values() -> Vec<(&'static str, Bytes)> {
    let mut record = Record::default();
    record.merge(put());
    record.merge(delete());
    vec![
        ("gossip-envelope", envelope().to_bytes()),
        ("stored-record", encode(&record)),
        ("version-expiring", encode(&expiring())),
        ("version-with-fields", encode(&fields())),
        ("hash-of-version", Bytes::copy_from_slice(&put().hash().0)),
        ("hash-of-record", Bytes::copy_from_slice(&record.etag().0)),
        ("hash-of-seen-set", Bytes::copy_from_slice(&seen().hash())),
    ]
}

/// Sixteen bytes a line, so that a change shows where it is.
fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for line in bytes.chunks(16) {
        line.iter().for_each(|byte| write!(out, "{byte:02x}").expect("a string takes all"));
        out.push('\n');
    }
    out
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/wire/golden");
    let write = std::env::var_os("TIDINGS_GOLDEN").is_some_and(|what| what == "write");
    let all: Vec<_> = frames().into_iter().chain(values()).collect();
    for (name, bytes) in &all {
        let path = dir.join(format!("{name}.hex"));
        if write {
            fs::create_dir_all(&dir)
                .and_then(|()| fs::write(&path, hex(bytes)))
                .expect("a writable checkout");
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(hex(bytes), golden, "{name}: TIDINGS_GOLDEN=write cargo test --lib golden writes it anew");
    }
    let files = fs::read_dir(dir).expect("a directory").count();
    assert_eq!(files, all.len(), "a file for every message, and no other");
}

#[test]
fn every_message_reads_as_it_was_written() {
    for (name, bytes) in frames() {
        assert_eq!(again(name, &bytes), Ok(bytes), "{name}");
    }
    let version = fields();
    assert!(matches!(version.body, Body::Fields(..)));
    assert_eq!(decode::<Version>(&encode(&version)), Ok(version));
    let signed = envelope();
    assert_eq!(SignedEnvelope::from_bytes(&signed.to_bytes()), Ok(signed.clone()));
    assert_eq!(signed.open().expect("lawful").versions, [put(), large()]);
}
