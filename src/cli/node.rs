//! `node`: starts one, says what happens to it, and stops it cleanly.

use std::{net::SocketAddr, path::Path, process::ExitCode, time::Duration};

use tokio::{net::TcpListener, runtime, sync::oneshot, time};
use tracing_subscriber::{EnvFilter, fmt};

use super::{
    events,
    failure::Failure,
    membership::membership,
    output,
    settings::{Flags, Http, Merged, NamespaceGiven, Settings, StrategyGiven},
    signals::{Asked, Signals},
};
use crate::{
    http,
    node::{Builder, Discovery, Node, StartError},
    types::Namespace,
};

/// How long a node has to stop once it is asked to.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);

/// Why a node that ran stops.
enum End {
    /// Somebody asked.
    Asked(Asked),
    /// It stopped by itself; the text says why.
    Closed(Option<String>),
}

/// Runs a node until somebody asks it to stop.
pub(super) fn run(flags: &Flags) -> Result<ExitCode, Failure> {
    let settings = Settings::of(&Merged::of(flags)?)?;
    log(&settings.log)?;
    let runtime = runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::refused(format!("no threads: {error}")))?;
    let code = runtime.block_on(live(&settings));
    // What does not end by itself must not keep the process.
    runtime.shutdown_background();
    code
}

/// From the start to the end.
async fn live(settings: &Settings) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::refused(format!("no signals: {error}")))?;
    let (node, listener) = tokio::select! {
        started = start(settings) => started?,
        asked = signals.next() => return Ok(asked.exit_code()),
    };
    let (stop, stopped) = oneshot::channel();
    let mut answering = std::pin::pin!(answer(node.clone(), listener, settings.tokens.clone(), stopped));
    let end = tokio::select! {
        end = until_the_end(&node, &mut signals) => end,
        error = &mut answering => {
            let why = error.map_or_else(String::new, |error| format!(": {error}"));
            return Err(Failure::refused(format!("the HTTP API ended{why}")));
        }
    };
    // Nobody hears it only if the API is gone already.
    let _ = stop.send(());
    match end {
        End::Closed(why) => {
            // Whoever waits for an answer, such as that the disk is full, gets it.
            let answered = async {
                answering.await;
            };
            let code = within_time(answered, &mut signals).await;
            why.map_or(Ok(code), |why| Err(Failure::refused(format!("the node stopped: {why}"))))
        }
        End::Asked(asked) => {
            output::say(&format!("stopping ({})", asked.name()));
            let closing = async {
                answering.await;
                node.close().await;
            };
            Ok(within_time(closing, &mut signals).await)
        }
    }
}

/// The exit status: 0 if it closed in time, that of the signal if somebody asked twice, else 1.
async fn within_time(closing: impl Future<Output = ()>, signals: &mut Signals) -> ExitCode {
    tokio::select! {
        closed = time::timeout(STOP_TIME_MAX, closing) => if closed.is_ok() {
            ExitCode::SUCCESS
        } else {
            output::say(&format!("not stopped within {} s: leaving it as it is", STOP_TIME_MAX.as_secs()));
            ExitCode::FAILURE
        },
        asked = signals.next() => asked.exit_code(),
    }
}

async fn until_the_end(node: &Node, signals: &mut Signals) -> End {
    tokio::select! {
        asked = signals.next() => End::Asked(asked),
        why = node.closed() => End::Closed(why),
        () = events::tell(node, node.events()) => unreachable!("telling never ends"),
    }
}

/// Answers over HTTP until `stopped`; an error, if that ends it.
async fn answer(
    node: Node,
    listener: Option<TcpListener>,
    tokens: Option<http::BearerTokens>,
    stopped: oneshot::Receiver<()>,
) -> Option<std::io::Error> {
    let stopped = async {
        let _ = stopped.await;
    };
    match listener {
        Some(listener) => http::serve_with(node, listener, tokens, stopped).await.err(),
        None => {
            stopped.await;
            None
        }
    }
}

/// Takes the address of the API first, for that is what most often cannot be had.
async fn start(settings: &Settings) -> Result<(Node, Option<TcpListener>), Failure> {
    let listener = bind(&settings.http).await?;
    let builder = Node::builder()
        .data_dir(&settings.data_dir)
        .name(&settings.name)
        .mesh(&settings.mesh)
        .listen(settings.listen.clone())
        .peers(settings.peers.clone())
        .discovery(Discovery {
            mdns: settings.discovery,
            same_host: settings.discovery,
            same_host_directory: None,
        })
        .peer_exchange(settings.peer_exchange)
        .membership(membership(&settings.join)?)
        .allow(settings.allow.clone())
        .durability(settings.durability)
        .sync_interval(settings.sync_interval)
        .delete_retention(settings.delete_retention)
        .history(settings.history);
    let strategies = settings.strategies.iter().cloned();
    let builder = strategies.fold(builder, |builder, (prefix, strategy)| builder.strategy(prefix, strategy));
    let local = settings.local_only.iter().cloned();
    let builder = local.fold(builder, |builder, prefix| builder.local_only(Namespace::default(), prefix));
    let node = settings
        .namespaces
        .iter()
        .fold(builder, carrying)
        .start()
        .await
        .map_err(|error| refuse(&error, &settings.data_dir))?;
    output::say(&format!("peer id {}", node.id()));
    if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
        output::say(&format!("http on http://{address}"));
    }
    Ok((node, listener))
}

/// As `builder`, carrying a namespace as the file says.
fn carrying(builder: Builder, given: &NamespaceGiven) -> Builder {
    let name = || given.name.clone();
    let builder = builder.namespace(name());
    let builder = match given.history {
        Some(versions) => builder.history_in(name(), versions),
        None => builder,
    };
    let add = |builder: Builder, row: &StrategyGiven| {
        builder.strategy_in(name(), row.prefix.clone(), row.strategy.clone())
    };
    let local = given.local_only.iter().cloned();
    let builder = local.fold(builder, |builder, prefix| builder.local_only(name(), prefix));
    given.strategies.iter().fold(builder, add)
}

fn refuse(error: &StartError, data_dir: &Path) -> Failure {
    match error {
        StartError::Config(_) => Failure::usage(error.to_string()),
        StartError::Open(_) => Failure::refused(error.to_string()),
        _ => Failure::refused(format!("{error} (data directory {})", data_dir.display())),
    }
}

async fn bind(http: &Http) -> Result<Option<TcpListener>, Failure> {
    let Http::At(addresses) = http else { return Ok(None) };
    match TcpListener::bind(addresses.as_slice()).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => {
            let first = addresses.first().map(SocketAddr::to_string).unwrap_or_default();
            Err(Failure::refused(format!(
                "--http {first} cannot be had: {error}; give this node another address, or `off`"
            )))
        }
    }
}

fn log(filter: &str) -> Result<(), Failure> {
    // Said plainly, a level is that of this program; libraries speak up when something is wrong.
    let plain = ["error", "warn", "info", "debug", "trace"].contains(&filter);
    let filter = if plain { format!("error,tidings={filter}") } else { filter.to_owned() };
    let filter =
        EnvFilter::try_new(&filter).map_err(|error| Failure::usage(format!("--log {filter:?}: {error}")))?;
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let subscriber = fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).finish();
    // Only a program that embeds this one could have set another before.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
