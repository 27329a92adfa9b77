//! The dialer under a clock and dice of the test's own.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const ANT: NodeId = NodeId([1; 32]);
const BAT: NodeId = NodeId([2; 32]);
const CAT: NodeId = NodeId([3; 32]);

struct Dice(AtomicU64);

impl Entropy for Dice {
    fn bits(&self) -> u64 {
        let old = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        (old ^ (old >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
    }
}

struct Bench {
    dialer: Dialer,
    dice: Dice,
    now: Duration,
}

const RULES: Rules = Rules {
    degree_low: 2,
    degree_high: 4,
    dials_max: 3,
    backoff_max: Duration::from_secs(60),
    backoff_kept_max: Duration::from_secs(1),
    exchange: true,
};

impl Bench {
    fn new(own: NodeId, rules: Rules) -> Self {
        Self { dialer: Dialer::new(own, rules), dice: Dice(AtomicU64::new(1)), now: Duration::ZERO }
    }

    fn tell(&mut self, input: Input) -> Vec<Dial> {
        self.dialer.handle(self.now, &self.dice, input)
    }

    fn found(&mut self, peer: NodeId, source: Source) -> Vec<Dial> {
        self.tell(Input::Found { peer, addresses: vec![address(u16::from(peer.0[0]))], source })
    }

    fn keep(&mut self, text: &str) -> Vec<Dial> {
        self.tell(Input::Keep { address: text.parse().unwrap(), eager: false })
    }

    fn connect(&mut self, peer: NodeId, dial: Option<DialId>) -> Vec<Dial> {
        self.tell(Input::Connected { peer, address: address(u16::from(peer.0[0])), dial })
    }

    fn fail(&mut self, dial: DialId, fault: Fault) -> Vec<Dial> {
        self.tell(Input::Failed { dial, fault })
    }

    /// Lets time pass up to the next dial, if there is one within `limit`.
    fn next_dial(&mut self, limit: Duration) -> Option<(Duration, Dial)> {
        let begun = self.now;
        while let Some(at) = self.dialer.next_wake(self.now).filter(|at| *at <= begun + limit) {
            assert!(at > self.now, "a wake in the past would spin");
            self.now = at;
            if let Some(dial) = self.tell(Input::Wake).pop() {
                return Some((self.now.saturating_sub(begun), dial));
            }
        }
        self.now = begun + limit;
        None
    }
}

fn address(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_lower_of_two_dials_at_once_and_the_higher_waits() {
    for source in [Source::Mdns, Source::SameHost, Source::Exchange] {
        let mut ant = Bench::new(ANT, RULES);
        let dials = ant.found(BAT, source);
        assert_eq!(dials.len(), 1, "{source:?}");
        assert_eq!((dials[0].peer, &dials[0].addresses), (Some(BAT), &vec![address(2)]));

        let mut bat = Bench::new(BAT, RULES);
        assert_eq!(bat.found(ANT, source), []);
        let (after, dial) = bat.next_dial(secs(3)).unwrap();
        assert!(after >= Duration::from_millis(300) && after <= secs(2), "{source:?} {after:?}");
        assert_eq!(dial.peer, Some(ANT));
    }
}

#[test]
fn whoever_connects_meanwhile_is_not_dialled() {
    let mut bat = Bench::new(BAT, RULES);
    bat.found(ANT, Source::Mdns);
    bat.connect(ANT, None);
    assert_eq!(bat.next_dial(secs(600)), None);
}

#[test]
fn an_address_without_an_id_is_dialled_at_once_and_its_tenant_kept() {
    let mut bat = Bench::new(BAT, Rules { exchange: false, ..RULES });
    let dial = bat.keep("/ip4/127.0.0.1/tcp/1").pop().unwrap();
    assert_eq!((dial.peer, &dial.addresses), (None, &vec![address(1)]));
    bat.connect(ANT, Some(dial.id));
    assert_eq!(bat.next_dial(secs(600)), None);
    bat.tell(Input::Disconnected(ANT));
    let (after, dial) = bat.next_dial(secs(3)).unwrap();
    assert_eq!((dial.peer, &dial.addresses), (Some(ANT), &vec![address(1)]));
    assert!(after < secs(1), "{after:?}");
}

#[test]
fn a_new_tenant_of_a_kept_address_is_found() {
    let mut ant = Bench::new(ANT, Rules { exchange: false, ..RULES });
    let dial = ant.keep("/ip4/127.0.0.1/tcp/2").pop().unwrap();
    ant.connect(BAT, Some(dial.id));
    ant.tell(Input::Disconnected(BAT));
    let (_, dial) = ant.next_dial(secs(3)).unwrap();
    assert_eq!(dial.peer, Some(BAT));
    ant.fail(dial.id, Fault::Stranger);
    let (_, dial) = ant.next_dial(secs(3)).unwrap();
    assert_eq!((dial.peer, &dial.addresses), (None, &vec![address(2)]));
    ant.connect(CAT, Some(dial.id));
    assert_eq!(ant.next_dial(secs(600)), None, "the old tenant is forgotten");
}

#[test]
fn a_kept_address_is_recognized_when_its_tenant_dials_in() {
    let mut ant = Bench::new(ANT, RULES);
    let dial = ant.keep("/ip4/127.0.0.1/tcp/2").pop().unwrap();
    ant.fail(dial.id, Fault::Unreachable);
    ant.connect(BAT, None);
    ant.found(BAT, Source::Identify);
    assert_eq!(ant.next_dial(secs(600)), None);
}

#[test]
fn ones_own_address_is_dialled_once() {
    let mut ant = Bench::new(ANT, RULES);
    let dial = ant.keep("/ip4/127.0.0.1/tcp/1").pop().unwrap();
    ant.fail(dial.id, Fault::Ourselves);
    assert_eq!(ant.next_dial(secs(600)), None);
    assert_eq!(ant.keep(&format!("/ip4/127.0.0.1/tcp/1/p2p/{ANT}")), []);
    assert_eq!(ant.found(ANT, Source::SameHost), []);
}

#[test]
fn found_peers_are_dialled_only_while_there_are_few() {
    let mut ant = Bench::new(ANT, RULES);
    let dials: Vec<_> = (2..40).flat_map(|n| ant.found(NodeId([n; 32]), Source::Exchange)).collect();
    assert_eq!(dials.len(), 2);
    for dial in dials {
        ant.connect(dial.peer.unwrap(), Some(dial.id));
    }
    assert_eq!(ant.next_dial(secs(3600)), None);
    ant.keep(&format!("/ip4/127.0.0.1/tcp/99/p2p/{}", NodeId([99; 32])));
    assert_eq!(ant.dialer.dials.len(), 1, "asked for is asked for");
}

#[test]
fn saturated_groups_that_find_each_other_grow_together_up_to_the_upper_degree() {
    let mut ant = Bench::new(ANT, RULES);
    for n in 100..102 {
        ant.connect(NodeId([n; 32]), None);
    }
    ant.tell(Input::Wake);
    let mut dialled = 0;
    for n in 2..20 {
        ant.found(NodeId([n; 32]), Source::Mdns);
    }
    while let Some((_, dial)) = ant.next_dial(secs(60)) {
        dialled += 1;
        ant.connect(dial.peer.unwrap(), Some(dial.id));
    }
    assert_eq!(dialled, 2);
}

#[test]
fn without_exchange_only_those_asked_for_are_dialled() {
    let mut ant = Bench::new(ANT, Rules { exchange: false, ..RULES });
    for source in [Source::SameHost, Source::Mdns, Source::Identify, Source::Exchange, Source::Book] {
        assert_eq!(ant.found(BAT, source), []);
    }
    assert_eq!(ant.next_dial(secs(3600)), None);
}

#[test]
fn who_was_asked_for_is_dialled_every_second_and_who_was_found_ever_more_seldom() {
    let mut ant = Bench::new(ANT, Rules { degree_low: 100, degree_high: 100, ..RULES });
    let kept = |bench: &mut Bench| bench.keep(&format!("/ip4/127.0.0.1/tcp/2/p2p/{BAT}")).pop();
    for (mut dial, longest) in
        [(kept(&mut ant), secs(1)), (ant.found(NodeId([3; 32]), Source::Book).pop(), secs(60))]
    {
        let mut waits = Vec::new();
        for _ in 0..40 {
            let failed = dial.take().unwrap();
            assert_eq!(ant.fail(failed.id, Fault::Unreachable), []);
            let (wait, next) = ant.next_dial(secs(61)).unwrap();
            waits.push(wait);
            dial = Some(next);
        }
        let last = waits.split_off(30);
        assert!(last.iter().all(|wait| *wait >= longest / 2 && *wait <= longest), "{last:?} of {longest:?}");
        ant.tell(Input::Block(dial.unwrap().peer.unwrap()));
    }
}

#[test]
fn those_that_never_answer_do_not_take_the_dials_of_others() {
    let mut ant = Bench::new(ANT, RULES);
    let mut under_way: Vec<Dial> = Vec::new();
    for n in 2..14 {
        under_way.extend(ant.keep(&format!("/ip4/127.0.0.1/tcp/{n}/p2p/{}", NodeId([n; 32]))));
    }
    let mut dialled = BTreeSet::new();
    for _ in 0..24 {
        // Each is found not to answer after ten seconds.
        ant.now += secs(10) / 3;
        let silent = under_way.remove(0);
        dialled.extend(silent.peer);
        under_way.extend(ant.fail(silent.id, Fault::Unreachable));
        under_way.extend(ant.tell(Input::Wake));
    }
    assert_eq!(dialled.len(), 12, "all have been tried");
}

#[test]
fn dials_under_way_are_bounded() {
    let mut ant = Bench::new(ANT, Rules { degree_low: 100, degree_high: 100, ..RULES });
    let dials: Vec<_> = (2..40).flat_map(|n| ant.found(NodeId([n; 32]), Source::Book)).collect();
    assert_eq!(dials.len(), 3);
    assert_eq!(ant.dialer.next_wake(ant.now), None);
    assert_eq!(ant.connect(dials[0].peer.unwrap(), Some(dials[0].id)).len(), 1);
}

#[test]
fn blocked_peers_are_left_alone_until_they_are_let_in_again() {
    let mut ant = Bench::new(ANT, RULES);
    ant.tell(Input::Block(BAT));
    assert_eq!(ant.keep(&format!("/ip4/127.0.0.1/tcp/2/p2p/{BAT}")), []);
    assert_eq!(ant.next_dial(secs(3600)), None);
    assert_eq!(ant.tell(Input::Unblock(BAT)).len(), 1);
}

#[test]
fn a_refused_peer_is_not_dialled_again_soon() {
    let mut ant = Bench::new(ANT, RULES);
    let dial = ant.found(BAT, Source::Mdns).pop().unwrap();
    ant.connect(BAT, Some(dial.id));
    ant.tell(Input::Refuse(BAT));
    ant.tell(Input::Disconnected(BAT));
    let (after, _) = ant.next_dial(secs(600)).unwrap();
    assert!(after >= secs(59), "{after:?}");
}

#[test]
fn a_peer_that_moved_is_dialled_at_its_new_address_without_waiting() {
    let mut ant = Bench::new(ANT, RULES);
    let mut dial = ant.found(BAT, Source::SameHost).pop().unwrap();
    for _ in 0..20 {
        ant.fail(dial.id, Fault::Unreachable);
        dial = ant.next_dial(secs(61)).unwrap().1;
    }
    ant.fail(dial.id, Fault::Unreachable);
    let moved = Input::Found { peer: BAT, addresses: vec![address(77)], source: Source::SameHost };
    assert_eq!(ant.tell(moved)[0].addresses, [address(77)]);
}
