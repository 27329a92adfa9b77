//! Whether a value is good where it is to stand.

use super::Refusal;
use crate::types::{Key, Namespace, Value};

/// Looks at a value that is about to be written here. Functions of that form are validators.
///
/// It is called on the task of the writer, before anything is planned, and by many at once: it must be quick
/// and wait for nothing. One that takes more than 100 ms is counted (`tidings_hook_failures_total`) and told of once
/// ([`NodeEvent::Warning`](crate::node::NodeEvent::Warning)), and its answer stands; one that never returns holds that
/// task, and cannot be helped. What comes from peers, by gossip, exchange or bundle, is never shown to it: it was
/// accepted where it was written, and replicas that differ in what they take would never agree. A validator
/// that changes does not touch what is stored.
///
/// ```
/// use tidings::{Key, Namespace, Value, node::{Refusal, Validator}};
///
/// /// Only what is JSON.
/// fn json(_: &Namespace, key: &Key, value: &Value) -> Result<(), Refusal> {
///     match value.content_type.is_json() {
///         true => Ok(()),
///         false => Err(format!("{key} takes JSON only").into()),
///     }
/// }
///
/// let key = Key::new("users/ant")?;
/// let refused = json.validate(&Namespace::default(), &key, &Value::from("ant")).unwrap_err();
/// assert_eq!(refused.reason, "users/ant takes JSON only");
/// # Ok::<(), tidings::KeyError>(())
/// ```
pub trait Validator: Send + Sync + 'static {
    /// Whether `value` may stand under `key`.
    ///
    /// # Errors
    /// Why not; the writer is told, and nothing is written. A panic refuses the write, too.
    fn validate(&self, namespace: &Namespace, key: &Key, value: &Value) -> Result<(), Refusal>;
}

impl<F> Validator for F
where
    F: Fn(&Namespace, &Key, &Value) -> Result<(), Refusal> + Send + Sync + 'static,
{
    fn validate(&self, namespace: &Namespace, key: &Key, value: &Value) -> Result<(), Refusal> {
        self(namespace, key, value)
    }
}
