//! A program of actors with a node among them: one actor counts the eggs of all nests as the nests change, here
//! or at another node, and a supervisor above it and the node is told when the node ends.
//!
//!     cargo run --example host_actor

use std::{collections::BTreeMap, error::Error};

use tidings::{
    Key, Namespace, Node, Prefix,
    host::{
        self, Ask, News, Watching,
        ractor::{self, Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent},
    },
    node::{WatchEvent, WatchOptions, WriteOptions},
};

/// What the counter is told and asked.
enum Msg {
    News(News),
    /// Tells the sum as soon as so many nests are known.
    WhenThereAre(usize, RpcReplyPort<u64>),
}

impl From<News> for Msg {
    fn from(news: News) -> Self {
        Self::News(news)
    }
}

impl TryFrom<Msg> for News {
    type Error = ();

    fn try_from(message: Msg) -> Result<Self, ()> {
        if let Msg::News(news) = message { Ok(news) } else { Err(()) }
    }
}

/// Counts eggs.
struct Counter;

struct Count {
    nests: BTreeMap<Key, u64>,
    asked: Vec<(usize, RpcReplyPort<u64>)>,
    /// As long as it is kept, the counter is told.
    _watching: Watching,
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Counter {
    type Msg = Msg;
    type State = Count;
    type Arguments = ActorRef<Ask>;

    async fn pre_start(
        &self,
        myself: ActorRef<Msg>,
        desk: ActorRef<Ask>,
    ) -> Result<Count, ActorProcessingErr> {
        // What stands there already comes first, then what happens.
        let options = WatchOptions { snapshot: true, ..WatchOptions::default() };
        let nests = Prefix::new("nests")?;
        let watching = ractor::call!(desk, Ask::Watch, nests, options, myself.get_derived())??;
        Ok(Count { nests: BTreeMap::new(), asked: Vec::new(), _watching: watching })
    }

    async fn handle(
        &self,
        _: ActorRef<Msg>,
        message: Msg,
        count: &mut Count,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Msg::News(News::Told(told)) => match told.event {
                WatchEvent::Change(change) => {
                    let eggs = change.value.and_then(|value| str::from_utf8(&value.bytes).ok()?.parse().ok());
                    match eggs {
                        Some(eggs) => count.nests.insert(change.key, eggs),
                        None => count.nests.remove(&change.key),
                    };
                }
                // What was missed comes next.
                WatchEvent::Lagged => {}
                // Deletes may have been missed: the supervisor starts this actor again, with a snapshot.
                _ => return Err("the cursor is too old".into()),
            },
            Msg::News(_) => println!("no more news"),
            Msg::WhenThereAre(nests, reply) => count.asked.push((nests, reply)),
        }
        let (known, sum) = (count.nests.len(), count.nests.values().sum());
        for (_, reply) in count.asked.extract_if(.., |(nests, _)| *nests <= known) {
            reply.send(sum)?;
        }
        Ok(())
    }
}

/// Keeps the node and the counter.
struct Boss;

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Boss {
    type Msg = RpcReplyPort<(ActorRef<Ask>, ActorRef<Msg>)>;
    type State = (ActorRef<Ask>, ActorRef<Msg>);
    type Arguments = Node;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        node: Node,
    ) -> Result<Self::State, ActorProcessingErr> {
        let desk = host::desk(&node.space(&Namespace::default())?, Some(myself.get_cell())).await?;
        let (counter, _) = Actor::spawn_linked(None, Counter, desk.clone(), myself.get_cell()).await?;
        Ok((desk, counter))
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        reply: Self::Msg,
        actors: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        reply.send(actors.clone())?;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        (desk, _): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            // A program that is to go on starts the node again here; this one ends with it.
            SupervisionEvent::ActorFailed(who, why) if who.get_id() == desk.get_id() => {
                myself.stop(Some(why.to_string()));
            }
            SupervisionEvent::ActorTerminated(who, _, why) if who.get_id() == desk.get_id() => {
                println!("the node ended: {}", why.as_deref().unwrap_or("no reason given"));
                myself.stop(why);
            }
            SupervisionEvent::ActorFailed(who, why) => println!("{who:?} failed: {why}"),
            _ => {}
        }
        Ok(())
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let listen = ["/ip4/127.0.0.1/tcp/0".parse()?];
    let node = Node::builder().in_memory().listen(listen).start().await?;
    node.put("nests/ant", "3").await?;

    #[expect(clippy::disallowed_methods, reason = "it is the root of this program's tree")]
    let (boss, ended) = Actor::spawn(None, Boss, node).await?;
    let (desk, counter) = boss.call(|reply| reply, None).await?.unwrap();

    let nest = Key::new("nests/bat")?;
    ractor::call!(desk, Ask::Put, nest, "4".into(), WriteOptions::default())??;
    let eggs = ractor::call!(counter, Msg::WhenThereAre, 2)?;
    println!("{eggs} eggs in two nests");
    assert_eq!(eggs, 7);

    // The node is closed; the desk ends with it, and the supervisor hears of that.
    ractor::call!(desk, Ask::Close)?;
    ended.await?;
    Ok(())
}
