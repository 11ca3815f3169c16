//! Tables, indexes, schema versions.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::{failed, field, write};
use crate::{Collection, StoreError};

/// Makes the database what the collections say.
pub(super) fn prepare(
    connection: &Connection,
    collections: &[&'static Collection],
) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema (collection TEXT PRIMARY KEY, version INTEGER) STRICT",
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
    migrate(connection, collection)?;
    drop_unknown_indexes(connection, collection)?;
    for index in collection.indexes {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let mut expressions: Vec<_> = index.fields.iter().map(|name| field(name)).collect();
        if !index.unique {
            expressions.push("id".to_owned());
        }
        let sql = format!(
            "CREATE {unique}INDEX IF NOT EXISTS {name}__{} ON {name} ({})",
            index.name,
            expressions.join(", ")
        );
        connection.execute_batch(&sql).map_err(failed)?;
    }
    Ok(())
}

/// Brings every document to the newest schema, in the transaction that `prepare` runs in.
fn migrate(connection: &Connection, collection: &'static Collection) -> Result<(), StoreError> {
    let name = collection.name;
    let found: Option<u32> = connection
        .query_row("SELECT version FROM schema WHERE collection = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let known = collection.schema();
    let is_new = found.is_none();
    let found = found.unwrap_or(known);
    if found > known {
        return Err(StoreError::Newer { collection: name, found, known });
    }
    let words_exist = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = ?1", [format!("{name}_words")], |_| Ok(()))
        .optional()
        .map_err(failed)?
        .is_some();
    if !collection.words.is_empty() && !words_exist {
        connection
            .execute_batch(&format!(
                "CREATE VIRTUAL TABLE {name}_words USING fts5(words, content='', contentless_delete=1, \
                 tokenize='unicode61 remove_diacritics 0', prefix='2 3')"
            ))
            .map_err(failed)?;
    }
    let fill_words = !collection.words.is_empty() && !words_exist;
    if found < known || fill_words {
        let pending = &collection.migrations[found as usize..];
        for (id, text) in all(connection, collection)? {
            let corrupt = |source| StoreError::Corrupt { collection: name, id: id.clone(), source };
            let document: Value = serde_json::from_str(&text).map_err(corrupt)?;
            let document = pending.iter().fold(document, |document, migration| migration(document));
            write::index_words(connection, collection, &id, None)?;
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
    if is_new || found < known {
        connection
            .execute(
                "INSERT OR REPLACE INTO schema (collection, version) VALUES (?1, ?2)",
                params![name, known],
            )
            .map_err(failed)?;
    }
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

/// Indexes of an older Millrace cost writes and serve nothing.
fn drop_unknown_indexes(connection: &Connection, collection: &'static Collection) -> Result<(), StoreError> {
    let name = collection.name;
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL";
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let found = statement.query_map([name], |row| row.get::<_, String>(0)).map_err(failed)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(failed)?;
    for index in found {
        let known = |known: &&crate::Index| index == format!("{name}__{}", known.name);
        if !collection.indexes.iter().any(|index| known(&index)) {
            connection.execute_batch(&format!("DROP INDEX {index}")).map_err(failed)?;
        }
    }
    Ok(())
}
