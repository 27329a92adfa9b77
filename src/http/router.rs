//! Which route does what.

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    http::{Method, Uri},
    middleware::{from_fn, from_fn_with_state},
    routing::{delete, get, post},
};
use tokio::sync::Semaphore;

use super::{
    api,
    at_least::Tokens,
    authorize::authorize,
    batch, body, bundle, changes, conflicts,
    deadline::{self, deadline},
    digest,
    drain::drain,
    dropped, follow, generate,
    guard::guard,
    health, history,
    host::Hosts,
    kv, metrics, namespaces, openapi, patch, peers,
    problem::{Code, Problem},
    scan, status, sync,
    tokens::{BearerTokens, bearer},
};
use crate::node::{Cursor, Node};

/// What every route has at hand: a handle, for axum clones it several times for each request.
#[derive(Clone)]
pub(super) struct App(Arc<Parts>);

/// What a handle leads to.
pub(super) struct Parts {
    pub(super) node: Node,
    /// The node's id as text, which takes a microsecond or two to make.
    pub(super) id: String,
    /// Turns of bodies that are large.
    pub(super) large: Arc<Semaphore>,
    /// Turns of bundles, written or read.
    pub(super) bundles: Arc<Semaphore>,
    /// Frontiers that were too long for a header.
    pub(super) tokens: Arc<Tokens>,
    /// Cursors that were too long for a header.
    pub(super) cursors: Arc<Tokens<Cursor>>,
    /// Turns of answers that do not end.
    pub(super) streams: Arc<Semaphore>,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The routes of a node, for requests to `localhost` and loopback addresses only. They can be nested
/// in a server of the caller's, which then bounds connections and the time that heads may take, as
/// [`serve`](super::serve) does by itself; whoever reaches the routes may do everything.
///
/// ```
/// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
/// // `GET /store/v1/kv/greeting` asks the node; `examples/embed_axum.rs` is the whole program.
/// let service: axum::Router = axum::Router::new().nest("/store", tidings::http::router(node.clone()));
/// # drop(service);
/// # node.close().await;
/// # Ok(()) }
/// ```
pub fn router(node: Node) -> Router {
    router_for(node, Hosts::loopback())
}

/// As [`router()`], for requests to `hosts`.
pub fn router_for(node: Node, hosts: Hosts) -> Router {
    router_with(node, hosts, None)
}

/// As [`router()`], for requests to `hosts` that bear one of `tokens`, where there are any.
pub fn router_with(node: Node, hosts: Hosts, tokens: Option<BearerTokens>) -> Router {
    let app = App(Arc::new(Parts {
        id: node.id().to_string(),
        node: node.clone(),
        large: Arc::new(Semaphore::new(body::LARGE_BODIES_MAX)),
        bundles: Arc::new(Semaphore::new(bundle::BUNDLES_MAX)),
        tokens: Arc::default(),
        cursors: Arc::default(),
        streams: Arc::new(Semaphore::new(follow::STREAMS_MAX)),
    }));
    let mut routes = quick().merge(slow()).merge(endless()).merge(streams()).with_state(app);
    if node.asks() {
        routes = routes.layer(from_fn_with_state(node.clone(), authorize));
    }
    if let Some(tokens) = tokens {
        routes = routes.layer(from_fn_with_state((node, Arc::new(tokens)), bearer));
    }
    dress(routes, hosts)
}

/// Puts around routes what all of them need.
fn dress(routes: Router, hosts: Hosts) -> Router {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::new(hosts), guard))
        .layer(from_fn(drain))
}

fn quick() -> Router<App> {
    let kv = || get(kv::get).put(kv::put).patch(patch::patch).delete(kv::delete).post(generate::post);
    Router::new()
        .route("/v1/kv/", kv())
        .route("/v1/kv/{*key}", kv())
        .route("/v1/batch", post(batch::batch))
        .route("/v1/history/", get(history::history))
        .route("/v1/history/{*key}", get(history::history))
        .route("/v1/scan", get(scan::scan))
        .route("/v1/scan/", get(scan::scan))
        .route("/v1/scan/{*prefix}", get(scan::scan))
        .route("/v1/changes", get(changes::changes))
        .route("/v1/changes/", get(changes::changes))
        .route("/v1/changes/{*prefix}", get(changes::changes))
        .route("/v1/conflicts", get(conflicts::list))
        .route("/v1/conflicts/", get(conflicts::list))
        .route("/v1/conflicts/{*prefix}", get(conflicts::list))
        .route("/v1/explain/", get(conflicts::explain))
        .route("/v1/explain/{*key}", get(conflicts::explain))
        .route("/v1/status", get(status::status))
        .route("/v1/peers", get(peers::list).post(peers::connect))
        .route("/v1/peers/{id}/block", post(peers::block))
        .route("/v1/peers/{id}/unblock", post(peers::unblock))
        .route("/v1/namespaces", get(namespaces::list).post(namespaces::join))
        .route("/v1/namespaces/{ns}", delete(namespaces::leave))
        .route("/v1/digest", get(digest::digest))
        .route("/v1/dropped", get(dropped::dropped))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .merge(api::routes())
        .route_layer(from_fn_with_state(deadline::REQUEST_TIME_MAX, deadline))
}

fn slow() -> Router<App> {
    Router::new()
        .route("/v1/sync", get(sync::state).post(sync::round))
        .route_layer(from_fn_with_state(deadline::SYNC_TIME_MAX, deadline))
}

/// Answers that go on until somebody has enough.
fn endless() -> Router<App> {
    Router::new()
        .route("/v1/watch", get(follow::follow))
        .route("/v1/watch/", get(follow::follow))
        .route("/v1/watch/{*prefix}", get(follow::follow))
}

/// They end by themselves: when nothing comes, or it takes too long.
fn streams() -> Router<App> {
    Router::new().route("/v1/export", get(bundle::export)).route("/v1/import", post(bundle::import))
}

async fn no_route(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::NotFoundRoute, format!("there is no route {path}"))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::new(Code::MethodNotAllowed, format!("{path} does not do {method}; see `Allow`"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::{
        kv::VALUE_LIMIT_NAME,
        reply::{Answer, json},
    };
    use axum::extract::Request;

    /// Routes that need no node: one that reads at most 8 bytes, and one that never answers.
    pub(crate) fn small_routes() -> Router {
        let large = Arc::new(Semaphore::new(1));
        let echo = move |request: Request| {
            let large = Arc::clone(&large);
            async move {
                let (head, body) = request.into_parts();
                let limit = body::Limit { bytes: 8, code: Code::ValueTooLarge, name: VALUE_LIMIT_NAME };
                let upload = body::read(&head.headers, body, limit, &large).await?;
                Answer::Ok(json(&String::from_utf8_lossy(&upload.bytes)))
            }
        };
        let routes = Router::new()
            .route("/echo", get(|| async { "ok" }).put(echo))
            .route_layer(from_fn_with_state(deadline::REQUEST_TIME_MAX, deadline));
        let never = Router::new()
            .route("/never", get(std::future::pending::<()>))
            .route_layer(from_fn_with_state(std::time::Duration::from_millis(50), deadline));
        dress(routes.merge(never), Hosts::loopback())
    }
}
