//! Mistakes to plant, to see that the model notices them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The peer's frontier is merged when its hello arrives.
    FrontierMergedEarly,
    /// A delete is forgotten although dots below its context are missing.
    NoProviso,
    /// Floors stay where deletes were forgotten.
    FloorsNotMerged,
    /// An exchange is always a plain delta.
    NoRanges,
    /// A restored replica goes on with its old epoch.
    NoNewEpoch,
    /// A write supersedes what is in its record, and nothing that was forgotten.
    BaseLeftOut,
    /// Only puts are compared.
    DeletesBesidePutsNotCompared,
    /// A claim is settled against the snapshot that the ranges were computed from.
    SettledAgainstSnapshot,
    /// After ranges the frontier is merged whatever came in the meantime.
    MergedOverLateArrivals,
    /// The context goes with the last sibling that is dropped.
    ContextNotKept,
    /// What is not held and not above a floor counts as deleted.
    FloorDecides,
    /// The context swallows what was lost when it comes again.
    LostDotsSwallowed,
}
