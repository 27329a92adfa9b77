use super::*;
use crate::causality::{Dot, NodeId, Origin};

const AGE_MAX: Duration = Duration::from_secs(60);

fn seen(writer: u8, count: u64) -> SeenSet {
    let mut seen = SeenSet::new();
    seen.insert_range(Origin { node: NodeId([writer; 32]), epoch: 1 }, 1, count);
    seen
}

fn ours(seen: &SeenSet) -> Ours {
    Ours { seen: seen.clone(), tag: seen.tag(), settled: true }
}

fn state(standing: &Standing, ours: &Ours, reachable: bool) -> Agreement {
    standing.judge(Namespace::default(), ours, reachable, AGE_MAX).state
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_may_make_a_match_old_ends_it() {
    let (held, more) = (seen(1, 5), seen(1, 6));
    let mut standing = Standing::default();
    assert_eq!(state(&standing, &ours(&held), true), Agreement::Unknown, "never compared");
    standing.matched(held.tag(), &held, 7);
    let told = standing.judge(Namespace::default(), &ours(&held), true, AGE_MAX);
    assert_eq!((told.state, told.in_sync), (Agreement::InSync, Some(true)));
    assert_eq!((told.behind, told.ahead, told.matched_at, told.since), (Some(0), Some(0), Some(7), Some(7)));

    assert_eq!(state(&standing, &ours(&held), false), Agreement::Unknown, "it is away");
    let unsettled = Ours { settled: false, ..ours(&held) };
    assert_eq!(state(&standing, &unsettled, true), Agreement::Unknown, "something heard is not stored");
    let told = standing.judge(Namespace::default(), &ours(&more), true, AGE_MAX);
    assert_eq!((told.state, told.ahead, told.since), (Agreement::Unknown, Some(1), None), "a write here");
    let mut doubted = standing.clone();
    doubted.doubt();
    assert_eq!(state(&doubted, &ours(&held), true), Agreement::Unknown, "something heard was shed");
    let mut told = standing.clone();
    told.differs(held.tag(), 8);
    assert_eq!(state(&told, &ours(&held), true), Agreement::Behind, "it says so");
    assert_eq!(state(&told, &ours(&more), true), Agreement::Unknown, "it said so of another state");
    tokio::time::advance(AGE_MAX + Duration::from_secs(1)).await;
    assert_eq!(state(&standing, &ours(&held), true), Agreement::Unknown, "too long ago");
    standing.matched(held.tag(), &held, 9);
    let told = standing.judge(Namespace::default(), &ours(&held), true, AGE_MAX);
    assert_eq!((told.matched_at, told.since), (Some(9), Some(7)), "it never stopped being so");
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_has_shown_counts_until_it_is_here() {
    let (held, shown) = (seen(1, 5), seen(2, 3));
    let mut standing = Standing::default();
    standing.show(&shown);
    standing.differs(held.tag(), 1);
    let told = standing.judge(Namespace::default(), &ours(&held), true, AGE_MAX);
    assert_eq!((told.in_sync, told.behind, told.ahead), (Some(false), Some(3), Some(5)));
    assert_eq!(standing.lacking(&held), shown);
    let mut both = held;
    both.union(&shown);
    let told = standing.judge(Namespace::default(), &ours(&both), true, AGE_MAX);
    assert_eq!((told.in_sync, told.behind), (None, Some(0)), "what it makes of ours is not known yet");
}

/// A peer whose words take their time, and overtake each other where they come on different streams,
/// beside one who knows what both hold.
#[derive(Default)]
struct Play {
    dice: u64,
    here: SeenSet,
    there: SeenSet,
    connected: bool,
    now: u64,
    standing: Standing,
    /// How often the peer has spoken.
    said: u64,
    beacons: Vec<(u64, SeenSet)>,
    hellos: Vec<(u64, SeenSet)>,
    exchange: Option<Exchange>,
    /// What the peer said last of all that has come, on this connection.
    truth: Option<(u64, SeenSet)>,
}

/// An exchange that is under way, and the hello of the peer, once it has come.
struct Exchange {
    snapshot: SeenSet,
    mark: Mark,
    hello: Option<(u64, SeenSet)>,
}

impl Play {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    fn say(&mut self) -> (u64, SeenSet) {
        self.said += 1;
        (self.said, self.there.clone())
    }

    fn came(&mut self, word: (u64, SeenSet)) {
        if self.truth.as_ref().is_none_or(|(newest, _)| *newest < word.0) {
            self.truth = Some(word);
        }
    }

    async fn step(&mut self, step: u64) {
        let write = |writer| Dot::new(Origin { node: NodeId([writer; 32]), epoch: 1 }, step + 1);
        match self.roll(12) {
            0 => drop(self.here.insert(write(1))),
            1 => drop(self.there.insert(write(2))),
            2 | 3 => {
                self.here.union(&self.there);
                self.there = self.here.clone();
            }
            4 => self.connect_or_part(),
            5 => {
                let wait = self.roll(40);
                self.now += wait * 1_000;
                tokio::time::advance(Duration::from_secs(wait)).await;
            }
            _ if !self.connected => {}
            6 => {
                let word = self.say();
                self.beacons.push(word);
            }
            7 => {
                let word = self.say();
                self.hellos.push(word);
            }
            8 => self.beacon_comes(),
            9 if self.exchange.is_none() => self.exchange_begins(),
            10 if self.exchange.is_none() => self.hello_comes_unasked(),
            _ => self.exchange_goes_on(),
        }
    }

    fn connect_or_part(&mut self) {
        self.connected = !self.connected;
        self.standing.doubt();
        (self.truth, self.exchange) = (None, None);
        (self.beacons, self.hellos) = (Vec::new(), Vec::new());
    }

    fn beacon_comes(&mut self) {
        if self.beacons.is_empty() {
            return;
        }
        let (number, word) = self.beacons.remove(0);
        let tag = self.here.tag();
        if word != self.here {
            self.standing.differs(tag, self.now);
        } else if self.exchange.is_none() {
            self.standing.matched(tag, &self.here, self.now);
        }
        self.came((number, word));
    }

    fn exchange_begins(&mut self) {
        let (snapshot, mark) = (self.here.clone(), self.standing.mark());
        self.exchange = Some(Exchange { snapshot, mark, hello: None });
    }

    /// A hello that nobody asked for, which may be older than beacons that have come.
    fn hello_comes_unasked(&mut self) {
        if self.hellos.is_empty() {
            return;
        }
        let word = self.hellos.remove(0);
        let mark = self.standing.hello_unasked();
        self.came(word.clone());
        // Refused, or taken up.
        if self.roll(4) > 0 {
            let snapshot = self.here.clone();
            self.exchange = Some(Exchange { snapshot, mark, hello: Some(word) });
        }
    }

    /// The peer answers, or it ends, well or broken.
    fn exchange_goes_on(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        let Some((number, word)) = exchange.hello.take() else {
            let word = self.say();
            exchange.mark = self.standing.hello(exchange.mark);
            self.came(word.clone());
            exchange.hello = Some(word);
            self.exchange = Some(exchange);
            return;
        };
        // What was said before the hello comes before the end of the exchange.
        self.exchange = Some(exchange);
        while self.beacons.first().is_some_and(|(other, _)| *other < number) {
            self.beacon_comes();
        }
        let Some(Exchange { snapshot, mark, .. }) = self.exchange.take() else { return };
        if self.roll(4) == 0 {
            return;
        }
        if word == snapshot {
            self.standing.confirmed(mark, snapshot.tag(), &snapshot, self.now);
        } else {
            self.standing.show(&word);
            self.standing.differs(snapshot.tag(), self.now);
        }
    }

    /// Whether it says that both are in sync; then the last word was just that.
    fn judge(&self) -> bool {
        let told = self.standing.judge(Namespace::default(), &ours(&self.here), self.connected, AGE_MAX);
        if told.in_sync != Some(true) {
            return false;
        }
        let (_, word) = self.truth.as_ref().expect("it has spoken on this connection");
        assert_eq!(word, &self.here, "its last word was another");
        let at = told.matched_at.expect("a match");
        assert!(self.now - at <= 60_000 && self.connected);
        true
    }
}

#[tokio::test(start_paused = true)]
async fn in_sync_is_never_said_of_what_has_changed_since() {
    let mut agreed = 0_u32;
    for seed in 1..=2_000_u64 {
        let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut play = Play { dice, connected: true, ..Play::default() };
        for step in 0..80 {
            play.step(step).await;
            agreed += u32::from(play.judge());
        }
    }
    assert!(agreed > 2_000, "it is said often enough to mean something: {agreed}");
}

#[test]
fn what_an_exchange_finds_counts_only_if_nothing_else_was_said_since_it_began() {
    let held = seen(1, 5);
    let said = |between: fn(&mut Standing), after: fn(&mut Standing)| {
        let mut standing = Standing::default();
        let mark = standing.mark();
        between(&mut standing);
        let mark = standing.hello(mark);
        after(&mut standing);
        standing.confirmed(mark, held.tag(), &held, 1);
        state(&standing, &ours(&held), true)
    };
    let nothing = |_: &mut Standing| ();
    let differs = |told: &mut Standing| told.differs(3, 0);
    assert_eq!(said(nothing, nothing), Agreement::InSync);
    assert_eq!(said(differs, nothing), Agreement::Unknown, "a beacon may be newer than the hello");
    assert_eq!(said(nothing, differs), Agreement::Unknown, "a beacon came after it");
    assert_eq!(said(nothing, Standing::doubt), Agreement::Unknown, "something was shed");
}

#[test]
fn a_hello_ends_a_match_whatever_becomes_of_its_exchange() {
    let held = seen(1, 5);
    let mut standing = Standing::default();
    standing.matched(held.tag(), &held, 1);
    let mark = standing.hello_unasked();
    assert_eq!(state(&standing, &ours(&held), true), Agreement::Unknown, "it broke off");
    standing.confirmed(mark, held.tag(), &held, 2);
    assert_eq!(state(&standing, &ours(&held), true), Agreement::InSync, "it ended, and both were equal");
    standing.differs(held.tag(), 3);
    let mark = standing.hello_unasked();
    standing.confirmed(mark, held.tag(), &held, 4);
    assert_eq!(state(&standing, &ours(&held), true), Agreement::Unknown, "it may be older than that word");
}
