//! CMAF: init segments and fragments, written by hand.
//!
//! | Specification | Where |
//! |---|---|
//! | ISO/IEC 14496-12 (ISO base media file format) | [`mod@init`], [`fragment`] |
//! | ISO/IEC 23000-19 (CMAF) | [`fragment`] |

mod boxes;
pub mod fragment;
pub mod init;

/// Track id of the video in every init segment.
pub const VIDEO_TRACK: u32 = 1;
/// Track id of the audio in every init segment.
pub const AUDIO_TRACK: u32 = 2;

#[cfg(test)]
mod tests;
