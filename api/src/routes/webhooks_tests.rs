use super::*;
use crate::routes::testing::World;

const HOOKS: &str = "/api/v1/channels/studio/webhooks";

fn new(url: &str) -> serde_json::Value {
    json!({ "name": "bot", "url": url, "events": ["message.sent", "stream.started"] })
}

#[tokio::test]
async fn a_webhook_is_made_listed_changed_turned_off_and_on_and_removed() {
    let world = World::new().await;
    let (status, made) =
        world.ask("POST", HOOKS, &world.ada, Some(new("https://bot.example.org/x?key=1"))).await;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let one = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    let (_, listed) = world.ask("GET", HOOKS, &world.ada, None).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["url"], "https://bot.example.org/x?key=1");
    assert!(!listed.to_string().contains(secret), "the secret is told once");
    let edit = json!({ "name": " other ", "events": ["room.updated"], "enabled": false });
    let (status, changed) = world.ask("PATCH", &one, &world.ada, Some(edit)).await;
    assert_eq!((status, &changed["name"], &changed["disabled"]), (200, &json!("other"), &json!("owner")));
    assert_eq!(changed["events"], json!(["room.updated"]));
    let (status, problem) = world.ask("POST", &format!("{one}/test"), &world.ada, None).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/webhook-disabled")));
    let (_, on) = world.ask("PATCH", &one, &world.ada, Some(json!({ "enabled": true }))).await;
    assert_eq!(on.get("disabled"), None);
    let (status, rotated) = world.ask("POST", &format!("{one}/rotate"), &world.ada, None).await;
    assert_eq!(status, 201);
    assert_ne!(rotated["secret"], secret);
    let (_, export) = world.ask("GET", "/api/v1/me/export", &world.ada, None).await;
    let kept = &export["channels"][0]["webhooks"];
    assert_eq!(kept[0]["url"], "https://bot.example.org/x?key=1", "{export}");
    assert!(!export.to_string().contains("whsec_"), "secrets are left out");
    assert_eq!(world.ask("DELETE", &one, &world.ada, None).await.0, 204);
    assert_eq!(world.ask("DELETE", &one, &world.ada, None).await.0, 404);
}

#[tokio::test]
async fn what_is_no_receiver_is_refused_with_every_field_that_is_wrong() {
    let world = World::new().await;
    for url in [
        "http://bot.example.org/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/",
        "https://localhost/",
        "https://bot.example.org:27017/",
        "https://ada:x@bot.example.org/",
        "ftp://bot.example.org/",
        "x",
        "",
    ] {
        let (status, problem) = world.ask("POST", HOOKS, &world.ada, Some(new(url))).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/url")), "{url}: {problem}");
    }
    let wrong = json!({ "name": "", "url": "x", "events": [] });
    let (_, problem) = world.ask("POST", HOOKS, &world.ada, Some(wrong)).await;
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "{problem}");
    let unknown = json!({ "name": "bot", "url": "https://bot.example.org/", "events": ["everything"] });
    assert_eq!(world.ask("POST", HOOKS, &world.ada, Some(unknown)).await.0, 422);
}

#[tokio::test]
async fn a_channel_has_so_many_and_only_its_own() {
    let world = World::new().await;
    let good = || Some(new("https://bot.example.org/"));
    let limit = world.state.webhooks().config().max_per_channel;
    for _ in 0..limit {
        assert_eq!(world.ask("POST", HOOKS, &world.ada, good()).await.0, 201);
    }
    let (status, problem) = world.ask("POST", HOOKS, &world.ada, good()).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/limit-reached")));
    world.make("garage").await;
    let (_, listed) = world.ask("GET", HOOKS, &world.ada, None).await;
    let id = listed["items"][0]["id"].as_str().unwrap();
    let elsewhere = format!("/api/v1/channels/garage/webhooks/{id}");
    assert_eq!(world.ask("DELETE", &elsewhere, &world.ada, None).await.0, 404);
    // With the channel they go.
    assert_eq!(world.ask("DELETE", "/api/v1/channels/studio", &world.ada, None).await.0, 204);
    let left = world.state.store().count::<Webhook>(&millrace_store::Query::default()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_test_waits_in_the_queue_and_another_one_is_refused_for_a_while() {
    let world = World::new().await;
    let (_, made) = world.ask("POST", HOOKS, &world.ada, Some(new("https://bot.example.org/"))).await;
    let one = format!("{HOOKS}/{}", made["id"].as_str().unwrap());
    assert_eq!(world.ask("POST", &format!("{one}/test"), &world.ada, None).await.0, 202);
    let (status, problem) = world.ask("POST", &format!("{one}/test"), &world.ada, None).await;
    assert_eq!((status, &problem["type"]), (429, &json!("/problems/too-many-tests")));
    let (_, listed) = world.ask("GET", HOOKS, &world.ada, None).await;
    assert_eq!(listed["items"][0]["waiting"], 1);
    assert_eq!(world.ask("GET", &format!("{one}/deliveries"), &world.ada, None).await.1["items"], json!([]));
}
