//! Faults that chance brings, each of which is over before the end.

use std::time::Duration;

use toml::Spanned;

use super::{
    draw::{Drawn, whole},
    file::{Kind, WeatherTable},
    lives::{Aspect, Interval},
    problem::Complaint,
    value::{Range, Skew},
};
use crate::{
    dice::Dice,
    plan::{Fault, FaultKind, How, NodeNo, Quality},
};

const ALL: [Kind; 12] = [
    Kind::Partition,
    Kind::Cut,
    Kind::Flap,
    Kind::Slow,
    Kind::Crash,
    Kind::LosePower,
    Kind::Wipe,
    Kind::Leave,
    Kind::Join,
    Kind::StallDisk,
    Kind::FailDisk,
    Kind::Clock,
];

/// A shorter fault is none.
const LASTS_MIN: Duration = Duration::from_secs(1);
/// The share of nodes that are late, where nodes join.
const LATE: f64 = 0.2;
/// The share of cuts that are in one direction.
const ONE_WAY: f64 = 0.3;

struct Weather {
    kinds: Vec<Kind>,
    lasts: Range<Duration>,
    skew: Range<Skew>,
    from: Duration,
    until: Duration,
}

/// Draws all of it.
pub(super) fn draw(table: &Spanned<WeatherTable>, drawn: &mut Drawn, seed: u64) -> Result<(), Complaint> {
    let mut dice = Dice::of(seed, "weather");
    let weather = weather(table.get_ref(), drawn.mesh.ends, &mut dice)?;
    let every = table.get_ref().every.get_ref().draw(&mut dice);
    if every < LASTS_MIN {
        let message = "faults more often than every second: set `every = \"20s\"`, or another longer time";
        return Err(Complaint::new(table.get_ref().every.span(), message));
    }
    if weather.kinds.contains(&Kind::Join) {
        weather.join(drawn, &mut Dice::of(seed, "weather joins"));
    }
    let mut at = weather.from + whole(dice.wait(every));
    while at < weather.until {
        if let Some(fault) = weather.fault(at, drawn, &mut dice) {
            drawn.faults.push(fault);
        }
        at += whole(dice.wait(every)).max(Duration::from_millis(1));
    }
    Ok(())
}

fn weather(table: &WeatherTable, ends: Duration, dice: &mut Dice) -> Result<Weather, Complaint> {
    let seconds = |low, high| Range { low: Duration::from_secs(low), high: Duration::from_secs(high) };
    let from = table.from.as_ref().map_or(Duration::ZERO, |from| whole(from.get_ref().draw(dice)));
    let until = table.until.as_ref().map_or(ends * 4 / 5, |until| until.get_ref().draw(dice));
    let weather = Weather {
        kinds: table.kinds.as_ref().map_or_else(|| ALL.to_vec(), |kinds| kinds.get_ref().clone()),
        lasts: table.lasts.as_ref().map_or_else(|| seconds(5, 60), |lasts| *lasts.get_ref()),
        skew: table
            .skew
            .as_ref()
            .map_or(Range { low: Skew(-600_000), high: Skew(600_000) }, |skew| *skew.get_ref()),
        from,
        until: whole(until),
    };
    check(table, &weather, ends)?;
    Ok(weather)
}

fn check(table: &WeatherTable, weather: &Weather, ends: Duration) -> Result<(), Complaint> {
    let said = humantime::format_duration;
    if let Some(kinds) = &table.kinds
        && kinds.get_ref().is_empty()
    {
        return Err(Complaint::new(
            kinds.span(),
            "weather of no kind: name kinds, or leave `kinds` out for all",
        ));
    }
    if let Some(until) = &table.until
        && weather.until > ends
    {
        let message = format!(
            "weather until {}, but the scenario ends at {}: lower it, or set `duration`",
            said(weather.until),
            said(ends)
        );
        return Err(Complaint::new(until.span(), message));
    }
    if let Some(given) = table.from.as_ref().or(table.until.as_ref())
        && weather.until <= weather.from
    {
        let message = format!(
            "weather from {} until {}: it must end after it begins",
            said(weather.from),
            said(weather.until)
        );
        return Err(Complaint::new(given.span(), message));
    }
    Ok(())
}

impl Weather {
    /// Some nodes that nothing else is planned for come late; half of all are there at the beginning.
    fn join(&self, drawn: &mut Drawn, dice: &mut Dice) {
        let nodes = drawn.mesh.nodes;
        for node in 0..nodes {
            let late = dice.chance(LATE);
            let at = whole(dice.time(self.from, self.until));
            if late && drawn.lives.is_untouched(node) && 2 * (drawn.mesh.late.len() + 1) <= nodes {
                drawn.mesh.late.insert(node, Some(at));
                drawn.lives.join(node, at);
                drawn.faults.push(Fault { at, lasts: None, kind: FaultKind::Join { node } });
            }
        }
    }

    /// A fault that begins now, unless the nodes that are left are needed, or the end is near.
    fn fault(&self, at: Duration, drawn: &mut Drawn, dice: &mut Dice) -> Option<Fault> {
        let kind = *dice.pick(&self.kinds)?;
        let lasts = whole(self.lasts.draw(dice)).min(self.until.saturating_sub(at));
        // Joins were drawn at first.
        if lasts < LASTS_MIN || kind == Kind::Join {
            return None;
        }
        let kind = match Aspect::of(kind) {
            Some(aspect) => {
                let interval = Interval { from: at, until: Some(at + lasts) };
                let node = free(drawn, aspect, interval, dice)?;
                drawn.lives.take(node, aspect, interval);
                self.of_node(kind, node, dice)
            }
            None => of_links(kind, drawn, dice)?,
        };
        Some(Fault { at, lasts: Some(lasts), kind })
    }

    fn of_node(&self, kind: Kind, node: NodeNo, dice: &mut Dice) -> FaultKind {
        match kind {
            Kind::LosePower => FaultKind::LosePower { node },
            Kind::Wipe => FaultKind::Wipe { node },
            Kind::Leave => FaultKind::Leave { node },
            Kind::StallDisk => FaultKind::StallDisk { node },
            Kind::FailDisk => FaultKind::FailDisk { node },
            Kind::Clock => FaultKind::Clock { node, skew_ms: self.skew.draw(dice).0 },
            _ => FaultKind::Crash { node },
        }
    }
}

/// A node to which this may happen; at most half of all are down at once.
fn free(drawn: &Drawn, aspect: Aspect, interval: Interval, dice: &mut Dice) -> Option<NodeNo> {
    let nodes = drawn.mesh.nodes;
    if aspect == Aspect::Process && 2 * (drawn.lives.down(interval) + 1) > nodes {
        return None;
    }
    let free: Vec<NodeNo> = (0..nodes).filter(|node| drawn.lives.is_free(*node, aspect, interval)).collect();
    dice.pick(&free).copied()
}

fn of_links(kind: Kind, drawn: &Drawn, dice: &mut Dice) -> Option<FaultKind> {
    let mesh = &drawn.mesh;
    let how = if dice.chance(0.5) { How::Freeze } else { How::Break };
    if kind == Kind::Partition {
        let count = if mesh.nodes > 3 { 2 + dice.index(2) } else { 2 };
        let possible = mesh.nodes >= count;
        return possible.then(|| FaultKind::Partition { groups: mesh.regions(count, dice), how });
    }
    let link = *dice.pick(&mesh.links)?;
    let millis = |dice: &mut Dice, low, high| Duration::from_millis(dice.between(low, high));
    Some(match kind {
        Kind::Flap => {
            let (up, down) = (millis(dice, 1000, 10_000), millis(dice, 1000, 10_000));
            FaultKind::Flap { link, how, up, down }
        }
        Kind::Slow => {
            let (latency, jitter) = (millis(dice, 100, 2000), millis(dice, 0, 500));
            let bandwidth = dice.chance(0.5).then(|| dice.between(10_000, 1_000_000));
            FaultKind::Slow { links: vec![link], quality: Quality { latency, jitter, bandwidth } }
        }
        _ => FaultKind::Cut { links: vec![link], how, one_way: dice.chance(ONE_WAY) },
    })
}
