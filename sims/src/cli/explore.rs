//! `explore`: many seeds on all cores.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Args;
use serde_json::json;

use super::{
    Ended, Failure, What,
    source::{Source, replay_command},
};
use crate::{Options, oracles::Violation, os, report::progress::Progress, run, verdict};

#[derive(Debug, Args)]
pub(super) struct ExploreArgs {
    /// A scenario of the library, or a file
    #[arg(long, default_value = "any-weather")]
    scenario: String,
    /// How many seeds, from 1; or which, as `100..200`
    #[arg(long, default_value = "100", value_parser = seeds)]
    seeds: (u64, u64),
    /// Simulations at the same time; as many as there are cores unless told
    #[arg(long)]
    jobs: Option<usize>,
    /// Begin no further seed after this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    budget: Option<Duration>,
    /// For programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    what: What,
}

/// `N` is `1..=N`, `A..B` is without B.
fn seeds(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is neither a number of seeds nor a range such as `100..200`");
    let (first, end) = match text.split_once("..") {
        Some((first, end)) => (first.parse().map_err(|_| wrong())?, end.parse().map_err(|_| wrong())?),
        None => (1, text.parse::<u64>().map_err(|_| wrong())? + 1),
    };
    if first < end { Ok((first, end)) } else { Err(format!("{text:?} is no seed at all")) }
}

/// A seed that failed.
struct Failed {
    seed: u64,
    violations: Vec<Violation>,
    replay: String,
}

/// What the threads share.
struct Exploration<'a> {
    args: &'a ExploreArgs,
    source: Source,
    next: AtomicU64,
    stop: AtomicBool,
    done: Mutex<Done>,
    /// How far it is, where anybody wants to know.
    progress: Mutex<Option<Progress>>,
    started: Duration,
}

#[derive(Default)]
struct Done {
    count: u64,
    failed: Vec<Failed>,
    error: Option<Failure>,
    simulated: Duration,
}

pub(super) fn explore(args: &ExploreArgs) -> Result<Ended, Failure> {
    let source = Source::find(&args.scenario, &args.what)?;
    let jobs = args.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from)).max(1);
    let exploration = Exploration {
        source,
        next: AtomicU64::new(args.seeds.0),
        stop: AtomicBool::new(false),
        done: Mutex::default(),
        progress: Mutex::new((!args.json).then(|| Progress::new(args.seeds.1 - args.seeds.0))),
        started: os::real(),
        args,
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| exploration.work());
        }
    });
    exploration.tell()
}

impl Exploration<'_> {
    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.args.seeds.1 || self.is_over_budget() {
                return;
            }
            let outcome = self.try_seed(seed);
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok((simulated, violations)) => {
                    done.count += 1;
                    done.simulated += simulated;
                    let is_new = !violations.is_empty();
                    if is_new {
                        let replay = replay_command(&self.args.scenario, seed, &self.args.what);
                        done.failed.push(Failed { seed, violations, replay });
                    }
                    self.show(&done, done.failed.last().filter(|_| is_new));
                }
                Err(error) => {
                    done.error.get_or_insert(format!("seed {seed}: {error}"));
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    fn is_over_budget(&self) -> bool {
        self.args.budget.is_some_and(|budget| self.elapsed() > budget)
    }

    fn elapsed(&self) -> Duration {
        os::real().saturating_sub(self.started)
    }

    fn try_seed(&self, seed: u64) -> Result<(Duration, Vec<Violation>), Failure> {
        let plan = self.source.plan(seed)?;
        let outcome = run(&plan, &Options::default()).map_err(|error| error.to_string())?;
        Ok((outcome.cost.simulated, verdict(&plan, &outcome)))
    }

    /// Tells a person of a seed that is done, and of what was wrong with it.
    fn show(&self, done: &Done, failed: Option<&Failed>) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(progress) = &mut *progress else { return };
        if let Some(failed) = failed {
            progress.clear();
            tell_failed(failed);
        }
        progress.step(done.count, done.failed.len() as u64);
    }

    fn tell(self) -> Result<Ended, Failure> {
        let elapsed = self.elapsed();
        drop(self.progress.into_inner());
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = done.error {
            return Err(error);
        }
        done.failed.sort_by_key(|failed| failed.seed);
        if self.args.json {
            let failed: Vec<_> = done
                .failed
                .iter()
                .map(|failed| json!({ "seed": failed.seed, "violations": failed.violations, "replay": failed.replay }))
                .collect();
            let result = json!({ "scenario": self.args.scenario, "seeds": done.count, "failed": failed });
            println!("{}", serde_json::to_string_pretty(&result).map_err(|error| error.to_string())?);
        } else {
            let hours = done.simulated.as_secs_f64() / 3600.0;
            println!(
                "{}: {} seeds, {} failed; {hours:.1} virtual hours in {:.0?}",
                self.args.scenario,
                done.count,
                done.failed.len(),
                elapsed
            );
            for failed in &done.failed {
                println!("  {}", failed.replay);
            }
        }
        Ok(if done.failed.is_empty() { Ended::Well } else { Ended::Badly })
    }
}

fn tell_failed(failed: &Failed) {
    eprintln!("seed {} failed:", failed.seed);
    for violation in failed.violations.iter().take(3) {
        eprintln!("  {violation}");
    }
    if failed.violations.len() > 3 {
        eprintln!("  and {} more", failed.violations.len() - 3);
    }
    eprintln!("  again: {}", failed.replay);
}
