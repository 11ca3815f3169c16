//! Thumbnails and storyboards: `/live/{channel}/thumb.jpg`, `/live/{channel}/storyboard.vtt`, and the sprites that its cues
//! name, `/live/{channel}/storyboard/{prefix}-b{number}.jpg`.

use axum::http::HeaderValue;
use millrace_core::transcode::StillFormat;

use super::answer::{self, Refusal, Wish};
use super::metrics::Kind;
use super::peer::Want;
use super::view::Rendered;
use super::{Answer, Made, Origin, Target};
use crate::transcode::stills::ThumbName;

/// Where a rendition's name stands in the addresses of media.
pub(super) const SPRITES: &str = "storyboard";
/// Longest name we could have made.
const MAX_BYTES: usize = 64;

/// What stands directly below a channel, beside its multivariant playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StillName {
    /// A thumbnail.
    Thumb(ThumbName),
    /// The storyboard, with sprites of this format.
    Storyboard(StillFormat),
}

impl StillName {
    /// Reads a file name, and of the query the format of a storyboard: JPEG unless WebP is asked for.
    pub(super) fn parse(file: &str, query: Option<&str>) -> Option<Self> {
        if file != "storyboard.vtt" {
            return ThumbName::parse(file).map(Self::Thumb);
        }
        let webp = query.is_some_and(|query| query.split('&').any(|pair| pair == "format=webp"));
        Some(Self::Storyboard(if webp { StillFormat::Webp } else { StillFormat::Jpeg }))
    }

    /// What it is sent as.
    pub(super) fn content_type(self) -> HeaderValue {
        match self {
            Self::Thumb(name) => content_type(name.format),
            Self::Storyboard(_) => answer::VTT,
        }
    }
}

/// The one spelling of its address below the channel.
impl std::fmt::Display for StillName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Thumb(name) => name.fmt(f),
            Self::Storyboard(StillFormat::Webp) => f.write_str("storyboard.vtt?format=webp"),
            Self::Storyboard(_) => f.write_str("storyboard.vtt"),
        }
    }
}

/// A sprite: `{prefix}-b{number}.jpg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpriteName<'a> {
    /// The broadcast's prefix.
    pub(super) prefix: &'a str,
    number: u64,
    format: StillFormat,
}

impl<'a> SpriteName<'a> {
    /// Reads a name; `None` for everything else.
    pub(super) fn parse(file: &'a str) -> Option<Self> {
        if file.len() > MAX_BYTES {
            return None;
        }
        let (name, extension) = file.split_once('.')?;
        let format = match extension {
            "jpg" => StillFormat::Jpeg,
            "webp" => StillFormat::Webp,
            _ => return None,
        };
        let (prefix, digits) = name.split_once("-b")?;
        // One spelling per number: caches count spellings.
        let canonical =
            digits == "0" || !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| canonical)?;
        prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(Self { prefix, number, format })
    }

    /// What it is sent as.
    pub(super) fn content_type(self) -> HeaderValue {
        content_type(self.format)
    }
}

fn content_type(format: StillFormat) -> HeaderValue {
    HeaderValue::from_static(if format == StillFormat::Webp { "image/webp" } else { "image/jpeg" })
}

impl Origin {
    pub(super) async fn still(&self, target: &Target<'_>, name: StillName, wish: &Wish<'_>) -> Answer<Made> {
        if let Some(answer) = self.ask_owner(target, Want::Still(name), wish).await {
            return answer;
        }
        let opened = self.channel(target)?;
        let channel = &opened.channel;
        // A thumbnail is of what is live; a storyboard is as good after the end.
        let shown = if matches!(name, StillName::Thumb(_)) { channel.live() } else { channel.shown() };
        let broadcast = shown.ok_or_else(|| Refusal::NotLive(opened.name.clone()))?;
        let none = || Refusal::NoStill(opened.name.clone());
        let stills = broadcast.stills().ok_or_else(none)?;
        let cache = HeaderValue::try_from(format!("public, max-age={}", stills.interval().as_secs()));
        let cache = cache.expect("digits are visible ASCII");
        let (prefix, bytes) = (broadcast.prefix(), self.0.metrics.bytes(Kind::Still));
        match name {
            StillName::Thumb(thumb) => {
                let thumbs = stills.thumbs().ok_or_else(none)?;
                let body = thumbs.file(thumb).ok_or_else(none)?;
                let etag = HeaderValue::try_from(format!("\"{prefix}-{}-{thumb}\"", thumbs.version));
                let file = Rendered { body, etag: etag.expect("prefixes and names are visible ASCII") };
                Ok(opened.finish(answer::still(wish, &file, cache, name.content_type(), bytes)))
            }
            StillName::Storyboard(format) => {
                if !stills.has_storyboard() {
                    return Err(none());
                }
                let (storyboard, gzip) = (stills.storyboard(), wish.gzip());
                let index = storyboard.index(prefix, format, gzip);
                Ok(opened.finish(answer::text(wish, index, gzip, cache, name.content_type(), bytes)))
            }
        }
    }

    pub(super) async fn sprite(
        &self,
        target: &Target<'_>,
        name: SpriteName<'_>,
        wish: &Wish<'_>,
    ) -> Answer<Made> {
        if let Some(answer) = self.ask_owner(target, Want::Sprite(name), wish).await {
            return answer;
        }
        let opened = self.channel(target).map_err(|refusal| match refusal {
            Refusal::NotLive(_) => Refusal::Gone,
            refusal => refusal,
        })?;
        let broadcast = opened.channel.with_prefix(name.prefix).ok_or(Refusal::Gone)?;
        let sprite = broadcast
            .stills()
            .and_then(|stills| stills.storyboard().model().sprite(name.number, name.format));
        let chunks = vec![sprite.ok_or(Refusal::Gone)?];
        let bytes = self.0.metrics.bytes(Kind::Still);
        answer::media(wish, target.file, chunks, name.content_type(), bytes)
            .map(|response| opened.finish(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_a_channel_has_one_spelling() {
        let name = |file, query| StillName::parse(file, query).map(|name| name.to_string());
        assert_eq!(name("thumb.jpg", Some("v=7")).unwrap(), "thumb-640.jpg");
        assert_eq!(name("storyboard.vtt", None).unwrap(), "storyboard.vtt");
        assert_eq!(name("storyboard.vtt", Some("format=jpg")).unwrap(), "storyboard.vtt");
        assert_eq!(name("storyboard.vtt", Some("a=1&format=webp")).unwrap(), "storyboard.vtt?format=webp");
        assert_eq!(name("storyboard.txt", None), None);
    }

    #[test]
    fn sprites_have_names_and_nothing_else_has() {
        let sprite = SpriteName::parse("r4nd0m-b17.webp").unwrap();
        assert_eq!((sprite.prefix, sprite.number, sprite.format), ("r4nd0m", 17, StillFormat::Webp));
        assert!(SpriteName::parse("r4nd0m-b0.jpg").is_some());
        for file in [
            "r4nd0m-b01.jpg",
            "r4nd0m-b+1.jpg",
            "r4nd0m-b.jpg",
            "r4nd0m-s1.jpg",
            "r4nd0m-b1.png",
            "../x-b1.jpg",
            "",
        ] {
            assert_eq!(SpriteName::parse(file), None, "{file}");
        }
    }
}
