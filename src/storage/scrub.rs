//! Looks at what is stored, a page at a time: whether it can be read, whether versions hash to what
//! the dot index says, whether records and dot index agree. What is bad is taken out.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Ledger, Snapshot, StoreError, kept,
    layout::{self, NsNo, OriginNo},
    shared::Shared,
    stored,
    tally::{self, Tally},
};
use crate::{
    causality::{DeadSet, Dot, SeenSet},
    conflict::{Payload, Record, Version},
    types::{Key, Namespace},
};

/// Something that is not as it was written.
#[derive(Clone, Debug)]
pub(super) struct Bad {
    pub(super) ns: Option<NsNo>,
    /// The write it is about, if that can be told.
    pub(super) dot: Option<Dot>,
    /// Its entry in the dot index, if that is to go.
    pub(super) entry: Option<Bytes>,
    /// Its record, where that is known.
    pub(super) record: Option<Bytes>,
    /// An earlier version that the record is not to name any more. That is no loss to the account: it was
    /// superseded.
    pub(super) strike: Option<Dot>,
    pub(super) what: String,
}

/// The parts of a store that are looked at, in their order there: dot index, earlier versions, records.
const PARTS: [u8; 3] = [b'd', b'k', b'r'];

impl Bad {
    fn at(entry: &Bytes) -> Self {
        Self {
            ns: None,
            dot: None,
            entry: Some(entry.clone()),
            record: None,
            strike: None,
            what: String::new(),
        }
    }

    /// Whether it is about nothing but an earlier version.
    pub(super) fn is_history(&self) -> bool {
        self.strike.is_some() || self.entry.as_ref().is_some_and(|entry| entry.first() == Some(&b'k'))
    }
}

/// What a page showed.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) looked: u64,
    pub(super) bad: Vec<Bad>,
    /// Where the next one begins; nothing behind the last one.
    pub(super) next: Option<Bytes>,
}

/// A consistent view, and what is known of it as a whole.
pub(super) struct Examiner<'a> {
    pub(super) snapshot: &'a dyn Snapshot,
    pub(super) shared: &'a Shared,
    pub(super) dead: &'a BTreeMap<NsNo, DeadSet>,
    pub(super) seen: BTreeMap<NsNo, Namespace>,
}

impl<'a> Examiner<'a> {
    pub(super) fn new(
        snapshot: &'a dyn Snapshot,
        shared: &'a Shared,
        dead: &'a BTreeMap<NsNo, DeadSet>,
    ) -> Self {
        let numbered = |name: Namespace| Some((shared.space(&name)?.no, name));
        Self { snapshot, shared, dead, seen: shared.names().into_iter().filter_map(numbered).collect() }
    }

    /// Looks at `count_max` entries from `from` on, first those of the dot index, then earlier versions,
    /// then records.
    pub(super) fn page(&self, from: Option<&Bytes>, count_max: usize) -> Result<Page, StoreError> {
        let first = layout::all(PARTS[0]).0;
        let from = from.unwrap_or(&first);
        let part = from.first().copied().unwrap_or(PARTS[0]);
        let to = &layout::all(part).1;
        let mut page = Page::default();
        let mut rest = self.snapshot.range(from, to, false);
        for pair in rest.by_ref().take(count_max) {
            let (key, value) = pair?;
            page.looked += 1;
            // All of them begin as records do.
            if self.shared.is_left(layout::ns_of_record(&key)) {
                continue;
            }
            match part {
                b'd' => page.bad.extend(self.entry(&key, &value)?),
                b'k' => page.bad.extend(self.earlier(&key, &value)?),
                _ => self.record(&key, &value, &mut page.bad)?,
            }
        }
        page.next = rest.next().transpose()?.map(|(key, _)| key);
        if page.next.is_none() {
            page.next = PARTS.iter().find(|next| **next > part).map(|next| layout::all(*next).0);
        }
        Ok(page)
    }

    /// Looks at what the dot index names of `dots`.
    pub(super) fn named(&self, ns: NsNo, dots: &SeenSet) -> Result<Vec<Bad>, StoreError> {
        let mut bad = Vec::new();
        for (origin, seqs) in dots.iter() {
            let Some(no) = self.shared.origins().number(origin) else { continue };
            for (first, last) in seqs.iter() {
                let to = [&layout::dot(ns, no, last)[..], &[0]].concat();
                for pair in self.snapshot.range(&layout::dot(ns, no, first), &to, false) {
                    let (key, value) = pair?;
                    bad.extend(self.entry(&key, &value)?);
                }
            }
        }
        Ok(bad)
    }

    /// Looks at an entry of the dot index, and at the version it names.
    fn entry(&self, at: &Bytes, bytes: &[u8]) -> Result<Option<Bad>, StoreError> {
        let mut bad = Bad::at(at);
        let Ok((ns, dot)) = tally::read_key(at, &self.shared.origins()) else {
            bad.what = "a key of the dot index cannot be read".into();
            return Ok(Some(bad));
        };
        (bad.ns, bad.dot) = (Some(ns), Some(dot));
        let entry = match stored::decode_dot(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                bad.what = format!("{dot}: {error}");
                return Ok(Some(bad));
            }
        };
        let place = layout::record(ns, entry.key.as_bytes());
        bad.record = Some(place.clone());
        let fault = match self.snapshot.get(&place)? {
            None => Some("it has no record".to_owned()),
            Some(bytes) => match stored::decode_record(&entry.key, &bytes, self.shared) {
                Ok(record) => self.version(ns, dot, &entry, &record)?,
                Err(error) => Some(error.to_string()),
            },
        };
        Ok(fault.map(|fault| Bad { what: format!("{dot} ({}): {fault}", entry.key), ..bad }))
    }

    /// Looks at an earlier version.
    fn earlier(&self, at: &Bytes, bytes: &Bytes) -> Result<Option<Bad>, StoreError> {
        let mut bad = Bad::at(at);
        let Ok((ns, dot)) = tally::read_key(at, &self.shared.origins()) else {
            bad.what = "a key of an earlier version cannot be read".into();
            return Ok(Some(bad));
        };
        (bad.ns, bad.strike) = (Some(ns), Some(dot));
        let version = match kept::decode_kept(bytes, self.shared) {
            Ok(version) if version.dot == dot => version,
            other => {
                let why = other.map_or_else(|error| error.to_string(), |_| "it is of another write".into());
                bad.what = format!("{dot}: {why}");
                // Which key it was of cannot be told: the record that names it is found in its turn.
                return Ok(Some(bad));
            }
        };
        let place = layout::record(ns, version.key.as_bytes());
        let named = match self.snapshot.get(&place)? {
            Some(record) => stored::decode_names_of(&record, self.shared).unwrap_or_default(),
            None => Vec::new(),
        };
        bad.what = format!("{dot} ({}): no record names this earlier version", version.key);
        Ok((!named.contains(&version.rank())).then_some(bad))
    }

    fn version(
        &self,
        ns: NsNo,
        dot: Dot,
        entry: &stored::Entry,
        record: &Record,
    ) -> Result<Option<String>, StoreError> {
        let Some(version) = record.get(dot) else { return Ok(Some("its record does not hold it".into())) };
        if version.hash() != entry.hash {
            return Ok(Some("it does not hash to what the dot index says".into()));
        }
        if entry.compared == record.is_deleted() {
            return Ok(Some("the dot index takes a delete for a put, or a put for a delete".into()));
        }
        let space = self.seen.get(&ns).and_then(|name| self.shared.space(name));
        if !space.is_some_and(|space| space.seen().contains(dot)) {
            return Ok(Some("it is held, but was not seen".into()));
        }
        if self.dead.get(&ns).is_some_and(|dead| dead.contains(dot)) {
            return Ok(Some("it is held, but superseded".into()));
        }
        self.blob(ns, version)
    }

    fn blob(&self, ns: NsNo, version: &Version) -> Result<Option<String>, StoreError> {
        let Some(Payload::Blob { hash, size }) = version.put().map(|put| &put.payload) else {
            return Ok(None);
        };
        let Some(no) = self.shared.origins().number(&version.dot.origin) else { return Ok(None) };
        let bytes = self.snapshot.get(&layout::blob(ns, no, version.dot.seq))?;
        Ok(match bytes {
            None => Some("its large value is missing".into()),
            Some(bytes) if bytes.len() as u64 != *size || blake3::hash(&bytes).as_bytes() != hash => {
                Some("its large value does not match its hash".into())
            }
            Some(_) => None,
        })
    }

    /// Looks at a record: whether the dot index knows all that it holds.
    fn record(&self, at: &Bytes, bytes: &Bytes, bad: &mut Vec<Bad>) -> Result<(), StoreError> {
        let ns = at.get(1..3).and_then(|no| no.try_into().ok()).map(u16::from_be_bytes);
        let of_record = || Bad { ns, record: Some(at.clone()), entry: None, ..Bad::at(at) };
        let mut fault = |dot, what| bad.push(Bad { dot, what, ..of_record() });
        let key = at.get(3..).and_then(|key| Key::from_bytes(key).ok());
        let (Some(ns), Some(key)) = (ns, key) else {
            fault(None, "a key of a record cannot be read".into());
            return Ok(());
        };
        let record = match stored::decode_record(&key, bytes, self.shared) {
            Ok(record) => record,
            Err(error) => {
                fault(None, format!("{key}: {error}"));
                return Ok(());
            }
        };
        for sibling in record.siblings() {
            let no: Option<OriginNo> = self.shared.origins().number(&sibling.dot.origin);
            let Some(no) = no else { continue };
            let entry = self.snapshot.get(&layout::dot(ns, no, sibling.dot.seq))?;
            if !entry.is_some_and(|entry| stored::decode_dot(&entry).is_ok_and(|entry| entry.key == key)) {
                let what = format!("{} ({key}): the dot index does not know it", sibling.dot);
                fault(Some(sibling.dot), what);
            }
        }
        let names = match stored::decode_names_of(bytes, self.shared) {
            Ok(names) => names,
            Err(error) => {
                // All names go, whichever is struck: nothing but the history is concerned.
                let strike = record.siblings().first().map(|sibling| sibling.dot);
                bad.push(Bad { strike, what: format!("{key}: {error}"), ..of_record() });
                return Ok(());
            }
        };
        for (_, dot) in names {
            let no = self.shared.origins().number(&dot.origin);
            let there = no.map(|no| self.snapshot.get(&layout::kept(ns, no, dot.seq))).transpose()?.flatten();
            if there.is_none() {
                let what = format!("{dot} ({key}): an earlier version is missing");
                bad.push(Bad { strike: Some(dot), what, ..of_record() });
            }
        }
        Ok(())
    }
}

/// What a page of the scrub did.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// So many entries were looked at.
    pub looked: u64,
    /// What was bad, one line each.
    pub bad: Vec<String>,
    /// What left the seen set with it, to be fetched again.
    pub lost: Vec<(Namespace, SeenSet)>,
    /// Where to go on; nothing if all was looked at.
    pub next: Option<Bytes>,
}

impl Ledger {
    /// Looks at `count_max` entries of the dot index or records, from `from` on, and takes out what is
    /// bad: it leaves the seen set, and is fetched like anything unseen. The draft must be committed.
    ///
    /// # Errors
    /// When the store cannot be read or written: what it cannot read at all is beyond repair here.
    ///
    /// # Panics
    /// When the draft is not empty: callers see to it.
    pub fn scrub(&mut self, from: Option<&Bytes>, count_max: usize) -> Result<Scrubbed, StoreError> {
        assert!(self.draft.is_empty(), "what is stored is looked at as committed");
        self.count_again(from.is_none())?;
        let snapshot = self.store.snapshot();
        let page = Examiner::new(&*snapshot, &self.shared, &self.dead).page(from, count_max)?;
        let mut done = Scrubbed { looked: page.looked, next: page.next, ..Scrubbed::default() };
        if !page.bad.is_empty() {
            done.lost = self.heal(&page.bad)?;
            done.bad = page.bad.into_iter().map(|bad| bad.what).collect();
        }
        Ok(done)
    }

    /// With every pass the digests are made anew beside those in use: what went missing from the dot index
    /// unnoticed is lost then, by the account of rule 3.
    fn count_again(&mut self, begin: bool) -> Result<(), StoreError> {
        if begin && self.tally.is_complete() {
            self.recount = Some(Tally::default());
        }
        let Some(recount) = &mut self.recount else { return Ok(()) };
        recount.read_on(&*self.store, &self.shared)?;
        if recount.is_complete()
            && let Some(recount) = self.recount.take()
        {
            (self.tally, self.accounted) = (recount, false);
            self.account()?;
            self.publish_roots();
        }
        Ok(())
    }
}
