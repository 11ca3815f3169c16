//! Pictures, and whatever else is kept as whole files: in a folder, or in S3.
//!
//! A name is a path of plain words, `avatars/0198c6d2-…`; what is under it is written once and never changes. Whoever
//! builds a TLS client installs the one provider of the process first: this crate brings none.
//!
//! | Specification | Where |
//! |---|---|
//! | S3 API, Signature Version 4, credentials of a machine (environment, web identity, container, instance) | `object_store` |
//! | The shared credentials file of AWS tools | `credentials` |
#![warn(missing_docs)]

mod credentials;
mod error;
mod location;
mod objects;
mod s3;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use error::{ObjectsError, Trouble};
pub use location::{Location, LocationError};
pub use objects::{Objects, Reading, Writer};
pub use s3::{SettingError, check};
