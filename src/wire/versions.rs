//! Versions in a message: first the bases they have, each once, then the versions, which name
//! theirs by its hash.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::bounds;
use crate::{
    causality::Context,
    conflict::{Base, BaseHash, Version},
};

/// The most versions in one message.
const VERSIONS_MAX: usize = 1_000;
/// The most different bases in one message: as many as there may be versions.
const BASES_MAX: usize = VERSIONS_MAX;

type Bases = BTreeMap<BaseHash, Arc<Context>>;

/// The bases that `versions` have.
fn bases_of<'a>(versions: impl Iterator<Item = &'a Version>) -> Bases {
    let known = |base: &Base| Some((base.hash(), Arc::clone(base.covers()?)));
    versions.filter_map(|version| version.base.as_ref().and_then(known)).collect()
}

pub fn serialize_bases<'a, S: Serializer>(
    versions: impl Iterator<Item = &'a Version>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(bases_of(versions).values().map(|covers| &**covers))
}

/// Bases by their hashes.
#[derive(Default)]
pub struct Interned(Bases);

impl<'de> Deserialize<'de> for Interned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let contexts: Vec<Context> = bounds::list::<_, _, BASES_MAX>(deserializer)?;
        Ok(Self(contexts.into_iter().map(|covers| (Base::hash_of(&covers), Arc::new(covers))).collect()))
    }
}

impl Interned {
    /// Tells `version` what stands behind the hash of its base, if that is known here.
    ///
    /// # Errors
    /// When the base names the origin of the version: its own past is implied, its future is not its
    /// to supersede.
    pub fn resolve(&self, version: &mut Version) -> Result<(), &'static str> {
        let Some(base) = &version.base else { return Ok(()) };
        let Some(covers) = self.0.get(&base.hash()) else { return Ok(()) };
        if covers.get(&version.dot.origin) >= version.dot.seq {
            return Err("the base of a version covers the version itself");
        }
        version.base = Some(Base::new(Arc::clone(covers)));
        Ok(())
    }
}

struct AllBases<'a>(&'a [Version]);

impl Serialize for AllBases<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_bases(self.0.iter(), serializer)
    }
}

/// For `#[serde(with)]`: a list of at most [`VERSIONS_MAX`] versions.
pub fn serialize<S: Serializer>(versions: &Vec<Version>, serializer: S) -> Result<S::Ok, S::Error> {
    (AllBases(versions), versions).serialize(serializer)
}

#[derive(Deserialize)]
struct Wire {
    bases: Interned,
    #[serde(deserialize_with = "bounds::list::<_, _, VERSIONS_MAX>")]
    versions: Vec<Version>,
}

/// For `#[serde(with)]`: the versions, each with its base as far as the message tells it.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Version>, D::Error> {
    let Wire { bases, mut versions } = Wire::deserialize(deserializer)?;
    for version in &mut versions {
        bases.resolve(version).map_err(de::Error::custom)?;
    }
    Ok(versions)
}
