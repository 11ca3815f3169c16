//! One process with all roles, whose events go over Kafka.

use std::time::Duration;

use crate::browser::looped;
use crate::publisher::Ffmpeg;
use crate::server::Server;
use crate::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_begins_and_ends_over_kafka() {
    let fixture = looped().fixture().await;
    let place = millrace_test_services::kafka::place().await;
    let bus = format!("kafka://{}", place.broker);
    let server = Server::start(&[
        ("MILLRACE_BUS", &bus),
        ("MILLRACE_KAFKA__PREFIX", &place.prefix),
        ("MILLRACE_INGEST__RECONNECT_WINDOW", "1s"),
    ])
    .await;
    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    let streams = server.url("/api/v1/streams");
    let is_listed = async |wanted: bool| {
        let text = crate::http::get(&streams).await.ok()?.text().await.ok()?;
        (text.contains("\"studio\"") == wanted).then_some(())
    };
    until("the directory has it", Duration::from_secs(30), || is_listed(true)).await;
    publisher.kill().await;
    until("the directory has it no more", Duration::from_secs(30), || is_listed(false)).await;
    server.assert_calm();
}
