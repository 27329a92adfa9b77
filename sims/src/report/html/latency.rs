//! Plots: how long writes take, by distance and to everybody.

use super::{
    escape::escape,
    facts::Facts,
    number::{millis, place, quantile, several, short, size},
    plot::{Axis, BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes, figure, line, svg},
    scale::{Scale, log_ticks},
};

/// What is faster is drawn as this: axes on which factors are distances have no zero.
const LEAST_MS: f64 = 1.0;

pub(super) fn by_hops(facts: &Facts<'_>) -> String {
    let by_hops = &facts.spread.by_hops;
    let title = "How fast writes travel";
    let about = "From the acknowledgement of a write to its arrival at a node so many links away. Nodes that were down or cut off are not counted.";
    let ends = by_hops.values().flat_map(|took| [took.first(), took.last()]).flatten().copied();
    let Some((least, most)) = span(ends) else { return nothing(title, about) };
    let ticks = log_ticks(least.max(LEAST_MS), most);
    let y = log_scale(&ticks, (BOTTOM, TOP));
    let farthest = by_hops.keys().last().copied().unwrap_or(1);
    let x = Scale::linear((0.5, size(farthest) + 0.5), (LEFT, RIGHT));
    let step = farthest.div_ceil(20).max(1);
    let hops = (1..=farthest).step_by(step).map(|hops| (size(hops), hops.to_string())).collect();
    let mut body = axes(
        &Axis { name: "distance from the writer (links)", scale: x, ticks: hops },
        &Axis { name: "latency", scale: y, ticks: named(&ticks) },
    );
    let width = ((RIGHT - LEFT) / size(farthest) * 0.55).min(34.0);
    for (hops, took) in by_hops {
        body += &column(*hops, took, x.at(size(*hops)), width, y);
    }
    let legend = [("k-median", "median"), ("k-box", "10 to 90 of 100"), ("k-range", "fastest to slowest")];
    figure("half", title, about, &legend, &svg("latency by distance", &[], &body))
}

/// A box from the tenth to the ninetieth of a hundred, the median in it, a line through all.
fn column(hops: usize, took: &[f64], at: f64, width: f64, y: Scale) -> String {
    let level = |percent| y.at(quantile(took, percent).unwrap_or(LEAST_MS).max(LEAST_MS));
    let (low, high, median) = (level(10), level(90), level(50));
    let (first, last) = (took.first().map_or(low, |ms| y.at(ms.max(LEAST_MS))), level(100));
    let say = |percent| millis(quantile(took, percent).unwrap_or(0.0));
    let said = format!(
        "{}: median {}, 90 of 100 within {}, slowest {} ({})",
        several(hops, "link"),
        say(50),
        say(90),
        say(100),
        several(took.len(), "arrival")
    );
    format!(
        "<g><title>{}</title><line class=\"range\" x1=\"{2}\" x2=\"{2}\" y1=\"{3}\" y2=\"{4}\"/><circle class=\"slowest\" cx=\"{2}\" cy=\"{4}\" r=\"2.5\"/><rect class=\"box\" x=\"{1}\" width=\"{5}\" y=\"{6}\" height=\"{7}\"/><line class=\"median\" x1=\"{1}\" x2=\"{8}\" y1=\"{9}\" y2=\"{9}\"/></g>",
        escape(&said),
        place(at - width / 2.0),
        place(at),
        place(first),
        place(last),
        place(width),
        place(high),
        place((low - high).max(1.5)),
        place(at + width / 2.0),
        place(median)
    )
}

pub(super) fn everywhere(facts: &Facts<'_>) -> String {
    let took = &facts.spread.everywhere;
    let title = "How soon everybody has a write";
    let about = "The share of writes that had reached all nodes that were up and connected, so long after they were acknowledged.";
    let Some((least, most)) = span(took.iter().copied()) else { return nothing(title, about) };
    let ticks = log_ticks(least.max(LEAST_MS), most);
    let x = log_scale(&ticks, (LEFT, RIGHT));
    let y = Scale::linear((0.0, 100.0), (BOTTOM, TOP));
    let shares = [0.0, 25.0, 50.0, 75.0, 100.0].map(|tick| (tick, format!("{}%", short(tick)))).to_vec();
    let mut body = axes(
        &Axis { name: "time since the acknowledgement", scale: x, ticks: named(&ticks) },
        &Axis { name: "writes", scale: y, ticks: shares },
    );
    let at = |percent: usize| {
        (x.at(quantile(took, percent).unwrap_or(LEAST_MS).max(LEAST_MS)), y.at(size(percent)))
    };
    let start = (x.at(least.max(LEAST_MS)), y.at(0.0));
    let curve: Vec<(f64, f64)> = [(LEFT, y.at(0.0)), start]
        .into_iter()
        .chain((1..=100).map(at))
        .chain([(RIGHT, y.at(100.0))])
        .collect();
    body += &line("curve", &curve);
    for (percent, name) in [(50, "median"), (99, "p99")] {
        let (left, top) = at(percent);
        let text = format!("{name} {}", millis(quantile(took, percent).unwrap_or(0.0)));
        let (class, dx) = if left > WIDTH * 0.7 { ("end", -9.0) } else { ("", 9.0) };
        body += &format!(
            "<circle class=\"point\" cx=\"{}\" cy=\"{1}\" r=\"4\"/><text class=\"value {class}\" x=\"{2}\" y=\"{3}\">{text}</text>",
            place(left),
            place(top),
            place(left + dx),
            place(top + 14.0)
        );
    }
    let hover: Vec<(f64, String)> = (1..=100)
        .map(|percent| {
            (
                at(percent).0,
                format!("{percent}% of writes\nwithin {}", millis(quantile(took, percent).unwrap_or(0.0))),
            )
        })
        .collect();
    figure(
        "half",
        title,
        about,
        &[("k-mean", "writes that everybody has")],
        &svg("time to everybody", &hover, &body),
    )
}

fn span(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |span, value| {
        let (least, most) = span.unwrap_or((value, value));
        Some((least.min(value), most.max(value)))
    })
}

fn log_scale(ticks: &[f64], places: (f64, f64)) -> Scale {
    Scale::log((ticks[0], ticks[ticks.len() - 1]), places)
}

/// With many decades, only factors of ten are named.
fn named(ticks: &[f64]) -> Vec<(f64, String)> {
    let whole = |tick: f64| (tick.log10() - tick.log10().round()).abs() < 1e-6;
    let kept = ticks.iter().copied().filter(|tick| ticks.len() <= 10 || whole(*tick));
    kept.map(|tick| (tick, millis(tick))).collect()
}

fn nothing(title: &str, about: &str) -> String {
    let body = format!(
        "<text class=\"mid name\" x=\"{}\" y=\"{}\">no write was acknowledged</text>",
        WIDTH / 2.0,
        HEIGHT / 2.0
    );
    figure("half", title, about, &[], &svg(title, &[], &body))
}
