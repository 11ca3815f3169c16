//! Questions.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde_json::Value;

use super::{failed, field};
use crate::words::{FEW, words};
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
    let (sql, values) = find_statement(collection, query, None);
    rows(connection, collection, &sql, values)
}

/// Words that documents must have, in the language of FTS5, and whether few have them.
struct Matching {
    words: String,
    few: bool,
}

fn find_statement(
    collection: &Collection,
    query: &Query,
    matching: Option<Matching>,
) -> (String, Vec<SqlValue>) {
    let name = collection.name;
    let mut sql = format!("SELECT id, version, json(doc) FROM {name}");
    let (mut conditions, mut values) = conditions(query);
    if let Some(Matching { words, few }) = matching {
        if few {
            // From the words to the documents, whatever other index there is.
            sql = format!(
                "SELECT id, version, json(doc) FROM {name}_words CROSS JOIN {name} ON {name}.rowid = {name}_words.rowid"
            );
            conditions.insert(0, format!("{name}_words MATCH ?"));
            values.insert(0, SqlValue::Text(words));
        } else {
            // In the order of its index; the plus keeps this condition from choosing another way.
            let found = format!("SELECT rowid FROM {name}_words WHERE {name}_words MATCH ?");
            conditions.push(format!("+{name}.rowid IN ({found})"));
            values.push(SqlValue::Text(words));
        }
    }
    let direction = match query.order {
        Some((_, Order::Descending)) => ("<", "DESC"),
        _ => (">", "ASC"),
    };
    // What orders documents wholly needs no id, which is not in a unique index.
    let order = match query.order {
        Some((name, _)) => {
            let fields: Vec<_> = query.equal.iter().map(|(name, _)| *name).collect();
            conditions.push(format!("{} IS NOT NULL", field(name)));
            if collection.orders_wholly(&fields, name) {
                vec![field(name)]
            } else {
                vec![field(name), "id".to_owned()]
            }
        }
        None => vec!["id".to_owned()],
    };
    if let Some(after) = &query.after {
        let place = order
            .iter()
            .map(|field| if field == "id" { after.id.clone().into() } else { bound(&after.value) });
        values.extend(place);
        let marks = vec!["?"; order.len()].join(", ");
        conditions.push(format!("({}) {} ({marks})", order.join(", "), direction.0));
    }
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    let order: Vec<_> = order.iter().map(|field| format!("{field} {}", direction.1)).collect();
    sql.push_str(&format!(" ORDER BY {} LIMIT ?", order.join(", ")));
    values.push(SqlValue::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    (sql, values)
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
    query: &Query,
) -> Result<Vec<Stored>, StoreError> {
    let words = words(text);
    if words.is_empty() || collection.words.is_empty() {
        return Ok(Vec::new());
    }
    // Words are letters and digits only, so that quoting them is enough.
    let matched = words.iter().map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" ");
    let name = collection.name;
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {name}_words WHERE {name}_words MATCH ?1 LIMIT {})",
        FEW + 1
    );
    let mut statement = connection.prepare_cached(&sql).map_err(failed)?;
    let found: i64 = statement.query_row([&matched], |row| row.get(0)).map_err(failed)?;
    let few = usize::try_from(found).unwrap_or(usize::MAX) <= FEW;
    let (sql, values) = find_statement(collection, query, Some(Matching { words: matched, few }));
    rows(connection, collection, &sql, values)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{After, Index};

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
    fn few_words_lead_to_their_documents_and_common_ones_are_met_in_the_order_that_is_asked_for() {
        let connection = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&connection, &[&PETS]).unwrap();
        let query = Query::with("owner", "ada", 5).ordered("tricks", Order::Descending);
        for (few, first) in [(true, "VIRTUAL TABLE"), (false, "USING INDEX pets__owner_tricks")] {
            let matching = Some(Matching { words: "\"cat\"*".into(), few });
            let (sql, values) = find_statement(&PETS, &query, matching);
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
            let plan: Vec<_> = steps.collect::<Result<_, _>>().unwrap();
            assert!(plan[0].contains(first), "{plan:?}");
            let sorted = plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
            assert_eq!(sorted, few, "{plan:?}");
        }
    }

    #[test]
    fn every_question_is_answered_from_an_index_in_its_order() {
        let connection = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&connection, &[&PETS]).unwrap();
        let after = |value: Value| Some(After { value, id: "x".into() });
        let owner = || Query::with("owner", "ada", 5);
        let mut queries =
            vec![Query::first(5).after(after(Value::Null)), Query::with("chip", "a", 1), owner()];
        for order in [Order::Ascending, Order::Descending] {
            queries.push(Query::first(5).ordered("chip", order).after(after("a".into())));
            queries.push(owner().ordered("tricks", order));
            queries.push(owner().ordered("tricks", order).after(after(7.into())));
        }
        for query in queries {
            let (sql, values) = find_statement(&PETS, &query, None);
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
            let plan: Vec<_> = steps.collect::<Result<_, _>>().unwrap();
            assert!(
                plan[0].contains("USING INDEX") || plan[0].contains("USING COVERING INDEX"),
                "{query:?}: {plan:?}"
            );
            // What has the values of a query is few, and may be sorted by id; an order must be that of the index.
            let ties_are_sorted = plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
            assert!(query.order.is_none() || !ties_are_sorted, "{query:?}: {plan:?}");
        }
    }
}
