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
    /// Chat rooms.
    Chat,
    /// What nobody waits for: the history, mail, notices, webhooks.
    Worker,
}

impl Role {
    /// Every role there is.
    pub(crate) const ALL: [Self; 4] = [Self::Ingest, Self::Api, Self::Chat, Self::Worker];

    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Api => "api",
            Self::Chat => "chat",
            Self::Worker => "worker",
        }
    }
}
