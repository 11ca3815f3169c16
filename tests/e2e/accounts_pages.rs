//! The pages of accounts and of the stream manager in Chromium: from the set-up link to a broadcast and its end.

use std::time::Duration;

use serde_json::Value;

use crate::browser::looped;
use crate::node::Viewer;
use crate::publisher::Ffmpeg;
use crate::server::{Server, scratch};
use crate::wait::{share, until};

/// One order to the browser, with Chromium starting on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A browser in the hands of the owner of the server.
pub(crate) struct Owner(Viewer);

impl Owner {
    /// In front of the server whose set-up link or front page this is; pictures of pages go to the folder `shots`.
    pub(crate) fn at(link: &str, shots: &str) -> Self {
        Self(Viewer::script("accounts.mjs", &["--link", link, "--shots", shots]))
    }

    /// Gives an order and takes its answer, which must not be a failure.
    pub(crate) async fn does(&mut self, order: &str) -> Value {
        let answer = self.0.ask_within(order, "order", SOON).await;
        assert_eq!(answer, order.split(' ').next().unwrap());
        let answer = self.0.last("order").unwrap();
        assert!(answer["failed"].is_null(), "{order}: {answer}");
        assert_eq!(answer["complaints"], serde_json::json!([]), "{order}");
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sets_up_goes_live_stops_and_revokes_the_key_all_in_the_browser() {
    let fixture = looped().fixture().await;
    let _share = share().await;
    let server = Server::start(&[("MILLRACE_PUBLISH_AUTH", "keys")]).await;
    let line = until("the set-up link is printed", SOON, || async { server.printed("/setup#") }).await;
    let link = line.split_whitespace().find(|word| word.contains("/setup#")).unwrap();
    let token = link.split_once('#').unwrap().1;
    let (_folder, folder) = scratch("millrace-pages");
    let shots = std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_else(|_| folder.display().to_string());
    let mut owner = Owner::at(link, &shots);

    // The account, the channel, the key.
    let set_up = owner.does("setup ada correct-horse-battery-staple").await;
    assert_eq!(set_up["token"], "", "the secret of the link stays in the address");
    owner.does("channel boatyard").await;
    let made = owner.does("key Studio").await;
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("live_") && key.len() > 40, "{key}");
    assert_eq!(made["stays"], 0, "the key is still shown: {made}");

    // A wrong key is refused and nobody is live.
    let mut wrong = Ffmpeg::publish(&fixture.path, &server.publish_url("live_not_the_key"));
    let (status, _) = wrong.finished(SOON).await;
    assert!(!status.success(), "a wrong key was let in");
    let live = crate::http::get(server.url("/api/v1/streams")).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(live["items"], serde_json::json!([]));

    // The right one is live under the channel's name, and plays.
    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url(&key));
    let health = owner.does("live").await;
    assert!(health["live"].as_str().unwrap().contains("bit/s"), "{health}");
    let played = owner.does("watch boatyard").await;
    assert!(played["played"].as_f64() > Some(3.0), "{played}");
    let live = owner.does("shots live / /@boatyard /dashboard").await;
    assert_eq!(live["shots"], 3);

    // Stopped in the browser: the encoder is sent away.
    owner.does("stop").await;
    let (status, _) = publisher.finished(SOON).await;
    assert!(!status.success(), "ffmpeg was not sent away");

    // A revoked key publishes no more.
    owner.does("revoke Studio").await;
    let mut revoked = Ffmpeg::publish(&fixture.path, &server.publish_url(&key));
    let (status, _) = revoked.finished(SOON).await;
    assert!(!status.success(), "a revoked key was let in");
    owner.does("shots idle /dashboard /settings /admin /@boatyard").await;

    // Out, and back in with the right password only, to the page that was wanted.
    assert_eq!(owner.does("signout").await["out"], "/login");
    let refused = owner.does("login ada correct-horse").await;
    assert!(refused["refused"].is_string(), "{refused}");
    assert_eq!(owner.does("login ada correct-horse-battery-staple").await["path"], "/dashboard");

    // The link made one owner and works no more; neither secret is in the log.
    let log = server.log();
    for secret in [token, &key, "correct-horse"] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    server.assert_calm();
}
