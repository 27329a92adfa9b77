//! Random histories, each with a temper of its own: what is rare in one is all that another does.

use std::iter::repeat_n;

use super::{
    dice::Dice,
    dots::{Node, SEQ_MAX},
    event::Event,
    mistake::Mistake,
    version::KEYS,
    world::World,
};

/// What can be drawn, as kinds of events.
#[derive(Clone, Copy)]
enum Kind {
    Put,
    Delete,
    Gossip,
    Begin,
    Step,
    Run,
    Cut,
    Borrow,
    Lend,
    Tell,
    Forget,
    Save,
    Restore,
    Join,
    Leave,
    Lose,
    LoseRecord,
    Account,
}

/// What a mesh does, and how often.
const KINDS: [(Kind, usize); 15] = [
    (Kind::Put, 8),
    (Kind::Delete, 6),
    (Kind::Gossip, 8),
    (Kind::Begin, 5),
    (Kind::Step, 30),
    (Kind::Run, 5),
    (Kind::Cut, 1),
    (Kind::Borrow, 4),
    (Kind::Lend, 8),
    (Kind::Tell, 4),
    (Kind::Forget, 8),
    (Kind::Save, 2),
    (Kind::Restore, 1),
    (Kind::Join, 1),
    (Kind::Leave, 1),
];

const DENSE: [(Kind, usize); 10] = [
    (Kind::Put, 4),
    (Kind::Delete, 4),
    (Kind::Gossip, 8),
    (Kind::Begin, 3),
    (Kind::Step, 12),
    (Kind::Run, 2),
    (Kind::Borrow, 2),
    (Kind::Lend, 3),
    (Kind::Tell, 2),
    (Kind::Forget, 8),
];

const DAMAGE: [Kind; 5] = [Kind::Lose, Kind::Lose, Kind::Lose, Kind::LoseRecord, Kind::Account];

/// A history: how many nodes there are at first, and what happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    pub nodes: usize,
    pub events: Vec<Event>,
}

impl History {
    /// Plays the history from its beginning to agreement.
    pub fn play(&self, mistake: Option<Mistake>) -> Result<(), String> {
        let mut world = World::new(self.nodes, mistake);
        self.events.iter().try_for_each(|event| world.step(*event))?;
        world.settle()
    }
}

/// Plays a random history. An error comes with what had happened.
pub fn play_random(seed: u64, damage: bool, mistake: Option<Mistake>) -> Result<(), (History, String)> {
    let mut dice = Dice::new(seed);
    let temper = if dice.one_in(2) { Temper::any(&mut dice, damage) } else { Temper::dense(damage) };
    let nodes = 2 + dice.below(3);
    let mut play = Play::new(nodes, mistake);
    for _ in 0..5 + dice.below(75) {
        play.draw(&temper, &mut dice)?;
    }
    play.settle()
}

/// Plays a history with other events between its own, and some of its own left out.
pub fn play_variation(
    of: &History,
    seed: u64,
    damage: bool,
    mistake: Option<Mistake>,
) -> Result<(), (History, String)> {
    let mut dice = Dice::new(seed);
    let temper = Temper::dense(damage);
    let rarely = 2 + dice.below(20);
    let mut play = Play::new(of.nodes + dice.below(2), mistake);
    for event in &of.events {
        while dice.one_in(rarely) {
            play.draw(&temper, &mut dice)?;
        }
        if !dice.one_in(20) {
            play.step(*event)?;
        }
    }
    play.settle()
}

/// A world, and how it came about.
struct Play {
    history: History,
    world: World,
}

impl Play {
    fn new(nodes: usize, mistake: Option<Mistake>) -> Self {
        Self { history: History { nodes, events: vec![] }, world: World::new(nodes, mistake) }
    }

    fn step(&mut self, event: Event) -> Result<(), (History, String)> {
        self.history.events.push(event);
        self.world.step(event).map_err(|problem| (self.history.clone(), problem))
    }

    fn draw(&mut self, temper: &Temper, dice: &mut Dice) -> Result<(), (History, String)> {
        temper.event(dice, &self.world).map_or(Ok(()), |event| self.step(event))
    }

    fn settle(mut self) -> Result<(), (History, String)> {
        self.world.settle().map_err(|problem| (self.history, problem))
    }
}

struct Temper {
    keys: usize,
    /// Kinds of events, each as often as it is likely.
    kinds: Vec<Kind>,
}

impl Temper {
    fn any(dice: &mut Dice, damage: bool) -> Self {
        let mut kinds = vec![Kind::Put, Kind::Run];
        for (kind, weight) in KINDS {
            let times = [0, 1, 1, 2, 4][dice.below(5)];
            kinds.extend(repeat_n(kind, weight * times));
        }
        if damage {
            kinds.extend(DAMAGE.into_iter().flat_map(|kind| repeat_n(kind, [0, 1, 1, 2, 4][dice.below(5)])));
        }
        Self { keys: 1 + dice.below(KEYS), kinds }
    }

    /// One key, and everything that rules 4 to 6 are about at once.
    fn dense(damage: bool) -> Self {
        let mut kinds: Vec<Kind> =
            DENSE.into_iter().flat_map(|(kind, weight)| repeat_n(kind, weight)).collect();
        if damage {
            kinds.extend(DAMAGE);
        }
        Self { keys: 1, kinds }
    }

    fn event(&self, dice: &mut Dice, world: &World) -> Option<Event> {
        let nodes: Vec<Node> = world.replicas.keys().copied().collect();
        let at = dice.pick(&nodes)?;
        let other = dice.pick(&nodes)?;
        let key = dice.below(self.keys);
        let kind = dice.pick(&self.kinds)?;
        let event = match kind {
            Kind::Put => Event::Put(at, key),
            Kind::Delete => Event::Delete(at, key),
            Kind::Gossip => some_version(dice, world, |writer, nth| Event::Gossip(writer, nth, at))?,
            Kind::Begin => Event::Begin(at, other),
            Kind::Step => dice.pick(&world.mail()).map(|(from, to)| Event::Step(from, to))?,
            Kind::Run => Event::Run(at, other),
            Kind::Cut => dice.pick(&world.mail()).map(|(from, to)| Event::Cut(from, to))?,
            Kind::Borrow => dice.pick(&world.receivers()).map(|(at, main)| Event::Borrow(at, other, main))?,
            Kind::Lend => dice.pick(&world.lenders()).map(|(from, at)| Event::Lend(from, at))?,
            Kind::Tell => dice.pick(&world.receivers()).map(|(at, main)| Event::Tell(at, main))?,
            Kind::Forget => Event::Forget(at, key),
            Kind::Save => Event::Save(at),
            Kind::Restore => Event::Restore(at),
            Kind::Join => Event::Join(dice.pick(&Node::ALL)?),
            Kind::Leave => Event::Leave(at),
            Kind::Lose => some_version(dice, world, |writer, nth| Event::Lose(writer, nth, at))?,
            Kind::LoseRecord => Event::LoseRecord(at, key),
            Kind::Account => Event::Account(at),
        };
        let needs_two = matches!(kind, Kind::Begin | Kind::Run);
        (!needs_two || at != other).then_some(event)
    }
}

/// A version ever written, rather a late one.
fn some_version(dice: &mut Dice, world: &World, event: impl Fn(Node, usize) -> Event) -> Option<Event> {
    let count = world.written.len();
    let back = if count > 4 && dice.one_in(2) { dice.below(4) } else { dice.below(count.max(1)) };
    let picked = count.checked_sub(back + 1)?;
    let writer = world.written[picked].version.dot.origin.node;
    let nth = world.written[..=picked].iter().filter(|w| w.version.dot.origin.node == writer).count();
    debug_assert!(count < usize::try_from(SEQ_MAX).expect("small") * Node::ALL.len());
    Some(event(writer, nth))
}
