//! RTMPS in, HTTPS with HTTP/2 out, with a certificate made here.

use std::time::Duration;

use millrace_hls_checker::Options;

use crate::browser::looped;
use crate::publisher::Ffmpeg;
use crate::server::{Server, scratch};

#[tokio::test(flavor = "multi_thread")]
async fn rtmps_in_and_https_with_http2_out() {
    let fixture = looped().fixture().await;
    let (_folder, path) = scratch("millrace-tls");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let (cert, key) = (path.join("cert.pem"), path.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::start(&[
        ("MILLRACE_TLS_CERT", cert.to_str().unwrap()),
        ("MILLRACE_TLS_KEY", key.to_str().unwrap()),
        ("MILLRACE_RTMPS_ADDR", "127.0.0.1:0"),
        ("MILLRACE_HTTPS_ADDR", "127.0.0.1:0"),
    ])
    .await;
    let (rtmps, https) = (server.rtmps.unwrap(), server.https.unwrap());
    let mut publisher = Ffmpeg::publish(&fixture.path, &format!("rtmps://{rtmps}/live/secret_room"));
    let report = millrace_hls_checker::run(Options {
        watch: Duration::from_secs(14),
        wait: Duration::from_secs(15),
        ..Options::new(format!("https://{https}/live/secret_room/index.m3u8"))
    })
    .await
    .unwrap();
    assert!(report.passed(), "{report}");
    let client = crate::http::client().danger_accept_invalid_certs(true).build().unwrap();
    let answer = client.get(format!("https://{https}/healthz")).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    publisher.kill().await;
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_without_tls_serves_the_same_broadcast() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[]).await;
    let _publisher = Ffmpeg::publish(&fixture.path, &server.publish_url("studio"));
    let report = millrace_hls_checker::run(Options {
        watch: Duration::from_secs(14),
        wait: Duration::from_secs(15),
        protocol: millrace_hls_checker::Protocol::Http2PriorKnowledge,
        ..Options::new(server.playlist("studio"))
    })
    .await
    .unwrap();
    assert!(report.passed(), "{report}");
}
