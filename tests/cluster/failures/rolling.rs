//! Every process is restarted, one after the other, while people publish and watch.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::cluster::ledger::Ledger;
use crate::cluster::nodes::{SOON, Topology};
use crate::cluster::viewer::noticed_nothing;
use crate::node;
use crate::wait::until;

/// How long a page or a viewer may take to go on after the encoder is back.
const GOES_ON: Duration = Duration::from_secs(5);
/// How long an encoder may take to be let in again.
const RECONNECT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_is_not_noticed_but_of_ingest_where_the_page_goes_on_by_itself() {
    let mut site = Topology::start().await;
    let (broadcasts, viewers) = (site.windows.broadcasts, site.windows.viewers);
    let publishers = site.broadcasts(broadcasts).await;
    let ledger = Ledger::open(&site).await;
    let channels = || publishers.iter().map(|(name, _)| name.as_str());
    let strict = site.viewers(viewers, channels());
    until("viewers have something", SOON, || async {
        strict.iter().all(|viewer| viewer.seen().parts > 3).then_some(())
    })
    .await;

    let mut edits = BTreeMap::new();
    for name in ["api-1", "api-2", "worker"] {
        site.restart(name).await;
        for channel in channels() {
            let title = json!({ "title": format!("while {name} was restarted") });
            let (status, answer) = site.ask("PATCH", &format!("/channels/{channel}"), Some(title)).await;
            assert_eq!(status, 200, "{answer}");
            *edits.entry(channel.to_owned()).or_default() += 1;
        }
    }
    site.edge.reload().await;
    let before: u64 = strict.iter().map(|viewer| viewer.seen().parts).sum();
    until("viewers go on behind the new edge", SOON, || async {
        let now: u64 = strict.iter().map(|viewer| viewer.seen().parts).sum();
        (now > before + viewers as u64 * 3).then_some(())
    })
    .await;
    assert!(publishers.iter().all(|(_, encoder)| encoder.times() == 1), "no encoder was sent away");
    let (parts, longest) = noticed_nothing(strict, site.windows.late).await;

    // Of ingest, one after the other: the encoders go to another one.
    let page = node::Viewer::page(&site.url("/@channel_1")).await;
    page.plays_for(2.0, SOON).await;
    let mut went_on = Duration::ZERO;
    for name in ["ingest-1", "ingest-2", "ingest-3"] {
        let mut sent_away = Vec::new();
        for (channel, encoder) in &publishers {
            if site.owner(channel).await == name {
                sent_away.push((channel, encoder, encoder.times()));
            }
        }
        site.stop(name).await;
        for (channel, encoder, times) in sent_away {
            let back = encoder.let_in(times + 1, RECONNECT).await;
            if channel == "channel_1" {
                page.plays_for(1.0, SOON).await;
                went_on = went_on.max(back.elapsed().saturating_sub(Duration::from_secs(1)));
            }
            site.live(channel).await;
        }
        site.begin(name).await;
    }
    page.plays_for(2.0, SOON).await;
    page.assert_never_went_back();
    let counted = ledger.close(&publishers, &edits).await;
    eprintln!(
        "{broadcasts} broadcasts, {viewers} viewers, api, worker and edge restarted: {parts} parts, {longest:.1?} without \
         one at most; ingest restarted: the page goes on {went_on:.1?} after its encoder is back; {counted}"
    );
    assert_eq!(counted.refused, 0);
    assert!(went_on < GOES_ON, "{went_on:?}");
    site.assert_calm();
}
