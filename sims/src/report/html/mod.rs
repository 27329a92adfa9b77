//! A page about a run, for people: one file with all that it needs in it.

mod agreed;
mod bands;
mod drawing;
mod escape;
mod facts;
mod lanes;
mod latency;
mod number;
mod plot;
mod rates;
mod scale;
mod spread;
mod stack;
mod tables;
mod thin;
mod words;

use self::{escape::escape, facts::Facts};
use crate::{history::History, oracles::Violation, plan::Plan};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page: what happened in a run, what the oracles say of it, how to run it again (`replay`), and
/// the hash of all its events (`trace`).
#[must_use]
pub fn page(plan: &Plan, history: &History, violations: &[Violation], replay: &str, trace: &str) -> String {
    let facts = Facts::of(plan, history);
    let title = escape(&plan.scenario);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}, seed {} · tidings</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        plan.seed
    );
    page += &header(plan);
    page += &tables::banner(violations);
    page += &tables::tiles(&facts);
    page += "<div class=\"plots\">\n";
    page += &agreed::agreed(&facts);
    page += &drawing::drawing(&facts);
    page += &rates::operations(&facts);
    page += &rates::traffic(&facts);
    page += &latency::by_hops(&facts);
    page += &latency::everywhere(&facts);
    page += &lanes::lanes(&facts);
    page += "</div>\n";
    page += &tables::faults(&facts);
    page + &footer(replay, trace)
}

fn header(plan: &Plan) -> String {
    format!(
        "<header><h1>{}</h1><p class=\"about\">{}</p><p class=\"note\">A simulation of tidings, a replicated key-value store: each node accepts reads and writes at any time, and nodes bring each other up to date when they can. Seed {}, {}.</p></header>\n",
        escape(&plan.scenario),
        escape(&plan.about),
        plan.seed,
        words::how_many(&plan.faults)
    )
}

fn footer(replay: &str, trace: &str) -> String {
    format!(
        "<footer><p>The same run again, event by event:</p><pre>{}</pre><p>Trace <code>{}</code>: runs with the same hash were the same run.</p></footer>\n</main>\n<div id=\"tip\"></div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(replay),
        escape(trace)
    )
}
