//! Every route of the site's settings: who may, what is refused, what changes.

use serde_json::{Value, json};

use crate::routes::testing::World;

#[tokio::test]
async fn everybody_sees_the_site_and_only_admins_its_settings() {
    let world = World::new().await;
    let name = Some(json!({ "name": "Boatyard" }));
    // For nobody, a stranger, a moderator, a streamer, an admin.
    let table: [(&str, &str, Option<Value>, [u16; 5]); 5] = [
        ("GET", "/api/v1/site", None, [200; 5]),
        ("GET", "/api/v1/admin/site", None, [401, 403, 403, 403, 200]),
        ("PATCH", "/api/v1/admin/site", name, [401, 403, 403, 403, 200]),
        ("GET", "/api/v1/admin/site/history", None, [401, 403, 403, 403, 200]),
        ("POST", "/api/v1/admin/site/history/1/undo", None, [401, 403, 403, 403, 200]),
    ];
    for (method, path, body, expected) in table {
        let people = ["", &world.eve, &world.bob, &world.ada, &world.root];
        for (who, expected) in people.iter().zip(expected) {
            let (status, answer) = world.ask(method, path, who, body.clone()).await;
            assert_eq!(status, expected, "{method} {path} as {who:.20?}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_change_shows_at_once_and_its_history_tells_who_and_what() {
    let world = World::new().await;
    let shown = async || world.ask("GET", "/api/v1/site", "", None).await.1;
    let before = shown().await;
    assert_eq!((&before["name"], &before["registration"]), (&json!("Millrace"), &json!("open")));
    assert_eq!(before["servers"], json!(["rtmp://here:1935/live"]));
    let edit = json!({
        "version": 0, "name": "Boatyard", "registration": "closed", "streaming": "streamers",
        "categories": ["Crafts", "Music"], "language": "de", "rules": "Be kind.", "contact": "help@example.org",
    });
    let (status, settings) = world.ask("PATCH", "/api/v1/admin/site", &world.root, Some(edit.clone())).await;
    assert_eq!((status, &settings["version"]), (200, &json!(1)), "{settings}");
    let site = shown().await;
    for field in ["name", "registration", "streaming", "categories", "language", "rules", "contact"] {
        assert_eq!(site[field], edit[field], "{field}");
    }
    let again = world.ask("PATCH", "/api/v1/admin/site", &world.root, Some(edit)).await;
    assert_eq!((again.0, &again.1["type"]), (409, &json!("/problems/changed-meanwhile")));
    let history = world.ask("GET", "/api/v1/admin/site/history", &world.root, None).await.1;
    let change = &history["items"][0];
    assert_eq!((&change["number"], &change["by"]["name"]), (&json!(1), &json!("root")));
    assert_eq!(change["before"]["name"], "Millrace");
    assert_eq!(change["after"]["name"], "Boatyard");
    assert!(change["changed"].as_array().unwrap().contains(&json!("registration")));
    let audit = world.ask("GET", "/api/v1/admin/audit", &world.root, None).await.1;
    assert_eq!(audit["items"][0]["action"], "site.settings");
    let (status, undone) = world.ask("POST", "/api/v1/admin/site/history/1/undo", &world.root, None).await;
    assert_eq!((status, &undone["version"], &undone["registration"]), (200, &json!(2), &json!("open")));
    assert_eq!(shown().await, before);
}

#[tokio::test]
async fn what_the_settings_say_is_what_people_meet() {
    let world = World::new().await;
    let edit = json!({
        "registration": "closed", "streaming": "streamers", "language": "de", "categories": ["Crafts"],
    });
    world.ask("PATCH", "/api/v1/admin/site", &world.root, Some(edit)).await;
    let person = json!({ "name": "dora", "password": "correct-horse-battery-staple" });
    let register = async || world.ask("POST", "/api/v1/auth/register", "", Some(person.clone())).await;
    assert_eq!(register().await.0, 403);
    world.ask("PATCH", "/api/v1/admin/site", &world.root, Some(json!({ "registration": "open" }))).await;
    let (status, dora) = register().await;
    assert_eq!((status, &dora["role"]), (201, &json!("viewer")), "{dora}");
    world.make("garage").await;
    let made = world.ask("GET", "/api/v1/channels/garage", &world.ada, None).await.1;
    assert_eq!(made["language"], "de");
    let category = async |text: &str| {
        world.ask("PATCH", "/api/v1/channels/garage", &world.ada, Some(json!({ "category": text }))).await
    };
    let (status, refused) = category("Cooking").await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/category")));
    assert_eq!(category("crafts").await.1["category"], "Crafts");
    world.ask("PATCH", "/api/v1/admin/site", &world.root, Some(json!({ "categories": ["Music"] }))).await;
    assert_eq!(category("Crafts").await.0, 200, "the one that it has stays");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field() {
    let world = World::new().await;
    for (body, kind) in [
        (json!({ "name": "" }), "invalid-fields"),
        (json!({ "name": { "$ne": "" } }), "bad-body"),
        (json!({ "registration": "maybe" }), "bad-body"),
        (json!({ "number": 9 }), "bad-body"),
        (json!({ "rules_url": "javascript:alert(1)" }), "invalid-fields"),
        (json!({ "categories": vec!["x"; 201] }), "invalid-fields"),
    ] {
        let (status, problem) = world.ask("PATCH", "/api/v1/admin/site", &world.root, Some(body)).await;
        assert_eq!((status, &problem["type"]), (422, &json!(format!("/problems/{kind}"))), "{problem}");
    }
    let none = world.ask("POST", "/api/v1/admin/site/history/9/undo", &world.root, None).await;
    assert_eq!((none.0, &none.1["type"]), (404, &json!("/problems/no-such-change")));
}
