//! The topology of `docker_compose/split.yaml` as plain processes, and what happens when a part of it dies.
//!
//! Three processes that take publishers, two of the API, two of chat, a worker, nginx with the configuration that we ship, a MongoDB
//! replica set of three and Kafka, each process of ours at an address of its own. Encoders and viewers come through
//! nginx. In each test the viewers are strict: whoever misses a part, or is told of an error, fails it. At the end the
//! events that were acknowledged are counted, and must all be in the log and in what the readers made of them.
//!
//! The tests take turns: each has processes, a database and topics of its own on servers that they share. Windows are
//! short here; `make soak` sets `MILLRACE_TEST_WINDOWS=real` (see [`windows`]).

mod edge;
mod encoder;
mod failures;
mod ledger;
mod nodes;
mod talker;
mod viewer;
pub(crate) mod windows;
