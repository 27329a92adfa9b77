//! Which hosts a server answers for.

use std::net::IpAddr;

use axum::http::uri::Authority;

/// The hosts that a server answers for: loopback, and what it is bound to.
///
/// A page in a browser can have its own name resolve to `127.0.0.1` and then talk to whatever
/// listens there as to its own server (DNS rebinding). Its requests carry its name in `Host`, so
/// names are refused but `localhost`, which browsers never ask a resolver for; and addresses, which
/// are never resolved, are taken where they are the server's own.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    bound: Option<IpAddr>,
    names: Vec<String>,
}

impl Hosts {
    /// `localhost` and the loopback addresses.
    #[must_use]
    pub fn loopback() -> Self {
        Self::default()
    }

    /// Loopback, and the address that a listener is bound to; any address, if it is bound to all.
    #[must_use]
    pub fn bound_to(address: IpAddr) -> Self {
        Self { bound: Some(address.to_canonical()), names: Vec::new() }
    }

    /// A name as well. Whoever controls what it resolves to controls who talks to the node.
    #[must_use]
    pub fn and(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Whether `host`, with or without a port, is one of them.
    #[must_use]
    pub fn answer_for(&self, host: &str) -> bool {
        // An authority may begin with `user@`, and a `Host` may not.
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if host.contains('@') {
            return false;
        }
        let name = authority.host();
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        match bare.parse::<IpAddr>() {
            Ok(address) => self.has_address(address.to_canonical()),
            Err(_) => self.has_name(name),
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.bound.is_some_and(|bound| bound.is_unspecified() || bound == address)
    }

    fn has_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|other| name.eq_ignore_ascii_case(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_answered_for_and_names_are_not() {
        let hosts = Hosts::loopback();
        for host in [
            "localhost",
            "LocalHost:7700",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:7700",
            "127.8.9.10:1",
            "[::1]:7700",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(hosts.answer_for(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7700",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[fe80::1]",
            "user@localhost",
            "localhost/x",
            "127.1",
            "0.0.0.0",
        ] {
            assert!(!hosts.answer_for(host), "{host}");
        }
    }

    #[test]
    fn the_bound_address_is_answered_for_and_every_one_when_bound_to_all() {
        let ant: IpAddr = "10.0.0.1".parse().expect("an address");
        assert!(Hosts::bound_to(ant).answer_for("10.0.0.1:7700"));
        assert!(!Hosts::bound_to(ant).answer_for("10.0.0.2:7700"));
        let all: IpAddr = "::".parse().expect("an address");
        assert!(Hosts::bound_to(all).answer_for("10.0.0.2:7700"));
        assert!(!Hosts::bound_to(all).answer_for("evil.example"));
        assert!(Hosts::bound_to(ant).and("ant.lan").answer_for("Ant.LAN:7700"));
    }
}
