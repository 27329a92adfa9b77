//! From sockets to authenticated, multiplexed connections.

use std::{io, time::Duration};

use libp2p::{
    PeerId, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade::Version},
    dns,
    identity::Keypair,
    noise,
    pnet::{PnetConfig, PreSharedKey},
    tcp, yamux,
};

use super::impatient::Impatient;

/// Makes a transport for the node with this key. The simulator brings its own.
pub type TransportBuilder = Box<dyn FnOnce(&Keypair) -> Boxed<(PeerId, StreamMuxerBox)> + Send>;

/// How long dialling and all handshakes may take. (With another swarm key at the other end a
/// handshake may end only here.)
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts Noise and Yamux on any transport of streams: what a node speaks, whatever carries it.
///
/// # Panics
/// Never: a key that was made can sign its Noise certificate.
pub fn secure<T>(transport: T, keypair: &Keypair) -> Boxed<(PeerId, StreamMuxerBox)>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send,
    T::ListenerUpgrade: Send,
{
    transport
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair).expect("an ed25519 key can sign"))
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(Impatient::new(muxer))))
        .boxed()
}

/// TCP, names resolved as the system does, behind the swarm key if there is one.
pub(super) fn tcp(keypair: &Keypair, swarm_key: Option<[u8; 32]>) -> Boxed<(PeerId, StreamMuxerBox)> {
    let socket = || tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    match dns::tokio::Transport::system(socket()) {
        Ok(transport) => keyed(transport, keypair, swarm_key),
        Err(error) => {
            tracing::warn!(%error, "names cannot be resolved: only numeric addresses can be dialled");
            keyed(socket(), keypair, swarm_key)
        }
    }
}

fn keyed<T>(transport: T, keypair: &Keypair, swarm_key: Option<[u8; 32]>) -> Boxed<(PeerId, StreamMuxerBox)>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: futures::AsyncRead + futures::AsyncWrite + Send + Unpin + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send,
    T::ListenerUpgrade: Send,
{
    let Some(key) = swarm_key else { return secure(transport, keypair) };
    let pnet = PnetConfig::new(PreSharedKey::new(key));
    let shake = move |socket, _| async move { pnet.handshake(socket).await.map_err(io::Error::other) };
    // Boxed, as the future of the handshake cannot be moved.
    secure(transport.and_then(shake).boxed(), keypair)
}
