//! Faults in words.

use super::number::{bytes, clock, several, size};
use crate::plan::{Fault, FaultKind, How, NodeNo};

/// So many names are told of a list.
const NAMES_MAX: usize = 12;

/// What kind of fault it is, in a word or two.
pub(super) fn name(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Partition { .. } => "partition",
        FaultKind::Cut { one_way: true, .. } => "one-way cut",
        FaultKind::Cut { .. } => "cut",
        FaultKind::Flap { .. } => "flapping link",
        FaultKind::Slow { .. } => "slow links",
        FaultKind::Crash { .. } => "crash",
        FaultKind::LosePower { .. } => "power loss",
        FaultKind::Wipe { .. } => "disk lost",
        FaultKind::Leave { .. } => "leaves",
        FaultKind::Join { .. } => "joins",
        FaultKind::StallDisk { .. } => "disk stalls",
        FaultKind::FailDisk { .. } => "disk fails",
        FaultKind::Clock { .. } => "wrong clock",
    }
}

/// The class of the style sheet: of links, of nodes, of disks or of clocks.
pub(super) fn class(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Partition { .. } | FaultKind::Cut { .. } | FaultKind::Flap { .. } => "f-links",
        FaultKind::Slow { .. } => "f-slow",
        FaultKind::Crash { .. } | FaultKind::LosePower { .. } | FaultKind::Wipe { .. } => "f-crash",
        FaultKind::Leave { .. } | FaultKind::Join { .. } => "f-member",
        FaultKind::StallDisk { .. } | FaultKind::FailDisk { .. } => "f-disk",
        FaultKind::Clock { .. } => "f-clock",
    }
}

/// How long a fault lasts.
pub(super) fn lasts(fault: &Fault) -> String {
    fault.lasts.map_or_else(|| "for good".to_owned(), clock)
}

/// Whom it befalls, and how.
pub(super) fn whom(kind: &FaultKind) -> String {
    match kind {
        FaultKind::Partition { groups, how } => {
            let sides: Vec<String> = groups.iter().map(|group| nodes(group)).collect();
            format!("{} cannot reach each other; {}", sides.join(" and "), manner(*how))
        }
        FaultKind::Cut { links: cut, how, one_way } => {
            let arrow = if *one_way { "→" } else { "–" };
            format!("nothing passes on {}; {}", links(cut, arrow), manner(*how))
        }
        FaultKind::Flap { link, how, up, down } => {
            let link = links(&[*link], "–");
            format!(
                "{link} works for {} and fails for {}, again and again; {}",
                clock(*up),
                clock(*down),
                manner(*how)
            )
        }
        FaultKind::Slow { links: slow, quality } => {
            let bandwidth =
                quality.bandwidth.map(|most| format!(", at most {}/s", bytes(super::number::float(most))));
            let latency = super::number::millis(quality.latency.as_secs_f64() * 1e3);
            format!("{} take {latency} each way{}", links(slow, "–"), bandwidth.unwrap_or_default())
        }
        FaultKind::Crash { node } => format!("the process of node {node} dies; its disk is kept"),
        FaultKind::LosePower { node } => {
            format!("the machine of node {node} dies; what was not synced to disk is gone")
        }
        FaultKind::Wipe { node } => {
            format!("node {node} dies and its disk is lost; a new node takes its place")
        }
        FaultKind::Leave { node } => format!("node {node} leaves in good order"),
        FaultKind::Join { node } => format!("node {node}, which was not there before, starts"),
        FaultKind::StallDisk { node } => format!("the disk of node {node} does not answer"),
        FaultKind::FailDisk { node } => format!("writes to the disk of node {node} fail"),
        FaultKind::Clock { node, skew_ms } => {
            let off = super::number::millis(super::number::float(skew_ms.unsigned_abs()));
            format!("the clock of node {node} is {off} {}", if *skew_ms < 0 { "behind" } else { "ahead" })
        }
    }
}

fn manner(how: How) -> &'static str {
    match how {
        How::Freeze => "what was sent arrives later",
        How::Break => "connections are reset",
    }
}

/// Numbers of nodes, with neighbours in one: `nodes 0–4, 7`.
fn nodes(nodes: &[NodeNo]) -> String {
    let mut sorted = nodes.to_vec();
    sorted.sort_unstable();
    let mut runs: Vec<(NodeNo, NodeNo)> = Vec::new();
    for node in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 >= node => *last = node,
            _ => runs.push((node, node)),
        }
    }
    let name = |(first, last): &(NodeNo, NodeNo)| {
        if first == last { first.to_string() } else { format!("{first}–{last}") }
    };
    let noun = if nodes.len() == 1 { "node" } else { "nodes" };
    format!("{noun} {}", some(&runs.iter().map(name).collect::<Vec<_>>()))
}

fn links(links: &[(NodeNo, NodeNo)], arrow: &str) -> String {
    let names: Vec<String> = links.iter().map(|(from, to)| format!("{from}{arrow}{to}")).collect();
    format!("{} {}", if links.len() == 1 { "link" } else { "links" }, some(&names))
}

fn some(names: &[String]) -> String {
    let told = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().checked_sub(NAMES_MAX) {
        Some(more) if more > 0 => format!("{told} and {} more", super::number::short(size(more))),
        _ => told,
    }
}

/// A fault in a sentence, for the pointer.
pub(super) fn sentence(number: usize, fault: &Fault) -> String {
    format!("{number}. {} at {}, {}: {}", name(&fault.kind), clock(fault.at), lasts(fault), whom(&fault.kind))
}

/// How many faults, in words.
pub(super) fn how_many(faults: &[Fault]) -> String {
    if faults.is_empty() { "nothing goes wrong".to_owned() } else { several(faults.len(), "fault") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_in_one() {
        assert_eq!(nodes(&[0, 1, 2, 5, 7, 8]), "nodes 0–2, 5, 7–8");
        assert_eq!(nodes(&[3]), "node 3");
        assert_eq!(links(&[(0, 1)], "–"), "link 0–1");
        let many: Vec<NodeNo> = (0..20).map(|node| node * 2).collect();
        assert!(nodes(&many).ends_with("22 and 8 more"));
    }
}
