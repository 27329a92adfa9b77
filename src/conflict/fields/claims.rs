//! What a version says of each field, and what several say together.

use std::{borrow::Cow, collections::BTreeMap, ops::Bound};

use bytes::Bytes;

use super::{
    Stamp,
    leaves::{EMPTY, Path, leaves, object},
    stamps::Stamped,
};
use crate::conflict::{Body, Payload, Put, Version};

/// What one or several versions say of each field, in the words of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims<'a> {
    /// The leaves, with the writes that last changed them.
    pub(super) leaves: BTreeMap<Path<'a>, Claim<'a>>,
    /// What was removed and not written since, with the writes that did it. Of a leaf at or below such
    /// a path the stamp is greater.
    pub(super) gone: BTreeMap<Path<'a>, Stamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim<'a> {
    pub(super) stamp: Stamp,
    pub(super) text: Cow<'a, str>,
}

impl<'a> Claims<'a> {
    /// What `version` says; nothing if it holds no object that travels with it. One that expires is whole: what
    /// siblings merge to must not change with the time.
    pub(crate) fn of(version: &'a Version) -> Option<Self> {
        let own = Stamp { hlc: version.hlc, dot: version.dot };
        let leaves = leaves(object_bytes(version)?)?;
        let stamps = match &version.body {
            Body::Fields(_, stamps) => Some(&**stamps),
            Body::Expiring { .. } => return None,
            Body::Put(_) | Body::Delete => None,
        };
        let claim = |(path, text): (Path<'a>, Cow<'a, str>)| {
            let stamp = stamps.map_or(own, |stamps| stamps.at(&path, own));
            (path, Claim { stamp, text })
        };
        let borrowed = |path: &'a Stamped| path.iter().map(|name| Cow::Borrowed(&**name)).collect();
        let gone =
            stamps.map(|stamps| stamps.gone(own).map(|(path, stamp)| (borrowed(path), stamp)).collect());
        Some(Self { leaves: leaves.into_iter().map(claim).collect(), gone: gone.unwrap_or_default() })
    }

    /// The object.
    pub(crate) fn bytes(&self) -> Bytes {
        object(self.leaves.iter().map(|(path, claim)| (path, &*claim.text))).into()
    }
}

fn object_bytes(version: &Version) -> Option<&Bytes> {
    match version.put()? {
        Put { content_type, payload: Payload::Inline(bytes) } if content_type.is_json() => Some(bytes),
        _ => None,
    }
}

/// What readers see of siblings under `merge-fields`, where that is made of several of them: the
/// greatest decides whether an object is seen; if so, all objects are merged.
pub(crate) fn merge_readable(siblings: &[Version]) -> Option<(&Version, Put)> {
    let greatest = siblings.iter().max_by_key(|version| version.rank())?;
    let put = greatest.put()?;
    let merged = merge(siblings)?;
    let payload = Payload::Inline(merged.bytes());
    Some((greatest, Put { content_type: put.content_type.clone(), payload }))
}

/// What siblings say together; nothing where the greatest of them is no object.
pub(crate) fn merge(siblings: &[Version]) -> Option<Claims<'_>> {
    let greatest = siblings.iter().max_by_key(|version| version.rank())?;
    let mut said: Vec<(&Version, Claims<'_>)> = Vec::with_capacity(siblings.len());
    for version in siblings {
        match Claims::of(version) {
            Some(claims) => said.push((version, claims)),
            None if version.dot == greatest.dot => return None,
            None => {}
        }
    }
    if let [(_, only)] = &mut said[..] {
        return Some(std::mem::take(only));
    }
    let mut gone = BTreeMap::<&Path<'_>, BTreeMap<Stamp, Vec<usize>>>::new();
    let mut leaves = BTreeMap::<&Path<'_>, BTreeMap<&Claim<'_>, Vec<usize>>>::new();
    for (holder, (_, claims)) in said.iter().enumerate() {
        for (path, claim) in &claims.leaves {
            leaves.entry(path).or_default().entry(claim).or_default().push(holder);
        }
        for (path, stamp) in &claims.gone {
            gone.entry(path).or_default().entry(*stamp).or_default().push(holder);
        }
    }
    // Whoever had a write in front of it, and does not repeat what that said, has changed it.
    let stands = |stamp: Stamp, holders: &[usize]| {
        let knows = |version: &Version| version.dot == stamp.dot || version.supersedes(stamp.dot);
        said.iter().enumerate().all(|(at, (version, _))| holders.contains(&at) || !knows(version))
    };
    let mut merged = Claims::default();
    for (path, stamps) in gone {
        let standing = stamps.iter().rev().find(|(stamp, holders)| stands(**stamp, holders));
        merged.gone.extend(standing.map(|(stamp, _)| (path.clone(), *stamp)));
    }
    for (path, claims) in leaves {
        let standing = claims.iter().rev().find(|(claim, holders)| stands(claim.stamp, holders));
        let Some((claim, _)) = standing else { continue };
        if !merged.hides(path, claim.stamp) {
            merged.leaves.insert(path.clone(), (*claim).clone());
        }
    }
    merged.untangle();
    if merged.leaves.is_empty() {
        let stamp = Stamp { hlc: greatest.hlc, dot: greatest.dot };
        merged.leaves.insert(Path::new(), Claim { stamp, text: EMPTY.into() });
    }
    Some(merged)
}

impl Claims<'_> {
    /// Whether a removal that is later than `stamp` took away what stands at `path`.
    fn hides(&self, path: &[Cow<'_, str>], stamp: Stamp) -> bool {
        !self.gone.is_empty()
            && (0..=path.len()).any(|length| self.gone.get(&path[..length]).is_some_and(|gone| *gone > stamp))
    }

    /// Where one says that a path ends and another that it goes on, the later write decides; an empty
    /// object gives way.
    fn untangle(&mut self) {
        let mut at = self.leaves.keys().next().cloned();
        while let Some(path) = at {
            let after = (Bound::Excluded(&path), Bound::Unbounded);
            let below =
                self.leaves.range::<Path<'_>, _>(after).take_while(|(other, _)| other.starts_with(&path));
            let latest = below.map(|(_, claim)| claim.stamp).max();
            if let (Some(latest), Some(claim)) = (latest, self.leaves.get(&path)) {
                if &*claim.text == EMPTY || claim.stamp < latest {
                    self.leaves.remove(&path);
                } else {
                    self.leaves.retain(|other, _| *other == path || !other.starts_with(&path));
                }
            }
            at = self.leaves.range::<Path<'_>, _>(after).next().map(|(next, _)| next.clone());
        }
    }
}
