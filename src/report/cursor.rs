//! Where somebody who follows changes stands: a frontier, and what it is of.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use self::local::LocalPart;
use super::Frontier;
use crate::{
    causality::{Dot, Floors, NodeId, Origin, SeenSet},
    types::{Key, Namespace, Prefix},
    wire,
};

mod local;

/// A cursor begins so; base64url has no dots, so no frontier does.
const HEAD: &str = "c1.";
/// One that is of local-only keys of a node, too, begins so.
const HEAD_WITH_LOCAL: &str = "c2.";
/// So many bytes of a hash stand behind a cursor, to tell one that was cut or changed.
const CHECK_BYTES: usize = 4;
/// In the middle of a long backlog a cursor has a fragment for each run of changes told; when there are
/// more, it takes what was passed over as told, and is of use on its own node only.
pub const CURSOR_FRAGMENTS_MAX: usize = 4_096;

/// Where a follower of changes stands: everything it was told of, as a frontier. It is good on **any**
/// node of the mesh, for the namespace and the prefix that it was given for, or a narrower prefix.
///
/// As text it is base64url with a short head and a checksum. It is opaque to others; only
/// [`Cursor::only_on`] matters: in the middle of a backlog of thousands of separate changes, a cursor is
/// good on one node only.
///
/// Where the node that gave it has local-only keys below the prefix, it says how far these were told, too. They
/// are no other node's: there, that part means nothing, and the cursor is as good as without.
///
/// A [`Frontier`], such as one that a scan answered with, is a cursor, too: "all that was seen there". It says
/// nothing of local-only keys: whoever goes on from it is told all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Of which namespace; nothing where it was a frontier.
    namespace: Option<Namespace>,
    prefix: Prefix,
    seen: Arc<SeenSet>,
    /// The deletes that were forgotten before, as far as `seen` does not say so.
    floors: Floors,
    only_on: Option<Origin>,
    local: Option<Arc<LocalPart>>,
}

/// A cursor cannot be followed here. Nothing was skipped: send the cursor as it was given, or scan and
/// begin anew.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CursorError {
    /// The text is no cursor.
    #[error("{0}: send a cursor as it was given, or scan and begin without one")]
    Malformed(String),
    /// It is of another namespace.
    #[error("this is a cursor of the namespace {given}, not of {asked}")]
    OtherNamespace {
        /// Whose cursor it is.
        given: Namespace,
        /// Which one is followed.
        asked: Namespace,
    },
    /// It says nothing of what lies outside its own prefix.
    #[error("this is a cursor of the prefix {given:?}, and says nothing of {asked:?}")]
    OtherPrefix {
        /// Whose cursor it is.
        given: String,
        /// Which one is followed.
        asked: String,
    },
    /// It was given in the middle of a long backlog.
    #[error(
        "this cursor was given in the middle of a long backlog and is good on {0} only: go on there, or send an earlier one"
    )]
    OtherNode(NodeId),
    /// It names a write of the node's present life that this has not made.
    #[error(
        "this cursor names write {0} of this node, which has not made it: it was altered, or given by a copy of this node; \
         scan, and begin without one"
    )]
    NeverMade(u64),
}

#[derive(Serialize, Deserialize)]
struct Parts {
    namespace: Option<Namespace>,
    prefix: Option<Key>,
    seen: SeenSet,
    floors: Floors,
    only_on: Option<Origin>,
}

impl Cursor {
    /// The cursor of somebody who was told of nothing yet.
    #[must_use]
    pub fn beginning(namespace: Namespace, prefix: Prefix) -> Self {
        Self {
            namespace: Some(namespace),
            prefix,
            seen: Arc::default(),
            floors: Floors::new(),
            only_on: None,
            local: None,
        }
    }

    /// Begins anew at `seen`, as if all of it had been told; what it says of local-only keys stays.
    pub fn begin_at(&mut self, seen: SeenSet, floors: Floors) {
        (self.seen, self.floors, self.only_on) = (Arc::new(seen), floors, None);
    }

    /// Whether nothing was told yet.
    #[must_use]
    pub fn is_beginning(&self) -> bool {
        self.seen.is_empty()
    }

    /// The writes that it accounts for: told, superseded, or outside its prefix.
    #[must_use]
    pub fn seen(&self) -> &SeenSet {
        &self.seen
    }

    /// The only node where it is good, where that is so.
    #[must_use]
    pub fn only_on(&self) -> Option<NodeId> {
        self.only_on.map(|origin| origin.node)
    }

    /// The cursor for following `prefix` of `namespace` on `me`.
    ///
    /// # Errors
    /// See [`CursorError`].
    pub fn adopt(mut self, namespace: &Namespace, prefix: &Prefix, me: NodeId) -> Result<Self, CursorError> {
        if let Some(given) = self.namespace.take_if(|given| given != namespace) {
            return Err(CursorError::OtherNamespace { given, asked: namespace.clone() });
        }
        if !self.prefix.includes(prefix) {
            let (given, asked) = (self.prefix.as_str().to_owned(), prefix.as_str().to_owned());
            return Err(CursorError::OtherPrefix { given, asked });
        }
        if let Some(other) = self.only_on().filter(|other| *other != me) {
            return Err(CursorError::OtherNode(other));
        }
        self.namespace = Some(namespace.clone());
        self.prefix = prefix.clone();
        Ok(self)
    }

    /// Whether all deletes that `floors` stand for, forgotten by `me`, were told or concern nothing that
    /// was told.
    #[must_use]
    pub fn reaches(&self, floors: &Floors, me: Origin) -> bool {
        let told = |origin| self.seen.get(&origin).map_or(0, crate::causality::Intervals::base);
        let known = |(origin, seq)| told(origin) >= seq || self.floors.deletes.get(&origin) >= seq;
        // A store that lost its past cannot say what it passed over.
        let same_life = self.only_on.is_none_or(|origin| origin == me);
        self.is_beginning() || (same_life && floors.deletes.iter().all(known))
    }

    /// From now on nothing is told that a delete under `floors` could take back.
    pub fn set_floors(&mut self, floors: Floors) {
        self.floors = floors;
    }

    /// The writes `dots` were told, or mean nothing here.
    pub fn insert(&mut self, dots: impl IntoIterator<Item = Dot>) {
        let seen = Arc::make_mut(&mut self.seen);
        for dot in dots {
            seen.insert(dot);
        }
    }

    /// All of `seen` was told, is superseded by what was, or means nothing here.
    pub fn union(&mut self, seen: &SeenSet) {
        Arc::make_mut(&mut self.seen).union(seen);
    }

    /// As [`Self::union`], where all that it accounts for is in `seen`, too.
    pub fn replace(&mut self, seen: Arc<SeenSet>) {
        self.seen = seen;
        self.only_on = None;
    }

    /// The backlog is told to its end: the cursor is good everywhere again.
    pub fn complete(&mut self) {
        self.only_on = None;
    }

    /// Whether it has more fragments than a cursor for any node may have.
    #[must_use]
    pub fn is_fragmented(&self) -> bool {
        self.seen.iter().map(|(_, seqs)| seqs.fragments()).sum::<usize>() > CURSOR_FRAGMENTS_MAX
    }

    /// Takes `passed`, which comes before what was told last, as told, and is good on `me` only.
    pub fn keep_to(&mut self, me: Origin, passed: &SeenSet) {
        self.union(passed);
        self.only_on = Some(me);
    }

    /// Whether it is good on one node only.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.only_on.is_some()
    }
}

/// Of the deletes that were forgotten, those that `seen` does not tell of.
fn beyond(seen: &SeenSet, floors: &Floors) -> Floors {
    let reached = |(origin, seq)| seen.get(&origin).is_some_and(|seqs| seqs.base() >= seq);
    let deletes = if floors.deletes.iter().all(reached) { Floors::new() } else { floors.clone() }.deletes;
    Floors { deletes, ..Floors::new() }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let [a, b, c, d, ..] = *blake3::hash(bytes).as_bytes();
    [a, b, c, d]
}

impl From<Frontier> for Cursor {
    fn from(frontier: Frontier) -> Self {
        Self {
            namespace: None,
            prefix: Prefix::all(),
            seen: Arc::new(frontier.0),
            floors: Floors::new(),
            only_on: None,
            local: None,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = Parts {
            namespace: self.namespace.clone(),
            prefix: Key::new(self.prefix.as_str()).ok(),
            seen: (*self.seen).clone(),
            floors: beyond(&self.seen, &self.floors),
            only_on: self.only_on,
        };
        let (mut bytes, mut head) = (wire::encode(&parts).to_vec(), HEAD);
        if let Some(local) = &self.local {
            let floors = beyond(&local.seen, &local.floors);
            let local = LocalPart { floors, ..(**local).clone() };
            bytes = wire::encode(&(parts, local)).to_vec();
            head = HEAD_WITH_LOCAL;
        }
        bytes.extend(check(&bytes));
        write!(f, "{head}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let malformed = |why: &str| CursorError::Malformed(why.to_owned());
        let (coded, with_local) = match (text.strip_prefix(HEAD), text.strip_prefix(HEAD_WITH_LOCAL)) {
            (Some(coded), _) => (coded, false),
            (None, Some(coded)) => (coded, true),
            (None, None) => {
                let frontier = text.parse::<Frontier>();
                return frontier
                    .map(Self::from)
                    .map_err(|error| malformed(&format!("this is no cursor ({error})")));
            }
        };
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| malformed("this cursor is not base64url"))?;
        let at = bytes.len().checked_sub(CHECK_BYTES).ok_or_else(|| malformed("this cursor was cut"))?;
        let (body, sum) = bytes.split_at(at);
        if check(body) != sum {
            return Err(malformed("this cursor was cut or changed"));
        }
        let read = if with_local {
            wire::decode::<(Parts, LocalPart)>(body).map(|(parts, local)| (parts, Some(Arc::new(local))))
        } else {
            wire::decode::<Parts>(body).map(|parts| (parts, None))
        };
        let (parts, local) = read.map_err(|error| malformed(&format!("this is no cursor ({error})")))?;
        let Parts { namespace, prefix, seen, floors, only_on } = parts;
        let prefix = prefix.map(Prefix::from).unwrap_or_default();
        Ok(Self { namespace, prefix, seen: Arc::new(seen), floors, only_on, local })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
