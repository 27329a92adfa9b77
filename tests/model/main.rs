//! A model of the protocol.

mod dice;
mod dots;
mod event;
mod history;
mod mistake;
mod named;
mod oracle;
mod random;
mod reads;
mod record;
mod replica;
mod session;
mod shrink;
mod version;
mod world;
