//! A peer that breaks the rules: it speaks TCP, Noise and Yamux as all do, and then whatever it likes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use prometheus_client::registry::Registry;
use tidings::{
    Node,
    causality::{Context, Dot, Floors, Hlc, NodeId, Origin, SeenSet},
    conflict::{Body, Payload, Put, Version},
    network::{self, Command, Event, Network, NetworkConfig, Protocol, Stream, Tuning},
    node::NodeEvent,
    ports::{Scope, SystemEntropy, SystemWall, WallClock},
    types::{ContentType, Namespace},
    wire::{
        Answer, Beacon, Envelope, ExchangeFrame, FRAME_BYTES_MAX, FRAME_HEAD_BYTES, Hello, LinkFrame,
        LinkHello, Needed, PROTOCOL_VERSION, Page, SeenPart, SeenSince, SignedEnvelope, encode, read_head,
        write_frame,
    },
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::support::{
    PATIENCE, address, event, link, mesh_name, metric, metric_of, node, synced, text, until, until_equal,
    until_text,
};

/// The hostile peer.
struct Eve {
    network: Network,
    id: NodeId,
    mesh: String,
    inbound: Mutex<mpsc::UnboundedReceiver<(Protocol, Stream)>>,
    scope: Scope,
    victim: NodeId,
}

impl Drop for Eve {
    fn drop(&mut self) {
        self.scope.close();
    }
}

impl Eve {
    /// Connects to `victim`, with a lesser id, so that opening the control stream is up to her.
    async fn connect(victim: &Node, mesh: &str) -> Self {
        let secret = (0..u64::MAX)
            .map(|n| *blake3::hash(format!("eve {mesh} {} {n}", victim.name()).as_bytes()).as_bytes())
            .find(|secret| network::libp2p::node_id(secret) < victim.id())
            .unwrap();
        let config = NetworkConfig {
            secret,
            mesh: mesh.to_owned(),
            listen: Vec::new(),
            peers: vec![address(victim)],
            mdns: false,
            same_host: None,
            peer_exchange: false,
            swarm_key: None,
            allow: BTreeSet::new(),
            admit: None,
            namespaces: vec![Namespace::default()],
            directory: None,
            tuning: Tuning::default(),
        };
        let (streams, inbound) = mpsc::unbounded_channel();
        let (told, mut connected) = mpsc::unbounded_channel();
        let sink = Arc::new(move |event| match event {
            Event::Inbound { protocol, stream, .. } => drop(streams.send((protocol, stream))),
            Event::Following { .. } => drop(told.send(())),
            _ => {}
        });
        let scope = Scope::new(Handle::current());
        let network = network::libp2p::start(
            config,
            None,
            scope.clone(),
            Arc::new(SystemEntropy),
            Arc::new(SystemWall),
            sink,
            Arc::new(|_| false),
            &mut Registry::default(),
        )
        .unwrap();
        timeout(PATIENCE, connected.recv()).await.unwrap().unwrap();
        let id = network.signer.node();
        Self { network, id, mesh: mesh.to_owned(), inbound: Mutex::new(inbound), scope, victim: victim.id() }
    }

    async fn open(&self, protocol: Protocol) -> Stream {
        self.network.streams.open(self.victim, protocol).await.unwrap()
    }

    fn hello(&self) -> LinkFrame {
        LinkFrame::Hello(LinkHello {
            mesh: self.mesh.clone(),
            name: "eve".into(),
            epoch: 1,
            instance: 1,
            wall_ms: SystemWall.now_ms(),
            listen: Vec::new(),
        })
    }

    /// Opens a control stream and behaves, so far.
    async fn meet(&self) -> Stream {
        let mut link = self.open(Protocol::Link).await;
        link.write_all(&self.hello().to_bytes()).await.unwrap();
        link.flush().await.unwrap();
        link
    }

    async fn publish(&self, data: Bytes) {
        let publish = Command::Publish { namespace: Namespace::default(), data };
        self.network.commands.send(publish).await.unwrap();
    }

    /// Publishes versions as a lawful author would.
    async fn publish_versions(&self, versions: Vec<Version>) {
        let envelope = Envelope { namespace: Namespace::default(), versions };
        self.publish(self.network.signer.sign(encode(&envelope)).to_bytes()).await;
    }

    fn version(&self, seq: u64, key: &str) -> Version {
        version(Origin { node: self.id, epoch: 1 }, seq, key, b"from eve")
    }

    /// The next stream of `protocol` that the victim opens.
    async fn next_inbound(&self, protocol: Protocol) -> Stream {
        until("a stream is opened", || async {
            let (opened, stream) = self.inbound.lock().unwrap().try_recv().ok()?;
            (opened == protocol).then_some(stream)
        })
        .await
    }
}

fn version(origin: Origin, seq: u64, key: &str, value: &[u8]) -> Version {
    Version {
        dot: Dot::new(origin, seq),
        hlc: Hlc::from_millis(SystemWall.now_ms()),
        base: None,
        context: Context::new(),
        key: key.parse().unwrap(),
        body: Body::Put(Put {
            content_type: ContentType::octets(),
            payload: Payload::Inline(value.to_vec().into()),
        }),
    }
}

/// Writes what a stream takes; that it breaks is what happens to those who break the rules.
async fn send(stream: &mut Stream, bytes: &[u8]) {
    let send = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    drop(timeout(PATIENCE, send).await.expect("it is read, or breaks"));
}

/// The next frame of a control stream.
async fn next_frame(stream: &mut Stream) -> LinkFrame {
    let read = async {
        let mut head = [0; FRAME_HEAD_BYTES];
        stream.read_exact(&mut head).await.unwrap();
        let head = read_head(head).unwrap();
        let mut payload = vec![0; head.length];
        stream.read_exact(&mut payload).await.unwrap();
        LinkFrame::from_frame(&tidings::wire::Frame { kind: head.kind, payload: payload.into() }).unwrap()
    };
    timeout(PATIENCE, read).await.expect("it says something")
}

/// Waits until the other end has taken the hello: it tells what it has seen.
async fn until_met(stream: &mut Stream) {
    while !matches!(next_frame(stream).await, LinkFrame::Beacon(_)) {}
}

/// Waits until the stream has come to its end.
async fn until_closed(stream: &mut Stream) {
    let read = async {
        let mut bytes = [0; 4_096];
        while stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    };
    timeout(PATIENCE, read).await.expect("the stream is closed");
}

/// Ant, who is attacked, and bat, who must not notice.
async fn ant_and_bat(mesh: &str) -> (Node, Node) {
    let ant = node(mesh, "ant").start().await.unwrap();
    let bat = node(mesh, "bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("before", "x").await.unwrap();
    until_text(&bat, "before", "x").await;
    (ant, bat)
}

/// Nothing is lost for anybody else, and both go on.
async fn all_is_well(ant: &Node, bat: &Node) {
    ant.put("after/ant", "x").await.unwrap();
    bat.put("after/bat", "x").await.unwrap();
    until_text(ant, "after/bat", "x").await;
    until_text(bat, "after/ant", "x").await;
    until_equal(&[ant.clone(), bat.clone()]).await;
    assert_eq!(text(bat, "before").await.as_deref(), Some("x"));
    assert!(ant.health().ready);
    assert_eq!(metric(ant, "tidings_restarts_total"), 0);
    let queues = ant.status().await.queues;
    assert!(queues.values().all(|queue| queue.depth <= queue.max), "{queues:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_control_stream_is_refused_with_a_reason_and_counted() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let mut events = ant.events();
    let too_long =
        [&[PROTOCOL_VERSION, 0][..], &u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes()].concat();
    let hello_twice_as_long = [&[PROTOCOL_VERSION, 0][..], &16_u32.to_le_bytes(), &[0xff; 16]].concat();
    let attacks: [(Vec<u8>, &str); 5] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "protocol version"),
        (
            write_frame(0, b"")
                .to_vec()
                .into_iter()
                .enumerate()
                .map(|(n, b)| if n == 0 { PROTOCOL_VERSION + 1 } else { b })
                .collect(),
            "protocol version 3",
        ),
        (too_long, "longer than"),
        (write_frame(99, b"").to_vec(), "unknown kind"),
        (hello_twice_as_long, "malformed"),
    ];
    for (count, (bytes, why)) in attacks.into_iter().enumerate() {
        let eve = Eve::connect(&ant, &mesh).await;
        let mut stream = eve.open(Protocol::Link).await;
        send(&mut stream, &bytes).await;
        event(&mut events, |event| match event {
            NodeEvent::Warning(text) => {
                assert!(text.contains(&eve.id.to_string()) && text.contains(why), "{text}");
                Some(())
            }
            _ => None,
        })
        .await;
        until_closed(&mut stream).await;
        assert_eq!(metric(&ant, "tidings_frames_refused_total"), count as u64 + 1);
        drop(eve);
        until("eve is gone", || async { (ant.status().await.peers == 1).then_some(()) }).await;
    }
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_begin_with_a_hello_is_refused() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let mut stream = eve.open(Protocol::Link).await;
    send(&mut stream, &LinkFrame::Beacon(Beacon::default()).to_bytes()).await;
    until_closed(&mut stream).await;
    assert_eq!(metric(&ant, "tidings_frames_refused_total"), 1);
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_it_is_of_another_mesh_is_refused() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let mut events = ant.events();
    let mut eve = Eve::connect(&ant, &mesh).await;
    eve.mesh = "another".into();
    let mut stream = eve.meet().await;
    event(&mut events, |event| {
        matches!(&event, NodeEvent::Warning(text) if text.contains("another")).then_some(())
    })
    .await;
    until_closed(&mut stream).await;
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_left_after_a_while() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    // Neither on a control stream, nor on others.
    let mut streams = Vec::new();
    for protocol in [Protocol::Link, Protocol::Sync, Protocol::Blob] {
        streams.push(eve.open(protocol).await);
    }
    all_is_well(&ant, &bat).await;
    for stream in &mut streams {
        until_closed(stream).await;
    }
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_everything_and_reads_nothing_holds_nobody_up() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    for n in 0..400 {
        ant.put(format!("bulk/{n}"), vec![1_u8; 30_000]).await.unwrap();
    }
    ant.put("large", vec![1_u8; 10_000_000]).await.unwrap();
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let failed = metric(&ant, "tidings_exchanges_failed_total");
    let mut sync = eve.open(Protocol::Sync).await;
    let nothing = SeenSet::new();
    send(
        &mut sync,
        &ExchangeFrame::Hello(Hello::new(Namespace::default(), &nothing, &Floors::new(), None, 1)).to_bytes(),
    )
    .await;
    send(
        &mut sync,
        &ExchangeFrame::Seen(SeenPart { set: nothing, more: false, floors: Some(Floors::new()) }).to_bytes(),
    )
    .await;
    let frontier = ant.digest().await.unwrap().frontier.0;
    let (origin, seqs) = frontier.iter().find(|(origin, _)| origin.node == ant.id()).unwrap();
    let mut blobs = Vec::new();
    for _ in 0..20 {
        let mut blob = eve.open(Protocol::Blob).await;
        let request = tidings::wire::BlobRequest {
            namespace: Namespace::default(),
            dot: Dot::new(*origin, seqs.max()),
            hash: *blake3::hash(&vec![1_u8; 10_000_000]).as_bytes(),
        };
        send(&mut blob, &request.to_bytes()).await;
        blobs.push(blob);
    }
    all_is_well(&ant, &bat).await;
    // A newcomer is served meanwhile.
    let cat = node(&mesh, "cat").start().await.unwrap();
    link(&cat, &ant).await;
    until_equal(&[ant.clone(), cat.clone()]).await;
    let queues = ant.status().await.queues;
    assert!(queues["served_blobs"].depth <= 8, "{queues:?}");
    until("eve is given up", || async {
        (metric(&ant, "tidings_exchanges_failed_total") > failed).then_some(())
    })
    .await;
    until("the room is free again", || async {
        (ant.status().await.queues["served_blobs"].depth == 0).then_some(())
    })
    .await;
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_rules_of_an_exchange_is_cut_off_and_counted() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let hello =
        ExchangeFrame::Hello(Hello::new(Namespace::default(), &SeenSet::new(), &Floors::new(), None, 1));
    let seen = |set: SeenSet| ExchangeFrame::Seen(SeenPart { set, more: false, floors: Some(Floors::new()) });
    let page = |versions| ExchangeFrame::Page(Page { versions });
    let forged = version(Origin { node: bat.id(), epoch: 7 }, 1, "forged", b"x");
    let since = ExchangeFrame::SeenSince(SeenSince::default());
    let attacks: [Vec<ExchangeFrame>; 6] = [
        vec![hello.clone(), hello.clone()],
        vec![hello.clone(), page(vec![eve.version(1, "early")])],
        vec![hello.clone(), since],
        vec![hello.clone(), seen(SeenSet::new()), page(vec![])],
        vec![hello.clone(), seen(SeenSet::new()), page(vec![forged])],
        vec![hello.clone(), seen([eve.version(1, "a").dot].into_iter().collect()), seen(SeenSet::new())],
    ];
    for (n, frames) in attacks.into_iter().enumerate() {
        let refused = metric(&ant, "tidings_frames_refused_total");
        until("the attack is answered", || {
            let (eve, frames, ant) = (&eve, &frames, &ant);
            async move {
                let mut sync = eve.open(Protocol::Sync).await;
                for frame in frames {
                    send(&mut sync, &frame.to_bytes()).await;
                }
                until_closed(&mut sync).await;
                // She may also be told that ant is busy.
                (metric(ant, "tidings_frames_refused_total") > refused).then_some(())
            }
        })
        .await;
        assert_eq!(text(&ant, "forged").await, None, "{n}");
        assert_eq!(text(&ant, "early").await, None, "{n}");
    }
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_number_are_bounded() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let mut held = Vec::new();
    for n in 0..300 {
        let protocol = [Protocol::Link, Protocol::Sync, Protocol::Blob][n % 3];
        match eve.network.streams.open(ant.id(), protocol).await {
            Ok(stream) => held.push(stream),
            // She is cut off; so be it.
            Err(_) => break,
        }
    }
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_malformed_gossip_is_refused_and_counted() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let default = Namespace::default();
    let sign = |envelope: &Envelope| eve.network.signer.sign(encode(envelope));
    let of = |versions| Envelope { namespace: default.clone(), versions };
    let bats = version(Origin { node: bat.id(), epoch: 7 }, 1, "forged", b"by eve");

    // Bat's write, signed by eve.
    eve.publish(sign(&of(vec![bats.clone()])).to_bytes()).await;
    // Bat's write, said to be signed by bat.
    let payload = encode(&of(vec![bats]));
    let signature = eve.network.signer.sign(payload.clone()).signature();
    eve.publish(SignedEnvelope::new(bat.id(), signature, payload).to_bytes()).await;
    // Her own write, changed on the way.
    let honest = sign(&of(vec![eve.version(1, "changed")]));
    let other = encode(&of(vec![eve.version(1, "forged")]));
    eve.publish(SignedEnvelope::new(eve.id, honest.signature(), other).to_bytes()).await;
    // Nothing at all, in many ways.
    eve.publish(Bytes::from_static(b"garbage")).await;
    eve.publish(sign(&of(Vec::new())).to_bytes()).await;
    eve.publish(sign(&of(vec![eve.version(2, "forged"), eve.version(1, "forged")])).to_bytes()).await;
    // What belongs elsewhere.
    let elsewhere =
        Envelope { namespace: "elsewhere".parse().unwrap(), versions: vec![eve.version(1, "forged")] };
    eve.publish(sign(&elsewhere).to_bytes()).await;

    let rejected = |reason: &'static str| metric_of(&ant, "tidings_network_gossip_rejected_total", reason);
    until("all of it is counted", || async {
        let counted = [rejected("origin"), rejected("signature"), rejected("malformed"), rejected("topic")];
        (counted == [1, 2, 3, 1]).then_some(())
    })
    .await;
    all_is_well(&ant, &bat).await;
    for node in [&ant, &bat] {
        assert_eq!(text(node, "forged").await, None);
        assert_eq!(node.digest().await.unwrap().frontier.0.origins(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_far_in_the_future_cannot_hold_a_key() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let mut held = eve.version(1, "k");
    held.hlc = Hlc(u64::MAX);
    eve.publish_versions(vec![held]).await;
    for node in [&ant, &bat] {
        until_text(node, "k", "from eve").await;
    }
    let written = bat.put("k", "honest").await.unwrap();
    assert!(written.hlc.millis() < SystemWall.now_ms() + 61_000, "{}", written.hlc.millis());
    until_text(&ant, "k", "honest").await;
    assert_eq!(ant.get("k").await.unwrap().unwrap().siblings, 1);
    // Also whoever joins later sees the honest one.
    let cat = node(&mesh, "cat").start().await.unwrap();
    link(&cat, &ant).await;
    until_text(&cat, "k", "honest").await;
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_asked_for_at_the_neighbour_it_came_from() {
    let mesh = mesh_name();
    let ant = node(&mesh, "ant").sync_interval(Duration::from_secs(600)).start().await.unwrap();
    let eve = Eve::connect(&ant, &mesh).await;
    let mut link = eve.meet().await;
    assert!(matches!(next_frame(&mut link).await, LinkFrame::Hello(_)));
    eve.publish_versions(vec![eve.version(1, "k/1")]).await;
    eve.publish_versions(vec![eve.version(4, "k/4")]).await;
    until_text(&ant, "k/4", "from eve").await;
    assert_eq!(ant.sync_status().await.missing, 2);
    let need = loop {
        if let LinkFrame::Need(need) = next_frame(&mut link).await {
            break need;
        }
    };
    assert_eq!((need.origin.node, need.first, need.last), (eve.id, 2, 3));
    // Repeated and empty answers change nothing; cursors never move back.
    let answers =
        vec![(2, Answer::Version(eve.version(2, "k/2"))), (3, Answer::Version(eve.version(3, "k/3")))];
    for answers in [vec![], answers.clone(), answers, vec![]] {
        let needed = Needed { namespace: need.namespace.clone(), origin: need.origin, answers };
        send(&mut link, &LinkFrame::Needed(needed).to_bytes()).await;
    }
    until("the gap is closed", || async { (ant.sync_status().await.missing == 0).then_some(()) }).await;
    assert_eq!(ant.digest().await.unwrap().keys, 4);
    eve.publish_versions(vec![eve.version(2, "k/2")]).await;
    eve.publish_versions(vec![eve.version(5, "k/5")]).await;
    until_text(&ant, "k/5", "from eve").await;
    assert_eq!(ant.digest().await.unwrap().frontier.0.count(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_and_repeated_batches_change_no_cursor_and_cursors_never_move_back() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let both = [ant.clone(), bat.clone()];
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let versions: Vec<Version> = (1..=3).map(|seq| eve.version(seq, &format!("k/{seq}"))).collect();
    eve.publish_versions(versions.clone()).await;
    until_text(&bat, "k/3", "from eve").await;
    until_equal(&both).await;
    let before = ant.digest().await.unwrap().frontier.0;
    let known = || metric_of(&ant, "tidings_network_gossip_ignored_total", "");
    let ignored = known();
    // Each another message, none of them with anything new.
    for again in [vec![2], vec![0], vec![0, 1], vec![1, 2], vec![0, 2]] {
        eve.publish_versions(again.iter().map(|n: &usize| versions[*n].clone()).collect()).await;
    }
    until("all that was known is known to be", || async { (known() >= ignored + 5).then_some(()) }).await;
    let refused = || metric_of(&ant, "tidings_network_gossip_rejected_total", "malformed");
    let before_it = refused();
    eve.publish_versions(Vec::new()).await;
    until("what says nothing is refused", || async { (refused() > before_it).then_some(()) }).await;
    // An exchange in which nothing is new, asked for by who has nothing to do with eve.
    synced(&bat).await;
    for node in &both {
        assert_eq!(node.digest().await.unwrap().frontier.0, before, "{}", node.name());
    }
    // Over a gap the cursor stays, and what lies above is counted for itself.
    eve.publish_versions(vec![eve.version(5, "k/5")]).await;
    until_text(&ant, "k/5", "from eve").await;
    let after = ant.digest().await.unwrap().frontier.0;
    assert!(after.includes(&before));
    let seqs = after.get(&versions[0].dot.origin).unwrap();
    assert_eq!((seqs.base(), seqs.max()), (3, 5));
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_that_its_bringer_cannot_close_is_closed_by_any_neighbour_who_can() {
    let mut settle = Duration::from_millis(300);
    while !a_gap_is_closed_by_a_neighbour(settle).await {
        settle *= 2;
        assert!(settle < PATIENCE, "ant always hears of it from bat before there is a gap");
    }
}

/// Whether there was a gap: on a slow machine the neighbour may bring what is missing before. `settle` is given to what
/// nodes tell each other of after a meeting, of which nobody outside sees the end.
async fn a_gap_is_closed_by_a_neighbour(settle: Duration) -> bool {
    let mesh = mesh_name();
    let quiet = |name| node(&mesh, name).sync_interval(Duration::from_secs(600));
    let ant = quiet("ant").start().await.unwrap();
    let bat = quiet("bat").start().await.unwrap();
    link(&ant, &bat).await;
    ant.put("ready", "x").await.unwrap();
    until_text(&bat, "ready", "x").await;
    let eve = Eve::connect(&ant, &mesh).await;
    let mut to_ant = eve.meet().await;
    // Bat is told of her second write by somebody else, and does not tell it on by gossip.
    let other = Eve::connect(&bat, &mesh).await;
    let mut to_bat = other.meet().await;
    until_met(&mut to_ant).await;
    until_met(&mut to_bat).await;
    sleep(settle).await;
    let origin = Origin { node: eve.id, epoch: 1 };
    let needed = |answers| Needed { namespace: Namespace::default(), origin, answers };
    let second = needed(vec![(2, Answer::Version(eve.version(2, "k/2")))]);
    send(&mut to_bat, &LinkFrame::Needed(second).to_bytes()).await;
    until_text(&bat, "k/2", "from eve").await;
    // Ant hears of the first and the third from her, and she does not know the second any more.
    eve.publish_versions(vec![eve.version(1, "k/1")]).await;
    eve.publish_versions(vec![eve.version(3, "k/3")]).await;
    let asked = async { while !matches!(next_frame(&mut to_ant).await, LinkFrame::Need(_)) {} };
    tokio::select! {
        biased;
        () = asked => {}
        () = until_text(&ant, "k/2", "from eve") => return false,
    }
    send(&mut to_ant, &LinkFrame::Needed(needed(vec![(2, Answer::Unknown)])).to_bytes()).await;
    until("ant lacks nothing", || async {
        (ant.digest().await.unwrap().keys == 4 && ant.sync_status().await.missing == 0).then_some(())
    })
    .await;
    assert_eq!(text(&ant, "k/2").await.as_deref(), Some("from eve"));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_that_are_announced_and_never_come_hold_nobody_up() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    let announce = |seq: u64, size: u64| {
        let mut version = eve.version(seq, &format!("promised/{seq}"));
        let payload = Payload::Blob { hash: [7; 32], size };
        version.body = Body::Put(Put { content_type: ContentType::octets(), payload });
        version
    };
    // One after the other, a thousand as one unit, and one that nobody takes.
    for seq in 1..=300 {
        eve.publish_versions(vec![announce(seq, 1_000_000)]).await;
    }
    eve.publish_versions((301..=1_300).map(|seq| announce(seq, 16_000_000)).collect()).await;
    eve.publish_versions(vec![announce(1_301, 1 << 31)]).await;
    // She takes the requests and never answers, or answers with something else.
    let mut blob = eve.next_inbound(Protocol::Blob).await;
    send(&mut blob, &write_frame(1, &vec![1; 60_000])).await;
    let _asked = eve.next_inbound(Protocol::Blob).await;
    all_is_well(&ant, &bat).await;
    ant.put("large", vec![1_u8; 1_000_000]).await.unwrap();
    until("a large value of an honest author arrives", || async { bat.get("large").await.unwrap() }).await;
    let queues = ant.status().await.queues;
    assert!(queues["blobs"].depth <= queues["blobs"].max, "{queues:?}");
    assert_eq!(text(&ant, "promised/1").await, None);
    assert_eq!(text(&ant, "promised/301").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_gossip_from_one_leaves_room_for_others() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let _link = eve.meet().await;
    for page in 0..100 {
        let versions = (1..=100).map(|n| eve.version(page * 100 + n, &format!("flood/{}", n % 10)));
        eve.publish_versions(versions.collect()).await;
        let garbage = format!("garbage {page}").into_bytes();
        eve.publish(garbage.into()).await;
        if page % 10 == 0 {
            bat.put(format!("live/{page}"), "x").await.unwrap();
            until_text(&ant, &format!("live/{page}"), "x").await;
        }
    }
    all_is_well(&ant, &bat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_on_the_control_stream_is_held_back() {
    let mesh = mesh_name();
    let (ant, bat) = ant_and_bat(&mesh).await;
    let eve = Eve::connect(&ant, &mesh).await;
    let mut link = eve.meet().await;
    let liar = Beacon { seen: vec![(Namespace::default(), 7)], neighbours: vec![1; 1_000] };
    let frontier = ant.digest().await.unwrap().frontier.0;
    let (origin, _) = frontier.iter().next().unwrap();
    let need = tidings::wire::Need { namespace: Namespace::default(), origin: *origin, first: 1, last: 200 };
    for _ in 0..500 {
        send(&mut link, &LinkFrame::Beacon(liar.clone()).to_bytes()).await;
        send(&mut link, &LinkFrame::Need(need.clone()).to_bytes()).await;
    }
    all_is_well(&ant, &bat).await;
}
