//! What the data means, under weather: strategies and followers while the mesh falls apart.

mod beside;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use beside::holds;
use futures::FutureExt;
use sims::{Mesh, Options, oracles::Violation};
use tidings::{
    Node, Prefix,
    node::{Cursor, Dot, Strategy, WatchEvent, WatchOptions},
};
use tokio::time::{Instant, sleep, timeout_at};

/// The oracles that hold what readers are given against single versions, the greatest of all.
fn of_single_versions(violation: &Violation) -> bool {
    ["model", "dots-unique"].contains(&violation.oracle)
}

async fn read(node: &Node, key: &str) -> Result<Option<String>, String> {
    let entry = node.get(key).await.map_err(|error| error.to_string())?;
    Ok(entry.map(|entry| String::from_utf8_lossy(&entry.value.bytes).into_owned()))
}

/// The two halves are apart from the thirtieth second on.
const APART: Duration = Duration::from_secs(40);

async fn write_fields(mesh: Mesh) -> Result<(), String> {
    let fields: Vec<String> = (0..14).map(|no| format!("\"f{no:02}\":\"old\"")).collect();
    let (_, first) = mesh.up().into_iter().next().ok_or("nobody is up")?;
    let object = format!("{{{},\"removed\":1}}", fields.join(","));
    first.put("objects/one", tidings::Value::json(object)).await.map_err(|error| error.to_string())?;
    sleep(APART).await;
    for (no, node) in mesh.up() {
        let mut own = fields.clone();
        own[no] = format!("\"f{no:02}\":\"new\"");
        // One removes a field, thirteen leave it as it is.
        let rest = if no == 3 { "" } else { ",\"removed\":1" };
        let object = tidings::Value::json(format!("{{{}{rest}}}", own.join(",")));
        node.put("objects/one", object).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Acceptance 13.
#[test]
fn fourteen_nodes_that_change_fourteen_fields_of_one_object_apart_keep_all_of_them() {
    let check = |mesh: Mesh| async move {
        for (no, node) in mesh.up() {
            let object = read(&node, "objects/one").await?.ok_or("it is gone")?;
            let new = object.matches("\"new\"").count();
            if new != 14 || object.contains("removed") {
                return Err(format!("node {no} reads {object}"));
            }
        }
        Ok(())
    };
    holds("partition-heals", 14, 1..=3, of_single_versions, || Options {
        configure: Some(Arc::new(|_, builder| {
            builder.strategy(Prefix::new("objects").expect("lawful"), Strategy::MergeFields)
        })),
        workload: Some(Arc::new(|mesh| write_fields(mesh).boxed())),
        check: Some(Arc::new(move |mesh| check(mesh).boxed())),
        ..Options::default()
    });
}

/// Keys of one strategy, one for each pair of what the two halves do.
fn pairs(strategy: &Strategy) -> impl Iterator<Item = (String, [&'static str; 2])> {
    let acts = ["nothing", "put", "delete", "recreate"];
    let name = strategy.to_string();
    acts.into_iter().flat_map(move |left| {
        let name = name.clone();
        acts.into_iter().map(move |right| (format!("{name}/{left}-{right}"), [left, right]))
    })
}

async fn act(node: &Node, key: &str, act: &str, side: usize) {
    let value = || tidings::Value::json(format!("{{\"side{side}\":1}}"));
    // What is refused (a second put where the first write wins, a node that dies) changes nothing.
    match act {
        "put" => drop(node.put(key, value()).await),
        "delete" => drop(node.delete(key).await),
        "recreate" => {
            drop(node.delete(key).await);
            drop(node.put(key, value()).await);
        }
        _ => {}
    }
}

async fn write_pairs(mesh: Mesh) -> Result<(), String> {
    let nodes = mesh.up();
    for (key, _) in Strategy::NAMED.iter().flat_map(pairs) {
        nodes[0]
            .1
            .put(key, tidings::Value::json("{\"first\":1}"))
            .await
            .map_err(|error| error.to_string())?;
    }
    sleep(APART).await;
    for (key, acts) in Strategy::NAMED.iter().flat_map(pairs) {
        // Two of each half, so that there are three-way conflicts, too.
        for (no, node) in &nodes {
            if no % 3 > 0 {
                act(node, &key, acts[no % 2], *no).await;
            }
        }
    }
    Ok(())
}

/// Acceptance 19.
#[test]
fn what_is_put_deleted_and_created_again_apart_reads_the_same_everywhere_under_each_strategy() {
    let check = |mesh: Mesh| async move {
        let nodes = mesh.up();
        for (key, acts) in Strategy::NAMED.iter().flat_map(pairs) {
            let mut readings = Vec::new();
            for (_, node) in &nodes {
                readings.push(read(node, &key).await?);
            }
            if readings.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(format!("{key} reads {readings:?}"));
            }
            let expected = match acts {
                ["nothing" | "delete", "delete"] | ["delete", "nothing"] => Some(false),
                ["put" | "nothing", "put" | "nothing"] => Some(true),
                ["put", "delete"] | ["delete", "put"] if key.starts_with("update-wins") => Some(true),
                ["put", "delete"] | ["delete", "put"] if key.starts_with("delete-wins") => Some(false),
                _ => None,
            };
            if expected.is_some_and(|expected| readings[0].is_some() != expected) {
                return Err(format!("{key} reads {:?}", readings[0]));
            }
        }
        Ok(())
    };
    holds("partition-heals", 6, 1..=3, of_single_versions, || Options {
        configure: Some(Arc::new(|_, builder| {
            Strategy::NAMED.iter().fold(builder, |builder, strategy| {
                builder.strategy(Prefix::new(&strategy.to_string()).expect("lawful"), strategy.clone())
            })
        })),
        workload: Some(Arc::new(|mesh| write_pairs(mesh).boxed())),
        check: Some(Arc::new(move |mesh| check(mesh).boxed())),
        ..Options::default()
    });
}

/// Somebody who follows changes and goes from node to node.
#[derive(Default)]
struct Follower {
    cursor: Option<Cursor>,
    /// The greatest change of each key.
    keys: BTreeMap<String, ((tidings::node::Hlc, Dot), bool)>,
    told: BTreeSet<(String, Dot, bool)>,
    resets: usize,
}

impl Follower {
    /// Follows at `node` for so long.
    async fn stay(&mut self, node: &Node, time: Duration) -> Result<(), String> {
        let space = node.space(&tidings::Namespace::default()).map_err(|error| error.to_string())?;
        let options = WatchOptions { since: self.cursor.clone(), snapshot: self.cursor.is_none() };
        let mut watch = space.watch(Prefix::all(), options).await.map_err(|error| error.to_string())?;
        let until = Instant::now() + time;
        while let Ok(Some(event)) = timeout_at(until, watch.next()).await {
            match event.map_err(|error| error.to_string())? {
                WatchEvent::Change(change) => {
                    let (key, rank) = (change.key.to_string(), (change.hlc, change.dot));
                    if !self.told.insert((key.clone(), change.dot, change.value.is_some())) {
                        return Err(format!("{key} was told twice by {:?}", change.dot));
                    }
                    let known = self.keys.entry(key).or_insert((rank, change.value.is_some()));
                    if rank >= known.0 {
                        *known = (rank, change.value.is_some());
                    }
                }
                WatchEvent::Reset => self.resets += 1,
                _ => {}
            }
        }
        self.cursor = Some(watch.cursor().clone());
        Ok(())
    }
}

/// Acceptance 31.
#[test]
fn a_follower_that_goes_from_node_to_node_misses_nothing_and_is_told_nothing_twice() {
    holds("partition-heals", 8, 1..=4, of_single_versions, || {
        let follower = Arc::new(tokio::sync::Mutex::new(Follower::default()));
        let problem = Arc::new(Mutex::new(None));
        let (travels, problems) = (follower.clone(), problem.clone());
        let travel = move |mesh: Mesh| {
            let (follower, problem) = (travels.clone(), problems.clone());
            async move {
                for round in 0..12 {
                    let nodes = mesh.up();
                    let (_, node) = &nodes[(round * 5) % nodes.len()];
                    let time = Duration::from_secs(3 + (round as u64 % 4) * 5);
                    if let Err(error) = follower.lock().await.stay(node, time).await {
                        problem.lock().expect("alive").get_or_insert(error);
                    }
                    sleep(Duration::from_secs(2)).await;
                }
                Ok(())
            }
            .boxed()
        };
        let check = move |mesh: Mesh| {
            let (follower, problem) = (follower.clone(), problem.clone());
            async move {
                if let Some(error) = problem.lock().expect("alive").take() {
                    return Err(error);
                }
                let mut follower = follower.lock().await;
                let (_, node) = mesh.up().into_iter().next().ok_or("nobody is up")?;
                follower.stay(&node, Duration::from_secs(5)).await?;
                if follower.resets > 0 {
                    return Err("nothing was forgotten, and yet the cursor was too old".into());
                }
                for (key, (_, stands)) in &follower.keys {
                    if read(&node, key).await?.is_some() != *stands {
                        return Err(format!("{key} is not as it was told"));
                    }
                }
                let page = node.scan(tidings::node::Scan { limit: 1_000, ..Default::default() }).await;
                let page = page.map_err(|error| error.to_string())?;
                let missed =
                    page.entries.iter().find(|entry| !follower.keys.contains_key(entry.key.as_str()));
                missed.map_or(Ok(()), |entry| Err(format!("{} was never told", entry.key)))
            }
            .boxed()
        };
        Options { workload: Some(Arc::new(travel)), check: Some(Arc::new(check)), ..Options::default() }
    });
}
