//! The browsers that want pushes.

use millrace_core::ids::{SessionId, UserId};
use millrace_store::{Change, Changes, Collection, Document, Index, Kept, Order, Query, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::auth::secret::sha256;

/// Devices that are removed or read at once: more than any limit.
const AT_ONCE: usize = 1_000;
/// A push service that refuses so many pushes in a row has nobody there.
const FAILURES_MAX: u32 = 5;

/// A browser's subscription. Who knows its endpoint and keys can write to it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// SHA-256 of the endpoint: a browser has one subscription, whoever is signed in there.
    pub id: String,
    /// Whose.
    pub user: UserId,
    /// In which session it was made; it ends with it.
    pub session: SessionId,
    /// Where to push to.
    pub endpoint: String,
    /// The browser's key, base64url.
    pub p256dh: String,
    /// The secret shared with the browser, base64url.
    pub auth: String,
    /// The browser, in a few words.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Pushes that were refused since the last one that was not.
    #[serde(default)]
    pub failures: u32,
}

/// What a push service gave a browser: where to write to it, and with which keys.
#[derive(Clone)]
pub struct Subscription {
    /// Where to push to.
    pub endpoint: String,
    /// The browser's key, base64url.
    pub p256dh: String,
    /// The secret shared with the browser, base64url.
    pub auth: String,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[subscription]")
    }
}

/// Never the endpoint or the keys.
impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Device {
    /// The id of the subscription with this endpoint.
    #[must_use]
    pub fn id_of(endpoint: &str) -> String {
        sha256(endpoint.as_bytes())
    }
}

pub(crate) static DEVICES: Collection = Collection {
    name: "push_devices",
    indexes: &[
        Index { name: "user", fields: &["user", "created_at"], unique: false },
        Index { name: "session", fields: &["session"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Device {
    const COLLECTION: &'static Collection = &DEVICES;

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// The devices of this site.
#[derive(Debug, Clone)]
pub struct Devices(Store);

impl Devices {
    /// In this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps a device; whoever had that browser before has it no more. The person's oldest ones make room beyond `limit`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn put(&self, device: &Device, limit: usize) -> Result<Device, StoreError> {
        let put = |old: Device| {
            let created_at = if old.user == device.user { old.created_at } else { device.created_at };
            Change::<_, std::convert::Infallible>::To(Device { created_at, ..device.clone() })
        };
        let kept = match self.0.update(&device.id, put).await? {
            Some(Ok(kept)) => kept,
            _ => match self.0.insert(device).await {
                Ok(()) => device.clone(),
                Err(err) if err.is_conflict("id") => {
                    self.0.update(&device.id, put).await?;
                    device.clone()
                }
                Err(err) => return Err(err),
            },
        };
        for old in self.of(device.user).await?.iter().filter(|other| other.id != device.id).skip(limit - 1) {
            self.remove(&old.id).await?;
        }
        Ok(kept)
    }

    /// Puts what a browser subscribed to now in the place of what it had, whoever's it is and since when; `None` if it had
    /// none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn renew(&self, replaces: &str, new: &Subscription) -> Result<Option<()>, StoreError> {
        let Some(old) = self.get(&Device::id_of(replaces)).await? else { return Ok(None) };
        let Subscription { endpoint, p256dh, auth } = new.clone();
        let id = Device::id_of(&endpoint);
        let device = Device { id, endpoint, p256dh, auth, failures: 0, ..old.value.clone() };
        let changes = if device.id == old.id {
            Changes::new().replace(&old, &device)
        } else {
            // It may have been kept already, by a page.
            Changes::new().delete(&old).delete_id::<Device>(&device.id).insert(&device)
        };
        self.0.commit(changes).await.map(Some)
    }

    /// The devices of a person, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn of(&self, user: UserId) -> Result<Vec<Kept<Device>>, StoreError> {
        let query = Query::with("user", user.to_string(), AT_ONCE).ordered("created_at", Order::Descending);
        self.0.find(&query).await
    }

    /// One device.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn get(&self, id: &str) -> Result<Option<Kept<Device>>, StoreError> {
        self.0.get(id).await
    }

    /// Removes a device, if it is there.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remove(&self, id: &str) -> Result<(), StoreError> {
        self.0.commit(Changes::new().delete_id::<Device>(id)).await
    }

    /// Removes all devices of a person.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remove_of(&self, user: UserId) -> Result<(), StoreError> {
        self.remove_all(&Query::with("user", user.to_string(), AT_ONCE)).await
    }

    /// Removes the devices of a session that is over.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remove_of_session(&self, session: SessionId) -> Result<(), StoreError> {
        self.remove_all(&Query::with("session", session.to_string(), AT_ONCE)).await
    }

    async fn remove_all(&self, query: &Query) -> Result<(), StoreError> {
        let found = self.0.find::<Device>(query).await?;
        let changes = found.iter().fold(Changes::new(), |changes, one| changes.delete_id::<Device>(&one.id));
        self.0.commit(changes).await
    }

    /// A push was refused, or was not. A device that refuses always is removed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn judged(&self, device: &Device, refused: bool) -> Result<(), StoreError> {
        if !refused && device.failures == 0 {
            return Ok(());
        }
        let judge = |device: Device| {
            let failures = if refused { device.failures + 1 } else { 0 };
            Change::<_, std::convert::Infallible>::To(Device { failures, ..device })
        };
        match self.0.update(&device.id, judge).await? {
            Some(Ok(device)) if device.failures >= FAILURES_MAX => self.remove(&device.id).await,
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::channels::testing::Site;

    pub(crate) fn device(user: UserId, endpoint: &str, created_at: i64) -> Device {
        Device {
            id: Device::id_of(endpoint),
            user,
            session: SessionId(uuid::Uuid::from_u128(7)),
            endpoint: endpoint.to_owned(),
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
                .to_owned(),
            auth: "BTBZMqHH6r4Tts7J_aSIgg".to_owned(),
            name: "Firefox on Linux".to_owned(),
            created_at,
            failures: 0,
        }
    }

    #[tokio::test]
    async fn a_browser_is_one_device_of_whoever_used_it_last_and_the_oldest_make_room() {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        let devices = Devices::new(site.store.clone());
        for number in 1..=4 {
            devices
                .put(&device(ada.id, &format!("https://push.example.org/{number}"), number), 3)
                .await
                .unwrap();
        }
        let times = async |user| {
            devices.of(user).await.unwrap().iter().map(|kept| kept.created_at).collect::<Vec<_>>()
        };
        assert_eq!(times(ada.id).await, [4, 3, 2]);
        let again = devices.put(&device(ada.id, "https://push.example.org/3", 9), 3).await.unwrap();
        assert_eq!(again.created_at, 3, "it is the device that it was");
        devices.put(&device(bob.id, "https://push.example.org/3", 9), 3).await.unwrap();
        assert_eq!((times(ada.id).await, times(bob.id).await), (vec![4, 2], vec![9]));
        devices.remove_of(ada.id).await.unwrap();
        assert_eq!((times(ada.id).await, times(bob.id).await), (vec![], vec![9]));
        devices.remove_of_session(SessionId(uuid::Uuid::from_u128(7))).await.unwrap();
        assert!(times(bob.id).await.is_empty());
    }

    #[tokio::test]
    async fn a_renewed_subscription_is_the_same_device_and_the_old_one_is_gone() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let devices = Devices::new(site.store.clone());
        let old = Device { failures: 3, ..device(ada.id, "https://push.example.org/1", 1) };
        devices.put(&old, 3).await.unwrap();
        let new = |endpoint: &str| Subscription {
            endpoint: endpoint.to_owned(),
            p256dh: old.p256dh.clone(),
            auth: "other".to_owned(),
        };
        for endpoint in ["https://push.example.org/2", "https://push.example.org/2"] {
            let before = devices.of(ada.id).await.unwrap().remove(0).value.endpoint;
            devices.renew(&before, &new(endpoint)).await.unwrap().unwrap();
            let all = devices.of(ada.id).await.unwrap();
            let expected = Device {
                id: Device::id_of(endpoint),
                endpoint: endpoint.to_owned(),
                auth: "other".to_owned(),
                failures: 0,
                ..old.clone()
            };
            assert_eq!(all.iter().map(|kept| &kept.value).collect::<Vec<_>>(), [&expected]);
        }
        assert_eq!(devices.renew("https://push.example.org/1", &new("https://x.org/")).await.unwrap(), None);
        assert_eq!(devices.of(ada.id).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_device_that_always_refuses_is_removed_and_one_that_does_not_is_forgiven() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let devices = Devices::new(site.store.clone());
        let one = device(ada.id, "https://push.example.org/1", 1);
        devices.put(&one, 3).await.unwrap();
        for _ in 1..FAILURES_MAX {
            devices.judged(&one, true).await.unwrap();
        }
        let kept = devices.get(&one.id).await.unwrap().unwrap().value;
        devices.judged(&kept, false).await.unwrap();
        assert_eq!(devices.get(&one.id).await.unwrap().unwrap().failures, 0);
        for _ in 0..FAILURES_MAX {
            devices.judged(&one, true).await.unwrap();
        }
        assert_eq!(devices.get(&one.id).await.unwrap(), None);
        devices.judged(&one, true).await.unwrap();
    }

    #[test]
    fn a_device_tells_nobody_where_it_is() {
        let text = format!("{:?}", device(UserId(uuid::Uuid::nil()), "https://push.example.org/secret", 1));
        assert!(!text.contains("push.example") && !text.contains("BTBZ"), "{text}");
    }
}
