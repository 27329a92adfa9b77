//! A program of one's own under our weather: counters that many nodes raise while the mesh falls
//! apart and comes together. Run it with `cargo run --example own_workload` in `sims/`.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use sims::{Mesh, Options, run, scenario, verdict};

/// Every node raises its own counter, twenty times.
async fn count(mesh: Mesh) -> Result<(), String> {
    for round in 1..=20_u32 {
        for (no, node) in mesh.up() {
            // A node may die at any moment: then its counter stays where it is.
            let _refused_when_it_dies = node.put(format!("counter/{no}"), round.to_string()).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Ok(())
}

/// In the end every node reads the same counters.
async fn compare(mesh: Mesh) -> Result<(), String> {
    for no in 0..mesh.len() {
        let key = format!("counter/{no}");
        let mut readings = Vec::new();
        for (_, node) in mesh.up() {
            let entry = node.get(key.as_str()).await.map_err(|error| error.to_string())?;
            readings.push(entry.map(|entry| entry.value.bytes));
        }
        if readings.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("{key} is not the same everywhere"));
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weather = scenario::find("churn").ok_or("no such scenario")?;
    let options = Options {
        // Any setting of the builder, and policies of one's own.
        configure: Some(Arc::new(|_, builder| builder.sync_interval(Duration::from_secs(5)))),
        workload: Some(Arc::new(|mesh| count(mesh).boxed())),
        check: Some(Arc::new(|mesh| compare(mesh).boxed())),
        ..Options::default()
    };
    for seed in 1..=5 {
        let plan = weather.draw(seed, &scenario::Overrides::default())?;
        let outcome = run(&plan, &options)?;
        let found = verdict(&plan, &outcome);
        println!("seed {seed}: {} events, {} violations", outcome.trace.events(), found.len());
        if let Some(first) = found.first() {
            return Err(first.to_string().into());
        }
    }
    Ok(())
}
