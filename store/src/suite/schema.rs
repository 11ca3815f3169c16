//! What happens when Millrace starts, and was another one before.

use std::sync::Arc;

use serde_json::{Value, json};

use super::all;
use crate::engine::Write;
use crate::{Collection, Engine, Index, Order, Query, StoreError};

static OLD: Collection = Collection {
    name: "suite_sounds",
    indexes: &[Index { name: "sound", fields: &["sound"], unique: true }],
    words: &[],
    migrations: &[],
};

static NEW: Collection = Collection {
    name: "suite_sounds",
    indexes: &[Index { name: "loudness", fields: &["loudness"], unique: false }],
    words: &["sound"],
    migrations: &[louder, louder],
};

/// The index has the name that it had in [`OLD`], and other words are searched.
static OTHER: Collection = Collection {
    name: "suite_sounds",
    indexes: &[Index { name: "sound", fields: &["loudness"], unique: false }],
    words: &["place"],
    migrations: &[louder, louder],
};

fn louder(mut document: Value) -> Value {
    let text = document["sound"].as_str().unwrap_or_default().to_owned() + "!";
    document["sound"] = text.into();
    document
}

fn insert(id: &str, sound: &str) -> Write {
    let document = json!({"id": id, "sound": sound, "loudness": 7, "place": "a meadow"});
    Write::Insert { id: id.into(), document }
}

async fn sound(engine: &Arc<dyn Engine>, collection: &'static Collection, id: &str) -> Value {
    engine.get(collection, id).await.unwrap().unwrap().document["sound"].clone()
}

pub(super) async fn migrations_run_once_and_newer_data_is_refused(engine: Arc<dyn Engine>) {
    engine.prepare(&[&OLD]).await.unwrap();
    engine.commit(vec![(&OLD, insert("1", "moo"))]).await.unwrap();
    let before = engine.get(&OLD, "1").await.unwrap().unwrap();
    engine.prepare(&[&OLD]).await.unwrap();
    assert_eq!(sound(&engine, &OLD, "1").await, "moo");
    engine.prepare(&[&NEW]).await.unwrap();
    engine.prepare(&[&NEW]).await.unwrap();
    assert_eq!(sound(&engine, &NEW, "1").await, "moo!!");
    assert_eq!(engine.get(&NEW, "1").await.unwrap().unwrap().version, before.version);
    // The old unique index is gone, and old documents are found by words.
    engine.commit(vec![(&NEW, insert("2", "moo"))]).await.unwrap();
    engine.commit(vec![(&NEW, insert("3", "moo"))]).await.unwrap();
    assert_eq!(engine.search(&NEW, "moo", &Query::first(10)).await.unwrap().len(), 3);
    match engine.prepare(&[&OLD]).await {
        Err(StoreError::Newer { found: 2, known: 0, .. }) => {}
        other => panic!("newer data must be refused, not {other:?}"),
    }
}

pub(super) async fn those_who_prepare_at_once_migrate_once(engine: Arc<dyn Engine>) {
    engine.prepare(&[&OLD]).await.unwrap();
    let writes =
        (0..300).map(|number| (&OLD, insert(&number.to_string(), &format!("moo {number}")))).collect();
    engine.commit(writes).await.unwrap();
    let together = (0..4).map(|_| {
        let engine = Arc::clone(&engine);
        async move { engine.prepare(&[&NEW]).await }
    });
    for prepared in all(together).await {
        prepared.unwrap();
    }
    for number in 0..300 {
        assert_eq!(sound(&engine, &NEW, &number.to_string()).await, format!("moo {number}!!"));
    }
}

pub(super) async fn what_changed_without_a_migration_is_made_anew(engine: Arc<dyn Engine>) {
    engine.prepare(&[&NEW]).await.unwrap();
    engine.commit(vec![(&NEW, insert("1", "moo"))]).await.unwrap();
    engine.prepare(&[&OTHER]).await.unwrap();
    assert_eq!(engine.search(&OTHER, "meadow", &Query::first(10)).await.unwrap().len(), 1);
    assert_eq!(engine.search(&OTHER, "moo", &Query::first(10)).await.unwrap().len(), 0);
    engine.commit(vec![(&OTHER, insert("2", "moo"))]).await.unwrap();
    let loud = Query::first(10).ordered("loudness", Order::Descending);
    assert_eq!(engine.find(&OTHER, &loud).await.unwrap().len(), 2);
    // The same name, now unique: it says no.
    static UNIQUE: Collection = Collection {
        name: "suite_sounds",
        indexes: &[Index { name: "sound", fields: &["id", "loudness"], unique: true }],
        words: &["place"],
        migrations: &[louder, louder],
    };
    engine.prepare(&[&UNIQUE]).await.unwrap();
    let same = Write::Insert { id: "3".into(), document: json!({"id": "2", "loudness": 7}) };
    assert!(engine.commit(vec![(&UNIQUE, same)]).await.unwrap_err().is_conflict("sound"));
}
