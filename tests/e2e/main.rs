//! Black-box tests: the real binary, real publishers, a strict checker, real players.
//!
//! Each module is one kind of day. Media takes its time, so tests wait for conditions with deadlines and share
//! servers: one server, one channel per scenario. What needs both cores for itself takes the [`quiet`] lock.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests run processes and wait for them")]

mod accounts_abuse;
mod accounts_pages;
mod accounts_publish;
mod acme;
mod api;
mod backup;
mod browser;
mod decode;
mod fixtures;
mod hostile;
mod http;
mod kafka;
mod lifecycle;
mod mail;
mod nginx;
mod node;
mod notices;
mod oauth;
mod obs;
mod playback;
mod publisher;
mod reconnect;
mod rtmp_peer;
mod scenarios;
mod server;
mod split;
mod store_away;
mod streamer;
mod tls;
mod topology;
mod upgrade;
mod viewers;
mod wait;
