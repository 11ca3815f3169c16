//! What a collection promises.

use serde_json::Value;

/// A collection: its name, its indexes, its schema version.
#[derive(Debug)]
pub struct Collection {
    /// `[a-z_]+`.
    pub name: &'static str,
    /// Every way in which it is asked for.
    pub indexes: &'static [Index],
    /// Fields whose words can be searched.
    pub words: &'static [&'static str],
    /// How documents of version `n` become documents of version `n + 1`, from 0. Their number is the schema version.
    pub migrations: &'static [Migration],
}

/// Turns the document of one schema version into that of the next.
pub type Migration = fn(Value) -> Value;

/// An index over fields of the top level. A document that lacks one of them (or has null) is not in it, and so may
/// occur more than once in a unique index.
#[derive(Debug)]
pub struct Index {
    /// `[a-z_]+`, unique in the collection.
    pub name: &'static str,
    /// The fields in order. A query gives the first ones and may order by the next.
    pub fields: &'static [&'static str],
    /// No two documents have the same values.
    pub unique: bool,
}

impl Collection {
    /// The schema version that this Millrace writes.
    #[must_use]
    pub fn schema(&self) -> u32 {
        u32::try_from(self.migrations.len()).expect("a collection has few migrations")
    }

    /// The document as this Millrace keeps it, of one that was written with schema version `from`.
    #[must_use]
    pub fn migrated(&self, document: Value, from: u32) -> Value {
        let pending = self.migrations.iter().skip(from as usize);
        pending.fold(document, |document, migration| migration(document))
    }

    /// The index that serves a query: it has the fields `equal` in any order first, and `order` after them.
    #[must_use]
    pub fn index_for(&self, equal: &[&str], order: Option<&str>) -> Option<&'static Index> {
        self.indexes.iter().find(|index| {
            let (first, rest) = index.fields.split_at(equal.len().min(index.fields.len()));
            first.len() == equal.len()
                && equal.iter().all(|field| first.contains(field))
                && order.is_none_or(|order| rest.first() == Some(&order))
        })
    }

    /// Whether no two documents that have the values of `equal` and have the field `order` are equal in it: all values of
    /// a unique index are given then, and its order is the whole order.
    pub(crate) fn orders_wholly(&self, equal: &[&str], order: &str) -> bool {
        self.indexes.iter().any(|index| {
            index.unique
                && index.fields.len() == equal.len() + 1
                && index.fields.last() == Some(&order)
                && equal.iter().all(|field| index.fields.contains(field))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PETS: Collection = Collection {
        name: "pets",
        indexes: &[Index { name: "owner", fields: &["owner", "born_at"], unique: false }],
        words: &[],
        migrations: &[],
    };

    #[test]
    fn an_index_serves_its_first_fields_and_the_order_of_the_next() {
        assert!(PETS.index_for(&["owner"], Some("born_at")).is_some());
        assert!(PETS.index_for(&["owner"], None).is_some());
        assert!(PETS.index_for(&["born_at", "owner"], None).is_some());
        assert!(PETS.index_for(&["born_at"], None).is_none());
        assert!(PETS.index_for(&["owner"], Some("name")).is_none());
        assert!(PETS.index_for(&["owner", "born_at", "name"], None).is_none());
    }
}
