//! Collections, indexes, schema versions.

use std::collections::HashMap;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use super::bson::{self, SCHEMA, VERSION, WORDS, path};
use super::failed;
use crate::{Collection, Index, StoreError};

/// The collection of schema versions: `{ _id: collection, version, words }`.
const SCHEMAS: &str = "_schema";
/// The server's code for a collection that exists.
const NAMESPACE_EXISTS: i32 = 48;

/// Makes the database what the collections say. Nobody else does so meanwhile; if somebody did, nothing would break:
/// a document is migrated in one write that replaces what was read.
pub(super) async fn prepare(
    database: &Database,
    collections: &[&'static Collection],
) -> Result<(), StoreError> {
    let mut found = HashMap::new();
    let mut schemas = database.collection::<Document>(SCHEMAS).find(doc! {}).await.map_err(failed)?;
    while schemas.advance().await.map_err(failed)? {
        let schema = schemas.deserialize_current().map_err(failed)?;
        found.insert(schema.get_str("_id").unwrap_or_default().to_owned(), schema);
    }
    for collection in collections {
        let version = found.get(collection.name).map_or(0, schema_version);
        if version > collection.schema() {
            let (collection, known) = (collection.name, collection.schema());
            return Err(StoreError::Newer { collection, found: version, known });
        }
    }
    let names = database.list_collection_names().await.map_err(failed)?;
    for collection in collections {
        if !names.iter().any(|name| name == collection.name) {
            create(database, collection.name).await?;
        }
        prepare_one(database, collection, found.get(collection.name)).await?;
    }
    Ok(())
}

fn schema_version(schema: &Document) -> u32 {
    schema.get_i64("version").ok().and_then(|version| u32::try_from(version).ok()).unwrap_or(0)
}

/// Before anything is written to it, because a transaction that made it would be in the way of others.
async fn create(database: &Database, name: &str) -> Result<(), StoreError> {
    let exists =
        |err: &Error| matches!(err.kind.as_ref(), ErrorKind::Command(c) if c.code == NAMESPACE_EXISTS);
    match database.create_collection(name).await {
        Err(err) if !exists(&err) => Err(failed(err)),
        _ => Ok(()),
    }
}

async fn prepare_one(
    database: &Database,
    collection: &'static Collection,
    found: Option<&Document>,
) -> Result<(), StoreError> {
    let documents = database.collection::<Document>(collection.name);
    let wanted = indexes(collection);
    let same = |one: &IndexModel, other: &IndexModel| {
        let partial = |index: &IndexModel| {
            let options = index.options.as_ref();
            options.and_then(|options| options.partial_filter_expression.clone())
        };
        name(one) == name(other)
            && one.keys == other.keys
            && is_unique(one) == is_unique(other)
            && partial(one) == partial(other)
    };
    // Indexes of an older Millrace cost writes, serve nothing, and may forbid what a migration makes.
    let mut kept = documents.list_indexes().await.map_err(failed)?;
    let mut there = Vec::new();
    while kept.advance().await.map_err(failed)? {
        there.push(kept.deserialize_current().map_err(failed)?);
    }
    for index in there.iter().filter(|index| name(index) != "_id_") {
        if !wanted.iter().any(|wanted| same(index, wanted)) {
            documents.drop_index(name(index)).await.map_err(failed)?;
        }
    }
    migrate(database, collection, found).await?;
    let missing: Vec<_> =
        wanted.into_iter().filter(|wanted| !there.iter().any(|index| same(index, wanted))).collect();
    if !missing.is_empty() {
        documents.create_indexes(missing).await.map_err(failed)?;
    }
    Ok(())
}

fn name(index: &IndexModel) -> &str {
    index.options.as_ref().and_then(|options| options.name.as_deref()).unwrap_or_default()
}

fn is_unique(index: &IndexModel) -> bool {
    index.options.as_ref().and_then(|options| options.unique).unwrap_or(false)
}

/// The name of the index that lists documents for an index of ours.
pub(super) fn listing(index: &Index) -> String {
    if index.unique && index.fields.len() > 1 {
        format!("{}__list", index.name)
    } else {
        index.name.to_owned()
    }
}

/// What serves an index of ours. A unique one holds only documents that have all its fields, so MongoDB cannot use it
/// where only the first ones are given: then another beside it lists them.
fn indexes(collection: &Collection) -> Vec<IndexModel> {
    let model = |name: String, keys: Document, unique: bool, partial: Option<Document>| {
        let options = IndexOptions::builder()
            .name(name)
            .unique(unique.then_some(true))
            .partial_filter_expression(partial)
            .build();
        IndexModel::builder().keys(keys).options(options).build()
    };
    let mut models = Vec::new();
    for index @ Index { name, fields, unique } in collection.indexes {
        let keys: Document = fields.iter().map(|field| (path(field), Bson::Int32(1))).collect();
        if *unique {
            let exist = fields.iter().map(|field| (path(field), doc! { "$exists": true }.into())).collect();
            models.push(model((*name).to_owned(), keys.clone(), true, Some(exist)));
        }
        if !unique || fields.len() > 1 {
            let mut keys = keys;
            keys.insert("_id", 1);
            models.push(model(listing(index), keys, false, None));
        }
    }
    if !collection.words.is_empty() {
        models.push(model(WORDS.to_owned(), doc! { WORDS: 1 }, false, None));
    }
    models
}

/// Brings every document to the newest schema, and its words to what is searched now.
async fn migrate(
    database: &Database,
    collection: &'static Collection,
    found: Option<&Document>,
) -> Result<(), StoreError> {
    let known = collection.schema();
    let words: Vec<_> = collection.words.iter().map(|word| Bson::from(*word)).collect();
    let recorded = doc! { "_id": collection.name, "version": i64::from(known), "words": words };
    let schemas = database.collection::<Document>(SCHEMAS);
    if found == Some(&recorded) {
        return Ok(());
    }
    if let Some(found) = found {
        let same_words = found.get("words") == recorded.get("words");
        let filter = if same_words {
            doc! { SCHEMA: { "$lt": i64::from(known) } }
        } else {
            doc! {}
        };
        // Again until a whole pass finds nothing: who was faster may have written the old schema.
        while rewrite(database, collection, filter.clone()).await? && same_words {}
        let from = schema_version(found);
        let name = collection.name;
        tracing::info!(collection = name, from, to = known, "brought {name} to schema version {known}");
    }
    schemas
        .replace_one(doc! { "_id": collection.name }, recorded)
        .upsert(true)
        .await
        .map(drop)
        .map_err(failed)
}

/// Writes documents anew as the newest schema has them; whether there were any.
async fn rewrite(
    database: &Database,
    collection: &'static Collection,
    filter: Document,
) -> Result<bool, StoreError> {
    let documents = database.collection::<Document>(collection.name);
    let mut old = documents.find(filter).await.map_err(failed)?;
    let mut any = false;
    while old.advance().await.map_err(failed)? {
        any = true;
        let kept = old.deserialize_current().map_err(failed)?;
        let schema = bson::schema(&kept);
        let stored = bson::read(collection, kept)?;
        let unchanged = doc! { "_id": &stored.id, VERSION: stored.version.0, SCHEMA: i64::from(schema) };
        let document = collection.migrated(stored.document, schema);
        let kept = bson::write(collection, &stored.id, stored.version, &document);
        documents.replace_one(unchanged, kept).await.map_err(failed)?;
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_index_of_several_fields_has_one_beside_it_that_lists_all() {
        static PETS: Collection = Collection {
            name: "pets",
            indexes: &[
                Index { name: "chip", fields: &["chip"], unique: true },
                Index { name: "owner_born", fields: &["owner", "born_at"], unique: true },
                Index { name: "tricks", fields: &["tricks"], unique: false },
            ],
            words: &["about"],
            migrations: &[],
        };
        let models = indexes(&PETS);
        let names: Vec<_> = models.iter().map(|model| (name(model), is_unique(model))).collect();
        let expected = [
            ("chip", true),
            ("owner_born", true),
            ("owner_born__list", false),
            ("tricks", false),
            (WORDS, false),
        ];
        assert_eq!(names, expected);
        assert_eq!(models[2].keys, doc! { "doc.owner": 1, "doc.born_at": 1, "_id": 1 });
        let exist = doc! { "doc.owner": { "$exists": true }, "doc.born_at": { "$exists": true } };
        let partial = models[1].options.as_ref().unwrap().partial_filter_expression.clone();
        assert_eq!(partial, Some(exist));
    }
}
