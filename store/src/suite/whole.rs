//! What is kept is kept whole, and can be moved.

use std::sync::Arc;

use serde_json::json;

use super::PETS;
use crate::engine::Write;
use crate::{Engine, Query, StoreError, Stored, Version};

pub(super) async fn any_json_comes_back(engine: Arc<dyn Engine>) {
    engine.prepare(&[&PETS]).await.unwrap();
    let documents = [
        json!({}),
        json!({"owner": "ada", "numbers": [i64::MIN, -1, 0, i64::MAX, u64::MAX, 1.5, -0.5, 1e300]}),
        json!({"": {"": null}, "none": null, "chip": null, "list": [null, [], {}], "truth": [true, false]}),
        json!({"map": {"$where": 1, "a.b": 2, "$": {"$set": 3}, ".": 4, "%24": 5, "%": 6, "\"'": 7}}),
        json!({"about": "a\0b $set \u{1f431} \u{ffff} \\ \" ' \u{2028}", "_id": "x", "doc": 1, "_v": 7}),
    ];
    for (number, document) in documents.iter().enumerate() {
        let id = format!("{number}");
        let insert = Write::Insert { id: id.clone(), document: document.clone() };
        engine.commit(vec![(&PETS, insert)]).await.unwrap();
        let read = engine.get(&PETS, &id).await.unwrap().unwrap();
        assert_eq!(read, Stored { id: id.clone(), version: Version(1), document: document.clone() });
        let replace = Write::Replace { id: id.clone(), version: Version(1), document: document.clone() };
        engine.commit(vec![(&PETS, replace)]).await.unwrap();
        let read = engine.get(&PETS, &id).await.unwrap().unwrap();
        assert_eq!(read, Stored { id, version: Version(2), document: document.clone() });
    }
}

pub(super) async fn a_snapshot_is_of_one_moment(engine: Arc<dyn Engine>) {
    engine.prepare(&[&PETS]).await.unwrap();
    let document = |owner: &str, number: i64| json!({"owner": owner, "born_at": number});
    let insert = |id: &str, number| Write::Insert { id: id.into(), document: document("ada", number) };
    for (number, id) in (0..).zip(["1", "2", "3", "4", "5"]) {
        engine.commit(vec![(&PETS, insert(id, number))]).await.unwrap();
    }
    let mut snapshot = engine.snapshot().await.unwrap();
    let mut all = snapshot.page(&PETS, None, 2).await.unwrap();
    let changed = Write::Replace { id: "3".into(), version: Version(1), document: document("eve", 3) };
    engine.commit(vec![(&PETS, changed), (&PETS, insert("6", 6))]).await.unwrap();
    engine.commit(vec![(&PETS, Write::Delete { id: "5".into(), version: None })]).await.unwrap();
    while let Some(last) = all.last().map(|last| last.id.clone()) {
        let page = snapshot.page(&PETS, Some(&last), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    let ids: Vec<_> = all.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5"]);
    assert!(all.iter().all(|one| one.document["owner"] == "ada" && one.version == Version(1)));
    let now = engine.snapshot().await.unwrap().page(&PETS, None, 10).await.unwrap();
    assert_eq!(now.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4", "6"]);
}

pub(super) async fn what_is_loaded_keeps_its_version(engine: Arc<dyn Engine>) {
    engine.prepare(&[&PETS]).await.unwrap();
    let stored = |id: &str, chip: &str| {
        let document = json!({"owner": "ada", "chip": chip, "about": format!("a cat {chip}")});
        Stored { id: id.into(), version: Version(7), document }
    };
    engine.load(&PETS, Vec::new()).await.unwrap();
    engine.load(&PETS, vec![stored("1", "a"), stored("2", "b")]).await.unwrap();
    assert_eq!(engine.get(&PETS, "2").await.unwrap(), Some(stored("2", "b")));
    assert_eq!(engine.find(&PETS, &Query::with("chip", "a", 2)).await.unwrap(), [stored("1", "a")]);
    assert_eq!(engine.search(&PETS, "cat", &Query::first(10)).await.unwrap().len(), 2);
    let same = engine.load(&PETS, vec![stored("3", "c"), stored("4", "b")]).await.unwrap_err();
    assert!(same.is_conflict("chip"), "{same:?}");
    let same = engine.load(&PETS, vec![stored("1", "d")]).await.unwrap_err();
    assert!(matches!(same, StoreError::Conflict { index: "id", .. }), "{same:?}");
}
