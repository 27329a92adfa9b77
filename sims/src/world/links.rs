//! Which links are held up, by how many faults: a link works again when the last of them is over.

use std::collections::BTreeMap;

use crate::{
    net::{Net, address},
    plan::{How, NodeNo},
};

/// Links that do not work.
#[derive(Debug, Default)]
pub struct Links {
    frozen: BTreeMap<(NodeNo, NodeNo), usize>,
    broken: BTreeMap<(NodeNo, NodeNo), usize>,
}

/// One way of a link.
pub type Way = (NodeNo, NodeNo);

impl Links {
    /// Another fault holds up these ways.
    pub fn cut(&mut self, net: &Net, ways: &[Way], how: How) {
        for &(from, to) in ways {
            let faults = self.faults(how).entry((from, to)).or_default();
            *faults += 1;
            if *faults == 1 {
                stop(net, (from, to), how);
            }
        }
    }

    /// A fault that held up these ways is over.
    pub fn heal(&mut self, net: &Net, ways: &[Way], how: How) {
        for &(from, to) in ways {
            let Some(faults) = self.faults(how).get_mut(&(from, to)) else { continue };
            *faults -= 1;
            if *faults == 0 {
                self.faults(how).remove(&(from, to));
                match how {
                    How::Freeze => net.thaw(address(from), address(to)),
                    How::Break => net.refuse(address(from), address(to), false),
                }
            }
        }
    }

    fn faults(&mut self, how: How) -> &mut BTreeMap<Way, usize> {
        match how {
            How::Freeze => &mut self.frozen,
            How::Break => &mut self.broken,
        }
    }
}

fn stop(net: &Net, (from, to): Way, how: How) {
    let (from, to) = (address(from), address(to));
    match how {
        How::Freeze => net.freeze(from, to),
        How::Break => {
            net.refuse(from, to, true);
            net.reset(from, to);
        }
    }
}

/// Both ways of these links.
#[must_use]
pub fn both_ways(links: &[(NodeNo, NodeNo)]) -> Vec<Way> {
    links.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect()
}

/// All ways between nodes of different groups.
#[must_use]
pub fn between(groups: &[Vec<NodeNo>]) -> Vec<Way> {
    let mut ways = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for other in &groups[at + 1..] {
            for &a in group {
                ways.extend(other.iter().flat_map(|&b| [(a, b), (b, a)]));
            }
        }
    }
    ways
}
