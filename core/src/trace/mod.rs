//! Traces: where time goes between a cause and its effects, over roles and processes.
//!
//! [`Cause`] says what made something happen; [`Span`] records how long it took, if somebody asked for traces and this
//! one is sampled. Without that a span is nothing: it costs a look at a variable.
//!
//! Names and attributes are few and harmless: ids, routes as they are declared, kinds of events. Never a stream key, a
//! token, a cookie, a path or a query as it came.

mod cause;
mod parent;

use std::borrow::Cow;
use std::future::Future;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::global::{BoxedSpan, BoxedTracer};
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use tracing::Instrument as _;

pub use cause::Cause;
pub use opentelemetry::Value;
pub use opentelemetry::trace::SpanKind;
pub use parent::{TraceParent, TraceParentError};

static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Records traces from now on. Said once; whoever is second is not heard.
pub fn record_with(tracer: BoxedTracer) {
    let _ = TRACER.set(tracer);
}

/// Whether traces are recorded.
#[must_use]
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// A stretch of work. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Box<BoxedSpan>>);

impl Span {
    /// One that is not recorded.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Begins now, as part of `parent`, or a trace of its own if the sampler wants one.
    #[must_use]
    pub fn begin(kind: SpanKind, name: impl Into<Cow<'static, str>>, parent: Option<TraceParent>) -> Self {
        let Some(tracer) = TRACER.get() else { return Self::none() };
        let builder = SpanBuilder::from_name(name).with_kind(kind);
        let span = tracer.build_with_context(builder, &context(parent));
        // What is not recorded leaves no trace: nothing is written, and nothing begins below it.
        if span.is_recording() { Self(Some(Box::new(span))) } else { Self::none() }
    }

    /// Begins now, if `parent` is recorded: as part of it, and linked to it.
    #[must_use]
    pub fn follow(kind: SpanKind, name: impl Into<Cow<'static, str>>, parent: Option<TraceParent>) -> Self {
        match (TRACER.get(), parent.filter(|parent| parent.sampled)) {
            (Some(tracer), Some(parent)) => {
                let link = Link::new(remote(parent), Vec::new(), 0);
                let builder = SpanBuilder::from_name(name).with_kind(kind).with_links(vec![link]);
                let span = tracer.build_with_context(builder, &context(Some(parent)));
                if span.is_recording() { Self(Some(Box::new(span))) } else { Self::none() }
            }
            _ => Self::none(),
        }
    }

    /// Begins now, if `parent` is recorded, as part of it.
    #[must_use]
    pub fn within(kind: SpanKind, name: impl Into<Cow<'static, str>>, parent: Option<TraceParent>) -> Self {
        match parent {
            Some(parent) if parent.sampled => Self::begin(kind, name, Some(parent)),
            _ => Self::none(),
        }
    }

    /// Notes what took from `start` to `end`, as part of `parent`, if that is recorded.
    pub fn past<const N: usize>(
        name: &'static str,
        parent: Option<TraceParent>,
        (start, end): (SystemTime, SystemTime),
        attributes: [(&'static str, Value); N],
    ) {
        let (Some(tracer), Some(parent)) = (TRACER.get(), parent.filter(|parent| parent.sampled)) else {
            return;
        };
        let attributes = attributes.map(|(key, value)| KeyValue::new(key, value));
        let builder = SpanBuilder::from_name(name).with_start_time(start).with_attributes(attributes);
        tracer.build_with_context(builder, &context(Some(parent))).end_with_timestamp(end);
    }

    /// Where it is, if it is recorded.
    #[must_use]
    pub fn place(&self) -> Option<TraceParent> {
        let context = self.0.as_ref()?.span_context();
        Some(TraceParent {
            trace: NonZeroU128::new(u128::from_be_bytes(context.trace_id().to_bytes()))?,
            span: NonZeroU64::new(u64::from_be_bytes(context.span_id().to_bytes()))?,
            sampled: context.is_sampled(),
        })
    }

    /// Says more of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Notes that something happens in it now.
    pub fn event(&mut self, name: &'static str) {
        if let Some(span) = &mut self.0 {
            span.add_event(name, Vec::new());
        }
    }

    /// The same, with one more word.
    pub fn event_because(&mut self, name: &'static str, reason: &'static str) {
        if let Some(span) = &mut self.0 {
            span.add_event(name, vec![KeyValue::new("reason", reason)]);
        }
    }

    /// It did not go well: one of few words why.
    pub fn fail(&mut self, reason: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::error(reason));
        }
    }
}

/// Does what was put off, because of what `asked` for it then.
pub fn job<F: Future>(name: &'static str, asked: Cause, work: F) -> impl Future<Output = F::Output> + use<F> {
    let span = Span::follow(SpanKind::Consumer, name, asked.trace);
    let cause = Cause { correlation: asked.correlation, trace: span.place().or(asked.trace) };
    let work = cause.scope(work.instrument(cause.log()));
    async move {
        let result = work.await;
        drop(span);
        result
    }
}

fn remote(parent: TraceParent) -> SpanContext {
    let TraceParent { trace, span, sampled } = parent;
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    SpanContext::new(TraceId::from(trace.get()), SpanId::from(span.get()), flags, true, TraceState::default())
}

fn context(parent: Option<TraceParent>) -> Context {
    let empty = Context::new();
    match parent {
        Some(parent) => empty.with_remote_span_context(remote(parent)),
        None => empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_recorded_unless_somebody_asked() {
        assert!(!is_on());
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok();
        for mut span in [
            Span::begin(SpanKind::Server, "GET", parent),
            Span::follow(SpanKind::Consumer, "process", parent),
            Span::within(SpanKind::Internal, "part", parent),
        ] {
            assert_eq!(span.place(), None);
            span.event("it does no harm");
        }
        assert_eq!(std::mem::size_of::<Span>(), std::mem::size_of::<usize>());
    }
}
