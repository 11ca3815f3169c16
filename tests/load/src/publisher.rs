//! Shell: publishes a tape in real time and notes when each picture was written.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep_until};

use crate::rtmp_peer::Peer;
use crate::tape::{Tape, VIDEO};

/// A broadcast as its publisher knows it.
#[derive(Default)]
pub(crate) struct Sent {
    /// When the write of each picture's message began: at most one system call before its last byte was out.
    pub(crate) pictures: Vec<std::time::Instant>,
    /// How late each was, against its own timestamp.
    pub(crate) late: Vec<Duration>,
}

/// Publishes to `channel` from `start` on, until the server hangs up.
pub(crate) async fn publish(
    rtmp: SocketAddr,
    channel: String,
    tape: Rc<Tape>,
    start: Instant,
    sent: Rc<RefCell<Sent>>,
) -> anyhow::Result<()> {
    sleep_until(start).await;
    let mut peer = Peer::connect(rtmp).await?;
    if let Err(refusal) = peer.publish("live", &channel).await {
        bail!("the server refused {channel}: {refusal:?}");
    }
    let start = Instant::now();
    for step in tape.play() {
        let due = start + Duration::from_millis(step.at.into());
        sleep_until(due).await;
        if step.picture.is_some() {
            let mut sent = sent.borrow_mut();
            let now = std::time::Instant::now();
            sent.pictures.push(now);
            sent.late.push(now.saturating_duration_since(due.into_std()));
        }
        let chunk_stream = if step.kind == VIDEO { 6 } else { 4 };
        peer.message(chunk_stream, step.kind, 1, step.at, &step.body).await?;
    }
    Ok(())
}
