//! The log: to standard error, for people or for machines.

use std::io::IsTerminal;

use crate::config::{Config, LogFormat};

/// Starts logging. The filter was checked with the configuration.
pub(crate) fn start(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(&config.log);
    // Nobody may be listening: the complaint about that would go there too, and end the task that logs.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().with_current_span(false).init(),
    }
}
