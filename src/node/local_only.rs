//! Keys that never leave the node: which they are, and where they are read.

use std::sync::atomic::Ordering;

use super::{
    Builder, Cursor, CursorError, Frontier, ReadError, Space, StartError, WatchError, Written,
    follow::Follower,
};
use crate::{
    causality::{Dot, NodeId, Origin, SeenSet},
    conflict::Version,
    storage::{IN_THE_WAY_MAX, InTheWay, LOCAL_RECORDS_LOOKED_AT_MAX, Reader},
    types::{Key, LocalPrefixes, Locals, Namespace, Prefix},
};

/// What the builder was told, as a table.
///
/// # Errors
/// When it does not fit, or names a namespace that is not carried.
pub(super) fn locals(builder: &Builder) -> Result<LocalPrefixes, StartError> {
    let mut table = LocalPrefixes::default();
    for (namespace, prefix) in &builder.locals {
        if !builder.namespaces.contains(namespace) {
            let text = format!(
                "there is a local-only prefix for the namespace {namespace}, which this node does not carry"
            );
            return Err(StartError::Config(text));
        }
        table.add(namespace, prefix.clone()).map_err(|error| StartError::Config(error.to_string()))?;
    }
    Ok(table)
}

/// Refuses prefixes that would hide what readers saw before, or bring out what was local.
pub(super) fn nothing_in_the_way(
    reader: &Reader,
    locals: &LocalPrefixes,
    now: u64,
) -> Result<(), StartError> {
    let found = reader.view().in_the_way(locals, now);
    match found.map_err(|error| StartError::Open(error.into()))? {
        None => Ok(()),
        Some(found) => Err(StartError::InTheWay(told(&found))),
    }
}

/// What is in the way, and what to do about it.
fn told(found: &InTheWay) -> String {
    let InTheWay { namespace, prefix, new, first, count } = found;
    let prefix = prefix.as_str();
    let (is, keys, back) = if *new {
        ("cannot become local-only", "replicated", "without it")
    } else {
        ("is not local-only any more", "local", "with it as before")
    };
    let Some(first) = first else {
        return format!(
            "the prefix {prefix:?} of the namespace {namespace} {is}: more than {LOCAL_RECORDS_LOOKED_AT_MAX} records lie \
             below it, deletes that are still remembered among them; start {back}, and try again when these are forgotten"
        );
    };
    let more = if *count >= IN_THE_WAY_MAX { "at least " } else { "" };
    format!(
        "the prefix {prefix:?} of the namespace {namespace} {is}: {more}{count} {keys} keys stand below it, first {first:?}; \
         start {back}, and move these keys elsewhere or delete them first ({})",
        if *new { "a delete goes to all nodes" } else { "`export` leaves local keys out, `scan` shows them" }
    )
}

impl Builder {
    /// Keeps the keys of `namespace`, which the node must carry, that `prefix` selects (by whole segments; the
    /// empty one selects all) on this node: they are stored, read, scanned, watched, batched and kept in history as
    /// all others, and never leave it, not by gossip or comparison, nor in a bundle or as a count or hash in what
    /// nodes tell each other. No other node has them when this one's disk is lost. At most
    /// [`LOCAL_PREFIXES_MAX`](crate::types::LOCAL_PREFIXES_MAX) in all.
    ///
    /// The node does not start ([`StartError::InTheWay`]) where replicated keys stand below a prefix that is new, or
    /// local ones below one that is not given any more: nothing is hidden, and nothing told to others, unasked.
    /// What other nodes write below `prefix` is carried for the rest of the mesh and not shown here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "multi_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tidings::{Namespace, Prefix};
    ///
    /// let node = tidings::Node::builder()
    ///     .in_memory()
    ///     .listen(["/ip4/127.0.0.1/tcp/0".parse()?])
    ///     .local_only(Namespace::default(), Prefix::new("drafts")?)
    ///     .start()
    ///     .await?;
    /// let before = node.digest().await?;
    /// node.put("drafts/letter", "Dear bat, …").await?;
    /// assert!(node.get("drafts/letter").await?.is_some_and(|entry| entry.local_only));
    /// assert_eq!(node.digest().await?.root, before.root, "nobody else can tell");
    /// # node.close().await;
    /// # Ok(()) }
    /// ```
    pub fn local_only(mut self, namespace: Namespace, prefix: Prefix) -> Self {
        self.locals.push((namespace, prefix));
        self
    }
}

impl Space {
    /// Which keys never leave the node, if any.
    pub(super) fn locals(&self) -> Option<&Locals> {
        self.society().settings.locals.of(&self.namespace)
    }

    /// Where `key` lies: in the namespace that nodes exchange, or in its companion.
    pub(super) fn home(&self, key: &Key) -> &Namespace {
        self.society().settings.locals.home(&self.namespace, key)
    }

    /// Whether `key` never leaves the node.
    #[must_use]
    pub fn is_local_only(&self, key: &Key) -> bool {
        self.locals().is_some_and(|locals| locals.holds(key))
    }

    /// What a write became.
    pub(super) fn written_of(&self, version: Version) -> Written {
        let mut seen = SeenSet::new();
        // Numbers of what never leaves the node mean nothing, or something else, to others.
        if !self.is_local_only(&version.key) {
            seen = version.context.iter().map(|(origin, seq)| Dot::new(origin, seq)).collect();
            seen.insert(version.dot);
        }
        Written { key: version.key, dot: version.dot, hlc: version.hlc, frontier: Frontier(seen) }
    }

    /// Who follows `prefix` from `since` on, from the beginning if there is nothing: what nodes exchange, and what is
    /// local-only, where the prefix touches that.
    pub(super) fn followers(
        &self,
        prefix: &Prefix,
        since: Option<Cursor>,
    ) -> Result<(Follower, Option<Follower>), WatchError> {
        let me = self.society().node;
        let beginning = || Cursor::beginning(self.namespace.clone(), prefix.clone());
        let mut cursor = since.unwrap_or_else(beginning).adopt(&self.namespace, prefix, me)?;
        let (fresh, told) = (cursor.is_fresh(), cursor.take_local(me));
        self.refuse_never_made(&self.namespace, cursor.seen())?;
        let shared = Follower::new(self.namespace.clone(), prefix.clone(), cursor);
        let locals = self.locals().filter(|locals| locals.touch(prefix));
        // Where other prefixes are local-only than then, nobody tells of keys that went from one side to the other.
        let outdated = told.as_ref().is_some_and(|(_, tag)| locals.map(Locals::tag) != Some(*tag));
        let shared = if outdated { shared.outdated() } else { shared };
        let Some(locals) = locals else { return Ok((shared, None)) };
        let untold = told.is_none() && !fresh;
        let told = told.map_or_else(beginning, |(told, _)| told);
        self.refuse_never_made(locals.companion(), told.seen())?;
        let local = Follower::new(locals.companion().clone(), prefix.clone(), told);
        Ok((shared.hiding(locals), Some(if untold { local.untold() } else { local })))
    }

    /// A cursor from the future of this very node would keep from its holder all that is written until then.
    fn refuse_never_made(&self, namespace: &Namespace, told: &SeenSet) -> Result<(), WatchError> {
        match self.never_made(namespace, told)? {
            None => Ok(()),
            Some(dot) => Err(CursorError::NeverMade(dot.seq).into()),
        }
    }

    /// The first of `told` that would be a write of this node's present life, and is none.
    pub(super) fn never_made(&self, namespace: &Namespace, told: &SeenSet) -> Result<Option<Dot>, ReadError> {
        let society = self.society();
        let me = Origin { node: society.node, epoch: society.epoch.load(Ordering::Relaxed) };
        Ok(society.reader().never_made(namespace, me, told)?)
    }

    /// Where both sides stand that somebody follows, as one cursor.
    pub(super) fn cursor_of(shared: &Follower, local: Option<&Follower>, me: NodeId) -> Cursor {
        let tag = shared.hidden().map(Locals::tag);
        match (local.filter(|local| local.is_told()), tag) {
            (Some(local), Some(tag)) => shared.cursor.with_local(me, tag, &local.cursor),
            _ => shared.cursor.clone(),
        }
    }
}
