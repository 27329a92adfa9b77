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
    /// What the peer knows as dead is dropped when it says so, before its floors are merged.
    DroppedAtOnce,
    /// The same, and the context goes with the last sibling that is dropped.
    DroppedAtOnceWithContext,
    /// A peer answers "dead" because of what it forgot since its hello.
    AnsweredAfterForgetting,
    /// What is not held and not above a floor counts as deleted.
    FloorDecides,
    /// A sweep forgets without counting first.
    ForgottenWithoutCounting,
    /// Floors are merged after ranges without counting first.
    MergedWithoutCounting,
    /// A sender vouches for its snapshot because it adds up by now.
    CountedTooLate,
    /// What supersedes a claimed version is not applied where it is dead.
    DeadVersionsSupersedeNothing,
    /// The context swallows what was lost when it comes again.
    LostDotsSwallowed,
    /// The first neighbour is told to leave out all that the second one has gone past, held there or not, and
    /// its whole frontier is taken over.
    SkippedByPosition,
    /// It is told to leave out what the second one is still to bring, and its whole frontier is taken over.
    ToldBeforeItCame,
    /// What the second neighbour has seen is taken over when it has sent what it was asked for.
    LenderVouchedFor,
}

impl Mistake {
    pub const ALL: [Self; 21] = [
        Self::FrontierMergedEarly,
        Self::NoProviso,
        Self::FloorsNotMerged,
        Self::NoRanges,
        Self::NoNewEpoch,
        Self::BaseLeftOut,
        Self::DeletesBesidePutsNotCompared,
        Self::SettledAgainstSnapshot,
        Self::MergedOverLateArrivals,
        Self::DroppedAtOnce,
        Self::DroppedAtOnceWithContext,
        Self::AnsweredAfterForgetting,
        Self::FloorDecides,
        Self::ForgottenWithoutCounting,
        Self::MergedWithoutCounting,
        Self::CountedTooLate,
        Self::DeadVersionsSupersedeNothing,
        Self::LostDotsSwallowed,
        Self::SkippedByPosition,
        Self::ToldBeforeItCame,
        Self::LenderVouchedFor,
    ];

    /// Whether it can only show where something was lost.
    pub fn needs_damage(self) -> bool {
        matches!(
            self,
            Self::FloorDecides
                | Self::ForgottenWithoutCounting
                | Self::MergedWithoutCounting
                | Self::CountedTooLate
                | Self::DeadVersionsSupersedeNothing
                | Self::LostDotsSwallowed
        )
    }
}
