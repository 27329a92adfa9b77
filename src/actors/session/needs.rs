//! Requests for the writes in a gap, answered and received.

use crate::{
    actors::{
        society::Society,
        storage::{MergeRequest, Source, StorageMsg},
    },
    causality::{Intervals, NodeId, SeenSet},
    conflict::Version,
    storage::Reader,
    wire::{Answer, NEED_SEQS_MAX, NEEDED_ANSWERS_MAX, Need, Needed, PAGE_BYTES},
};

/// What is known of the writes asked for: every number is answered, in as many frames as it takes.
pub fn answer(reader: &Reader, need: &Need) -> Vec<Needed> {
    let last = need.last.min(need.first.saturating_add(NEED_SEQS_MAX - 1));
    let mut dots = SeenSet::new();
    dots.set(need.origin, Intervals::from_range(need.first, last));
    let view = reader.view();
    let mut frames = Vec::new();
    let mut told = need.first;
    let mut after = None;
    loop {
        let page = match view.versions(&need.namespace, &dots, after, NEEDED_ANSWERS_MAX, PAGE_BYTES) {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%error, "a request for missing writes could not be answered");
                return frames;
            }
        };
        let mut answers = Vec::new();
        for version in page.versions {
            let seq = version.dot.seq;
            answers.extend((told..seq).map(|seq| (seq, Answer::Unknown)));
            answers.push((seq, Answer::Version(version)));
            told = seq + 1;
        }
        after = page.next;
        if after.is_none() {
            answers.extend((told..=last).map(|seq| (seq, Answer::Unknown)));
        }
        frames.push(Needed { namespace: need.namespace.clone(), origin: need.origin, answers });
        if after.is_none() {
            return frames;
        }
    }
}

/// Has the writes in an answer stored. True if the peer could not tell of some: a comparison will.
pub fn store(society: &Society, peer: NodeId, needed: Needed) -> bool {
    if !society.reader().carries(&needed.namespace) {
        return false;
    }
    let mut unknown = false;
    let mut versions: Vec<Version> = Vec::new();
    for (_, answer) in needed.answers {
        match answer {
            Answer::Version(version) => versions.push(version),
            Answer::Unknown => unknown = true,
        }
    }
    let bytes = versions.iter().map(Version::size_hint).sum();
    match society.admission.gossip.admit_now(bytes) {
        Some(permit) if !versions.is_empty() => {
            let permit = permit.heard_of(&society.admission.waiting, &needed.namespace);
            society.storage.cast(StorageMsg::Merge(MergeRequest {
                namespace: needed.namespace,
                versions,
                blobs: std::collections::BTreeMap::new(),
                from: peer,
                source: Source::Gossip,
                permit,
                reply: None,
            }));
        }
        Some(_) => {}
        None => {
            society.metrics.gossip_shed.inc();
            society.peers.doubt(&needed.namespace);
        }
    }
    unknown
}
