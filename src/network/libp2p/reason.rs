//! Failures of connections, in words for people.

use std::{error::Error, io};

use libp2p::{
    TransportError,
    allow_block_list::{Blocked, NotAllowed},
    connection_limits::Exceeded,
    swarm::{ConnectionDenied, ConnectionError, DialError},
};

/// Why a dial failed. `keyed`: whether this node has a swarm key.
pub(super) fn of_dial(error: &DialError, keyed: bool) -> String {
    match error {
        DialError::Transport(errors) => {
            let words =
                errors.iter().map(|(address, error)| format!("{address}: {}", of_transport(error, keyed)));
            words.collect::<Vec<_>>().join("; ")
        }
        DialError::WrongPeerId { obtained, address } => {
            format!("at {address} lives another peer, {obtained}")
        }
        DialError::LocalPeerId { address } => format!("{address} is this node itself"),
        DialError::Denied { cause } => of_denial(cause),
        DialError::NoAddresses => "no address is known".into(),
        DialError::Aborted => "the dial was given up".into(),
        DialError::DialPeerConditionFalse(_) => "it is connected or being dialled".into(),
    }
}

/// Why an address cannot be listened on.
pub(super) fn of_listen(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "no transport for such an address".into(),
        TransportError::Other(error) => innermost(error),
    }
}

/// Why a connection ended.
pub(super) fn of_close(cause: Option<&ConnectionError>) -> String {
    match cause {
        None => "closed".into(),
        Some(ConnectionError::KeepAliveTimeout) => "nobody used it".into(),
        Some(ConnectionError::IO(error)) => {
            let known = io_errors(error).find_map(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Some("the peer closed it"),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some("it broke"),
                _ => None,
            });
            known.map_or_else(|| innermost(error), Into::into)
        }
    }
}

fn of_denial(cause: &ConnectionDenied) -> String {
    if cause.downcast_ref::<Blocked>().is_some() {
        "the peer is blocked here".into()
    } else if cause.downcast_ref::<NotAllowed>().is_some() {
        "the peer is not among those allowed here".into()
    } else if let Some(exceeded) = cause.downcast_ref::<Exceeded>() {
        format!("too many connections: the limit is {}", exceeded.limit())
    } else {
        cause.to_string()
    }
}

fn of_transport(error: &TransportError<io::Error>, keyed: bool) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "no transport for such an address".into(),
        TransportError::Other(error) => {
            let words = innermost(error);
            if never_connected(error) { words } else { format!("{words}; {}", hint(keyed)) }
        }
    }
}

/// A swarm key that differs shows as noise in the handshake, or as silence.
fn hint(keyed: bool) -> &'static str {
    if keyed {
        "somebody answered, but not in this mesh's terms: does it have another swarm key, or none?"
    } else {
        "somebody answered, but not in plain terms: does it ask for a swarm key?"
    }
}

/// Whether there was nobody to shake hands with.
fn never_connected(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    io_errors(error).any(|error| {
        let unreachable = matches!(
            error.kind(),
            Kind::ConnectionRefused
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NetworkDown
                | Kind::AddrNotAvailable
                | Kind::PermissionDenied
        );
        // A connect that timed out comes from the system, with its number.
        unreachable || (error.kind() == Kind::TimedOut && error.raw_os_error().is_some())
    }) || chain(error).any(|error| error.to_string().contains("resolve"))
}

fn innermost(error: &io::Error) -> String {
    chain(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// An error, and those of its kind within it.
fn io_errors(error: &io::Error) -> impl Iterator<Item = &io::Error> {
    chain(error).filter_map(|error| error.downcast_ref())
}

/// An error and what caused it, outermost first.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

/// What caused an error. (An `io::Error` skips its inner error in `source`, so that one is asked for
/// by name.)
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_is_one_however_deep_the_error_lies() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let wrapped = io::Error::other(io::Error::other(broken()));
        for error in [broken(), wrapped] {
            assert_eq!(of_close(Some(&ConnectionError::IO(error))), "it broke");
        }
        let odd = io::Error::other(io::Error::other("the moon is full"));
        assert_eq!(of_close(Some(&ConnectionError::IO(odd))), "the moon is full");
    }
}
