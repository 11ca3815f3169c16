//! Still pictures of live broadcasts: thumbnails, storyboards, and whether the picture is black or stands still.
//!
//! A broadcast's task offers a keyframe every interval ([`StillsService::offer`]) and goes on; one process of the transcoder
//! makes pictures of them, one after the other ([`service`]); the origin hands out what there is ([`BroadcastStills`]).

mod picture;
mod queue;
mod service;
mod storyboard;
mod strikes;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use millrace_core::event::StreamWarning;
use millrace_core::ids::{BroadcastId, ChannelName};
use millrace_core::transcode::{Still, StillFormat, StillSize};

use super::config::TranscodeConfig;
use crate::origin::StoryboardView;
use picture::Picture;
pub use service::StillsService;
use storyboard::Board;
pub(crate) use storyboard::Storyboard;
use strikes::Strikes;

/// The squares in pixels that thumbnails fit into; pictures of 16:9 are so wide.
const EDGES: [u16; 3] = [320, 640, 1280];
/// The square that `thumb.jpg` fits into.
const USUAL_EDGE: u16 = 640;
/// The square that a tile of a storyboard fits into.
const TILE_EDGE: u16 = 160;
const JPEG_QUALITY: u8 = 80;
const WEBP_QUALITY: u8 = 75;

/// Which thumbnail: `thumb.jpg`, `thumb.webp`, `thumb-320.jpg` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ThumbName {
    edge: u16,
    /// JPEG or WebP.
    pub(crate) format: StillFormat,
}

impl ThumbName {
    /// Reads a file name; `None` for what is none of ours.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let (name, extension) = file.split_once('.')?;
        let format = match extension {
            "jpg" => StillFormat::Jpeg,
            "webp" => StillFormat::Webp,
            _ => return None,
        };
        let edge = match name.strip_prefix("thumb")? {
            "" => USUAL_EDGE,
            size => {
                EDGES.into_iter().find(|edge| size.strip_prefix('-') == Some(edge.to_string().as_str()))?
            }
        };
        Some(Self { edge, format })
    }

    /// Every one there is.
    fn all() -> impl Iterator<Item = Self> {
        EDGES
            .into_iter()
            .flat_map(|edge| [StillFormat::Jpeg, StillFormat::Webp].map(|format| Self { edge, format }))
    }

    fn size(self) -> StillSize {
        let quality = if self.format == StillFormat::Webp { WEBP_QUALITY } else { JPEG_QUALITY };
        StillSize { format: self.format, within: (self.edge, self.edge), quality }
    }
}

impl std::fmt::Display for ThumbName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let extension = if self.format == StillFormat::Webp { "webp" } else { "jpg" };
        write!(f, "thumb-{}.{extension}", self.edge)
    }
}

/// The thumbnails of one moment.
#[derive(Debug)]
pub(crate) struct Thumbs {
    /// Another moment has a greater one.
    pub(crate) version: u64,
    files: Vec<(ThumbName, Bytes)>,
}

impl Thumbs {
    /// The file of this name.
    pub(crate) fn file(&self, name: ThumbName) -> Option<Bytes> {
        self.files.iter().find(|(known, _)| *known == name).map(|(_, file)| file.clone())
    }
}

/// What is asked of a keyframe: thumbnails, and a tile if there is a storyboard.
fn sizes(tile: bool) -> Vec<StillSize> {
    let tile =
        tile.then_some(StillSize { format: StillFormat::Rgb, within: (TILE_EDGE, TILE_EDGE), quality: 100 });
    ThumbName::all().map(ThumbName::size).chain(tile).collect()
}

/// The still pictures of one broadcast. The service writes them, the origin and the broadcast's task read.
#[derive(Debug)]
pub struct BroadcastStills {
    channel: ChannelName,
    broadcast: BroadcastId,
    prefix: Arc<str>,
    began: Instant,
    interval: Duration,
    over: AtomicBool,
    thumbs: ArcSwapOption<Thumbs>,
    storyboard: ArcSwap<StoryboardView>,
    making: Mutex<Making>,
}

/// What the service needs to know from one keyframe to the next.
#[derive(Debug)]
struct Making {
    picture: Picture,
    board: Option<Board>,
    strikes: Strikes,
}

impl BroadcastStills {
    fn new(
        channel: ChannelName,
        broadcast: BroadcastId,
        prefix: Arc<str>,
        config: &TranscodeConfig,
        began: Instant,
    ) -> Self {
        let interval = config.thumbnail_interval;
        let board = (!config.storyboard.is_zero()).then(|| Board::new(interval, config.storyboard));
        let making = Making { picture: Picture::default(), board, strikes: Strikes::default() };
        Self {
            channel,
            broadcast,
            prefix,
            began,
            interval,
            over: AtomicBool::new(false),
            thumbs: ArcSwapOption::empty(),
            storyboard: ArcSwap::default(),
            making: Mutex::new(making),
        }
    }

    /// The newest thumbnails.
    pub(crate) fn thumbs(&self) -> Option<Arc<Thumbs>> {
        self.thumbs.load_full()
    }

    /// The storyboard so far.
    pub(crate) fn storyboard(&self) -> Arc<StoryboardView> {
        self.storyboard.load_full()
    }

    /// Whether there is a storyboard yet.
    pub(crate) fn has_storyboard(&self) -> bool {
        self.storyboard.load().model().version() > 0
    }

    /// How often what is here is renewed.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// What the streamer should know of the picture.
    pub(crate) fn warning(&self, now: Instant) -> Option<StreamWarning> {
        self.making().picture.warning(now, self.interval)
    }

    /// Another publisher: what the picture of the one before was like is forgotten.
    pub(crate) fn publisher_joined(&self) {
        self.making().picture = Picture::default();
    }

    /// The broadcast is over: nothing more is made.
    pub(crate) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Nothing that holds it can panic half-way.
    fn making(&self) -> MutexGuard<'_, Making> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the storyboard as it is now.
    fn show_storyboard(&self, making: &Making) {
        if let Some(board) = &making.board {
            self.storyboard.store(Arc::new(StoryboardView::new(board.shown().clone())));
        }
    }

    /// Shows the thumbnails of `stills`, which came as [`sizes`] asks for them. Answers the tile, if one is among them.
    fn show(&self, version: u64, stills: Vec<Still>) -> Option<Still> {
        let (mut files, mut tile) = (Vec::new(), None);
        let mut names = ThumbName::all();
        for still in stills {
            match still.format {
                StillFormat::Rgb => tile = Some(still),
                _ => files.extend(names.next().map(|name| (name, still.data))),
            }
        }
        self.thumbs.store(Some(Arc::new(Thumbs { version, files })));
        tile
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A broadcast with this prefix.
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    pub(crate) fn broadcast(prefix: &str) -> Arc<BroadcastStills> {
        let id = BroadcastId(uuid::Uuid::from_u128(1));
        let config = TranscodeConfig::default();
        let channel = "studio".parse().unwrap();
        Arc::new(BroadcastStills::new(channel, id, prefix.into(), &config, Instant::now()))
    }

    /// Shows thumbnails that are their own names.
    pub(crate) fn show(stills: &BroadcastStills, version: u64) {
        let still = |name: ThumbName| Still {
            format: name.format,
            size: (name.edge, name.edge),
            data: name.to_string().into_bytes().into(),
        };
        assert!(stills.show(version, ThumbName::all().map(still).collect()).is_none());
    }

    /// Adds so many tiles to the storyboard.
    pub(crate) fn draw(stills: &BroadcastStills, tiles: u32) {
        let mut making = stills.making();
        storyboard::tests::run(making.board.as_mut().unwrap(), 0, tiles, (160, 90));
        stills.show_storyboard(&making);
    }

    #[test]
    fn thumbnails_have_names_and_nothing_else_has() {
        let name = |file| ThumbName::parse(file).map(|name| name.to_string());
        for (file, wanted) in [
            ("thumb.jpg", "thumb-640.jpg"),
            ("thumb.webp", "thumb-640.webp"),
            ("thumb-320.jpg", "thumb-320.jpg"),
            ("thumb-1280.webp", "thumb-1280.webp"),
        ] {
            assert_eq!(name(file).as_deref(), Some(wanted));
        }
        for file in [
            "thumb",
            "thumb.png",
            "thumb-641.jpg",
            "thumb-0320.jpg",
            "thumb-.jpg",
            "thumb320.jpg",
            "x.jpg",
            "",
        ] {
            assert_eq!(name(file), None, "{file}");
        }
    }

    #[test]
    fn what_comes_back_is_shown_under_the_names_that_were_asked_for() {
        let stills = broadcast("r4nd0m");
        assert!(stills.thumbs().is_none());
        show(&stills, 7);
        let thumbs = stills.thumbs().unwrap();
        for name in ThumbName::all() {
            assert_eq!(thumbs.file(name).unwrap(), name.to_string());
        }
        assert_eq!(sizes(true).len(), 7);
        assert_eq!(sizes(true)[6].format, StillFormat::Rgb);
    }
}
