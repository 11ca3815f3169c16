//! `/chat/v1/{channel}`: one task for each connection.
#![expect(clippy::disallowed_methods, reason = "shell: timers, random pauses")]

use std::future::{Future, pending};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::ws::{
    CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
};
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use millrace_core::ids::{ChannelName, MessageId};
use millrace_http::problem::Problem;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Error as WireError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use crate::node::{Frame, GOODBYE, NoEntry, Node, Said, Seat, Speaker};
use crate::protocol::{
    ClientFrame, Closing, Code, Draft, HELD, MAX_FRAME_BYTES, Refusal, SUBPROTOCOL, ServerFrame,
};
use crate::rate::{Meter, Rate};
use crate::records::Visit;

/// What is read at once from a connection: pages say little.
const READ_BUFFER: usize = 2 * 1024;
/// What may wait to be written to the operating system.
const WRITE_BUFFER_MAX: usize = 512 * 1024;
/// Heartbeats that may be missed.
pub(crate) const MISSED: u32 = 3;

/// The WebSocket of chat, and saying something without one.
pub fn router(node: Node) -> Router {
    Router::new()
        .route("/chat/v1/{channel}", get(join))
        .route("/chat/v1/{channel}/messages", crate::post::method())
        .with_state(node)
}

async fn join(
    State(node): State<Node>,
    Path(channel): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| no_upgrade())?;
    // Whoever was just sent away must not come back here: a proxy asks another process then.
    if node.stopping().is_cancelled() {
        return Err(stopping());
    }
    // Only tests have no peer.
    let peer = peer.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |Extension(ConnectInfo(peer))| peer);
    let visit = node.records().visit(&headers, peer).await?;
    let channel: Option<ChannelName> = channel.parse().ok();
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_MAX)
        .max_message_size(MAX_FRAME_BYTES)
        .max_frame_size(MAX_FRAME_BYTES);
    let speaks = upgrade.selected_protocol().is_some();
    Ok(upgrade.on_upgrade(move |socket| async move {
        let mut connection = Connection { socket, stall: node.config().write_stall };
        let closing = match channel {
            _ if !speaks => Closing::Protocol,
            None => Closing::NoSuchChannel,
            Some(channel) => match connection.serve(&node, &channel, visit).await {
                Some(closing) => closing,
                None => return connection.end().await,
            },
        };
        connection.close(closing).await;
    }))
}

fn no_upgrade() -> Problem {
    let detail =
        "This address speaks WebSocket, subprotocol millrace.chat.v1. It is described in docs/chat.md.";
    Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket-only", "WebSocket only", detail)
        .with_header(header::UPGRADE, header::HeaderValue::from_static("websocket"))
        .with_header(header::SEC_WEBSOCKET_VERSION, header::HeaderValue::from_static("13"))
}

pub(crate) fn stopping() -> Problem {
    let detail = "This process stops, and takes nobody new. Connect again in a moment.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "Stopping", detail)
        .with_header(header::RETRY_AFTER, header::HeaderValue::from_static("1"))
}

struct Connection {
    socket: WebSocket,
    stall: Duration,
}

/// What is being said: the answer of the bus is waited for beside everything else.
pub(crate) type Saying = Pin<Box<dyn Future<Output = (String, Result<Said, Refusal>, Speaker)> + Send>>;

/// What a connection is at.
struct Talk {
    seat: Seat,
    /// Absent while something of this person is being said, and for who only reads.
    speaker: Option<Speaker>,
    saying: Option<Saying>,
    meter: Meter,
    began: Instant,
    heard: Instant,
}

impl Connection {
    /// Talks until one of both has enough; `None`: the other side is gone.
    async fn serve(&mut self, node: &Node, channel: &ChannelName, visit: Visit) -> Option<Closing> {
        let resume = match timeout(node.config().hello_timeout, self.hello()).await {
            Err(_) => return Some(Closing::Idle),
            Ok(Err(closing)) => return closing,
            Ok(Ok(resume)) => resume,
        };
        let Visit { address, chatter } = visit;
        let mut seat = match node.enter(channel, chatter, address).await {
            Ok(seat) => seat,
            Err(refused) => return Some(refused.into()),
        };
        let Some(welcome) = seat.welcome(resume) else { return Some(Closing::Unavailable) };
        for text in std::iter::once(welcome.text).chain(welcome.removed) {
            if let Err(closing) = self.send(text).await {
                return closing;
            }
        }
        let now = Instant::now();
        let speaker = seat.speaker();
        let talk = Talk { seat, speaker, saying: None, meter: Meter::default(), began: now, heard: now };
        self.talk(node, talk).await
    }

    /// The first frame.
    async fn hello(&mut self) -> Result<Option<MessageId>, Option<Closing>> {
        loop {
            match self.receive().await? {
                ClientFrame::Hello { resume } => return Ok(resume),
                ClientFrame::Ping => self.send(ServerFrame::Pong.to_text()).await?,
                ClientFrame::Unknown => {}
                ClientFrame::Send(_) => return Err(Some(Closing::Protocol)),
            }
        }
    }

    async fn talk(&mut self, node: &Node, mut talk: Talk) -> Option<Closing> {
        let silence = node.config().heartbeat.saturating_mul(MISSED);
        let mut leave_at: Option<Instant> = None;
        loop {
            let quiet = talk.saying.is_none();
            let saying = async {
                match talk.saying.as_mut() {
                    Some(saying) => saying.await,
                    None => pending().await,
                }
            };
            let deadline = leave_at.unwrap_or(talk.heard + silence);
            let step = tokio::select! {
                biased;
                done = saying => Step::Said(done),
                frame = talk.seat.frames.recv() => Step::Frame(frame),
                // One thing after the other is said.
                heard = self.receive(), if quiet => Step::Heard(heard),
                () = tokio::time::sleep_until(deadline) => Step::Late,
                () = node.stopping().cancelled(), if leave_at.is_none() => Step::Stopping,
            };
            let done = match step {
                Step::Said((nonce, result, speaker)) => {
                    talk.saying = None;
                    talk.speaker = Some(speaker);
                    self.answer(&nonce, result).await
                }
                Step::Frame(Ok(Frame::Text(text))) => self.send(text).await,
                Step::Frame(Ok(Frame::Admission)) => {
                    node.look_again(&talk.seat).await.map_err(|refused| Some(refused.into()))
                }
                Step::Frame(Ok(frame)) => self.tell(&mut talk.seat, &frame).await,
                Step::Frame(Err(RecvError::Lagged(_))) => {
                    metrics::counter!("millrace_chat_slow_total").increment(1);
                    Err(Some(Closing::TooSlow))
                }
                Step::Frame(Err(RecvError::Closed)) => Err(Some(Closing::Unavailable)),
                Step::Heard(Ok(frame)) => self.heard(node, &mut talk, frame).await,
                Step::Heard(Err(closing)) => Err(closing),
                Step::Late if leave_at.is_some() => Err(Some(Closing::Stopping)),
                Step::Late => Err(Some(Closing::Idle)),
                Step::Stopping => {
                    let spread = u64::try_from(node.spread().as_millis()).unwrap_or(u64::MAX);
                    let after_ms = rand::random_range(0..=spread);
                    leave_at = Some(Instant::now() + Duration::from_millis(after_ms));
                    self.send(ServerFrame::Reconnect { after_ms }.to_text()).await
                }
            };
            if let Err(closing) = done {
                return closing;
            }
        }
    }

    async fn heard(
        &mut self,
        node: &Node,
        talk: &mut Talk,
        frame: ClientFrame,
    ) -> Result<(), Option<Closing>> {
        talk.heard = Instant::now();
        let rate = Rate::per(node.config().frames_per_10s, 10);
        let now_ms = i64::try_from(talk.heard.duration_since(talk.began).as_millis()).unwrap_or(i64::MAX);
        talk.meter.take(rate, now_ms).map_err(|_| Some(Closing::TooFast))?;
        match frame {
            ClientFrame::Ping => self.send(ServerFrame::Pong.to_text()).await,
            ClientFrame::Unknown => Ok(()),
            ClientFrame::Hello { .. } => Err(Some(Closing::Protocol)),
            ClientFrame::Send(draft) => {
                let Some(speaker) = talk.speaker.take() else {
                    let refusal = Refusal::new(Code::NotSignedIn, "Sign in to speak.");
                    return self.answer(&draft.nonce, Err(refusal)).await;
                };
                talk.saying = Some(say(node.clone(), speaker, draft));
                Ok(())
            }
        }
    }

    async fn answer(&mut self, nonce: &str, result: Result<Said, Refusal>) -> Result<(), Option<Closing>> {
        let text = match &result {
            Ok(Said::Now(id)) => ServerFrame::Ack { nonce, id: *id }.to_text(),
            Ok(Said::Held(id)) => ServerFrame::Held { nonce, id: *id, detail: HELD }.to_text(),
            Err(refusal) => ServerFrame::Refused { nonce: Some(nonce), refusal }.to_text(),
        };
        self.send(text).await
    }

    /// What is only for some.
    async fn tell(&mut self, seat: &mut Seat, frame: &Frame) -> Result<(), Option<Closing>> {
        match frame {
            Frame::Text(text) => self.send(text.clone()).await,
            Frame::Moderators(text) if seat.moderates => self.send(text.clone()).await,
            Frame::Refused(user, nonce, refusal) if seat.is_person(*user) => {
                let nonce = nonce.as_deref();
                self.send(ServerFrame::Refused { nonce, refusal: refusal.as_ref() }.to_text()).await
            }
            Frame::Standing(whose) => {
                let ours = seat
                    .chatter
                    .as_ref()
                    .is_some_and(|chatter| whose.is_none_or(|user| user == chatter.user));
                match if ours { seat.you() } else { None } {
                    Some(you) => self.send(ServerFrame::You { you: &you }.to_text()).await,
                    None => Ok(()),
                }
            }
            Frame::Ended(ended) if seat.is_of(*ended) => Err(Some(Closing::SessionEnded)),
            Frame::Ended(_) | Frame::Admission | Frame::Moderators(_) | Frame::Refused(..) => Ok(()),
        }
    }

    /// The next frame of the page. Cancel-safe.
    async fn receive(&mut self) -> Result<ClientFrame, Option<Closing>> {
        match self.socket.recv().await {
            None | Some(Ok(Message::Close(_))) => Err(None),
            Some(Err(err)) => Err(broken(err)),
            Some(Ok(Message::Binary(_))) => Err(Some(Closing::Protocol)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(ClientFrame::Unknown),
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map_err(|_| Some(Closing::Protocol)),
        }
    }

    async fn send(&mut self, text: Utf8Bytes) -> Result<(), Option<Closing>> {
        match timeout(self.stall, self.socket.send(Message::Text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => {
                metrics::counter!("millrace_chat_slow_total").increment(1);
                Err(Some(Closing::TooSlow))
            }
        }
    }

    async fn close(mut self, closing: Closing) {
        let (code, reason) = closing.parts();
        let frame = CloseFrame { code, reason: reason.into() };
        if let Ok(Ok(())) = timeout(GOODBYE, self.socket.send(Message::Close(Some(frame)))).await {
            // A socket that is dropped with unread bytes resets the connection.
            self.end().await;
        }
    }

    /// Until the other side has what was said last: the answer to its close frame leaves when more is read.
    async fn end(mut self) {
        // Whoever does not listen is not waited for.
        let _ = timeout(GOODBYE, async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
    }
}

/// What the other side is told of the error that ends a connection (RFC 6455 §7.4.1); nothing if it is gone.
fn broken(err: axum::Error) -> Option<Closing> {
    match *err.into_inner().downcast::<WireError>().ok()? {
        WireError::Utf8(_) => Some(Closing::NoText),
        WireError::Capacity(_) => Some(Closing::TooLong),
        WireError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        WireError::Protocol(_) => Some(Closing::NoWebSocket),
        _ => None,
    }
}

impl From<NoEntry> for Closing {
    fn from(refused: NoEntry) -> Self {
        match refused {
            NoEntry::NoSuchChannel => Self::NoSuchChannel,
            NoEntry::Forbidden => Self::Forbidden,
            NoEntry::TooMany => Self::TooMany,
            NoEntry::Away => Self::Unavailable,
        }
    }
}

enum Step {
    Said((String, Result<Said, Refusal>, Speaker)),
    Frame(Result<Frame, RecvError>),
    Heard(Result<ClientFrame, Option<Closing>>),
    Late,
    Stopping,
}

pub(crate) fn say(node: Node, mut speaker: Speaker, draft: Draft) -> Saying {
    Box::pin(async move {
        let result = node.say(&mut speaker, &draft).await;
        (draft.nonce, result, speaker)
    })
}
