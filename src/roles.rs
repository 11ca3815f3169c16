//! Which parts of Millrace a process runs.

use serde::{Deserialize, Serialize};

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// RTMP in, packager, HLS origin.
    Ingest,
    /// REST API and web app.
    Api,
}

impl Role {
    /// Every role there is.
    pub(crate) const ALL: [Self; 2] = [Self::Ingest, Self::Api];
}
