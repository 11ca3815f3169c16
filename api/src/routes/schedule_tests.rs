//! Every route of schedules: who may, what is refused, what is told.

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::channels::ChannelsConfig;
use crate::routes::testing::World;

/// Days ahead of the test's clock at 12:00 in UTC.
fn noon(world: &World, days: i64) -> String {
    let day = time(world.state.now_ms() + days * DAY_MS).to_zoned(jiff::tz::TimeZone::UTC).date();
    format!("{day}T12:00")
}

fn plan(starts: &str) -> Value {
    json!({ "title": "Boat", "starts": starts, "time_zone": "UTC", "minutes": 60 })
}

const PLANS: &str = "/api/v1/channels/studio/plans";
const SCHEDULE: &str = "/api/v1/channels/studio/schedule";

async fn add(world: &World, plan: Value) -> String {
    let (status, made) = world.ask("POST", PLANS, &world.ada, Some(plan)).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn everybody_sees_a_public_schedule_and_its_owner_makes_it() {
    let world = World::new().await;
    let starts = noon(&world, 2);
    let weekly = json!({ "weekly": true, "title": "B", "starts": starts, "time_zone": "UTC", "minutes": 60 });
    let id = add(&world, weekly.clone()).await;
    let one = format!("{PLANS}/{id}");
    let day = format!("{one}/cancelled/{}", &starts[..10]);
    let calendar = format!("{SCHEDULE}.ics");
    // For nobody, a stranger, a moderator, the owner, an admin.
    let table: [(&str, &str, Option<Value>, [u16; 5]); 9] = [
        ("GET", SCHEDULE, None, [200; 5]),
        ("GET", &calendar, None, [200; 5]),
        ("GET", "/api/v1/me/upcoming", None, [401, 200, 200, 200, 200]),
        ("GET", PLANS, None, [401, 403, 403, 200, 200]),
        ("POST", PLANS, Some(plan(&starts)), [401, 403, 403, 201, 201]),
        ("PUT", &one, Some(weekly), [401, 403, 403, 200, 200]),
        ("PUT", &day, None, [401, 403, 403, 200, 200]),
        ("DELETE", &day, None, [401, 403, 403, 200, 200]),
        ("DELETE", &one, None, [401, 403, 403, 204, 404]),
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
async fn a_schedule_is_told_to_those_who_may_watch() {
    let world = World::new().await;
    add(&world, plan(&noon(&world, 2))).await;
    let see = async |who: &str| world.ask("GET", SCHEDULE, who, None).await.0;
    for (playback, expected) in
        [("unlisted", [200, 200, 200]), ("followers", [401, 403, 200]), ("private", [404, 404, 200])]
    {
        let edit = Some(json!({ "playback": playback }));
        world.ask("PATCH", "/api/v1/channels/studio", &world.ada, edit).await;
        assert_eq!([see("").await, see(&world.eve).await, see(&world.bob).await], expected, "{playback}");
    }
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, Some(json!({ "playback": "followers" }))).await;
    world.ask("PUT", "/api/v1/channels/studio/follow", &world.eve, None).await;
    assert_eq!(see(&world.eve).await, 200);
    let upcoming =
        async |who: &str| world.ask("GET", "/api/v1/me/upcoming", who, None).await.1["items"].clone();
    assert_eq!(upcoming(&world.eve).await[0]["channel"], "studio");
    assert_eq!(upcoming(&world.ada).await, json!([]), "only what one follows");
    world.ask("PATCH", "/api/v1/channels/studio", &world.ada, Some(json!({ "playback": "private" }))).await;
    assert_eq!(upcoming(&world.eve).await, json!([]));
}

#[tokio::test]
async fn a_series_is_listed_in_pages_and_one_day_of_it_is_cancelled() {
    let world = World::new().await;
    let starts = noon(&world, 1);
    let mut weekly = plan(&starts);
    weekly["weekly"] = json!(true);
    let id = add(&world, weekly).await;
    world.ask("PUT", "/api/v1/channels/studio/follow", &world.eve, None).await;
    let first = &starts[..10];
    let uri = format!("{PLANS}/{id}/cancelled/{first}");
    let (status, cancelled) = world.ask("PUT", &uri, &world.ada, None).await;
    assert_eq!((status, &cancelled["cancelled"]), (200, &json!([first])));
    let list = async |query: &str| world.ask("GET", &format!("{SCHEDULE}?{query}"), "", None).await.1;
    let page = list("limit=3").await;
    let days: Vec<_> = page["items"].as_array().unwrap().iter().map(|one| one["cancelled"].clone()).collect();
    assert_eq!(days, [true, false, false]);
    assert_eq!(page["items"][0]["starts_at"], format!("{first}T12:00:00Z"));
    let rest = list(&format!("limit=3&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
    assert_eq!(list("days=2").await["items"].as_array().unwrap().len(), 1);
    assert_eq!(list("days=91").await["type"], "/problems/bad-parameter");
    let upcoming = world.ask("GET", "/api/v1/me/upcoming", &world.eve, None).await.1;
    assert_eq!(upcoming["items"].as_array().unwrap().len(), 1, "a cancelled one is none");
    let other = format!("{PLANS}/{id}/cancelled/{}", &noon(&world, 2)[..10]);
    assert_eq!(world.ask("PUT", &other, &world.ada, None).await.1["type"], "/problems/no-such-plan");
}

#[tokio::test]
async fn the_calendar_is_one() {
    let world = World::new().await;
    add(&world, plan(&noon(&world, 2))).await;
    let request =
        axum::http::Request::get(format!("{SCHEDULE}.ics")).body(axum::body::Body::empty()).unwrap();
    let response = crate::router(world.state.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/calendar; charset=utf-8");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    assert!(text.starts_with("BEGIN:VCALENDAR\r\n") && text.ends_with("END:VCALENDAR\r\n"), "{text}");
    assert!(text.contains("\r\nSUMMARY:Boat\r\n"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_field_or_its_limit() {
    let world = World::with(ChannelsConfig { max_planned: 1, ..ChannelsConfig::default() }).await;
    let starts = noon(&world, 2);
    let with = |field: &str, value: Value| {
        let mut plan = plan(&starts);
        plan[field] = value;
        plan
    };
    for (body, kind) in [
        (with("title", json!("")), "invalid-fields"),
        (with("time_zone", json!("Berlin")), "invalid-fields"),
        (with("starts", json!({ "$ne": "" })), "bad-body"),
        (with("channel", json!("other")), "bad-body"),
    ] {
        let (status, problem) = world.ask("POST", PLANS, &world.ada, Some(body)).await;
        assert_eq!((status, &problem["type"]), (422, &json!(format!("/problems/{kind}"))), "{problem}");
    }
    let id = add(&world, plan(&starts)).await;
    let (status, problem) = world.ask("POST", PLANS, &world.ada, Some(plan(&starts))).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/limit-reached")));
    world.make("garage").await;
    let foreign = format!("/api/v1/channels/garage/plans/{id}");
    let (status, problem) = world.ask("DELETE", &foreign, &world.ada, None).await;
    assert_eq!((status, &problem["type"]), (404, &json!("/problems/no-such-plan")));
}
