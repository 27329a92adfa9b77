//! The programs in `examples/` do what they say: each is run.

use std::error::Error;

#[path = "../../examples/carrier.rs"]
mod carrier;
#[path = "../../examples/custom_resolver.rs"]
mod custom_resolver;
#[cfg(feature = "http")]
#[expect(dead_code, reason = "its `main` waits for a key to be pressed, at an address of its own")]
#[path = "../../examples/embed_axum.rs"]
mod embed_axum;
#[path = "../../examples/host_actor.rs"]
mod host_actor;
#[path = "../../examples/partition.rs"]
mod partition;
#[path = "../../examples/two_nodes.rs"]
mod two_nodes;

type Outcome = Result<(), Box<dyn Error>>;

#[test]
fn two_nodes_agree() -> Outcome {
    two_nodes::main()
}

#[test]
fn a_resolver_of_a_programs_own_unites_two_lists() -> Outcome {
    custom_resolver::main()
}

#[test]
fn two_nodes_exchange_over_a_tunnel_of_the_hosts() -> Outcome {
    carrier::main()
}

#[test]
fn a_partition_of_three_nodes_heals() -> Outcome {
    partition::main()
}

#[test]
fn an_actor_of_a_host_counts_what_changes() -> Outcome {
    host_actor::main()
}

#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn a_service_answers_with_what_its_node_holds() {
    use crate::http::Api;
    use tidings::Node;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = embed_axum::serve(listener, async { drop(stopped.await) });
    let asking = async {
        let node = Node::builder().in_memory().listen([]).start().await.unwrap();
        let api = Api { node, at };
        assert_eq!(api.get("/greeting").await.expect(200).text(), "hello, visitor\n");
        api.put("/store/v1/kv/greeting", b"good day").await.expect(200);
        assert_eq!(api.get("/greeting").await.expect(200).text(), "good day, visitor\n");
        api.node.close().await;
        stop.send(()).unwrap();
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
}
