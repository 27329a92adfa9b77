//! The lives of the nodes: a lane each.

use super::{
    bands::bands,
    escape::escape,
    facts::Facts,
    number::{clock, place, size},
    plot::figure,
    scale::{Scale, time_ticks},
    words,
};
use crate::{
    history::What,
    plan::{FaultKind, NodeNo},
};

const WIDTH: f64 = 1_240.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 36.0;

/// From when to when a node is what the class says.
struct Stretch {
    class: &'static str,
    name: &'static str,
    from: f64,
    to: f64,
}

pub(super) fn lanes(facts: &Facts<'_>) -> String {
    let nodes = facts.plan.nodes;
    let row = match nodes {
        0..=30 => 16.0,
        31..=60 => 11.0,
        _ => 7.0,
    };
    let bottom = TOP + row * size(nodes);
    let x = Scale::linear((0.0, facts.end), (LEFT, RIGHT));
    let mut body = bands(facts, x, (TOP, bottom));
    for node in 0..nodes {
        let top = TOP + row * size(node);
        body += &lane(facts, node, x, (top + row * 0.18, row * 0.64));
        if row > 10.0 || node % 5 == 0 {
            body += &format!(
                "<text class=\"end\" x=\"{}\" y=\"{}\">{node}</text>",
                LEFT - 6.0,
                place(top + row / 2.0 + 4.0)
            );
        }
    }
    body += &time(facts, x, bottom);
    let svg = format!(
        "<svg class=\"lanes\" role=\"img\" aria-label=\"lives of the nodes\" viewBox=\"0 0 {WIDTH} {}\">{body}</svg>",
        place(bottom + 42.0)
    );
    let legend = [
        ("k-up", "up"),
        ("k-away", "not there yet, or left in good order"),
        ("k-dead", "crashed"),
        ("k-disk", "disk stalls or fails"),
        ("k-clock", "wrong clock"),
        ("k-band", "nodes cut off from others"),
    ];
    figure("full", "Lives of the nodes", "A lane for each node; faults are shaded.", &legend, &svg)
}

fn lane(facts: &Facts<'_>, node: NodeNo, x: Scale, (top, height): (f64, f64)) -> String {
    let draw = |stretch: &Stretch, top: f64, height: f64| {
        let (from, to) = (x.at(stretch.from), x.at(stretch.to));
        let title = format!(
            "node {node} {} from {} to {}",
            stretch.name,
            clock(std::time::Duration::from_secs_f64(stretch.from)),
            clock(std::time::Duration::from_secs_f64(stretch.to))
        );
        format!(
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
            stretch.class,
            place(from),
            place(top),
            place((to - from).max(1.0)),
            place(height),
            escape(&title)
        )
    };
    let mut drawn: String = lives(facts, node).iter().map(|life| draw(life, top, height)).collect();
    drawn.extend(troubles(facts, node).iter().map(|trouble| draw(trouble, top + height * 0.3, height * 0.4)));
    drawn
}

/// Up, away or dead, without a gap.
fn lives(facts: &Facts<'_>, node: NodeNo) -> Vec<Stretch> {
    let mut lives = Vec::new();
    let (mut class, mut name, mut from) = ("l-away", "not there", 0.0);
    for event in &facts.history.events {
        let next = match &event.what {
            What::Started { node: who, .. } if *who == node => ("l-up", "up"),
            What::Stopped { node: who, orderly: true } if *who == node => ("l-away", "gone in good order"),
            What::Stopped { node: who, orderly: false } if *who == node => ("l-dead", "crashed"),
            _ => continue,
        };
        let to = event.at.as_secs_f64();
        if to > from {
            lives.push(Stretch { class, name, from, to });
        }
        (class, name, from) = (next.0, next.1, to);
    }
    lives.push(Stretch { class, name, from, to: facts.end });
    lives
}

/// Disks and clocks.
fn troubles(facts: &Facts<'_>, node: NodeNo) -> Vec<Stretch> {
    let trouble = |fault: &crate::plan::Fault| {
        let class = match &fault.kind {
            FaultKind::StallDisk { node: who } | FaultKind::FailDisk { node: who } if *who == node => {
                "l-disk"
            }
            FaultKind::Clock { node: who, .. } if *who == node => "l-clock",
            _ => return None,
        };
        let to = fault.ends().map_or(facts.end, |ends| ends.as_secs_f64());
        Some(Stretch { class, name: words::name(&fault.kind), from: fault.at.as_secs_f64(), to })
    };
    facts.plan.faults.iter().filter_map(trouble).collect()
}

fn time(facts: &Facts<'_>, x: Scale, bottom: f64) -> String {
    let (ticks, unit) = time_ticks(facts.end);
    let mut drawn =
        format!("<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{0}\" y2=\"{0}\"/>", place(bottom));
    for (at, name) in ticks {
        drawn += &format!(
            "<text class=\"mid\" x=\"{}\" y=\"{}\">{name}</text>",
            place(x.at(at)),
            place(bottom + 16.0)
        );
    }
    drawn += &format!(
        "<text class=\"mid name\" x=\"{}\" y=\"{}\">virtual time ({unit})</text>",
        place(f64::midpoint(LEFT, RIGHT)),
        place(bottom + 34.0)
    );
    drawn + &format!("<text class=\"end name\" x=\"{}\" y=\"{}\">node</text>", LEFT - 6.0, TOP - 8.0)
}
