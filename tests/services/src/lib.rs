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

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port is free");
    listener.local_addr().expect("it is bound").port()
}
