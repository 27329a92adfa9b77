//! The world of one simulation: machines, the network between them, and what goes wrong with both.

mod client;
mod faults;
mod links;
mod machine;
mod recorder;
mod sampler;
mod shadow;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tidings::{
    Node,
    node::{Builder, NodeEvent},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinSet,
};

pub use self::recorder::Recorder;
use self::{
    links::{Links, Way},
    machine::Machine,
    sampler::Counts,
};
use crate::{
    history::{Final, Sample, What},
    mesh::Mesh,
    net::{Net, address},
    os,
    plan::{NodeNo, Plan, Quality},
};

/// Changes how a node is built: an embedder's own settings under our weather.
pub type Configure = Arc<dyn Fn(NodeNo, Builder) -> Builder + Send + Sync>;

/// Machines and what connects them.
pub struct World {
    plan: Arc<Plan>,
    net: Net,
    links: Links,
    machines: Vec<Machine>,
    recorder: Recorder,
    configure: Option<Configure>,
    /// Who is who: every identity that a node of a machine ever had.
    names: BTreeMap<String, NodeNo>,
    /// What the nodes counted that ran on a machine before, and the one that runs.
    counts: Vec<(Counts, Counts)>,
    users: JoinSet<()>,
    mesh: Mesh,
    /// By fault.
    healed: BTreeMap<usize, Healed>,
}

/// Ways that a fault had cut and that work again.
struct Healed {
    ways: Vec<Way>,
    /// The bytes they had carried by then,
    before: u64,
    /// and when all agreed.
    after: Option<u64>,
}

impl World {
    /// The world of a plan, with all machines off. To be made within the runtime of the simulation.
    ///
    /// # Errors
    /// When there is no place for the directories of real stores.
    pub fn new(plan: Arc<Plan>, recorder: Recorder, configure: Option<Configure>) -> io::Result<Self> {
        let net = Net::new(plan.seed, plan.edges.first().map_or_else(Quality::default, |edge| edge.quality));
        for edge in &plan.edges {
            net.set_quality(address(edge.from), address(edge.to), edge.quality);
        }
        let machines: io::Result<Vec<Machine>> =
            (0..plan.nodes).map(|no| Machine::new(no, plan.seed, plan.settings.store)).collect();
        let counts = vec![Default::default(); plan.nodes];
        let (links, names) = (Links::default(), BTreeMap::new());
        Ok(Self {
            net,
            links,
            machines: machines?,
            recorder,
            configure,
            names,
            counts,
            users: JoinSet::new(),
            mesh: Mesh::new(plan.nodes),
            healed: BTreeMap::new(),
            plan,
        })
    }

    /// The plan that is carried out.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Who writes down what happens.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The nodes as programs see them.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// The node that runs on this machine, if one does.
    #[must_use]
    pub fn node(&self, no: NodeNo) -> Option<Node> {
        self.machines.get(no)?.node.clone()
    }

    /// Starts a node.
    pub async fn start(&mut self, no: NodeNo) {
        if self.machines[no].node.is_some() || self.machines[no].waits_for_its_disk() {
            return;
        }
        let peers: Vec<NodeNo> =
            self.plan.edges.iter().filter(|edge| edge.from == no).map(|edge| edge.to).collect();
        self.net.power_on(address(no));
        let machine = &mut self.machines[no];
        let builder = match machine.builder(&self.net, &peers, &self.plan.settings, &self.recorder) {
            Ok(builder) => builder,
            Err(error) => return self.warn(no, format!("its store could not be opened: {error}")),
        };
        match machine.contents() {
            Ok(contents) => {
                let (records, seen) = (contents.records, contents.seen);
                self.recorder.note(What::Started { node: no, records, seen });
            }
            Err(error) => return self.warn(no, format!("its store could not be read: {error}")),
        }
        let builder = match &self.configure {
            Some(configure) => configure(no, builder),
            None => builder,
        };
        match machine::start(builder).await {
            Ok(node) => self.is_up(no, node),
            Err(error) => {
                self.recorder.note(What::Stopped { node: no, orderly: false });
                self.warn(no, format!("it could not be started: {error}"));
            }
        }
    }

    fn is_up(&mut self, no: NodeNo, node: Node) {
        self.names.insert(node.id().to_string(), no);
        tokio::spawn(listen(no, node.events(), self.names.clone(), self.recorder.clone()));
        self.mesh.set(no, Some(node.clone()));
        self.machines[no].node = Some(node);
    }

    fn warn(&self, node: NodeNo, text: String) {
        self.recorder.note(What::Warned { node, text });
    }

    /// Kills a node at whatever it awaits.
    pub async fn kill(&mut self, no: NodeNo) {
        if self.machines[no].node.is_some() {
            self.retire(no).await;
            self.bury(no).await;
        }
    }

    /// The process of a node that was retired is no more.
    async fn bury(&mut self, no: NodeNo) {
        self.machines[no].kill().await;
        self.recorder.note(What::Stopped { node: no, orderly: false });
    }

    /// A node leaves in good order.
    pub async fn leave(&mut self, no: NodeNo) {
        let Some(node) = self.machines[no].node.clone() else { return };
        self.retire(no).await;
        node.close().await;
        drop(node);
        self.machines[no].kill().await;
        self.recorder.note(What::Stopped { node: no, orderly: true });
    }

    /// Keeps what the node that is about to end has counted.
    async fn retire(&mut self, no: NodeNo) {
        self.mesh.set(no, None);
        let _last = self.measure(no).await;
        let (before, now) = self.counts[no];
        self.counts[no] = (sampler::add(before, now), Counts::default());
    }

    async fn measure(&mut self, no: NodeNo) -> Sample {
        let wire = self.net.bytes_from(address(no));
        let (before, last) = self.counts[no];
        match &self.machines[no].node {
            None => sampler::absent(sampler::add(before, last), wire),
            Some(node) => {
                let bytes = self.machines[no].store_bytes();
                let (sample, now) = sampler::sample(node, before, wire, bytes).await;
                self.counts[no].1 = now;
                let in_sync = sampler::in_sync(node, &self.names, &self.machines[no].clock).await;
                Sample { in_sync, ..sample }
            }
        }
    }

    /// Measures all nodes.
    pub async fn sample(&mut self) {
        let mut samples = Vec::with_capacity(self.machines.len());
        for no in 0..self.machines.len() {
            samples.push(self.measure(no).await);
        }
        self.recorder.sample(samples);
        self.note_agreement();
    }

    /// Has operation number `number` done, and does not wait for it.
    pub fn operate(&mut self, number: usize) {
        let operation = self.plan.operations[number].clone();
        let node = self.node(operation.node);
        self.users.spawn(client::operate(node, number, operation, self.recorder.clone()));
        while self.users.try_join_next().is_some() {}
    }

    /// Waits until all users have been answered, but not longer than `patience`.
    pub async fn wait_for_users(&mut self, patience: Duration) {
        let users = async { while self.users.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(patience, users).await;
    }

    /// Nodes that gave up are down from now on.
    pub async fn reap(&mut self) {
        for no in 0..self.machines.len() {
            if self.node(no).is_some_and(|node| !node.health().ready) {
                self.kill(no).await;
            }
        }
    }

    /// What every node that is up holds.
    ///
    /// # Errors
    /// When one cannot be asked; which, and why.
    pub async fn finals(&self) -> Result<BTreeMap<NodeNo, Final>, String> {
        let mut finals = BTreeMap::new();
        for (no, machine) in self.machines.iter().enumerate() {
            let Some(node) = &machine.node else { continue };
            let said = |error: &dyn std::fmt::Display| format!("n{no}: {error}");
            let digest = node.digest().await.map_err(|error| said(&error))?;
            let contents = machine.contents().map_err(|error| said(&error))?;
            let reads = machine::reads(node).await.map_err(|error| said(&error))?;
            let seen = digest.frontier.0;
            finals.insert(no, Final { root: digest.root, reads, records: contents.records, seen });
        }
        Ok(finals)
    }

    /// These ways, which a fault had cut, work again.
    fn note_healed(&mut self, fault: usize, ways: Vec<Way>) {
        let before = self.carried(&ways);
        self.healed.insert(fault, Healed { ways, before, after: None });
    }

    fn carried(&self, ways: &[Way]) -> u64 {
        ways.iter().map(|&(from, to)| self.net.bytes(address(from), address(to))).sum()
    }

    /// Where all agree, whatever went over healed links since does not count any more.
    fn note_agreement(&mut self) {
        if !self.recorder.agree() {
            return;
        }
        let mut healed = std::mem::take(&mut self.healed);
        for link in healed.values_mut().filter(|link| link.after.is_none()) {
            link.after = Some(self.carried(&link.ways));
        }
        self.healed = healed;
    }

    /// How many bytes went over the links that each fault had cut, from its end to the first sample in
    /// which all agreed.
    #[must_use]
    pub fn healed_bytes(&self) -> BTreeMap<usize, u64> {
        let since = |link: &Healed| {
            link.after.unwrap_or_else(|| self.carried(&link.ways)).saturating_sub(link.before)
        };
        self.healed.iter().map(|(fault, link)| (*fault, since(link))).collect()
    }

    /// Ends everything: whatever is left running then was forgotten by its node.
    pub async fn end(mut self) -> usize {
        for no in 0..self.machines.len() {
            self.machines[no].kill().await;
        }
        self.net.connections()
    }
}

/// Writes down what a node says of its peers, until it ends.
async fn listen(
    node: NodeNo,
    mut events: Receiver<NodeEvent>,
    mut names: BTreeMap<String, NodeNo>,
    recorder: Recorder,
) {
    loop {
        let what = match events.recv().await {
            Ok(NodeEvent::PeerFound { peer_id, name, .. }) => {
                let to = name.strip_prefix('n').and_then(|no| no.parse().ok());
                let Some(to) = to else { continue };
                names.insert(peer_id, to);
                What::Connected { node, to }
            }
            Ok(NodeEvent::PeerLost { peer_id, .. }) => match names.get(&peer_id) {
                Some(&from) => What::Parted { node, from },
                None => continue,
            },
            Ok(NodeEvent::Warning(text)) => What::Warned { node, text },
            Ok(_) => continue,
            Err(RecvError::Lagged(missed)) => {
                What::Warned { node, text: format!("{missed} events were missed") }
            }
            Err(RecvError::Closed) => return,
        };
        recorder.note(what);
    }
}

/// Waits until `at`, counted from the beginning.
pub async fn sleep_until(at: Duration) {
    let now = os::elapsed();
    if let Some(left) = at.checked_sub(now) {
        tokio::time::sleep(left).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{os::Virtual, trace::Trace};

    /// Runs `test` in a world of two nodes, in virtual time.
    fn in_a_world<T: Send + 'static>(test: impl AsyncFnOnce(&mut World) -> T + Send + 'static) -> T {
        let in_virtual_time = || {
            let time = Virtual::begin(1);
            let builder = &mut tokio::runtime::Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                time.clocks_start();
                let recorder = Recorder::new(2, Trace::default());
                let mut world = World::new(Arc::new(Plan::empty(2, 1)), recorder, None).unwrap();
                world.start(0).await;
                world.start(1).await;
                test(&mut world).await
            })
        };
        std::thread::spawn(in_virtual_time).join().unwrap()
    }

    fn metric(node: &Node, name: &str) -> u64 {
        let metrics = node.metrics();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
        line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
    }

    #[test]
    fn the_heartbeats_of_gossip_fire_in_virtual_time() {
        let heartbeats = in_a_world(async |world| {
            tokio::time::sleep(Duration::from_secs(100)).await;
            metric(&world.node(0).unwrap(), "tidings_network_gossipsub_heartbeat_duration_count")
        });
        assert!((190..=210).contains(&heartbeats), "{heartbeats} heartbeats, one every 500 ms, in 100 s");
    }

    #[test]
    fn a_node_that_is_killed_leaves_nothing_running() {
        let (before, after) = in_a_world(async |world| {
            let metrics = tokio::runtime::Handle::current().metrics();
            tokio::time::sleep(Duration::from_secs(10)).await;
            let with_two = metrics.num_alive_tasks();
            for _ in 0..20 {
                world.kill(1).await;
                world.start(1).await;
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            (with_two, metrics.num_alive_tasks())
        });
        // Fewer while the other waits to dial again.
        assert!(after <= before, "{before} tasks became {after}");
    }
}
