//! The faults that a file sets a time for.

use std::{ops::Range, time::Duration};

use toml::Spanned;

use super::{
    draw::{Drawn, check_bandwidth, whole},
    file::{FaultTable, File, Kind, Links},
    lives::{Aspect, Interval},
    pick::Mesh,
    problem::Complaint,
    value::Nodes,
};
use crate::{
    dice::Dice,
    plan::{Fault, FaultKind, NodeNo, Quality},
};

/// Draws all of them. Joins first: whatever else happens to a late node happens after.
pub(super) fn draw(file: &File, drawn: &mut Drawn, seed: u64) -> Result<(), Complaint> {
    for joins in [true, false] {
        for (number, table) in file.at.iter().enumerate() {
            if (*table.get_ref().fault.get_ref() == Kind::Join) == joins {
                let mut dice = Dice::of(seed, &format!("faults {number}"));
                let faults = one(table.get_ref(), drawn, &mut dice)?;
                drawn.faults.extend(faults);
            }
        }
    }
    Ok(())
}

fn one(table: &FaultTable, drawn: &mut Drawn, dice: &mut Dice) -> Result<Vec<Fault>, Complaint> {
    check_keys(table)?;
    check_times(table, drawn.mesh.ends)?;
    check_bandwidth(table.bandwidth.as_ref())?;
    let at = whole(table.time.get_ref().draw(dice));
    let lasts = table.lasts.as_ref().map(|lasts| whole(lasts.get_ref().draw(dice)));
    let kinds = match Aspect::of(*table.fault.get_ref()) {
        Some(aspect) => {
            let nodes = nodes(
                table,
                drawn,
                aspect,
                Interval { from: at, until: lasts.map(|lasts| at + lasts) },
                dice,
            )?;
            nodes.into_iter().map(|node| of_node(table, node, dice)).collect()
        }
        None => of_links(table, &drawn.mesh, dice)?,
    };
    Ok(kinds.into_iter().map(|kind| Fault { at, lasts, kind }).collect())
}

fn missing(table: &FaultTable, key: &str, example: &str) -> Complaint {
    let name = name(*table.fault.get_ref());
    Complaint::new(
        table.fault.span(),
        format!("`{key}` is missing: a `{name}` needs it, as `{key} = {example}`"),
    )
}

fn needed<'a, T>(
    table: &FaultTable,
    given: Option<&'a Spanned<T>>,
    key: &str,
    example: &str,
) -> Result<&'a Spanned<T>, Complaint> {
    given.ok_or_else(|| missing(table, key, example))
}

/// The nodes of a fault, marked as busy with it.
fn nodes(
    table: &FaultTable,
    drawn: &mut Drawn,
    aspect: Aspect,
    interval: Interval,
    dice: &mut Dice,
) -> Result<Vec<NodeNo>, Complaint> {
    let given = needed(table, table.nodes.as_ref(), "nodes", "[0, 1]")?;
    if *table.fault.get_ref() == Kind::Join {
        return join(given, drawn, interval.from, dice);
    }
    let (mesh, lives) = (&drawn.mesh, &mut drawn.lives);
    let picked =
        mesh.pick(given.get_ref(), given.span(), |node| lives.is_free(node, aspect, interval), dice)?;
    for &node in &picked {
        if aspect == Aspect::Process && !lives.is_free(node, aspect, interval) {
            let message = format!("node {node} is down at that time already: move one of the two faults");
            return Err(Complaint::new(given.span(), message));
        }
        lives.take(node, aspect, interval);
    }
    Ok(picked)
}

fn join(
    given: &Spanned<Nodes>,
    drawn: &mut Drawn,
    at: Duration,
    dice: &mut Dice,
) -> Result<Vec<NodeNo>, Complaint> {
    let mesh = &drawn.mesh;
    let waits = |node: NodeNo| matches!(mesh.late.get(&node), Some(None));
    let picked = match given.get_ref() {
        Nodes::All => mesh.late.keys().copied().filter(|node| waits(*node)).collect(),
        nodes => mesh.pick(nodes, given.span(), waits, dice)?,
    };
    for &node in &picked {
        let message = match drawn.mesh.late.get_mut(&node) {
            Some(joins @ None) => {
                *joins = Some(at);
                drawn.lives.join(node, at);
                continue;
            }
            Some(Some(_)) => format!("node {node} joins twice: remove one"),
            None => format!("node {node} is there from the beginning, it cannot join: name it in `late`"),
        };
        return Err(Complaint::new(given.span(), message));
    }
    if picked.is_empty() {
        return Err(Complaint::new(given.span(), "nobody is left who could join: name nodes in `late`"));
    }
    Ok(picked)
}

fn of_node(table: &FaultTable, node: NodeNo, dice: &mut Dice) -> FaultKind {
    match *table.fault.get_ref() {
        Kind::LosePower => FaultKind::LosePower { node },
        Kind::Wipe => FaultKind::Wipe { node },
        Kind::Leave => FaultKind::Leave { node },
        Kind::Join => FaultKind::Join { node },
        Kind::StallDisk => FaultKind::StallDisk { node },
        Kind::FailDisk => FaultKind::FailDisk { node },
        Kind::Clock => {
            let skew = table.skew.as_ref().map(|skew| skew.get_ref().draw(dice).0);
            FaultKind::Clock { node, skew_ms: skew.unwrap_or_default() }
        }
        _ => FaultKind::Crash { node },
    }
}

fn of_links(table: &FaultTable, mesh: &Mesh, dice: &mut Dice) -> Result<Vec<FaultKind>, Complaint> {
    let how = table.how.as_ref().map_or_else(Default::default, |how| *how.get_ref());
    let one_way = table.one_way.as_ref().is_some_and(|one_way| *one_way.get_ref());
    if *table.fault.get_ref() == Kind::Partition {
        let groups = needed(table, table.groups.as_ref(), "groups", "2")?;
        return Ok(vec![FaultKind::Partition { groups: mesh.pick_groups(groups, dice)?, how }]);
    }
    let links: &Spanned<Links> = needed(table, table.links.as_ref(), "links", "[[0, 1]]")?;
    let links = mesh.pick_links(links, dice)?;
    match table.fault.get_ref() {
        Kind::Flap => {
            let up = whole(needed(table, table.up.as_ref(), "up", "\"5s\"")?.get_ref().draw(dice));
            let down = whole(needed(table, table.down.as_ref(), "down", "\"5s\"")?.get_ref().draw(dice));
            if up.is_zero() || down.is_zero() {
                return Err(Complaint::new(
                    table.fault.span(),
                    "a link that flaps needs an `up` and a `down` of a millisecond at least",
                ));
            }
            Ok(links.into_iter().map(|link| FaultKind::Flap { link, how, up, down }).collect())
        }
        Kind::Slow => Ok(vec![FaultKind::Slow { links, quality: quality(table, dice)? }]),
        _ => Ok(vec![FaultKind::Cut { links, how, one_way }]),
    }
}

fn quality(table: &FaultTable, dice: &mut Dice) -> Result<Quality, Complaint> {
    if table.latency.is_none() && table.bandwidth.is_none() && table.jitter.is_none() {
        return Err(missing(table, "latency", "\"2s\""));
    }
    let usual = Quality::default();
    Ok(Quality {
        latency: table.latency.as_ref().map_or(usual.latency, |latency| latency.get_ref().draw(dice)),
        jitter: table.jitter.as_ref().map_or(usual.jitter, |jitter| jitter.get_ref().draw(dice)),
        bandwidth: table.bandwidth.as_ref().map(|bandwidth| bandwidth.get_ref().draw(dice).0),
    })
}

fn check_times(table: &FaultTable, ends: Duration) -> Result<(), Complaint> {
    let said = humantime::format_duration;
    let at = table.time.get_ref().high;
    if at > ends {
        let message = format!(
            "a fault at {}, but the scenario ends at {}: move it, or set `duration`",
            said(at),
            said(ends)
        );
        return Err(Complaint::new(table.time.span(), message));
    }
    let Some(lasts) = &table.lasts else { return Ok(()) };
    if lasts.get_ref().low.is_zero() {
        return Err(Complaint::new(
            lasts.span(),
            "a fault for no time: set `for`, or leave it out where it stays for good",
        ));
    }
    if at + lasts.get_ref().high > ends {
        let message = format!(
            "a fault at {} for {} is put right after the scenario ends at {}: shorten `for`, or set `duration`",
            said(at),
            said(lasts.get_ref().high),
            said(ends)
        );
        return Err(Complaint::new(lasts.span(), message));
    }
    Ok(())
}

/// The keys that a kind takes, besides `time` and `fault`.
fn keys(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Partition => &["for", "groups", "how"],
        Kind::Cut => &["for", "links", "how", "one_way"],
        Kind::Flap => &["for", "links", "how", "up", "down"],
        Kind::Slow => &["for", "links", "latency", "jitter", "bandwidth"],
        Kind::Join => &["nodes"],
        Kind::Clock => &["for", "nodes", "skew"],
        _ => &["for", "nodes"],
    }
}

fn given(table: &FaultTable) -> Vec<(&'static str, Range<usize>)> {
    let spans = [
        ("for", table.lasts.as_ref().map(Spanned::span)),
        ("groups", table.groups.as_ref().map(Spanned::span)),
        ("how", table.how.as_ref().map(Spanned::span)),
        ("links", table.links.as_ref().map(Spanned::span)),
        ("one_way", table.one_way.as_ref().map(Spanned::span)),
        ("up", table.up.as_ref().map(Spanned::span)),
        ("down", table.down.as_ref().map(Spanned::span)),
        ("latency", table.latency.as_ref().map(Spanned::span)),
        ("jitter", table.jitter.as_ref().map(Spanned::span)),
        ("bandwidth", table.bandwidth.as_ref().map(Spanned::span)),
        ("nodes", table.nodes.as_ref().map(Spanned::span)),
        ("skew", table.skew.as_ref().map(Spanned::span)),
    ];
    spans.into_iter().filter_map(|(key, span)| Some((key, span?))).collect()
}

fn check_keys(table: &FaultTable) -> Result<(), Complaint> {
    let kind = *table.fault.get_ref();
    let known = keys(kind);
    match given(table).into_iter().find(|(key, _)| !known.contains(key)) {
        Some((key, span)) => {
            let message = format!(
                "`{key}` means nothing for a `{}`, which takes {}: remove it",
                name(kind),
                known.join(", ")
            );
            Err(Complaint::new(span, message))
        }
        None if kind == Kind::Clock && table.skew.is_none() => Err(missing(table, "skew", "\"-5m\"")),
        None => Ok(()),
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Partition => "partition",
        Kind::Cut => "cut",
        Kind::Flap => "flap",
        Kind::Slow => "slow",
        Kind::Crash => "crash",
        Kind::LosePower => "lose-power",
        Kind::Wipe => "wipe",
        Kind::Leave => "leave",
        Kind::Join => "join",
        Kind::StallDisk => "stall-disk",
        Kind::FailDisk => "fail-disk",
        Kind::Clock => "clock",
    }
}
