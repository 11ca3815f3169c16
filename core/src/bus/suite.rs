//! What every bus is held to.
//!
//! [`run`] is called by the tests of each bus, Kafka's with a real broker. It panics at the first broken promise.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a broken promise is a panic")]
#![expect(clippy::disallowed_methods, reason = "shell: tasks and deadlines")]

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::consume::{Failure, Handler, Retries, consume};
use super::{Bus, BusFuture, Delivery, Member, SUBSCRIBER_QUEUE, Start, Subscription, Topic};
use crate::event::{EndReason, Event, EventBody, SpecVersion, StreamEnded, Subject};
use crate::ids::BroadcastId;
use crate::trace::Cause;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes an empty bus for one promise; the guard lives as long as the bus is used.
pub struct Fresh<G>(Box<dyn Fn() -> Making<G> + Send + Sync>);

/// A bus that is being made.
pub type Making<G> = Pin<Box<dyn Future<Output = (G, Arc<dyn Bus>)> + Send>>;

impl<G> Fresh<G> {
    /// `make` makes it.
    pub fn new(make: impl Fn() -> Making<G> + Send + Sync + 'static) -> Self {
        Self(Box::new(make))
    }
}

/// An event of a channel. Its number is in its id.
#[must_use]
pub fn event(channel: &str, number: u128) -> Event {
    Event {
        specversion: SpecVersion::V1,
        id: uuid::Uuid::from_u128(number),
        source: "/nodes/test".into(),
        subject: Subject::Channel(channel.parse().unwrap()),
        time: jiff::Timestamp::UNIX_EPOCH,
        cause: Cause::default(),
        body: EventBody::StreamEnded(StreamEnded {
            broadcast: BroadcastId(uuid::Uuid::from_u128(number)),
            reason: EndReason::Unpublished,
        }),
    }
}

/// Holds a bus to everything.
pub async fn run<G: Send>(fresh: &Fresh<G>) {
    macro_rules! hold {
        ($($promise:ident),* $(,)?) => {$(
            let (guard, bus) = (fresh.0)().await;
            tracing::info!(promise = stringify!($promise), "holding the bus to it");
            let held = tokio::time::timeout(DEADLINE, $promise(bus)).await;
            assert!(held.is_ok(), "{} took too long", stringify!($promise));
            drop(guard);
        )*};
    }
    hold!(
        every_subscriber_hears_every_event_in_the_order_of_its_key,
        topics_are_apart,
        what_may_be_lost_is_heard_as_well,
        a_slow_subscriber_loses_nothing,
        a_new_group_begins_with_the_oldest,
        what_was_committed_does_not_come_again_and_the_rest_does,
        what_a_group_has_not_done_yet_is_read_from_its_place,
        every_group_gets_everything,
        members_share_the_keys_and_take_over_from_each_other,
        the_past_is_read_from_the_beginning_and_from_a_place,
        a_compacted_topic_keeps_the_newest_of_each_key,
        many_publish_at_once_and_nothing_is_lost,
        poison_is_buried_and_the_partition_goes_on,
        what_was_buried_is_driven_again,
    );
}

fn channel(number: u128) -> String {
    format!("channel_{number}")
}

async fn publish(bus: &dyn Bus, topic: Topic, channels: u128, numbers: std::ops::Range<u128>) {
    for number in numbers {
        bus.publish(topic, event(&channel(number % channels), number)).await.unwrap();
    }
}

/// The next events of a subscription, by key.
async fn hear(subscription: &mut Subscription, count: usize) -> BTreeMap<String, Vec<u128>> {
    let mut heard: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for _ in 0..count {
        let event = subscription.next().await.unwrap();
        heard.entry(event.subject.to_string()).or_default().push(event.id.as_u128());
    }
    heard
}

/// What was published, by key.
fn said(channels: u128, numbers: std::ops::Range<u128>) -> BTreeMap<String, Vec<u128>> {
    let mut said: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for number in numbers {
        said.entry(channel(number % channels)).or_default().push(number);
    }
    said
}

async fn take(member: &mut Box<dyn Member>, count: usize, commit: bool) -> BTreeMap<String, Vec<u128>> {
    let mut taken: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for _ in 0..count {
        let delivery = member.next().await.unwrap();
        taken.entry(delivery.event.subject.to_string()).or_default().push(delivery.event.id.as_u128());
        if commit {
            member.commit(&[delivery.position]).await.unwrap();
        }
    }
    taken
}

async fn every_subscriber_hears_every_event_in_the_order_of_its_key(bus: Arc<dyn Bus>) {
    let (mut first, mut second) = (bus.subscribe(Topic::Streams), bus.subscribe(Topic::Streams));
    publish(bus.as_ref(), Topic::Streams, 7, 0..100).await;
    assert_eq!(hear(&mut first, 100).await, said(7, 0..100));
    assert_eq!(hear(&mut second, 100).await, said(7, 0..100));
    drop(second);
    let mut late = bus.subscribe(Topic::Streams);
    publish(bus.as_ref(), Topic::Streams, 7, 100..110).await;
    assert_eq!(hear(&mut first, 10).await, said(7, 100..110));
    assert_eq!(hear(&mut late, 10).await, said(7, 100..110), "only what came after it");
}

async fn topics_are_apart(bus: Arc<dyn Bus>) {
    let (mut streams, mut commands) = (bus.subscribe(Topic::Streams), bus.subscribe(Topic::Commands));
    bus.publish(Topic::Commands, event("studio", 1)).await.unwrap();
    bus.publish(Topic::Streams, event("studio", 2)).await.unwrap();
    assert_eq!(streams.next().await.unwrap().id.as_u128(), 2);
    assert_eq!(commands.next().await.unwrap().id.as_u128(), 1);
}

async fn what_may_be_lost_is_heard_as_well(bus: Arc<dyn Bus>) {
    let mut live = bus.subscribe(Topic::Activity);
    let mut member = bus.join("counts", &[Topic::Activity]).await.unwrap();
    publish(bus.as_ref(), Topic::Activity, 3, 0..30).await;
    assert_eq!(hear(&mut live, 30).await, said(3, 0..30));
    assert_eq!(take(&mut member, 30, true).await, said(3, 0..30));
}

async fn a_slow_subscriber_loses_nothing(bus: Arc<dyn Bus>) {
    let count = 2 * SUBSCRIBER_QUEUE + 100;
    let mut slow = bus.subscribe(Topic::Streams);
    let mut quick = bus.subscribe(Topic::Streams);
    let publisher = AbortOnDropHandle::new(tokio::spawn({
        let bus = Arc::clone(&bus);
        async move { publish(bus.as_ref(), Topic::Streams, 5, 0..count as u128).await }
    }));
    // As much as fits into its queue is heard by the other one, while this one reads nothing.
    hear(&mut quick, SUBSCRIBER_QUEUE).await;
    let rest = async { hear(&mut quick, count - SUBSCRIBER_QUEUE).await };
    let (heard, _) = tokio::join!(hear(&mut slow, count), rest);
    assert_eq!(heard, said(5, 0..count as u128));
    publisher.await.unwrap();
}

async fn a_new_group_begins_with_the_oldest(bus: Arc<dyn Bus>) {
    publish(bus.as_ref(), Topic::Jobs, 5, 0..20).await;
    let mut member = bus.join("late", &[Topic::Jobs]).await.unwrap();
    assert_eq!(take(&mut member, 20, true).await, said(5, 0..20));
    publish(bus.as_ref(), Topic::Jobs, 5, 20..30).await;
    assert_eq!(take(&mut member, 10, true).await, said(5, 20..30));
}

async fn what_was_committed_does_not_come_again_and_the_rest_does(bus: Arc<dyn Bus>) {
    publish(bus.as_ref(), Topic::Jobs, 1, 0..10).await;
    let mut member = bus.join("workers", &[Topic::Jobs]).await.unwrap();
    take(&mut member, 4, true).await;
    take(&mut member, 3, false).await;
    drop(member);
    let mut next = bus.join("workers", &[Topic::Jobs]).await.unwrap();
    assert_eq!(take(&mut next, 6, true).await, said(1, 4..10));
    drop(next);
    publish(bus.as_ref(), Topic::Jobs, 1, 10..11).await;
    let mut last = bus.join("workers", &[Topic::Jobs]).await.unwrap();
    assert_eq!(take(&mut last, 1, true).await, said(1, 10..11));
}

async fn what_a_group_has_not_done_yet_is_read_from_its_place(bus: Arc<dyn Bus>) {
    publish(bus.as_ref(), Topic::Chat, 3, 0..30).await;
    let not_done = async || {
        let place = bus.place("history", Topic::Chat).await.unwrap();
        by_key(&read(bus.as_ref(), Topic::Chat, place).await)
    };
    assert_eq!(not_done().await, said(3, 0..30), "a group that never was there has done nothing");
    let mut member = bus.join("history", &[Topic::Chat]).await.unwrap();
    let done = take(&mut member, 12, true).await;
    let rest = not_done().await;
    for (key, numbers) in said(3, 0..30) {
        let mut both = done.get(&key).cloned().unwrap_or_default();
        both.extend(rest.get(&key).cloned().unwrap_or_default());
        assert_eq!(both, numbers, "{key}");
    }
    assert_eq!(rest.values().map(Vec::len).sum::<usize>(), 18);
}

async fn every_group_gets_everything(bus: Arc<dyn Bus>) {
    let mut one = bus.join("one", &[Topic::Streams, Topic::Commands]).await.unwrap();
    let mut two = bus.join("two", &[Topic::Streams]).await.unwrap();
    publish(bus.as_ref(), Topic::Streams, 4, 0..20).await;
    publish(bus.as_ref(), Topic::Commands, 4, 20..24).await;
    let numbers = |taken: BTreeMap<String, Vec<u128>>| taken.into_values().flatten().collect::<BTreeSet<_>>();
    assert_eq!(numbers(take(&mut one, 24, true).await), (0..24).collect());
    assert_eq!(take(&mut two, 20, true).await, said(4, 0..20));
}

/// What members take, in the order in which they take it, with who did.
type Taken = (usize, Delivery);

/// Lets a member take and commit until it is aborted.
fn work(mut member: Box<dyn Member>, who: usize, taken: mpsc::Sender<Taken>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let delivery = member.next().await.unwrap();
            let position = delivery.position;
            taken.send((who, delivery)).await.unwrap();
            member.commit(&[position]).await.unwrap();
        }
    }))
}

async fn members_share_the_keys_and_take_over_from_each_other(bus: Arc<dyn Bus>) {
    const KEYS: u128 = 40;
    let (sender, mut taken) = mpsc::channel(1);
    let join = async || bus.join("workers", &[Topic::Jobs]).await.unwrap();
    let mut firsts: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut hear = |(_, delivery): &Taken| {
        let number = delivery.event.id.as_u128();
        if seen.insert(number) {
            firsts.entry(delivery.event.subject.to_string()).or_default().push(number);
        }
        seen.len()
    };
    let first = work(join().await, 1, sender.clone());
    publish(bus.as_ref(), Topic::Jobs, KEYS, 0..80).await;
    while hear(&taken.recv().await.unwrap()) < 80 {}
    let second = work(join().await, 2, sender.clone());
    // Until both work: the group may need a while to share out.
    let (mut number, mut who) = (80, BTreeSet::new());
    while who.len() < 2 {
        publish(bus.as_ref(), Topic::Jobs, KEYS, number..number + KEYS).await;
        number += KEYS;
        loop {
            let one = taken.recv().await.unwrap();
            who.insert(one.0);
            if hear(&one) as u128 == number {
                break;
            }
        }
    }
    // The one that leaves is taken over from.
    drop(first);
    publish(bus.as_ref(), Topic::Jobs, KEYS, number..number + KEYS).await;
    number += KEYS;
    while (hear(&taken.recv().await.unwrap()) as u128) < number {}
    drop(second);
    assert_eq!(firsts, said(KEYS, 0..number), "the order of each key");
}

async fn read(bus: &dyn Bus, topic: Topic, from: Start) -> Vec<Delivery> {
    let mut replay = bus.replay(topic, from).await.unwrap();
    let mut read = Vec::new();
    while let Some(delivery) = replay.next().await.unwrap() {
        read.push(delivery);
    }
    read
}

fn by_key(deliveries: &[Delivery]) -> BTreeMap<String, Vec<u128>> {
    let mut found: BTreeMap<String, Vec<u128>> = BTreeMap::new();
    for Delivery { event, .. } in deliveries {
        found.entry(event.subject.to_string()).or_default().push(event.id.as_u128());
    }
    found
}

async fn the_past_is_read_from_the_beginning_and_from_a_place(bus: Arc<dyn Bus>) {
    assert_eq!(read(bus.as_ref(), Topic::Chat, Start::Beginning).await, []);
    publish(bus.as_ref(), Topic::Chat, 6, 0..300).await;
    let all = read(bus.as_ref(), Topic::Chat, Start::Beginning).await;
    assert_eq!(by_key(&all), said(6, 0..300));
    // From behind the middle of each partition.
    let mut partitions: BTreeMap<u16, Vec<&Delivery>> = BTreeMap::new();
    for delivery in &all {
        partitions.entry(delivery.position.partition).or_default().push(delivery);
    }
    let middles = partitions.iter().map(|(partition, all)| (*partition, all[all.len() / 2].position.offset));
    let rest = read(bus.as_ref(), Topic::Chat, Start::At(middles.collect())).await;
    let expected: Vec<_> = partitions.values().flat_map(|all| &all[all.len() / 2..]).collect();
    let sorted = |mut all: Vec<Delivery>| {
        all.sort_by_key(|delivery| delivery.position);
        all
    };
    assert_eq!(sorted(rest), sorted(expected.into_iter().cloned().cloned().collect()));
    publish(bus.as_ref(), Topic::Chat, 6, 300..306).await;
    assert_eq!(by_key(&read(bus.as_ref(), Topic::Chat, Start::Beginning).await), said(6, 0..306));
}

async fn a_compacted_topic_keeps_the_newest_of_each_key(bus: Arc<dyn Bus>) {
    publish(bus.as_ref(), Topic::Nodes, 4, 0..20).await;
    // A broker drops the older ones when it likes.
    let newest: BTreeMap<_, _> = by_key(&read(bus.as_ref(), Topic::Nodes, Start::Beginning).await)
        .into_iter()
        .map(|(key, numbers)| (key, numbers.last().copied().unwrap()))
        .collect();
    assert_eq!(newest, (16..20).map(|number| (channel(number % 4), number)).collect());
}

async fn many_publish_at_once_and_nothing_is_lost(bus: Arc<dyn Bus>) {
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let bus = Arc::clone(&bus);
            let name = channel(task);
            AbortOnDropHandle::new(tokio::spawn(async move {
                for number in 0..50 {
                    bus.publish(Topic::Streams, event(&name, task * 1_000 + number)).await.unwrap();
                }
            }))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let kept = by_key(&read(bus.as_ref(), Topic::Streams, Start::Beginning).await);
    let all = (0..20).map(|task| (channel(task), (task * 1_000..task * 1_000 + 50).collect()));
    assert_eq!(kept, all.collect());
}

/// Refuses what has a number of its list, and says what it handled.
struct Picky {
    poison: Vec<u128>,
    tries: BTreeMap<u128, u32>,
    handled: mpsc::UnboundedSender<(u128, u32)>,
}

impl Handler for Picky {
    fn handle<'a>(&'a mut self, delivery: &'a Delivery) -> BusFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let number = delivery.event.id.as_u128();
            let tries = self.tries.entry(number).or_default();
            *tries += 1;
            if self.poison.contains(&number) {
                return Err(Failure::Never(format!("number {number} is poison")));
            }
            // The second time it works.
            if number == 5 && *tries == 1 {
                return Err(Failure::Later("not yet".into()));
            }
            if number == 6 {
                return Err(Failure::Later("never yet".into()));
            }
            self.handled.send((number, *tries)).unwrap();
            Ok(())
        })
    }
}

const QUICK: Retries =
    Retries { attempts: 3, first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(1) };

async fn handle(bus: &Arc<dyn Bus>, poison: &[u128], count: usize) -> Vec<(u128, u32)> {
    let (handled, mut numbers) = mpsc::unbounded_channel();
    let picky = Picky { poison: poison.to_vec(), tries: BTreeMap::new(), handled };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let consumer = AbortOnDropHandle::new(tokio::spawn({
        let bus = Arc::clone(bus);
        async move {
            let stopped = async { drop(stopped.await) };
            consume(bus, "workers", &[Topic::Jobs], QUICK, picky, stopped).await;
        }
    }));
    let mut done = Vec::new();
    while done.len() < count {
        done.push(numbers.recv().await.unwrap());
    }
    drop(stop);
    consumer.await.unwrap();
    done
}

async fn poison_is_buried_and_the_partition_goes_on(bus: Arc<dyn Bus>) {
    publish(bus.as_ref(), Topic::Jobs, 1, 0..10).await;
    let handled = handle(&bus, &[3], 8).await;
    let all = [0, 1, 2, 4, 5, 7, 8, 9].map(|number| (number, if number == 5 { 2 } else { 1 }));
    assert_eq!(handled, all, "in order, the fifth at the second try");
    let dead = bus.dead_letters(Topic::Jobs, 10).await.unwrap();
    let told: Vec<_> = dead.iter().map(|letter| letter.reason.as_str()).collect();
    assert_eq!(told, ["number 3 is poison", "never yet"]);
    let letter = &dead[0];
    assert_eq!((letter.topic.as_str(), letter.group.as_str()), ("millrace.jobs", "workers"));
    assert_eq!(letter.key, channel(0));
    assert_eq!(letter.headers["content-type"], "application/cloudevents+json; charset=UTF-8");
    assert_eq!(Event::read(letter.payload.as_bytes()).unwrap(), event(&channel(0), 3));
    assert_eq!(bus.dead_letters(Topic::Streams, 10).await.unwrap(), []);
}

async fn what_was_buried_is_driven_again(bus: Arc<dyn Bus>) {
    publish(bus.as_ref(), Topic::Jobs, 1, 0..5).await;
    handle(&bus, &[1, 3], 3).await;
    let reasons = async || {
        let letters = bus.dead_letters(Topic::Jobs, 10).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect::<Vec<_>>()
    };
    assert_eq!(reasons().await, ["number 1 is poison", "number 3 is poison"]);
    assert_eq!(bus.dead_letters(Topic::Jobs, 1).await.unwrap().len(), 1);
    // The handler is mended.
    assert_eq!(bus.redrive(Topic::Jobs, 1).await.unwrap(), 1);
    assert_eq!(handle(&bus, &[], 1).await, [(1, 1)]);
    assert_eq!(reasons().await, ["number 3 is poison"]);
    assert_eq!(bus.redrive(Topic::Jobs, 10).await.unwrap(), 1);
    assert_eq!(handle(&bus, &[], 1).await, [(3, 1)]);
    assert_eq!(bus.redrive(Topic::Jobs, 10).await.unwrap(), 0);
}
