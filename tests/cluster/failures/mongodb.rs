//! MongoDB's primary steps down, and MongoDB is away.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::cluster::ledger::Ledger;
use crate::cluster::nodes::{SOON, Topology};
use crate::cluster::viewer::noticed_nothing;
use crate::wait::until;

const PASSWORD: &str = "plover-quartz-lantern-7";

/// What somebody sends who registers.
fn newcomer(number: usize) -> Value {
    json!({ "name": format!("person_{number}"), "password": PASSWORD })
}

/// And who signs in.
fn person(number: usize) -> Value {
    json!({ "login": format!("person_{number}"), "password": PASSWORD })
}

/// Whether an answer says that it is to be tried again.
fn is_later(status: u16, answer: &Value) -> bool {
    status == 503 && answer["type"] == "/problems/store-unavailable"
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_publishers_get_in_while_the_primary_steps_down() {
    // All of them come from one address.
    let unlimited = ["REGISTER_ADDRESS", "LOGIN_ADDRESS"]
        .map(|limit| format!("MILLRACE_ACCOUNTS__LIMITS__{limit}__BURST"));
    let own: Vec<_> = ["api-1", "api-2"]
        .iter()
        .flat_map(|api| unlimited.iter().map(|limit| (*api, limit.as_str(), "0")))
        .collect();
    let site = Topology::start_with(&own).await;
    let key = site.channel("late").await;
    let mut publishers = site.broadcasts(2).await;
    let ledger = Ledger::open(&site).await;
    let viewers = site.viewers(4, ["channel_1", "channel_2"].into_iter());
    // Somebody registers and signs in all the time: the requests of one who is told to come back are made again.
    let people = async {
        let (mut known, mut longest) = (0, Duration::ZERO);
        let end = Instant::now() + site.windows.election * 3;
        while Instant::now() < end {
            let began = Instant::now();
            for (path, body) in [("/auth/register", newcomer(known)), ("/auth/login", person(known))] {
                until("somebody gets in", SOON, || async {
                    let (status, answer) = site.public("POST", path, Some(body.clone())).await;
                    if is_later(status, &answer) {
                        return None;
                    }
                    // An answer that was lost was kept all the same: the name is taken then.
                    assert!(matches!(status, 200 | 201 | 409), "{path}: {status} {answer}");
                    Some(())
                })
                .await;
            }
            longest = longest.max(began.elapsed());
            known += 1;
        }
        (known, longest)
    };
    let steps = async {
        let began = Instant::now();
        site.services.mongodb.step_down(60).await;
        let elected = began.elapsed();
        let encoder = site.encoder(&key);
        let began = Instant::now();
        let let_in = encoder.let_in(1, SOON).await - began;
        (elected, encoder, let_in)
    };
    let ((known, longest), (elected, encoder, let_in)) = tokio::join!(people, steps);
    site.live("late").await;
    for number in 0..known {
        let (status, answer) = site.public("POST", "/auth/login", Some(person(number))).await;
        assert_eq!(status, 200, "person_{number} was told to be registered: {answer}");
    }
    let (parts, gap) = noticed_nothing(viewers, site.windows.late).await;
    publishers.push(("late".to_owned(), encoder));
    let counted = ledger.close(&publishers, &BTreeMap::new()).await;
    eprintln!(
        "primary steps down: another one after {elected:.1?}; {known} people got in, in {longest:.1?} at most; a publisher \
         in {let_in:.1?}; {parts} parts, {gap:.1?} without one at most; {counted}"
    );
    assert_eq!(counted.refused, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mongodb_broadcasts_go_on_and_everything_else_does_when_it_is_back() {
    let mut site = Topology::start().await;
    let key = site.channel("late").await;
    let mut publishers = site.broadcasts(2).await;
    let ledger = Ledger::open(&site).await;
    let viewers = site.viewers(4, ["channel_1", "channel_2"].into_iter());
    let (status, answer) = site.public("POST", "/auth/register", Some(newcomer(0))).await;
    assert_eq!(status, 201, "{answer}");

    site.services.kill_mongodb();
    let back = Instant::now() + site.windows.away;
    let encoder = site.encoder(&key);
    let (status, answer) = site.public("POST", "/auth/login", Some(person(0))).await;
    assert!(is_later(status, &answer), "{status} {answer}");
    until("an encoder is told why not", SOON, || async {
        encoder.refused().iter().any(|why| why.description.contains("cannot check stream keys")).then_some(())
    })
    .await;
    // One ends meanwhile, and the history learns of it later.
    drop(publishers.pop());
    sleep_until(back).await;
    site.services.restart_mongodb().await;
    let returned = Instant::now();
    until("people get in", SOON, || async {
        let (status, answer) = site.public("POST", "/auth/login", Some(person(0))).await;
        assert!(status == 200 || is_later(status, &answer), "{status} {answer}");
        (status == 200).then_some(())
    })
    .await;
    let people = returned.elapsed();
    encoder.let_in(1, SOON).await;
    let let_in = returned.elapsed();
    site.live("late").await;
    let (_, viewers): (Vec<_>, Vec<_>) = viewers.into_iter().partition(|viewer| viewer.is_of("channel_2"));
    let (parts, gap) = noticed_nothing(viewers, site.windows.late).await;
    publishers.push(("late".to_owned(), encoder));
    let counted = ledger.close(&publishers, &BTreeMap::new()).await;
    eprintln!(
        "mongodb away for {:?}: people get in {people:.1?} after its return, a publisher after {let_in:.1?}; {parts} parts, \
         {gap:.1?} without one at most; {counted}",
        site.windows.away
    );
    assert!(site.logged("panicked at").is_empty());
}
