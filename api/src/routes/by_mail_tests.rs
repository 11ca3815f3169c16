//! What goes by mail, as a browser and a mailbox see it.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::auth_tests::{Browser, OTHER, PASSWORD, kind};
use crate::ApiState;
use crate::accounts::Role;
use crate::mail::{Letter, Post, Subject};
use crate::state::testing::TestClock;

const ADDRESS: &str = "ada@example.org";

/// A site that sends mail.
async fn site() -> (ApiState, TestClock) {
    ApiState::for_tests_with(|setup| {
        setup.mail = Some(Post::for_tests());
        setup.public_url = Some("http://live.test".into());
        setup.accounts.limits.link_address.burst = 0;
        setup.accounts.limits.register_address.burst = 0;
    })
    .await
}

async fn mails(state: &ApiState) -> Vec<Letter> {
    state.mail().unwrap().waiting(state).await
}

/// The one mail that waits.
async fn mail(state: &ApiState) -> Letter {
    let mut all = mails(state).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn token(letter: &Letter) -> String {
    match &letter.subject {
        Subject::ConfirmAddress(token) | Subject::NewPassword(token) => token.reveal().to_owned(),
        other => panic!("{other:?} has no link"),
    }
}

fn to(letter: &Letter) -> (&str, &'static str) {
    (letter.to.as_str(), letter.subject.label())
}

/// An account with an address; whether it answers the mail.
async fn person(state: &ApiState, name: &str, email: &str, proves: bool) -> Browser {
    let mut browser = Browser::new(state);
    let body = json!({ "name": name, "email": email, "password": PASSWORD });
    let made = browser.post("/api/v1/auth/register", body).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let letter = mail(state).await;
    assert_eq!(to(&letter), (email, "confirm_address"));
    if proves {
        assert_eq!(prove(state, &letter).await.0, StatusCode::NO_CONTENT);
    }
    browser
}

/// Follows the link of a mail, in a browser where nobody is signed in.
async fn prove(state: &ApiState, letter: &Letter) -> (StatusCode, Value) {
    Browser::new(state).post("/api/v1/auth/email/verify", json!({ "token": token(letter) })).await
}

async fn forgot(state: &ApiState, login: &str) -> (StatusCode, Value) {
    Browser::new(state).post("/api/v1/auth/password/forgot", json!({ "login": login })).await
}

async fn reset(state: &ApiState, letter: &Letter, password: &str) -> (StatusCode, Value) {
    let body = json!({ "token": token(letter), "password": password });
    Browser::new(state).post("/api/v1/auth/password/reset", body).await
}

#[tokio::test]
async fn an_address_counts_once_its_mail_was_answered() {
    let (state, _) = site().await;
    let mut browser = person(&state, "ada", ADDRESS, false).await;
    let (_, me) = browser.get("/api/v1/me").await;
    assert_eq!((&me["email"], &me["new_email"]), (&Value::Null, &json!(ADDRESS)));
    let by_address = json!({ "login": ADDRESS, "password": PASSWORD });
    let refused = Browser::new(&state).post("/api/v1/auth/login", by_address.clone()).await;
    assert_eq!(refused.0, StatusCode::UNAUTHORIZED);

    assert_eq!(browser.post("/api/v1/me/email/verification", Value::Null).await.0, StatusCode::ACCEPTED);
    let letter = mail(&state).await;
    assert_eq!(prove(&state, &letter).await.0, StatusCode::NO_CONTENT);
    let (_, me) = browser.get("/api/v1/me").await;
    assert_eq!(
        (&me["email"], &me["email_verified"], &me["new_email"]),
        (&json!(ADDRESS), &json!(true), &Value::Null)
    );
    assert_eq!(Browser::new(&state).post("/api/v1/auth/login", by_address).await.0, StatusCode::OK);
    assert_eq!(kind(&prove(&state, &letter).await), (403, "/problems/dead-link"), "it works once");
    let nothing = browser.post("/api/v1/me/email/verification", Value::Null).await;
    assert_eq!(kind(&nothing), (409, "/problems/nothing-to-prove"));
}

#[tokio::test]
async fn who_only_writes_an_address_down_keeps_nobody_from_it() {
    let (state, _) = site().await;
    let squatter = person(&state, "squatter", ADDRESS, false).await;
    person(&state, "ada", ADDRESS, true).await;
    // Whoever proves it first has it; the other's link comes too late.
    let mut squatter = squatter;
    squatter.post("/api/v1/me/email/verification", Value::Null).await;
    let late = mail(&state).await;
    assert_eq!(kind(&prove(&state, &late).await), (409, "/problems/email-taken"));
    let third = json!({ "name": "third", "email": ADDRESS, "password": PASSWORD });
    let answer = Browser::new(&state).post("/api/v1/auth/register", third).await;
    assert_eq!(kind(&answer), (409, "/problems/email-taken"));
}

#[tokio::test]
async fn an_address_that_was_kept_without_proof_goes_to_who_proves_it() {
    let (state, _) = site().await;
    let (mut old, _) = state.sign_in_for_tests("old", Role::Viewer).await;
    let kept = state.people().get(old.id).await.unwrap().unwrap();
    old.email = ADDRESS.parse().ok();
    state.people().replace(&kept, &old).await.unwrap();
    person(&state, "ada", ADDRESS, true).await;
    assert_eq!(state.people().get(old.id).await.unwrap().unwrap().email, None);
    assert_eq!(state.people().by_login(ADDRESS).await.unwrap().unwrap().name.as_str(), "ada");
}

#[tokio::test]
async fn another_address_replaces_the_old_one_when_it_is_proved_and_the_old_one_is_told() {
    let (state, _) = site().await;
    let mut browser = person(&state, "ada", ADDRESS, true).await;
    let edit = |email: Value| json!({ "email": email, "password": PASSWORD });
    let bare = browser.ask(Method::PATCH, "/api/v1/me", json!({ "email": "eve@example.org" })).await;
    assert_eq!(kind(&bare), (403, "/problems/confirm-first"), "a stolen session does not take the account");
    let wrong = json!({ "email": null, "password": "guess" });
    let wrong = browser.ask(Method::PATCH, "/api/v1/me", wrong).await;
    assert_eq!(kind(&wrong), (403, "/problems/wrong-password"));
    let (status, me) = browser.ask(Method::PATCH, "/api/v1/me", edit(json!("new@example.org"))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&me["email"], &me["new_email"]), (&json!(ADDRESS), &json!("new@example.org")));
    let first = mail(&state).await;
    // A newer wish makes the link of the one before worthless.
    browser.ask(Method::PATCH, "/api/v1/me", edit(json!("newer@example.org"))).await;
    let second = mail(&state).await;
    assert_eq!(kind(&prove(&state, &first).await), (403, "/problems/dead-link"));
    assert_eq!(prove(&state, &second).await.0, StatusCode::NO_CONTENT);
    let notice = mail(&state).await;
    assert_eq!(to(&notice), (ADDRESS, "address_changed"));
    let taken = browser.ask(Method::PATCH, "/api/v1/me", edit(Value::Null)).await.1;
    assert_eq!(taken["email"], Value::Null);
    assert_eq!(to(&mail(&state).await), ("newer@example.org", "address_changed"));
}

#[tokio::test]
async fn nobody_has_mail_sent_to_others_without_end() {
    let (state, _) = site().await;
    let mut browser = person(&state, "ada", ADDRESS, false).await;
    for wish in ["one@example.org", "two@example.org"] {
        let edit = json!({ "email": wish });
        assert_eq!(browser.ask(Method::PATCH, "/api/v1/me", edit).await.0, StatusCode::OK);
    }
    let third = browser.ask(Method::PATCH, "/api/v1/me", json!({ "email": "three@example.org" })).await;
    assert_eq!(kind(&third), (429, "/problems/too-many-attempts"));
    assert_eq!(browser.get("/api/v1/me").await.1["new_email"], "two@example.org", "nothing has changed");
    assert_eq!(to(&mail(&state).await).0, "two@example.org", "what is not wanted any more is not sent");
    // Nor by making many accounts.
    for number in 0..8 {
        let body =
            json!({ "name": format!("eve_{number}"), "email": "victim@example.org", "password": PASSWORD });
        assert_eq!(Browser::new(&state).post("/api/v1/auth/register", body).await.0, StatusCode::CREATED);
    }
    assert_eq!(mails(&state).await.len(), 5);
}

#[tokio::test]
async fn a_link_to_an_address_ends_after_a_day() {
    let (state, clock) = site().await;
    let mut browser = Browser::new(&state);
    let body = json!({ "name": "ada", "email": ADDRESS, "password": PASSWORD });
    browser.post("/api/v1/auth/register", body).await;
    let letter = mail(&state).await;
    clock.advance_ms(24 * 3_600_000);
    assert_eq!(kind(&prove(&state, &letter).await), (403, "/problems/dead-link"));
}

#[tokio::test]
async fn a_new_password_by_mail_ends_all_sessions_and_all_links() {
    let (state, _) = site().await;
    let mut browser = person(&state, "ada", ADDRESS, true).await;
    assert_eq!(forgot(&state, "ada").await, (StatusCode::ACCEPTED, Value::Null));
    let first = mail(&state).await;
    assert_eq!(to(&first), (ADDRESS, "new_password"));
    forgot(&state, ADDRESS).await;
    let second = mail(&state).await;
    assert_eq!(reset(&state, &second, "ada").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(reset(&state, &second, OTHER).await.0, StatusCode::NO_CONTENT);
    assert_eq!(to(&mail(&state).await), (ADDRESS, "password_changed"));
    for dead in [&first, &second] {
        assert_eq!(kind(&reset(&state, dead, OTHER).await), (403, "/problems/dead-link"));
    }
    assert!(!browser.signed_in().await);
    assert_eq!(Browser::new(&state).login(PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(Browser::new(&state).login(OTHER).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_link_to_a_new_password_ends_with_the_hour_the_address_and_the_old_password() {
    let (state, clock) = site().await;
    let mut browser = person(&state, "ada", ADDRESS, true).await;
    forgot(&state, "ada").await;
    let late = mail(&state).await;
    clock.advance_ms(3_600_000);
    assert_eq!(kind(&reset(&state, &late, OTHER).await), (403, "/problems/dead-link"));
    forgot(&state, "ada").await;
    let letter = mail(&state).await;
    assert_eq!(browser.login(PASSWORD).await.0, StatusCode::OK);
    let change = json!({ "current": PASSWORD, "password": OTHER });
    assert_eq!(browser.post("/api/v1/me/password", change).await.0, StatusCode::NO_CONTENT);
    assert_eq!(to(&mail(&state).await), (ADDRESS, "password_changed"));
    assert_eq!(kind(&reset(&state, &letter, PASSWORD).await), (403, "/problems/dead-link"));
    forgot(&state, "ada").await;
    let letter = mail(&state).await;
    browser.ask(Method::PATCH, "/api/v1/me", json!({ "email": null, "password": OTHER })).await;
    assert_eq!(kind(&reset(&state, &letter, PASSWORD).await), (403, "/problems/dead-link"));
}

#[tokio::test]
async fn nobody_learns_who_has_an_account_and_nobody_is_flooded_with_mail() {
    let (state, clock) = site().await;
    person(&state, "ada", ADDRESS, true).await;
    let (mut bob, _) = state.sign_in_for_tests("bob", Role::Viewer).await;
    clock.advance_ms(3_600_000);
    for login in ["ada", "nobody", "bob", "nobody@example.org", "", "no name", &"x".repeat(300)] {
        assert_eq!(forgot(&state, login).await, (StatusCode::ACCEPTED, Value::Null), "{login}");
    }
    assert_eq!(to(&mail(&state).await), (ADDRESS, "new_password"), "bob has no address");
    for login in ["ada", ADDRESS, "ADA", "ada", ADDRESS] {
        assert_eq!(forgot(&state, login).await.0, StatusCode::ACCEPTED);
    }
    assert_eq!(mails(&state).await.len(), 2, "three at once, by any name of the account");
    clock.advance_ms(20 * 60_000);
    forgot(&state, "ada").await;
    assert_eq!(mails(&state).await.len(), 1);
    // The banned get none.
    let kept = state.people().get(bob.id).await.unwrap().unwrap();
    (bob.email, bob.banned_at) = ("bob@example.org".parse().ok(), Some(1));
    state.people().replace(&kept, &bob).await.unwrap();
    forgot(&state, "bob").await;
    assert!(mails(&state).await.is_empty());
}

#[tokio::test]
async fn asking_too_often_and_a_full_queue_are_answered_alike_for_everybody() {
    let (state, _) = ApiState::for_tests_with(|setup| setup.mail = Some(Post::for_tests())).await;
    for _ in 0..10 {
        assert_eq!(forgot(&state, "nobody").await.0, StatusCode::ACCEPTED);
    }
    assert_eq!(kind(&forgot(&state, "nobody").await), (429, "/problems/too-many-attempts"));
    let (state, _) = site().await;
    for _ in 0..20 {
        forgot(&state, "nobody").await;
    }
    assert_eq!(kind(&forgot(&state, "nobody").await), (503, "/problems/too-many-mails"));
    let mut browser = Browser::new(&state);
    let body = json!({ "name": "ada", "email": ADDRESS, "password": PASSWORD });
    let made = browser.post("/api/v1/auth/register", body).await;
    assert_eq!(made.0, StatusCode::CREATED, "an account needs no mail");
    let again = browser.post("/api/v1/me/email/verification", Value::Null).await;
    assert_eq!(kind(&again), (503, "/problems/too-many-mails"));
}

#[tokio::test]
async fn a_person_is_told_that_the_second_factor_is_off() {
    let (state, _) = site().await;
    let mut browser = person(&state, "ada", ADDRESS, true).await;
    let id = state.people().by_login("ada").await.unwrap().unwrap().id;
    browser.post("/api/v1/me/totp", Value::Null).await;
    let factor = state.people().second_factor(id).await.unwrap().unwrap().value;
    let code = json!({ "code": factor.code(state.now_ms()) });
    assert_eq!(browser.post("/api/v1/me/totp/confirm", code).await.0, StatusCode::OK);
    let off = browser.ask(Method::DELETE, "/api/v1/me/totp", json!({ "password": PASSWORD })).await;
    assert_eq!(off.0, StatusCode::NO_CONTENT);
    assert_eq!(to(&mail(&state).await), (ADDRESS, "second_factor_off"));
}

#[tokio::test]
async fn who_may_ask_for_what() {
    let (state, _) = site().await;
    let again = "/api/v1/me/email/verification";
    assert_eq!(Browser::new(&state).post(again, Value::Null).await.0, StatusCode::UNAUTHORIZED);
    let mut browser = person(&state, "ada", ADDRESS, false).await;
    let made = browser.post("/api/v1/me/tokens", json!({ "name": "x", "scopes": ["read", "admin"] })).await.1;
    let mut script = Browser::new(&state);
    script.bearer = made["secret"].as_str().map(str::to_owned);
    assert_eq!(script.post(again, Value::Null).await.0, StatusCode::FORBIDDEN);
    let (status, options) = Browser::new(&state).get("/api/v1/auth/options").await;
    assert_eq!((status, &options["mail"]), (StatusCode::OK, &json!(true)));
}

#[tokio::test]
async fn without_mail_everything_is_as_it_is_written_down() {
    let state = ApiState::for_tests().await;
    assert_eq!(Browser::new(&state).get("/api/v1/auth/options").await.1["mail"], json!(false));
    assert_eq!(kind(&forgot(&state, "ada").await), (409, "/problems/no-mail"));
    let mut browser = Browser::new(&state);
    let body = json!({ "name": "ada", "email": ADDRESS, "password": PASSWORD });
    let (_, me) = browser.post("/api/v1/auth/register", body).await;
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(ADDRESS), &json!(false)));
    let again = browser.post("/api/v1/me/email/verification", Value::Null).await;
    assert_eq!(kind(&again), (409, "/problems/no-mail"));
    let edit = json!({ "email": "new@example.org" });
    assert_eq!(browser.ask(Method::PATCH, "/api/v1/me", edit).await.1["email"], "new@example.org");
}
