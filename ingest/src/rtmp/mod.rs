//! The RTMP protocol as values: no task, socket or clock in here.
//!
//! | Specification | Where |
//! |---|---|
//! | Adobe RTMP 1.0, §5.2 (handshake) | [`handshake`] |
//! | Adobe RTMP 1.0, §5.3 and §5.4 (chunks, protocol control) | [`chunk`] |
//! | Adobe RTMP 1.0, §7 (messages, commands) | [`command`], [`session`] |
//! | Adobe AMF 0 | [`amf0`] |
//! | Enhanced RTMP v2, connect | [`command`] |

pub mod amf0;
pub mod chunk;
pub mod command;
pub mod handshake;
pub mod limits;
pub mod session;
