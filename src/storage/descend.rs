//! Versions from the latest down: what a second neighbour brings while a first one comes from below.

use std::sync::PoisonError;

use super::{
    Pair, Pairs, StoreError, VersionPage, View,
    layout::{self, NsNo, OriginNo},
    view::seq_of,
};
use crate::{
    causality::{Dot, Origin, SeenSet},
    types::Namespace,
};

impl View {
    /// As [`Self::versions`], and in the reverse order: from before `before` down.
    ///
    /// # Errors
    /// When the store cannot be read or is damaged.
    pub fn versions_down(
        &self,
        namespace: &Namespace,
        dots: &SeenSet,
        before: Option<Dot>,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<VersionPage, StoreError> {
        let mut page = VersionPage::default();
        let Some(ns) = self.number_of(namespace) else { return Ok(page) };
        for (origin, seqs) in dots.iter().rev() {
            if before.is_some_and(|before| before.origin < *origin) {
                continue;
            }
            let top =
                before.filter(|before| before.origin == *origin).map_or(u64::MAX, |before| before.seq - 1);
            for (first, last) in seqs.iter().rev() {
                let last = last.min(top);
                let held = self.entries_down(layout::dot, ns, origin, first, last);
                let kept = self.last_kept(ns, origin, first, last)?;
                let kept = kept.map(|last| self.entries_down(layout::kept, ns, origin, first, last));
                for pair in merged(held, kept) {
                    let (key, entry) = pair?;
                    let dot = Dot::new(*origin, seq_of(&key)?);
                    let Some(version) = self.version_to_send(ns, dot, &key, &entry)? else {
                        page.misses(dot, &key);
                        continue;
                    };
                    if page.takes(dot, version, count_max, bytes_max) {
                        return Ok(page);
                    }
                }
            }
        }
        Ok(page)
    }

    fn entries_down<'a>(
        &'a self,
        at: impl Fn(NsNo, OriginNo, u64) -> bytes::Bytes,
        ns: NsNo,
        origin: &Origin,
        first: u64,
        last: u64,
    ) -> Pairs<'a> {
        match self.shared().origins().number(origin) {
            Some(no) if first <= last => {
                let to = [&at(ns, no, last)[..], &[0]].concat();
                self.range(&at(ns, no, first), &to, true)
            }
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The last write among `first..=last` of which a version is kept, as [`Self::first_kept`] finds the first.
    fn last_kept(&self, ns: NsNo, origin: &Origin, first: u64, last: u64) -> Result<Option<u64>, StoreError> {
        if last < first {
            return Ok(None);
        }
        let end = last.saturating_add(1);
        let mut gaps = self.kept_gaps_down.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = gaps.entry((ns, *origin)).or_insert(end..end);
        if !(gap.start <= end && end <= gap.end) {
            *gap = end..end;
        }
        if gap.start > first {
            let next =
                self.entries_down(layout::kept, ns, origin, first, gap.start - 1).next().transpose()?;
            gap.start = next.map_or(Ok(first), |(at, _)| seq_of(&at).map(|seq| seq + 1))?;
        }
        Ok((gap.start > first).then(|| gap.start - 1))
    }
}

/// Two lists of one origin, each from the latest of its numbers down, as one.
fn merged<'a>(held: Pairs<'a>, kept: Option<Pairs<'a>>) -> Pairs<'a> {
    let Some(kept) = kept else { return held };
    let (mut held, mut kept) = (held.peekable(), kept.peekable());
    // What cannot be read comes first, to be told.
    let seq = |pair: &Result<Pair, StoreError>| match pair {
        Ok((key, _)) => seq_of(key).unwrap_or(u64::MAX),
        Err(_) => u64::MAX,
    };
    Box::new(std::iter::from_fn(move || match (held.peek(), kept.peek()) {
        (Some(a), Some(b)) if seq(b) > seq(a) => kept.next(),
        (Some(_), _) => held.next(),
        (None, _) => kept.next(),
    }))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::storage::ledger_tests::{Replica, ns};

    const NAMES: [&str; 4] = ["ant", "bat", "cat", "dog"];

    proptest! {
        #[test]
        fn from_the_latest_down_come_the_same_versions(
            writes in vec((0..2_u8, 0..NAMES.len()), 1..60),
            ranges in vec((0..2_u8, 1..40_u64, 0..20_u64), 1..5),
            count in 1..7_usize,
            history in 0..4_usize,
        ) {
            let mut writers = [1, 2].map(Replica::new);
            let mut here = Replica::new(3);
            here.ledger.keep_history(history);
            let mut written = Vec::new();
            for (writer, name) in writes {
                writers[usize::from(writer)].write(NAMES[name], Some("worm"));
                writers[usize::from(writer)].commit(&mut written);
            }
            for version in written {
                here.ledger.receive(&ns(), version, None).unwrap();
            }
            here.commit(&mut Vec::new());
            let mut dots = SeenSet::new();
            for (writer, first, more) in ranges {
                dots.insert_range(writers[usize::from(writer)].origin, first, first + more);
            }
            let view = here.ledger.reader().view();
            let mut expected = view.versions(&ns(), &dots, None, usize::MAX, usize::MAX).unwrap().versions;
            expected.reverse();
            let (mut came, mut before) = (Vec::new(), None);
            loop {
                let page = view.versions_down(&ns(), &dots, before, count, usize::MAX).unwrap();
                prop_assert!(page.versions.len() <= count);
                came.extend(page.versions);
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            prop_assert_eq!(came, expected);
        }
    }
}
