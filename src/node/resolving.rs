//! The strategies of a node, checked and bound to what resolves.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::broadcast;

use super::{Builder, NodeEvent, StartError};
use crate::{
    actors::{
        metrics::Metrics,
        resolvers::{Watched, Worker},
    },
    conflict::{self, Ask, Strategies},
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
    let mut asked: BTreeMap<&str, Arc<dyn Ask>> = BTreeMap::new();
    for (name, resolver) in &builder.resolvers {
        let no_thread = |error| refuse(format!("there is no thread for the resolver {name:?}: {error}"));
        let mut worker = Worker::start(resolver.clone()).map_err(no_thread)?;
        let ask = |siblings: &[_]| worker.ask(siblings).map(|(resolution, _)| resolution);
        conflict::trial_by(ask, builder.entropy.bits())
            .map_err(|why| refuse(format!("the resolver {name:?} is refused: {why}")))?;
        let failures = metrics.resolver_failures.clone();
        asked.insert(name, Arc::new(Watched::new(name.clone(), worker, events.clone(), failures)));
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
    for custom in table.customs_mut() {
        let bound = asked.get(custom.name()).ok_or_else(|| {
            refuse(format!(
                "there is no resolver {:?}: register it with `Builder::resolver`, or use another strategy \
                 (the program `tidings` has none of its own)",
                custom.name()
            ))
        })?;
        *custom = custom.bound(bound.clone());
    }
    Ok(table)
}
