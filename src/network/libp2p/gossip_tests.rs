//! The judgement of messages, without a network.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use libp2p::identity::ed25519;

use super::{
    super::{signer::KeySigner, tests::envelope},
    *,
};
use crate::{network::Signer, wire::encode};

struct Bench {
    gossip: Gossip,
    is_new: Arc<AtomicBool>,
    ant: KeySigner,
}

impl Bench {
    fn new() -> Self {
        let is_new = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&is_new);
        let namespaces = [Namespace::default(), "other".parse().unwrap()];
        Self {
            gossip: Gossip::new("m", &namespaces, Arc::new(move |_| asked.load(Ordering::Relaxed))),
            is_new,
            ant: KeySigner::new(ed25519::Keypair::generate()),
        }
    }

    fn topic(&self, name: &str) -> TopicHash {
        self.gossip.topic(&name.parse().unwrap()).unwrap()
    }

    fn judge(&self, topic: &str, signed: &SignedEnvelope) -> Verdict {
        self.gossip.judge(&self.topic(topic), &signed.to_bytes())
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept(_) => "accept",
        Verdict::Ignore => "ignore",
        Verdict::Reject(rejection) => rejection.word(),
    }
}

#[test]
fn what_its_author_signed_is_accepted_and_all_else_is_not() {
    let bench = Bench::new();
    let honest = envelope(bench.ant.node(), 1, "news");
    let signed = bench.ant.sign(encode(&honest));
    assert_eq!(bench.judge("default", &signed), Verdict::Accept(honest));

    assert_eq!(word(bench.judge("other", &signed)), "topic");
    assert_eq!(word(bench.gossip.judge(&IdentTopic::new("x").hash(), &signed.to_bytes())), "topic");
    assert_eq!(word(bench.gossip.judge(&bench.topic("default"), b"rubbish")), "malformed");

    let mut forged = signed;
    forged.signature.0[3] ^= 1;
    assert_eq!(word(bench.judge("default", &forged)), "signature");

    let another = ed25519::Keypair::generate().public().to_bytes();
    let stolen = bench.ant.sign(encode(&envelope(crate::causality::NodeId(another), 1, "lies")));
    assert_eq!(word(bench.judge("default", &stolen)), "origin");
}

#[test]
fn what_is_entirely_seen_is_ignored_before_its_signature_is_checked() {
    let bench = Bench::new();
    let mut signed = bench.ant.sign(encode(&envelope(bench.ant.node(), 1, "olds")));
    signed.signature.0[3] ^= 1;
    bench.is_new.store(false, Ordering::Relaxed);
    assert_eq!(bench.judge("default", &signed), Verdict::Ignore);
}

#[test]
fn what_nobody_could_take_is_kept_for_a_while_and_within_bounds() {
    let mut gossip = Bench::new().gossip;
    let other: Namespace = "other".parse().unwrap();
    for number in 0..UNHEARD_MAX + 10 {
        gossip.keep(Duration::ZERO, Namespace::default(), Bytes::from(number.to_string()));
    }
    gossip.keep(Duration::from_secs(2), other.clone(), Bytes::from_static(b"late"));
    let kept = gossip.take_kept(Duration::from_secs(2), &Namespace::default());
    assert_eq!((kept.len(), &kept[0][..]), (UNHEARD_MAX - 1, &b"11"[..]));
    assert_eq!(gossip.take_kept(Duration::from_secs(60), &other), Vec::<Bytes>::new());

    for _ in 0..3 {
        gossip.keep(Duration::ZERO, other.clone(), vec![0; UNHEARD_BYTES_MAX / 2].into());
    }
    assert_eq!(gossip.take_kept(Duration::ZERO, &other).len(), 2);
}
