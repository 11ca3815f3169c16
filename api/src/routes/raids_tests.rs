use millrace_core::bus::Subscription;
use millrace_core::chat::{ChatMessage, News, RoomUpdated};
use millrace_core::event::EventBody;
use serde_json::{Value, json};

use super::*;
use crate::accounts::Role;
use crate::raids::let_go;
use crate::routes::testing::World;

const RAID: &str = "/api/v1/channels/studio/raid";

/// Ada's studio and carol's garage are live.
async fn world() -> (World, String) {
    let world = World::new().await;
    let carol = world.state.sign_in_for_tests("carol", Role::Streamer).await.1;
    let made = world.ask("POST", "/api/v1/channels", &carol, Some(json!({ "name": "garage" }))).await;
    assert_eq!(made.0, 201);
    world.live("studio");
    world.live("garage");
    (world, carol)
}

fn to(target: &str) -> Option<Value> {
    Some(json!({ "target": target }))
}

fn heard(chat: &mut Subscription) -> (Vec<RoomUpdated>, Vec<(String, ChatMessage)>) {
    let (mut rooms, mut said) = (Vec::new(), Vec::new());
    while let Some(event) = chat.try_next() {
        match &event.body {
            EventBody::RoomUpdated(room) => rooms.push(room.as_ref().clone()),
            EventBody::MessageSent(message) => {
                said.push((event.channel().unwrap().to_string(), message.as_ref().clone()));
            }
            _ => {}
        }
    }
    (rooms, said)
}

#[tokio::test]
async fn a_raid_is_announced_goes_when_it_is_time_and_the_target_hears_who_comes() {
    let (world, _) = world().await;
    let mut chat = world.chat();
    let (status, raid) = world.ask("POST", RAID, &world.ada, to("@Garage ")).await;
    assert_eq!((status, &raid["target"]), (202, &json!("garage")), "{raid}");
    let shown = heard(&mut chat).0.pop().unwrap().raid.unwrap();
    assert_eq!((shown.target.as_str(), shown.gone), ("garage", false));
    assert_eq!(world.ask("GET", RAID, &world.ada, None).await.1, raid);
    let_go(&world.state).await.unwrap();
    assert_eq!(heard(&mut chat), (vec![], vec![]), "not yet");
    world.pass(COUNTDOWN_MS);
    let_go(&world.state).await.unwrap();
    let_go(&world.state).await.unwrap();
    let (rooms, said) = heard(&mut chat);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((said[0].0.as_str(), said[0].1.text.as_str()), ("garage", "ada raids with 0 viewers."));
    let news = News::Raid { channel: "studio".parse().unwrap(), display_name: "ada".into(), viewers: 0 };
    assert_eq!(said[0].1.news, Some(news));
    assert!(rooms.last().unwrap().raid.as_ref().unwrap().gone, "pages go");
    assert_eq!(world.ask("GET", RAID, &world.ada, None).await.0, 404);
    // Not one after the other.
    let (status, problem) = world.ask("POST", RAID, &world.ada, to("garage")).await;
    assert_eq!((status, &problem["type"]), (429, &json!("/problems/too-many-raids")));
    world.pass(RAID_EVERY_MS);
    assert_eq!(world.ask("POST", RAID, &world.ada, to("garage")).await.0, 202);
}

#[tokio::test]
async fn a_raid_that_is_called_off_goes_nowhere() {
    let (world, _) = world().await;
    let mut chat = world.chat();
    assert_eq!(world.ask("POST", RAID, &world.ada, to("garage")).await.0, 202);
    for _ in 0..2 {
        assert_eq!(world.ask("DELETE", RAID, &world.ada, None).await.0, 204);
    }
    assert_eq!(heard(&mut chat).0.pop().unwrap().raid, None);
    world.pass(COUNTDOWN_MS);
    let_go(&world.state).await.unwrap();
    assert_eq!(heard(&mut chat), (vec![], vec![]));
}

#[tokio::test]
async fn a_target_is_live_public_another_one_and_wants_it() {
    let (world, carol) = world().await;
    let refused = async |target: &str| {
        let (status, problem) = world.ask("POST", RAID, &world.ada, to(target)).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/target")), "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    };
    assert!(refused("studio").await.contains("itself"));
    world.make("attic").await;
    for nobody in ["attic", "nobody_here", "", "$ne", "\u{0}"] {
        assert!(refused(nobody).await.contains("no live channel"), "{nobody}");
    }
    let garage = "/api/v1/channels/garage";
    let set = async |path: &str, edit: Value| {
        let done = world.ask("PATCH", path, &carol, Some(edit)).await;
        assert_eq!(done.0, 200, "{}", done.1);
    };
    set(garage, json!({ "playback": "unlisted" })).await;
    assert!(refused("garage").await.contains("no live channel"));
    set(garage, json!({ "playback": "public" })).await;
    set("/api/v1/channels/garage/chat", json!({ "takes_raids": false })).await;
    assert!(refused("garage").await.contains("takes no raid"));
    set("/api/v1/channels/garage/chat", json!({ "takes_raids": true })).await;
    let ban = "/api/v1/channels/garage/chat/sanctions/ada";
    assert_eq!(world.ask("PUT", ban, &carol, Some(json!({}))).await.0, 204);
    assert!(refused("garage").await.contains("takes no raid"));
    assert_eq!(world.ask("DELETE", ban, &carol, None).await.0, 204);
    let block = "/api/v1/channels/garage/blocks/ada";
    assert_eq!(world.ask("PUT", block, &carol, None).await.0, 204);
    assert!(refused("garage").await.contains("takes no raid"));
    assert_eq!(world.ask("DELETE", block, &carol, None).await.0, 204);
    assert_eq!(world.ask("POST", RAID, &world.ada, to("garage")).await.0, 202);
    // The garage changes its mind before they come.
    set("/api/v1/channels/garage/chat", json!({ "takes_raids": false })).await;
    world.pass(COUNTDOWN_MS);
    let mut chat = world.chat();
    let_go(&world.state).await.unwrap();
    let (rooms, said) = heard(&mut chat);
    assert_eq!((rooms[0].raid.as_ref(), said.len()), (None, 0));
    // A room may take raids and say nothing of them; who is not live raids nobody.
    set("/api/v1/channels/garage/chat", json!({ "takes_raids": true, "raid_messages": false })).await;
    world.pass(RAID_EVERY_MS);
    assert_eq!(world.ask("POST", RAID, &world.ada, to("garage")).await.0, 202);
    world.pass(COUNTDOWN_MS);
    let_go(&world.state).await.unwrap();
    assert_eq!(heard(&mut chat).1, []);
    world.pass(RAID_EVERY_MS);
    let (status, problem) = world.ask("POST", "/api/v1/channels/attic/raid", &world.ada, to("garage")).await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/channel-not-live")));
}
