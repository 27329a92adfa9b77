//! The mesh: nodes where they stand, and links by their latency.

use super::{
    agreed::SIDES,
    escape::escape,
    facts::Facts,
    number::{millis, place, several, size},
    plot::figure,
};
use crate::plan::{Edge, Plan};

const SIDE: f64 = 440.0;
const MARGIN: f64 = 20.0;
/// Links are told apart by so many shades.
const SHADES: usize = 4;

pub(super) fn drawing(facts: &Facts<'_>) -> String {
    let plan = facts.plan;
    let (radius, places) = (radius(plan), places(plan));
    let range = range(plan);
    let mut body = String::new();
    for edge in &plan.edges {
        body += &link(edge, &places, range);
    }
    for (node, place) in places.iter().enumerate().take(plan.nodes) {
        body += &circle(facts, node, *place, radius);
    }
    let height = height(&places, radius);
    let svg = format!(
        "<svg class=\"mesh\" role=\"img\" aria-label=\"the mesh\" viewBox=\"0 {} {SIDE} {}\">{body}</svg>",
        place(height.0),
        place(height.1)
    );
    let names = shade_names(plan, range);
    let mut legend: Vec<(&str, &str)> = names.iter().map(|(class, name)| (*class, name.as_str())).collect();
    let sides = (0..plan.nodes).filter_map(|node| facts.side(node)).max();
    legend.extend(sides.into_iter().flat_map(|last| SIDES.iter().take(last + 1).copied()));
    let late = if plan.late.is_empty() { "" } else { " Nodes drawn with dashes join later." };
    let about = format!(
        "{}, {}; the shade of a link is the time it takes, one way.{late}",
        several(plan.nodes, "node"),
        several(plan.edges.len(), "link")
    );
    figure("side", "The mesh", &about, &legend, &svg)
}

fn places(plan: &Plan) -> Vec<(f64, f64)> {
    let inner = SIDE - 2.0 * MARGIN;
    let place = |node: usize| {
        let (x, y) = plan.places.get(node).copied().unwrap_or((0.5, 0.5));
        (MARGIN + inner * x.clamp(0.0, 1.0), MARGIN + inner * y.clamp(0.0, 1.0))
    };
    (0..plan.nodes).map(place).collect()
}

/// As high as the nodes need, from where to how much.
fn height(places: &[(f64, f64)], radius: f64) -> (f64, f64) {
    let top = places.iter().map(|(_, y)| *y).fold(SIDE, f64::min) - radius - 6.0;
    let bottom = places.iter().map(|(_, y)| *y).fold(0.0, f64::max) + radius + 6.0;
    (top, (bottom - top).max(60.0))
}

/// Such that no two nodes cover each other, as far as they can be seen at all.
fn radius(plan: &Plan) -> f64 {
    let places = places(plan);
    let mut least = f64::MAX;
    for (nth, one) in places.iter().enumerate() {
        for other in &places[nth + 1..] {
            least = least.min((one.0 - other.0).hypot(one.1 - other.1));
        }
    }
    (least * 0.42).clamp(5.0, 13.0)
}

fn range(plan: &Plan) -> (f64, f64) {
    let latencies = plan.edges.iter().map(latency);
    let least = latencies.clone().fold(f64::MAX, f64::min);
    (least, latencies.fold(0.0, f64::max))
}

fn latency(edge: &Edge) -> f64 {
    edge.quality.latency.as_secs_f64() * 1e3
}

fn shade(edge: &Edge, (least, most): (f64, f64)) -> usize {
    let part = (most - least) / size(SHADES);
    (1..SHADES).filter(|shade| most > least && latency(edge) > least + part * size(*shade)).count()
}

fn shade_names(plan: &Plan, range: (f64, f64)) -> Vec<(&'static str, String)> {
    let classes = ["k-q0", "k-q1", "k-q2", "k-q3"];
    let name = |shade_no: usize| {
        let of = plan.edges.iter().filter(|edge| shade(edge, range) == shade_no).map(latency);
        let (least, most) = of.fold((f64::MAX, f64::MIN), |(least, most), ms| (least.min(ms), most.max(ms)));
        let text = match least {
            least if least > most => return None,
            least if (most - least) < 0.5 => millis(least),
            least => format!("{} to {}", millis(least), millis(most)),
        };
        Some((classes[shade_no], format!("link, {text}")))
    };
    (0..SHADES).filter_map(name).collect()
}

fn link(edge: &Edge, places: &[(f64, f64)], range: (f64, f64)) -> String {
    let (Some(from), Some(to)) = (places.get(edge.from), places.get(edge.to)) else { return String::new() };
    let title = format!("{}–{}: {}", edge.from, edge.to, millis(latency(edge)));
    format!(
        "<line class=\"link q{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"><title>{}</title></line>",
        shade(edge, range),
        place(from.0),
        place(from.1),
        place(to.0),
        place(to.1),
        escape(&title)
    )
}

fn circle(facts: &Facts<'_>, node: usize, (x, y): (f64, f64), radius: f64) -> String {
    let side = facts.side(node).map_or_else(String::new, |side| format!(" side{}", side % 4));
    let late = if facts.plan.late.contains(&node) { " late" } else { "" };
    let font = (radius * 0.95).min(11.0);
    let number = if radius < 6.0 {
        String::new()
    } else {
        format!(
            "<text class=\"mid number\" style=\"font-size:{}px\" x=\"{}\" y=\"{}\">{node}</text>",
            place(font),
            place(x),
            place(y + font * 0.36)
        )
    };
    format!(
        "<g><title>node {node}</title><circle class=\"dot{side}{late}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>{number}</g>",
        place(x),
        place(y),
        place(radius)
    )
}
