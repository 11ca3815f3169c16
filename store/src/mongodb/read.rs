//! Questions, as MongoDB is asked them.

use mongodb::bson::{Document, doc};
use serde_json::Value;

use super::bson::{VERSION, WORDS, path, write_value};
use super::schema;
use crate::words::words;
use crate::{Collection, Order, Query};

/// A filter and the order of what it finds.
#[derive(Debug, PartialEq)]
pub(super) struct Find {
    pub(super) filter: Document,
    pub(super) sort: Document,
    /// The name of the index that serves it; by id if absent. MongoDB would try others, and may settle for one that
    /// is quick only as long as nothing is found.
    pub(super) index: Option<String>,
}

/// What finds the documents of a query. `None` when nothing can be found.
pub(super) fn find(collection: &Collection, query: &Query) -> Option<Find> {
    let mut filter = equal(query)?;
    let (compare, direction) = match query.order {
        Some((_, Order::Descending)) => ("$lt", -1),
        _ => ("$gt", 1),
    };
    let fields: Vec<_> = query.equal.iter().map(|(name, _)| *name).collect();
    let serving = collection.index_for(&fields, query.order.map(|(name, _)| name));
    let index = serving.filter(|_| !fields.is_empty() || query.order.is_some()).map(schema::listing);
    let Some((name, _)) = query.order else {
        if let Some(after) = &query.after {
            filter.insert("_id", doc! { compare: &after.id });
        }
        return Some(Find { filter, sort: doc! { "_id": direction }, index });
    };
    let field = path(name);
    let is_total = collection.orders_wholly(&fields, name);
    let sort = if is_total {
        doc! { &field: direction }
    } else {
        doc! { &field: direction, "_id": direction }
    };
    let mut bounds = doc! { "$exists": true };
    if let Some(after) = &query.after {
        if !is_plain(&after.value) {
            return None;
        }
        let value = write_value(&after.value);
        if is_total {
            bounds.insert(compare, value);
        } else {
            // The first condition bounds the scan of the index, the second sorts out ties.
            bounds.insert(format!("{compare}e"), value.clone());
            filter.insert(
                "$or",
                vec![doc! { &field: { compare: value } }, doc! { "_id": { compare: &after.id } }],
            );
        }
    }
    filter.insert(field, bounds);
    Some(Find { filter, sort, index })
}

/// The values of a query. `None` when nothing can have them.
pub(super) fn equal(query: &Query) -> Option<Document> {
    let mut filter = Document::new();
    for (name, value) in &query.equal {
        if !is_plain(value) {
            return None;
        }
        // `$eq` takes any value as a value.
        filter.insert(path(name), doc! { "$eq": write_value(value) });
    }
    Some(filter)
}

/// Objects could be operators, and nothing equals null.
fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

/// What finds documents by words. `None` when nothing can be found.
pub(super) fn search(collection: &Collection, text: &str) -> Option<Document> {
    let words = words(text);
    if words.is_empty() || collection.words.is_empty() {
        return None;
    }
    // Words are letters and digits only, so that nothing in them means something in a pattern; anchored patterns
    // without regard to nothing else are served by the index.
    let each = words.iter().map(|word| doc! { WORDS: { "$regex": format!("^{word}") } });
    Some(doc! { "$and": each.collect::<Vec<_>>() })
}

/// Adds to an integer, and counts the write. A field that is absent or null counts as 0.
pub(super) fn increment(name: &str, by: i64) -> Vec<Document> {
    let field = path(name);
    vec![doc! { "$set": {
        &field: { "$add": [{ "$ifNull": [format!("${field}"), 0_i64] }, by] },
        VERSION: { "$add": [format!("${VERSION}"), 1_i64] },
    } }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{After, Index};
    use serde_json::json;

    static PETS: Collection = Collection {
        name: "pets",
        indexes: &[
            Index { name: "chip", fields: &["chip"], unique: true },
            Index { name: "owner_tricks", fields: &["owner", "tricks"], unique: false },
        ],
        words: &["about"],
        migrations: &[],
    };

    #[test]
    fn values_from_outside_are_never_operators() {
        let query = |value: Value| Query { equal: vec![("owner", value)], ..Query::first(1) };
        assert_eq!(find(&PETS, &query(json!({"$ne": null}))), None);
        assert_eq!(find(&PETS, &query(json!(["ada"]))), None);
        assert_eq!(find(&PETS, &query(Value::Null)), None);
        let found = find(&PETS, &query("$where".into())).unwrap();
        assert_eq!(found.filter, doc! { "doc.owner": { "$eq": "$where" } });
    }

    #[test]
    fn a_page_begins_after_a_place_whose_ties_the_id_breaks() {
        let after = After { value: 7.into(), id: "x".into() };
        let query = Query::with("owner", "ada", 1).ordered("tricks", Order::Descending).after(Some(after));
        let found = find(&PETS, &query).unwrap();
        assert_eq!(found.sort, doc! { "doc.tricks": -1, "_id": -1 });
        assert_eq!(found.index.as_deref(), Some("owner_tricks"));
        let ties = vec![doc! { "doc.tricks": { "$lt": 7_i64 } }, doc! { "_id": { "$lt": "x" } }];
        let expected = doc! {
            "doc.owner": { "$eq": "ada" }, "$or": ties, "doc.tricks": { "$exists": true, "$lte": 7_i64 },
        };
        assert_eq!(found.filter, expected);
    }

    #[test]
    fn unique_values_need_no_id_to_order_them() {
        let after = After { value: "c".into(), id: "x".into() };
        let query = Query::first(1).ordered("chip", Order::Ascending).after(Some(after));
        let found = find(&PETS, &query).unwrap();
        assert_eq!(found.sort, doc! { "doc.chip": 1 });
        assert_eq!(found.filter, doc! { "doc.chip": { "$exists": true, "$gt": "c" } });
    }

    #[test]
    fn a_search_has_a_condition_for_each_word_and_none_without_words() {
        let expected = vec![doc! { WORDS: { "$regex": "^cat" } }, doc! { WORDS: { "$regex": "^7" } }];
        assert_eq!(search(&PETS, "Cat.* 7"), Some(doc! { "$and": expected }));
        assert_eq!(search(&PETS, " .*"), None);
    }
}
