//! Asks the host whether a client may, where the host wants to be asked.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    params,
    problem::{Code, Problem},
    tokens::route,
};
use crate::{
    node::{Asked, Client, Extent, Node, Operation, Who},
    types::{Key, Namespace},
};

/// Where a client's connection comes from, among the extensions of its requests. [`serve`](super::serve) puts
/// it there; a server of the host's that is to tell its [`Authorize`](crate::node::Authorize) does so, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub SocketAddr);

/// Who made a request, for routes that find out what it touches.
#[derive(Clone)]
pub(super) struct Asker(Arc<Who>);

impl Asker {
    /// Whether the client may write `key`.
    pub(super) fn may_write(&self, node: &Node, namespace: &Namespace, key: &Key) -> Result<(), Problem> {
        let asked = Asked::new(Operation::Write, Some(namespace.clone()), Extent::Key(key.clone()));
        ask(node, &self.0, &asked).map_err(|problem| problem.with("key", key.as_str()))
    }
}

/// Refuses requests that the host does not allow.
pub(super) async fn authorize(State(node): State<Node>, mut request: Request, next: Next) -> Response {
    if route::is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let asker = Asker(Arc::new(Who::Client(client(&request))));
    let asked = asked(&request);
    match asked.and_then(|asked| asked.map_or(Ok(()), |asked| ask(&node, &asker.0, &asked))) {
        Ok(()) => {
            request.extensions_mut().insert(asker);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn ask(node: &Node, who: &Who, asked: &Asked) -> Result<(), Problem> {
    node.authorize(who, asked).map_err(|refusal| Problem::new(Code::Forbidden, refusal.reason))
}

/// Nothing, if the route asks for each key by itself.
fn asked(request: &Request) -> Result<Option<Asked>, Problem> {
    let (method, uri) = (request.method(), request.uri());
    let Some(extent) = route::extent(method, uri)? else { return Ok(None) };
    let namespace = (extent != Extent::Node).then(|| params::namespace(uri)).transpose()?;
    Ok(Some(Asked::new(route::operation(method, uri.path()), namespace, extent)))
}

fn client(request: &Request) -> Client {
    let address = request.extensions().get::<ClientAddress>().map(|ClientAddress(address)| *address);
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Client::new(address, request.headers().iter().filter_map(text).collect())
}
