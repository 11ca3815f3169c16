//! Getting in and out, as a browser does it.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use millrace_core::ids::BroadcastId;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::ApiState;
use crate::accounts::{Channel, Role, User};
use crate::auth::people::time;
use crate::channels::Note;
use crate::config::Registration;
use crate::reports::ReportState;

pub(super) const PASSWORD: &str = "plover-quartz-lantern-7";
pub(super) const OTHER: &str = "sturdy-walrus-umbrella-9";

/// A browser with its cookies.
#[derive(Clone)]
pub(super) struct Browser {
    site: axum::Router,
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) csrf: bool,
    pub(super) origin: &'static str,
    pub(super) bearer: Option<String>,
}

impl Browser {
    pub(super) fn new(state: &ApiState) -> Self {
        Self {
            site: crate::router(state.clone()),
            cookies: BTreeMap::new(),
            csrf: true,
            origin: "http://live.test",
            bearer: None,
        }
    }

    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: String,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "live.test");
        if !self.origin.is_empty() {
            request = request.header(header::ORIGIN, self.origin);
        }
        for (name, value) in &self.cookies {
            request = request.header(header::COOKIE, format!("{name}={value}"));
        }
        if let Some(token) = self.cookies.get("millrace_csrf").filter(|_| self.csrf) {
            request = request.header("x-csrf-token", token);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap();
        let response = self.site.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        response
    }

    pub(super) async fn ask(&mut self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let response = self.send(method, path, "application/json", body).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    pub(super) async fn get(&mut self, path: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, Value::Null).await
    }

    pub(super) async fn post(&mut self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, body).await
    }

    pub(super) async fn register(&mut self, name: &str) {
        let (status, me) =
            self.post("/api/v1/auth/register", json!({ "name": name, "password": PASSWORD })).await;
        assert_eq!((status, me["name"].as_str()), (StatusCode::CREATED, Some(name)), "{me}");
    }

    pub(super) async fn login(&mut self, password: &str) -> (StatusCode, Value) {
        self.post("/api/v1/auth/login", json!({ "login": "ada", "password": password })).await
    }

    pub(super) async fn signed_in(&mut self) -> bool {
        self.get("/api/v1/me").await.0 == StatusCode::OK
    }
}

pub(super) fn kind(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["type"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_person_registers_leaves_and_comes_back() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    assert!(!browser.signed_in().await);
    browser.register("ada").await;
    assert!(browser.signed_in().await);
    let held = browser.clone();
    assert_eq!(browser.post("/api/v1/auth/logout", Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies.keys());
    assert!(!held.clone().signed_in().await, "a copy of the cookies is of no use after it");
    assert_eq!(held.clone().post("/api/v1/auth/refresh", Value::Null).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(kind(&browser.login("wrong").await), (401, "/problems/wrong-login"));
    let nobody = browser.post("/api/v1/auth/login", json!({ "login": "bob", "password": PASSWORD })).await;
    assert_eq!(nobody, browser.login("wrong").await, "whether there is such an account is not told");
    let (status, me) = browser.login(PASSWORD).await;
    assert_eq!((status, &me["two_factor"]), (StatusCode::OK, &json!(false)));
    assert!(!me.to_string().contains("argon2"));
}

#[tokio::test]
async fn names_addresses_and_passwords_are_checked_at_their_field() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    let person = json!({ "name": "ada", "email": "ada@example.org", "password": PASSWORD });
    assert_eq!(browser.post("/api/v1/auth/register", person).await.0, StatusCode::CREATED);
    let table = [
        (json!({ "name": "ada", "password": PASSWORD }), 409, "/name"),
        (json!({ "name": "bob", "email": "ADA@example.org", "password": PASSWORD }), 409, "/email"),
        (json!({ "name": "B", "password": PASSWORD }), 422, "/name"),
        (json!({ "name": "bob", "email": "nowhere", "password": PASSWORD }), 422, "/email"),
        (json!({ "name": "bob", "password": "password1" }), 422, "/password"),
    ];
    for (body, status, pointer) in table {
        let answer = Browser::new(&state).post("/api/v1/auth/register", body.clone()).await;
        assert_eq!(
            (answer.0.as_u16(), &answer.1["errors"][0]["pointer"]),
            (status, &json!(pointer)),
            "{body}"
        );
    }
    // Nothing else can be set, and no field takes an object.
    for body in [
        json!({ "name": "bob", "password": PASSWORD, "role": "admin" }),
        json!({ "name": { "$ne": "" }, "password": PASSWORD }),
    ] {
        let answer = Browser::new(&state).post("/api/v1/auth/register", body.clone()).await;
        assert_eq!(kind(&answer), (422, "/problems/bad-body"), "{body}");
    }
    for body in [
        json!({ "login": { "$gt": "" }, "password": "x" }),
        json!({ "login": "ada", "password": { "$ne": 1 } }),
    ] {
        assert_eq!(browser.post("/api/v1/auth/login", body).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
}

#[tokio::test]
async fn a_shown_name_is_one_that_can_be_seen_and_imitates_nobody_by_tricks() {
    let state = ApiState::for_tests().await;
    let mut ada = Browser::new(&state);
    ada.register("ada").await;
    for (written, shown) in [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("\u{202e}ad\u{200b}m\u{2060}in\u{202c}", "admin"),
        ("Z\u{335}\u{336}\u{337}\u{338}\u{33f}\u{340}oe", "Z\u{335}\u{336}\u{337}\u{338}oe"),
        ("\u{1f469}\u{200d}\u{1f680}", "\u{1f469}\u{200d}\u{1f680}"),
        ("one\ntwo", "one two"),
    ] {
        let (status, me) = ada.ask(Method::PATCH, "/api/v1/me", json!({ "display_name": written })).await;
        assert_eq!((status, me["display_name"].as_str()), (StatusCode::OK, Some(shown)), "{written:?}");
    }
    for nothing in ["", "\u{200b}\u{3164}", "\u{301}", &"x".repeat(51)] {
        let (status, problem) =
            ada.ask(Method::PATCH, "/api/v1/me", json!({ "display_name": nothing })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{nothing:?}");
        assert_eq!(problem["errors"][0]["pointer"], "/display_name");
    }
}

#[tokio::test]
async fn what_other_sites_send_changes_nothing() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let edit = json!({ "bio": "changed" });
    let mut forged = browser.clone();
    forged.csrf = false;
    assert_eq!(kind(&forged.ask(Method::PATCH, "/api/v1/me", edit.clone()).await), (403, "/problems/csrf"));
    forged.csrf = true;
    for origin in ["http://evil.test", "null", ""] {
        forged.origin = origin;
        let answer = forged.ask(Method::PATCH, "/api/v1/me", edit.clone()).await;
        assert_eq!(kind(&answer), (403, "/problems/foreign-origin"), "{origin}");
        let login = forged.login(PASSWORD).await;
        assert_eq!(kind(&login), (403, "/problems/foreign-origin"), "nobody is signed in from elsewhere");
    }
    assert_eq!(browser.ask(Method::PATCH, "/api/v1/me", edit).await.1["bio"], "changed");
}

#[tokio::test]
async fn a_form_without_scripts_is_answered_with_a_page_to_go_to() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    let form = "application/x-www-form-urlencoded";
    let body = format!("name=ada&email=&password={PASSWORD}");
    let response = browser.send(Method::POST, "/api/v1/auth/register", form, body).await;
    assert_eq!(
        (response.status(), &response.headers()[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
    browser.csrf = false;
    let response = browser.send(Method::POST, "/api/v1/auth/logout", form, String::new()).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let body = format!("csrf_token={}", browser.cookies["millrace_csrf"]);
    let response = browser.send(Method::POST, "/api/v1/auth/logout", form, body).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn cookies_are_bound_to_https_where_people_come_over_it() {
    let (state, _) = ApiState::for_tests_with(|setup| {
        setup.secure = true;
        setup.public_url = Some("https://live.test".into());
    })
    .await;
    let mut browser = Browser::new(&state);
    browser.origin = "https://live.test";
    let body = json!({ "name": "ada", "password": PASSWORD }).to_string();
    let response = browser.send(Method::POST, "/api/v1/auth/register", "application/json", body).await;
    let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
    assert_eq!(cookies.len(), 3);
    for cookie in cookies {
        let text = cookie.to_str().unwrap();
        assert!(
            text.starts_with("__Host-") && text.contains("Secure") && text.contains("SameSite=Lax"),
            "{text}"
        );
        assert_eq!(text.contains("HttpOnly"), !text.contains("csrf"), "{text}");
    }
}

#[tokio::test]
async fn the_session_is_renewed_and_a_stolen_token_ends_it() {
    let (state, clock) = ApiState::for_tests_with(|_| {}).await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let thief = browser.clone();
    clock.advance_ms(16 * 60_000);
    assert!(!browser.signed_in().await, "the access token has run out");
    assert_eq!(browser.post("/api/v1/auth/refresh", Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(browser.signed_in().await);
    clock.advance_ms(60_000);
    let answer = thief.clone().post("/api/v1/auth/refresh", Value::Null).await;
    assert_eq!(kind(&answer), (401, "/problems/session-ended"));
    assert!(!browser.signed_in().await, "at once");
    assert_eq!(browser.post("/api/v1/auth/refresh", Value::Null).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_first_link_makes_one_admin() {
    let state = ApiState::for_tests().await;
    let old = state.setup_token().await.unwrap().unwrap();
    let token = state.setup_token().await.unwrap().unwrap();
    let owner = |token: &str, name: &str| json!({ "token": token, "name": name, "password": PASSWORD });
    let stale = Browser::new(&state).post("/api/v1/setup", owner(old.reveal(), "eve")).await;
    assert_eq!(kind(&stale), (403, "/problems/dead-link"));
    let mut browser = Browser::new(&state);
    let (status, me) = browser.post("/api/v1/setup", owner(token.reveal(), "ada")).await;
    assert_eq!((status, &me["role"]), (StatusCode::CREATED, &json!("admin")));
    let again = Browser::new(&state).post("/api/v1/setup", owner(token.reveal(), "eve")).await;
    assert_eq!(kind(&again), (403, "/problems/dead-link"));
    assert!(state.setup_token().await.unwrap().is_none(), "there is an admin");
}

#[tokio::test]
async fn registration_can_be_closed_and_by_invitation() {
    let (closed, _) =
        ApiState::for_tests_with(|setup| setup.accounts.registration = Registration::Closed).await;
    let person = json!({ "name": "bob", "password": PASSWORD });
    let answer = Browser::new(&closed).post("/api/v1/auth/register", person.clone()).await;
    assert_eq!(kind(&answer), (403, "/problems/forbidden"));
    let (state, _) =
        ApiState::for_tests_with(|setup| setup.accounts.registration = Registration::Invite).await;
    assert_eq!(
        kind(&Browser::new(&state).post("/api/v1/auth/register", person).await),
        (403, "/problems/dead-link")
    );
    let token = state.setup_token().await.unwrap().unwrap();
    let mut admin = Browser::new(&state);
    admin
        .post("/api/v1/setup", json!({ "token": token.reveal(), "name": "ada", "password": PASSWORD }))
        .await;
    let (status, link) = admin.post("/api/v1/admin/invitations", Value::Null).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, token) = link["url"].as_str().unwrap().split_once("/register#").unwrap();
    let invited = json!({ "name": "bob", "password": PASSWORD, "invitation": token });
    assert_eq!(Browser::new(&state).post("/api/v1/auth/register", invited).await.0, StatusCode::CREATED);
    let again = json!({ "name": "eve", "password": PASSWORD, "invitation": token });
    assert_eq!(Browser::new(&state).post("/api/v1/auth/register", again).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let mut phone = Browser::new(&state);
    phone.login(PASSWORD).await;
    let wrong = browser.post("/api/v1/me/password", json!({ "current": "wrong", "password": OTHER })).await;
    assert_eq!(kind(&wrong), (403, "/problems/wrong-password"));
    let weak = browser.post("/api/v1/me/password", json!({ "current": PASSWORD, "password": "ada" })).await;
    assert_eq!(weak.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) =
        browser.post("/api/v1/me/password", json!({ "current": PASSWORD, "password": OTHER })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(browser.signed_in().await);
    assert!(!phone.signed_in().await);
    assert_eq!(phone.login(PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(phone.login(OTHER).await.0, StatusCode::OK);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_person_only() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let mut phone = Browser::new(&state);
    phone.login(PASSWORD).await;
    let mut stranger = Browser::new(&state);
    stranger.register("eve").await;
    let (_, page) = browser.get("/api/v1/me/sessions").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let other = page["items"].as_array().unwrap().iter().find(|one| one["current"] == false).unwrap();
    let path = format!("/api/v1/me/sessions/{}", other["id"].as_str().unwrap());
    assert_eq!(stranger.ask(Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert!(phone.signed_in().await);
    assert_eq!(browser.ask(Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(!phone.signed_in().await);
    assert_eq!(
        browser.ask(Method::DELETE, "/api/v1/me/sessions", Value::Null).await.0,
        StatusCode::NO_CONTENT
    );
    assert!(!browser.signed_in().await);
    assert!(stranger.signed_in().await);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_no_code_is_good_twice() {
    let (state, clock) = ApiState::for_tests_with(|_| {}).await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let id = state.people().by_login("ada").await.unwrap().unwrap().id;
    let (status, enrolment) = browser.post("/api/v1/me/totp", Value::Null).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(enrolment["otpauth_url"].as_str().unwrap().contains(enrolment["secret"].as_str().unwrap()));
    let factor = state.people().second_factor(id).await.unwrap().unwrap().value;
    let wrong = browser.post("/api/v1/me/totp/confirm", json!({ "code": "0" })).await;
    assert_eq!(wrong.0, StatusCode::UNPROCESSABLE_ENTITY);
    let code = factor.code(state.now_ms());
    let (status, recovery) = browser.post("/api/v1/me/totp/confirm", json!({ "code": code })).await;
    assert_eq!(status, StatusCode::OK);
    let mut phone = Browser::new(&state);
    assert_eq!(kind(&phone.login(PASSWORD).await), (401, "/problems/second-factor-required"));
    let with = |code: &str| json!({ "login": "ada", "password": PASSWORD, "code": code });
    let replayed = phone.post("/api/v1/auth/login", with(&code)).await;
    assert_eq!(kind(&replayed), (401, "/problems/second-factor-wrong"));
    clock.advance_ms(60_000);
    let next = factor.code(state.now_ms());
    assert_eq!(phone.post("/api/v1/auth/login", with(&next)).await.0, StatusCode::OK);
    let recovery = recovery["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(phone.post("/api/v1/auth/login", with(&recovery)).await.0, StatusCode::OK);
    assert_eq!(phone.post("/api/v1/auth/login", with(&recovery)).await.0, StatusCode::UNAUTHORIZED);
    let gone = phone.ask(Method::DELETE, "/api/v1/me/totp", json!({ "password": PASSWORD })).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    assert_eq!(Browser::new(&state).login(PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_api_token_does_what_its_scopes_say_and_never_touches_the_account() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let (status, made) =
        browser.post("/api/v1/me/tokens", json!({ "name": "script", "scopes": ["read"] })).await;
    assert_eq!(status, StatusCode::CREATED);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("mr_"));
    let mut script = Browser::new(&state);
    script.origin = "";
    script.bearer = Some(secret.to_owned());
    assert!(script.signed_in().await);
    assert_eq!(script.ask(Method::PATCH, "/api/v1/me", json!({ "bio": "x" })).await.0, StatusCode::FORBIDDEN);
    assert_eq!(
        script.post("/api/v1/me/tokens", json!({ "name": "x", "scopes": ["admin"] })).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(script.post("/api/v1/channels", json!({ "name": "studio" })).await.0, StatusCode::FORBIDDEN);
    let (_, page) = browser.get("/api/v1/me/tokens").await;
    assert_eq!(page["items"][0]["hint"].as_str().unwrap(), &secret[secret.len() - 4..]);
    assert!(!page.to_string().contains(secret));
    let mut stranger = Browser::new(&state);
    stranger.register("eve").await;
    let path = format!("/api/v1/me/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(stranger.ask(Method::DELETE, &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(browser.ask(Method::DELETE, &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert!(!script.signed_in().await);
    script.cookies = browser.cookies.clone();
    assert!(!script.signed_in().await, "cookies do not count beside an Authorization header");
}

#[tokio::test]
async fn a_person_takes_the_data_along_and_leaves_nothing() {
    let state = ApiState::for_tests().await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let (status, data) = browser.get("/api/v1/me/export").await;
    assert_eq!((status, &data["account"]["name"]), (StatusCode::OK, &json!("ada")));
    assert!(!data.to_string().contains("argon2"));
    let user = state.people().by_login("ada").await.unwrap().unwrap().id;
    let device = crate::push::devices::tests::device(user, "https://push.example.org/ada", 1);
    state.push().devices().put(&device, 10).await.unwrap();
    state.notices().turn(user, false, 1).await.unwrap();
    let (_, data) = browser.get("/api/v1/me/export").await;
    assert_eq!(
        (&data["push_devices"][0]["name"], &data["push_devices"][0]["service"], &data["notices"]["off"]),
        (&json!(device.name), &json!("push.example.org"), &json!(true))
    );
    assert!(!data.to_string().contains("push.example.org/ada"), "{data}");
    let wrong = browser.ask(Method::DELETE, "/api/v1/me", json!({ "password": "wrong" })).await;
    assert_eq!(kind(&wrong), (403, "/problems/wrong-password"));
    let gone = browser.ask(Method::DELETE, "/api/v1/me", json!({ "password": PASSWORD })).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    assert!(!browser.signed_in().await);
    assert!(state.people().by_login("ada").await.unwrap().is_none());
    assert!(state.push().devices().of(user).await.unwrap().is_empty());
    assert!(!state.notices().reader(user).await.unwrap().off);
    Browser::new(&state).register("ada").await;
}

#[tokio::test]
async fn what_a_person_reported_planned_and_heard_is_in_the_data_and_the_words_go_with_the_account() {
    let state = ApiState::for_tests().await;
    let (eve, _) = state.sign_in_for_tests("eve", Role::Viewer).await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let made = browser.post("/api/v1/channels", json!({ "name": "studio" })).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let soon = time(state.now_ms() + 10 * 24 * 3_600_000).to_zoned(jiff::tz::TimeZone::UTC).date();
    let starts = format!("{soon}T12:00");
    let plan = json!({ "title": "Boat day", "starts": starts, "time_zone": "UTC", "minutes": 60 });
    let planned = browser.post("/api/v1/channels/studio/plans", plan).await;
    assert_eq!(planned.0, StatusCode::CREATED, "{}", planned.1);
    let report = json!({ "reason": "spam", "text": "Eve said it to me." });
    let reported = browser.post("/api/v1/users/eve/reports", report).await;
    assert_eq!(reported.0, StatusCode::NO_CONTENT, "{}", reported.1);
    // A broadcast of a channel that ada follows.
    let garage = Channel { title: "Night".into(), ..crate::channels::testing::channel("garage", eve.id) };
    state.studio().channels.create(&garage, 5).await.unwrap();
    assert_eq!(
        browser.ask(Method::PUT, "/api/v1/channels/garage/follow", Value::Null).await.0,
        StatusCode::NO_CONTENT
    );
    let at = state.now_ms() + 1;
    let note = Note {
        broadcast: BroadcastId(uuid::Uuid::from_u128(1)),
        channel: garage.name,
        started_at: at,
        seen_at: at,
        ended_at: None,
        peak_viewers: 0,
    };
    state.studio().history.keep(&note).await.unwrap();
    state.notices().learn(at).await.unwrap();

    let (_, data) = browser.get("/api/v1/me/export").await;
    assert_eq!(data["channels"][0]["schedule"][0]["title"], "Boat day", "{data}");
    let told = &data["reports"][0];
    assert_eq!((&told["target"], &told["text"]), (&json!("eve"), &json!("Eve said it to me.")), "{data}");
    let heard = &data["notices"]["listed"][0];
    assert_eq!(
        (&heard["channel"], &heard["title"], &heard["read"]),
        (&json!("garage"), &json!("Night"), &json!(false)),
        "{data}"
    );
    let gone = browser.ask(Method::DELETE, "/api/v1/me", json!({ "password": PASSWORD })).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT);
    let (left, _) = state.reports().list(ReportState::Open, None, 9).await.unwrap();
    assert_eq!((left.len(), left[0].target.as_str(), left[0].text.as_str()), (1, "eve", ""));
}

#[tokio::test]
async fn only_admins_change_accounts_and_it_holds_at_once_and_is_logged() {
    let state = ApiState::for_tests().await;
    let mut person = Browser::new(&state);
    person.register("ada").await;
    let (_, admin_token) = state.sign_in_for_tests("root", Role::Admin).await;
    let mut admin = Browser::new(&state);
    admin.bearer = admin_token.strip_prefix("Bearer ").map(str::to_owned);
    let requests = [
        (Method::GET, "/api/v1/admin/users/ada"),
        (Method::PATCH, "/api/v1/admin/users/ada"),
        (Method::POST, "/api/v1/admin/users/ada/reset-link"),
        (Method::POST, "/api/v1/admin/invitations"),
        (Method::GET, "/api/v1/admin/audit"),
    ];
    for (method, path) in requests {
        let body = if method == Method::PATCH { json!({ "role": "admin" }) } else { Value::Null };
        assert_eq!(person.ask(method.clone(), path, body.clone()).await.0, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(Browser::new(&state).ask(method, path, body).await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    let (status, link) = admin.post("/api/v1/admin/users/ada/reset-link", Value::Null).await;
    assert_eq!(status, StatusCode::CREATED);
    let (_, token) = link["url"].as_str().unwrap().split_once("/reset#").unwrap();
    let reset = json!({ "token": token, "password": OTHER });
    assert_eq!(
        Browser::new(&state).post("/api/v1/auth/password/reset", reset.clone()).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        Browser::new(&state).post("/api/v1/auth/password/reset", reset).await.0,
        StatusCode::FORBIDDEN
    );
    assert!(!person.signed_in().await, "a new password ends all sessions");
    assert_eq!(person.login(OTHER).await.0, StatusCode::OK);
    let banned = admin.ask(Method::PATCH, "/api/v1/admin/users/ada", json!({ "banned": true })).await;
    assert_eq!((banned.0, &banned.1["banned"]), (StatusCode::OK, &json!(true)));
    assert!(!person.signed_in().await);
    assert_eq!(person.login(OTHER).await.0, StatusCode::FORBIDDEN);
    let own = admin.ask(Method::PATCH, "/api/v1/admin/users/root", json!({ "role": "viewer" })).await;
    assert_eq!(kind(&own), (409, "/problems/own-account"));
    let (_, log) = admin.get("/api/v1/admin/audit").await;
    let actions: Vec<_> =
        log["items"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"user.ban") && actions.contains(&"user.reset_link"), "{actions:?}");
}

#[tokio::test]
async fn guessing_a_password_is_stopped_with_the_time_to_wait() {
    let (state, clock) = ApiState::for_tests_with(|_| {}).await;
    let mut browser = Browser::new(&state);
    browser.register("ada").await;
    let mut guesser = Browser::new(&state);
    let mut refused = None;
    for _ in 0..20 {
        let body = json!({ "login": "ada", "password": "guess" }).to_string();
        let response = guesser.send(Method::POST, "/api/v1/auth/login", "application/json", body).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response.headers()[header::RETRY_AFTER].to_str().unwrap().parse::<i64>().unwrap());
            break;
        }
    }
    let wait = refused.expect("a limit");
    assert_eq!(guesser.login(PASSWORD).await.0, StatusCode::TOO_MANY_REQUESTS, "nor with the right one");
    assert!(browser.signed_in().await, "who is in stays in");
    clock.advance_ms(wait * 1_000);
    assert_eq!(guesser.login(PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn of_many_who_want_one_name_at_once_one_gets_it() {
    let state = ApiState::for_tests().await;
    let user = |number: u128| User {
        id: millrace_core::ids::UserId(uuid::Uuid::from_u128(number)),
        name: "ada".parse().unwrap(),
        display_name: "ada".into(),
        email: None,
        email_verified: false,
        new_email: None,
        password: None,
        role: Role::Viewer,
        bio: String::new(),
        avatar: None,
        created_at: 0,
        banned_at: None,
    };
    let tries = (1..=1_000).map(|number| {
        let (state, user) = (&state, user(number));
        async move { state.people().create(&user, None).await.map_err(|error| error.0.status()) }
    });
    let answers = futures_util::future::join_all(tries).await;
    let made = answers.iter().filter(|answer| answer.is_ok()).count();
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(*refused, StatusCode::CONFLICT);
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn the_public_keys_are_published_and_nothing_of_the_private_ones() {
    let state = ApiState::for_tests().await;
    let (status, keys) = Browser::new(&state).get("/.well-known/jwks.json").await;
    assert_eq!((status, &keys["keys"][0]["crv"]), (StatusCode::OK, &json!("Ed25519")));
    assert!(keys["keys"][0].get("d").is_none());
}
