//! A mesh of bare gossipsub, signed or anonymous, with the parameters that a node gives it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm,
    gossipsub::{self, IdentTopic, MessageAuthenticity, MessageId, ValidationMode},
    identity::Keypair,
    swarm::{SwarmEvent, dial_opts::DialOpts},
};
use tidings::network::Tuning;
use tokio::{sync::mpsc, task::JoinSet, time};

use super::{Arrival, Mesh, Topology, counted, nodes};

enum Order {
    Dial(Multiaddr),
    Publish(Vec<u8>),
}

pub struct Bare<const SIGNED: bool> {
    orders: Vec<mpsc::UnboundedSender<Order>>,
    tasks: JoinSet<()>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    written: Arc<AtomicU64>,
}

fn swarm(signed: bool, written: Arc<AtomicU64>) -> Swarm<gossipsub::Behaviour> {
    let keypair = Keypair::generate_ed25519();
    let tuning = Tuning::default();
    let degree = tuning.gossip_degree;
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(if signed { ValidationMode::Strict } else { ValidationMode::Anonymous })
        .message_id_fn(|message| MessageId::from(&blake3::hash(&message.data).as_bytes()[..20]))
        .mesh_n(degree)
        .mesh_n_low(degree - 1)
        .mesh_n_high(degree + 3)
        .mesh_outbound_min(2)
        .gossip_lazy(degree)
        .heartbeat_interval(tuning.heartbeat)
        .heartbeat_initial_delay(Duration::from_millis(200))
        .history_length(12)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(30))
        .flood_publish(false)
        .max_transmit_size(1 << 20)
        .connection_handler_queue_len(tuning.gossip_queue_max)
        .build()
        .unwrap();
    let authenticity =
        if signed { MessageAuthenticity::Signed(keypair.clone()) } else { MessageAuthenticity::Anonymous };
    let behaviour = gossipsub::Behaviour::new(authenticity, config).unwrap();
    let transport = counted::transport(&keypair, written);
    let config =
        libp2p::swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(600));
    Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config)
}

async fn drive(
    mut swarm: Swarm<gossipsub::Behaviour>,
    topic: IdentTopic,
    n: usize,
    mut orders: mpsc::UnboundedReceiver<Order>,
    told: mpsc::UnboundedSender<Arrival>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Dial(address)) => {
                    let to = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
                    swarm.dial(to).unwrap();
                }
                Some(Order::Publish(data)) => drop(swarm.behaviour_mut().publish(topic.clone(), data).unwrap()),
                None => return,
            },
            event = swarm.select_next_some() => {
                if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = event {
                    let number = |at: usize| u64::from_le_bytes(message.data[at..at + 8].try_into().unwrap()) as usize;
                    let at = Instant::now();
                    if (0..number(8)).any(|more| told.send((number(0) + more, n, at)).is_err()) {
                        return;
                    }
                }
            }
        }
    }
}

impl<const SIGNED: bool> Mesh for Bare<SIGNED> {
    async fn start(topology: &Topology) -> Self {
        let written = Arc::new(AtomicU64::new(0));
        let topic = IdentTopic::new("bench");
        let (told, arrivals) = mpsc::unbounded_channel();
        let (mut orders, mut addresses, mut tasks) = (Vec::new(), Vec::new(), JoinSet::new());
        for n in 0..topology.members {
            let mut swarm = swarm(SIGNED, written.clone());
            swarm.behaviour_mut().subscribe(&topic).unwrap();
            swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
            let address = loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    break address;
                }
            };
            let (order, taken) = mpsc::unbounded_channel();
            tasks.spawn(drive(swarm, topic.clone(), n, taken, told.clone()));
            orders.push(order);
            addresses.push(address);
        }
        for (a, b) in &topology.links {
            drop(orders[*a].send(Order::Dial(addresses[*b].clone())));
        }
        time::sleep(nodes::SETTLING + Duration::from_millis(500)).await;
        Self { orders, tasks, arrivals, written }
    }

    fn arrivals(&mut self) -> &mut mpsc::UnboundedReceiver<Arrival> {
        &mut self.arrivals
    }

    async fn send(&self, from: usize, first: usize, count: usize) {
        let mut data = vec![0xa5; nodes::encoded_bytes(count)];
        data[..8].copy_from_slice(&(first as u64).to_le_bytes());
        data[8..16].copy_from_slice(&(count as u64).to_le_bytes());
        drop(self.orders[from].send(Order::Publish(data)));
    }

    fn wire_bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    async fn stop(mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}
