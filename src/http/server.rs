//! Connections: as many as are allowed, none for ever.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time,
};
use tracing::{debug, warn};

use super::{authorize::ClientAddress, follow::Stopping, host::Hosts, router_with, tokens::BearerTokens};
use crate::node::Node;

/// The most connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// The longest that a head may take to arrive, and that a connection may idle between requests.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long requests under way have to end when the server stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(2);
/// How long to wait after the system refused to hand out a connection (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests of `listener` for `node` until `stop` completes; requests under way then have
/// two seconds to end.
///
/// It spawns nothing that outlives it: dropping the future closes all connections.
///
/// # Errors
/// When the listener does not know its own address.
pub async fn serve(node: Node, listener: TcpListener, stop: impl Future<Output = ()>) -> std::io::Result<()> {
    serve_with(node, listener, None, stop).await
}

/// As [`serve`], for those who bear one of `tokens`, where there are any.
///
/// # Errors
/// When the listener does not know its own address.
pub async fn serve_with(
    node: Node,
    listener: TcpListener,
    tokens: Option<BearerTokens>,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let hosts = Hosts::bound_to(listener.local_addr()?.ip());
    serve_routes(router_with(node, hosts, tokens), listener, stop).await;
    Ok(())
}

async fn serve_routes(routes: Router, listener: TcpListener, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let (stopping, stopped) = watch::channel(false);
    let routes = routes.layer(Extension(Stopping(stopped.clone())));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        tokio::select! {
            () = &mut stop => break,
            Some(ended) = connections.join_next() => note(ended),
            (permit, accepted) = accepted => match accepted {
                Ok((stream, client)) => {
                    let routes = routes.clone();
                    let stopped = stopped.clone();
                    connections.spawn(async move {
                        connection(stream, client, routes, stopped).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, "no connection could be accepted");
                    time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if time::timeout(STOP_TIME_MAX, ended).await.is_err() {
        warn!("requests under way were cut off");
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "a connection ended badly");
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    routes: Router,
    mut stopped: watch::Receiver<bool>,
) {
    // Without it small answers wait for acknowledgements of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ClientAddress(client));
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended");
    }
}

/// Waits until the server stops, or is gone.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::oneshot,
    };

    use super::*;
    use crate::http::router::tests::small_routes;

    /// Serves the small routes while `asks` runs.
    async fn while_serving<T>(asks: impl AsyncFnOnce(SocketAddr) -> T) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let asking = async {
            let asked = asks(address).await;
            drop(stop);
            asked
        };
        let stopped = async {
            let _ = stopped.await;
        };
        tokio::join!(asking, serve_routes(small_routes(), listener, stopped)).0
    }

    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(request).await.expect("writes");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("reads");
        String::from_utf8_lossy(&answer).to_ascii_lowercase()
    }

    fn request(method: &str, path: &str, more: &str) -> Vec<u8> {
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}").into_bytes()
    }

    #[tokio::test]
    async fn answers_are_marked_so_that_a_browser_leaves_them_alone() {
        let answer = while_serving(async |at| ask(at, &request("GET", "/echo", "\r\n")).await).await;
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
        for header in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.contains(header), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_unknown_route_and_a_wrong_method_are_problems() {
        while_serving(async |at| {
            let answer = ask(at, &request("GET", "/v1/nothing", "\r\n")).await;
            assert!(answer.starts_with("http/1.1 404 "), "{answer}");
            assert!(answer.contains("\"code\":\"not_found_route\""), "{answer}");
            assert!(answer.contains("content-security-policy: "), "{answer}");
            let answer = ask(at, &request("DELETE", "/echo", "\r\n")).await;
            assert!(answer.starts_with("http/1.1 405 "), "{answer}");
            assert!(answer.contains("\r\nallow: get,head,put\r\n"), "{answer}");
            assert!(answer.contains("\"code\":\"method_not_allowed\""), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_head_has_a_length_and_no_body() {
        let answer = while_serving(async |at| ask(at, &request("HEAD", "/echo", "\r\n")).await).await;
        assert!(answer.starts_with("http/1.1 200 ") && answer.contains("content-length: 2\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn the_host_is_checked_before_anything_else() {
        while_serving(async |at| {
            let answer = ask(at, b"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n").await;
            assert!(answer.starts_with("http/1.1 400 "), "{answer}");
            assert!(answer.contains("\"code\":\"missing_host\""), "{answer}");
            let answer =
                ask(at, b"GET /none HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").await;
            assert!(answer.starts_with("http/1.1 403 "), "{answer}");
        })
        .await;
    }

    #[tokio::test]
    async fn the_sender_of_a_body_that_is_too_large_sees_the_answer() {
        let mut large = request("PUT", "/echo", "Content-Length: 30000000\r\n\r\n");
        large.resize(large.len() + 30_000_000, b'x');
        let mut chunked = request("PUT", "/echo", "Transfer-Encoding: chunked\r\n\r\n100000\r\n");
        chunked.resize(chunked.len() + 0x10_0000, b'x');
        chunked.extend_from_slice(b"\r\n0\r\n\r\n");
        while_serving(async |at| {
            for body in [&large, &chunked] {
                let answer = ask(at, body).await;
                assert!(answer.starts_with("http/1.1 413 "), "{answer}");
                assert!(answer.contains("\"code\":\"value_too_large\""), "{answer}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn who_waits_to_be_asked_for_a_body_is_told_at_once_that_it_is_too_large() {
        let waits = request("PUT", "/echo", "Content-Length: 3000000\r\nExpect: 100-continue\r\n\r\n");
        let answer = while_serving(async |at| ask(at, &waits).await).await;
        assert!(answer.starts_with("http/1.1 413 "), "{answer}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let answer = while_serving(async |at| ask(at, &request("GET", "/never", "\r\n")).await).await;
        assert!(answer.starts_with("http/1.1 504 "), "{answer}");
    }

    #[tokio::test]
    async fn stopping_closes_connections_that_idle() {
        let mut stream = while_serving(async |at| {
            let mut stream = TcpStream::connect(at).await.expect("connects");
            let request = b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n";
            stream.write_all(request).await.expect("writes");
            let mut first = [0; 16];
            stream.read_exact(&mut first).await.expect("answers");
            stream
        })
        .await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("is closed");
    }
}
