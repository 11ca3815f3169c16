//! Shell: many viewers of broadcasts that this process publishes itself, with one clock for both.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::fragment;
use crate::http::{Answer, Http};
use crate::playlist::LiveEnd;
use crate::proc::cpu_seconds;
use crate::publisher::{Sent, publish};
use crate::summary;
use crate::tape::Tape;

/// Viewers settle for this long before anything counts.
const SETTLE: Duration = Duration::from_secs(3);
/// Time between two looks at a broadcast that has just begun.
const POLL: Duration = Duration::from_millis(100);
/// Publishers begin within this of each other, so that their parts do not fall together.
const SPREAD: Duration = Duration::from_secs(2);
/// Bytes of a picture's end that tell it from others.
const TAIL: usize = 64;
/// Pictures among which a part's last one is looked for.
const RECENT: usize = 100;

/// What viewers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Ask for the hinted part, which blocks; then for the next.
    Hints,
    /// Ask for the next playlist, which blocks; then for the part.
    Reloads,
    /// Ask for whole segments when they are complete, spread over a segment's duration.
    Segments,
}

/// Where, what, how many, how long.
pub(crate) struct Plan {
    pub(crate) http: SocketAddr,
    pub(crate) rtmp: SocketAddr,
    pub(crate) pid: u32,
    pub(crate) mode: Mode,
    pub(crate) streams: usize,
    pub(crate) viewers: usize,
    pub(crate) seconds: u64,
}

/// A first byte that a viewer had waited for.
struct Seen {
    channel: usize,
    part: u64,
    asked: Instant,
    first_byte: Instant,
}

/// What a kind of answer came to while it counted.
#[derive(Default)]
struct Tally {
    answers: u64,
    bytes: u64,
    seen: Vec<Seen>,
}

struct Channel {
    index: usize,
    name: String,
    http: SocketAddr,
    tape: Rc<Tape>,
    sent: Rc<RefCell<Sent>>,
    /// The last picture of each part, as its leader found it.
    last_picture: RefCell<HashMap<u64, usize>>,
}

#[derive(Default)]
struct Shared {
    counting: Cell<bool>,
    media: RefCell<Tally>,
    reloads: RefCell<Tally>,
}

impl Shared {
    fn count(&self, tally: &RefCell<Tally>, answer: &Answer, channel: usize, part: u64, asked: Instant) {
        if self.counting.get() {
            let mut tally = tally.borrow_mut();
            tally.answers += 1;
            tally.bytes += answer.length as u64;
            tally.seen.push(Seen { channel, part, asked, first_byte: answer.first_byte });
        }
    }
}

impl Channel {
    fn path(&self, file: &str) -> String {
        format!("/live/{}/main/{file}", self.name)
    }

    async fn live_end(&self, connection: &mut Http) -> anyhow::Result<Option<LiveEnd>> {
        let answer = connection.get(&self.path("index.m3u8"), true).await?;
        Ok((answer.status == 200).then(|| LiveEnd::read(&String::from_utf8_lossy(&answer.body))).flatten())
    }

    /// Waits until players can join.
    async fn joinable(&self) -> anyhow::Result<()> {
        let mut connection = Http::connect(self.http).await?;
        while self.live_end(&mut connection).await?.is_none() {
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Finds out which picture that was sent a part ends with: the newest with the same end.
    fn note(&self, part: u64, body: &[u8]) -> anyhow::Result<()> {
        let got = &body[fragment::last_picture(body).context("a part without pictures")?];
        let tail = &got[got.len().saturating_sub(TAIL)..];
        let sent = self.sent.borrow().pictures.len();
        let last = (sent.saturating_sub(RECENT)..sent).rev().find(|n| self.tape.picture(*n).ends_with(tail));
        let last = last.with_context(|| format!("part {part} ends with no picture that was sent"))?;
        self.last_picture.borrow_mut().insert(part, last);
        Ok(())
    }
}

/// Publishes, watches, and says what it saw.
pub(crate) async fn run(tape: Tape, plan: Plan) -> anyhow::Result<Value> {
    let (tape, shared) = (Rc::new(tape), Rc::new(Shared::default()));
    let mut tasks = JoinSet::new();
    let begin = tokio::time::Instant::now();
    let mut channels = Vec::new();
    for index in 0..plan.streams {
        let channel = Rc::new(Channel {
            index,
            name: format!("load_{index}"),
            http: plan.http,
            tape: Rc::clone(&tape),
            sent: Rc::default(),
            last_picture: RefCell::default(),
        });
        let start = begin + SPREAD.mul_f64(golden(index));
        let publishing =
            publish(plan.rtmp, channel.name.clone(), Rc::clone(&tape), start, Rc::clone(&channel.sent));
        tasks.spawn_local(publishing);
        channels.push(channel);
    }
    for channel in &channels {
        channel.joinable().await?;
    }
    for viewer in 0..plan.viewers {
        let (channel, shared) = (Rc::clone(&channels[viewer % plan.streams]), Rc::clone(&shared));
        let leads = viewer < plan.streams;
        match plan.mode {
            Mode::Hints => tasks.spawn_local(follow(channel, shared, leads, false)),
            Mode::Reloads => tasks.spawn_local(follow(channel, shared, leads, true)),
            Mode::Segments if leads => {
                // The leader only says when a segment is complete; it is no viewer itself.
                let (complete, told) = watch::channel(0);
                for nth in (viewer..plan.viewers).step_by(plan.streams) {
                    let (channel, shared, told) = (Rc::clone(&channel), Rc::clone(&shared), told.clone());
                    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
                    let place = nth as f64 / plan.viewers as f64;
                    tasks.spawn_local(fetch_segments(channel, shared, told, place));
                }
                tasks.spawn_local(lead_segments(channel, complete))
            }
            Mode::Segments => continue,
        };
    }
    failing(&mut tasks, SETTLE).await?;
    let cpu = |of: &str| cpu_seconds(of);
    let (server, client, since) = (cpu(&plan.pid.to_string())?, cpu("self")?, Instant::now());
    shared.counting.set(true);
    failing(&mut tasks, Duration::from_secs(plan.seconds)).await?;
    shared.counting.set(false);
    let elapsed = since.elapsed().as_secs_f64();
    let (server, client) = (cpu(&plan.pid.to_string())? - server, cpu("self")? - client);
    let late = channels.iter().flat_map(|channel| channel.sent.borrow().late.clone()).collect();
    Ok(json!({
        "seconds": elapsed,
        "server_cpu_seconds": server,
        "client_cpu_seconds": client,
        "publisher_late_ms": summary::millis(late),
        "media": report(&shared.media.borrow(), &channels),
        "reloads": report(&shared.reloads.borrow(), &channels),
    }))
}

/// Lets everything run; fails with the first that fails.
async fn failing(tasks: &mut JoinSet<anyhow::Result<()>>, length: Duration) -> anyhow::Result<()> {
    tokio::select! {
        () = sleep(length) => Ok(()),
        Some(ended) = tasks.join_next() => match ended? {
            Ok(()) => bail!("a publisher or a viewer ended"),
            Err(error) => Err(error),
        },
    }
}

/// Points of the unit interval that lie as evenly as they can for every count, without a common period.
#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn golden(index: usize) -> f64 {
    (index as f64 * 0.618_033_988_749_894_9).fract()
}

/// A viewer near the live edge, part by part: blocked on each part itself, or on the playlist that lists it.
async fn follow(channel: Rc<Channel>, shared: Rc<Shared>, leads: bool, reloads: bool) -> anyhow::Result<()> {
    let mut connection = Http::connect(channel.http).await?;
    let mut end = channel.live_end(&mut connection).await?.context("the playlist went away")?;
    loop {
        if reloads {
            let query = format!("index.m3u8?_HLS_msn={}&_HLS_part={}&_HLS_skip=YES", end.msn, end.index);
            let asked = Instant::now();
            let answer = connection.get(&channel.path(&query), leads).await?;
            ensure!(answer.status == 200, "{} for {query}", answer.status);
            if leads {
                let now = LiveEnd::read(&String::from_utf8_lossy(&answer.body)).context("no playlist")?;
                ensure!(now.part > end.part, "the reload does not list part {}", end.part);
            }
            shared.count(&shared.reloads, &answer, channel.index, end.part, asked);
        }
        let asked = Instant::now();
        let answer = connection.get(&channel.path(&end.part_name()), leads).await?;
        ensure!(answer.status == 200, "{} for part {}", answer.status, end.part);
        if leads {
            channel.note(end.part, &answer.body)?;
        }
        shared.count(&shared.media, &answer, channel.index, end.part, asked);
        end.advance();
    }
}

/// Tells the viewers of whole segments which one is complete.
async fn lead_segments(channel: Rc<Channel>, complete: watch::Sender<u64>) -> anyhow::Result<()> {
    let mut connection = Http::connect(channel.http).await?;
    let mut msn = channel.live_end(&mut connection).await?.context("the playlist went away")?.msn;
    loop {
        let answer = connection.get(&channel.path(&format!("index.m3u8?_HLS_msn={msn}")), false).await?;
        ensure!(answer.status == 200, "{} for segment {msn}", answer.status);
        complete.send_replace(msn);
        msn += 1;
    }
}

/// A viewer of whole segments that asks for each at its own `place` (0 to 1) in the next one's duration.
async fn fetch_segments(
    channel: Rc<Channel>,
    shared: Rc<Shared>,
    mut complete: watch::Receiver<u64>,
    place: f64,
) -> anyhow::Result<()> {
    let mut connection = Http::connect(channel.http).await?;
    let end = channel.live_end(&mut connection).await?.context("the playlist went away")?;
    let mut before = tokio::time::Instant::now();
    let mut length = Duration::ZERO;
    loop {
        complete.changed().await?;
        let now = tokio::time::Instant::now();
        // The last segment's duration, as far as one can know: most of it, so that no segment is missed.
        length = if length.is_zero() { Duration::from_millis(1) } else { now - before };
        before = now;
        let msn = *complete.borrow_and_update();
        tokio::time::sleep_until(now + length.mul_f64(place * 0.9)).await;
        let asked = Instant::now();
        let answer = connection.get(&channel.path(&end.segment_name(msn)), false).await?;
        ensure!(answer.status == 200, "{} for segment {msn}", answer.status);
        shared.count(&shared.media, &answer, channel.index, msn, asked);
    }
}

/// Latencies of what was waited for: from the write of the part's last picture to the answer's first byte.
fn report(tally: &Tally, channels: &[Rc<Channel>]) -> Value {
    let mut latencies = Vec::new();
    let mut waited = 0usize;
    for seen in &tally.seen {
        let channel = &channels[seen.channel];
        let written = channel.last_picture.borrow().get(&seen.part).and_then(|last| {
            let sent = channel.sent.borrow();
            sent.pictures.get(*last).copied()
        });
        if let Some(written) = written {
            waited += usize::from(seen.asked < written);
            latencies.push(seen.first_byte.saturating_duration_since(written));
        }
    }
    json!({
        "answers": tally.answers,
        "bytes": tally.bytes,
        "mean_bytes": tally.bytes.checked_div(tally.answers),
        "asked_before": waited,
        "latency_ms": summary::millis(latencies),
    })
}
