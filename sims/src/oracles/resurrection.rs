//! Resurrection: what a node has seen superseded, by a write or a delete, does not come alive there
//! again, however late it arrives, and though the delete was forgotten since.

use super::{Oracle, index::Index, replay::Replay, violation::Findings};
use crate::history::What;

pub(super) const ORACLE: Oracle = Oracle {
    name: "resurrection",
    about: "what a node has seen superseded never comes alive there again, also if it comes late or the delete was forgotten",
    find,
};

fn find(index: &Index<'_>, findings: &mut Findings) {
    // A store that starts again is followed from what it held then.
    let mut replay = Replay::default();
    for event in &index.history.events {
        if let What::Applied { node, local: false, version } = &event.what
            && replay.held(*node, &version.key).is_some_and(|held| held.superseded.covers(version.dot))
        {
            findings.add(event.at, *node, || {
                format!("{:?} of {} is alive, which it had seen superseded", version.dot, version.key)
            });
        }
        replay.read(&event.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracles::fixture::{ANT, BAT, CAT, Fixture};

    #[test]
    fn what_comes_late_must_not_be_applied() {
        let mut late = Fixture::new();
        let old = late.put(ANT, "nest");
        late.apply(BAT, old, false);
        let gone = late.delete(BAT, "nest");
        late.apply(CAT, gone, false);
        assert_eq!(late.judge(&ORACLE), vec![]);
        late.doctored(&ORACLE, "had seen superseded", |doctored| {
            let (.., version) = doctored.applied().find(|(.., version)| version.dot == old).unwrap();
            let version = version.clone();
            doctored.say(What::Applied { node: CAT, local: false, version });
        });
    }
}
