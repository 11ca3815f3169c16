//! What made something happen, carried along with the work.

use std::future::Future;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::task::futures::TaskLocalFuture;
use uuid::Uuid;

use super::TraceParent;

/// What made something happen. Events carry it over the bus, as extension attributes of CloudEvents 1.0: `correlationid`
/// (Correlation) and `traceparent` (Distributed Tracing). What cannot be read there is nobody's: it spoils no event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The request of a person, or the publish of an encoder, that it comes from. Logs have it too.
    #[serde(
        rename = "correlationid",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    pub correlation: Option<Uuid>,
    /// The span it happens in, if that is recorded.
    #[serde(
        rename = "traceparent",
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_text",
        deserialize_with = "lenient"
    )]
    pub trace: Option<TraceParent>,
}

tokio::task_local! {
    static CAUSE: Cause;
}

impl Cause {
    /// Of what this task does now; nothing, if nobody said.
    #[must_use]
    pub fn current() -> Self {
        CAUSE.try_with(|cause| *cause).unwrap_or_default()
    }

    /// Does `work` because of this.
    pub fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CAUSE.scope(self, work)
    }

    /// The same without its place in a trace.
    #[must_use]
    pub fn untraced(self) -> Self {
        Self { trace: None, ..self }
    }

    /// What names it in the log, whatever the level: it says nothing by itself.
    #[must_use]
    pub fn log(&self) -> tracing::Span {
        let Some(correlation) = self.correlation else { return tracing::Span::none() };
        let trace = self.trace.map(|trace| trace.trace_id());
        tracing::error_span!("because", correlation.id = %correlation, trace.id = trace)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::ref_option, reason = "serde asks so")]
fn as_text<S: Serializer>(parent: &Option<TraceParent>, serializer: S) -> Result<S::Ok, S::Error> {
    parent.map(|parent| parent.to_string()).serialize(serializer)
}

/// What cannot be read is absent.
fn lenient<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_knows_its_cause_and_what_it_starts_is_on_its_own() {
        let cause = Cause { correlation: Some(Uuid::from_u128(7)), trace: None };
        assert!(Cause::current().is_unknown());
        let inside = cause.scope(async { Cause::current() }).await;
        assert_eq!(inside, cause);
        assert!(Cause::current().is_unknown());
    }

    #[test]
    fn it_is_written_as_two_attributes_and_read_leniently() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let cause = Cause { correlation: Some(Uuid::from_u128(7)), trace: trace.parse().ok() };
        let json = serde_json::to_value(cause).unwrap();
        let id = Uuid::from_u128(7).to_string();
        assert_eq!(json, serde_json::json!({ "correlationid": id, "traceparent": trace }));
        assert_eq!(serde_json::from_value::<Cause>(json).unwrap(), cause);
        assert_eq!(serde_json::to_string(&Cause::default()).unwrap(), "{}");
        for strange in [serde_json::json!("order 7"), serde_json::json!(7), serde_json::json!(null)] {
            let json = serde_json::json!({ "correlationid": strange, "traceparent": strange });
            assert!(serde_json::from_value::<Cause>(json).unwrap().is_unknown());
        }
    }
}
