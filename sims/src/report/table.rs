//! A run as a person at a terminal sees it.

use std::fmt::Write;

use comfy_table::{Table, presets};

use super::Summary;
use crate::{Cost, oracles, plan::Plan};

/// The widest and the highest that a drawing of a mesh gets.
const DRAWING: (usize, usize) = (60, 14);
/// Larger meshes are not drawn.
const DRAWN_NODES_MAX: usize = 40;

/// What happened, for a terminal; in colours where it has them.
#[must_use]
pub fn text(plan: &Plan, summary: &Summary, cost: Cost, replay: &str, colours: bool) -> String {
    let mut out = format!("{} · seed {} · {} nodes\n{}\n", plan.scenario, plan.seed, plan.nodes, plan.about);
    if plan.nodes <= DRAWN_NODES_MAX {
        out += &drawing(plan);
    }
    let table = numbers(plan, summary, cost);
    put(&mut out, format_args!("\n{table}\n\n"));
    verdict(&mut out, summary, replay, colours);
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}

fn numbers(plan: &Plan, summary: &Summary, cost: Cost) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let Summary { operations, latency_ms, traffic, .. } = summary;
    let speed = cost.simulated.as_secs_f64() / cost.wall.as_secs_f64().max(1e-9);
    let mut row = |what: &str, value: String| {
        table.add_row([what.to_owned(), value]);
    };
    row("virtual time", format!("{:.0?} in {:.1?} of real time ({speed:.0} ×)", cost.simulated, cost.wall));
    row(
        "operations",
        format!(
            "{}: {} writes acknowledged, {} reads, {} refused",
            operations.asked, operations.acknowledged, operations.read, operations.refused
        ),
    );
    let faults: Vec<String> = summary.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    row("faults", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") });
    row(
        "a write is everywhere after",
        format!(
            "median {:.0} ms, p99 {:.0} ms, at most {:.0} ms",
            latency_ms.median, latency_ms.p99, latency_ms.max
        ),
    );
    let after = summary.agreed_after.iter().filter_map(|agreed| agreed.after);
    if let Some(longest) = after.reduce(f64::max) {
        row("agreement after a fault", format!("at most {longest:.1} s"));
    }
    for healed in summary.healed.values() {
        let Some(missing) = healed.missing.filter(|missing| *missing > 0) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
        let ratio = healed.bytes as f64 / missing as f64;
        row(
            "over healed links",
            format!("{} until all agreed, {ratio:.2} × what was missing", bytes_of(healed.bytes)),
        );
    }
    row("all nodes alike", format!("{:.0} % of the time", summary.agreed_percent));
    row(
        "messages and bytes",
        format!(
            "{:.1} messages and {} an operation",
            traffic.messages_per_operation,
            bytes(traffic.bytes_per_operation)
        ),
    );
    row("links", format!("{} over {} links", bytes_of(traffic.wire_bytes), plan.edges.len()));
    row("everything that happened", format!("{} events, hash {}", summary.events, &summary.trace[..16]));
    table
}

fn verdict(out: &mut String, summary: &Summary, replay: &str, colours: bool) {
    let paint = |code: &str, text: &str| {
        if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    if summary.violations.is_empty() {
        let names: Vec<&str> = oracles::all().iter().map(|oracle| oracle.name).collect();
        put(out, format_args!("{}: {}\n", paint("1;32", "all holds"), names.join(", ")));
        return;
    }
    put(out, format_args!("{}\n", paint("1;31", &format!("{} violations", summary.violations.len()))));
    for violation in &summary.violations {
        put(out, format_args!("  {violation}\n"));
    }
    put(out, format_args!("\nagain, with a line for everything that happens:\n  {replay}\n"));
}

/// Bytes as people read them.
#[must_use]
pub fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut count, mut unit) = (count, 0);
    while count >= 1024.0 && unit + 1 < UNITS.len() {
        count /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count:.0} B") } else { format!("{count:.1} {}", UNITS[unit]) }
}

#[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
fn bytes_of(count: u64) -> String {
    bytes(count as f64)
}

/// The nodes where they stand, and dotted lines between those that are linked.
fn drawing(plan: &Plan) -> String {
    let (width, height) = DRAWING;
    let flat = plan.places.iter().all(|place| (place.1 - plan.places[0].1).abs() < 1e-9);
    let height = if flat { 1 } else { height };
    let mut cells = vec![vec![' '; width + 4]; height];
    let cell = |(x, y): (f64, f64)| (scale(x, width), scale(y, height));
    for edge in &plan.edges {
        if let (Some(&from), Some(&to)) = (plan.places.get(edge.from), plan.places.get(edge.to)) {
            line(&mut cells, cell(from), cell(to));
        }
    }
    for (node, &place) in plan.places.iter().enumerate() {
        let (x, y) = cell(place);
        for (offset, digit) in node.to_string().chars().enumerate() {
            cells[y][(x + offset).min(width + 3)] = digit;
        }
    }
    let rows = cells.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned());
    let drawn: Vec<String> = rows.skip_while(String::is_empty).map(|row| format!("  {row}\n")).collect();
    format!("\n{}", drawn.concat())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cell of a small drawing"
)]
fn scale(share: f64, cells: usize) -> usize {
    ((share.clamp(0.0, 1.0) * (cells - 1) as f64).round() as usize).min(cells - 1)
}

fn line(cells: &mut [Vec<char>], from: (usize, usize), to: (usize, usize)) {
    let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
    for step in 1..steps {
        // Weighted by how near each end is, rounded to the next cell.
        let along = |a: usize, b: usize| (a * (steps - step) + b * step + steps / 2) / steps;
        cells[along(from.1, to.1)][along(from.0, to.0)] = '·';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mesh_is_drawn_with_its_nodes_and_links() {
        let mut plan = Plan::empty(3, 1);
        plan.places = vec![(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)];
        let drawn = drawing(&plan);
        for node in ["0", "1", "2"] {
            assert!(drawn.contains(node), "{drawn}");
        }
        assert!(drawn.matches('·').count() > 30, "{drawn}");
    }

    #[test]
    fn bytes_are_rounded_for_people() {
        assert_eq!(
            (bytes(12.3), bytes(1536.0), bytes(5e9)),
            ("12 B".into(), "1.5 KiB".into(), "4.7 GiB".into())
        );
    }
}
