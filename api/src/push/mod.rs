//! Web Push: notices reach the browsers of followers whose pages are closed.
//!
//! A notice brings a [`PushJob`] with it, in one commit. A process takes the job under a lease, walks the channel's
//! followers in pages, writes how far it is, and then sends the page: so a subscription gets a notice at most once.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 8030 (Web Push) | [`outcome`], `http.rs` |
//! | RFC 8188, 8291 (encryption) | [`encrypt`] |
//! | RFC 8292 (VAPID) | [`vapid`] |

pub mod devices;
pub mod encrypt;
mod http;
pub(crate) mod job;
pub mod outcome;
pub mod vapid;
mod worker;

use std::sync::{Arc, Mutex, OnceLock};

use millrace_store::{Store, StoreError};
use tokio::sync::Semaphore;

pub use devices::{Device, Devices, Subscription};
pub use job::PushJob;
pub use vapid::Vapid;
pub use worker::deliver;

use crate::notices::NoticesConfig;

/// What pushes of this process share. Clones share it.
#[derive(Clone)]
pub struct Push(Arc<Shared>);

struct Shared {
    vapid: Vapid,
    devices: Devices,
    config: NoticesConfig,
    contact: Option<String>,
    http: OnceLock<reqwest::Client>,
    services: Mutex<outcome::Services>,
    sending: Semaphore,
    waiting: Arc<Semaphore>,
}

impl std::fmt::Debug for Push {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Push")
    }
}

impl Push {
    /// On this store. `site` is what people type to come here, if it is known.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn open(
        store: Store,
        config: NoticesConfig,
        site: Option<&str>,
        now_ms: i64,
    ) -> Result<Self, StoreError> {
        let https = site.filter(|site| site.starts_with("https://")).map(str::to_owned);
        Ok(Self(Arc::new(Shared {
            vapid: Vapid::open(&store, now_ms).await?,
            devices: Devices::new(store),
            contact: config.push_contact.clone().or(https),
            http: OnceLock::new(),
            services: Mutex::default(),
            sending: Semaphore::new(config.push_concurrency),
            waiting: Arc::new(Semaphore::new(config.push_waiting)),
            config,
        })))
    }

    /// The site's key pair.
    #[must_use]
    pub fn vapid(&self) -> &Vapid {
        &self.0.vapid
    }

    /// The browsers that want pushes.
    #[must_use]
    pub fn devices(&self) -> &Devices {
        &self.0.devices
    }
}
