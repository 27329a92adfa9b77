//! The address book: where peers were reached before. One line a peer: its id, when it was last seen
//! (milliseconds since 1970), and its addresses, separated by spaces. Losing it loses no data.

use std::{collections::BTreeMap, io, path::PathBuf};

use libp2p::Multiaddr;

use super::{peer::is_dialable, small_file};
use crate::causality::NodeId;

/// The most peers in the book; beyond it those not seen for longest are forgotten.
pub(super) const BOOK_PEERS_MAX: usize = 256;
/// The most addresses of one peer, the latest first.
pub(super) const BOOK_ADDRESSES_MAX: usize = 8;

/// The book's name in the directory of the network.
const FILE: &str = "addresses";

struct Page {
    seen_ms: u64,
    addresses: Vec<Multiaddr>,
}

/// Where peers were reached before.
pub(super) struct Book {
    path: Option<PathBuf>,
    pages: BTreeMap<NodeId, Page>,
    changed: bool,
}

impl Book {
    /// Reads the book; lines that make no sense are skipped.
    pub(super) fn open(directory: Option<&PathBuf>) -> Self {
        let path = directory.map(|directory| directory.join(FILE));
        let text = path.as_deref().and_then(|path| {
            small_file::read(path).unwrap_or_else(|error| {
                tracing::warn!(%error, "the address book {path:?} cannot be read; a new one is begun");
                None
            })
        });
        let mut book = Self { path, pages: BTreeMap::new(), changed: false };
        for line in text.iter().flat_map(|text| text.lines()) {
            let mut words = line.split_ascii_whitespace();
            let node = words.next().and_then(|word| word.parse().ok());
            let seen_ms = words.next().and_then(|word| word.parse().ok());
            if let (Some(node), Some(seen_ms)) = (node, seen_ms) {
                book.note(node, words.filter_map(|word| word.parse().ok()), seen_ms);
            }
        }
        book.changed = false;
        book
    }

    /// Notes that a peer was reached, or says it can be reached, at these addresses.
    pub(super) fn note(
        &mut self,
        node: NodeId,
        addresses: impl IntoIterator<Item = Multiaddr>,
        seen_ms: u64,
    ) {
        let page = self.pages.entry(node).or_insert_with(|| Page { seen_ms, addresses: Vec::new() });
        page.seen_ms = page.seen_ms.max(seen_ms);
        let mut fresh: Vec<_> = addresses.into_iter().filter(is_dialable).take(BOOK_ADDRESSES_MAX).collect();
        page.addresses.retain(|old| !fresh.contains(old));
        fresh.append(&mut page.addresses);
        fresh.truncate(BOOK_ADDRESSES_MAX);
        page.addresses = fresh;
        if page.addresses.is_empty() {
            self.pages.remove(&node);
            return;
        }
        self.changed = true;
        if self.pages.len() > BOOK_PEERS_MAX {
            let oldest = self.pages.iter().min_by_key(|(_, page)| page.seen_ms).map(|(node, _)| *node);
            oldest.and_then(|node| self.pages.remove(&node));
        }
    }

    /// All peers and their addresses.
    pub(super) fn peers(&self) -> impl Iterator<Item = (NodeId, &[Multiaddr])> {
        self.pages.iter().map(|(node, page)| (*node, page.addresses.as_slice()))
    }

    /// Writes the book, if anything changed.
    pub(super) fn save(&mut self) -> io::Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| self.changed) else { return Ok(()) };
        let line = |(node, page): (&NodeId, &Page)| {
            let addresses: Vec<_> = page.addresses.iter().map(Multiaddr::to_string).collect();
            format!("{node} {} {}\n", page.seen_ms, addresses.join(" "))
        };
        let text: String = self.pages.iter().map(line).collect();
        small_file::replace(path, &text)?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    fn node(number: u16) -> NodeId {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        NodeId(key)
    }

    #[test]
    fn the_book_outlives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().to_owned();
        let mut book = Book::open(Some(&directory));
        book.note(node(1), [address(1), address(2)], 5);
        book.note(node(2), [address(0)], 5);
        book.save().unwrap();
        let book = Book::open(Some(&directory));
        let peers: Vec<_> = book.peers().collect();
        assert_eq!(peers, [(node(1), &[address(1), address(2)][..])]);
    }

    #[test]
    fn the_book_keeps_the_latest_addresses_of_the_latest_peers() {
        let mut book = Book::open(None);
        for number in 1..=BOOK_PEERS_MAX + 10 {
            let number = u16::try_from(number).unwrap();
            book.note(node(number), [address(number)], u64::from(number));
        }
        assert_eq!(book.peers().count(), BOOK_PEERS_MAX);
        assert_eq!(book.peers().next().unwrap().0, node(11), "those not seen for longest are gone");

        let ant = node(100);
        for port in 1000..1020 {
            book.note(ant, [address(port)], 1000);
        }
        let (_, addresses) = book.peers().find(|(node, _)| *node == ant).unwrap();
        let latest: Vec<_> = (1012..1020).rev().map(address).collect();
        assert_eq!(addresses, latest);
    }

    #[test]
    fn a_damaged_book_gives_what_makes_sense() {
        let directory = tempfile::tempdir().unwrap();
        let ant = node(1);
        let text = format!("\nrubbish\n{ant} x y\n{ant} 7 what {}\n\u{0}\n", address(9));
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let book = Book::open(Some(&directory.path().to_owned()));
        assert_eq!(book.peers().collect::<Vec<_>>(), [(ant, &[address(9)][..])]);
    }
}
