//! Traces, to an OpenTelemetry collector (OTLP over HTTP), if the environment names one.
//!
//! A span that ends goes into a bounded queue; a task sends what is there. Nobody waits for it: when the queue is full,
//! because the collector is away or slow, the newest spans are dropped and counted.
#![expect(clippy::disallowed_methods, reason = "shell: a task, time limits")]

mod settings;

use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use metrics::Counter;
use opentelemetry::{InstrumentationScope, Key, KeyValue, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use settings::{Settings, read};

const SPANS: &str = "millrace_trace_spans_total";
/// What becomes of a span.
const OUTCOMES: [&str; 3] = ["sent", "dropped", "failed"];
/// Longest that the last spans may take at the end of the process.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// Makes the series of what becomes of spans.
pub(crate) fn register() {
    metrics::describe_counter!(SPANS, "Spans of traces by what became of them");
    for outcome in OUTCOMES {
        counter(outcome).absolute(0);
    }
}

fn counter(outcome: &'static str) -> Counter {
    metrics::counter!(SPANS, "outcome" => outcome)
}

/// The traces of this process.
#[derive(Debug)]
pub(crate) struct Traces {
    sending: JoinHandle<()>,
    stop: CancellationToken,
    _provider: SdkTracerProvider,
}

impl Traces {
    /// Records from now on, as the node of this name.
    ///
    /// # Errors
    /// The environment says something that the exporter cannot do.
    pub(crate) fn start(settings: Settings, node: &str) -> anyhow::Result<Self> {
        let resource = resource(node);
        let mut exporter = SpanExporter::builder()
            .with_http()
            .build()
            .context("cannot send traces; look at the OTEL_EXPORTER_OTLP variables")?;
        exporter.set_resource(&resource);
        let (spans, ended) = mpsc::channel(settings.queue);
        let queue = Queue { spans, dropped: counter("dropped") };
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_span_processor(queue).build();
        global::set_tracer_provider(provider.clone());
        let scope = InstrumentationScope::builder("millrace").with_version(crate::VERSION).build();
        millrace_core::trace::record_with(global::tracer_with_scope(scope));
        let stop = CancellationToken::new();
        let sending = tokio::spawn(send(exporter, ended, settings, stop.clone()));
        tracing::info!("traces are sent to the collector of {}", settings::ENDPOINT);
        Ok(Self { sending, stop, _provider: provider })
    }

    /// Sends what there is, within `grace`.
    pub(crate) async fn close(self, grace: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(grace.min(LAST_SPANS), self.sending).await.is_err() {
            tracing::warn!("the last spans were not sent within the grace period");
        }
    }
}

/// Who records: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, and what they leave open.
fn resource(node: &str) -> Resource {
    let said = Resource::builder().build();
    let mut resource = Resource::builder();
    let name = said.get(&Key::from_static_str("service.name"));
    if name.is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        resource = resource.with_service_name("millrace");
    }
    for (key, value) in [("service.instance.id", node), ("service.version", crate::VERSION)] {
        if said.get(&Key::from_static_str(key)).is_none() {
            resource = resource.with_attribute(KeyValue::new(key, value.to_owned()));
        }
    }
    resource.build()
}

/// Takes spans that ended.
#[derive(Debug)]
struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: Counter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Where batches go.
trait Collector {
    fn take(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send;
}

impl Collector for SpanExporter {
    fn take(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        self.export(batch)
    }
}

/// Sends spans in batches until `stop`, then what is there.
async fn send(
    collector: impl Collector,
    mut spans: mpsc::Receiver<SpanData>,
    settings: Settings,
    stop: CancellationToken,
) {
    let (sent, failed) = (counter("sent"), counter("failed"));
    let mut away = false;
    loop {
        let batch = gather(&mut spans, settings, &stop).await;
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        let result = collector.take(batch).await;
        match &result {
            Ok(()) => sent.increment(count),
            Err(_) => failed.increment(count),
        }
        if away != result.is_err() {
            away = result.is_err();
            match result {
                Ok(()) => tracing::info!("the collector takes traces again"),
                Err(err) => tracing::warn!(%err, "the collector does not take traces; they are lost for now"),
            }
        }
    }
}

/// The next batch: full, or as old as it may be. Empty: there is no more.
async fn gather(
    spans: &mut mpsc::Receiver<SpanData>,
    settings: Settings,
    stop: &CancellationToken,
) -> Vec<SpanData> {
    let mut batch = Vec::new();
    let mut due = pin!(tokio::time::sleep(settings.delay));
    while batch.len() < settings.batch {
        let first = batch.is_empty();
        let room = settings.batch - batch.len();
        tokio::select! {
            biased;
            () = stop.cancelled(), if !spans.is_closed() => spans.close(),
            received = spans.recv_many(&mut batch, room) => {
                if received == 0 {
                    break;
                }
                if first {
                    due.as_mut().reset(tokio::time::Instant::now() + settings.delay);
                }
            }
            () = &mut due, if !first && !spans.is_closed() => break,
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    fn span() -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "part".into(),
            start_time: std::time::SystemTime::UNIX_EPOCH,
            end_time: std::time::SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    /// Notes how large batches were, and refuses as many as it is told.
    #[derive(Clone, Default)]
    struct Noting(Arc<Mutex<(Vec<usize>, usize)>>);

    impl Collector for Noting {
        async fn take(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let mut noted = self.0.lock().unwrap();
            noted.0.push(batch.len());
            match noted.1.checked_sub(1) {
                Some(left) => {
                    noted.1 = left;
                    Err(OTelSdkError::InternalFailure("away".into()))
                }
                None => Ok(()),
            }
        }
    }

    const SETTINGS: Settings = Settings { queue: 4, batch: 3, delay: Duration::from_secs(5) };

    #[tokio::test(start_paused = true)]
    async fn batches_are_full_or_old_and_the_end_sends_the_rest() {
        let (spans, ended) = mpsc::channel(SETTINGS.queue);
        let (collector, stop) = (Noting::default(), CancellationToken::new());
        let sending = tokio::spawn(send(collector.clone(), ended, SETTINGS, stop.clone()));
        for _ in 0..4 {
            spans.send(span()).await.unwrap();
        }
        let began = tokio::time::Instant::now();
        while collector.0.lock().unwrap().0.len() < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() >= SETTINGS.delay, "the fourth waits for others");
        assert_eq!(collector.0.lock().unwrap().0, [3, 1]);
        spans.send(span()).await.unwrap();
        stop.cancel();
        sending.await.unwrap();
        assert_eq!(collector.0.lock().unwrap().0, [3, 1, 1]);
        assert!(began.elapsed() < SETTINGS.delay * 2, "the last one waits for nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_is_away_costs_its_spans_and_nothing_else() {
        let (spans, ended) = mpsc::channel(SETTINGS.queue);
        let collector = Noting::default();
        collector.0.lock().unwrap().1 = 1;
        let stop = CancellationToken::new();
        let queue = Queue { spans, dropped: Counter::noop() };
        for _ in 0..10 {
            // Nobody takes them yet: the queue is full after four.
            queue.on_end(span());
        }
        stop.cancel();
        send(collector.clone(), ended, SETTINGS, stop).await;
        assert_eq!(collector.0.lock().unwrap().0, [3, 1]);
    }
}
