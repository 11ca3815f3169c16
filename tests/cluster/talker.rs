//! People in a chat who come back by themselves, as the page does, and write down what they are told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use millrace_api::auth::Secret;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::chatter::{Chat, Person};

/// How often somebody says something.
const EVERY: Duration = Duration::from_millis(200);
/// Messages that may wait for their turn: who is not heard says no more.
const WAITING: usize = 5;
/// How long a try to come in may take, and the pause after one that failed.
const TRY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);

/// What somebody was told.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What was said, as it was shown: the text of each message, which nobody else says.
    pub(crate) read: Vec<String>,
    ids: BTreeSet<String>,
    /// Own messages: how many there are, and those that were acknowledged, in order, with the id.
    pub(crate) said: usize,
    pub(crate) acknowledged: Vec<(String, String)>,
    /// People and readers in the room, as they were told last.
    pub(crate) here: (u64, u64),
    /// How often something was refused as temporarily unavailable.
    pub(crate) refused: usize,
    /// How often they came in, and how often they were asked to come again.
    pub(crate) entered: usize,
    pub(crate) sent_away: usize,
    /// The longest time without a connection.
    pub(crate) away: Duration,
    /// Tries to come in that failed: how long each took.
    pub(crate) tries: Vec<Duration>,
    /// What must not be.
    pub(crate) troubles: Vec<String>,
}

/// Somebody in a room.
pub(crate) struct Talker {
    task: JoinHandle<()>,
    talks: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

impl Talker {
    /// Comes into a room; whoever has a name says something all the time.
    pub(crate) fn start(url: String, person: Option<&Person>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let talks = Arc::new(AtomicBool::new(person.is_some()));
        let visitor = Visitor {
            url,
            name: person.map(|person| person.name.clone()).unwrap_or_default(),
            token: person.map(|person| person.token.clone()),
            talks: Arc::clone(&talks),
            seen: Arc::clone(&seen),
            last: None,
            unsaid: VecDeque::new(),
            left: None,
        };
        Self { task: tokio::spawn(visitor.live()), talks, seen }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Begins nothing new. What was begun is still said.
    pub(crate) fn hush(&self) {
        self.talks.store(false, Ordering::Relaxed);
    }

    /// Whether everything of theirs was acknowledged.
    pub(crate) fn is_done(&self) -> bool {
        let seen = self.seen();
        seen.acknowledged.len() == seen.said
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Visitor {
    url: String,
    name: String,
    token: Option<Secret>,
    talks: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    /// The id of the last message that was shown.
    last: Option<String>,
    /// Not acknowledged: the first one is being said.
    unsaid: VecDeque<String>,
    left: Option<Instant>,
}

impl Visitor {
    async fn live(mut self) {
        loop {
            let began = Instant::now();
            match timeout(TRY, self.enter()).await {
                Ok(Some(chat)) => {
                    self.stay(chat).await;
                    self.left = Some(Instant::now());
                }
                _ => {
                    self.seen().tries.push(began.elapsed());
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    async fn enter(&mut self) -> Option<Chat> {
        let mut chat = Chat::connect(&self.url, self.token.as_ref()).await.ok()?;
        let hello = match &self.last {
            Some(last) => json!({ "type": "hello", "resume": last }),
            None => json!({ "type": "hello" }),
        };
        chat.0.send(Message::text(hello.to_string())).await.ok()?;
        let welcome = loop {
            let frame = next(&mut chat).await?;
            if frame["type"] == "welcome" {
                break frame;
            }
        };
        let back = self.last.is_some();
        let away = self.left.map(|left| left.elapsed()).unwrap_or_default();
        let mut seen = self.seen();
        seen.here = here(&welcome);
        seen.entered += 1;
        seen.away = seen.away.max(away);
        if back && welcome["resumed"] != true {
            seen.troubles.push("was shown everything anew".to_owned());
        }
        drop(seen);
        self.read(&welcome);
        Some(chat)
    }

    /// Until the connection ends.
    async fn stay(&mut self, mut chat: Chat) {
        let mut leave_at: Option<Instant> = None;
        // What was not acknowledged is said again.
        let mut say_at = self.unsaid.front().map(|_| Instant::now());
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            let at = |at: Option<Instant>| async move {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            let frame = tokio::select! {
                frame = next(&mut chat) => frame,
                () = at(leave_at) => {
                    let _ = timeout(PAUSE, chat.0.close(None)).await;
                    return;
                }
                () = at(say_at) => {
                    say_at = None;
                    let Some(text) = self.unsaid.front() else { continue };
                    let draft = json!({ "type": "send", "nonce": text, "text": text });
                    if chat.0.send(Message::text(draft.to_string())).await.is_err() {
                        return;
                    }
                    continue;
                }
                _ = ticks.tick() => {
                    if self.talks.load(Ordering::Relaxed) && self.unsaid.len() < WAITING && self.begin() {
                        say_at = Some(Instant::now());
                    }
                    continue;
                }
            };
            let Some(frame) = frame else { return };
            match frame["type"].as_str() {
                Some("messages") => self.read(&frame),
                Some("chatters") => self.seen().here = here(&frame),
                Some("ack") => {
                    let (nonce, id) = (frame["nonce"].as_str().unwrap(), frame["id"].as_str().unwrap());
                    if self.unsaid.front().is_some_and(|first| first == nonce) {
                        self.unsaid.pop_front();
                        self.seen().acknowledged.push((nonce.to_owned(), id.to_owned()));
                        say_at = self.unsaid.front().map(|_| Instant::now());
                    }
                }
                Some("refused") if frame["code"] == "temporarily_unavailable" => {
                    self.seen().refused += 1;
                    let wait = frame["retry_after_ms"].as_u64().unwrap_or(1000);
                    say_at = Some(Instant::now() + Duration::from_millis(wait));
                }
                Some("reconnect") => {
                    self.seen().sent_away += 1;
                    let wait = frame["after_ms"].as_u64().unwrap_or_default();
                    leave_at = Some(Instant::now() + Duration::from_millis(wait));
                }
                Some("refused") => self.seen().troubles.push(frame.to_string()),
                _ => {}
            }
        }
    }

    /// One more message; whether none is being said.
    fn begin(&mut self) -> bool {
        let mut seen = self.seen();
        seen.said += 1;
        let text = format!("{}-{}", self.name, seen.said);
        drop(seen);
        self.unsaid.push_back(text);
        self.unsaid.len() == 1
    }

    fn read(&mut self, frame: &Value) {
        let mut seen = self.seen.lock().unwrap();
        for message in frame["messages"].as_array().unwrap() {
            let (id, text) = (message["id"].as_str().unwrap(), message["text"].as_str().unwrap());
            if !seen.ids.insert(id.to_owned()) {
                seen.troubles.push(format!("{text} came twice"));
            }
            seen.read.push(text.to_owned());
            self.last = Some(id.to_owned());
        }
    }
}

/// Who a frame says is in the room: people and readers.
fn here(frame: &Value) -> (u64, u64) {
    let chatters = &frame["chatters"];
    (chatters["count"].as_u64().unwrap(), chatters["readers"].as_u64().unwrap())
}

/// The next frame, until the connection ends.
async fn next(chat: &mut Chat) -> Option<Value> {
    loop {
        match chat.0.next().await? {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// How often each of these is there.
pub(crate) fn counted<'a>(texts: impl IntoIterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text.as_str()).or_default() += 1;
    }
    counts
}
