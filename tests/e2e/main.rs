//! Black-box tests: the real binary, real publishers, a strict checker, real players.
//!
//! Each module is one kind of day. Media takes its time, so tests wait for conditions with deadlines, share servers
//! (one channel per scenario), and run eight at once. What plays or encodes in real time takes a [`share`] of the
//! machine, what needs it for itself is [`quiet`].
//!
//! [`share`]: wait::share
//! [`quiet`]: wait::quiet
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests run processes and wait for them")]

mod accounts_abuse;
mod accounts_pages;
mod accounts_publish;
mod acme;
mod api;
mod backup;
mod browser;
mod chat;
mod chat_page;
mod chat_wire;
mod chatter;
#[path = "../cluster/mod.rs"]
mod cluster;
mod collector;
mod decode;
mod edge;
mod fixtures;
mod hostile;
mod http;
mod irc;
mod kafka;
mod ladder;
mod ladder_trouble;
mod lifecycle;
mod mail;
mod mp3;
mod nginx;
mod node;
mod notices;
mod oauth;
mod objects;
mod obs;
mod playback;
mod publisher;
mod quality;
mod reconnect;
mod rtmp_peer;
mod scenarios;
mod server;
mod slowed;
mod split;
mod stills;
mod store_away;
mod streamer;
mod sync;
mod tls;
mod topology;
mod traces;
mod upgrade;
mod viewers;
mod wait;
mod webhooks;
