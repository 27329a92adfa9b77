//! What a node tells on stderr, in one line each.

use std::collections::BTreeSet;

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{bar::Bar, output};
use crate::node::{Node, NodeEvent};

/// Tells where the node listens, then what happens, until the node is gone; in between, on a terminal, a
/// bar of what is being filled.
///
/// `events` must be older than the node's addresses are read, or one could be missed.
pub(super) async fn tell(node: &Node, mut events: Receiver<NodeEvent>) {
    let mut told = BTreeSet::new();
    for address in node.status().await.listen {
        listening(&mut told, address);
    }
    let mut bar = Bar::new();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = bar.due() => {
                bar.draw(&node.filling());
                continue;
            }
        };
        bar.clear();
        if matches!(event, Ok(NodeEvent::FillBegan { .. })) {
            bar.begin();
        }
        match event {
            Ok(NodeEvent::Listening(address)) => listening(&mut told, address),
            Ok(event) => output::say(&line(&event)),
            Err(RecvError::Lagged(missed)) => output::say(&format!("{missed} events were not shown")),
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

fn listening(told: &mut BTreeSet<String>, address: String) {
    if told.insert(address.clone()) {
        output::say(&line(&NodeEvent::Listening(address)));
    }
}

fn line(event: &NodeEvent) -> String {
    let named = |name: Option<&str>| name.map(|name| format!(" ({})", one_line(name))).unwrap_or_default();
    match event {
        NodeEvent::Listening(address) => format!("listening on {address}"),
        NodeEvent::PeerFound { peer_id, name, addr } => {
            format!("peer found: {peer_id}{} at {addr}", named(Some(name)))
        }
        NodeEvent::PeerLost { peer_id, name, reason } => {
            format!("peer lost: {peer_id}{}: {}", named(name.as_deref()), one_line(reason))
        }
        NodeEvent::DialFailed { peer_id: Some(peer_id), reason } => {
            format!("peer not reached: {peer_id}: {}", one_line(reason))
        }
        NodeEvent::DialFailed { peer_id: None, reason } => format!("peer not reached: {}", one_line(reason)),
        NodeEvent::FillBegan { from, expected, namespace } => {
            format!("filling {namespace} from {from}: {expected} writes")
        }
        NodeEvent::FillEnded { from, versions, elapsed, complete, namespace } => format!(
            "{} {namespace} from {from}: {versions} versions in {:.1} s",
            if *complete { "filled" } else { "broke off filling" },
            elapsed.as_secs_f64()
        ),
        NodeEvent::Warning(text) => format!("warning: {}", one_line(text)),
    }
}

/// Names and reasons come from others: they neither break the line nor speak to the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_a_peer_calls_itself() {
        let found = NodeEvent::PeerFound {
            peer_id: "12D3".into(),
            name: "b\nat\u{1b}[2J".into(),
            addr: "/ip4/10.0.0.1/tcp/1".into(),
        };
        assert_eq!(line(&found), "peer found: 12D3 (b at [2J) at /ip4/10.0.0.1/tcp/1");
        let lost = NodeEvent::PeerLost { peer_id: "12D3".into(), name: None, reason: "gone".into() };
        assert_eq!(line(&lost), "peer lost: 12D3: gone");
        let (namespace, from) = (Default::default(), "12D3".to_owned());
        let elapsed = std::time::Duration::from_millis(12_340);
        let ended = NodeEvent::FillEnded { namespace, from, versions: 5_000, elapsed, complete: true };
        assert_eq!(line(&ended), "filled default from 12D3: 5000 versions in 12.3 s");
    }
}
