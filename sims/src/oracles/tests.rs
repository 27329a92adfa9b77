//! What holds of all oracles together. Each has doctored histories in its own file.

use std::time::Instant;

use super::{
    VIOLATIONS_MAX, all,
    fixture::{ANT, Fixture, millis},
    judge,
};
use crate::history::What;

#[test]
fn all_is_well_in_a_lawful_history() {
    let lawful = Fixture::lawful();
    assert_eq!(judge(&lawful.plan, &lawful.history), vec![]);
    assert_eq!(judge(&lawful.plan, &crate::history::History::default()), vec![], "and in an empty one");
}

#[test]
fn names_are_unique_and_every_oracle_says_what_it_is_about() {
    let mut names: Vec<_> = all().iter().map(|oracle| oracle.name).collect();
    assert!(all().iter().all(|oracle| oracle.about.len() > 20));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().len());
}

#[test]
fn a_violation_says_who_found_what_when_and_where() {
    let mut doctored = Fixture::lawful();
    doctored.forget(|what| matches!(what, What::Agreed));
    let found = judge(&doctored.plan, &doctored.history);
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("convergence at 1m 29s"), "{}", found[0]);
    let json = serde_json::to_string(&found).expect("plain");
    assert!(json.starts_with(r#"[{"oracle":"convergence","at":"1m 29s"#), "{json}");
}

#[test]
fn many_violations_of_one_kind_are_counted_not_told() {
    let mut doctored = Fixture::lawful();
    let read =
        doctored.history.events.iter().find(|event| matches!(event.what, What::Read { found: Some(_), .. }));
    let mut read = read.expect("a read").what.clone();
    let What::Read { found: Some((_, value)), .. } = &mut read else { panic!("a read") };
    *value = [99; 32];
    (0..30).for_each(|_| doctored.say(read.clone()));
    let found = doctored.judge(&all()[0]);
    assert_eq!(found.len(), VIOLATIONS_MAX + 1);
    assert_eq!(found.last().map(|last| last.text.as_str()), Some("and 10 more of this kind"));
}

#[test]
fn a_long_history_is_judged_in_time_that_grows_with_its_length() {
    let history = |writes: u32| {
        let mut fixture = Fixture::new();
        for number in 0..writes {
            let value = blake3::hash(&number.to_le_bytes());
            let dot = fixture.commit(ANT, &format!("key/{}", number % 100), Some(*value.as_bytes()));
            fixture.spread(dot);
        }
        fixture.plan.expect.max_latency = Some(millis(100));
        fixture.agree();
        fixture
    };
    let time = |writes| {
        let fixture = history(writes);
        let started = Instant::now();
        assert_eq!(judge(&fixture.plan, &fixture.history), vec![]);
        started.elapsed()
    };
    let (short, long) = (time(2_000), time(20_000));
    assert!(long < short * 40 + millis(200), "{short:?} for one length, {long:?} for ten");
}
