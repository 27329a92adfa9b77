//! A model of rules 1 to 7 of the protocol, to compare the code with: how replicas of a key-value store
//! end equal, whatever the mesh does to messages.
//!
//! It uses nothing of the library. A [`world`] plays [`event`]s: writes, gossip that comes late or again,
//! exchanges message by message, sweeps that forget deletes, backups, newcomers, leavers and damage. The
//! [`oracle`] says what must hold, without the rules. Every [`mistake`] that can be planted has a
//! [counter-example](counter_examples), a history that ends well as the rules stand and badly with it.
//! A random history that fails is made smaller and printed, to be pasted there.
//!
//! `TIDINGS_MODEL_HISTORIES=1000000 cargo test --release --test model end_well` plays more of them, and
//! `TIDINGS_MODEL_SEED` says from which seed on.
//!
//! What the model asked of the rules beyond their first wording, each with the mistake that shows why:
//!
//! * What a peer knows as dead is dropped in the batch that merges its frontier and floors, not when
//!   it says so (`DroppedAtOnce`): a replica would vouch for what is dead without the floors that explain
//!   it. With this the context of an emptied record need not be kept (`DroppedAtOnceWithContext`); the
//!   model keeps it, and ends as well without.
//! * Who has changed its floors since its hello does not say "dead", but breaks the exchange off
//!   (`AnsweredAfterForgetting`): its frontier and floors are those of the hello, and do not explain it.
//! * A sweep counts what it would forget, and floors are merged after ranges only by a replica that adds up
//!   (`ForgottenWithoutCounting`, `MergedWithoutCounting`): what was lost, and is superseded by what is
//!   forgotten then, would be taken back as if it had never been deleted.
//! * A sender counts what its snapshot held, not what it holds by now (`CountedTooLate`).
//! * What supersedes a claimed version is applied to it even where it is dead to the claimer
//!   (`DeadVersionsSupersedeNothing`): what buried it may be lost.
//!
//! Two things are not asked. A delete may stand for a later one that was forgotten: readers see what
//! they would see if nobody had forgotten it. And a node that writes where it has lost a record without
//! noticing supersedes its own earlier writes (a version vector says no less), and not what those had
//! superseded: that may come back.

mod counter_examples;
mod dice;
mod dots;
mod event;
mod history;
mod loan;
mod message;
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
