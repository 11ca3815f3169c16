use std::net::{Ipv4Addr, SocketAddr};

use axum::http::HeaderMap;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::chat::RoomUpdated;
use millrace_http::problem::Problem;

use super::*;
use crate::records::{RecordsFuture, Visit};

/// Who comes and goes.
const PASSERS_BY: u128 = 100_000;
/// How many of them are there at once.
const AT_ONCE: usize = 100;
const ROOMS: u128 = 20;
/// One in so many says something.
const SAYS: u128 = 500;

/// A site whose channels are all alike.
struct Site;

impl Records for Site {
    fn visit<'a>(&'a self, _: &'a HeaderMap, _: SocketAddr) -> RecordsFuture<'a, Result<Visit, Problem>> {
        unreachable!("nobody comes by HTTP")
    }

    fn room<'a>(
        &'a self,
        channel: &'a ChannelName,
        _: Option<&'a Chatter>,
    ) -> RecordsFuture<'a, Result<Record, Away>> {
        let number = channel.as_str().rsplit('_').next().unwrap().parse().unwrap();
        let record = RoomRecord {
            channel: ChannelId(uuid::Uuid::from_u128(number)),
            since_ms: 0,
            owner: UserId(uuid::Uuid::nil()),
            moderators: Vec::new(),
            state: RoomUpdated::default(),
            site_emotes: Vec::new(),
            site_contact: String::new(),
        };
        Box::pin(async { Ok(Record::Room(Box::new(record))) })
    }

    fn standing<'a>(&'a self, _: &'a ChannelName, _: UserId) -> RecordsFuture<'a, Result<Standing, Away>> {
        Box::pin(async { Ok(Standing::default()) })
    }

    fn recent<'a>(
        &'a self,
        _: &'a ChannelName,
        _: usize,
    ) -> RecordsFuture<'a, Result<Vec<Arc<ChatMessage>>, Away>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn has_spoken<'a>(&'a self, _: &'a ChannelName, _: UserId) -> RecordsFuture<'a, Result<bool, Away>> {
        unreachable!("nothing is held")
    }

    fn hold<'a>(
        &'a self,
        _: &'a ChannelName,
        _: &'a ChatMessage,
        _: HoldReason,
    ) -> RecordsFuture<'a, Result<Holding, Away>> {
        unreachable!("nothing is held")
    }
}

fn chatter(number: u128) -> Chatter {
    Chatter {
        user: UserId(uuid::Uuid::from_u128(number + 1)),
        name: format!("person_{number}").parse().unwrap(),
        display_name: format!("Person {number}"),
        session: None,
        admin: false,
        bot: false,
        since_ms: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_come_and_go_and_leave_nothing_behind() {
    let config = ChatConfig { room_messages_per_second: 10_000, ..ChatConfig::default() };
    let limit = config.connections_per_address;
    let bus = MemoryBus::new();
    let node = Node::new(Arc::new(Site), bus, config, &"one".parse().unwrap(), false);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(node.clone().run(shutdown.clone()));
    node.caught_up().await;
    let room = |number: u128| -> ChannelName { format!("room_{}", number % ROOMS).parse().unwrap() };
    let address = |number: u128| IpAddr::V4(Ipv4Addr::from(u32::try_from(number % 1_000).unwrap()));

    let mut stays = node.enter(&room(0), None, address(0)).await.unwrap();
    stays.welcome(None).unwrap();
    let mut here = VecDeque::new();
    for number in 0..PASSERS_BY {
        let mut seat = node.enter(&room(number), Some(chatter(number)), address(number)).await.unwrap();
        seat.welcome(None).unwrap();
        if number % SAYS == 0 {
            let text = format!("{number} was here");
            let draft = Draft { nonce: "n".to_owned(), text: text.clone(), reply_to: None };
            node.say(&mut seat.speaker().unwrap(), &draft).await.unwrap();
            // In one of the rooms somebody listens all the time.
            if number % ROOMS == 0 {
                loop {
                    match stays.frames.recv().await.unwrap() {
                        Frame::Text(frame) if frame.contains(&text) => break,
                        _ => {}
                    }
                }
            }
        }
        here.push_back(seat);
        if here.len() > AT_ONCE {
            here.pop_front();
        }
    }
    assert!(PASSERS_BY / 1_000 > limit.into(), "an address that forgot nobody would be full");
    assert_eq!(node.halls().iter().map(|hall| lock(&hall.state).people.len()).sum::<usize>(), AT_ONCE);
    drop(here);

    assert_eq!(node.halls().len(), usize::try_from(ROOMS).unwrap());
    for hall in node.halls() {
        let mut state = lock(&hall.state);
        assert!(state.people.is_empty(), "{}", hall.channel);
        let chatters = hall.chatters(&mut state);
        assert_eq!((chatters.count, chatters.names.len()), (0, 0));
    }
    {
        let counts = lock(&node.0.counts);
        assert!(counts.people.is_empty());
        assert_eq!(counts.addresses.values().sum::<u32>(), 1, "who stays");
    }
    drop(stays);
    assert!(lock(&node.0.counts).addresses.is_empty());
    shutdown.cancel();
    running.await.unwrap();
}
