//! Tables, indexes, schema versions.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{failed, field, write};
use crate::{Collection, Index, StoreError};

/// Makes the database what the collections say.
pub(super) fn prepare(
    connection: &Connection,
    collections: &[&'static Collection],
) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema (collection TEXT PRIMARY KEY, version INTEGER NOT NULL, \
             words TEXT NOT NULL) STRICT",
        )
        .map_err(failed)?;
    for collection in collections {
        prepare_one(connection, collection)?;
    }
    Ok(())
}

fn prepare_one(connection: &Connection, collection: &'static Collection) -> Result<(), StoreError> {
    let name = collection.name;
    connection
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {name} (rowid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, \
             version INTEGER NOT NULL, doc BLOB NOT NULL) STRICT"
        ))
        .map_err(failed)?;
    let wanted: Vec<_> = collection.indexes.iter().map(|index| create_index(collection, index)).collect();
    let there = drop_other_indexes(connection, collection, &wanted)?;
    migrate(connection, collection)?;
    for sql in wanted.iter().filter(|sql| !there.contains(sql)) {
        connection.execute_batch(sql).map_err(failed)?;
    }
    Ok(())
}

/// The statement that makes an index, word for word as SQLite keeps it.
fn create_index(collection: &Collection, index: &Index) -> String {
    let name = collection.name;
    let unique = if index.unique { "UNIQUE " } else { "" };
    let mut expressions: Vec<_> = index.fields.iter().map(|name| field(name)).collect();
    if !index.unique {
        expressions.push("id".to_owned());
    }
    format!("CREATE {unique}INDEX {name}__{} ON {name} ({})", index.name, expressions.join(", "))
}

/// Brings every document to the newest schema, and its words to what is searched now, in the transaction that
/// `prepare` runs in.
fn migrate(connection: &Connection, collection: &'static Collection) -> Result<(), StoreError> {
    let name = collection.name;
    let words = collection.words.join(" ");
    let found: Option<(u32, String)> = connection
        .query_row("SELECT version, words FROM schema WHERE collection = ?1", [name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
        .map_err(failed)?;
    let known = collection.schema();
    let recorded = (known, words);
    if found.as_ref() == Some(&recorded) {
        return Ok(());
    }
    if let Some((found, _)) = found
        && found > known
    {
        return Err(StoreError::Newer { collection: name, found, known });
    }
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {name}_words")).map_err(failed)?;
    if !collection.words.is_empty() {
        connection
            .execute_batch(&format!(
                "CREATE VIRTUAL TABLE {name}_words USING fts5(words, content='', contentless_delete=1, \
                 tokenize='unicode61 remove_diacritics 0', prefix='2 3')"
            ))
            .map_err(failed)?;
    }
    if let Some((found, _)) = found {
        for (id, text) in all(connection, collection)? {
            let corrupt = |source| StoreError::Corrupt { collection: name, id: id.clone(), source };
            let document: Value = serde_json::from_str(&text).map_err(corrupt)?;
            let document = collection.migrated(document, found);
            connection
                .execute(
                    &format!("UPDATE {name} SET doc = jsonb(?2) WHERE id = ?1"),
                    params![id, document.to_string()],
                )
                .map_err(failed)?;
            write::index_words(connection, collection, &id, Some(&document))?;
        }
        tracing::info!(
            collection = name,
            from = found,
            to = known,
            "brought {name} to schema version {known}"
        );
    }
    connection
        .execute(
            "INSERT OR REPLACE INTO schema (collection, version, words) VALUES (?1, ?2, ?3)",
            params![name, recorded.0, recorded.1],
        )
        .map_err(failed)?;
    Ok(())
}

fn all(
    connection: &Connection,
    collection: &'static Collection,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = format!("SELECT id, json(doc) FROM {}", collection.name);
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// Indexes of an older Millrace cost writes, serve nothing, and may forbid what a migration makes. Answers what stays.
fn drop_other_indexes(
    connection: &Connection,
    collection: &'static Collection,
    wanted: &[String],
) -> Result<Vec<String>, StoreError> {
    let query =
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
    let mut statement = connection.prepare(query).map_err(failed)?;
    let found =
        statement.query_map([collection.name], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
    let found: Vec<(String, String)> = found.collect::<Result<_, _>>().map_err(failed)?;
    let mut there = Vec::new();
    for (index, sql) in found {
        if wanted.contains(&sql) {
            there.push(sql);
        } else {
            connection.execute_batch(&format!("DROP INDEX {index}")).map_err(failed)?;
        }
    }
    Ok(there)
}
