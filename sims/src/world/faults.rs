//! What goes wrong, and how it is put right.

use super::{
    World,
    links::{Way, between, both_ways},
};
use crate::{
    dice::Dice,
    history::What,
    net::address,
    plan::{FaultKind, How, NodeNo, Quality},
    timeline,
};

/// A process gets so many turns at most between taking on its last work and its end: a write takes
/// about ten from the user's call to the answer.
const LAST_AWAITS_MAX: u64 = 24;

impl World {
    /// Fault number `number` of the plan begins.
    pub async fn strike(&mut self, number: usize) {
        let kind = self.plan.faults[number].kind.clone();
        self.recorder.note(What::Broke { fault: number, kind: kind.clone() });
        match kind {
            FaultKind::Partition { groups, how } => self.links.cut(&self.net, &between(&groups), how),
            FaultKind::Cut { links, how, one_way } => self.links.cut(&self.net, &ways(&links, one_way), how),
            FaultKind::Flap { link, how, .. } => self.links.cut(&self.net, &both_ways(&[link]), how),
            FaultKind::Slow { links, quality } => self.set_quality(&links, Some(quality)),
            FaultKind::Crash { node } => self.bring_down(number, node, Death::Crash).await,
            FaultKind::LosePower { node } => self.bring_down(number, node, Death::Power).await,
            FaultKind::Wipe { node } => self.bring_down(number, node, Death::Wipe).await,
            FaultKind::Leave { node } => {
                self.machines[node].held_down += 1;
                self.leave(node).await;
            }
            FaultKind::Join { node } => self.start(node).await,
            FaultKind::StallDisk { node } => self.machines[node].gate.set_stalled(true),
            FaultKind::FailDisk { node } => self.machines[node].fail_disk(true),
            FaultKind::Clock { node, skew_ms } => self.machines[node].clock.set_skew(skew_ms),
        }
    }

    /// Fault number `number` of the plan is over.
    pub async fn mend(&mut self, number: usize) {
        let kind = self.plan.faults[number].kind.clone();
        self.recorder.note(What::Mended { fault: number });
        match kind {
            FaultKind::Partition { groups, how } => self.heal(number, between(&groups), how),
            FaultKind::Cut { links, how, one_way } => self.heal(number, ways(&links, one_way), how),
            // The link works: see the timeline.
            FaultKind::Flap { .. } => {}
            FaultKind::Slow { links, .. } => self.set_quality(&links, None),
            FaultKind::Crash { node }
            | FaultKind::LosePower { node }
            | FaultKind::Wipe { node }
            | FaultKind::Leave { node } => {
                self.machines[node].held_down -= 1;
                if self.machines[node].held_down == 0 {
                    self.start(node).await;
                }
            }
            FaultKind::Join { node } => self.leave(node).await,
            FaultKind::StallDisk { node } => {
                if self.machines[node].disk_answers() {
                    self.start(node).await;
                }
            }
            FaultKind::FailDisk { node } => self.repair_disk(node).await,
            FaultKind::Clock { node, .. } => self.machines[node].clock.set_skew(0),
        }
    }

    fn heal(&mut self, fault: usize, ways: Vec<Way>, how: How) {
        self.links.heal(&self.net, &ways, how);
        self.note_healed(fault, ways);
    }

    /// A link that flaps changes: it works from now on, or does not.
    pub fn flap(&mut self, link: (NodeNo, NodeNo), how: How, works: bool) {
        let ways = both_ways(&[link]);
        if works {
            self.links.heal(&self.net, &ways, how);
        } else {
            self.links.cut(&self.net, &ways, how);
        }
    }

    async fn bring_down(&mut self, fault: usize, node: NodeNo, death: Death) {
        self.machines[node].held_down += 1;
        let alive = self.node(node).is_some();
        if alive {
            // Before its last words, for it waits for the node to come to rest.
            self.retire(node).await;
        }
        self.last_words(fault).await;
        if matches!(death, Death::Power) {
            // First, or the destructors of what dies would say goodbye.
            self.net.power_off(address(node));
        }
        if alive {
            self.bury(node).await;
        }
        match death {
            Death::Crash => {}
            Death::Power => {
                self.machines[node].lose_power();
                match self.machines[node].contents() {
                    Ok(left) => self.recorder.lost_power(node, &left.records),
                    Err(error) => self.warn(node, format!("its disk cannot be read: {error}")),
                }
            }
            Death::Wipe => {
                if let Err(error) = self.machines[node].wipe() {
                    self.warn(node, format!("no new disk: {error}"));
                }
                self.recorder.wiped(node);
            }
        }
    }

    /// The node takes on its last work and gets some way with it: it dies between any two awaits. One that
    /// is down already refuses.
    async fn last_words(&mut self, fault: usize) {
        for operation in timeline::last_words(&self.plan, fault).collect::<Vec<_>>() {
            self.operate(operation);
        }
        let awaits = Dice::of(self.plan.seed, &format!("last words {fault}")).below(LAST_AWAITS_MAX);
        for _ in 0..awaits {
            tokio::task::yield_now().await;
        }
    }

    /// The disk works again. A node that gave up on it is started again, as its operator would.
    async fn repair_disk(&mut self, node: NodeNo) {
        self.machines[node].fail_disk(false);
        let gave_up = self.node(node).is_some_and(|node| !node.health().ready);
        if gave_up {
            self.kill(node).await;
            self.start(node).await;
        }
    }

    fn set_quality(&self, links: &[(NodeNo, NodeNo)], quality: Option<Quality>) {
        for &(a, b) in links {
            let planned = self
                .plan
                .edges
                .iter()
                .find(|edge| (edge.from, edge.to) == (a, b) || (edge.to, edge.from) == (a, b));
            let usual = planned.map(|edge| edge.quality).unwrap_or_default();
            self.net.set_quality(address(a), address(b), quality.unwrap_or(usual));
        }
    }
}

enum Death {
    Crash,
    Power,
    Wipe,
}

fn ways(links: &[(NodeNo, NodeNo)], one_way: bool) -> Vec<(NodeNo, NodeNo)> {
    if one_way { links.to_vec() } else { both_ways(links) }
}
