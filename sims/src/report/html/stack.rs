//! Rates of several kinds over time, one upon the other.

use std::time::Duration;

use super::{
    agreed::time_axis,
    bands::bands,
    facts::Facts,
    number::{clock, size},
    plot::{Axis, BOTTOM, TOP, axes, surface, svg},
    scale::{Scale, ticks},
};

/// A kind: the class of the style sheet, its name, and its rate in each stretch of time.
pub(super) struct Kind {
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) rates: Vec<f64>,
}

/// So many stretches of time at most.
const STRETCHES: usize = 160;

/// The edges of stretches of equal length, whole seconds where there is time for it.
pub(super) fn edges(end: f64) -> Vec<f64> {
    let length = (end / size(STRETCHES)).ceil().max(0.5);
    let mut edges = vec![0.0];
    while edges[edges.len() - 1] < end && edges.len() <= STRETCHES {
        edges.push((length * size(edges.len())).min(end));
    }
    edges
}

/// How often something happens per second in each stretch.
pub(super) fn rates(times: &[f64], edges: &[f64]) -> Vec<f64> {
    let within = |edge: &[f64]| {
        let after = |limit: f64| times.partition_point(|time| *time < limit);
        let number = after(edge[1]) - after(edge[0]);
        super::number::ratio(size(number), edge[1] - edge[0])
    };
    edges.windows(2).map(within).collect()
}

/// The plot. `unit` writes a rate.
pub(super) fn stack(
    facts: &Facts<'_>,
    title: &str,
    edges: &[f64],
    kinds: &[Kind],
    unit: impl Fn(f64) -> String,
) -> String {
    let mut name = String::new();
    let (x, time) = time_axis(facts, &mut name);
    let total = |at: usize| kinds.iter().map(|kind| kind.rates.get(at).copied().unwrap_or(0.0)).sum::<f64>();
    let stretches = edges.len().saturating_sub(1);
    let rates = ticks((0..stretches).map(total).fold(0.0, f64::max));
    let y = Scale::linear((0.0, rates[rates.len() - 1]), (BOTTOM, TOP));
    let mut body = bands(facts, x, (TOP, BOTTOM));
    let named = rates.iter().map(|rate| (*rate, unit(*rate))).collect();
    body +=
        &axes(&Axis { name: &name, scale: x, ticks: time }, &Axis { name: title, scale: y, ticks: named });
    let mut lower = vec![0.0; stretches];
    for kind in kinds {
        let upper: Vec<f64> =
            (0..stretches).map(|at| lower[at] + kind.rates.get(at).copied().unwrap_or(0.0)).collect();
        let places = |level: &[f64]| {
            steps(edges, level).map(|(at, value)| (x.at(at), y.at(value))).collect::<Vec<_>>()
        };
        body += &surface(kind.class, &places(&upper), &places(&lower));
        lower = upper;
    }
    let hover: Vec<(f64, String)> = (0..stretches)
        .map(|at| {
            let time = clock(Duration::from_secs_f64(edges[at]));
            let lines = kinds
                .iter()
                .map(|kind| format!("\n{} {}", kind.name, unit(kind.rates.get(at).copied().unwrap_or(0.0))));
            (
                x.at(f64::midpoint(edges[at], edges[at + 1])),
                format!("from {time}{}", lines.collect::<String>()),
            )
        })
        .collect();
    svg(title, &hover, &body)
}

fn steps<'a>(edges: &'a [f64], level: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    edges.windows(2).zip(level).flat_map(|(edge, value)| [(edge[0], *value), (edge[1], *value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second() {
        let edges = edges(600.0);
        assert_eq!((edges.len(), edges[1]), (151, 4.0));
        let times: Vec<f64> = (0..60).map(|at| f64::from(at) / 10.0).collect();
        let rates = rates(&times, &edges);
        assert_eq!((rates[0], rates[1], rates[2]), (10.0, 5.0, 0.0));
    }
}
