//! What is told in words: the verdict, key figures, faults.

use super::{
    escape::escape,
    facts::Facts,
    number::{bytes, clock, count, millis, quantile, several, short, size},
    words,
};
use crate::oracles::Violation;

/// So many faults and violations are listed.
const ROWS_MAX: usize = 300;

pub(super) fn banner(violations: &[Violation]) -> String {
    if violations.is_empty() {
        let oracles = crate::oracles::all().len();
        return format!(
            "<div class=\"banner good\"><b>All is well</b><span>All {oracles} checks hold: no write was lost, and all nodes that can reach each other agree.</span></div>\n"
        );
    }
    let mut names: Vec<&str> = violations.iter().map(|violation| violation.oracle).collect();
    names.dedup();
    let failed = several(names.len(), "check");
    format!(
        "<div class=\"banner bad\"><b>{failed} failed</b><span>{}</span></div>\n{}",
        escape(&names.join(", ")),
        listed(violations)
    )
}

fn listed(violations: &[Violation]) -> String {
    let row = |violation: &Violation| {
        let node = violation.node.map(|node| format!(", node {node}")).unwrap_or_default();
        format!(
            "<li><b>{}</b> at {}{node}: {}</li>",
            escape(violation.oracle),
            clock(violation.at),
            escape(&violation.text)
        )
    };
    let rows: String = violations.iter().take(ROWS_MAX).map(row).collect();
    format!("<ul class=\"violations\">{rows}</ul>\n")
}

pub(super) fn tiles(facts: &Facts<'_>) -> String {
    let all = &facts.spread.everywhere;
    let latency = |percent| quantile(all, percent).map_or_else(|| "–".to_owned(), millis);
    let agreed = facts.agreed_after.map_or_else(
        || "never".to_owned(),
        |took| match took.as_secs_f64() * 1e3 {
            0.0 => "at once".to_owned(),
            took => millis(took),
        },
    );
    let tiles = [
        (count(facts.plan.nodes as u64), "nodes"),
        (clock(std::time::Duration::from_secs_f64(facts.end)), "of virtual time"),
        (count(facts.written.len() as u64), "writes acknowledged"),
        (count(facts.refused.len() as u64), "operations refused"),
        (
            agreed,
            if facts.healed {
                "from the last repair to agreement"
            } else {
                "from the last write to agreement"
            },
        ),
        (latency(50), "until everybody has a write, median"),
        (latency(99), "99 of 100 writes"),
        (latency(100), "the slowest write"),
        (short(facts.messages_per_operation()), "messages per operation"),
        (bytes(facts.bytes_per_operation()), "on the wire per operation"),
    ];
    let tile =
        |(value, name): &(String, &str)| format!("<div><b>{}</b><span>{name}</span></div>", escape(value));
    format!("<div class=\"tiles\">{}</div>\n", tiles.iter().map(tile).collect::<String>())
}

pub(super) fn faults(facts: &Facts<'_>) -> String {
    let faults = &facts.plan.faults;
    if faults.is_empty() {
        return "<section><h2>Faults</h2><p>Nothing went wrong in this run.</p></section>\n".to_owned();
    }
    let row = |(number, fault): (usize, &crate::plan::Fault)| {
        format!(
            "<tr><td class=\"num\">{}</td><td><i class=\"key {}\"></i>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            number + 1,
            words::class(&fault.kind),
            words::name(&fault.kind),
            clock(fault.at),
            words::lasts(fault),
            escape(&words::whom(&fault.kind))
        )
    };
    let rows: String = faults.iter().enumerate().take(ROWS_MAX).map(row).collect();
    let more = faults.len().saturating_sub(ROWS_MAX);
    let more = if more > 0 { format!("<p>and {} more</p>", short(size(more))) } else { String::new() };
    format!(
        "<section><h2>Faults</h2><p>What went wrong in this run, in order. The numbers are those in the plots.</p><div class=\"scroll\"><table><thead><tr><th></th><th>what</th><th>when</th><th>how long</th><th>whom</th></tr></thead><tbody>{rows}</tbody></table></div>{more}</section>\n"
    )
}
