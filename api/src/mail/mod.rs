//! Mail to people: links that prove an address or set a password, and notices of what happened to an account.
//!
//! An [`Errand`] is kept in the store, at most so many, and sent as a [`Letter`] by SMTP, again and again with growing waits,
//! by whichever process is there. Links in letters are secrets, of which the store keeps only hashes: they are made when a
//! letter is sent. Why: `docs/adr/0015-mail-waits-in-the-store.md`.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 5321, 3207, 4954 (SMTP, STARTTLS, AUTH) | lettre |
//! | RFC 3834 (`Auto-Submitted`) | [`post`] |

pub mod config;
pub mod letter;
pub mod post;
pub mod waiting;

pub use config::MailConfig;
pub use letter::{Letter, News, Sender, Subject};
pub use post::{Post, SetupError};
pub use waiting::{Errand, Mail};
