//! What needs a decoder: done by `millrace-transcoder`, a program of its own, in child processes.
//!
//! | Part | What it is |
//! |---|---|
//! | [`config`] | settings |
//! | [`child`] | one process of the transcoder and its pipes (shell) |
//! | [`back_off`] | when one that ended is started again (sans-IO) |
//! | [`stills`] | thumbnails and storyboards of all broadcasts |
//!
//! If the program is not there, that is said once in the log, and nothing but what needs it is missing.

pub mod back_off;
pub mod child;
mod complaints;
pub mod config;
pub mod stills;
