//! Which nodes and links a file means.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use toml::Spanned;

use super::{
    file::{Groups, Links, LinksName},
    problem::Complaint,
    value::Nodes,
};
use crate::{dice::Dice, plan::NodeNo, topology::neighbours};

/// What is known of a mesh when users and faults are drawn.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    pub(super) nodes: usize,
    pub(super) links: Vec<(NodeNo, NodeNo)>,
    /// Whether a link that is named must be one of these: chance did not draw them, and nodes do not add any.
    pub(super) strict: bool,
    pub(super) ends: Duration,
    /// When those that are late join.
    pub(super) late: BTreeMap<NodeNo, Option<Duration>>,
}

type Link = (NodeNo, NodeNo);

impl Mesh {
    /// The nodes that are meant; those by chance are of the `free` ones.
    pub(super) fn pick(
        &self,
        nodes: &Nodes,
        span: std::ops::Range<usize>,
        free: impl Fn(NodeNo) -> bool,
        dice: &mut Dice,
    ) -> Result<Vec<NodeNo>, Complaint> {
        let random = |count: usize, dice: &mut Dice| {
            let mut free: Vec<NodeNo> = (0..self.nodes).filter(|node| free(*node)).collect();
            if free.len() < count {
                let message = format!(
                    "{count} nodes by chance, but only {} are free for it: take fewer, or raise `nodes`",
                    free.len()
                );
                return Err(Complaint::new(span.clone(), message));
            }
            dice.shuffle(&mut free);
            free.truncate(count);
            free.sort_unstable();
            Ok(free)
        };
        let picked = match nodes {
            Nodes::All => (0..self.nodes).collect(),
            Nodes::Listed(listed) => self.listed(listed, &span)?,
            Nodes::Random(count) => random(*count, dice)?,
            Nodes::Share(share) => random(count_of(*share, self.nodes), dice)?,
        };
        if picked.is_empty() {
            return Err(Complaint::new(span.clone(), "this names no node: name one, or take `\"any\"`"));
        }
        Ok(picked)
    }

    fn listed(&self, listed: &[NodeNo], span: &std::ops::Range<usize>) -> Result<Vec<NodeNo>, Complaint> {
        let mut seen = BTreeSet::new();
        for &node in listed {
            self.exists(node, span)?;
            if !seen.insert(node) {
                return Err(Complaint::new(span.clone(), format!("node {node} is named twice: remove one")));
            }
        }
        Ok(listed.to_vec())
    }

    fn exists(&self, node: NodeNo, span: &std::ops::Range<usize>) -> Result<(), Complaint> {
        if node < self.nodes {
            return Ok(());
        }
        let last = self.nodes.saturating_sub(1);
        let message =
            format!("there is no node {node}: the nodes are 0 to {last}; correct it, or raise `nodes`");
        Err(Complaint::new(span.clone(), message))
    }

    /// The links that are meant.
    pub(super) fn pick_links(&self, links: &Spanned<Links>, dice: &mut Dice) -> Result<Vec<Link>, Complaint> {
        let span = links.span();
        let picked = match links.get_ref() {
            Links::Listed(listed) => {
                listed.iter().map(|link| self.listed_link(*link, &span)).collect::<Result<_, _>>()?
            }
            Links::Named(LinksName::All) => self.links.clone(),
            Links::Named(LinksName::Any) => self.random_links(1, dice),
            Links::Random { random } => self.random_links(*random, dice),
            Links::Of { of } => {
                let nodes = self.pick(of, span.clone(), |_| true, dice)?;
                let touches = |(from, to): &&Link| nodes.contains(from) || nodes.contains(to);
                self.links.iter().filter(touches).copied().collect()
            }
        };
        if picked.is_empty() {
            return Err(Complaint::new(span, "this names no link: name one, or take `\"any\"`"));
        }
        Ok(picked)
    }

    fn random_links(&self, count: usize, dice: &mut Dice) -> Vec<Link> {
        let mut links = self.links.clone();
        dice.shuffle(&mut links);
        links.truncate(count);
        links
    }

    fn listed_link(&self, (from, to): Link, span: &std::ops::Range<usize>) -> Result<Link, Complaint> {
        self.exists(from, span)?;
        self.exists(to, span)?;
        let known = self.links.contains(&(from, to)) || self.links.contains(&(to, from));
        if from == to || (self.strict && !known) {
            let near: Vec<_> = neighbours(self.nodes, &self.links)[from].iter().copied().collect();
            let message =
                format!("no link leads from node {from} to node {to}: node {from} is linked with {near:?}");
            return Err(Complaint::new(span.clone(), message));
        }
        Ok((from, to))
    }

    /// The groups that are meant: at least two, with no node in common.
    pub(super) fn pick_groups(
        &self,
        groups: &Spanned<Groups>,
        dice: &mut Dice,
    ) -> Result<Vec<Vec<NodeNo>>, Complaint> {
        let complain = |message: String| Err(Complaint::new(groups.span(), message));
        let count = match groups.get_ref() {
            Groups::Random(count) => *count,
            Groups::Listed(listed) => listed.len(),
        };
        if count < 2 {
            return complain(format!(
                "a partition into {count} group parts nobody: nodes in no group keep their links; take 2 groups"
            ));
        }
        if count > self.nodes {
            return complain(format!("{count} groups of {} nodes: take fewer groups", self.nodes));
        }
        match groups.get_ref() {
            Groups::Random(_) => Ok(self.regions(count, dice)),
            Groups::Listed(listed) => self.listed_groups(listed, &groups.span(), dice),
        }
    }

    fn listed_groups(
        &self,
        groups: &[Nodes],
        span: &std::ops::Range<usize>,
        dice: &mut Dice,
    ) -> Result<Vec<Vec<NodeNo>>, Complaint> {
        let mut taken: BTreeSet<NodeNo> = BTreeSet::new();
        let mut picked = vec![Vec::new(); groups.len()];
        let by_chance = |nodes: &Nodes| matches!(nodes, Nodes::Random(_) | Nodes::Share(_));
        // Those by name first: chance takes of the rest.
        for chance in [false, true] {
            for (group, nodes) in
                picked.iter_mut().zip(groups).filter(|(_, nodes)| by_chance(nodes) == chance)
            {
                *group = self.pick(nodes, span.clone(), |node| !taken.contains(&node), dice)?;
                if let Some(node) = group.iter().find(|node| taken.contains(node)) {
                    let message = format!("node {node} is in two groups: groups have no node in common");
                    return Err(Complaint::new(span.clone(), message));
                }
                taken.extend(group.iter());
            }
        }
        Ok(picked)
    }

    /// All nodes, as so many regions that grow from nodes by chance: each is connected in itself.
    pub(super) fn regions(&self, count: usize, dice: &mut Dice) -> Vec<Vec<NodeNo>> {
        let neighbours = neighbours(self.nodes, &self.links);
        let mut seeds: Vec<NodeNo> = (0..self.nodes).collect();
        dice.shuffle(&mut seeds);
        let mut border: Vec<(usize, NodeNo)> = seeds.into_iter().take(count).enumerate().collect();
        let mut groups = vec![Vec::new(); count];
        let mut taken: BTreeSet<NodeNo> = BTreeSet::new();
        // The seeds first, so that no region is empty.
        let mut seeds_left = border.len();
        while !border.is_empty() {
            let index = if seeds_left > 0 { 0 } else { dice.index(border.len()) };
            seeds_left = seeds_left.saturating_sub(1);
            let (group, node) = border.remove(index);
            if taken.insert(node) {
                groups[group].push(node);
                border.extend(neighbours[node].iter().map(|near| (group, *near)));
            }
        }
        for group in &mut groups {
            group.sort_unstable();
        }
        groups
    }
}

/// This share of so many: at least one, rounded to the nearest.
fn count_of(share: f64, nodes: usize) -> usize {
    (1..=nodes).min_by(|a, b| off(*a, share, nodes).total_cmp(&off(*b, share, nodes))).unwrap_or(1)
}

fn off(count: usize, share: f64, nodes: usize) -> f64 {
    let number = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    (number(count) - share * number(nodes)).abs()
}
