//! Plot: how much of all there is each node holds, over time.

use super::{
    bands::bands,
    facts::Facts,
    number::{clock, ratio, short, size},
    plot::{Axis, BOTTOM, LEFT, RIGHT, TOP, axes, figure, line, svg},
    scale::{Scale, time_ticks},
    thin::thin,
};
use crate::history::Sample;

/// Points of all lines of nodes together, and of one.
const POINTS: usize = 20_000;
const POINTS_OF_ONE: usize = 400;

/// The axis of time that all plots over time share.
pub(super) fn time_axis(facts: &Facts<'_>, name: &mut String) -> (Scale, Vec<(f64, String)>) {
    let (ticks, unit) = time_ticks(facts.end);
    *name = format!("virtual time ({unit})");
    (Scale::linear((0.0, facts.end), (LEFT, RIGHT)), ticks)
}

/// Of 100 keys, so many are up to date.
fn percent(sample: &Sample) -> f64 {
    if sample.keys == 0 { 100.0 } else { (100.0 * ratio(size(sample.agreed), size(sample.keys))).min(100.0) }
}

/// Stretches of time that a node is up, with what it holds.
fn stretches(facts: &Facts<'_>, node: usize) -> Vec<Vec<(f64, f64)>> {
    let mut stretches = vec![Vec::new()];
    for (at, samples) in &facts.samples {
        match (samples.get(node).filter(|sample| sample.up), stretches.last_mut()) {
            (Some(sample), Some(last)) => last.push((*at, percent(sample))),
            (None, Some(last)) if !last.is_empty() => stretches.push(Vec::new()),
            _ => {}
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

/// The least, the mean and the greatest of the nodes that are up.
fn summary(samples: &[Sample]) -> Option<(f64, f64, f64)> {
    let values: Vec<f64> = samples.iter().filter(|sample| sample.up).map(percent).collect();
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    Some((least, ratio(values.iter().sum(), size(values.len())), most))
}

pub(super) fn agreed(facts: &Facts<'_>) -> String {
    let mut name = String::new();
    let (x, ticks) = time_axis(facts, &mut name);
    let y = Scale::linear((0.0, 100.0), (BOTTOM, TOP));
    let percents = [0.0, 25.0, 50.0, 75.0, 100.0].map(|tick| (tick, format!("{}%", short(tick))));
    let mut body = bands(facts, x, (TOP, BOTTOM));
    body += &axes(
        &Axis { name: &name, scale: x, ticks },
        &Axis { name: "keys up to date", scale: y, ticks: percents.to_vec() },
    );
    let places = |stretch: &[(f64, f64)]| -> Vec<(f64, f64)> {
        stretch.iter().map(|(at, value)| (x.at(*at), y.at(*value))).collect()
    };
    let points = (POINTS / facts.plan.nodes.max(1)).clamp(40, POINTS_OF_ONE);
    for node in 0..facts.plan.nodes {
        let class =
            facts.side(node).map_or_else(|| "node".to_owned(), |side| format!("node side{}", side % 4));
        for stretch in stretches(facts, node) {
            body += &line(&class, &places(&thin(&stretch, points)));
        }
    }
    let told: Vec<(f64, (f64, f64, f64))> =
        facts.samples.iter().filter_map(|(at, samples)| Some((*at, summary(samples)?))).collect();
    let mean: Vec<(f64, f64)> = told.iter().map(|(at, (_, mean, _))| (*at, *mean)).collect();
    body += &line("mean", &places(&thin(&mean, POINTS_OF_ONE)));
    let hover: Vec<(f64, String)> = told
        .iter()
        .step_by(told.len().div_ceil(300).max(1))
        .map(|(at, (least, mean, most))| {
            let time = clock(std::time::Duration::from_secs_f64(*at));
            (
                x.at(*at),
                format!(
                    "at {time}\nmean {}%\nleast {}%, most {}%",
                    short(*mean),
                    short(*least),
                    short(*most)
                ),
            )
        })
        .collect();
    let sides = (0..facts.plan.nodes).filter_map(|node| facts.side(node)).max();
    let mut legend = vec![("k-mean", "mean of all nodes that are up")];
    match sides {
        None => legend.push(("k-node", "one node each")),
        Some(last) => legend.extend(SIDES.iter().take(last + 1).copied()),
    }
    figure(
        "wide",
        "Who is up to date",
        "Of all keys that exist anywhere, the share of which a node holds the newest. 100% for every node means that all agree. Lines end where a node is down.",
        &legend,
        &svg("keys up to date over time, by node", &hover, &body),
    )
}

/// The sides of a partition, in colours.
pub(super) const SIDES: [(&str, &str); 4] = [
    ("k-side0", "nodes on the first side of the partition"),
    ("k-side1", "on the second side"),
    ("k-side2", "on the third side"),
    ("k-side3", "on the fourth side"),
];
