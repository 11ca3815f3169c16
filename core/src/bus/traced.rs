//! Events in traces and logs: who publishes one says why, and who handles it goes on from there.
//!
//! The bus begins no trace, it only goes on with those of requests and publishes: what is said every few seconds would
//! be most of everything that is recorded.

use std::future::Future;

use opentelemetry::trace::SpanKind;
use tracing::Instrument as _;

use super::{BusError, Topic};
use crate::event::Event;
use crate::trace::{Cause, Span};

/// An event that is about to be published, and the span of that, which ends when it is dropped. An event that says
/// nothing of its cause has that of this task.
#[must_use]
pub fn sending(topic: Topic, mut event: Event) -> (Event, Span) {
    if event.cause.is_unknown() {
        event.cause = Cause::current();
    }
    let Some(parent) = event.cause.trace else { return (event, Span::none()) };
    let kind = event.body.kind();
    let mut span = Span::within(SpanKind::Producer, format!("send {kind}"), Some(parent));
    if let Some(place) = span.place() {
        event.cause.trace = Some(place);
        describe(&mut span, &event);
        span.set("messaging.operation.type", "send");
        span.set("messaging.destination.name", topic.name());
    }
    (event, span)
}

/// Says how the publishing ended.
pub fn sent(mut span: Span, result: &Result<(), BusError>) {
    if let Err(err) = result {
        span.fail(match err {
            BusError::Closed => "closed",
            BusError::Full { .. } => "full",
            BusError::TooLarge { .. } => "too_large",
            BusError::Unavailable(_) => "unavailable",
            BusError::Refused(_) => "refused",
        });
    }
}

/// Handles an event as `who`: what `work` logs says which request it comes from, and what it publishes too.
pub fn handling<F: Future>(who: &str, event: &Event, work: F) -> impl Future<Output = F::Output> + use<F> {
    let kind = event.body.kind();
    let parent = event.cause.trace;
    let mut span = Span::none();
    if parent.is_some() {
        span = Span::follow(SpanKind::Consumer, format!("process {kind}"), parent);
        describe(&mut span, event);
        span.set("messaging.operation.type", "process");
        span.set("messaging.consumer.group.name", who.to_owned());
    }
    let cause = Cause { correlation: event.cause.correlation, trace: span.place().or(parent) };
    let log = match cause.correlation {
        Some(correlation) => {
            let trace = cause.trace.map(|trace| trace.trace_id());
            // Whatever the level of the log: it says nothing by itself.
            tracing::error_span!(
                "event", event.id = %event.id, event.kind = kind, correlation.id = %correlation, trace.id = trace
            )
        }
        None => tracing::Span::none(),
    };
    let work = cause.scope(work.instrument(log));
    async move {
        let result = work.await;
        drop(span);
        result
    }
}

/// OpenTelemetry's attributes of messages and of CloudEvents.
fn describe(span: &mut Span, event: &Event) {
    span.set("messaging.system", "millrace");
    span.set("cloudevents.event_id", event.id.to_string());
    span.set("cloudevents.event_type", event.body.kind());
    span.set("cloudevents.event_source", event.source.clone());
    if let Some(channel) = event.channel() {
        span.set("stream.id", channel.as_str().to_owned());
    }
}
