//! What a version of a playlist looks like, rendered at most once and shared by everybody who asks.

use std::fmt::Display;
use std::io::Write;
use std::sync::OnceLock;

use axum::http::HeaderValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use millrace_core::transcode::StillFormat;

use crate::playlist::{MediaPlaylist, MultivariantPlaylist};
use crate::transcode::stills::Storyboard;
use crate::window::{Form, Snapshot};

/// A rendered playlist.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Text, or its gzip form.
    pub body: Bytes,
    /// Strong entity tag of exactly these bytes.
    pub etag: HeaderValue,
}

/// A text in up to two encodings, made when first asked for.
#[derive(Debug, Default)]
struct Renderings {
    identity: OnceLock<Rendered>,
    gzip: OnceLock<Rendered>,
}

impl Renderings {
    fn get(&self, gzip: bool, tag: impl Display, text: impl FnOnce() -> String) -> &Rendered {
        let identity =
            || self.identity.get_or_init(|| Rendered { body: Bytes::from(text()), etag: etag(&tag) });
        if !gzip {
            return identity();
        }
        self.gzip
            .get_or_init(|| Rendered { body: compress(&identity().body), etag: etag(format_args!("{tag}z")) })
    }
}

/// A rendition's playlists at one version.
#[derive(Debug)]
pub struct View {
    /// What they say.
    pub snapshot: Snapshot,
    full: Renderings,
    delta: Renderings,
}

impl View {
    /// Nothing is rendered yet.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, full: Renderings::default(), delta: Renderings::default() }
    }

    /// The playlist; concurrent first askers wait for one of them.
    pub fn playlist(&self, form: Form, gzip: bool) -> &Rendered {
        let (renderings, letter) = match form {
            Form::Full => (&self.full, 'f'),
            Form::Delta => (&self.delta, 'd'),
        };
        // Written once, like the text.
        let tag = format_args!("{}-{}{letter}", self.snapshot.prefix(), self.snapshot.version());
        renderings.get(gzip, tag, || MediaPlaylist::new(&self.snapshot, form).to_string())
    }
}

/// A broadcast's multivariant playlist at one version.
#[derive(Debug)]
pub struct MultivariantView {
    playlist: MultivariantPlaylist,
    tag: String,
    text: Renderings,
}

impl MultivariantView {
    /// Version `version` of the broadcast with this prefix.
    #[must_use]
    pub fn new(playlist: MultivariantPlaylist, prefix: &str, version: u64) -> Self {
        Self { playlist, tag: format!("{prefix}-m{version}"), text: Renderings::default() }
    }

    /// The playlist it shows.
    #[must_use]
    pub fn model(&self) -> &MultivariantPlaylist {
        &self.playlist
    }

    /// The text.
    pub fn playlist(&self, gzip: bool) -> &Rendered {
        self.text.get(gzip, &self.tag, || self.playlist.to_string())
    }
}

/// A broadcast's storyboard at one version.
#[derive(Debug, Default)]
pub(crate) struct StoryboardView {
    storyboard: Storyboard,
    jpeg: Renderings,
    webp: Renderings,
}

impl StoryboardView {
    /// Nothing is rendered yet.
    pub(crate) fn new(storyboard: Storyboard) -> Self {
        Self { storyboard, jpeg: Renderings::default(), webp: Renderings::default() }
    }

    /// What it shows.
    pub(crate) fn model(&self) -> &Storyboard {
        &self.storyboard
    }

    /// The index with sprites of this format, for the broadcast with this prefix.
    pub(crate) fn index(&self, prefix: &str, format: StillFormat, gzip: bool) -> &Rendered {
        let (renderings, letter) = match format {
            StillFormat::Webp => (&self.webp, 'w'),
            StillFormat::Jpeg | StillFormat::Rgb => (&self.jpeg, 'j'),
        };
        let tag = format_args!("{prefix}-b{}{letter}", self.storyboard.version());
        renderings.get(gzip, tag, || self.storyboard.index(prefix, format))
    }
}

fn etag(tag: impl Display) -> HeaderValue {
    HeaderValue::try_from(format!("\"{tag}\"")).expect("prefixes and numbers are visible ASCII")
}

fn compress(text: &[u8]) -> Bytes {
    // Level 1 halves the time of level 6 and loses a tenth of the size; playlists repeat themselves.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("writing to memory cannot fail").into()
}
