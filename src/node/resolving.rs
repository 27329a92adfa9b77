//! The strategies of a node, checked and bound to what resolves.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::{Builder, NodeEvent, StartError};
use crate::{
    actors::{metrics::Metrics, resolvers::Watchdog},
    conflict::{self, Guard, Strategies},
};

/// What the builder was told, as a table.
///
/// # Errors
/// When it does not fit, names a namespace that is not carried, or a resolver that is not registered or not
/// to be trusted.
pub(super) fn strategies(
    builder: &Builder,
    metrics: &Metrics,
    events: &broadcast::Sender<NodeEvent>,
) -> Result<Strategies, StartError> {
    let refuse = |text: String| StartError::Config(text);
    for (name, resolver) in &builder.resolvers {
        conflict::trial(&**resolver, builder.entropy.bits())
            .map_err(|why| refuse(format!("the resolver {name:?} is refused: {why}")))?;
    }
    let mut table = Strategies::default();
    for (namespace, prefix, strategy) in &builder.strategies {
        if !builder.namespaces.contains(namespace) {
            let text =
                format!("there is a strategy for the namespace {namespace}, which this node does not carry");
            return Err(refuse(text));
        }
        let set = table.set(namespace.clone(), prefix.clone(), strategy.clone());
        set.map_err(|error| refuse(error.to_string()))?;
    }
    let guard: Arc<dyn Guard> = Arc::new(Watchdog::new(events.clone(), metrics.resolver_failures.clone()));
    for custom in table.customs_mut() {
        let resolver = builder.resolvers.get(custom.name()).ok_or_else(|| {
            refuse(format!(
                "there is no resolver {:?}: register it with `Builder::resolver`, or use another strategy \
                 (the program `tidings` has none of its own)",
                custom.name()
            ))
        })?;
        *custom = custom.bound(resolver.clone(), guard.clone());
    }
    Ok(table)
}
