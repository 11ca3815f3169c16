//! How a JSON document is kept in MongoDB, and read back exactly.
//!
//! ```text
//! { _id: id, _v: version, _s: schema version, _words: [words to search], _null: [fields that are null], doc: { … } }
//! ```
//! Fields of the top level that are null are named in `_null` and absent from `doc`: then "exists" in the filter of a
//! partial index means the same as [`Index`](crate::Index) does.

use std::borrow::Cow;
use std::collections::BTreeSet;

use mongodb::bson::{Bson, Decimal128, Document};
use serde::de::Error as _;
use serde_json::{Map, Number, Value};

use crate::words::words_of;
use crate::{Collection, StoreError, Stored, Version};

pub(super) const VERSION: &str = "_v";
pub(super) const SCHEMA: &str = "_s";
pub(super) const WORDS: &str = "_words";
const NULL: &str = "_null";
const FIELDS: &str = "doc";

/// Where a field of the top level is. Field names are ours, never from outside.
pub(super) fn path(field: &str) -> String {
    debug_assert!(field.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()));
    format!("{FIELDS}.{field}")
}

/// The whole document as it is kept.
pub(super) fn write(collection: &Collection, id: &str, version: Version, document: &Value) -> Document {
    let mut kept = Document::new();
    kept.insert("_id", id);
    kept.insert(VERSION, version.0);
    kept.insert(SCHEMA, i64::from(collection.schema()));
    if !collection.words.is_empty() {
        let words: BTreeSet<String> = words_of(collection, document).into_iter().collect();
        kept.insert(WORDS, words.into_iter().map(Bson::String).collect::<Vec<_>>());
    }
    let (mut fields, mut nulls) = (Document::new(), Vec::new());
    for (name, value) in document.as_object().into_iter().flatten() {
        if value.is_null() {
            nulls.push(Bson::String(name.clone()));
        } else {
            fields.insert(escaped(name), write_value(value));
        }
    }
    if !nulls.is_empty() {
        kept.insert(NULL, nulls);
    }
    kept.insert(FIELDS, fields);
    kept
}

/// A value of a document, or one that is asked for.
pub(super) fn write_value(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(truth) => Bson::Boolean(*truth),
        Value::Number(number) => write_number(number),
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(items) => Bson::Array(items.iter().map(write_value).collect()),
        Value::Object(fields) => Bson::Document(
            fields.iter().map(|(name, value)| (escaped(name).into_owned(), write_value(value))).collect(),
        ),
    }
}

/// Integers are 64 bits wide, whatever their value; those above i64 are decimals, which hold them exactly.
fn write_number(number: &Number) -> Bson {
    if let Some(integer) = number.as_i64() {
        return Bson::Int64(integer);
    }
    match (number.as_u64(), number.to_string().parse::<Decimal128>()) {
        (Some(_), Ok(decimal)) => Bson::Decimal128(decimal),
        _ => Bson::Double(number.as_f64().unwrap_or(f64::MAX)),
    }
}

/// What was kept.
pub(super) fn read(collection: &'static Collection, kept: Document) -> Result<Stored, StoreError> {
    let id = kept.get_str("_id").unwrap_or_default().to_owned();
    match parts(kept) {
        Ok((version, document)) => Ok(Stored { id, version, document }),
        Err(source) => Err(StoreError::Corrupt { collection: collection.name, id, source }),
    }
}

/// With which schema version it was written.
pub(super) fn schema(kept: &Document) -> u32 {
    kept.get_i64(SCHEMA).ok().and_then(|version| u32::try_from(version).ok()).unwrap_or(0)
}

fn parts(mut kept: Document) -> Result<(Version, Value), serde_json::Error> {
    let version = kept.get_i64(VERSION).map_err(serde_json::Error::custom)?;
    let Some(Bson::Document(fields)) = kept.remove(FIELDS) else {
        return Err(serde_json::Error::custom("it has no fields"));
    };
    let mut document = read_fields(fields)?;
    if let Some(Bson::Array(nulls)) = kept.remove(NULL) {
        let names = nulls.iter().filter_map(Bson::as_str);
        document.extend(names.map(|name| (name.to_owned(), Value::Null)));
    }
    Ok((Version(version), Value::Object(document)))
}

fn read_fields(fields: Document) -> Result<Map<String, Value>, serde_json::Error> {
    fields.into_iter().map(|(name, value)| Ok((unescaped(&name), read_value(value)?))).collect()
}

fn read_value(value: Bson) -> Result<Value, serde_json::Error> {
    let value = match value {
        Bson::Null => Value::Null,
        Bson::Boolean(truth) => Value::Bool(truth),
        Bson::Int64(integer) => integer.into(),
        // Written by somebody's hand.
        Bson::Int32(integer) => integer.into(),
        Bson::Double(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Bson::Decimal128(decimal) => {
            decimal.to_string().parse::<u64>().map_err(serde_json::Error::custom)?.into()
        }
        Bson::String(text) => Value::String(text),
        Bson::Array(items) => Value::Array(items.into_iter().map(read_value).collect::<Result<_, _>>()?),
        Bson::Document(fields) => Value::Object(read_fields(fields)?),
        other => {
            let problem = format!("a {:?} is no JSON value", other.element_type());
            return Err(serde_json::Error::custom(problem));
        }
    };
    Ok(value)
}

/// A field name without what means something else to MongoDB (`$`, `.`) or ends a name in BSON (NUL).
fn escaped(name: &str) -> Cow<'_, str> {
    if !name.contains(['%', '$', '.', '\0']) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        match c {
            '%' => escaped.push_str("%25"),
            '$' => escaped.push_str("%24"),
            '.' => escaped.push_str("%2E"),
            '\0' => escaped.push_str("%00"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

fn unescaped(name: &str) -> String {
    let mut pieces = name.split('%');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let known = [("25", '%'), ("24", '$'), ("2E", '.'), ("00", '\0')];
        match known.iter().find_map(|(code, c)| Some((*c, piece.strip_prefix(code)?))) {
            Some((c, rest)) => {
                plain.push(c);
                plain.push_str(rest);
            }
            None => {
                plain.push('%');
                plain.push_str(piece);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    static THINGS: Collection =
        Collection { name: "things", indexes: &[], words: &["title"], migrations: &[] };

    #[test]
    fn every_json_document_is_read_as_it_was_written() {
        let documents = [
            json!({}),
            json!({"n": [i64::MIN, -1, 0, i64::MAX, u64::MAX, 1.0, -0.5, 1e300]}),
            json!({"": {"": null}, "null": null, "list": [null, [], {}], "truth": [true, false]}),
            json!({"map": {"$where": 1, "a.b": 2, "%24": 3, "%": 4, "a\0b": 5, ".": {"$": "$"}}}),
            json!({"text": "a\0b $set \u{1f431} \u{ffff}", "_id": "x", "doc": 1, "_v": 7}),
        ];
        for document in documents {
            let kept = write(&THINGS, "7", Version(3), &document);
            assert_eq!((kept.get_str("_id").unwrap(), kept.get_i64(VERSION).unwrap()), ("7", 3));
            let read = read(&THINGS, kept).unwrap();
            assert_eq!(read, Stored { id: "7".into(), version: Version(3), document });
        }
    }

    #[test]
    fn a_null_field_does_not_exist_for_an_index() {
        let kept = write(&THINGS, "7", Version(1), &json!({"chip": null}));
        assert!(!kept.get_document(FIELDS).unwrap().contains_key("chip"));
    }

    #[test]
    fn words_are_kept_once() {
        let kept = write(&THINGS, "7", Version(1), &json!({"title": "Cat, cat & Dog"}));
        let words: Vec<_> = kept.get_array(WORDS).unwrap().iter().filter_map(Bson::as_str).collect();
        assert_eq!(words, ["cat", "dog"]);
    }

    #[test]
    fn what_is_no_document_of_ours_is_corrupt() {
        for kept in [
            Document::new(),
            mongodb::bson::doc! { "_id": "7", VERSION: 1_i64 },
            mongodb::bson::doc! { "_id": "7", FIELDS: {} },
            mongodb::bson::doc! { "_id": "7", VERSION: 1_i64, FIELDS: { "at": mongodb::bson::DateTime::MAX } },
        ] {
            assert!(matches!(read(&THINGS, kept), Err(StoreError::Corrupt { .. })));
        }
    }
}
