//! Where this node is, and where others were.

use std::io;

use libp2p::{Multiaddr, core::transport::ListenerId};

use super::{
    super::{Input, Source, listen::port_of},
    Task,
};
use crate::network::Event;

impl Task {
    pub(super) fn on_listening(&mut self, listener: ListenerId, address: Multiaddr) {
        let asked = self.parts.listeners.iter().find(|(id, _)| *id == listener);
        if let (Some((_, asked)), Some(port)) = (asked, port_of(&address)) {
            self.parts.ports.remember(asked, port);
        }
        self.listening.insert(address.clone());
        self.announce();
        self.tell(Event::Listening(address));
    }

    pub(super) fn on_not_listening(&mut self, addresses: &[Multiaddr]) {
        for address in addresses {
            if self.listening.remove(address) {
                self.tell(Event::NotListening(address.clone()));
            }
        }
        self.announce();
    }

    pub(super) fn on_listener_closed(&mut self, addresses: &[Multiaddr], reason: io::Result<()>) {
        self.on_not_listening(addresses);
        let Err(error) = reason else { return };
        tracing::warn!(%error, ?addresses, "not listening any more");
        if self.listening.is_empty() && !self.stopping {
            self.tell(Event::Failed(format!("no address is left to listen on: {error}")));
        }
    }

    fn announce(&mut self) {
        let addresses = self.listening.iter().cloned().collect();
        let Some(same_host) = &mut self.parts.same_host else { return };
        if let Err(error) = same_host.announce(addresses) {
            tracing::warn!(%error, "nodes on this machine cannot find this one");
        }
    }

    /// Looks who else is on this machine.
    pub(super) fn scan(&mut self) {
        let Some(same_host) = &mut self.parts.same_host else { return };
        let found = match same_host.scan() {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "the same-host directory cannot be read");
                return;
            }
        };
        if found == self.neighbours {
            return;
        }
        self.neighbours.clone_from(&found);
        for (peer, addresses) in found {
            self.tell_dialer(Input::Found { peer, addresses, source: Source::SameHost });
        }
    }

    pub(super) fn save_book(&mut self) {
        if let Err(error) = self.parts.book.save() {
            tracing::warn!(%error, "the address book cannot be saved");
        }
    }
}
