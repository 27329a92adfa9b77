//! The dice are thrown: a file and a seed become a plan.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Overrides, fault,
    file::{File, LinkTable, TopologyTable},
    lives::{Aspect, Interval, Lives},
    pick::Mesh,
    problem::{Complaint, nearest},
    value::{Bytes, Range},
    weather, work,
};
use crate::{
    dice::Dice,
    plan::{Edge, Fault, FaultKind, How, Operation, Plan, Quality},
    topology::{KINDS, Layout, Topology},
};

/// How long a ferry stays at an island, unless told.
const STAY: Duration = Duration::from_secs(20);

/// Faults that are under way together with what is known of the nodes.
pub(super) struct Drawn {
    pub(super) mesh: Mesh,
    pub(super) lives: Lives,
    pub(super) faults: Vec<Fault>,
}

/// So many operations are under way at a node when its process is ended.
const LAST_WORDS: usize = 3;

/// Whole milliseconds: a plan is read by people.
pub(super) fn whole(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn plan(name: &str, file: &File, seed: u64, overrides: &Overrides) -> Result<Plan, Complaint> {
    let mut dice = Dice::of(seed, "nodes");
    let nodes = overrides.nodes.unwrap_or_else(|| file.nodes.get_ref().draw(&mut dice));
    let ends = duration(file, seed, overrides)?;
    let (topology, layout) = topology(file, nodes, seed, overrides)?;
    let mesh = mesh(file, nodes, ends, &topology, &layout, seed, overrides)?;
    let mut drawn = Drawn { mesh, lives: Lives::default(), faults: ferry(file, &layout, ends, seed)? };
    absent(&mut drawn);
    fault::draw(file, &mut drawn, seed)?;
    if let Some(table) = &file.weather {
        weather::draw(table, &mut drawn, seed)?;
    }
    check_lives(file, &drawn)?;
    let mut operations = work::draw(file, &drawn.mesh, seed)?;
    let mut settings = file.settings.clone();
    settings.store = overrides.store.unwrap_or(settings.store);
    drawn.faults.sort_by_key(|fault| fault.at);
    busy_to_the_last(&drawn.faults, &mut operations);
    Ok(Plan {
        scenario: name.into(),
        about: file.about.clone(),
        seed,
        nodes,
        late: drawn.mesh.late.into_keys().collect(),
        settings,
        edges: edges(&file.link, &layout, seed)?,
        places: layout.places,
        operations,
        faults: drawn.faults,
        ends,
        expect: file.expect.clone(),
    })
}

/// A process that dies is at work on something: the next operations of the node are asked for in that
/// very instant.
fn busy_to_the_last(faults: &[Fault], operations: &mut [Operation]) {
    for fault in faults {
        let Some(node) = fault.kills() else { continue };
        let next = operations.iter_mut().filter(|op| op.node == node && op.at > fault.at);
        next.take(LAST_WORDS).for_each(|op| op.at = fault.at);
        operations.sort_by_key(|op| op.at);
    }
}

fn duration(file: &File, seed: u64, overrides: &Overrides) -> Result<Duration, Complaint> {
    let drawn = whole(file.duration.get_ref().draw(&mut Dice::of(seed, "duration")));
    let ends = overrides.duration.unwrap_or(drawn);
    if ends.is_zero() {
        return Err(Complaint::new(
            file.duration.span(),
            "nothing happens in no time: set `duration = \"3m\"`",
        ));
    }
    Ok(ends)
}

fn topology(
    file: &File,
    nodes: usize,
    seed: u64,
    overrides: &Overrides,
) -> Result<(Topology, Layout), Complaint> {
    let mut dice = Dice::of(seed, "topology");
    let named = named(&file.topology, nodes, &mut dice)?;
    let topology = overrides.topology.clone().unwrap_or(named);
    let complain = |message| Complaint::new(file.topology.kind.span(), message);
    if nodes == 0 {
        return Err(Complaint::new(file.nodes.span(), "a simulation needs nodes: set `nodes = 3` or more"));
    }
    let layout = topology.draw(nodes, &mut dice).map_err(complain)?;
    Ok((topology, layout))
}

/// The topology that a table names, with its parameters.
fn named(table: &TopologyTable, nodes: usize, dice: &mut Dice) -> Result<Topology, Complaint> {
    let kind = table.kind.get_ref().as_str();
    let mut topology = match kind {
        "any" => Topology::any(nodes, dice),
        "edges" => Topology::Edges(Vec::new()),
        _ => Topology::named(kind).ok_or_else(|| unknown(table))?,
    };
    let mut left: BTreeMap<&str, _> = given(table).into_iter().collect();
    match &mut topology {
        _ if kind == "any" => {}
        Topology::Tree { fan_out } => set(fan_out, table.fan_out.as_ref(), left.remove("fan_out")),
        Topology::ScaleFree { links } => set(links, table.links.as_ref(), left.remove("links")),
        Topology::Islands { islands } => {
            left.remove("stay");
            set(islands, table.islands.as_ref(), left.remove("islands"));
        }
        Topology::Geometric { radius } => {
            left.remove("radius");
            *radius = table.radius.as_ref().map(|radius| *radius.get_ref());
        }
        Topology::SmallWorld { degree, rewire } => {
            set(degree, table.degree.as_ref(), left.remove("degree"));
            set(rewire, table.rewire.as_ref(), left.remove("rewire"));
        }
        Topology::Edges(edges) => {
            let listed = table.edges.as_ref().ok_or_else(|| {
                let message = "`edges` is missing: list them, as `edges = [[0, 1], [1, 2]]`";
                Complaint::new(table.kind.span(), message)
            })?;
            set(edges, Some(listed), left.remove("edges"));
        }
        _ => {}
    }
    match left.into_iter().next() {
        Some((key, span)) => {
            Err(Complaint::new(span, format!("`{key}` means nothing for the topology `{kind}`: remove it")))
        }
        None => Ok(topology),
    }
}

fn set<T: Clone>(value: &mut T, given: Option<&toml::Spanned<T>>, _: Option<std::ops::Range<usize>>) {
    if let Some(given) = given {
        *value = given.get_ref().clone();
    }
}

fn given(table: &TopologyTable) -> Vec<(&'static str, std::ops::Range<usize>)> {
    let spans = [
        ("fan_out", table.fan_out.as_ref().map(toml::Spanned::span)),
        ("radius", table.radius.as_ref().map(toml::Spanned::span)),
        ("degree", table.degree.as_ref().map(toml::Spanned::span)),
        ("rewire", table.rewire.as_ref().map(toml::Spanned::span)),
        ("links", table.links.as_ref().map(toml::Spanned::span)),
        ("islands", table.islands.as_ref().map(toml::Spanned::span)),
        ("stay", table.stay.as_ref().map(toml::Spanned::span)),
        ("edges", table.edges.as_ref().map(toml::Spanned::span)),
    ];
    spans.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
}

fn unknown(table: &TopologyTable) -> Complaint {
    let kind = table.kind.get_ref();
    let message = match nearest(kind, &KINDS) {
        Some(near) => format!("there is no topology `{kind}`: did you mean `{near}`?"),
        None => format!("there is no topology `{kind}`: take one of {}, any", KINDS.join(", ")),
    };
    Complaint::new(table.kind.span(), message)
}

fn mesh(
    file: &File,
    nodes: usize,
    ends: Duration,
    topology: &Topology,
    layout: &Layout,
    seed: u64,
    overrides: &Overrides,
) -> Result<Mesh, Complaint> {
    let chance = topology.is_random() || file.topology.kind.get_ref() == "any";
    let strict = !chance && !file.settings.peer_exchange && overrides.topology.is_none();
    let mut mesh = Mesh { nodes, links: layout.links.clone(), strict, ends, late: BTreeMap::new() };
    if let Some(late) = &file.late {
        let picked = mesh.pick(late.get_ref(), late.span(), |_| true, &mut Dice::of(seed, "late"))?;
        if picked.len() == nodes {
            let message = "all nodes are late: one at least must be there at the beginning";
            return Err(Complaint::new(late.span(), message));
        }
        mesh.late = picked.into_iter().map(|node| (node, None)).collect();
    }
    Ok(mesh)
}

fn absent(drawn: &mut Drawn) {
    for &node in drawn.mesh.late.keys() {
        drawn.lives.take(node, Aspect::Process, Interval { from: Duration::ZERO, until: None });
    }
}

/// A ferry stays at one island after the other: its link to every other is cut.
fn ferry(file: &File, layout: &Layout, ends: Duration, seed: u64) -> Result<Vec<Fault>, Complaint> {
    let stay = match &file.topology.stay {
        Some(stay) => whole(stay.get_ref().draw(&mut Dice::of(seed, "ferry"))),
        None => STAY,
    };
    if stay < Duration::from_secs(1) {
        let span = file.topology.stay.as_ref().map_or(0..0, toml::Spanned::span);
        return Err(Complaint::new(span, "a ferry cannot land in less than a second: set `stay = \"20s\"`"));
    }
    let islands = u32::try_from(layout.ferry.len()).unwrap_or(u32::MAX);
    let mut faults = Vec::new();
    for (island, link) in (0..islands).zip(&layout.ferry) {
        // Away until it lands here first, then away for a round of all others.
        let mut from = Duration::ZERO;
        let mut lands = stay * island;
        while from < ends {
            let until = lands.min(ends);
            if until > from {
                let kind = FaultKind::Cut { links: vec![*link], how: How::Freeze, one_way: false };
                faults.push(Fault { at: from, lasts: Some(until.saturating_sub(from)), kind });
            }
            from = lands + stay;
            lands += stay * islands;
        }
    }
    Ok(faults)
}

fn edges(link: &LinkTable, layout: &Layout, seed: u64) -> Result<Vec<Edge>, Complaint> {
    let mut dice = Dice::of(seed, "links");
    let usual = Quality::default();
    let bandwidth = link.bandwidth.as_ref().map(toml::Spanned::get_ref);
    check_bandwidth(link.bandwidth.as_ref())?;
    let mut edge = |&(from, to): &(usize, usize)| {
        let quality = Quality {
            latency: link.latency.map_or(usual.latency, |latency| latency.draw(&mut dice)),
            jitter: link.jitter.map_or(usual.jitter, |jitter| jitter.draw(&mut dice)),
            bandwidth: bandwidth.map(|bandwidth| bandwidth.draw(&mut dice).0),
        };
        Edge { from, to, quality }
    };
    Ok(layout.links.iter().map(&mut edge).collect())
}

/// Bandwidth of nothing is a cut.
pub(super) fn check_bandwidth(bandwidth: Option<&toml::Spanned<Range<Bytes>>>) -> Result<(), Complaint> {
    match bandwidth {
        Some(given) if given.get_ref().low.0 == 0 => {
            let message = "nothing passes with a bandwidth of 0: raise it, or take the fault `cut`";
            Err(Complaint::new(given.span(), message))
        }
        _ => Ok(()),
    }
}

fn check_lives(file: &File, drawn: &Drawn) -> Result<(), Complaint> {
    if let Some((node, _)) = drawn.mesh.late.iter().find(|(_, joins)| joins.is_none()) {
        let span = file.late.as_ref().map_or(0..0, toml::Spanned::span);
        let message =
            format!("node {node} is late, but never joins: add an `[[at]]` with `fault = \"join\"`");
        return Err(Complaint::new(span, message));
    }
    if drawn.lives.down_for_good() >= drawn.mesh.nodes {
        let span = file.at.last().map_or(0..0, toml::Spanned::span);
        let message = "all nodes are down at the end: give one of the faults a time with `for`";
        return Err(Complaint::new(span, message));
    }
    Ok(())
}
