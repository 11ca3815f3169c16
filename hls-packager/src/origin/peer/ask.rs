//! What is asked of another node, and how long its answer is kept. Sans-IO.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use millrace_core::ids::{BroadcastId, ChannelName};
use millrace_core::nodes::Owner;

use super::super::catalog::Channel;
use super::super::metrics::Kind;
use super::super::name::MediaName;
use super::super::stills::{SPRITES, SpriteName, StillName};
use super::super::{Target, answer};
use crate::playlist::Directives;

/// Longest name of a rendition.
const RENDITION_MAX_BYTES: usize = 32;
/// How long media is kept: players that are not at the live edge are some seconds behind those that are.
pub(super) const MEDIA_KEPT: Duration = Duration::from_secs(30);
/// How long a playlist is kept that lists what was asked for: for viewers whose way is longer than that of others. What
/// was rendered then is true for ever, but later there is a newer one.
pub(super) const PLAYLIST_KEPT: Duration = Duration::from_millis(100);

/// How long a thumbnail is kept: there is another one every few seconds.
pub(super) const THUMB_KEPT: Duration = Duration::from_secs(1);

/// What a viewer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Want<'a> {
    /// The channel's multivariant playlist.
    Multivariant,
    /// A rendition's playlist, with these directives in the query.
    Playlist(&'a str),
    /// An init segment, a part or a segment.
    Media(MediaName<'a>, Kind),
    /// A thumbnail or a storyboard.
    Still(StillName),
    /// Pictures of a storyboard.
    Sprite(SpriteName<'a>),
}

/// Of which kind an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// A playlist, or a storyboard.
    Text,
    /// What has a name that is never used again.
    Media,
    /// A picture that is replaced by newer ones.
    Thumb,
}

impl Want<'_> {
    /// What metrics call it.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Multivariant => Kind::Multivariant,
            Self::Playlist(_) => Kind::Playlist,
            Self::Media(_, kind) => kind,
            Self::Still(_) | Self::Sprite(_) => Kind::Still,
        }
    }

    fn shape(self) -> Shape {
        match self {
            Self::Multivariant | Self::Playlist(_) | Self::Still(StillName::Storyboard(_)) => Shape::Text,
            Self::Media(..) | Self::Sprite(_) => Shape::Media,
            Self::Still(StillName::Thumb(_)) => Shape::Thumb,
        }
    }

    /// Whether it has a name that is never used again.
    pub(super) fn is_media(self) -> bool {
        self.shape() == Shape::Media
    }

    /// What it is sent as.
    pub(super) fn content_type(self) -> HeaderValue {
        match self {
            Self::Multivariant | Self::Playlist(_) => answer::PLAYLIST,
            Self::Media(_, Kind::Init) => answer::MP4,
            Self::Media(..) => answer::SEGMENT,
            Self::Still(name) => name.content_type(),
            Self::Sprite(name) => name.content_type(),
        }
    }

    /// Whether the other node's broadcast is to answer, and not what is here: it has what is not here, or it is newer
    /// than what is here, which then is over.
    pub(super) fn is_elsewhere(self, here: Option<&Channel>, owner: &Owner) -> bool {
        let Some(here) = here else { return true };
        match self {
            Self::Multivariant | Self::Playlist(_) | Self::Still(_) => {
                here.shown().is_none_or(|shown| shown.id() < owner.stream.broadcast)
            }
            Self::Media(MediaName { prefix, .. }, _) | Self::Sprite(SpriteName { prefix, .. }) => {
                here.with_prefix(prefix).is_none()
            }
        }
    }

    /// Whether it can be had after the broadcast ended, and is not here.
    pub(super) fn outlives(self, here: Option<&Channel>) -> bool {
        match self {
            Self::Multivariant | Self::Still(StillName::Thumb(_)) => false,
            Self::Playlist(_) | Self::Still(StillName::Storyboard(_)) => {
                here.is_none_or(|here| here.shown().is_none())
            }
            Self::Media(MediaName { prefix, .. }, _) | Self::Sprite(SpriteName { prefix, .. }) => {
                here.is_none_or(|here| here.with_prefix(prefix).is_none())
            }
        }
    }
}

/// One request to another node. Equal ones have equal answers, so one serves everybody who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    /// Whose.
    pub(super) channel: ChannelName,
    /// Of which broadcast.
    pub(super) broadcast: BroadcastId,
    /// Where its node is reached.
    pub(super) url: Arc<str>,
    /// Path and query, without a token: one spelling for each piece.
    pub(super) path: String,
    /// Whether the gzip form will do.
    pub(super) gzip: bool,
    /// What the answer will be.
    pub(super) shape: Shape,
}

impl Ask {
    /// What to ask `owner` for `target`; `None` if no node can have that.
    pub(super) fn new(
        owner: &Owner,
        target: &Target<'_>,
        want: Want<'_>,
        directives: Directives,
        gzip: bool,
    ) -> Option<Self> {
        let channel = owner.stream.channel.clone();
        let path = match want {
            Want::Multivariant => format!("/live/{channel}/index.m3u8"),
            Want::Playlist(_) => {
                format!("/live/{channel}/{}/index.m3u8{}", plain(target.rendition)?, Query(directives))
            }
            Want::Media(name, _) => {
                // Names are `{prefix}-{letter}{number}.{extension}`: the rest has one spelling already.
                let plain_prefix = name.prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let file = Some(target.file).filter(|_| plain_prefix)?;
                format!("/live/{channel}/{}/{file}", plain(target.rendition)?)
            }
            Want::Still(name) => format!("/live/{channel}/{name}"),
            // Its name has one spelling already.
            Want::Sprite(_) => format!("/live/{channel}/{SPRITES}/{}", target.file),
        };
        let shape = want.shape();
        Some(Self {
            channel,
            broadcast: owner.stream.broadcast,
            url: Arc::clone(&owner.url),
            path,
            gzip: gzip && shape == Shape::Text,
            shape,
        })
    }

    /// Whether it goes to this owner, about this broadcast.
    pub(super) fn is_of(&self, owner: &Owner) -> bool {
        self.broadcast == owner.stream.broadcast && self.url == owner.url
    }
}

/// A name of a rendition, as it may stand in a path.
fn plain(rendition: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let good = (1..=RENDITION_MAX_BYTES).contains(&rendition.len()) && rendition.bytes().all(allowed);
    good.then_some(rendition)
}

/// Directives as a query, with its question mark; nothing else of the viewer's query goes on.
struct Query(Directives);

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Directives { msn, part, skip } = self.0;
        let mut mark = '?';
        let mut pair = |name: &str, value: &dyn std::fmt::Display| {
            let mark = std::mem::replace(&mut mark, '&');
            f.write_char(mark)?;
            write!(f, "{name}={value}")
        };
        if let Some(msn) = msn {
            pair("_HLS_msn", &msn)?;
        }
        if let Some(part) = part {
            pair("_HLS_part", &part)?;
        }
        if skip {
            pair("_HLS_skip", &"YES")?;
        }
        Ok(())
    }
}

/// How long an answer may be given to others who ask for the same: while it is fresh (RFC 9111 §4.2), and no longer than
/// we care. Zero: only to those who wait for it already.
pub(super) fn kept(shape: Shape, status: StatusCode, cache_control: Option<&HeaderValue>) -> Duration {
    // What is absent may be there in a moment: the next part, the playlist of a broadcast that begins.
    let longest = match (status, shape) {
        (StatusCode::OK, Shape::Media) => MEDIA_KEPT,
        (StatusCode::OK, Shape::Text) => PLAYLIST_KEPT,
        (StatusCode::OK, Shape::Thumb) => THUMB_KEPT,
        _ => Duration::ZERO,
    };
    freshness(cache_control).min(longest)
}

/// `max-age`, if nothing forbids to keep the answer (RFC 9111 §5.2.2).
fn freshness(cache_control: Option<&HeaderValue>) -> Duration {
    let text = cache_control.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut max_age = None;
    for directive in text.split(',').map(str::trim) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" | "private" => return Duration::ZERO,
            // Given twice, the first counts; one that is no number is stale (RFC 9111 §4.2.1).
            "max-age" if max_age.is_none() => max_age = Some(value.trim_matches('"').parse().unwrap_or(0)),
            _ => {}
        }
    }
    Duration::from_secs(max_age.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::super::catalog::{Broadcast, Catalog};
    use super::*;
    use crate::window::tests::Studio;
    use millrace_core::event::LeasedStream;
    use millrace_core::playback::Access;

    fn id(number: u128) -> BroadcastId {
        BroadcastId(uuid::Uuid::from_u128(number))
    }

    fn owner(broadcast: u128) -> Owner {
        Owner {
            node: "two:80".parse().unwrap(),
            url: "http://two:80".into(),
            stream: LeasedStream {
                channel: "studio".parse().unwrap(),
                broadcast: id(broadcast),
                started_at: jiff::Timestamp::UNIX_EPOCH,
                access: Access::Open,
                interrupted_until: None,
                encoder: None,
                held_ms: 0,
                next_msn: 0,
                keyframe_interval: None,
            },
            held_until: None,
        }
    }

    /// A channel that has packaged broadcast 5 here.
    fn channel(live: bool) -> Channel {
        let mut studio = Studio::new();
        studio.parts(1);
        let name = "studio".parse().unwrap();
        let broadcast = Arc::new(Broadcast::new(id(5), "r4nd0m".into(), &studio.window).unwrap());
        let catalog = Catalog::default();
        catalog.announce(&name, Access::Open);
        catalog.go_live(&name, &broadcast);
        if !live {
            catalog.end(&name, &broadcast);
        }
        catalog.channel(&name).unwrap()
    }

    #[test]
    fn a_request_goes_to_the_newest_broadcast_and_media_to_where_it_is() {
        let media = |file| Want::Media(MediaName::parse(file).unwrap(), Kind::Part);
        let (mine, other) = (media("r4nd0m-p1.m4s"), media("0ther-p1.m4s"));
        let thumb = Want::Still(StillName::parse("thumb.jpg", None).unwrap());
        let storyboard = Want::Still(StillName::parse("storyboard.vtt", None).unwrap());
        let sprite = |file| Want::Sprite(SpriteName::parse(file).unwrap());
        let table = [
            // what, live here, broadcast elsewhere, goes there
            (Want::Multivariant, None, 4, true),
            (Want::Multivariant, Some(true), 4, false),
            (Want::Multivariant, Some(true), 5, false),
            (Want::Multivariant, Some(true), 6, true),
            (Want::Multivariant, Some(false), 4, false),
            (Want::Multivariant, Some(false), 6, true),
            (Want::Playlist(""), None, 4, true),
            (Want::Playlist(""), Some(true), 4, false),
            (Want::Playlist(""), Some(true), 6, true),
            (Want::Playlist(""), Some(false), 4, false),
            (Want::Playlist(""), Some(false), 6, true),
            (mine, None, 4, true),
            (mine, Some(true), 6, false),
            (mine, Some(false), 6, false),
            (other, None, 6, true),
            (other, Some(true), 4, true),
            (other, Some(false), 4, true),
            (thumb, None, 4, true),
            (thumb, Some(true), 4, false),
            (thumb, Some(false), 6, true),
            (sprite("r4nd0m-b1.jpg"), Some(true), 6, false),
            (sprite("0ther-b1.jpg"), Some(true), 4, true),
        ];
        for (want, here, elsewhere, there) in table {
            let here = here.map(channel);
            assert_eq!(
                want.is_elsewhere(here.as_ref(), &owner(elsewhere)),
                there,
                "{want:?} {here:?} {elsewhere}"
            );
        }
        for (want, wanted) in [
            (Want::Multivariant, [false; 3]),
            (Want::Playlist(""), [true, false, false]),
            (mine, [true, false, false]),
            (other, [true; 3]),
            (thumb, [false; 3]),
            (storyboard, [true, false, false]),
            (sprite("r4nd0m-b1.jpg"), [true, false, false]),
        ] {
            let outlives =
                [None, Some(true), Some(false)].map(|here| want.outlives(here.map(channel).as_ref()));
            assert_eq!(outlives, wanted, "{want:?}");
        }
        // A broadcast that is announced here and shows nothing yet hides nobody.
        let catalog = Catalog::default();
        catalog.announce(&"studio".parse().unwrap(), Access::Open);
        let announced = catalog.channel(&"studio".parse().unwrap());
        assert!(Want::Multivariant.is_elsewhere(announced.as_ref(), &owner(4)));
    }

    fn path(rendition: &str, want: Want<'_>, file: &str) -> Option<String> {
        let target = Target { token: Some("secret"), channel: "studio", rendition, file };
        let query = if let Want::Playlist(query) = want { query } else { "" };
        let directives = Directives::parse(query).unwrap();
        Ask::new(&owner(1), &target, want, directives, true).map(|ask| ask.path)
    }

    #[test]
    fn a_piece_has_one_spelling_without_the_token() {
        let playlist = |query| path("main", Want::Playlist(query), "index.m3u8").unwrap();
        assert_eq!(path("", Want::Multivariant, "").unwrap(), "/live/studio/index.m3u8");
        assert_eq!(playlist(""), "/live/studio/main/index.m3u8");
        assert_eq!(playlist("v=1&_HLS_skip=v2"), "/live/studio/main/index.m3u8?_HLS_skip=YES");
        for query in [
            "_HLS_msn=7&_HLS_part=2&_HLS_skip=YES",
            "_HLS_skip=YES&_HLS_part=2&x=a%20b&_HLS_msn=007",
            "_HLS_%6dsn=7&_HLS_part=2&_HLS_skip=%59ES&_HLS_report=1",
        ] {
            let wanted = "/live/studio/main/index.m3u8?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES";
            assert_eq!(playlist(query), wanted, "{query}");
        }
        let media = |file| path("audio", Want::Media(MediaName::parse(file).unwrap(), Kind::Part), file);
        assert_eq!(media("r4nd0m-p7.m4s").unwrap(), "/live/studio/audio/r4nd0m-p7.m4s");
        let still =
            |file, query| path("", Want::Still(StillName::parse(file, query).unwrap()), file).unwrap();
        assert_eq!(still("thumb.jpg", Some("v=1795233660")), "/live/studio/thumb-640.jpg");
        assert_eq!(
            still("storyboard.vtt", Some("format=webp&x=1")),
            "/live/studio/storyboard.vtt?format=webp"
        );
        let sprite = |file| path(SPRITES, Want::Sprite(SpriteName::parse(file).unwrap()), file);
        assert_eq!(sprite("r4nd0m-b7.jpg").unwrap(), "/live/studio/storyboard/r4nd0m-b7.jpg");
    }

    #[test]
    fn names_that_are_no_names_go_nowhere() {
        for rendition in ["", "..", "a/b", "a?b", "a#b", "a b", "a\r\nb", "MAIN", "é", &"x".repeat(33)] {
            assert_eq!(path(rendition, Want::Playlist(""), "index.m3u8"), None, "{rendition}");
        }
        for file in ["../x-p1.m4s", "a?-p1.m4s", "a b-p1.m4s", "é-p1.m4s", "a%2f-p1.m4s", "a\r\n-p1.m4s"] {
            let Some(name) = MediaName::parse(file) else { continue };
            assert_eq!(path("main", Want::Media(name, Kind::Part), file), None, "{file}");
        }
    }

    #[test]
    fn only_playlists_are_asked_for_in_gzip() {
        let target = Target { token: None, channel: "studio", rendition: "main", file: "r4nd0m-p7.m4s" };
        let ask = |want, gzip| Ask::new(&owner(1), &target, want, Directives::default(), gzip).unwrap().gzip;
        let media = Want::Media(MediaName::parse("r4nd0m-p7.m4s").unwrap(), Kind::Part);
        assert!(ask(Want::Multivariant, true) && ask(Want::Playlist(""), true));
        assert!(!ask(Want::Multivariant, false) && !ask(media, true));
    }

    #[test]
    fn an_ask_is_of_one_broadcast_on_one_node() {
        let target = Target { token: None, channel: "studio", rendition: "", file: "" };
        let ask = Ask::new(&owner(1), &target, Want::Multivariant, Directives::default(), false).unwrap();
        assert!(ask.is_of(&owner(1)));
        assert!(!ask.is_of(&owner(2)));
        assert!(!ask.is_of(&Owner { url: "http://three:80".into(), ..owner(1) }));
    }

    #[test]
    fn answers_are_kept_while_they_are_fresh_and_no_longer_than_is_good() {
        let millis = |media, status, cache_control: &'static str| {
            let value = HeaderValue::from_static(cache_control);
            kept(
                if media { Shape::Media } else { Shape::Text },
                StatusCode::from_u16(status).unwrap(),
                Some(&value),
            )
            .as_millis()
        };
        let table = [
            (true, 200, "public, max-age=86400, immutable", 30_000),
            (true, 200, "public, max-age=7", 7_000),
            (true, 200, "no-store", 0),
            (true, 404, "public, max-age=1", 0),
            (true, 416, "public, max-age=1", 0),
            (false, 200, "public, max-age=24", 100),
            (false, 200, "public, max-age=1", 100),
            (false, 200, "public, max-age=0, must-revalidate", 0),
            (false, 200, "MAX-AGE=\"1\"", 100),
            (false, 200, "max-age=1, max-age=9", 100),
            (false, 200, "max-age=9, no-cache", 0),
            (false, 200, "private, max-age=9", 0),
            (false, 200, "max-age=soon", 0),
            (false, 200, "max-age", 0),
            (false, 200, "public", 0),
            (false, 200, "", 0),
            (false, 404, "public, max-age=60", 0),
            (false, 400, "public, max-age=60", 0),
            (false, 503, "public, max-age=60", 0),
        ];
        for (media, status, cache_control, wanted) in table {
            assert_eq!(millis(media, status, cache_control), wanted, "{media} {status} {cache_control}");
        }
        assert_eq!(kept(Shape::Media, StatusCode::OK, None), Duration::ZERO);
        let ten = HeaderValue::from_static("public, max-age=10");
        assert_eq!(kept(Shape::Thumb, StatusCode::OK, Some(&ten)), THUMB_KEPT);
    }
}
