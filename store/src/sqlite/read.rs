//! Questions.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde_json::Value;

use super::{failed, field};
use crate::words::words;
use crate::{Collection, Order, Query, StoreError, Stored, Version};

pub(super) fn get(
    connection: &Connection,
    collection: &'static Collection,
    id: &str,
) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT id, version, json(doc) FROM {} WHERE id = ?1", collection.name);
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let row = statement.query_row([id], raw).optional().map_err(failed)?;
    row.map(|row| stored(collection, row)).transpose()
}

pub(super) fn find(
    connection: &Connection,
    collection: &'static Collection,
    query: &Query,
) -> Result<Vec<Stored>, StoreError> {
    let mut sql = format!("SELECT id, version, json(doc) FROM {}", collection.name);
    let (mut conditions, mut values) = conditions(query);
    let direction = match query.order {
        Some((_, Order::Descending)) => ("<", "DESC"),
        _ => (">", "ASC"),
    };
    let order = query.order.map(|(name, _)| field(name));
    conditions.extend(order.iter().map(|order| format!("{order} IS NOT NULL")));
    if let Some(after) = &query.after {
        match &order {
            Some(order) => {
                conditions.push(format!("({order}, id) {} (?, ?)", direction.0));
                values.push(bound(&after.value));
            }
            None => conditions.push(format!("id {} ?", direction.0)),
        }
        values.push(SqlValue::Text(after.id.clone()));
    }
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    let order = order.map_or_else(String::new, |order| format!("{order} {}, ", direction.1));
    sql.push_str(&format!(" ORDER BY {order}id {} LIMIT ?", direction.1));
    values.push(SqlValue::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    rows(connection, collection, &sql, values)
}

pub(super) fn count(
    connection: &Connection,
    collection: &'static Collection,
    query: &Query,
) -> Result<u64, StoreError> {
    let mut sql = format!("SELECT count(*) FROM {}", collection.name);
    let (conditions, values) = conditions(query);
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let count: i64 = statement.query_row(params_from_iter(values), |row| row.get(0)).map_err(failed)?;
    Ok(count.unsigned_abs())
}

pub(super) fn search(
    connection: &Connection,
    collection: &'static Collection,
    text: &str,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let words = words(text);
    if words.is_empty() || collection.words.is_empty() {
        return Ok(Vec::new());
    }
    // Words are letters and digits only, so that quoting them is enough.
    let matched = words.iter().map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" ");
    let name = collection.name;
    let sql = format!(
        "SELECT id, version, json(doc) FROM {name} WHERE rowid IN \
         (SELECT rowid FROM {name}_words WHERE {name}_words MATCH ? LIMIT ?)"
    );
    let limit = SqlValue::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
    rows(connection, collection, &sql, vec![SqlValue::Text(matched), limit])
}

fn conditions(query: &Query) -> (Vec<String>, Vec<SqlValue>) {
    let conditions = query.equal.iter().map(|(name, _)| format!("{} = ?", field(name))).collect();
    (conditions, query.equal.iter().map(|(_, value)| bound(value)).collect())
}

/// A plain value as SQLite extracts it from a document.
fn bound(value: &Value) -> SqlValue {
    match value {
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Bool(truth) => SqlValue::Integer(i64::from(*truth)),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => SqlValue::Integer(integer),
            None => SqlValue::Real(number.as_f64().unwrap_or(f64::MAX)),
        },
        // Equal to nothing.
        Value::Null | Value::Array(_) | Value::Object(_) => SqlValue::Null,
    }
}

type RawRow = (String, i64, String);

fn raw(row: &Row<'_>) -> rusqlite::Result<RawRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn stored(collection: &'static Collection, (id, version, text): RawRow) -> Result<Stored, StoreError> {
    match serde_json::from_str(&text) {
        Ok(document) => Ok(Stored { id, version: Version(version), document }),
        Err(source) => Err(StoreError::Corrupt { collection: collection.name, id, source }),
    }
}

fn rows(
    connection: &Connection,
    collection: &'static Collection,
    sql: &str,
    values: Vec<SqlValue>,
) -> Result<Vec<Stored>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let rows = statement.query_map(params_from_iter(values), raw).map_err(failed)?;
    rows.map(|row| stored(collection, row.map_err(failed)?)).collect()
}
