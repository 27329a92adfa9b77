//! What each clause of the rules is for, by name.

use super::{counter_examples::counter_example, mistake::Mistake};

fn shows(mistake: Mistake) {
    let history = counter_example(mistake);
    assert_eq!(history.play(None), Ok(()), "as the rules stand");
    assert!(history.play(Some(mistake)).is_err(), "{mistake:?} goes unnoticed");
}

#[test]
fn a_frontier_is_merged_last() {
    shows(Mistake::FrontierMergedEarly);
}

#[test]
fn nothing_is_forgotten_over_a_gap() {
    shows(Mistake::NoProviso);
}

#[test]
fn floors_travel_with_frontiers() {
    shows(Mistake::FloorsNotMerged);
}

#[test]
fn what_was_forgotten_is_found_by_ranges() {
    shows(Mistake::NoRanges);
}

#[test]
fn a_restored_replica_begins_a_new_epoch() {
    shows(Mistake::NoNewEpoch);
}

#[test]
fn a_write_supersedes_the_base() {
    shows(Mistake::BaseLeftOut);
}

#[test]
fn deletes_beside_a_put_are_compared() {
    shows(Mistake::DeletesBesidePutsNotCompared);
}

#[test]
fn claims_are_settled_against_the_current_state() {
    shows(Mistake::SettledAgainstSnapshot);
}

#[test]
fn no_frontier_is_merged_over_late_arrivals() {
    shows(Mistake::MergedOverLateArrivals);
}

#[test]
fn what_is_dead_is_dropped_together_with_the_merge_of_floors() {
    shows(Mistake::DroppedAtOnce);
}

#[test]
fn where_it_is_dropped_at_once_the_context_is_kept() {
    shows(Mistake::DroppedAtOnceWithContext);
}

#[test]
fn who_forgot_since_its_hello_does_not_say_dead() {
    shows(Mistake::AnsweredAfterForgetting);
}

#[test]
fn the_dead_set_decides_and_no_floor() {
    shows(Mistake::FloorDecides);
}

#[test]
fn a_sweep_counts_before_it_forgets() {
    shows(Mistake::ForgottenWithoutCounting);
}

#[test]
fn a_replica_counts_before_it_merges_floors_after_ranges() {
    shows(Mistake::MergedWithoutCounting);
}

#[test]
fn a_sender_counts_what_its_snapshot_held() {
    shows(Mistake::CountedTooLate);
}

#[test]
fn a_dead_version_still_supersedes() {
    shows(Mistake::DeadVersionsSupersedeNothing);
}

#[test]
fn what_a_second_neighbour_has_gone_past_is_not_what_it_has_brought() {
    shows(Mistake::SkippedByPosition);
}

#[test]
fn a_first_neighbour_is_told_of_what_has_come_and_not_of_what_is_under_way() {
    shows(Mistake::ToldBeforeItCame);
}

#[test]
fn a_second_neighbour_vouches_for_nothing() {
    shows(Mistake::LenderVouchedFor);
}

#[test]
fn what_was_lost_comes_back_past_the_context() {
    shows(Mistake::LostDotsSwallowed);
}
