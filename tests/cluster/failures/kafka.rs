//! Kafka is away, and comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::cluster::ledger::Ledger;
use crate::cluster::nodes::{SOON, Topology};
use crate::cluster::viewer::noticed_nothing;
use crate::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_broadcasts_go_on_and_what_was_acknowledged_is_told_when_it_is_back() {
    let mut site = Topology::start().await;
    let late = site.channel("late").await;
    let mut publishers = site.broadcasts(2).await;
    let ledger = Ledger::open(&site).await;
    let viewers = site.viewers(4, ["channel_1", "channel_2"].into_iter());
    until("viewers have something", SOON, || async {
        viewers.iter().all(|viewer| viewer.seen().parts > 3).then_some(())
    })
    .await;

    site.services.kill_kafka();
    let back = Instant::now() + site.windows.away;
    // One begins, one ends, and titles are changed, while nobody can be told.
    let begun = site.encoder(&late);
    begun.let_in(1, SOON).await;
    let mut edits = BTreeMap::new();
    let mut answered = Duration::ZERO;
    while Instant::now() < back {
        let asked = Instant::now();
        let number = edits.get("channel_1").copied().unwrap_or(0);
        let title = json!({ "title": format!("Boat, day {number}") });
        let (status, answer) = site.ask("PATCH", "/channels/channel_1", Some(title)).await;
        assert_eq!(status, 200, "{answer}");
        edits.insert("channel_1".to_owned(), number + 1);
        answered = answered.max(asked.elapsed());
        sleep_until(asked + Duration::from_millis(500)).await;
    }
    // Its viewers were told by media.
    drop(publishers.pop());
    until("a process says that the brokers are away", SOON, || async {
        let ready = crate::http::get(site.node("api-1").url("/readyz")).await.ok()?;
        assert_eq!(ready.status(), 200, "who watches needs no broker");
        ready.text().await.ok()?.contains("the brokers do not answer").then_some(())
    })
    .await;

    site.services.restart_kafka().await;
    let returned = Instant::now();
    site.live("late").await;
    let shown = returned.elapsed();
    let (ending, viewers): (Vec<_>, Vec<_>) =
        viewers.into_iter().partition(|viewer| viewer.is_of("channel_2"));
    let (parts, longest) = noticed_nothing(viewers, site.windows.late).await;
    drop(ending);
    publishers.push(("late".to_owned(), begun));
    let counted = ledger.close(&publishers, &edits).await;
    eprintln!(
        "kafka away for {:?}: {parts} parts, {longest:.1?} without one at most; an edit took {answered:.1?} at most; \
         {shown:.1?} after its return a new broadcast is shown; {counted}",
        site.windows.away
    );
    assert_eq!(counted.refused, 0);
    assert!(site.logged("is not acknowledged").is_empty(), "{:#?}", site.logged("is not acknowledged"));
    site.assert_calm();
}
