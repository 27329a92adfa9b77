//! Random histories, each with a temper of its own: what is rare in one is all that another does.

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
    Forget,
    Save,
    Restore,
    Join,
    Leave,
    Lose,
    LoseRecord,
    Account,
}

const KINDS: [(Kind, usize); 15] = [
    (Kind::Put, 8),
    (Kind::Delete, 6),
    (Kind::Gossip, 8),
    (Kind::Begin, 5),
    (Kind::Step, 30),
    (Kind::Run, 5),
    (Kind::Cut, 1),
    (Kind::Forget, 8),
    (Kind::Save, 2),
    (Kind::Restore, 1),
    (Kind::Join, 1),
    (Kind::Leave, 1),
    (Kind::Lose, 3),
    (Kind::LoseRecord, 1),
    (Kind::Account, 2),
];

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
    let temper = Temper::new(&mut dice, damage);
    let mut history = History { nodes: 2 + dice.below(3), events: vec![] };
    let mut world = World::new(history.nodes, mistake);
    for _ in 0..5 + dice.below(75) {
        let Some(event) = temper.event(&mut dice, &world) else {
            continue;
        };
        history.events.push(event);
        if let Err(problem) = world.step(event) {
            return Err((history, problem));
        }
    }
    world.settle().map_err(|problem| (history, problem))
}

struct Temper {
    keys: usize,
    /// Kinds of events, each as often as it is likely.
    kinds: Vec<Kind>,
}

impl Temper {
    fn new(dice: &mut Dice, damage: bool) -> Self {
        let mut kinds = vec![];
        if !damage && dice.one_in(2) {
            for (kind, weight) in [
                (Kind::Put, 4),
                (Kind::Delete, 4),
                (Kind::Gossip, 8),
                (Kind::Begin, 3),
                (Kind::Step, 12),
                (Kind::Run, 2),
                (Kind::Forget, 8),
            ] {
                kinds.extend(std::iter::repeat_n(kind, weight));
            }
            return Self { keys: 1, kinds };
        }
        for (kind, weight) in KINDS {
            let is_damage = matches!(kind, Kind::Lose | Kind::LoseRecord | Kind::Account);
            let times = [0, 1, 1, 2, 4][dice.below(5)];
            if damage || !is_damage {
                kinds.extend(std::iter::repeat_n(kind, weight * times));
            }
        }
        kinds.extend([Kind::Put, Kind::Run]);
        Self { keys: 1 + dice.below(KEYS), kinds }
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
