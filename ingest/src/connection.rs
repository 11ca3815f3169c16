//! One task per socket: reads, feeds the [`Session`], carries out what it wants, sleeps until its timeout.
#![expect(clippy::disallowed_methods, reason = "shell: clock, identifiers, timers")]

use std::future::{pending, poll_fn, ready};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use millrace_core::feed::{BroadcastSink, FeedItem, FeedSender, PublisherInfo};
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::ids::{BroadcastId, ChannelName, ConnectionId};
use millrace_core::places::Place;
use millrace_core::trace::{Cause, Span, SpanKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::authority::{Authorising, PublishAttempt, PublishAuthority, PublishGrant, PublishRefusal};
use crate::broadcasts::{CONTROL_QUEUE, Control, Link, ToBroadcasts};
use crate::hold::Hold;
use crate::media_threads::{MediaThread, Seat};
use crate::pace::Pace;
use crate::publish::{Command, Reason};
use crate::rtmp::command::Status;
use crate::rtmp::session::{
    Disconnect, Event, Input, Output, PublishRequest, RequestId, Session, SessionConfig,
};
use crate::telemetry::{Counted, Telemetry};

/// Read buffer before a publish: a connection that only waits costs little.
const SMALL_READ: usize = 4 << 10;
/// Read buffer of a publisher.
const LARGE_READ: usize = 64 << 10;
/// How long a peer may take nothing of what we write.
const WRITE_STALL: Duration = Duration::from_secs(10);
/// How long we go on reading after the last word, so that the peer reads it before its own writes fail.
const LINGER: Duration = Duration::from_secs(2);

/// What a connection needs of the server.
pub(crate) struct Context {
    pub(crate) id: ConnectionId,
    pub(crate) peer: SocketAddr,
    /// When the peer was accepted; its handshake time began then.
    pub(crate) accepted: Instant,
    pub(crate) session: SessionConfig,
    pub(crate) authority: Arc<dyn PublishAuthority>,
    pub(crate) broadcasts: mpsc::Sender<ToBroadcasts>,
    /// Knows what can be packaged.
    pub(crate) sink: Arc<dyn BroadcastSink>,
    pub(crate) telemetry: Telemetry,
    pub(crate) shutdown: CancellationToken,
    /// Its place among those of its address that do not publish yet.
    pub(crate) place: Place,
    /// The thread it runs on.
    pub(crate) media: MediaThread,
}

/// How far the publish of this connection is.
enum Publish {
    Idle,
    /// The authority thinks.
    Asking {
        id: RequestId,
        answer: Authorising<'static>,
    },
    /// The channel is asked for.
    Registering {
        id: RequestId,
        channel: ChannelName,
    },
    /// Accepted; nothing to start with yet. `ready`: there is, and the feed was asked for.
    Opening {
        hold: Hold,
        ready: bool,
    },
    Feeding {
        feed: FeedSender,
        pace: Pace,
        channel: ChannelName,
        broadcast: BroadcastId,
        _live: (Counted, Seat),
    },
}

/// What happened while waiting.
enum Woken {
    Read(std::io::Result<usize>),
    /// All that had come is read.
    Drained,
    /// The socket was left alone for long enough.
    Rested,
    Control(Control),
    Answer(Result<PublishGrant, PublishRefusal>),
    Timeout,
    Shutdown,
}

struct Connection<S> {
    stream: S,
    context: Context,
    session: Session,
    control: mpsc::Receiver<Control>,
    control_sender: mpsc::Sender<Control>,
    publish: Publish,
    encoder: Option<String>,
    /// What a publish here is called in logs and events.
    cause: Cause,
    /// From the question whether it may publish until it leaves the channel.
    span: Span,
    out: Vec<u8>,
    /// When the newest bytes were read.
    arrived: Instant,
    closing: Option<Disconnect>,
    /// Why the registry wants it closed, for counting.
    reason: Option<&'static str>,
}

/// Lets the other tasks of this thread have their turn, the packager that was just fed among them; unlike
/// `tokio::task::yield_now` without a look at the sockets.
async fn step_aside() {
    let mut aside = false;
    poll_fn(|cx| {
        if aside {
            return Poll::Ready(());
        }
        aside = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Serves one peer to its end.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, context: Context) {
    let (control_sender, control) = mpsc::channel(CONTROL_QUEUE);
    let session = Session::new(context.accepted, context.session);
    let arrived = context.accepted;
    let mut connection = Connection {
        stream,
        context,
        session,
        control,
        control_sender,
        publish: Publish::Idle,
        encoder: None,
        cause: Cause::default(),
        span: Span::none(),
        out: Vec::new(),
        arrived,
        closing: None,
        reason: None,
    };
    let failure = connection.run().await.err();
    connection.leave(false).await;
    connection.say_goodbye(failure).await;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; SMALL_READ];
        let mut shut = false;
        let token = self.context.shutdown.clone();
        let mut shutdown = pin!(token.cancelled());
        let mut armed = self.session.poll_timeout();
        let mut sleep = Box::pin(sleep_until(armed.unwrap_or(self.arrived).into()));
        let mut rest = Box::pin(sleep_until(self.arrived.into()));
        let (mut draining, mut resting) = (false, false);
        loop {
            self.drain().await;
            if self.closing.is_some() {
                return Ok(());
            }
            self.flush().await?;
            if buffer.len() < LARGE_READ && self.session.is_publishing() {
                buffer = vec![0; LARGE_READ];
            }
            // A deadline that moves back with every read is only looked at when the old one is reached.
            let due = self.session.poll_timeout();
            if due < armed
                && let Some(at) = due
            {
                armed = due;
                sleep.as_mut().reset(at.into());
            }
            let waits_for_feed = matches!(self.publish, Publish::Opening { ready: true, .. });
            let woken = tokio::select! {
                biased;
                Some(control) = self.control.recv() => Woken::Control(control),
                answer = async {
                    match &mut self.publish {
                        Publish::Asking { answer, .. } => answer.await,
                        _ => pending().await,
                    }
                } => Woken::Answer(answer),
                () = &mut shutdown, if !shut => Woken::Shutdown,
                read = self.stream.read(&mut buffer), if !resting && !self.session.is_paused() && !waits_for_feed => {
                    Woken::Read(read)
                }
                () = ready(()), if draining => Woken::Drained,
                () = &mut rest, if resting => Woken::Rested,
                () = &mut sleep => Woken::Timeout,
            };
            match woken {
                Woken::Read(read) => {
                    let bytes = read?;
                    if bytes == 0 {
                        return Ok(());
                    }
                    self.arrived = Instant::now();
                    self.context.telemetry.bytes.increment(bytes as u64);
                    self.session.handle_input(self.arrived, &buffer[..bytes]);
                    draining = true;
                }
                Woken::Drained => {
                    draining = false;
                    if let Some(until) = self.rest().await {
                        resting = true;
                        MediaThread::rests(until);
                        rest.as_mut().reset(until.into());
                    }
                }
                Woken::Rested => resting = false,
                Woken::Control(control) => self.handle_control(control).await,
                Woken::Answer(answer) => self.handle_answer(answer).await,
                Woken::Timeout => {
                    self.session.handle_timeout(Instant::now());
                    armed = self.session.poll_timeout();
                    if let Some(at) = armed {
                        sleep.as_mut().reset(at.into());
                    }
                }
                Woken::Shutdown => {
                    shut = true;
                    // Who has a channel hears from the registry.
                    if matches!(self.publish, Publish::Idle | Publish::Asking { .. }) {
                        let sentence = Reason::Stopping.to_string();
                        let status = Status::StreamFailed;
                        self.session.handle_command(Instant::now(), Input::Close { status, sentence });
                    }
                }
            }
        }
    }

    /// Until when the socket may be left alone, if it may: the packager of its broadcast says what it waits for.
    async fn rest(&mut self) -> Option<Instant> {
        let Publish::Feeding { feed, pace, .. } = &self.publish else { return None };
        let beat = self.context.media.beat();
        if beat.most.is_zero() {
            return None;
        }
        step_aside().await;
        pace.rest(self.arrived, feed.wanted()?, beat)
    }

    /// Carries out everything the session wants.
    async fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => self.out.extend_from_slice(&bytes),
                Output::Event(Event::Tag(tag)) => self.handle_tag(tag).await,
                Output::Event(Event::PublishRequested { id, request }) => self.ask(id, request),
                Output::Event(Event::Encoder(encoder)) => self.encoder = Some(encoder),
                Output::Event(Event::DataSkipped(err)) => {
                    debug!(connection.id = %self.context.id, %err, "left out a data message");
                }
                Output::Event(Event::Unpublished) => self.leave(true).await,
                Output::Disconnect(reason) => self.closing = Some(reason),
            }
        }
    }

    fn ask(&mut self, id: RequestId, request: PublishRequest) {
        let PublishRequest { app, key, query, encoder } = request;
        self.encoder = encoder;
        self.span = Span::begin(SpanKind::Server, "publish", None);
        self.cause = Cause { correlation: Some(uuid::Uuid::now_v7()), trace: self.span.place() };
        let session = self.cause.correlation.map(|id| id.to_string());
        self.span.set("session.id", session.unwrap_or_default());
        let attempt = PublishAttempt { app, key, query, peer: self.context.peer };
        let authority = Arc::clone(&self.context.authority);
        let asking = Span::within(SpanKind::Internal, "authorise", self.span.place());
        let answer = Box::pin(self.cause.scope(async move {
            let answer = authority.authorise(attempt).await;
            drop(asking);
            answer
        }));
        self.publish = Publish::Asking { id, answer };
    }

    async fn handle_answer(&mut self, answer: Result<PublishGrant, PublishRefusal>) {
        let Publish::Asking { id, .. } = std::mem::replace(&mut self.publish, Publish::Idle) else { return };
        match answer {
            Ok(grant) => {
                self.publish = Publish::Registering { id, channel: grant.channel.clone() };
                self.span.set("stream.id", grant.channel.as_str().to_owned());
                let link = Link {
                    control: self.control_sender.clone(),
                    runtime: self.context.media.runtime.clone(),
                    cause: self.cause,
                };
                let ask = ToBroadcasts::Publish { connection: self.context.id, grant, link };
                if self.context.broadcasts.send(ask).await.is_err() {
                    self.publish = Publish::Idle;
                    self.refuse(id, Reason::Stopping.to_string(), "stopping");
                }
            }
            Err(PublishRefusal { reason, sentence }) => self.refuse(id, sentence, reason),
        }
    }

    fn refuse(&mut self, id: RequestId, sentence: String, reason: &'static str) {
        self.reason = Some(reason);
        self.span.fail(reason);
        self.span = Span::none();
        self.session.handle_command(Instant::now(), Input::Refuse { id, sentence });
    }

    async fn handle_control(&mut self, control: Control) {
        let now = Instant::now();
        match (control, std::mem::replace(&mut self.publish, Publish::Idle)) {
            (Control::Accept { challenger }, Publish::Registering { id, channel }) => {
                self.context.place.give_up();
                self.span.event("accepted");
                info!(
                    connection.id = %self.context.id, peer.addr = %self.context.peer, stream.id = %channel,
                    session.id = self.cause.correlation.map(tracing::field::display),
                    encoder = self.encoder.as_deref().unwrap_or_default(),
                    "publisher of channel {channel} connected"
                );
                self.publish = Publish::Opening { hold: Hold::new(now, challenger), ready: false };
                self.session.handle_command(now, Input::Accept(id));
            }
            (Control::Deny(reason), Publish::Registering { id, .. }) => {
                self.refuse(id, reason.to_string(), reason.label());
            }
            (Control::Grant { feed, channel, broadcast }, Publish::Opening { hold, .. }) => {
                let live = (Counted::new(&self.context.telemetry.publishers), self.context.media.publisher());
                self.span.event("feed granted");
                self.span.set("broadcast.id", broadcast.to_string());
                let info = PublisherInfo {
                    connection: self.context.id,
                    encoder: self.encoder.clone(),
                    cause: self.cause,
                };
                let pace = Pace::default();
                self.publish = Publish::Feeding { feed, pace, channel, broadcast, _live: live };
                self.send(FeedItem::PublisherJoined(info)).await;
                for (tag, arrived) in hold.into_tags() {
                    self.send(FeedItem::Tag { tag, arrived }).await;
                }
            }
            (Control::Evict(reason), publish) => {
                self.publish = publish;
                self.evict(&reason).await;
            }
            // The publish ended while the order was under way.
            (_, publish) => self.publish = publish,
        }
    }

    /// Leaves the feed first, so that nobody waits for this peer to take the news.
    async fn evict(&mut self, reason: &Reason) {
        self.span.event_because("evicted", reason.label());
        self.leave(false).await;
        let status = match reason {
            Reason::Unpackageable(_) | Reason::KeyRevoked => Status::PublishDenied,
            Reason::TakenOver { .. } | Reason::Stopped { .. } => Status::PublishRejected,
            _ => Status::StreamFailed,
        };
        self.reason = Some(reason.label());
        let sentence = reason.to_string();
        self.session.handle_command(Instant::now(), Input::Close { status, sentence });
    }

    async fn handle_tag(&mut self, tag: FlvTag) {
        let starts = match &mut self.publish {
            Publish::Feeding { pace, .. } => {
                if tag.kind != TagKind::Script && !tag.is_sequence_header() {
                    pace.tag_came(self.arrived, tag.timestamp, tag.body.len());
                }
                return self.send(FeedItem::Tag { tag, arrived: self.arrived }).await;
            }
            Publish::Opening { ready: true, hold } => return hold.push_ready(tag, self.arrived),
            Publish::Opening { hold, ready } => {
                if let Err(sentence) = self.context.sink.check(&tag) {
                    return self.evict(&Reason::Unpackageable(sentence)).await;
                }
                *ready = hold.push(tag, self.arrived);
                *ready
            }
            // The rest of what was read before an eviction.
            _ => false,
        };
        if starts {
            let command = Command::Ready {
                connection: self.context.id,
                encoder: self.encoder.clone(),
                fresh: BroadcastId(uuid::Uuid::now_v7()),
            };
            self.tell(command).await;
        }
    }

    /// Feeds one item, unless the feed is taken away meanwhile.
    async fn send(&mut self, item: FeedItem) {
        let Publish::Feeding { feed, broadcast, .. } = &self.publish else { return };
        let broadcast = *broadcast;
        let control = tokio::select! {
            biased;
            sent = feed.send(item) => match sent {
                Ok(()) => return,
                Err(_) => None,
            },
            control = self.control.recv() => control,
        };
        match control {
            Some(Control::Evict(reason)) => self.evict(&reason).await,
            Some(_) => {}
            None => {
                // The registry evicts whoever feeds a broadcast without a packager.
                self.tell(Command::PackagerGone { broadcast }).await;
                if let Some(Control::Evict(reason)) = self.control.recv().await {
                    self.evict(&reason).await;
                }
            }
        }
    }

    /// Gives up the channel, if there is one. What was fed before is complete.
    async fn leave(&mut self, clean: bool) {
        let connection = self.context.id;
        let mut span = std::mem::take(&mut self.span);
        match std::mem::replace(&mut self.publish, Publish::Idle) {
            Publish::Idle | Publish::Asking { .. } => return,
            Publish::Feeding { feed, channel, .. } => {
                // A packager that is gone needs no goodbye.
                let _ = feed.send(FeedItem::PublisherLeft).await;
                span.event_because("left", if clean { "unpublished" } else { "gone" });
                info!(
                    connection.id = %connection, stream.id = %channel, clean,
                    "publisher of channel {channel} left"
                );
            }
            Publish::Registering { .. } | Publish::Opening { .. } => {}
        }
        self.tell(if clean { Command::Unpublish { connection } } else { Command::Lost { connection } }).await;
    }

    async fn tell(&mut self, command: Command) {
        // The task is gone only when the server stops, and then nobody has to know.
        let _ = self.context.broadcasts.send(ToBroadcasts::Command(command)).await;
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        timeout(WRITE_STALL, write).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
        self.out.clear();
        Ok(())
    }

    /// Sends the last words, closes our half, and reads on for a moment: closing a socket with unread input resets
    /// it, and the peer would lose the words.
    async fn say_goodbye(&mut self, failure: Option<std::io::Error>) {
        let (id, peer) = (self.context.id, self.context.peer);
        let Some(reason) = self.closing.take() else {
            match failure {
                Some(err) => debug!(connection.id = %id, peer.addr = %peer, %err, "connection broke"),
                None => debug!(connection.id = %id, peer.addr = %peer, "peer closed the connection"),
            }
            return;
        };
        let label = self.reason.unwrap_or(reason.label());
        self.context.telemetry.refused(label);
        let cause = std::error::Error::source(&reason).map(ToString::to_string).unwrap_or_default();
        if matches!(reason, Disconnect::Handshake(_) | Disconnect::HandshakeTimeout { .. }) {
            // Scanners, mostly.
            debug!(connection.id = %id, peer.addr = %peer, reason = label, cause, "turned away: {reason}");
        } else {
            warn!(connection.id = %id, peer.addr = %peer, reason = label, cause, "closed connection: {reason}");
        }
        if self.flush().await.is_err() {
            return;
        }
        let goodbye = async {
            self.stream.shutdown().await?;
            let mut scrap = vec![0; SMALL_READ];
            while self.stream.read(&mut scrap).await? > 0 {}
            std::io::Result::Ok(())
        };
        // Whether the peer hangs up or not, this is the end.
        let _ = timeout(LINGER, goodbye).await;
    }
}
