//! Encoders as people have them: they reconnect until they are stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::rtmp_peer::flv::{self, Tag};
use crate::rtmp_peer::{Peer, Refusal};
use crate::wait::until;

/// How long OBS waits before it connects again.
const RETRY: Duration = Duration::from_secs(2);
/// From connecting to the start of publishing.
const BEGIN: Duration = Duration::from_secs(15);

/// What became of an encoder.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// When it was let in, each time.
    pub(crate) let_in: Vec<Instant>,
    /// Why it was not, each time.
    pub(crate) refused: Vec<Refusal>,
}

/// An encoder; it crashes when this is dropped.
pub(crate) struct Encoder {
    task: JoinHandle<()>,
    story: Arc<Mutex<Story>>,
}

/// What encoders send.
#[derive(Clone)]
pub(crate) struct Tape(Arc<[Tag]>);

impl Tape {
    pub(crate) fn read(path: &Path) -> Self {
        Self(flv::read(path).into())
    }

    fn length_ms(&self) -> u32 {
        self.0.last().map_or(0, |tag| tag.timestamp + 33)
    }
}

impl Encoder {
    /// Publishes for ever.
    pub(crate) fn start(tape: &Tape, rtmp: SocketAddr, key: &str) -> Self {
        let story = Arc::new(Mutex::new(Story::default()));
        let (tape, key, told) = (tape.clone(), key.to_owned(), Arc::clone(&story));
        let task = tokio::spawn(async move {
            loop {
                match begin(rtmp, &key).await {
                    Ok(mut peer) => {
                        told.lock().unwrap().let_in.push(Instant::now());
                        send(&mut peer, &tape).await;
                    }
                    Err(refusal) => told.lock().unwrap().refused.push(refusal),
                }
                sleep(RETRY).await;
            }
        });
        Self { task, story }
    }

    /// How often it was let in.
    pub(crate) fn times(&self) -> usize {
        self.story.lock().unwrap().let_in.len()
    }

    /// Why it was not let in.
    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.story.lock().unwrap().refused.clone()
    }

    /// Waits until it was let in so often.
    pub(crate) async fn let_in(&self, times: usize, within: Duration) -> Instant {
        until(&format!("an encoder is let in {times} times"), within, || async {
            self.story.lock().unwrap().let_in.get(times - 1).copied()
        })
        .await
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn begin(rtmp: SocketAddr, key: &str) -> Result<Peer, Refusal> {
    let lost = |why: &str| Refusal { code: "io".into(), description: why.into() };
    let begin = async {
        let mut peer = Peer::connect(rtmp).await.map_err(|error| lost(&error.to_string()))?;
        peer.publish("live", key).await?;
        Ok(peer)
    };
    timeout(BEGIN, begin).await.map_err(|_| lost("no answer"))?
}

/// Sends the tape again and again, in real time, until the server closes the connection.
async fn send(peer: &mut Peer, tape: &Tape) {
    let mut from = 0_u32;
    loop {
        // What a sequence begins with is said once.
        let tags: Vec<_> = tape.0.iter().filter(|tag| from == 0 || !tag.is_header()).cloned().collect();
        if peer.send(&tags, |tag| tag.timestamp + from).await.is_err() {
            return;
        }
        from += tape.length_ms();
    }
}
