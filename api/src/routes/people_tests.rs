//! Who came by a provider, what a ban and a farewell end, forged tokens, floods, and the audit log.

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, Subscription, Topic};
use millrace_core::event::EventBody;
use millrace_core::ids::SessionId;
use millrace_core::playback::Access;
use millrace_store::{Changes, Query};
use serde_json::{Value, json};

use super::auth_tests::{Browser, OTHER, PASSWORD, kind};
use crate::ApiState;
use crate::accounts::{Block, Identity, Role, User};
use crate::auth::audit::Audit;
use crate::auth::person::{ACCESS_AUDIENCE, ACCESS_LIFETIME_S, AccessClaims};
use crate::oauth::flow::{FLOW_AUDIENCE, HALF_AUDIENCE};
use crate::studio::Studio;

const MINUTE_MS: i64 = 60_000;

async fn session(browser: &mut Browser) -> SessionId {
    let (_, page) = browser.get("/api/v1/me/sessions").await;
    let current = page["items"].as_array().unwrap().iter().find(|one| one["current"] == true).unwrap();
    current["id"].as_str().unwrap().parse().unwrap()
}

/// Somebody who has no password, as who comes by a provider.
async fn without_password(state: &ApiState, name: &str) -> Browser {
    let mut browser = Browser::new(state);
    browser.register(name).await;
    let user = state.people().by_login(name).await.unwrap().unwrap();
    state.people().replace(&user, &User { password: None, ..user.value.clone() }).await.unwrap();
    browser
}

#[tokio::test]
async fn who_came_by_a_provider_sets_a_password_once_the_provider_has_confirmed_it() {
    let (state, clock) = ApiState::for_tests_with(|_| {}).await;
    let mut browser = without_password(&state, "ada").await;
    let set = || json!({ "password": OTHER });
    assert_eq!(kind(&browser.post("/api/v1/me/password", set()).await), (403, "/problems/confirm-first"));
    let id = session(&mut browser).await;
    state.sessions().confirm(id, state.now_ms()).await.unwrap();
    let until = browser.get("/api/v1/me/identities").await.1;
    assert!(until["confirmed_until"].is_string(), "{until}");
    clock.advance_ms(10 * MINUTE_MS);
    assert_eq!(kind(&browser.post("/api/v1/me/password", set()).await), (403, "/problems/confirm-first"));
    assert_eq!(browser.get("/api/v1/me/identities").await.1["confirmed_until"], Value::Null);
    state.sessions().confirm(id, state.now_ms()).await.unwrap();
    let guessed = json!({ "current": "guess", "password": OTHER });
    assert_eq!(kind(&browser.post("/api/v1/me/password", guessed).await), (403, "/problems/wrong-password"));
    assert_eq!(browser.post("/api/v1/me/password", set()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(Browser::new(&state).login(OTHER).await.0, StatusCode::OK);
}

#[tokio::test]
async fn who_has_a_password_still_needs_it_and_another_browser_is_not_confirmed() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let mut phone = Browser::new(&state);
    phone.login(PASSWORD).await;
    let id = session(&mut phone).await;
    state.sessions().confirm(id, state.now_ms()).await.unwrap();
    for (method, path) in [(Method::DELETE, "/api/v1/me"), (Method::DELETE, "/api/v1/me/totp")] {
        let answer = browser.ask(method, path, json!({})).await;
        assert_eq!(kind(&answer), (403, "/problems/confirm-first"), "{path}");
    }
    assert_eq!(phone.ask(Method::DELETE, "/api/v1/me/totp", json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(phone.ask(Method::DELETE, "/api/v1/me", json!({})).await.0, StatusCode::NO_CONTENT);
    assert!(!browser.signed_in().await);
}

#[tokio::test]
async fn a_provider_is_asked_again_only_by_who_has_linked_it() {
    let state = ApiState::for_tests().await;
    let path = "/api/v1/me/identities/google/confirm";
    assert_eq!(Browser::new(&state).post(path, Value::Null).await.0, StatusCode::UNAUTHORIZED);
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    assert_eq!(browser.post(path, Value::Null).await.0, StatusCode::NOT_FOUND);
    let made = browser.post("/api/v1/me/tokens", json!({ "name": "x", "scopes": ["read"] })).await.1;
    let mut script = Browser::new(&state);
    script.bearer = made["secret"].as_str().map(str::to_owned);
    assert_eq!(script.post(path, Value::Null).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_links_more_accounts_than_the_limit() {
    let (state, _) = ApiState::for_tests_with(|setup| setup.accounts.max_identities = 2).await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let user = state.people().by_login("ada").await.unwrap().unwrap().id;
    for subject in ["1", "2"] {
        let (provider, subject) = ("google".to_owned(), subject.to_owned());
        let identity = Identity { provider, subject, user, email: None, linked_at: 0 };
        state.store().insert(&identity).await.unwrap();
    }
    let full = browser.post("/api/v1/me/identities/google", Value::Null).await;
    assert_eq!(kind(&full), (409, "/problems/limit-reached"));
    assert!(full.1["detail"].as_str().unwrap().contains("There are 2 linked accounts"), "{}", full.1);
    let id = Identity::id_of("google", "1");
    let gone = browser.ask(Method::DELETE, &format!("/api/v1/me/identities/{id}"), Value::Null).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    // This site takes no such provider; the limit does not stand in the way any more.
    let answer = browser.post("/api/v1/me/identities/google", Value::Null).await;
    assert_eq!(answer.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_half_sign_in_needs_the_code_of_its_own_account_in_time() {
    let (state, clock) = ApiState::for_tests_with(|_| {}).await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let id = state.people().by_login("ada").await.unwrap().unwrap().id;
    browser.post("/api/v1/me/totp", Value::Null).await;
    let factor = state.people().second_factor(id).await.unwrap().unwrap().value;
    let first = json!({ "code": factor.code(state.now_ms()) });
    assert_eq!(browser.post("/api/v1/me/totp/confirm", first).await.0, StatusCode::OK);
    clock.advance_ms(MINUTE_MS);
    let half = |audience| state.keys().sign(audience, json!({ "half": id }), state.now_ms(), 600);
    let finish = |mut browser: Browser, code: String| async move {
        browser.post("/api/v1/auth/second-factor", json!({ "code": code })).await
    };
    let with = |token: String| {
        let mut browser = Browser::new(&state);
        browser.cookies.insert("millrace_half".into(), token);
        browser
    };
    let code = || factor.code(state.now_ms());
    let over = (401, "/problems/session-ended");
    assert_eq!(kind(&finish(Browser::new(&state), code()).await), over, "nobody was let in");
    assert_eq!(kind(&finish(with(half(FLOW_AUDIENCE)), code()).await), over, "another cookie");
    let wrong = finish(with(half(HALF_AUDIENCE)), "000000".into()).await;
    assert_eq!(kind(&wrong), (401, "/problems/second-factor-wrong"));
    let empty = finish(with(half(HALF_AUDIENCE)), String::new()).await;
    assert_eq!(kind(&empty), (401, "/problems/second-factor-required"));
    let mut in_time = with(half(HALF_AUDIENCE));
    let answer = in_time.post("/api/v1/auth/second-factor", json!({ "code": code() })).await;
    assert_eq!((answer.0, &answer.1["name"]), (StatusCode::OK, &json!("ada")));
    assert!(in_time.signed_in().await);
    assert!(!in_time.cookies.contains_key("millrace_half"));
    let replayed = finish(with(half(HALF_AUDIENCE)), code()).await;
    assert_eq!(kind(&replayed), (401, "/problems/second-factor-wrong"));
    let late = half(HALF_AUDIENCE);
    clock.advance_ms(10 * MINUTE_MS);
    assert_eq!(kind(&finish(with(late), code()).await), over);
    // Guessing codes is stopped, whatever browser does it, and it heals.
    let mut refused = 0;
    for _ in 0..20 {
        let answer = finish(with(half(HALF_AUDIENCE)), "000000".into()).await;
        refused += usize::from(answer.0 == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused >= 9, "{refused}");
    assert_eq!(finish(with(half(HALF_AUDIENCE)), code()).await.0, StatusCode::TOO_MANY_REQUESTS);
    clock.advance_ms(10 * MINUTE_MS);
    assert_eq!(finish(with(half(HALF_AUDIENCE)), code()).await.0, StatusCode::OK);
}

/// A site whose orders to other roles are seen, with a folder for pictures.
async fn site() -> (ApiState, Subscription, tempfile::TempDir) {
    let (state, _) = ApiState::for_tests_with(|_| {}).await;
    let pictures = tempfile::tempdir().unwrap();
    let bus = MemoryBus::new();
    let orders = bus.subscribe(Topic::Commands);
    let studio =
        Studio::new(state.store().clone(), bus, "test".parse().unwrap(), state.studio().config.clone());
    (state.with_studio(Arc::new(studio.with_folder(pictures.path()))), orders, pictures)
}

/// What was ordered to stop, until `done` is ordered.
async fn stopped(state: &ApiState, orders: &mut Subscription) -> Vec<String> {
    state.studio().updated(&"the_end".parse().unwrap(), Access::Open).await;
    let mut stopped = Vec::new();
    loop {
        let event = orders.next().await.unwrap();
        if event.subject.key() == "the_end" {
            return stopped;
        }
        if matches!(event.body, EventBody::StreamStop(_)) {
            stopped.push(event.subject.to_string());
        }
    }
}

#[tokio::test]
async fn a_ban_and_a_lost_role_end_what_is_broadcast_and_nothing_else_does() {
    let (state, mut orders, _pictures) = site().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    for channel in ["boatyard", "workshop"] {
        assert_eq!(browser.post("/api/v1/channels", json!({ "name": channel })).await.0, StatusCode::CREATED);
    }
    let mut admin = Browser::new(&state);
    admin.bearer =
        state.sign_in_for_tests("root", Role::Admin).await.1.strip_prefix("Bearer ").map(str::to_owned);
    for (edit, expected) in [
        (json!({ "role": "admin" }), vec![]),
        (json!({ "role": "viewer" }), vec!["boatyard", "workshop"]),
        (json!({ "role": "streamer" }), vec![]),
        (json!({ "banned": true }), vec!["boatyard", "workshop"]),
        (json!({ "banned": false }), vec![]),
    ] {
        let answer = admin.ask(Method::PATCH, "/api/v1/admin/users/ada", edit.clone()).await;
        assert_eq!(answer.0, StatusCode::OK);
        let mut names = stopped(&state, &mut orders).await;
        names.sort();
        assert_eq!(names, expected, "{edit}");
    }
}

#[tokio::test]
async fn a_deleted_account_broadcasts_no_more_and_leaves_neither_picture_nor_blocks() {
    let (state, mut orders, pictures) = site().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    browser.post("/api/v1/channels", json!({ "name": "boatyard" })).await;
    let mut picture = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut picture, image::ImageFormat::Png).unwrap();
    let user = state.people().by_login("ada").await.unwrap().unwrap();
    // As the route does it; the body of a test browser is text.
    let made = crate::picture::avatar(&picture.into_inner()).unwrap();
    let file = state.new_id().to_string();
    let kept = pictures.path().join("avatars").join(&file);
    state.studio().objects.as_ref().unwrap().put(&format!("avatars/{file}"), made.into()).await.unwrap();
    assert!(kept.exists());
    let with_picture = User { avatar: Some(file.clone()), ..user.value.clone() };
    state.people().replace(&user, &with_picture).await.unwrap();
    // Another one's channel has blocked her.
    let mut other = Browser::new(&state);
    other.register("bob").await;
    other.post("/api/v1/channels", json!({ "name": "harbour" })).await;
    let block = other.ask(Method::PUT, "/api/v1/channels/harbour/blocks/ada", Value::Null).await;
    assert_eq!(block.0, StatusCode::NO_CONTENT);
    stopped(&state, &mut orders).await;
    let gone = browser.ask(Method::DELETE, "/api/v1/me", json!({ "password": PASSWORD })).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    assert_eq!(stopped(&state, &mut orders).await, ["boatyard"]);
    assert!(!kept.exists(), "the picture is still there");
    let blocks = Query::with("user", user.id.to_string(), 10);
    assert!(state.store().find::<Block>(&blocks).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_that_is_somebodys_channel_is_not_given_away() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    assert_eq!(browser.post("/api/v1/channels", json!({ "name": "boatyard" })).await.0, StatusCode::CREATED);
    let body = json!({ "name": "boatyard", "password": PASSWORD });
    let taken = Browser::new(&state).post("/api/v1/auth/register", body).await;
    assert_eq!(kind(&taken), (409, "/problems/name-taken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_registers_and_who_makes_a_channel_at_once_never_both_get_the_name() {
    let state = ApiState::for_tests().await;
    let (ada, _) = state.sign_in_for_tests("ada", Role::Streamer).await;
    for number in 0..50_u128 {
        let name = format!("harbour_{number}");
        let channel = crate::channels::testing::channel(&name, ada.id);
        let user = crate::channels::testing::person(&name);
        let (made, registered) =
            tokio::join!(state.studio().channels.create(&channel, 100), state.people().create(&user, None));
        assert!(made.is_err() || registered.is_err(), "{name} is both");
        let kept = state.studio().channels.named(&channel.name).await.unwrap().is_some();
        assert_eq!(kept, made.is_ok());
        assert_eq!(state.people().by_login(&name).await.unwrap().is_some(), registered.is_ok());
    }
}

#[tokio::test]
async fn a_thousand_who_want_one_name_at_once_get_a_clear_answer_each() {
    let (state, _) = ApiState::for_tests_with(|setup| setup.accounts.limits.register_address.burst = 0).await;
    // One site: to make it a thousand times takes longer than a store may.
    let visitor = Browser::new(&state);
    let tries =
        (0..1_000).map(|_| {
            let mut browser = visitor.clone();
            async move {
                browser.post("/api/v1/auth/register", json!({ "name": "ada", "password": PASSWORD })).await
            }
        });
    let answers = futures_util::future::join_all(tries).await;
    let made = answers.iter().filter(|answer| answer.0 == StatusCode::CREATED).count();
    let taken = answers.iter().filter(|answer| kind(answer) == (409, "/problems/name-taken")).count();
    let other: Vec<_> = answers.iter().filter(|answer| !matches!(answer.0.as_u16(), 201 | 409)).collect();
    assert_eq!((made, taken), (1, 999), "{other:?}");
}

#[tokio::test]
async fn a_registration_flood_from_one_address_is_stopped_with_the_time_to_wait() {
    let (state, clock) = ApiState::for_tests_with(|setup| {
        setup.accounts.limits.register_address.burst = 3;
    })
    .await;
    let register = |number: usize| {
        let mut browser = Browser::new(&state);
        let body = json!({ "name": format!("person_{number}"), "password": PASSWORD });
        async move { browser.post("/api/v1/auth/register", body).await }
    };
    let mut made = 0;
    for number in 0..10 {
        made += usize::from(register(number).await.0 == StatusCode::CREATED);
    }
    assert_eq!(made, 3);
    assert_eq!(kind(&register(20).await), (429, "/problems/too-many-attempts"));
    clock.advance_ms(6 * MINUTE_MS);
    assert_eq!(register(21).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn tokens_that_this_site_did_not_sign_for_this_use_are_nobodys() {
    let (state, clock) = ApiState::for_tests_with(|_| {}).await;
    let (user, header) = state.sign_in_for_tests("ada", Role::Admin).await;
    let good = header.strip_prefix("Bearer ").unwrap().to_owned();
    let parts: Vec<_> = good.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let kid = {
        let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
        head["kid"].as_str().unwrap().to_owned()
    };
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let public = Browser::new(&state).get("/.well-known/jwks.json").await.1["keys"][0]["x"].clone();
    let public = URL_SAFE_NO_PAD.decode(public.as_str().unwrap()).unwrap();
    let hs256 = |key: &[u8]| {
        let signed = format!("{}.{claims}", encode(json!({ "alg": "HS256", "typ": "JWT", "kid": kid })));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let claim = || AccessClaims {
        sub: user.id,
        name: user.name.clone(),
        sid: SessionId(state.new_id()),
        role: Role::Admin,
    };
    let stranger = ApiState::for_tests().await;
    let foreign = stranger.keys().sign(ACCESS_AUDIENCE, claim(), state.now_ms(), ACCESS_LIFETIME_S);
    let other_use = state.keys().sign(HALF_AUDIENCE, claim(), state.now_ms(), ACCESS_LIFETIME_S);
    let old = state.keys().sign(ACCESS_AUDIENCE, claim(), state.now_ms() - 3_600_000, ACCESS_LIFETIME_S);
    let table = [
        ("alg none, unsigned", format!("{}.{claims}.", encode(json!({ "alg": "none", "kid": kid })))),
        (
            "alg none, signed",
            format!("{}.{claims}.{signature}", encode(json!({ "alg": "none", "kid": kid }))),
        ),
        ("alg None", format!("{}.{claims}.", encode(json!({ "alg": "None", "kid": kid })))),
        ("HS256 with the public key", hs256(&public)),
        ("HS256 with an empty key", hs256(b"")),
        ("no kid", format!("{}.{claims}.{signature}", encode(json!({ "alg": "EdDSA" })))),
        ("the key of another site", foreign),
        ("for another use", other_use),
        ("expired", old),
        ("other claims", format!("{head}.{}.{signature}", encode(json!({ "sub": user.id })))),
        ("no signature", format!("{head}.{claims}.")),
        ("rubbish", "a.b.c".to_owned()),
    ];
    let mut browser = Browser::new(&state);
    browser.bearer = Some(good.clone());
    assert!(browser.signed_in().await);
    for (what, token) in table {
        let mut by_header = Browser::new(&state);
        by_header.bearer = Some(token.clone());
        assert_eq!(by_header.get("/api/v1/admin/audit").await.0, StatusCode::UNAUTHORIZED, "{what}");
        let mut by_cookie = Browser::new(&state);
        by_cookie.cookies.insert("millrace_access".into(), token);
        assert_eq!(by_cookie.get("/api/v1/me").await.0, StatusCode::UNAUTHORIZED, "{what} in a cookie");
    }
    clock.advance_ms(ACCESS_LIFETIME_S * 1_000);
    assert!(!browser.signed_in().await);
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page_to_its_end_by_admins() {
    let state = ApiState::for_tests().await;
    let (root, header) = state.sign_in_for_tests("root", Role::Admin).await;
    let mut admin = Browser::new(&state);
    admin.bearer = header.strip_prefix("Bearer ").map(str::to_owned);
    let mut changes = Changes::new();
    for number in 0..7_u8 {
        let entry = Audit {
            id: uuid::Uuid::from_u128(u128::from(number) + 1),
            // Some at the same time.
            at: i64::from(number / 2),
            by: (number != 3).then_some(root.id),
            action: format!("test.{number}"),
            target: "ada".into(),
            detail: String::new(),
            scope: "site".into(),
        };
        changes = changes.insert(&entry);
    }
    state.store().commit(changes).await.unwrap();
    let (mut seen, mut path) = (Vec::new(), "/api/v1/admin/audit?limit=3".to_owned());
    loop {
        let (status, page) = admin.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(
            items.iter().map(|one| (one["action"].as_str().unwrap().to_owned(), one["by_name"].clone())),
        );
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/api/v1/admin/audit?limit=3&cursor={next}"),
            None => break,
        }
    }
    let mut actions: Vec<_> = seen.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions.first(), Some(&"test.6"), "newest first");
    actions.sort_unstable();
    assert_eq!(actions, ["test.0", "test.1", "test.2", "test.3", "test.4", "test.5", "test.6"]);
    assert!(
        seen.contains(&("test.3".into(), Value::Null)) && seen.contains(&("test.0".into(), json!("root")))
    );
    for bad in ["limit=0", "limit=1000", "cursor=x"] {
        let answer = admin.get(&format!("/api/v1/admin/audit?{bad}")).await;
        assert_eq!(kind(&answer), (400, "/problems/bad-parameter"), "{bad}");
    }
}
