//! A node among the actors of a host.

use std::time::Duration;

use tidings::{
    Key, Namespace, Node, Prefix, Value,
    actors::Role,
    host::{
        self, Ask, NEWS_BYTES_MAX, NEWS_MAX, News, Watching,
        ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call_t},
    },
    node::{BatchOp, Changed, Cursor, Scan, WatchEvent, WatchOptions, WriteError, WriteOptions},
};
use tokio::{sync::mpsc, time::timeout};

use crate::support::{PATIENCE, mesh_name, metric, node, text, until};

const MS: u64 = 30_000;

async fn desk_of(node: &Node, supervisor: Option<ActorCell>) -> ActorRef<Ask> {
    host::desk(&node.space(&Namespace::default()).unwrap(), supervisor).await.unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Hands on what it is told of.
struct Ear;

struct Heard(News);

impl From<News> for Heard {
    fn from(news: News) -> Self {
        Self(news)
    }
}

impl From<Heard> for News {
    fn from(Heard(news): Heard) -> Self {
        news
    }
}

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Ear {
    type Msg = Heard;
    type State = mpsc::UnboundedSender<News>;
    type Arguments = mpsc::UnboundedSender<News>;

    async fn pre_start(
        &self,
        _: ActorRef<Heard>,
        to: mpsc::UnboundedSender<News>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(to)
    }

    async fn handle(
        &self,
        _: ActorRef<Heard>,
        Heard(news): Heard,
        to: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        to.send(news).map_err(|_| "the test is over".into())
    }
}

/// Hands on what happens to those it supervises.
struct Above;

#[cfg_attr(feature = "async-trait", ractor::async_trait)]
impl Actor for Above {
    type Msg = RpcReplyPort<()>;
    type State = mpsc::UnboundedSender<SupervisionEvent>;
    type Arguments = mpsc::UnboundedSender<SupervisionEvent>;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        to: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(to)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        to: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        to.send(event).map_err(|_| "the test is over".into())
    }
}

#[expect(clippy::disallowed_methods, reason = "a root")]
async fn ear() -> (ActorRef<Heard>, mpsc::UnboundedReceiver<News>) {
    let (to, heard) = mpsc::unbounded_channel();
    (Actor::spawn(None, Ear, to).await.unwrap().0, heard)
}

#[expect(clippy::disallowed_methods, reason = "a root")]
async fn above() -> (ActorCell, mpsc::UnboundedReceiver<SupervisionEvent>) {
    let (to, seen) = mpsc::unbounded_channel();
    (Actor::spawn(None, Above, to).await.unwrap().0.get_cell(), seen)
}

async fn next<T>(from: &mut mpsc::UnboundedReceiver<T>) -> T {
    timeout(PATIENCE, from.recv()).await.expect("in time").expect("the actor lives")
}

fn change_in(news: News) -> (Changed, Cursor) {
    let News::Told(told) = news else { panic!("{news:?}") };
    let WatchEvent::Change(change) = told.event else { panic!("{:?}", told.event) };
    (change, told.cursor)
}

async fn watch(desk: &ActorRef<Ask>, ear: &ActorRef<Heard>, options: WatchOptions) -> Watching {
    let to = ear.get_derived::<News>();
    call_t!(desk, Ask::Watch, MS, Prefix::new("nests").unwrap(), options, to).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_does_what_the_node_does() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let desk = desk_of(&ant, None).await;
    let options = WriteOptions::default;
    let written = call_t!(desk, Ask::Put, MS, key("a"), "1".into(), options()).unwrap().unwrap();
    assert_eq!(call_t!(desk, Ask::Get, MS, key("a")).unwrap().unwrap().unwrap().dot, written.dot);
    let batch = vec![BatchOp::Put(key("b"), "2".into()), BatchOp::Put(key("c"), "3".into())];
    assert_eq!(call_t!(desk, Ask::Batch, MS, batch).unwrap().unwrap().len(), 2);
    call_t!(desk, Ask::Delete, MS, key("a"), options()).unwrap().unwrap();
    let nothing = call_t!(desk, Ask::Delete, MS, key("a"), options()).unwrap();
    assert!(matches!(nothing, Err(WriteError::NothingThere { .. })), "{nothing:?}");
    let page = call_t!(desk, Ask::Scan, MS, Scan::default()).unwrap().unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(text(&ant, "b").await.as_deref(), Some("2"));
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_is_told_of_changes_until_it_has_enough_and_goes_on_from_its_cursor() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let (desk, (ear, mut heard)) = (desk_of(&ant, None).await, ear().await);
    let watching = watch(&desk, &ear, WatchOptions::default()).await;
    ant.put("elsewhere", "0").await.unwrap();
    ant.put("nests/ant", "1").await.unwrap();
    let (change, cursor) = change_in(next(&mut heard).await);
    assert_eq!(change.key.as_str(), "nests/ant");
    drop(watching);
    assert!(matches!(next(&mut heard).await, News::Ended(None)));
    until("nothing is left of it", async || (metric(&ant, "tidings_subscribers") == 0).then_some(())).await;

    ant.put("nests/bat", "2").await.unwrap();
    let since = WatchOptions { since: Some(cursor), ..WatchOptions::default() };
    let _watching = watch(&desk, &ear, since).await;
    let (change, _) = change_in(next(&mut heard).await);
    assert_eq!(change.key.as_str(), "nests/bat");
    ant.close().await;
    assert!(matches!(next(&mut heard).await, News::Ended(None)), "the node has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_that_is_slow_is_sent_no_more_than_it_has_room_for() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let (desk, (ear, mut heard)) = (desk_of(&ant, None).await, ear().await);
    let _watching = watch(&desk, &ear, WatchOptions::default()).await;
    let more = NEWS_MAX + 50;
    let puts = |from: usize, to: usize| {
        (from..to).map(|n| BatchOp::Put(key(&format!("nests/{n:05}")), "1".into())).collect::<Vec<_>>()
    };
    ant.batch(puts(0, more)).await.unwrap();
    // Whoever keeps the news keeps their room.
    let mut kept = Vec::new();
    for _ in 0..NEWS_MAX {
        kept.push(next(&mut heard).await);
    }
    let one_more = timeout(Duration::from_millis(200), heard.recv()).await;
    assert!(one_more.is_err(), "{one_more:?}");
    kept.clear();
    for _ in NEWS_MAX..more {
        assert!(matches!(next(&mut heard).await, News::Told(_)));
    }
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_take_their_room() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let (desk, (ear, mut heard)) = (desk_of(&ant, None).await, ear().await);
    let _watching = watch(&desk, &ear, WatchOptions::default()).await;
    let (large, fit) = (vec![0_u8; 1024 * 1024], NEWS_BYTES_MAX as usize / (1024 * 1024));
    let mut kept = Vec::new();
    for n in 0..=fit {
        ant.put(format!("nests/{n}"), Value::octets(large.clone())).await.unwrap();
        if n < fit {
            kept.push(next(&mut heard).await);
        }
    }
    let one_more = timeout(Duration::from_millis(200), heard.recv()).await;
    assert!(one_more.is_err(), "{one_more:?}");
    kept.clear();
    assert!(matches!(next(&mut heard).await, News::Told(_)));
    ant.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_is_told_when_its_node_is_closed() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let (boss, mut seen) = above().await;
    let desk = desk_of(&ant, Some(boss)).await;
    assert!(matches!(next(&mut seen).await, SupervisionEvent::ActorStarted(_)));
    call_t!(desk, Ask::Close, MS).unwrap();
    let SupervisionEvent::ActorTerminated(who, _, Some(why)) = next(&mut seen).await else {
        panic!("something else happened")
    };
    assert_eq!((who.get_id(), &*why), (desk.get_id(), "the node was closed"));
    assert!(ant.put("k", "v").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_is_told_why_its_node_could_not_go_on() {
    let ant = node(&mesh_name(), "ant").start().await.unwrap();
    let (boss, mut seen) = above().await;
    let desk = desk_of(&ant, Some(boss)).await;
    assert!(matches!(next(&mut seen).await, SupervisionEvent::ActorStarted(_)));
    let killing = async {
        while ant.health().ready {
            ant.kill_actor(Role::AntiEntropy).await;
        }
    };
    timeout(PATIENCE, killing).await.expect("it gives up");
    let SupervisionEvent::ActorFailed(who, why) = next(&mut seen).await else {
        panic!("something else happened")
    };
    assert_eq!(who.get_id(), desk.get_id());
    assert!(why.to_string().contains("failed again and again"), "{why}");
}
