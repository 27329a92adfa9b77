//! A plot: axes with ticks and units, paths, a legend, values under the pointer.

use super::{escape::escape, number::place, scale::Scale};

pub(super) const WIDTH: f64 = 640.0;
pub(super) const HEIGHT: f64 = 280.0;
pub(super) const LEFT: f64 = 58.0;
pub(super) const RIGHT: f64 = WIDTH - 12.0;
pub(super) const TOP: f64 = 36.0;
pub(super) const BOTTOM: f64 = HEIGHT - 42.0;

/// The values that an axis names, and what it measures.
pub(super) struct Axis<'a> {
    pub(super) name: &'a str,
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

/// What is drawn with which class of the style sheet.
pub(super) type Legend<'a> = [(&'a str, &'a str)];

/// Something to look at with a caption. `svg` is the drawing.
pub(super) fn figure(class: &str, title: &str, about: &str, legend: &Legend<'_>, svg: &str) -> String {
    let entry =
        |(class, name): &(&str, &str)| format!("<span><i class=\"key {class}\"></i>{}</span>", escape(name));
    let legend: String = legend.iter().map(entry).collect();
    format!(
        "<figure class=\"{class}\"><figcaption><h2>{}</h2><p>{}</p></figcaption><div class=\"legend\">{legend}</div><div class=\"scroll\">{svg}</div></figure>\n",
        escape(title),
        escape(about)
    )
}

/// A drawing of the usual size. `hover` has a place and what is said there, from left to right.
pub(super) fn svg(title: &str, hover: &[(f64, String)], body: &str) -> String {
    let said: Vec<String> =
        hover.iter().map(|(at, text)| format!("{}={}", place(*at), escape(text))).collect();
    let (data, cursor) = if said.is_empty() {
        (String::new(), String::new())
    } else {
        let cursor = format!("<line class=\"cursor\" x1=\"-9\" x2=\"-9\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>");
        (format!(" data-hover=\"{}\"", said.join("|")), cursor)
    };
    let title = escape(title);
    format!(
        "<svg class=\"plot\" role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\"{data}>{body}{cursor}</svg>"
    )
}

/// Both axes.
pub(super) fn axes(x: &Axis<'_>, y: &Axis<'_>) -> String {
    let mut drawn = String::new();
    for (value, name) in &y.ticks {
        let at = y.scale.at(*value);
        drawn += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{0}\" y2=\"{0}\"/><text class=\"end\" x=\"{1}\" y=\"{2}\">{3}</text>",
            place(at),
            LEFT - 6.0,
            place(at + 4.0),
            escape(name)
        );
    }
    for (value, name) in &x.ticks {
        let at = place(x.scale.at(*value));
        drawn += &format!(
            "<line class=\"axis\" x1=\"{at}\" x2=\"{at}\" y1=\"{BOTTOM}\" y2=\"{}\"/><text class=\"mid\" x=\"{at}\" y=\"{}\">{}</text>",
            BOTTOM + 4.0,
            BOTTOM + 17.0,
            escape(name)
        );
    }
    drawn += &format!("<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{BOTTOM}\" y2=\"{BOTTOM}\"/>");
    drawn += &format!(
        "<text class=\"mid name\" x=\"{}\" y=\"{}\">{}</text>",
        f64::midpoint(LEFT, RIGHT),
        HEIGHT - 7.0,
        escape(x.name)
    );
    let middle = f64::midpoint(TOP, BOTTOM);
    drawn
        + &format!(
            "<text class=\"mid name\" transform=\"translate(12 {middle}) rotate(-90)\">{}</text>",
            escape(y.name)
        )
}

/// A line through places.
pub(super) fn line(class: &str, places: &[(f64, f64)]) -> String {
    format!("<path class=\"{class}\" d=\"{}\"/>", path(places))
}

/// A surface between two lines over the same places from left to right.
pub(super) fn surface(class: &str, upper: &[(f64, f64)], lower: &[(f64, f64)]) -> String {
    let around: Vec<(f64, f64)> = upper.iter().chain(lower.iter().rev()).copied().collect();
    format!("<path class=\"{class}\" d=\"{}Z\"/>", path(&around))
}

fn path(places: &[(f64, f64)]) -> String {
    let step = |(nth, (x, y)): (usize, &(f64, f64))| {
        format!("{}{} {}", if nth == 0 { "M" } else { "L" }, place(*x), place(*y))
    };
    places.iter().enumerate().map(step).collect()
}
