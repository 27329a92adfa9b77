//! A ledger that takes in what one neighbour sends, and meanwhile single versions of a second one, from the latest
//! down: cut anywhere, it ends as if each had come alone.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::{
    Ledger, View,
    exchange_tests::{self, End, exchange, root},
    ledger_tests::{Replica, ns},
};
use crate::{
    causality::{Dot, Hlc, SeenSet},
    conflict::Version,
    reconcile::Input,
    wire::Way,
};

const NAMES: [&str; 4] = ["ant", "bat", "cat", "dog"];

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Delete(usize, usize),
    Send(usize, usize),
    Forget(usize),
    Exchange(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..3_usize;
    let key = 0..NAMES.len();
    prop_oneof![
        6 => (at.clone(), key.clone()).prop_map(|(at, key)| Step::Put(at, key)),
        2 => (at.clone(), key).prop_map(|(at, key)| Step::Delete(at, key)),
        4 => (at.clone(), any::<prop::sample::Index>()).prop_map(|(at, nth)| Step::Send(at, nth.index(64))),
        1 => at.clone().prop_map(Step::Forget),
        1 => (at.clone(), at).prop_map(|(a, b)| Step::Exchange(a, b)),
    ]
}

/// The newcomer, the one that sends all, the one that lends; and all that was written.
struct World {
    replicas: Vec<Replica>,
    written: Vec<Version>,
}

impl World {
    fn after(steps: &[Step]) -> Self {
        let mut world = Self { replicas: (1..=3).map(Replica::new).collect(), written: Vec::new() };
        for step in steps {
            world.step(step);
        }
        world
    }

    fn step(&mut self, step: &Step) {
        let Self { replicas, written } = self;
        match *step {
            Step::Put(at, key) => replicas[at].write(NAMES[key], Some("worm")),
            Step::Delete(at, key) => replicas[at].write(NAMES[key], None),
            Step::Send(at, nth) => {
                if let Some(version) = written.get(nth % written.len().max(1)).cloned() {
                    replicas[at].ledger.receive(&ns(), version, None).unwrap();
                }
            }
            Step::Forget(at) => {
                replicas[at].ledger.forget(&ns(), Hlc(u64::MAX >> 1), None, 100).unwrap();
            }
            Step::Exchange(a, b) if a != b => {
                let [a, b] = replicas.get_disjoint_mut([a, b]).unwrap();
                exchange(a, b, &[]);
            }
            Step::Exchange(..) => {}
        }
        for replica in replicas {
            replica.commit(written);
        }
    }

    /// The same, once more.
    fn twin(&self) -> Self {
        let replicas = self.replicas.iter().map(|replica| {
            let store = replica.store.copy();
            let (ledger, _) = Ledger::open(Arc::new(store.clone()), replica.origin, &[ns()]).unwrap();
            let clock = replica.clock;
            Replica { store, ledger, clock, origin: replica.origin, written: Vec::new() }
        });
        Self { replicas: replicas.collect(), written: self.written.clone() }
    }

    /// Exchanges of all with all, until they agree. What is held then, and the seen set.
    fn settled(mut self) -> ([u8; 32], SeenSet) {
        for _ in 0..4 {
            for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                let [a, b] = self.replicas.get_disjoint_mut([a, b]).unwrap();
                exchange(a, b, &[]);
            }
        }
        let roots: Vec<_> = self.replicas.iter().map(root).collect();
        assert!(roots.iter().all(|one| *one == roots[0]), "they agree");
        (roots[0], self.replicas[0].seen())
    }
}

/// What a second neighbour sends, from its snapshot.
struct Loan {
    view: View,
    wanted: SeenSet,
    before: Option<Dot>,
    over: bool,
}

impl Loan {
    fn begin(lender: &Replica, wanted: SeenSet) -> Self {
        Self { view: lender.ledger.reader().view(), wanted, before: None, over: false }
    }

    /// One page of it is stored.
    fn lend(&mut self, to: &mut Replica, count: usize) {
        if self.over {
            return;
        }
        let page = self.view.versions_down(&ns(), &self.wanted, self.before, count, usize::MAX).unwrap();
        for version in page.versions {
            to.ledger.receive(&ns(), version, None).unwrap();
        }
        to.commit(&mut Vec::new());
        (self.before, self.over) = (page.next, page.next.is_none());
    }
}

/// One thing that happens in a fill.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Main(bool),
    Lend(usize),
    Tell,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        8 => any::<bool>().prop_map(Turn::Main),
        2 => (1..4_usize).prop_map(Turn::Lend),
        2 => Just(Turn::Tell),
    ]
}

/// The first is sent to by the second, and lent to by the third; until the turns are over, or to its end.
fn fill(world: &mut World, turns: &[Turn], to_the_end: bool) -> bool {
    let [here, main, lender] = world.replicas.get_disjoint_mut([0, 1, 2]).unwrap();
    let wanted = main.seen().difference(&here.seen());
    let mut loan = Loan::begin(lender, wanted);
    let mut ends = [End::new(here, 7, Way::Both), End::new(main, 3, Way::Both)];
    // So that much is told before all is sent.
    ends.iter_mut().for_each(|end| end.page_versions = 1);
    let rest = (0..100_000).map(|n| match n % 7 {
        5 => Turn::Lend(1),
        6 => Turn::Tell,
        n => Turn::Main(n % 2 == 0),
    });
    for turn in turns.iter().copied().chain(rest.take_while(|_| to_the_end)) {
        match turn {
            Turn::Lend(count) => loan.lend(here, count),
            Turn::Tell => ends[0].handle(here, Input::Got(here.seen())),
            Turn::Main(first) => {
                let (side, replica) = if first { (0, &mut *here) } else { (1, &mut *main) };
                // What came is read before more is sent.
                let _did_something = ends[side].read(replica) || ends[side].act(replica);
            }
        }
        End::carry(&mut ends);
        if ends.iter().all(|end| end.report.is_some()) {
            break;
        }
    }
    for (end, replica) in ends.iter().zip([here, main]) {
        end.close(replica);
    }
    ends.iter().all(|end| end.report.is_some())
}

proptest! {
    #[test]
    fn what_a_second_neighbour_brings_meanwhile_changes_nothing_of_how_it_ends(
        steps in vec(step(), 1..60),
        cuts in vec(vec(turn(), 0..60), 0..3),
        turns in vec(turn(), 0..60),
        meanwhile in vec(step(), 0..8),
        history in 0..3_usize,
    ) {
        let mut world = World::after(&steps);
        let twin = world.twin();
        world.replicas.iter_mut().for_each(|replica| replica.ledger.keep_history(history));
        for turns in cuts {
            fill(&mut world, &turns, false);
        }
        prop_assert!(fill(&mut world, &turns, true), "it comes to its end");
        prop_assert_eq!(world.twin().settled(), twin.settled());
        // And writes that go on do no harm: all still agree in the end.
        meanwhile.iter().for_each(|step| world.step(step));
        world.settled();
    }
}

/// What the second neighbour brought does not come again, and nothing that it lacks is left out.
#[test]
fn a_page_of_the_first_neighbour_leaves_out_what_the_second_one_brought() {
    let mut world = World::after(&[]);
    let [here, main, lender] = world.replicas.get_disjoint_mut([0, 1, 2]).unwrap();
    exchange_tests::fill(main, "ant", 6_000);
    for version in
        main.ledger.reader().view().versions(&ns(), &main.seen(), None, 9_999, usize::MAX).unwrap().versions
    {
        // It lacks one of the latest.
        if version.dot.seq != 5_900 {
            lender.ledger.receive(&ns(), version, None).unwrap();
        }
    }
    lender.commit(&mut Vec::new());
    let mut loan = Loan::begin(lender, main.seen());
    let mut ends = [End::new(here, 7, Way::Both), End::new(main, 3, Way::Both)];
    End::carry(&mut ends);
    ends[1].act(main);
    End::carry(&mut ends);
    // Hello, and what the neighbour has seen.
    ends[0].act(here);
    ends[0].act(here);
    loan.lend(here, 4_000);
    ends[0].handle(here, Input::Got(here.seen()));
    End::carry(&mut ends);
    // What is lacking here, two pages, and what need not come: no page is on its way before that.
    while ends[1].act(main) {}
    while ends.iter().any(|end| end.report.is_none()) {
        End::carry(&mut ends);
        ends[0].act(here);
        ends[1].act(main);
    }
    let sent = ends[1].report.as_ref().unwrap().versions_out;
    assert_eq!(sent, 2_000, "of 6000, 4000 of which came from elsewhere");
    assert_eq!(root(here), root(main));
}
