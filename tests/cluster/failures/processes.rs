//! A process of the API, the worker, an ingest node: each killed without warning.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::cluster::ledger::Ledger;
use crate::cluster::nodes::{SOON, Topology};
use crate::cluster::viewer::noticed_nothing;
use crate::node;
use crate::wait::until;

/// How long the page may take to go on after its encoder is back.
const GOES_ON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn an_api_process_and_the_worker_are_killed_and_nobody_who_watches_notices() {
    let mut site = Topology::start().await;
    let mut publishers = site.broadcasts(2).await;
    let key = site.channel("late").await;
    let ledger = Ledger::open(&site).await;
    let viewers = site.viewers(12, ["channel_1", "channel_2"].into_iter());
    until("viewers have something", SOON, || async {
        viewers.iter().all(|viewer| viewer.seen().parts > 3).then_some(())
    })
    .await;
    site.kill("api-1").await;
    site.kill("worker").await;
    // What begins now, and what is changed, is for the worker when it is back, and for the other process at once.
    let encoder = site.encoder(&key);
    site.live("late").await;
    let mut edits = BTreeMap::new();
    for number in 0..5 {
        let title = json!({ "title": format!("Boat, day {number}") });
        let (status, answer) = site.ask("PATCH", "/channels/channel_1", Some(title)).await;
        assert_eq!(status, 200, "{answer}");
        *edits.entry("channel_1".to_owned()).or_default() += 1;
    }
    site.begin("api-1").await;
    site.begin("worker").await;
    site.kill("api-2").await;
    until("the first one, which is back, shows all of them", SOON, || async {
        let (status, page) = site.ask("GET", "/streams", None).await;
        (status == 200 && page["items"].as_array()?.len() == 3).then_some(())
    })
    .await;
    let (parts, gap) = noticed_nothing(viewers, site.windows.late).await;
    publishers.push(("late".to_owned(), encoder));
    let counted = ledger.close(&publishers, &edits).await;
    eprintln!("api-1, the worker and api-2 killed: {parts} parts, {gap:.1?} without one at most; {counted}");
    site.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_process_is_killed_and_the_page_goes_on_when_the_encoder_is_back_at_another() {
    let mut site = Topology::start().await;
    let publishers = site.broadcasts(3).await;
    let ledger = Ledger::open(&site).await;
    let page = node::Viewer::page(&site.url("/@channel_1")).await;
    page.plays_for(3.0, SOON).await;
    let owner = site.owner("channel_1").await;
    let others: Vec<_> =
        publishers.iter().filter(|(_, encoder)| encoder.times() == 1).map(|(name, _)| name.clone()).collect();
    let mut elsewhere = Vec::new();
    for name in &others {
        if site.owner(name).await != owner {
            elsewhere.push(name.as_str());
        }
    }
    assert!(!elsewhere.is_empty(), "nginx gives publishers to the process that has the fewest");
    let viewers = site.viewers(4, elsewhere.into_iter());
    site.kill(owner).await;
    let encoder = &publishers[0].1;
    let back = encoder.let_in(2, SOON).await;
    page.plays_for(1.0, SOON).await;
    let went_on = back.elapsed() - Duration::from_secs(1);
    page.plays_for(3.0, SOON).await;
    page.assert_never_went_back();
    assert_ne!(site.owner("channel_1").await, owner);
    let (parts, gap) = noticed_nothing(viewers, site.windows.late).await;
    let began = Instant::now();
    site.begin(owner).await;
    let started = began.elapsed();
    let counted = ledger.close(&publishers, &BTreeMap::new()).await;
    eprintln!(
        "{owner} killed: the page goes on {went_on:.1?} after the encoder is back; others got {parts} parts, {gap:.1?} \
         without one at most; the process is ready {started:.1?} after its start; {counted}"
    );
    assert!(went_on < GOES_ON, "the page went on {went_on:.1?} after the encoder was back");
    site.assert_calm();
}
