//! Who and what is refused over carriers: strangers, garbage, later versions, silence.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tidings::{
    Node,
    causality::NodeId,
    node::{Asked, CARRIED_MAX, Operation, Refusal, RemoteError, Who},
    ports::{Carrier, CarrierStream, OneStream},
    wire::{CarrierFrame, CarrierHello, LinkHello},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinSet,
    time,
};

use super::{Door, PIPE_BYTES, alone, pair, root, write};
use crate::support::{PATIENCE, mesh_name, metric, node_on_disk, restart};

fn hello(mesh: &str, id: NodeId) -> Vec<u8> {
    let hello = LinkHello {
        mesh: mesh.into(),
        name: "cat".into(),
        epoch: 1,
        instance: 1,
        wall_ms: 0,
        listen: vec![],
    };
    CarrierFrame::Hello(CarrierHello { node: id, hello }).to_bytes().to_vec()
}

/// What `node` makes of a visitor who says `bytes` and then nothing, and what it answers.
async fn said(node: &Node, bytes: &[u8], hangs_up: bool) -> (RemoteError, Vec<u8>) {
    let (mut here, there) = duplex(PIPE_BYTES);
    let talk = async {
        here.write_all(bytes).await.unwrap();
        if hangs_up {
            here.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        here.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (answer, served) = tokio::join!(talk, node.serve(there));
    (served.unwrap_err(), answer)
}

/// What `node` makes of the other end of a carrier that says `bytes`.
async fn answered(node: &Node, bytes: &[u8]) -> RemoteError {
    let (here, mut there) = duplex(PIPE_BYTES);
    there.write_all(bytes).await.unwrap();
    let remote = node.remote(OneStream::new(here));
    let error = remote.sync().await.unwrap_err();
    drop(there);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_garbage_and_later_versions_are_refused_with_what_is_wrong_and_change_nothing() {
    let mesh = mesh_name();
    let (cat, dog, fox) = (NodeId([1; 32]), NodeId([2; 32]), NodeId([3; 32]));
    let not_dog = move |who: &Who, asked: &Asked| -> Result<(), Refusal> {
        let is_dog = *who == Who::Peer(dog) && asked.operation == Operation::Connect;
        if is_dog { Err("no dogs".into()) } else { Ok(()) }
    };
    let ant = alone(&mesh, "ant").authorize(Arc::new(not_dog)).allow([cat, dog]).start().await.unwrap();
    write(&ant, "ant", 3).await;
    let before = root(&ant).await;
    let later = {
        let mut bytes = hello(&mesh, cat);
        bytes[0] = 3;
        bytes
    };
    let long = {
        let mut bytes = hello(&mesh, cat);
        bytes[2..6].fill(0xff);
        bytes
    };
    let refused_here: [(&[u8], &str); 8] = [
        (b"GET / HTTP/1.1\r\n\r\n", "protocol version 71"),
        (&later, "protocol version 3, this node speaks 2: update"),
        (&long, "longer than one of its kind"),
        (&hello(&mesh, cat)[..20], "unexpected end of file"),
        (&hello("elsewhere", cat), "belongs to the mesh \"elsewhere\""),
        (&hello(&mesh, ant.id()), "both ends have the identity"),
        (&hello(&mesh, dog), "no dogs"),
        (&hello(&mesh, fox), "is not among the peers"),
    ];
    for (bytes, why) in refused_here {
        let (error, answer) = said(&ant, bytes, why.contains("end of file")).await;
        assert!(error.to_string().contains(why), "{error}, not {why}");
        if why.contains("end of file") {
            assert!(answer.is_empty(), "nobody is there to be told");
        } else {
            assert!(String::from_utf8_lossy(&answer).contains(why), "the other end is told, too: {why}");
        }
        if !why.contains("longer") && !why.contains("end of file") {
            assert!(answered(&ant, bytes).await.to_string().contains(why), "in the answer: {why}");
        }
    }
    ant.block(cat).await.unwrap();
    let (error, _) = said(&ant, &hello(&mesh, cat), false).await;
    assert!(matches!(&error, RemoteError::Stranger(why) if why.contains("blocks")), "{error}");
    ant.unblock(cat).await.unwrap();
    // One that begins as it should, and goes on with something else.
    let mut bytes = hello(&mesh, cat);
    bytes.extend([0xff; 5_000]);
    let (mut here, there) = duplex(64 * 1024);
    let (served, ()) = tokio::join!(ant.serve(there), async {
        here.write_all(&bytes).await.unwrap();
        here.read_to_end(&mut Vec::new()).await.unwrap();
    });
    assert!(served.unwrap().peers.is_empty(), "nothing was exchanged");
    assert!(
        answered(&ant, &CarrierFrame::refused("closed on Sundays").to_bytes())
            .await
            .to_string()
            .contains("Sundays")
    );
    assert!(metric(&ant, "tidings_frames_refused_total") >= 5);
    assert_eq!(root(&ant).await, before);
    // All the same it answers those who are not refused.
    let (here, there) = duplex(PIPE_BYTES);
    let bat = alone(&mesh, "bat").start().await.unwrap();
    let bird = alone(&mesh, "bird").start().await.unwrap();
    let remote = bird.remote(OneStream::new(here));
    let (pulled, _) = tokio::join!(remote.pull(), bat.serve(there));
    pulled.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_blocked_stays_so_over_a_restart() {
    let (mesh, directory) = (mesh_name(), tempfile::tempdir().unwrap());
    let builder = || node_on_disk(&mesh, "ant", directory.path()).listen([]);
    let (ant, cat) = (builder().start().await.unwrap(), NodeId([1; 32]));
    ant.block(cat).await.unwrap();
    let ant = restart(ant, builder).await;
    assert!(ant.peers().await.iter().any(|peer| peer.peer_id == cat.to_string() && peer.blocked));
    let (error, answer) = said(&ant, &hello(&mesh, cat), false).await;
    assert!(matches!(&error, RemoteError::Stranger(why) if why.contains("blocks")), "{error}");
    assert!(String::from_utf8_lossy(&answer).contains("blocks"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_the_carrier_proves_to_be_another_is_refused_at_both_ends() {
    struct Expects(Mutex<Option<DuplexStream>>, NodeId);
    impl Carrier for Expects {
        fn open(&self) -> futures::future::BoxFuture<'_, io::Result<CarrierStream>> {
            let stream = self.0.lock().unwrap().take().unwrap();
            Box::pin(async { Ok(Box::new(stream) as CarrierStream) })
        }

        fn describe(&self) -> String {
            "a tunnel".to_owned()
        }

        fn peer(&self) -> Option<NodeId> {
            Some(self.1)
        }
    }
    let (ant, bat) = pair().await;
    ant.put("nest", "eggs").await.unwrap();
    let other = NodeId([7; 32]);
    let (here, there) = duplex(PIPE_BYTES);
    let remote = ant.remote(Expects(Mutex::new(Some(here)), other));
    let (pushed, served) = tokio::join!(remote.push(), bat.serve(there));
    assert!(matches!(pushed, Err(RemoteError::Stranger(why)) if why.contains(&other.to_string())));
    assert!(served.unwrap().peers.is_empty());
    let (here, there) = duplex(PIPE_BYTES);
    let remote = ant.remote(OneStream::new(here));
    let (pushed, served) = tokio::join!(remote.push(), bat.serve_peer(other, there));
    assert!(matches!(pushed, Err(RemoteError::Refused(why)) if why.contains(&other.to_string())));
    assert!(matches!(served, Err(RemoteError::Stranger(_))));
    let (here, there) = duplex(PIPE_BYTES);
    let remote = ant.remote(Expects(Mutex::new(Some(here)), bat.id()));
    let (pushed, served) = tokio::join!(remote.push(), bat.serve_peer(ant.id(), there));
    assert_eq!((pushed.unwrap().versions_out, served.unwrap().versions_in), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_on_which_nothing_is_said_is_given_up_and_there_are_so_many_places() {
    let (ant, bat) = pair().await;
    let begin = time::Instant::now();
    let mut silent = JoinSet::new();
    let mut ends = Vec::new();
    let door = Door::to(&ant);
    let refused = loop {
        // One that came while a visitor had the last place was refused itself.
        while silent.len() < CARRIED_MAX {
            let (here, there) = duplex(PIPE_BYTES);
            ends.push(here);
            let ant = ant.clone();
            silent.spawn(async move { ant.serve(there).await });
        }
        match bat.remote(door.carrier()).sync().await {
            Err(refused) => break refused,
            Ok(_) => assert!(begin.elapsed() < PATIENCE, "all places are taken"),
        }
        while silent.try_join_next().is_some() {}
    };
    assert!(matches!(&refused, RemoteError::Refused(why) if why.contains("too many others")), "{refused}");
    // Nor does one get anywhere who is not answered.
    let (here, there) = duplex(PIPE_BYTES);
    let remote = bat.remote(OneStream::new(here));
    let error = remote.sync().await.unwrap_err();
    assert!(error.to_string().contains("did not answer within 15 s"), "{error}");
    drop(there);
    let mut given_up = 0;
    while let Some(served) = silent.join_next().await {
        let error = served.unwrap().unwrap_err();
        given_up += usize::from(error.to_string().contains("did not answer within 15 s"));
        assert!(given_up > 0 || matches!(error, RemoteError::Busy), "{error}");
    }
    assert!(given_up >= CARRIED_MAX - 1, "{given_up}");
    let in_turn = time::Duration::from_secs(15) * u32::try_from(CARRIED_MAX).unwrap();
    assert!(begin.elapsed() < in_turn / 2, "all waited at once");
    assert_eq!(bat.remote(door.carrier()).sync().await.unwrap().error(), None, "its place is free again");
}
