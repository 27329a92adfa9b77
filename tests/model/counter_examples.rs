//! Counter-examples: what each clause of the rules is for.
//!
//! Every history ends well as the rules stand, and does not where the clause is left out.

use Event::{
    Account, Begin, Borrow, Cut, Delete, Forget, Gossip, Leave, Lend, Lose, LoseRecord, Put, Restore, Run,
    Save, Step, Tell,
};
use Node::{Ant, Bat, Cat, Dog};

use super::{dots::Node, event::Event, history::History, mistake::Mistake};

/// A history that ends badly with `mistake`, and well without.
pub fn counter_example(mistake: Mistake) -> History {
    let (nodes, events): (_, &[Event]) = match mistake {
        Mistake::FrontierMergedEarly => (2, &[Put(Ant, 0), Begin(Bat, Ant), Step(Bat, Ant), Step(Ant, Bat)]),
        // The put that the delete superseded is still on its way.
        Mistake::NoProviso => {
            (2, &[Put(Ant, 0), Delete(Ant, 0), Gossip(Ant, 2, Bat), Forget(Bat, 0), Gossip(Ant, 1, Bat)])
        }
        // Bat vouches for the delete without saying that it was forgotten.
        Mistake::FloorsNotMerged => (
            3,
            &[Put(Ant, 0), Gossip(Ant, 1, Cat), Delete(Ant, 0), Forget(Ant, 0), Run(Ant, Bat), Run(Bat, Cat)],
        ),
        Mistake::NoRanges => (2, &[Put(Ant, 0), Gossip(Ant, 1, Bat), Delete(Ant, 0), Forget(Ant, 0)]),
        Mistake::NoNewEpoch => (2, &[Save(Ant), Put(Ant, 0), Gossip(Ant, 1, Bat), Restore(Ant), Put(Ant, 1)]),
        Mistake::BaseLeftOut => (3, BASE),
        // Ant forgets before the put of Cat arrives; Bat does not.
        Mistake::DeletesBesidePutsNotCompared => {
            (3, &[Delete(Ant, 0), Gossip(Ant, 1, Bat), Forget(Ant, 0), Put(Cat, 0)])
        }
        Mistake::SettledAgainstSnapshot => (2, CURRENT_STATE),
        Mistake::MergedOverLateArrivals => (2, LATE_ARRIVAL),
        Mistake::DroppedAtOnce => (3, DROPPED_AT_ONCE),
        Mistake::DroppedAtOnceWithContext => (3, CONTEXT_DROPPED),
        Mistake::AnsweredAfterForgetting => (3, ANSWERED_AFTER_FORGETTING),
        Mistake::FloorDecides => (2, FLOOR_DECIDES),
        Mistake::ForgottenWithoutCounting => (3, FORGOTTEN_WITHOUT_COUNTING),
        Mistake::MergedWithoutCounting => (3, MERGED_WITHOUT_COUNTING),
        Mistake::CountedTooLate => (3, COUNTED_TOO_LATE),
        Mistake::DeadVersionsSupersedeNothing => (4, DEAD_VERSIONS),
        Mistake::LostDotsSwallowed => {
            (2, &[Put(Ant, 0), Gossip(Ant, 1, Bat), Lose(Ant, 1, Ant), Account(Ant)])
        }
        Mistake::SkippedByPosition => (3, BY_POSITION),
        Mistake::ToldBeforeItCame => (3, BEFORE_IT_CAME),
        Mistake::LenderVouchedFor => (3, VOUCHED_FOR),
    };
    History { nodes, events: events.to_vec() }
}

/// Forgotten, and written again with an empty context: what Bat wrote last supersedes its delete (it is
/// of the same origin) and not what that superseded. So Cat vouches for the delete with nothing that
/// would take the put of Ant away.
const BASE: &[Event] = &[
    Put(Ant, 0),
    Gossip(Ant, 1, Bat),
    Delete(Bat, 0),
    Run(Cat, Bat),
    Forget(Bat, 0),
    Put(Bat, 0),
    Gossip(Bat, 2, Cat),
    Run(Ant, Cat),
];

/// Ant sends Cat two writes, and Bat, who has seen the first of them only, brings that: so it has gone past the
/// second without having it.
const BY_POSITION: &[Event] = &[
    Put(Ant, 0),
    Put(Ant, 1),
    Gossip(Ant, 1, Bat),
    Begin(Cat, Ant),
    Step(Cat, Ant),
    Step(Ant, Cat),
    Borrow(Cat, Bat, Ant),
    Lend(Bat, Cat),
    Tell(Cat, Ant),
    Step(Cat, Ant),
    Step(Cat, Ant),
    Run(Ant, Cat),
];

/// Cat tells Ant what Bat is to bring, and then Bat breaks off.
const BEFORE_IT_CAME: &[Event] = &[
    Put(Ant, 0),
    Gossip(Ant, 1, Bat),
    Begin(Cat, Ant),
    Step(Cat, Ant),
    Step(Ant, Cat),
    Borrow(Cat, Bat, Ant),
    Tell(Cat, Ant),
    Step(Cat, Ant),
    Step(Cat, Ant),
    Cut(Cat, Bat),
    Run(Ant, Cat),
];

/// Bat knows a write that Ant does not, and so is not asked for it.
const VOUCHED_FOR: &[Event] = &[
    Put(Ant, 0),
    Put(Bat, 1),
    Begin(Cat, Ant),
    Step(Cat, Ant),
    Step(Ant, Cat),
    Borrow(Cat, Bat, Ant),
    Lend(Bat, Cat),
];

/// Bat deletes and forgets in mid-session what it did not hold when it took its snapshot.
const CURRENT_STATE: &[Event] = &[
    Delete(Bat, 0),
    Forget(Bat, 0),
    Begin(Ant, Bat),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Put(Ant, 0),
    Step(Ant, Bat),
    Gossip(Ant, 1, Bat),
    Delete(Bat, 0),
    Forget(Bat, 0),
    Run(Bat, Ant),
];

/// A deleted put arrives at Bat after Bat took the snapshot of what it compares.
const LATE_ARRIVAL: &[Event] = &[
    Put(Ant, 0),
    Delete(Ant, 0),
    Forget(Ant, 0),
    Begin(Bat, Ant),
    Step(Bat, Ant),
    Step(Ant, Bat),
    Step(Ant, Bat),
    Gossip(Ant, 1, Bat),
    Run(Ant, Bat),
];

/// Ant hears that the second write of Bat is dead, and the exchange breaks off. Now nobody but Bat has
/// the floors, and Ant would vouch to Cat, which holds the first.
const DROPPED_AT_ONCE: &[Event] = &[
    Put(Bat, 0),
    Gossip(Bat, 1, Cat),
    Put(Bat, 0),
    Gossip(Bat, 2, Ant),
    Delete(Bat, 0),
    Put(Bat, 1),
    Gossip(Bat, 4, Ant),
    Delete(Bat, 1),
    Forget(Bat, 0),
    Forget(Bat, 1),
    Begin(Ant, Bat),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Step(Bat, Ant),
    Step(Ant, Bat),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Cut(Ant, Bat),
    Run(Cat, Ant),
];

/// As before; and the first write of Bat comes to Ant, late.
const CONTEXT_DROPPED: &[Event] = &[
    Put(Bat, 0),
    Put(Bat, 0),
    Gossip(Bat, 2, Ant),
    Delete(Bat, 0),
    Put(Bat, 1),
    Gossip(Bat, 4, Ant),
    Delete(Bat, 1),
    Forget(Bat, 0),
    Forget(Bat, 1),
    Begin(Ant, Bat),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Step(Bat, Ant),
    Step(Ant, Bat),
    Step(Ant, Bat),
    Step(Bat, Ant),
    Cut(Ant, Bat),
    Gossip(Bat, 1, Ant),
];

/// Bat said hello with a put that it deletes and forgets before Cat asks about it. With the floors of
/// that hello Cat would vouch to Ant for a version that is nowhere any more.
const ANSWERED_AFTER_FORGETTING: &[Event] = &[
    Delete(Cat, 0),
    Gossip(Cat, 1, Ant),
    Forget(Cat, 0),
    Put(Bat, 0),
    Put(Bat, 0),
    Begin(Bat, Cat),
    Delete(Bat, 0),
    Forget(Bat, 0),
    Gossip(Bat, 1, Ant),
    Run(Bat, Cat),
    Run(Ant, Cat),
];

/// The first write of Ant is lost there, and lies below what was forgotten of another key. Ant still has
/// something to say of its own, and so has not counted when Bat asks.
const FLOOR_DECIDES: &[Event] = &[
    Put(Ant, 0),
    Put(Ant, 1),
    Delete(Ant, 1),
    Forget(Ant, 1),
    Run(Ant, Bat),
    Lose(Ant, 1, Ant),
    Begin(Ant, Bat),
    Step(Ant, Bat),
    Put(Ant, 2),
    Run(Ant, Bat),
];

/// Ant deletes what it has lost, forgets that, and takes it back when it notices.
const FORGOTTEN_WITHOUT_COUNTING: &[Event] =
    &[Put(Bat, 0), Gossip(Bat, 1, Cat), Run(Ant, Cat), Lose(Bat, 1, Ant), Delete(Ant, 0), Forget(Ant, 0)];

/// The same, where the delete was forgotten elsewhere and comes to Ant as a floor.
const MERGED_WITHOUT_COUNTING: &[Event] = &[
    Put(Ant, 0),
    Run(Cat, Ant),
    Run(Ant, Bat),
    LoseRecord(Ant, 0),
    Delete(Bat, 0),
    Forget(Bat, 0),
    Run(Ant, Bat),
    Leave(Bat),
];

/// Cat sends Ant a delta of a snapshot without the put. By then Bat has given it back.
const COUNTED_TOO_LATE: &[Event] = &[
    Delete(Cat, 1),
    Forget(Cat, 1),
    Begin(Cat, Bat),
    Step(Cat, Bat),
    Put(Bat, 0),
    Step(Bat, Cat),
    Step(Cat, Bat),
    Step(Bat, Cat),
    Step(Bat, Cat),
    Gossip(Bat, 1, Cat),
    Lose(Bat, 1, Cat),
    Begin(Cat, Ant),
    Run(Cat, Bat),
    Run(Cat, Ant),
];

/// To Dog the delete of Bat is dead, and what superseded it is lost for ever; then what the delete
/// superseded arrives. Only the delete itself can take it away again.
const DEAD_VERSIONS: &[Event] = &[
    Put(Bat, 0),
    Delete(Bat, 0),
    Gossip(Bat, 2, Dog),
    Put(Dog, 0),
    LoseRecord(Dog, 0),
    Gossip(Bat, 1, Cat),
    Run(Cat, Dog),
];
