//! The users: one operation each, written down when it is asked for and when it is answered.

use bytes::Bytes;
use tidings::{
    Key, Node, Value,
    node::{BatchOp, WriteError, Written},
};

use super::recorder::Recorder;
use crate::{
    history::What,
    plan::{Action, Operation},
};

/// Does operation number `number` at `node`, and tells the recorder.
pub async fn operate(node: Option<Node>, number: usize, operation: Operation, recorder: Recorder) {
    recorder.note(What::Asked { operation: number });
    let what = match node {
        None => What::Refused { operation: number, reason: "the node is down".to_owned() },
        Some(node) => match answer(&node, number, operation.action).await {
            Ok(what) => what,
            Err(reason) => What::Refused { operation: number, reason },
        },
    };
    recorder.note(what);
}

async fn answer(node: &Node, number: usize, action: Action) -> Result<What, String> {
    let written = match action {
        Action::Get { key } => return read(node, number, &key).await,
        Action::Put { key, size } => vec![node.put(key.as_str(), value(number, 0, size)).await],
        Action::Delete { key } => vec![node.delete(key.as_str()).await],
        Action::Batch { keys, size } => {
            let puts = keys
                .iter()
                .enumerate()
                .map(|(nth, key)| Ok(BatchOp::Put(self::key(key)?, Value::from(value(number, nth, size)))));
            let written = node.batch(puts.collect::<Result<_, String>>()?).await;
            return Ok(acknowledged(number, written.map_err(refusal)?));
        }
    };
    let written: Result<Vec<Written>, WriteError> = written.into_iter().collect();
    Ok(acknowledged(number, written.map_err(refusal)?))
}

fn acknowledged(operation: usize, written: Vec<Written>) -> What {
    What::Acknowledged { operation, dots: written.into_iter().map(|written| written.dot).collect() }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refusal(error: WriteError) -> String {
    error.to_string()
}

async fn read(node: &Node, operation: usize, key: &str) -> Result<What, String> {
    let entry = node.get(key).await.map_err(|error| error.to_string())?;
    let found = entry.map(|entry| (entry.dot, *blake3::hash(&entry.value.bytes).as_bytes()));
    Ok(What::Read { operation, found })
}

fn key(text: &str) -> Result<Key, String> {
    Key::new(text).map_err(|error| error.to_string())
}

/// Bytes that no other operation stores.
fn value(operation: usize, nth: usize, size: usize) -> Bytes {
    let mut bytes = format!("{operation:011x}-{nth:04x}").into_bytes();
    bytes.resize(size.max(bytes.len()), b'.');
    bytes.into()
}
