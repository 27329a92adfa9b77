//! What a peer did that the exchange does not allow.

use thiserror::Error;

use crate::{causality::Dot, types::Namespace, wire::PAGE_VERSIONS};

/// The peer broke the rules of the exchange. Break it off and count it; what was applied before
/// stays, and nothing of the peer's seen set was taken over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// The hello speaks of another namespace than the one the exchange was opened for.
    #[error("the exchange is about {expected}, the peer's hello about {got}")]
    Namespace {
        /// What the exchange is about.
        expected: Namespace,
        /// What the hello says.
        got: Namespace,
    },
    /// A second hello.
    #[error("the peer sent a second hello")]
    SecondHello,
    /// Something else than a hello, or a refusal, came first.
    #[error("the peer sent {0} before its hello")]
    BeforeHello(&'static str),
    /// Versions, or the end of them, before the sender said what it has seen.
    #[error("the peer sent {0} before what it has seen")]
    BeforeSeen(&'static str),
    /// What the peer has seen came whole, and then came more of it.
    #[error("the peer sent what it has seen twice")]
    SecondSeen,
    /// The peer's seen set has more pieces than a replica of ours ever shows.
    #[error("what the peer has seen comes in more than {0} intervals")]
    SeenTooLarge(usize),
    /// The peer says how far it differs from a parting that it, or this side, does not remember.
    #[error("the peer refers to what it had seen before, which the hellos do not agree on")]
    NoParting,
    /// What comes of what the peer says it has seen is not what its hello said.
    #[error("what the peer says it has seen does not match its hello")]
    SeenMismatch,
    /// A page that holds nothing.
    #[error("the peer sent an empty page")]
    EmptyPage,
    /// A page that holds more than a page may.
    #[error("the peer sent a page of {0} versions, {PAGE_VERSIONS} are allowed")]
    PageTooLarge(usize),
    /// A version that does not come after the one before it.
    #[error("the peer sent {dot} after {after}: versions come in the order of their dots")]
    Order {
        /// The version that came.
        dot: Dot,
        /// The one before it.
        after: Dot,
    },
    /// A version that is not in what the sender said it has seen.
    #[error("the peer sent {0}, which it did not say it has seen")]
    Unannounced(Dot),
    /// A version of a second neighbour that does not come before the one that came last.
    #[error("the peer sent {dot} after {low}: it was asked for the latest first")]
    NotDown {
        /// The version that came.
        dot: Dot,
        /// The one that came last.
        low: Dot,
    },
    /// A version of a second neighbour that is none of those it was asked for.
    #[error("the peer sent {0}, which it was not asked for")]
    Unasked(Dot),
    /// Something else, where one side lends the other what that lacks.
    #[error("the peer sent {0}, and it is about single versions that are lacking")]
    NotLent(&'static str),
    /// The sender takes back something that it did not say it has seen.
    #[error("the peer does not vouch for writes that it did not say it has seen")]
    LostUnannounced,
    /// Something came after the end.
    #[error("the peer sent {0} after its end")]
    AfterEnd(&'static str),
    /// A refusal in the middle of an exchange that was accepted.
    #[error("the peer sent {0} in the middle of an exchange")]
    LateRefusal(&'static str),
    /// A step down the tree of ranges that speaks of more than there can be.
    #[error("the peer sent digests of more than {0} ranges in one step")]
    DescentTooLarge(usize),
    /// Digests of ranges that there are not.
    #[error("the peer sent digests of ranges that there are not")]
    DescentMalformed,
    /// A claim that names no write of an origin that either has shown.
    #[error("the peer claims a write that has no name")]
    ClaimMalformed,
    /// Something of a comparison of ranges, outside one.
    #[error("the peer sent {0}, and no ranges are compared")]
    NoRanges(&'static str),
    /// Verdicts on what was not claimed.
    #[error("the peer sent verdicts on what was not claimed")]
    VerdictsUnasked,
    /// It wants what it did not say it lacks.
    #[error("the peer wants what it did not say it lacks")]
    WantsUnasked,
    /// It has sent what was wanted, and nothing was.
    #[error("the peer says that all that was wanted is sent, and nothing was wanted")]
    SentUnasked,
    /// It claims nothing more before it can know what there is to claim.
    #[error("the peer sent {0} before it was through with the ranges")]
    NotThrough(&'static str),
    /// More frames of claims than may be under way.
    #[error("the peer has more claims and items under way than {0} frames")]
    TooMuchUnderWay(usize),
    /// Both drew the same number.
    #[error("both sides drew the same number: try again")]
    SameNonce,
    /// Versions the way that was ruled out.
    #[error("the peer sent {0}, and versions go the other way only")]
    WrongWay(&'static str),
    /// The last part of a seen set comes without floors, or another one with them.
    #[error("the floors did not come with the last part of what the peer has seen")]
    Floors,
    /// The exchange is over already: done, or broken off.
    #[error("the exchange is over, and {0} came")]
    Over(&'static str),
}
