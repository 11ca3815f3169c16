//! Questions to one collection.

use serde_json::Value;

/// Documents whose fields have certain values, in an order, from a place, so many. An index must serve it:
/// [`Collection::index_for`](crate::Collection::index_for).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Fields and their values. Values are strings, integers or booleans; never objects, so that nothing from outside
    /// can become an operator of the engine.
    pub equal: Vec<(&'static str, Value)>,
    /// In which order; by id if absent. Equal ones are ordered by id, in the same direction. Documents without this
    /// field (or with null) are not found.
    pub order: Option<(&'static str, Order)>,
    /// Only what comes after this place in the order.
    pub after: Option<After>,
    /// At most so many.
    pub limit: usize,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// A place in an order: that of a document that was listed.
#[derive(Debug, Clone, PartialEq)]
pub struct After {
    /// The value of the ordering field; ignored in the order by id.
    pub value: Value,
    /// The document's id.
    pub id: String,
}

impl Query {
    /// Everything, by id, at most `limit`.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The documents with this value, at most `limit`.
    #[must_use]
    pub fn with(field: &'static str, value: impl Into<Value>, limit: usize) -> Self {
        Self::first(limit).and(field, value)
    }

    /// And with this value.
    #[must_use]
    pub fn and(mut self, field: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        debug_assert!(
            value.is_string() || value.is_i64() || value.is_u64() || value.is_boolean(),
            "only plain values are asked for"
        );
        self.equal.push((field, value));
        self
    }

    /// In this order.
    #[must_use]
    pub fn ordered(mut self, field: &'static str, order: Order) -> Self {
        self.order = Some((field, order));
        self
    }

    /// From this place on.
    #[must_use]
    pub fn after(mut self, after: Option<After>) -> Self {
        self.after = after;
        self
    }
}
