//! Runs a plan: one fresh thread, one paused runtime, one world.

use std::{
    collections::BTreeMap,
    sync::{Arc, Once},
    thread,
    time::Duration,
};

use thiserror::Error;
use tokio::task::JoinError;

use crate::{
    history::History,
    mesh::Program,
    os::{self, Virtual},
    plan::{Action, Fault, FaultKind, Operation, Plan, StoreKind},
    timeline::{Step, steps},
    trace::Trace,
    world::{Configure, Recorder, World, sleep_until},
};

/// Users are waited for so long after the last operation.
const USERS_PATIENCE: Duration = Duration::from_secs(60);
/// Once all is quiet, so many sync intervals are measured.
const QUIET_INTERVALS: u32 = 3;
/// Every timer that a forgotten task may hold has fired by then.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);
/// So often are nodes measured in a run, about.
const SAMPLES: u32 = 100;
/// They are not measured more often than this.
const SAMPLING_LEAST: Duration = Duration::from_millis(500);

/// How to run a plan.
#[derive(Clone, Default)]
pub struct Options {
    /// Keep a line of text for every event.
    pub log: bool,
    /// Changes how nodes are built: settings, policies, resolvers of one's own.
    pub configure: Option<Configure>,
    /// Uses the nodes beside the operations of the plan; the plan ends no sooner than this.
    pub workload: Option<Program>,
    /// Looks at the nodes when they agree, or should.
    pub check: Option<Program>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened.
    pub history: History,
    /// The hash of all that happened: equal for equal plans.
    pub trace: Trace,
    /// Tasks that outlived their nodes.
    pub tasks_left: usize,
    /// Connections that nobody closed.
    pub connections_left: usize,
    /// Bytes that went over the links that a fault had cut, from its end to agreement (or that of the
    /// run), by the number of the fault: encrypted, handshakes and all.
    pub healed_bytes: BTreeMap<usize, u64>,
    /// What the workload or the check found wrong.
    pub complaint: Option<String>,
    /// What it took.
    pub cost: Cost,
}

/// What a run took; differs from run to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Real time.
    pub wall: Duration,
    /// Time that the simulation's thread computed.
    pub cpu: Duration,
    /// Virtual time.
    pub simulated: Duration,
}

/// Why a plan could not be run.
#[derive(Debug, Error)]
pub enum RunError {
    /// No thread, no runtime, or no directory.
    #[error("the simulation could not be set up: {0}")]
    SetUp(#[from] std::io::Error),
    /// A node could not be asked what it holds.
    #[error("at the end a node could not be asked what it holds: {0}")]
    Finals(String),
    /// Something panicked.
    #[error("the simulation panicked: {0}")]
    Panicked(String),
}

/// Runs `plan` and returns what happened. Blocks for as long as that takes.
///
/// # Errors
/// See [`RunError`]; that the nodes do wrong is none, but for the oracles to find.
pub fn run(plan: &Plan, options: &Options) -> Result<Outcome, RunError> {
    warm_up(plan.settings.store);
    on_a_thread(plan.clone(), options.clone())
}

/// Statics that are made when they are first needed draw from the first simulation of a process that
/// needs them: here it is one whose events nobody looks at.
fn warm_up(store: StoreKind) {
    static MEMORY: Once = Once::new();
    static FJALL: Once = Once::new();
    let once = match store {
        StoreKind::Memory => &MEMORY,
        StoreKind::Fjall => &FJALL,
    };
    once.call_once(|| {
        let mut small = Plan::empty(3, 0);
        small.settings.store = store;
        small.ends = Duration::from_secs(40);
        for nth in 0..30 {
            let (at, key) = (Duration::from_secs(nth), format!("key/{}", nth % 3));
            let size = if nth == 20 { 100_000 } else { 100 };
            let action = if nth % 10 == 9 { Action::Delete { key } } else { Action::Put { key, size } };
            small.operations.push(Operation { at, node: usize::from(nth % 2 == 0), action });
        }
        let (at, lasts) = (Duration::from_secs(12), Some(Duration::from_secs(5)));
        small.faults.push(Fault { at, lasts, kind: FaultKind::Crash { node: 1 } });
        let _only_for_its_effects = on_a_thread(small, Options::default());
    });
}

fn on_a_thread(plan: Plan, options: Options) -> Result<Outcome, RunError> {
    // std, `rand` and tokio draw their seeds once a thread.
    let thread = thread::Builder::new().name(format!("seed {}", plan.seed)).stack_size(16 << 20);
    let running = thread.spawn(move || in_virtual_time(plan, &options))?;
    running.join().unwrap_or_else(|panic| Err(RunError::Panicked(text_of(&*panic))))
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

fn in_virtual_time(plan: Plan, options: &Options) -> Result<Outcome, RunError> {
    let (wall, cpu) = (os::real(), os::thread_cpu());
    let time = Virtual::begin(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let outcome = runtime.block_on(async {
        time.clocks_start();
        simulate(Arc::new(plan), options).await
    });
    let simulated = runtime.block_on(async { os::elapsed() }).saturating_sub(LEFT_BEHIND);
    drop(runtime);
    drop(time);
    let cost =
        Cost { wall: os::real().saturating_sub(wall), cpu: os::thread_cpu().saturating_sub(cpu), simulated };
    outcome.map(|outcome| Outcome { cost, ..outcome })
}

async fn simulate(plan: Arc<Plan>, options: &Options) -> Result<Outcome, RunError> {
    let metrics = tokio::runtime::Handle::current().metrics();
    let tasks_before = metrics.num_alive_tasks();
    let trace = if options.log { Trace::with_log() } else { Trace::default() };
    let recorder = Recorder::new(plan.nodes, trace);
    let mut world = World::new(plan.clone(), recorder.clone(), options.configure.clone())?;
    for node in (0..plan.nodes).filter(|node| !plan.late.contains(node)) {
        world.start(node).await;
    }
    let workload = options.workload.as_ref().map(|workload| tokio::spawn(workload(world.mesh().clone())));
    carry_out(&mut world).await;
    let mut complaint = None;
    if let Some(workload) = workload {
        complaint = answer(workload.await);
    }
    settle(&mut world).await;
    if let (Some(check), None) = (&options.check, &complaint) {
        complaint = answer(tokio::spawn(check(world.mesh().clone())).await);
    }
    let finals = world.finals().await.map_err(RunError::Finals);
    let healed_bytes = world.healed_bytes();
    let connections_left = world.end().await;
    tokio::time::sleep(LEFT_BEHIND).await;
    let tasks_left = metrics.num_alive_tasks() - tasks_before;
    let (mut history, trace) = recorder.finish();
    history.finals = finals?;
    let cost = Cost::default();
    Ok(Outcome { history, trace, tasks_left, connections_left, healed_bytes, complaint, cost })
}

/// What a program complains of, if it does.
fn answer(ended: Result<Result<(), String>, JoinError>) -> Option<String> {
    match ended {
        Ok(answer) => answer.err(),
        Err(error) => Some(error.to_string()),
    }
}

async fn carry_out(world: &mut World) {
    let sampling = (world.plan().ends / SAMPLES).max(SAMPLING_LEAST);
    for (at, step) in steps(world.plan(), sampling) {
        sleep_until(at).await;
        match step {
            Step::Mend(fault) => world.mend(fault).await,
            Step::Flap { link, how, works } => world.flap(link, how, works),
            Step::Strike(fault) => world.strike(fault).await,
            Step::Operate(operation) => world.operate(operation),
            Step::Sample => world.sample().await,
        }
    }
    sleep_until(world.plan().ends).await;
}

/// Waits for what the plan expects: agreement, then quiet.
async fn settle(world: &mut World) {
    world.wait_for_users(USERS_PATIENCE).await;
    world.reap().await;
    let recorder = world.recorder().clone();
    let _else_an_oracle_finds_it =
        tokio::time::timeout(world.plan().expect.agree_within, recorder.agreed()).await;
    // What is still on its way to those who have it already.
    tokio::time::sleep(world.plan().settings.sync_interval).await;
    for _ in 0..=QUIET_INTERVALS {
        world.sample().await;
        tokio::time::sleep(world.plan().settings.sync_interval).await;
    }
    world.sample().await;
}
