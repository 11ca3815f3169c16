//! What the bus keeps in the store.

use std::collections::BTreeMap;

use millrace_core::bus::{DeadLetter, Topic};
use millrace_core::event::Event;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that the bus keeps, for [`millrace_store::Store::new`].
pub static COLLECTIONS: &[&Collection] = &[&LOG, &GROUPS, &DEAD, &OUTBOX, &HANDLED];

static LOG: Collection = Collection {
    name: "bus_log",
    indexes: &[
        Index { name: "place", fields: &["lane", "offset"], unique: true },
        Index { name: "key", fields: &["compacted_key"], unique: false },
        Index { name: "expires_at", fields: &["expires_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

static GROUPS: Collection = Collection { name: "bus_groups", indexes: &[], words: &[], migrations: &[] };

static DEAD: Collection = Collection {
    name: "bus_dead",
    indexes: &[
        Index { name: "topic", fields: &["topic", "at"], unique: false },
        Index { name: "redrive_at", fields: &["redrive_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

static OUTBOX: Collection = Collection {
    name: "outbox",
    indexes: &[
        Index { name: "node", fields: &["node", "number"], unique: true },
        Index { name: "at", fields: &["at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

static HANDLED: Collection = Collection {
    name: "bus_handled",
    indexes: &[Index { name: "expires_at", fields: &["expires_at"], unique: false }],
    words: &[],
    migrations: &[],
};

/// The name of a partition.
pub(crate) fn lane(topic: Topic, partition: u16) -> String {
    format!("{}/{partition}", topic.name())
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogRecord {
    /// Which partition.
    pub(crate) lane: String,
    /// From 0, without gaps when written.
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) expires_at: i64,
    /// Lane and key, in a topic of which only the newest of each key is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compacted_key: Option<String>,
    /// As it is on the wire, so that what another version wrote can be kept.
    pub(crate) event: Value,
}

impl LogRecord {
    pub(crate) fn id_at(lane: &str, offset: i64) -> String {
        format!("{lane}/{offset}")
    }
}

impl Document for LogRecord {
    const COLLECTION: &'static Collection = &LOG;

    fn id(&self) -> String {
        Self::id_at(&self.lane, self.offset)
    }
}

/// How far a group came in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupOffset {
    /// The group and the partition.
    pub(crate) id: String,
    /// What it wants next.
    pub(crate) next: i64,
}

impl GroupOffset {
    pub(crate) fn id_of(group: &str, topic: Topic, partition: u16) -> String {
        format!("{group}/{}", lane(topic, partition))
    }
}

impl Document for GroupOffset {
    const COLLECTION: &'static Collection = &GROUPS;

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadRecord {
    /// The letter.
    #[serde(flatten)]
    pub(crate) letter: DeadLetter,
    /// Somebody wants it to be published again, since then; milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redrive_at: Option<i64>,
}

impl Document for DeadRecord {
    const COLLECTION: &'static Collection = &DEAD;

    fn id(&self) -> String {
        self.letter.id.clone()
    }
}

/// An event that waits for the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Whose it is: only that node sends it while it lives.
    pub(crate) node: String,
    /// Its place in the order of the node.
    pub(crate) number: i64,
    /// The topic.
    pub(crate) topic: String,
    /// The key.
    pub(crate) key: String,
    /// As it is on the wire.
    pub(crate) payload: String,
    /// Its headers.
    pub(crate) headers: BTreeMap<String, String>,
    /// Since when, in milliseconds since 1970.
    pub(crate) at: i64,
}

impl Waiting {
    pub(crate) fn id_of(node: &str, number: i64) -> String {
        format!("{node}/{number}")
    }
}

impl Document for Waiting {
    const COLLECTION: &'static Collection = &OUTBOX;

    fn id(&self) -> String {
        Self::id_of(&self.node, self.number)
    }
}

/// Says that a group handled an event. Insert it in the commit that has the effect: when the event comes again, the
/// commit is refused as a conflict of `id`, and there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    id: String,
    expires_at: i64,
}

impl Handled {
    /// How long it is remembered: longer than any topic keeps events.
    const KEPT_MS: i64 = 14 * 24 * 3_600_000;

    /// `group` handles `event` now (milliseconds since 1970).
    #[must_use]
    pub fn new(group: &str, event: &Event, now: i64) -> Self {
        Self { id: format!("{group}/{}", event.id), expires_at: now + Self::KEPT_MS }
    }
}

impl Document for Handled {
    const COLLECTION: &'static Collection = &HANDLED;

    fn id(&self) -> String {
        self.id.clone()
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::bus::suite;
    use millrace_store::{Changes, Location, Store};

    use super::*;

    #[tokio::test]
    async fn an_event_that_comes_again_is_refused_with_its_effect() {
        let folder = tempfile::tempdir().unwrap();
        let engine = millrace_store::open(&Location::Sqlite, folder.path()).await.unwrap();
        let store = Store::new(engine, COLLECTIONS).await.unwrap();
        let event = suite::event("studio", 1);
        let effect = |number| GroupOffset { id: format!("effect {number}"), next: 1 };
        let handle = async |group: &str, number: u32| {
            let handled = Handled::new(group, &event, 1);
            store.commit(Changes::new().insert(&handled).insert(&effect(number))).await
        };
        handle("workers", 1).await.unwrap();
        assert!(handle("workers", 2).await.unwrap_err().is_conflict("id"));
        assert!(store.get::<GroupOffset>("effect 2").await.unwrap().is_none());
        handle("others", 3).await.unwrap();
    }
}
