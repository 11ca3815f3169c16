//! Two processes of chat behind nginx share a room; each of them, Kafka and MongoDB go away while people talk.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_api::accounts::COLLECTIONS;
use millrace_api::channels::Channels;
use millrace_api::chat::Rooms;
use millrace_store::{Location, Store};
use tokio::time::{Instant, sleep_until};

use crate::chatter::join;
use crate::cluster::nodes::{SOON, Topology};
use crate::cluster::talker::{Talker, counted};
use crate::wait::until;

/// How long somebody may be without a connection when a process goes.
const MOVES: Duration = Duration::from_secs(3);
/// Talkers, and people who only read.
const TALKERS: u128 = 4;
const READERS: usize = 2;
/// More than any of these tests says.
const EVERYTHING: usize = 20_000;

const ROOM: &str = "studio";

/// A room in which people talk.
struct Party {
    site: Topology,
    store: Store,
    people: Vec<Talker>,
}

impl Party {
    /// Starts a site, and waits until everybody there has said something, at both processes.
    async fn begin() -> Self {
        // They talk faster than people may.
        let own: Vec<_> = ["chat-1", "chat-2"]
            .into_iter()
            .flat_map(|node| {
                [("MILLRACE_CHAT__MESSAGES_PER_30S", "1000"), ("MILLRACE_CHAT__FRAMES_PER_10S", "1000")]
                    .map(|(name, value)| (node, name, value))
            })
            .collect();
        let site = Topology::start_with(&own).await;
        site.channel(ROOM).await;
        let engine =
            millrace_store::open(&Location::MongoDb(site.store.clone()), std::path::Path::new("")).await;
        let store = Store::new(engine.unwrap(), COLLECTIONS).await.unwrap();
        let url = site.url(&format!("/chat/v1/{ROOM}"));
        let mut people = Vec::new();
        for number in 1..=TALKERS {
            let person = join(&store, 100 + number, &format!("talker_{number}")).await;
            people.push(Talker::start(url.clone(), Some(&person)));
        }
        people.extend((0..READERS).map(|_| Talker::start(url.clone(), None)));
        let party = Self { site, store, people };
        party.talks().await;
        for node in ["chat-1", "chat-2"] {
            let here = party.connections(node).await;
            assert_eq!(here * 2, party.people.len(), "nginx shares them out evenly");
        }
        party
    }

    async fn connections(&self, node: &str) -> usize {
        self.site.node(node).metric("millrace_chat_connections ").await.unwrap() as usize
    }

    /// Waits until everybody has said five more things, and everybody has read five.
    async fn talks(&self) {
        let before: Vec<_> = self.counts();
        until("everybody talks", SOON, || async {
            let now = self.counts();
            let goes_on = |((said, read), (said_now, read_now)): (&(usize, usize), &(usize, usize))| {
                (said_now - said >= 5 || *said_now == 0) && read_now - read >= 5
            };
            before.iter().zip(&now).all(goes_on).then_some(())
        })
        .await;
    }

    fn counts(&self) -> Vec<(usize, usize)> {
        let count = |one: &Talker| {
            let seen = one.seen();
            (seen.acknowledged.len(), seen.read.len())
        };
        self.people.iter().map(count).collect()
    }

    /// How often each of them came in.
    fn entered(&self) -> Vec<usize> {
        self.people.iter().map(|one| one.seen().entered).collect()
    }

    /// Waits until all are in who were somewhere else.
    async fn all_in(&self, nodes: &[&str]) {
        until("everybody is back", SOON, || async {
            let mut here = 0;
            for node in nodes {
                here += self.connections(node).await;
            }
            (here == self.people.len()).then_some(())
        })
        .await;
    }

    /// Everybody ends, and what each was told is compared with the history.
    async fn end(self) -> Told {
        self.people.iter().for_each(Talker::hush);
        until("everything is said", SOON, || async { self.people.iter().all(Talker::is_done).then_some(()) })
            .await;
        let channel = Channels::new(self.store.clone()).named(&ROOM.parse().unwrap()).await.unwrap().unwrap();
        let rooms = Rooms::new(self.store.clone());
        let said: usize = self.people.iter().map(|one| one.seen().said).sum();
        let history = until("all of it is in the history, and was read", SOON, || async {
            let kept = rooms.recent(channel.id, EVERYTHING).await.ok()?;
            let read = self.people.iter().all(|one| one.seen().read.len() >= said);
            (kept.len() >= said && read).then_some(kept)
        })
        .await;
        let history: Vec<_> = history.iter().map(|message| message.text.clone()).collect();
        let counts = counted(&history);
        assert!(counts.values().all(|count| *count == 1), "kept twice: {counts:?}");
        let mut told = Told { said, ..Told::default() };
        for one in &self.people {
            let seen = one.seen();
            assert_eq!(seen.troubles, Vec::<String>::new());
            for (text, _) in &seen.acknowledged {
                assert!(counts.contains_key(text.as_str()), "{text} was acknowledged and is not kept");
            }
            assert!(seen.read == history, "read in another order:\n{:?}\nkept:\n{history:?}", seen.read);
            told.refused += seen.refused;
            told.away = told.away.max(seen.away);
            told.tries.extend(&seen.tries);
        }
        // Each author's in the order in which they said them.
        let mut last = BTreeMap::new();
        for text in &history {
            let (name, number) = text.rsplit_once('-').unwrap();
            let number: usize = number.parse().unwrap();
            assert_eq!(last.insert(name, number).unwrap_or_default() + 1, number, "{text} is out of turn");
        }
        self.site.assert_calm();
        told
    }
}

/// What was counted.
#[derive(Debug, Default)]
struct Told {
    said: usize,
    refused: usize,
    away: Duration,
    tries: Vec<Duration>,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_chat_processes_share_a_room_and_a_reload_of_nginx_sends_nobody_away() {
    let party = Party::begin().await;
    until("everybody is told of the people at both", SOON, || async {
        let everybody = (TALKERS as u64, party.people.len() as u64);
        party.people.iter().all(|one| one.seen().here == everybody).then_some(())
    })
    .await;
    party.site.edge.reload().await;
    party.talks().await;
    assert!(party.entered().iter().all(|times| *times == 1), "{:?}", party.entered());
    let told = party.end().await;
    eprintln!("two processes of chat: {} messages in one order for everybody and in the history", told.said);
    assert_eq!(told.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_process_is_killed_and_its_people_go_on_at_the_other_without_a_loss() {
    let mut party = Party::begin().await;
    party.site.kill("chat-1").await;
    party.all_in(&["chat-2"]).await;
    let moved = party.entered().iter().filter(|times| **times == 2).count();
    assert_eq!(moved * 2, party.people.len(), "half of them were there: {:?}", party.entered());
    party.talks().await;
    party.site.begin("chat-1").await;
    party.talks().await;
    assert!(party.entered().iter().all(|times| *times <= 2), "{:?}", party.entered());
    let told = party.end().await;
    eprintln!(
        "chat-1 killed: {moved} people went on at the other one, {:.2?} without a connection at most; {} messages, each once",
        told.away, told.said
    );
    assert!(told.away < MOVES, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_is_restarted_process_by_process_and_nobody_loses_or_reads_twice() {
    let mut party = Party::begin().await;
    for (node, other) in [("chat-1", "chat-2"), ("chat-2", "chat-1")] {
        let before = (party.entered(), party.connections(node).await);
        party.site.stop(node).await;
        party.all_in(&[other]).await;
        let moved = party.entered().iter().zip(before.0).filter(|(now, before)| *now > before).count();
        assert_eq!(moved, before.1, "who was at {node} moved, once, and nobody else");
        let times: usize = party.entered().iter().sum();
        party.talks().await;
        party.site.begin(node).await;
        assert_eq!(party.entered().iter().sum::<usize>(), times, "nobody moves without need");
    }
    for one in &party.people {
        let seen = one.seen();
        assert_eq!(seen.entered, seen.sent_away + 1, "nobody was cut off: each was asked to go");
    }
    let told = party.end().await;
    eprintln!(
        "both processes of chat restarted: {:.2?} without a connection at most; {} messages, each once",
        told.away, told.said
    );
    assert!(told.away < MOVES, "{told:?}");
    assert_eq!(told.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_messages_are_refused_and_said_once_when_it_is_back() {
    let mut party = Party::begin().await;
    party.site.services.kill_kafka();
    let back = Instant::now() + party.site.windows.away;
    until("everybody is refused", SOON, || async {
        let refused = |one: &Talker| one.seen().refused > 0 || one.seen().said == 0;
        party.people.iter().all(refused).then_some(())
    })
    .await;
    sleep_until(back).await;
    let before = party.counts();
    party.site.services.restart_kafka().await;
    let returned = Instant::now();
    until("everybody is heard again", SOON, || async {
        let now = party.counts();
        now.iter()
            .zip(&before)
            .all(|(now, before)| now.1 > before.1 && (now.0 > before.0 || now.0 == 0))
            .then_some(())
    })
    .await;
    let heard = returned.elapsed();
    party.talks().await;
    assert!(
        party.entered().iter().all(|times| *times == 1),
        "who reads stays connected: {:?}",
        party.entered()
    );
    let away = party.site.windows.away;
    let told = party.end().await;
    eprintln!(
        "kafka away for {away:?}: {} refusals, everybody is heard {heard:.1?} after its return; {} messages, each once",
        told.refused, told.said
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mongodb_people_talk_on_and_the_history_has_it_when_it_is_back() {
    let mut party = Party::begin().await;
    party.site.services.kill_mongodb();
    let back = Instant::now() + party.site.windows.away;
    let before = party.people.iter().map(|one| one.seen().said).sum::<usize>();
    party.talks().await;
    sleep_until(back).await;
    party.talks().await;
    let meanwhile = party.people.iter().map(|one| one.seen().said).sum::<usize>() - before;
    party.site.services.restart_mongodb().await;
    let returned = Instant::now();
    assert!(party.entered().iter().all(|times| *times == 1), "{:?}", party.entered());
    let away = party.site.windows.away;
    let told = party.end().await;
    eprintln!(
        "mongodb away for {away:?}: {meanwhile} messages said meanwhile; {:.1?} after its return the history has all {}",
        returned.elapsed(),
        told.said
    );
    assert_eq!(told.refused, 0);
}
