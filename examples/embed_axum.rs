//! A service with a node inside: its own routes beside the node's API.
//!
//!     cargo run --example embed_axum
//!     curl http://127.0.0.1:8080/greeting
//!     curl -X PUT -d 'good day' http://127.0.0.1:8080/store/v1/kv/greeting
//!     curl http://127.0.0.1:8080/greeting

use std::error::Error;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tidings::{Node, http};
use tokio::net::TcpListener;

/// A route of the service: reads from the node in the same process, without a detour over HTTP.
async fn greeting(State(node): State<Node>) -> Result<String, StatusCode> {
    let entry = node.get("greeting").await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let entry = entry.ok_or(StatusCode::NOT_FOUND)?;
    Ok(format!("{}, visitor\n", String::from_utf8_lossy(&entry.value.bytes)))
}

/// Serves until `stopped`.
pub(crate) async fn serve(
    listener: TcpListener,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
    let node = Node::builder().in_memory().listen(listen).start().await?;
    node.put("greeting", "hello").await?;

    let service = Router::new()
        .route("/greeting", get(greeting))
        .with_state(node.clone())
        // For `localhost` and loopback addresses; `router_for` answers for other hosts, too.
        .nest("/store", http::router(node.clone()));
    println!("http://{}/greeting", listener.local_addr()?);
    axum::serve(listener, service).with_graceful_shutdown(stopped).await?;
    node.close().await;
    Ok(())
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Takes the address first, for that is what most often cannot be had.
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    serve(listener, async { drop(tokio::signal::ctrl_c().await) }).await
}
