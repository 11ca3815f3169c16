//! Viewers who follow the live edge through nginx as players do, and forgive nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_hls_checker::playlist::{self, MediaPlaylist, Position};
use millrace_hls_checker::rule::Findings;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long a viewer lets pass before it asks again, when it was told of an error.
const AGAIN: Duration = Duration::from_millis(250);

/// What a viewer saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Parts with media in them.
    pub(crate) parts: u64,
    /// When the newest of them came.
    pub(crate) newest: Option<Instant>,
    /// The longest time without one.
    pub(crate) longest: Duration,
    /// Everything that a player could have noticed, with how long it had watched.
    pub(crate) troubles: Vec<(Duration, String)>,
}

/// A viewer of one channel.
pub(crate) struct Viewer {
    channel: String,
    task: JoinHandle<()>,
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

impl Viewer {
    /// Begins to watch `{site}/live/{channel}/main`.
    pub(crate) fn start(client: &reqwest::Client, site: &str, channel: &str) -> Self {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let following = Following {
            client: client.clone(),
            rendition: format!("{site}/live/{channel}/main"),
            over: Arc::clone(&over),
            seen: Arc::clone(&seen),
            began: Instant::now(),
        };
        Self { channel: channel.to_owned(), task: tokio::spawn(following.follow()), over, seen }
    }

    /// Whether it watches this channel.
    pub(crate) fn is_of(&self, channel: &str) -> bool {
        self.channel == channel
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Stops watching and says what it saw.
    pub(crate) async fn stop(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        let mut seen = self.seen.lock().unwrap().clone();
        // It may have waited for something that never came.
        if let Some(newest) = seen.newest {
            seen.longest = seen.longest.max(newest.elapsed());
        }
        seen
    }
}

/// All of them, none of whom may have noticed anything: how many parts they got, and the longest that one waited for one.
pub(crate) async fn noticed_nothing(viewers: Vec<Viewer>, late: Duration) -> (u64, Duration) {
    let (mut parts, mut longest) = (0, Duration::ZERO);
    let mut troubles = Vec::new();
    for viewer in viewers {
        let channel = viewer.channel.clone();
        let seen = viewer.stop().await;
        assert!(seen.parts > 0, "a viewer of {channel} saw nothing");
        troubles.extend(seen.troubles.iter().map(|(at, what)| format!("{channel} after {at:.1?}: {what}")));
        parts += seen.parts;
        longest = longest.max(seen.longest);
    }
    assert!(
        troubles.is_empty(),
        "{} times viewers noticed something:\n{}",
        troubles.len(),
        troubles.join("\n")
    );
    assert!(longest < late, "a viewer was {longest:.1?} without a new part");
    (parts, longest)
}

struct Following {
    client: reqwest::Client,
    rendition: String,
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    began: Instant,
}

impl Following {
    async fn follow(self) {
        while !self.is_over() {
            let Some(mut list) = self.playlist("index.m3u8").await else {
                sleep(AGAIN).await;
                continue;
            };
            while !self.is_over() {
                let wanted = list.end();
                let reload = format!("index.m3u8?_HLS_msn={}&_HLS_part={}", wanted.msn, wanted.part);
                let Some(next) = self.playlist(&reload).await else {
                    // As a player that was told of an error: from the newest playlist on.
                    sleep(AGAIN).await;
                    break;
                };
                if next.endlist {
                    return self.trouble("the broadcast ended".to_owned());
                }
                if next.end() <= wanted {
                    self.trouble(format!("{reload} was answered with what was before: {:?}", next.end()));
                }
                self.fetch(&next, wanted).await;
                list = next;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Fetches what is listed from a position on, which must be there itself.
    async fn fetch(&self, list: &MediaPlaylist, wanted: Position) {
        let mut expected = wanted;
        for segment in list.segments.iter().filter(|segment| segment.msn >= wanted.msn) {
            for (part, index) in segment.parts.iter().zip(0..) {
                let at = Position { msn: segment.msn, part: index };
                if at < wanted {
                    continue;
                }
                if at != expected && at != (Position { msn: expected.msn + 1, part: 0 }) {
                    self.trouble(format!("{expected:?} is missing before {at:?}"));
                }
                expected = Position { part: index + 1, ..at };
                if part.gap {
                    self.trouble(format!("a gap at {at:?}"));
                } else if self.get(&part.uri).await.is_some_and(|bytes| !bytes.is_empty()) {
                    self.part();
                }
            }
        }
    }

    fn part(&self) {
        let (mut seen, now) = (self.seen.lock().unwrap(), Instant::now());
        seen.parts += 1;
        if let Some(before) = seen.newest.replace(now) {
            seen.longest = seen.longest.max(now - before);
        }
    }

    async fn playlist(&self, name: &str) -> Option<MediaPlaylist> {
        let bytes = self.get(name).await?;
        let mut findings = Findings::new("a playlist through the edge");
        let list = playlist::parse(std::str::from_utf8(&bytes).ok()?, &mut findings);
        for finding in findings.as_slice() {
            self.trouble(format!("{name}: {finding}"));
        }
        Some(list)
    }

    /// The body, if it is one.
    async fn get(&self, name: &str) -> Option<bytes::Bytes> {
        let url = format!("{}/{name}", self.rendition);
        let mut answer = self.client.get(&url).send().await;
        if answer
            .as_ref()
            .is_err_and(|error| error.is_request() && !error.is_connect() && !error.is_timeout())
        {
            // A server may close a connection just when the next request leaves; browsers send it again then.
            answer = self.client.get(&url).send().await;
        }
        let answer = match answer {
            Ok(answer) if answer.status() == 200 => answer.bytes().await.map_err(|error| error.to_string()),
            Ok(answer) => {
                let status = answer.status();
                Err(format!("{status} {}", answer.text().await.unwrap_or_default().trim()))
            }
            Err(error) => Err(format!("{error:?}")),
        };
        answer.map_err(|why| self.trouble(format!("{name}: {why}"))).ok()
    }

    fn trouble(&self, what: String) {
        // Once it is over, what it waited for may end in any way.
        if !self.is_over() {
            self.seen.lock().unwrap().troubles.push((self.began.elapsed(), what));
        }
    }
}
