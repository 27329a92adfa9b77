//! Syncs at intervals, until they are stopped or their node ends.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidings::{
    causality::NodeId,
    node::{INTERVAL_MIN, NodeEvent, RemoteError, SCHEDULES_MAX},
    ports::carrier,
};
use tokio::{io::duplex, time};

use super::{Door, PIPE_BYTES, pair, root};
use crate::support::{event, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_keeps_two_in_agreement_until_it_is_stopped() {
    let (ant, bat) = pair().await;
    let door = Door::to(&bat);
    let remote = ant.remote(door.carrier());
    assert!(!remote.is_scheduled() && !remote.stop());
    remote.sync_every(INTERVAL_MIN).unwrap();
    assert!(remote.is_scheduled() && remote.clone().is_scheduled());
    for n in 0..3 {
        ant.put(format!("ant/{n}"), "x").await.unwrap();
        bat.put(format!("bat/{n}"), "x").await.unwrap();
        until("both agree", || async { (root(&ant).await == root(&bat).await).then_some(()) }).await;
    }
    // The interval is another from now on: there is one schedule still.
    remote.sync_every(INTERVAL_MIN * 2).unwrap();
    assert!(remote.stop());
    assert!(!remote.is_scheduled() && !remote.stop());
    until("the last visit is over", || async {
        door.visits.lock().unwrap().try_join_next().is_none().then_some(())
    })
    .await;
    ant.put("later", "x").await.unwrap();
    let visits = door.answered.load(Ordering::SeqCst);
    time::sleep(INTERVAL_MIN * 6).await;
    assert!(door.answered.load(Ordering::SeqCst) <= visits + 1, "but for one that was cut");
    assert_eq!(text(&bat, "later").await, None);
    assert!(matches!(remote.sync_every(Duration::ZERO), Err(RemoteError::Interval(_))));
    assert!(!remote.is_scheduled());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_ends_with_its_node() {
    for closes in [true, false] {
        let (ant, bat) = pair().await;
        let door = Door::to(&bat);
        let remote = ant.remote(door.carrier());
        remote.sync_every(INTERVAL_MIN).unwrap();
        until("it runs", || async { (door.answered.load(Ordering::SeqCst) > 1).then_some(()) }).await;
        if closes {
            ant.close().await;
            until("it is over", || async { (!remote.is_scheduled()).then_some(()) }).await;
            assert!(matches!(remote.sync_every(INTERVAL_MIN), Err(RemoteError::Closed)));
            assert!(matches!(remote.pull().await, Err(RemoteError::Closed)));
            assert_eq!(ant.tasks(), 0);
        }
        drop((ant, remote));
        until("nobody visits any more", || async {
            let visits = door.answered.load(Ordering::SeqCst);
            time::sleep(INTERVAL_MIN * 6).await;
            (door.answered.load(Ordering::SeqCst) == visits).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_survives_carriers_that_fail_or_panic_and_tells_of_it_once() {
    let (ant, bat) = pair().await;
    let mut events = ant.events();
    let (door, tries) = (Door::to(&bat), Arc::new(AtomicUsize::new(0)));
    let counted = tries.clone();
    let remote = ant.remote(carrier("the shaky door", move || {
        let nth = counted.fetch_add(1, Ordering::SeqCst);
        assert!(nth != 1, "a mistake of the host's");
        let (here, there) = duplex(PIPE_BYTES);
        if nth > 2 {
            door.answer(there);
        }
        async move { if nth > 2 { Ok(here) } else { Err(io::Error::other("it is locked")) } }
    }));
    bat.put("nest", "eggs").await.unwrap();
    remote.sync_every(INTERVAL_MIN).unwrap();
    until("it works in the end", || async { text(&ant, "nest").await }).await;
    assert!(remote.is_scheduled());
    let warning = event(&mut events, |event| match event {
        NodeEvent::Warning(text) => Some(text),
        _ => None,
    })
    .await;
    assert!(warning.contains("the shaky door") && warning.contains("it is locked"), "{warning}");
    let more = std::iter::from_fn(|| events.try_recv().ok());
    assert_eq!(more.filter(|event| matches!(event, NodeEvent::Warning(_))).count(), 0, "once is enough");
    assert!(remote.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_schedules_and_those_of_peers_are_found_by_their_id() {
    let (ant, _) = pair().await;
    let peer = |n: usize| ant.peer(NodeId([u8::try_from(n).unwrap(); 32]));
    for n in 0..SCHEDULES_MAX {
        peer(n).sync_every(Duration::from_secs(60)).unwrap();
    }
    assert!(matches!(
        peer(SCHEDULES_MAX).sync_every(Duration::from_secs(60)),
        Err(RemoteError::TooManySchedules)
    ));
    peer(3).sync_every(Duration::from_secs(30)).unwrap();
    assert!(peer(7).is_scheduled() && peer(7).stop() && !peer(7).is_scheduled());
    peer(SCHEDULES_MAX).sync_every(Duration::from_secs(60)).unwrap();
}
