//! Start and stop: ports in use, signals, draining.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::browser::looped;
use crate::publisher::Ffmpeg;
use crate::rtmp_peer::Peer;
use crate::server::{self, Server, scratch};
use crate::wait::until;

#[tokio::test]
async fn a_port_in_use_is_said_with_the_setting_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_folder, data) = scratch("millrace-port");
    for setting in ["MILLRACE_HTTP_ADDR", "MILLRACE_RTMP_ADDR", "MILLRACE_METRICS_ADDR"] {
        let run = server::command(&data, &[(setting, &address)]).output();
        let output = tokio::time::timeout(Duration::from_secs(10), run).await.expect("it gives up").unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&address) && said.contains(setting), "{setting}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_setting_is_exit_64_and_names_the_key() {
    let (_folder, data) = scratch("millrace-config");
    let output = server::command(&data, &[("MILLRACE_HTTP_ADDR", "everywhere")]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("http_addr") && said.contains("MILLRACE_HTTP_ADDR"), "{said}");
    assert!(said.contains("\"everywhere\""), "the value: {said}");
    assert!(said.contains("write address and port, such as 0.0.0.0:8080"), "the remedy: {said}");
    let version = Command::new(env!("CARGO_BIN_EXE_millrace")).arg("--version").output().await.unwrap();
    assert!(version.status.success() && version.stdout.starts_with(b"millrace "), "{version:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_drains_in_order() {
    let fixture = looped().fixture().await;
    let mut server = Server::start(&[]).await;
    let mut publisher = Ffmpeg::publish(&fixture.path, &server.publish_url("studio"));
    let playlist = server.url("/live/studio/main/index.m3u8");
    let text = until("two seconds of media", Duration::from_secs(20), || async {
        let text = crate::http::get(&playlist).await.ok()?.text().await.ok()?;
        text.contains("#EXTINF").then_some(text)
    })
    .await;
    let first: u64 =
        text.lines().find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:")?.parse().ok()).unwrap();
    // A viewer waits for a segment that will not come any more.
    let last = first + text.matches("#EXTINF").count() as u64;
    let waiting = tokio::spawn(crate::http::get(format!("{playlist}?_HLS_msn={}", last + 1)));
    let mut idle = Peer::connect(server.rtmp).await.unwrap();
    until("the viewer is counted as blocked", Duration::from_secs(5), || async {
        server.metric("millrace_blocked_requests").await.filter(|n| *n >= 1.0)
    })
    .await;
    let begun = tokio::time::Instant::now();
    server.signal("INT");
    let status = server.exited(Duration::from_secs(12)).await;
    let took = begun.elapsed();
    eprintln!("drained in {took:.2?}");
    assert!(status.success(), "{status}\n{}", server.log());
    let answer = waiting.await.unwrap().expect("the waiting viewer gets an answer, not a reset");
    assert!(matches!(answer.status().as_u16(), 200 | 503), "{}", answer.status());
    let (_, said) = publisher.finished(Duration::from_secs(5)).await;
    eprintln!("ffmpeg says: {}", said.trim());
    assert!(idle.closed(Duration::from_secs(5)).await, "an idle publisher is not left hanging");
    let log = server.log();
    let at = |needle: &str| log.find(needle).unwrap_or_else(|| panic!("no {needle:?} in\n{log}"));
    assert!(at("\"stopping") < at("\"stopped\""), "{log}");
    server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_exits_at_once() {
    let fixture = looped().fixture().await;
    let mut server = Server::start(&[("MILLRACE_SHUTDOWN_GRACE", "60s")]).await;
    let _publisher = Ffmpeg::publish(&fixture.path, &server.publish_url("studio"));
    let playlist = server.url("/live/studio/main/index.m3u8");
    until("media", Duration::from_secs(20), || async {
        crate::http::get(&playlist).await.ok().filter(|a| a.status() == 200)
    })
    .await;
    // A viewer who reads nothing keeps the first signal's drain busy.
    let mut slow = tokio::net::TcpStream::connect(server.http).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(
        &mut slow,
        b"GET /live/studio/main/index.m3u8 HTTP/1.1\r\nHost: x\r\n",
    )
    .await
    .unwrap();
    server.signal("TERM");
    until("it says that it stops", Duration::from_secs(5), || async { server.logged("stopping") }).await;
    server.signal("TERM");
    let begun = tokio::time::Instant::now();
    let status = server.exited(Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    // Whoever came first: the drain (0) or the second signal (130).
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}

#[tokio::test]
async fn a_server_whose_log_nobody_reads_any_more_still_stops() {
    let (_folder, data) = scratch("millrace-unread");
    let mut child = server::command(&data, &[]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("it is ready before it ends").contains("\"ready\"") {}
    drop((lines, child.stdout.take()));
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    let status =
        tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it stops").unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[tokio::test]
async fn a_key_that_nobody_made_does_not_publish() {
    let server = Server::start(&[("MILLRACE_PUBLISH_AUTH", "keys")]).await;
    let mut peer = Peer::connect(server.rtmp).await.unwrap();
    let refused = peer.publish("live", "studio").await.unwrap_err();
    assert_eq!(refused.code, "NetStream.Publish.Denied", "{refused:?}");
    assert!(refused.description.contains("stream key is unknown"), "{refused:?}");
    assert!(peer.closed(Duration::from_secs(5)).await);
    let help = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("--help")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(help.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_waits_until_nobody_publishes() {
    let fixture = looped().fixture().await;
    let server = Server::start(&[]).await;
    let metrics = server.metrics().to_string();
    let wait = |within: &str| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(["wait-idle", "--within", within])
            .env_clear()
            .env("MILLRACE_METRICS_ADDR", &metrics)
            .kill_on_drop(true)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let said = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let idle = wait("1m").wait_with_output().await.unwrap();
    assert!(idle.status.success() && said(idle).contains("nobody publishes"));

    let mut publisher = Ffmpeg::publish_for_ever(&fixture.path, &server.publish_url("studio"));
    until("somebody publishes", Duration::from_secs(20), || async {
        server.metric("millrace_publishers").await.filter(|count| *count == 1.0)
    })
    .await;
    let late = wait("2s").wait_with_output().await.unwrap();
    assert!(late.status.success());
    let late = said(late);
    assert!(late.contains("1 publish still, and time is up"), "{late}");
    let mut waiting = wait("1m");
    let early = tokio::time::timeout(Duration::from_secs(2), waiting.wait()).await;
    assert!(early.is_err(), "it ended while somebody published");
    publisher.kill().await;
    let done = tokio::time::timeout(Duration::from_secs(30), waiting.wait_with_output()).await;
    let done = said(done.expect("it ends").unwrap());
    assert!(done.contains("nobody publishes"), "{done}");
    drop(server);
    let gone = wait("1m").wait_with_output().await.unwrap();
    assert!(!gone.status.success() && said(gone).contains("no server answers"));
}
