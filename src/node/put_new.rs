//! Keys that nobody else makes.

use std::{sync::PoisonError, time::Duration};

use super::{Space, WriteError, WriteOptions, Written};
use crate::{
    replica::Precondition,
    types::{Key, Prefix, Uuid, Value},
};

impl Space {
    /// Stores `value` under a fresh key below `prefix`: its last segment is a UUID of version 7, greater
    /// than all that this node made since it started. Two nodes do not make the same, connected or not.
    /// Cancel-safe: the write happens or not.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = tidings::Node::builder().in_memory().listen(["/ip4/127.0.0.1/tcp/0".parse()?]).start().await?;
    /// let notes = tidings::Prefix::new("notes")?;
    /// let written = node.space(&Default::default())?.put_new(&notes, "buy eggs").await?;
    /// assert!(notes.selects(&written.key));
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Key`] when the prefix leaves no room for the 36 bytes and the separator; else see
    /// [`WriteError`].
    pub async fn put_new(&self, prefix: &Prefix, value: impl Into<Value>) -> Result<Written, WriteError> {
        self.put_new_for(prefix, value, None).await
    }

    /// As [`Self::put_new`], with the time after which the value expires, if it does.
    ///
    /// # Errors
    /// As [`Self::put_new`]; [`WriteError::Ttl`] when the time is none that can be kept.
    pub async fn put_new_for(
        &self,
        prefix: &Prefix,
        value: impl Into<Value>,
        ttl: Option<Duration>,
    ) -> Result<Written, WriteError> {
        let fresh = self.fresh();
        let key = match prefix.as_str() {
            "" => Key::new(fresh.to_string())?,
            prefix => Key::new(format!("{prefix}/{fresh}"))?,
        };
        let options = WriteOptions { precondition: Precondition::Absent, ttl, ..WriteOptions::default() };
        self.put_with(key, value.into(), options).await
    }

    fn fresh(&self) -> Uuid {
        let society = &self.node.inner.society;
        let (ms, entropy) = (society.clock.wall_ms(), &society.entropy);
        let random = u128::from(entropy.bits()) << 64 | u128::from(entropy.bits());
        let mut last = society.last_uuid.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Uuid::next(*last, ms, random);
        *last
    }
}
