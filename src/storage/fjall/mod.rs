//! The store on disk: fjall, a log-structured merge tree with a journal.
//!
//! One database with one keyspace. Recovery replays a journal per keyspace, so with a single one
//! whatever a damaged journal loses, what remains is one consistent past.

mod failure;
mod options;
mod store;

pub use options::FjallOptions;
pub use store::Fjall;

#[cfg(test)]
mod tests;
