//! Real servers for the tests: on free loopback ports, in temporary folders, gone with the test process whatever ends it.
//!
//! `MILLRACE_TEST_MONGODB` names a replica set to use instead of one of our own; databases named `millrace_test_…` stay
//! on it. `MILLRACE_TEST_KAFKA` names a broker in the same way; topics named `test-…` stay on it. `MILLRACE_TEST_S3` names a
//! bucket, as `s3://bucket/prefix`, that the `AWS_*` variables lead to; what is named `test-…` there stays.

pub mod kafka;
mod keeper;
pub mod mongodb;
pub mod pebble;
pub mod s3;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports that no connection is given as its own end: Linux takes those from 32768 up (`ip_local_port_range`).
const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 12_000;
/// Distance between two processes of tests that are started one after the other.
const PORTS_OF_A_PROCESS: u32 = 500;

/// A port of 127.0.0.1 that nobody listens on, and that nobody is given who asks for any: it is still free when a server is
/// started on it later, or again. No two calls of a process have the same one.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() % (PORTS / PORTS_OF_A_PROCESS) * PORTS_OF_A_PROCESS;
    let ports = std::iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed)).take(PORTS as usize);
    let mut ports = ports.filter_map(|offset| u16::try_from(FIRST_PORT + offset % PORTS).ok());
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a loopback port is free")
}
