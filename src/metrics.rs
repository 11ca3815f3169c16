//! `/metrics`: Prometheus text, on a listener of its own.
#![expect(clippy::disallowed_methods, reason = "shell: a task for upkeep")]

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use crate::process;

/// Bounds of histograms of seconds: a part's way through the server is about a millisecond.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
/// How often the exporter folds recorded values into its histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts recording.
///
/// # Errors
/// A recorder is installed already.
pub(crate) fn start() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()
        .context("failed to start the metrics recorder")?;
    metrics::describe_gauge!("millrace_build_info", "Always 1; version and commit are in the labels");
    metrics::gauge!("millrace_build_info", "version" => crate::VERSION, "commit" => crate::COMMIT).set(1);
    metrics::describe_gauge!("millrace_ready", "1 while a part of the process is ready, else 0");
    metrics::describe_gauge!(
        "millrace_tls_certificate_expires_timestamp_seconds",
        "When the certificate that is shown ends"
    );
    metrics::describe_gauge!(
        "millrace_tls_certificate_renewal_timestamp_seconds",
        "When automatic HTTPS replaces the certificate that is shown"
    );
    metrics::describe_counter!(
        "millrace_acme_orders_total",
        "Certificates that were ordered by what became of it"
    );
    millrace_api::telemetry::register();
    millrace_chat::telemetry::register();
    crate::traces::register();
    process::register();
    Ok(handle)
}

/// Keeps the recorder's memory bounded, and what the process uses known.
pub(crate) async fn upkeep(handle: PrometheusHandle, shutdown: CancellationToken) {
    let mut interval = tokio::time::interval(UPKEEP);
    while shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        handle.run_upkeep();
        process::record();
    }
}

/// The route.
pub(crate) fn router(handle: PrometheusHandle) -> Router {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Router::new()
        .route("/metrics", get(move || async move { ([(header::CONTENT_TYPE, kind)], handle.render()) }))
        .fallback(millrace_http::layers::unknown_path)
}
