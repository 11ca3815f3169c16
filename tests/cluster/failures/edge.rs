//! nginx is killed and started again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::ledger::Ledger;
use crate::cluster::nodes::{SOON, Topology};
use crate::node;

/// How long the page may take to go on after nginx is back, when it was away for a second or two.
const GOES_ON: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_page_goes_on_by_itself_when_the_edge_was_killed_and_is_back() {
    let mut site = Topology::start().await;
    let publishers = site.broadcasts(1).await;
    let ledger = Ledger::open(&site).await;
    let page = node::Viewer::page(&site.url("/@channel_1")).await;
    page.plays_for(3.0, SOON).await;
    // Publishers come through it, too: this one is let in again.
    site.edge.restart_after_kill().await;
    let back = publishers[0].1.let_in(2, SOON).await;
    page.plays_for(1.0, SOON).await;
    let went_on = back.elapsed() - Duration::from_secs(1);
    page.plays_for(3.0, SOON).await;
    page.assert_never_went_back();
    let counted = ledger.close(&publishers, &BTreeMap::new()).await;
    eprintln!(
        "the edge killed: the page goes on {went_on:.1?} after the encoder is back through it; {counted}"
    );
    assert!(went_on < GOES_ON, "{went_on:?}");
    site.assert_calm();
}
