//! What the network does, checked against what TCP was measured to do.

use std::{future::poll_fn, io, pin::Pin, time::Duration};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::{
    Endpoint,
    transport::{DialOpts, ListenerId, PortUse, Transport, TransportEvent},
};
use tokio::time::{Instant, timeout};

use super::{Net, Pipe, SimTransport, address};
use crate::plan::Quality;

const LATENCY: Duration = Duration::from_millis(50);

struct Two {
    net: Net,
    dialler: SimTransport,
    listener: SimTransport,
}

impl Two {
    fn new(bandwidth: Option<u64>) -> Self {
        let net = Net::new(1, Quality { latency: LATENCY, jitter: Duration::ZERO, bandwidth });
        let dialler = net.transport(address(0));
        let mut listener = net.transport(address(1));
        listener.listen_on(ListenerId::next(), "/ip4/0.0.0.0/tcp/7701".parse().unwrap()).unwrap();
        Self { net, dialler, listener }
    }

    fn dial(&mut self) -> futures::future::BoxFuture<'static, io::Result<Pipe>> {
        let to = format!("/ip4/{}/tcp/7701", address(1)).parse().unwrap();
        self.dialler.dial(to, DialOpts { role: Endpoint::Dialer, port_use: PortUse::Reuse }).unwrap()
    }

    async fn accept(&mut self) -> Pipe {
        loop {
            let event = poll_fn(|context| Transport::poll(Pin::new(&mut self.listener), context)).await;
            if let TransportEvent::Incoming { upgrade, .. } = event {
                return upgrade.await.unwrap();
            }
        }
    }

    async fn connect(&mut self) -> (Pipe, Pipe) {
        let dial = self.dial();
        let (near, far) = tokio::join!(dial, self.accept());
        (near.unwrap(), far)
    }

    fn cut(&self) {
        self.net.freeze(address(0), address(1));
    }

    fn heal(&self) {
        self.net.thaw(address(0), address(1));
    }
}

async fn silent(pipe: &mut Pipe, time: Duration) -> bool {
    timeout(time, pipe.read(&mut [0; 8])).await.is_err()
}

fn kind(result: io::Result<usize>) -> io::ErrorKind {
    result.unwrap_err().kind()
}

#[tokio::test(start_paused = true)]
async fn a_dial_takes_a_round_trip_and_a_byte_half_of_one() {
    let started = Instant::now();
    let mut two = Two::new(None);
    let (mut near, mut far) = two.connect().await;
    assert_eq!(started.elapsed().as_millis(), 100);
    near.write_all(b"hi").await.unwrap();
    far.read_exact(&mut [0; 2]).await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 150);
}

#[tokio::test(start_paused = true)]
async fn a_mebibyte_at_one_a_second_takes_a_second_though_the_window_is_small() {
    let mut two = Two::new(Some(1 << 20));
    let (mut near, mut far) = two.connect().await;
    let started = Instant::now();
    let (sent, mut received) = (vec![7; 1 << 20], vec![0; 1 << 20]);
    let (written, got) = tokio::join!(near.write_all(&sent), far.read_exact(&mut received));
    written.unwrap();
    got.unwrap();
    assert!((1_050..1_300).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert_eq!(two.net.bytes(address(0), address(1)), 1 << 20);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_link_loses_nothing() {
    let mut two = Two::new(None);
    let (mut near, mut far) = two.connect().await;
    near.write_all(b"under way").await.unwrap();
    two.cut();
    near.write_all(b", held").await.unwrap();
    assert!(silent(&mut far, Duration::from_secs(100)).await);
    let healed = Instant::now();
    two.heal();
    let mut text = [0; 15];
    far.read_exact(&mut text).await.unwrap();
    assert_eq!((&text, healed.elapsed().as_millis()), (b"under way, held", 50));
}

#[tokio::test(start_paused = true)]
async fn without_acknowledgements_the_other_way_starves_when_its_window_is_full() {
    let mut two = Two::new(None);
    let (mut near, mut far) = two.connect().await;
    two.cut();
    let (bytes, mut buffer) = (vec![1; 1 << 16], vec![0; 1 << 16]);
    let (mut written, mut read) = (0, 0);
    while let Ok(count) = timeout(Duration::from_secs(5), far.write(&bytes)).await {
        written += count.unwrap();
        read += near.read(&mut buffer).await.unwrap();
    }
    assert_eq!((written, read), (256 << 10, 256 << 10));
    two.heal();
    assert!(timeout(Duration::from_secs(1), far.write(b"again")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dial_into_a_frozen_link_waits_for_it_but_not_for_ever() {
    let mut two = Two::new(None);
    two.cut();
    let mut dial = two.dial();
    assert!(timeout(Duration::from_secs(10), &mut dial).await.is_err());
    two.heal();
    let (near, _far) = tokio::join!(dial, two.accept());
    assert!(near.is_ok());
    two.cut();
    let started = Instant::now();
    let error = two.dial().await.err().map(|error| error.kind());
    assert_eq!((error, started.elapsed().as_secs()), (Some(io::ErrorKind::TimedOut), 63));
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_power_is_silent_and_resets_when_it_is_back() {
    let mut two = Two::new(None);
    let (mut near, far) = two.connect().await;
    two.net.power_off(address(1));
    drop(far);
    near.write_all(b"hello?").await.unwrap();
    assert!(silent(&mut near, Duration::from_secs(600)).await);
    two.net.power_on(address(1));
    assert_eq!(kind(near.read(&mut [0; 8]).await), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_broken_link_resets_and_refuses() {
    let mut two = Two::new(None);
    let (mut near, mut far) = two.connect().await;
    two.net.refuse(address(0), address(1), true);
    two.net.reset(address(0), address(1));
    assert_eq!(kind(near.read(&mut [0; 8]).await), io::ErrorKind::ConnectionReset);
    assert_eq!(kind(far.write(b"x").await), io::ErrorKind::ConnectionReset);
    let error = two.dial().await.err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::ConnectionRefused));
    two.net.refuse(address(0), address(1), false);
    two.connect().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_ends_its_connections() {
    let mut two = Two::new(None);
    let (near, mut far) = two.connect().await;
    let died = Instant::now();
    drop(near);
    assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(died.elapsed().as_millis(), 50);
    assert_eq!(kind(far.write(b"x").await), io::ErrorKind::BrokenPipe);
    drop(far);
    assert_eq!(two.net.connections(), 0);
}
