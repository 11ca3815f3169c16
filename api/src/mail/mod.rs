//! Mail to people: links that prove an address or set a password, and notices of what happened to an account.
//!
//! A [`Letter`] goes into a bounded [`queue`] and is sent by SMTP, again and again with growing waits. The queue is in
//! memory and nowhere else: links in it are secrets, of which the store keeps only hashes. What a stop leaves unsent after
//! one last try is lost, and the person asks again.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 5321, 3207, 4954 (SMTP, STARTTLS, AUTH) | lettre |
//! | RFC 3834 (`Auto-Submitted`) | [`post`] |

pub mod config;
pub mod letter;
pub mod post;
pub mod queue;

pub use config::MailConfig;
pub use letter::{Letter, Subject};
pub use post::{Post, SetupError};
