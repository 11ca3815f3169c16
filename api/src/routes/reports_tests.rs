//! Every route of reports: who may, what is refused, what is told to whom.

use serde_json::{Value, json};

use crate::accounts::Role;
use crate::routes::testing::World;

const QUEUE: &str = "/api/v1/admin/reports";
const OF_CHANNEL: &str = "/api/v1/channels/studio/reports";

fn spam() -> Option<Value> {
    Some(json!({ "reason": "spam", "text": "Always the same." }))
}

#[tokio::test]
async fn who_is_signed_in_reports_and_only_admins_see_by_whom() {
    let world = World::new().await;
    // For nobody, a stranger, a moderator, the owner, an admin.
    let table: [(&str, &str, Option<Value>, [u16; 5]); 3] = [
        ("POST", OF_CHANNEL, spam(), [401, 204, 204, 409, 204]),
        ("POST", "/api/v1/users/ada/reports", spam(), [401, 204, 204, 409, 204]),
        ("GET", QUEUE, None, [401, 403, 403, 403, 200]),
    ];
    let people = ["", &world.eve, &world.bob, &world.ada, &world.root];
    for (method, path, body, expected) in table {
        for (who, expected) in people.iter().zip(expected) {
            let (status, answer) = world.ask(method, path, who, body.clone()).await;
            assert_eq!(status, expected, "{method} {path} as {who:.20?}: {answer}");
        }
    }
    let queue = world.ask("GET", QUEUE, &world.root, None).await.1;
    let first = &queue["items"][0];
    assert_eq!(
        (&first["target"], &first["about"], &first["reporter"]["name"]),
        (&json!("studio"), &json!("channel"), &json!("eve"))
    );
    let resolve = format!("{QUEUE}/{}/resolve", first["id"].as_str().unwrap());
    let warned = Some(json!({ "outcome": "warned", "note": "Told them." }));
    for (who, expected) in people.iter().zip([401, 403, 403, 403, 200]) {
        assert_eq!(world.ask("POST", &resolve, who, warned.clone()).await.0, expected, "{who:.20?}");
    }
    let again = world.ask("POST", &resolve, &world.root, warned).await;
    assert_eq!((again.0, &again.1["type"]), (409, &json!("/problems/resolved-already")));
    let resolved = world.ask("GET", &format!("{QUEUE}?state=resolved"), &world.root, None).await.1;
    assert_eq!(resolved["items"][0]["resolved_by"]["name"], "root");
    let audit = world.ask("GET", "/api/v1/admin/audit", &world.root, None).await.1;
    let entry = &audit["items"][0];
    assert_eq!((&entry["action"], &entry["target"]), (&json!("report.warned"), &json!("channel studio")));
    assert!(!audit.to_string().contains("eve"), "the log does not name who reported");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_nobody_floods_the_queue() {
    let world = World::new().await;
    let kind = async |uri: &str, body: Value| {
        let (status, problem) = world.ask("POST", uri, &world.eve, Some(body)).await;
        (status, problem["type"].as_str().unwrap_or_default().to_owned())
    };
    for (uri, body, expected) in [
        (OF_CHANNEL, json!({ "reason": "boring" }), (422, "/problems/bad-body")),
        (OF_CHANNEL, json!({ "reason": "other" }), (422, "/problems/invalid-fields")),
        (OF_CHANNEL, json!({ "reason": "spam", "reporter": "bob" }), (422, "/problems/bad-body")),
        ("/api/v1/channels/nowhere/reports", json!({ "reason": "spam" }), (404, "/problems/no-such-channel")),
        ("/api/v1/users/nobody/reports", json!({ "reason": "spam" }), (404, "/problems/no-such-person")),
    ] {
        assert_eq!(kind(uri, body).await, (expected.0, expected.1.to_owned()), "{uri}");
    }
    assert_eq!(kind(OF_CHANNEL, json!({ "reason": "spam" })).await.0, 204);
    let again = kind(OF_CHANNEL, json!({ "reason": "hate" })).await;
    assert_eq!(again, (409, "/problems/reported-already".to_owned()));
    let limit = world.state.site_config().max_reports_per_day;
    for number in 1..limit {
        world.state.sign_in_for_tests(&format!("person_{number}"), Role::Viewer).await;
        assert_eq!(
            kind(&format!("/api/v1/users/person_{number}/reports"), json!({ "reason": "spam" })).await.0,
            204
        );
    }
    let flood = kind("/api/v1/users/ada/reports", json!({ "reason": "spam" })).await;
    assert_eq!(flood, (409, "/problems/limit-reached".to_owned()));
    assert_eq!(world.ask("GET", &format!("{QUEUE}?state=lost"), &world.root, None).await.0, 400);
    let none = Some(json!({ "outcome": "dismissed" }));
    assert_eq!(world.ask("POST", &format!("{QUEUE}/x/resolve"), &world.root, none).await.0, 404);
}

#[tokio::test]
async fn a_private_channel_cannot_be_found_by_reporting() {
    let world = World::new().await;
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, Some(json!({ "playback": "private" }))).await;
    assert_eq!(world.ask("POST", OF_CHANNEL, &world.eve, spam()).await.0, 404);
}
