//! Small pictures of a whole broadcast, many in one file, and the index that says which is of when. Sans-IO.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_core::transcode::{Still, StillFormat};

/// Tiles in a row of a sprite, and rows.
pub(super) const COLUMNS: u16 = 5;
const TILES: usize = COLUMNS as usize * 5;

/// One file of tiles. Its name is its number: another set of tiles has another number.
#[derive(Debug)]
pub(crate) struct Sprite {
    number: u64,
    tile: (u16, u16),
    /// When each tile was shown, since the broadcast began.
    times: Vec<Duration>,
    jpeg: Bytes,
    webp: Bytes,
}

/// A sprite that is to be made.
#[derive(Debug)]
pub(super) struct SpriteOrder {
    pub(super) tiles: Vec<Bytes>,
    pub(super) tile: (u16, u16),
    times: Vec<Duration>,
    /// Whether it takes the place of the newest one, which has fewer tiles.
    replaces: bool,
}

/// The storyboard of a broadcast as it can be fetched: never changed, replaced by the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct Storyboard {
    sprites: VecDeque<Arc<Sprite>>,
    /// The newest that was replaced: indexes that name it are still in caches.
    replaced: Option<Arc<Sprite>>,
    next_number: u64,
    interval: Duration,
}

impl Storyboard {
    /// The sprite with this number.
    pub(crate) fn sprite(&self, number: u64, format: StillFormat) -> Option<Bytes> {
        let sprite = self.sprites.iter().chain(&self.replaced).find(|sprite| sprite.number == number)?;
        Some(if format == StillFormat::Webp { sprite.webp.clone() } else { sprite.jpeg.clone() })
    }

    /// The index as WebVTT, with sprites in this format. Names are relative to the index and begin with `prefix`.
    pub(crate) fn index(&self, prefix: &str, format: StillFormat) -> String {
        let extension = if format == StillFormat::Webp { "webp" } else { "jpg" };
        let mut text = "WEBVTT\n".to_owned();
        let mut cues = self
            .sprites
            .iter()
            .flat_map(|sprite| sprite.times.iter().zip(0u16..).map(move |cue| (sprite, cue)));
        let mut next = cues.next();
        while let Some((sprite, (start, place))) = next {
            next = cues.next();
            let end = next.map_or(*start + self.interval, |(_, (start, _))| *start);
            let (width, height) = sprite.tile;
            let (x, y) = (place % COLUMNS * width, place / COLUMNS * height);
            let (start, end, number) = (Clock(*start), Clock(end), sprite.number);
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "\n{start} --> {end}\nstoryboard/{prefix}-b{number}.{extension}#xywh={x},{y},{width},{height}\n"
            );
        }
        text
    }

    /// How many sprites there have been: each has changed the index.
    pub(crate) fn version(&self) -> u64 {
        self.next_number
    }
}

/// `00:01:02.345`
struct Clock(Duration);

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        write!(f, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// Makes a storyboard, tile by tile.
#[derive(Debug)]
pub(super) struct Board {
    shown: Storyboard,
    /// Tiles that are kept at most.
    keep: usize,
    tile: (u16, u16),
    /// Of the sprite that is not full yet, in raw RGB.
    open: Vec<(Duration, Bytes)>,
    /// Of them, those that a sprite has already.
    drawn: usize,
}

impl Board {
    /// One that has a tile every `interval` and keeps `keep` of them.
    pub(super) fn new(interval: Duration, keep: Duration) -> Self {
        let keep = usize::try_from(keep.as_millis() / interval.as_millis().max(1)).unwrap_or(usize::MAX);
        let shown = Storyboard { interval, ..Storyboard::default() };
        Self { shown, keep, tile: (0, 0), open: Vec::new(), drawn: 0 }
    }

    /// What there is.
    pub(super) fn shown(&self) -> &Storyboard {
        &self.shown
    }

    /// Takes the tile of this moment of the broadcast, in raw RGB; answers the sprite that is to be made now. A row is waited
    /// for: the index is up to five intervals behind.
    pub(super) fn add(&mut self, at: Duration, tile: Still) -> Option<SpriteOrder> {
        let Still { format: StillFormat::Rgb, size, data } = tile else { return None };
        if data.len() != usize::from(size.0) * usize::from(size.1) * 3 || data.is_empty() {
            return None;
        }
        // Tiles of one file are of one size: one that differs begins another, and the last ones of the old size go out.
        let left = if size == self.tile { None } else { self.order() };
        if size != self.tile {
            self.begin();
            self.tile = size;
        }
        self.open.push((at, data));
        let whole_row = self.open.len().is_multiple_of(usize::from(COLUMNS));
        left.or_else(|| whole_row.then(|| self.order()).flatten())
    }

    fn order(&mut self) -> Option<SpriteOrder> {
        if self.open.len() == self.drawn {
            return None;
        }
        let order = SpriteOrder {
            tiles: self.open.iter().map(|(_, tile)| tile.clone()).collect(),
            tile: self.tile,
            times: self.open.iter().map(|(at, _)| *at).collect(),
            replaces: self.drawn > 0,
        };
        self.drawn = self.open.len();
        if self.open.len() >= TILES {
            self.begin();
        }
        Some(order)
    }

    fn begin(&mut self) {
        self.open = Vec::new();
        self.drawn = 0;
    }

    /// Takes a sprite that was made.
    pub(super) fn draw(&mut self, order: SpriteOrder, stills: Vec<Still>) {
        let of = |format| stills.iter().find(|still| still.format == format).map(|still| still.data.clone());
        let (Some(jpeg), Some(webp)) = (of(StillFormat::Jpeg), of(StillFormat::Webp)) else { return };
        let SpriteOrder { tile, times, replaces, .. } = order;
        let shown = &mut self.shown;
        // One that was not made has left no place to take.
        if replaces && let Some(last) = shown.sprites.pop_back_if(|last| last.times.first() == times.first())
        {
            shown.replaced = Some(last);
        }
        let number = shown.next_number;
        shown.next_number += 1;
        shown.sprites.push_back(Arc::new(Sprite { number, tile, times, jpeg, webp }));
        let mut tiles: usize = shown.sprites.iter().map(|sprite| sprite.times.len()).sum();
        while tiles > self.keep
            && let Some(oldest) = shown.sprites.pop_front()
        {
            tiles -= oldest.times.len();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn tile(size: (u16, u16)) -> Still {
        let bytes = usize::from(size.0) * usize::from(size.1) * 3;
        Still { format: StillFormat::Rgb, size, data: vec![0; bytes].into() }
    }

    fn files(order: &SpriteOrder) -> Vec<Still> {
        let still = |format, name: &str| Still {
            format,
            size: (0, 0),
            data: format!("{name} of {}", order.tiles.len()).into_bytes().into(),
        };
        vec![still(StillFormat::Jpeg, "jpeg"), still(StillFormat::Webp, "webp")]
    }

    /// Adds `count` tiles, every interval one, from tile number `first` on; answers how many tiles each sprite had.
    pub(in super::super) fn run(board: &mut Board, first: u32, count: u32, size: (u16, u16)) -> Vec<usize> {
        let mut made = Vec::new();
        for number in first..first + count {
            if let Some(order) = board.add(INTERVAL * number, tile(size)) {
                made.push(order.tiles.len());
                let files = files(&order);
                board.draw(order, files);
            }
        }
        made
    }

    #[test]
    fn a_sprite_grows_by_rows_and_then_the_next_begins() {
        let mut board = Board::new(INTERVAL, Duration::from_secs(6 * 3600));
        assert_eq!(run(&mut board, 0, 4, (160, 90)), [0; 0]);
        assert_eq!(board.shown().index("r4nd0m", StillFormat::Jpeg), "WEBVTT\n");
        assert_eq!(run(&mut board, 4, 29, (160, 90)), [5, 10, 15, 20, 25, 5]);
        let shown = board.shown();
        assert_eq!(shown.sprites.iter().map(|sprite| sprite.number).collect::<Vec<_>>(), [4, 5]);
        let index = shown.index("r4nd0m", StillFormat::Webp);
        assert!(index.starts_with(
            "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\nstoryboard/r4nd0m-b4.webp#xywh=0,0,160,90\n\n00:00:10.000"
        ));
        assert!(
            index.contains("00:04:00.000 --> 00:04:10.000\nstoryboard/r4nd0m-b4.webp#xywh=640,360,160,90\n")
        );
        assert!(
            index.ends_with("00:04:50.000 --> 00:05:00.000\nstoryboard/r4nd0m-b5.webp#xywh=640,0,160,90\n")
        );
        // What an index of a moment ago names can still be fetched.
        assert_eq!(shown.sprite(3, StillFormat::Jpeg).unwrap(), "jpeg of 20");
        assert_eq!(shown.sprite(4, StillFormat::Webp).unwrap(), "webp of 25");
        assert_eq!(shown.sprite(2, StillFormat::Jpeg), None);
    }

    #[test]
    fn tiles_of_another_size_have_another_sprite() {
        let mut board = Board::new(INTERVAL, Duration::from_secs(6 * 3600));
        assert_eq!(run(&mut board, 0, 7, (160, 90)), [5]);
        // The two that were left go out, and the first row of the new size when it is whole.
        assert_eq!(run(&mut board, 7, 5, (90, 160)), [7, 5]);
        assert_eq!(board.shown().sprites.len(), 2);
        assert!(board.shown().index("p", StillFormat::Jpeg).contains("#xywh=90,0,90,160"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut board = Board::new(INTERVAL, Duration::from_secs(1000));
        run(&mut board, 0, 1000, (160, 90));
        assert_eq!(board.shown().sprites.len(), 4);
        assert!(board.shown().index("p", StillFormat::Jpeg).contains("\n02:30:00.000 --> "));
    }

    #[test]
    fn a_sprite_that_is_not_made_and_a_tile_that_is_none_cost_only_themselves() {
        let mut board = Board::new(INTERVAL, Duration::from_secs(6 * 3600));
        for number in 0..5 {
            let order = board.add(INTERVAL * number, tile((160, 90)));
            assert_eq!(order.is_some(), number == 4);
        }
        assert_eq!(run(&mut board, 5, 5, (160, 90)), [10]);
        assert_eq!(board.shown().sprites.len(), 1);
        let short = Still { data: Bytes::from_static(b"rgb"), ..tile((160, 90)) };
        assert!(board.add(INTERVAL * 10, short).is_none());
        let other = Still { format: StillFormat::Jpeg, ..tile((160, 90)) };
        assert!(board.add(INTERVAL * 10, other).is_none());
        assert_eq!(board.open.len(), 10);
    }
}
