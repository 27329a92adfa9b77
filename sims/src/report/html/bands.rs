//! Faults as shaded bands behind a plot over time.

use super::{
    escape::escape,
    facts::Facts,
    number::{place, size},
    scale::Scale,
    words,
};
use crate::plan::Fault;

/// The width of a letter of a label, about.
const LETTER: f64 = 5.9;
/// So many lines of labels.
const ROWS: usize = 2;

/// The bands from `top` to `bottom`, with labels above them where there is room.
pub(super) fn bands(facts: &Facts<'_>, x: Scale, (top, bottom): (f64, f64)) -> String {
    let right = x.at(facts.end);
    let (mut drawn, mut labels) = (String::new(), String::new());
    let mut rows = [f64::MIN; ROWS];
    for (number, fault) in
        facts.plan.faults.iter().enumerate().filter(|(_, fault)| fault.at.as_secs_f64() <= facts.end)
    {
        drawn += &band(number + 1, fault, x, (top, bottom));
        let from = x.at(fault.at.as_secs_f64());
        labels += &label(number + 1, fault, (from, right), top, &mut rows);
    }
    drawn + &labels
}

fn band(number: usize, fault: &Fault, x: Scale, (top, bottom): (f64, f64)) -> String {
    let from = x.at(fault.at.as_secs_f64());
    let class = words::class(&fault.kind);
    let title = escape(&words::sentence(number, fault));
    let height = bottom - top;
    match fault.ends() {
        Some(ends) => {
            let width = (x.at(ends.as_secs_f64()) - from).max(1.0);
            format!(
                "<rect class=\"band {class}\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\"><title>{title}</title></rect>",
                place(from),
                place(width),
                place(height)
            )
        }
        None => format!(
            "<line class=\"moment {class}\" x1=\"{0}\" x2=\"{0}\" y1=\"{top}\" y2=\"{bottom}\"><title>{title}</title></line>",
            place(from)
        ),
    }
}

/// Its number and name in the first row with room for it; else its number; else nothing.
fn label(
    number: usize,
    fault: &Fault,
    (from, right): (f64, f64),
    top: f64,
    rows: &mut [f64; ROWS],
) -> String {
    let long = format!("{number} {}", words::name(&fault.kind));
    for text in [long, number.to_string()] {
        let width = size(text.chars().count()) * LETTER + 8.0;
        let start = from.min(right - width);
        let Some(row) = rows.iter().position(|taken| *taken <= start) else { continue };
        rows[row] = start + width;
        let y = top - 6.0 - 13.0 * size(row);
        let class = words::class(&fault.kind);
        return format!(
            "<text class=\"label {class}\" x=\"{}\" y=\"{}\">{}</text>",
            place(start),
            place(y),
            escape(&text)
        );
    }
    String::new()
}
