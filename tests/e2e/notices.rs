//! A follower hears that a broadcast has begun: behind the bell, and by a push to a browser that shows it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::looped;
use crate::node::Viewer;
use crate::publisher::Ffmpeg;
use crate::server::scratch;
use crate::streamer::Streamer;
use crate::wait::{share, until};

/// One order to the browser, with Chromium starting on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// The push service of the test is on this machine, and speaks plain http.
const SETTINGS: &[(&str, &str)] =
    &[("MILLRACE_PUBLISH_AUTH", "keys"), ("MILLRACE_NOTICES__PUSH_PRIVATE_SERVICES", "true")];

/// A browser in the hands of a follower.
struct Follower(Viewer);

impl Follower {
    async fn does(&mut self, order: &str) -> Value {
        let answer = self.0.ask_within(order, "order", SOON).await;
        assert_eq!(answer, order.split(' ').next().unwrap());
        let answer = self.0.last("order").unwrap();
        assert!(answer["failed"].is_null(), "{order}: {answer}");
        assert_eq!(answer["complaints"], json!([]), "{order}");
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_told_once_by_bell_and_push_and_can_stop_both() {
    let fixture = looped().fixture().await;
    let _share = share().await;
    let mut ada = Streamer::new(SETTINGS).await;
    assert_eq!(ada.ask("POST", "/channels", Some(json!({ "name": "studio" }))).await.0, 201);
    let title = json!({ "title": "Boat, day 12" });
    assert_eq!(ada.ask("PATCH", "/channels/studio", Some(title)).await.0, 200);
    let (_, key) = ada.key().await;
    let origin = ada.server.url("");
    let mut bob = Follower(Viewer::script("notices.mjs", &["--origin", &origin]));
    bob.does("register bob correct-horse-battery-staple").await;
    bob.does("follow studio").await;
    let subscribed = bob.does("subscribe").await;
    assert!(subscribed["devices"].as_str().unwrap().contains("this browser"), "{subscribed}");

    let publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));
    ada.live().await;
    let delivered = async |count: f64| {
        until("the push is delivered", SOON, || async {
            let line = "millrace_push_total{result=\"delivered\"}";
            ada.server.metric(line).await.filter(|delivered| *delivered >= count)
        })
        .await
    };
    assert!(delivered(1.0).await < 2.0);
    let pushed = bob.does("pushed").await;
    let message = &pushed["pushed"][0];
    assert_eq!((&message["path"], &message["vapid"]), (&json!("/bob"), &json!(true)), "{pushed}");
    assert_eq!(
        (&message["message"]["channel"], &message["message"]["title"]),
        (&json!("studio"), &json!("Boat, day 12"))
    );
    let shown = bob.does("shown").await;
    let expected = json!([{ "title": "Ada is live", "body": "Boat, day 12", "tag": "live:studio",
                            "data": { "url": "/@studio" } }]);
    assert_eq!(shown["shown"], expected);
    let bell = bob.does("bell studio").await;
    assert_eq!(bell["bell"], "Notices, 1 new");
    assert!(bell["notice"].as_str().unwrap().contains("Ada is live"), "{bell}");
    let (_folder, folder) = scratch("millrace-notices");
    let shots = std::env::var("MILLRACE_TEST_SHOTS").unwrap_or_else(|_| folder.display().to_string());
    bob.does(&format!("shots {shots}")).await;

    // A crash loses neither what was told nor that it was told. What begins afterwards is another broadcast.
    drop(publisher);
    ada.server = ada.server.restart_after_kill(SETTINGS).await;
    let publisher = Ffmpeg::publish_for_ever(&fixture.path, &ada.server.publish_url(&key));
    ada.live().await;
    until("the push is delivered", SOON, || async {
        ada.server.metric("millrace_push_total{result=\"delivered\"}").await.filter(|count| *count >= 1.0)
    })
    .await;
    let pushed = bob.does("pushed").await;
    assert_eq!(pushed["pushed"].as_array().unwrap().len(), 2, "one for each broadcast: {pushed}");
    assert_eq!(bob.does("bell studio").await["bell"], "Notices, 1 new");

    // Both can be stopped.
    bob.does("mute studio").await;
    assert_eq!(bob.does("unsubscribe").await["devices"], 0);
    drop(publisher);
    ada.server.assert_calm();
}
