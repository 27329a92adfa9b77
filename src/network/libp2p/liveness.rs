//! When a connection counts as dead: so many pings in a row without an answer. libp2p's ping only
//! reports; a link that goes down is no disconnect either.

use std::collections::BTreeMap;

use libp2p::swarm::ConnectionId;

/// Failed pings in a row, per connection.
pub(super) struct Liveness {
    failures_max: u32,
    failures: BTreeMap<ConnectionId, u32>,
}

impl Liveness {
    /// A connection is dead after `failures_max` failed pings in a row.
    pub(super) fn new(failures_max: u32) -> Self {
        Self { failures_max: failures_max.max(1), failures: BTreeMap::new() }
    }

    /// A ping was answered.
    pub(super) fn answered(&mut self, connection: ConnectionId) {
        self.failures.remove(&connection);
    }

    /// A ping failed; says whether the connection is to be closed.
    pub(super) fn failed(&mut self, connection: ConnectionId) -> bool {
        let failures = self.failures.entry(connection).or_default();
        *failures += 1;
        *failures >= self.failures_max
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        self.failures.remove(&connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_end_a_connection() {
        let ant = ConnectionId::new_unchecked(1);
        let mut liveness = Liveness::new(3);
        for _ in 0..10 {
            assert!(!liveness.failed(ant));
            assert!(!liveness.failed(ant));
            liveness.answered(ant);
        }
        assert!(!liveness.failed(ant));
        assert!(!liveness.failed(ant));
        assert!(liveness.failed(ant));
        liveness.forget(ant);
        assert!(liveness.failures.is_empty());
    }
}
