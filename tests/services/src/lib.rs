//! Real servers for the tests: on free loopback ports, in temporary folders, gone with the test process whatever ends it.
//!
//! `MILLRACE_TEST_MONGODB` names a replica set to use instead of one of our own; databases named `millrace_test_…` stay
//! on it.

mod keeper;
pub mod mongodb;
