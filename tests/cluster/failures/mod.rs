//! What dies, one after the other.

mod chat;
mod clocks;
mod disk;
mod edge;
mod kafka;
mod mongodb;
mod processes;
mod rolling;
