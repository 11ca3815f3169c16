//! Rooms for programs that speak IRC: RFC 1459 as far as rooms need it, with some of IRCv3 (message tags, server time, echo,
//! standard replies). docs/chat.md says what there is and what is not.
#![expect(clippy::disallowed_methods, reason = "shell: sockets, tasks, timers")]

mod line;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use millrace_core::chat::ChatMessage;
use millrace_core::ids::{ChannelName, MessageId};
use millrace_core::places::Places;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use uuid::Uuid;

use self::line::{Came, Line, Lines};
use self::session::{Action, Session};
use crate::node::{Frame, NoEntry, Node, Said};
use crate::protocol::{Draft, HELD, Refusal};
use crate::rate::{Meter, Rate};
use crate::records::Chatter;
use crate::socket::{MISSED, Saying, say};

/// How long accepting pauses when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What may wait to be said in a room.
const SAYS: usize = 16;
/// What of one's own is recognised when it is heard.
const OWN: usize = 64;
/// Some people write a prefix before a token, as other sites want it.
const PREFIX: &str = "oauth:";

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub tcp: TcpListener,
    /// With it the socket speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Takes connections until `shutdown`; each goes with [`Node::stop`], and when all are gone it returns.
pub async fn serve(listener: Listener, node: Node, shutdown: CancellationToken) {
    let Listener { tcp, tls } = listener;
    let tls = tls.map(TlsAcceptor::from);
    let config = node.config();
    let places = Places::new(config.connections_per_address as usize, config.irc_connections);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = tcp.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(err) => {
                tracing::warn!(%err, "cannot accept an IRC connection; going on");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Whoever finds no place is not kept waiting: clients try again by themselves.
        let place = match places.take(peer.ip()) {
            Ok(place) => place,
            Err(err) => {
                metrics::counter!("millrace_chat_irc_refused_total", "reason" => err.label()).increment(1);
                tracing::debug!(peer.addr = %peer, "an IRC client is turned away: {err}");
                continue;
            }
        };
        let (node, tls) = (node.clone(), tls.clone());
        connections.spawn(async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            match tls {
                None => attend(stream, peer, node).await,
                Some(tls) => match timeout(node.config().hello_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        attend::<tokio_rustls::server::TlsStream<TcpStream>>(stream, peer, node).await
                    }
                    _ => tracing::debug!(peer.addr = %peer, "no TLS from an IRC client"),
                },
            }
        });
    }
    drop(tcp);
    connections.close();
    connections.wait().await;
}

/// What a room has for a connection.
enum News {
    Joined {
        channel: ChannelName,
        rules: String,
        names: Vec<ChannelName>,
    },
    KeptOut {
        channel: ChannelName,
        why: String,
    },
    Said {
        channel: ChannelName,
        message: Box<ChatMessage>,
        own: bool,
    },
    Refused {
        channel: ChannelName,
        refusal: Refusal,
    },
    Held {
        channel: ChannelName,
    },
    /// The session ended, or the connection is too slow.
    Over(String),
}

struct Connection<S> {
    node: Node,
    peer: SocketAddr,
    write: WriteHalf<S>,
    session: Session,
    who: Option<(IpAddr, Option<Chatter>)>,
    rooms: BTreeMap<ChannelName, Attended>,
    news: mpsc::Sender<News>,
}

/// A room that the connection is in, or on the way into. Dropping it leaves.
struct Attended {
    says: mpsc::Sender<(String, Option<MessageId>)>,
    _task: AbortOnDropHandle<()>,
}

async fn attend<S: AsyncRead + AsyncWrite + Send + 'static>(stream: S, peer: SocketAddr, node: Node) {
    let (mut read, write) = split(stream);
    let (news, mut told) = mpsc::channel(node.config().queue);
    let session = Session::default();
    let mut connection =
        Connection { node: node.clone(), peer, write, session, who: None, rooms: BTreeMap::new(), news };
    let (mut lines, mut buffer) = (Lines::default(), [0; 2048]);
    let rate = Rate::per(node.config().frames_per_10s, 10);
    let (began, mut meter) = (Instant::now(), Meter::default());
    let (mut heard, mut ticks) = (Instant::now(), interval(node.config().heartbeat));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let hello_by = Instant::now() + node.config().hello_timeout;
    let mut leave_at: Option<Instant> = None;
    loop {
        let deadline = match (leave_at, &connection.who) {
            (Some(at), _) => at,
            (None, None) => hello_by,
            (None, Some(_)) => heard + node.config().heartbeat.saturating_mul(MISSED),
        };
        let done = tokio::select! {
            read = read.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    heard = Instant::now();
                    let now_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
                    let mut done = Ok(());
                    for came in lines.take(&buffer[..count]) {
                        if meter.take(rate, now_ms).is_err() {
                            done = Err("Too many lines: wait longer between them".to_owned());
                            break;
                        }
                        done = connection.came(came).await;
                        if done.is_err() {
                            break;
                        }
                    }
                    done
                }
            },
            Some(news) = told.recv() => connection.tell(news).await,
            _ = ticks.tick() => connection.send(&["PING :millrace".to_owned()]).await,
            () = tokio::time::sleep_until(deadline) => Err(match leave_at {
                Some(_) => "The server restarts: connect again".to_owned(),
                None => "Nothing was heard for too long".to_owned(),
            }),
            () = node.stopping().cancelled(), if leave_at.is_none() => {
                let spread = u64::try_from(node.spread().as_millis()).unwrap_or(u64::MAX);
                leave_at = Some(Instant::now() + Duration::from_millis(rand::random_range(0..=spread)));
                Ok(())
            }
        };
        if let Err(why) = done {
            let _ = connection.send(&[format!("ERROR :{why}")]).await;
            let _ = timeout(node.config().write_stall, connection.write.shutdown()).await;
            return;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Connection<S> {
    async fn came(&mut self, came: Came) -> Result<(), String> {
        let actions = match came {
            Came::Line(line) => match Line::parse(&line) {
                Some(line) => self.session.take(&line),
                None => return Ok(()),
            },
            Came::TooLong => self.session.too_long(),
            Came::NoText => vec![self.session.notice("That was no UTF-8")],
        };
        self.act(actions).await
    }

    /// What a room has to say.
    async fn tell(&mut self, news: News) -> Result<(), String> {
        let actions = match news {
            News::Joined { channel, rules, names } => self.session.joined(&channel, &rules, &names),
            News::KeptOut { channel, why } => {
                self.rooms.remove(&channel);
                self.session.kept_out(&channel, &why)
            }
            // What was on the way when the room was left.
            News::Said { channel, .. } | News::Refused { channel, .. } | News::Held { channel }
                if !self.rooms.contains_key(&channel) =>
            {
                Vec::new()
            }
            News::Said { channel, message, own } => self.session.message(&channel, &message, own),
            News::Refused { channel, refusal } => {
                self.session.refused(&channel, refusal.code.name(), &refusal.detail)
            }
            News::Held { channel } => self.session.held(&channel, HELD),
            News::Over(why) => return Err(why),
        };
        self.act(actions).await
    }

    async fn act(&mut self, actions: Vec<Action>) -> Result<(), String> {
        let mut lines = Vec::new();
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Tell(line) => lines.push(line),
                Action::Close(why) => {
                    self.send(&lines).await?;
                    return Err(why);
                }
                Action::Admit(password) => actions.extend(self.admit(password).await),
                Action::Join(channel) => self.join(channel),
                Action::Part(channel) => {
                    self.rooms.remove(&channel);
                    actions.extend(self.session.parted(&channel));
                }
                Action::Say { channel, text, reply_to } => {
                    let room = self.rooms.get(&channel);
                    if room.is_none_or(|room| room.says.try_send((text, reply_to)).is_err()) {
                        let why = "Too much waits to be said: wait a moment, and say it again";
                        actions.extend(self.session.refused(&channel, "rate_limited", why));
                    }
                }
            }
        }
        self.send(&lines).await
    }

    /// Finds out who that is.
    async fn admit(&mut self, password: Option<String>) -> Vec<Action> {
        let mut headers = HeaderMap::new();
        if let Some(password) = password {
            let token = password.strip_prefix(PREFIX).unwrap_or(&password);
            let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) else {
                return self.session.turned_away("The password is no API token");
            };
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        if self.node.stopping().is_cancelled() {
            return self.session.turned_away("The server restarts: connect again");
        }
        match self.node.records().visit(&headers, self.peer).await {
            Ok(visit) => {
                let name = visit.chatter.as_ref().map(|chatter| chatter.name.clone());
                self.who = Some((visit.address, visit.chatter));
                self.session.admitted(name)
            }
            Err(problem) => self.session.turned_away(problem.detail()),
        }
    }

    fn join(&mut self, channel: ChannelName) {
        let Some((address, chatter)) = self.who.clone() else { return };
        if self.rooms.contains_key(&channel) || self.rooms.len() >= session::ROOMS_MAX {
            return;
        }
        let (says, to_say) = mpsc::channel(SAYS);
        let room = Attending { node: self.node.clone(), channel: channel.clone(), news: self.news.clone() };
        let task = tokio::spawn(room.attend(chatter, address, to_say));
        self.rooms.insert(channel, Attended { says, _task: AbortOnDropHandle::new(task) });
    }

    async fn send(&mut self, lines: &[String]) -> Result<(), String> {
        if lines.is_empty() {
            return Ok(());
        }
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
        match timeout(self.node.config().write_stall, self.write.write_all(text.as_bytes())).await {
            Ok(Ok(())) => Ok(()),
            _ => {
                metrics::counter!("millrace_chat_slow_total").increment(1);
                Err("Too slow".to_owned())
            }
        }
    }
}

/// What rooms send that a client of IRC is told.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Heard {
    Messages {
        messages: Vec<ChatMessage>,
    },
    #[serde(other)]
    Else,
}

/// Of a welcome.
#[derive(Deserialize)]
struct Welcomed {
    room: Rules,
    chatters: Names,
}

#[derive(Deserialize)]
struct Rules {
    rules: String,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<ChannelName>,
}

/// Somebody's stay in a room.
struct Attending {
    node: Node,
    channel: ChannelName,
    news: mpsc::Sender<News>,
}

impl Attending {
    async fn attend(
        self,
        chatter: Option<Chatter>,
        address: IpAddr,
        to_say: mpsc::Receiver<(String, Option<MessageId>)>,
    ) {
        let last = self.stay(chatter, address, to_say).await;
        let _ = self.news.send(last).await;
    }

    /// Until it is over; why.
    async fn stay(
        &self,
        chatter: Option<Chatter>,
        address: IpAddr,
        mut to_say: mpsc::Receiver<(String, Option<MessageId>)>,
    ) -> News {
        let kept_out = |why: &str| News::KeptOut { channel: self.channel.clone(), why: why.to_owned() };
        let mut seat = match self.node.enter(&self.channel, chatter, address).await {
            Ok(seat) => seat,
            Err(refused) => return kept_out(reason(refused)),
        };
        let welcome =
            seat.welcome(None).and_then(|welcome| serde_json::from_str::<Welcomed>(&welcome.text).ok());
        let Some(Welcomed { room, chatters }) = welcome else { return kept_out(reason(NoEntry::Away)) };
        let channel = self.channel.clone();
        let joined = News::Joined { channel, rules: room.rules, names: chatters.names };
        if self.news.send(joined).await.is_err() {
            return kept_out("");
        }
        let mut speaker = seat.speaker();
        let mut saying: Option<Saying> = None;
        let mut own: VecDeque<String> = VecDeque::new();
        loop {
            let quiet = saying.is_none();
            let said = async {
                match saying.as_mut() {
                    Some(saying) => saying.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                (_, result, back) = said => {
                    saying = None;
                    speaker = Some(back);
                    let channel = self.channel.clone();
                    match result {
                        Ok(Said::Now(_)) => {}
                        Ok(Said::Held(_)) => self.tell(News::Held { channel }).await,
                        Err(refusal) => self.tell(News::Refused { channel, refusal }).await,
                    }
                }
                frame = seat.frames.recv() => match frame {
                    Ok(Frame::Text(text)) => {
                        let Ok(Heard::Messages { messages }) = serde_json::from_str(&text) else { continue };
                        for message in messages {
                            let ours = message.nonce.as_ref().is_some_and(|nonce| own.contains(nonce));
                            let message = Box::new(message);
                            self.tell(News::Said { channel: self.channel.clone(), message, own: ours }).await;
                        }
                    }
                    // Only what was said here: programs of the person elsewhere are told there.
                    Ok(Frame::Refused(user, Some(nonce), refusal))
                        if seat.is_person(user) && own.contains(&nonce) =>
                    {
                        let refusal = refusal.as_ref().clone();
                        self.tell(News::Refused { channel: self.channel.clone(), refusal }).await;
                    }
                    Ok(Frame::Standing(_) | Frame::Moderators(_) | Frame::Refused(..)) => {}
                    Ok(Frame::Admission) => {
                        if let Err(refused) = self.node.look_again(&seat).await {
                            return kept_out(reason(refused));
                        }
                    }
                    Ok(Frame::Ended(ended)) if seat.is_of(ended) => {
                        return News::Over("The account's session ended".to_owned());
                    }
                    Ok(Frame::Ended(_)) => {}
                    Err(RecvError::Lagged(_)) => {
                        metrics::counter!("millrace_chat_slow_total").increment(1);
                        return News::Over("Too slow".to_owned());
                    }
                    Err(RecvError::Closed) => return kept_out(reason(NoEntry::Away)),
                },
                // One thing after the other is said.
                Some((text, reply_to)) = to_say.recv(), if quiet => match speaker.take() {
                    Some(speaks) => {
                        let nonce = Uuid::now_v7().simple().to_string();
                        own.push_back(nonce.clone());
                        if own.len() > OWN {
                            own.pop_front();
                        }
                        saying = Some(say(self.node.clone(), speaks, Draft { nonce, text, reply_to }));
                    }
                    None => {
                        let refusal = Refusal::new(crate::protocol::Code::NotSignedIn, "You read only: connect with an API token as the password.");
                        self.tell(News::Refused { channel: self.channel.clone(), refusal }).await;
                    }
                },
            }
        }
    }

    async fn tell(&self, news: News) {
        // The connection is gone: this task is, too, in a moment.
        let _ = self.news.send(news).await;
    }
}

fn reason(refused: NoEntry) -> &'static str {
    match refused {
        NoEntry::NoSuchChannel => "No such channel",
        NoEntry::Forbidden => "You may not read here",
        NoEntry::TooMany => "You are here too often at once",
        NoEntry::Away => "The room is not available right now: join again in a moment",
    }
}
