//! Signals: the first one drains, the second one exits at once.
#![expect(clippy::disallowed_methods, reason = "shell: a task waits for signals")]

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: 128 + SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Cancels the token at the first SIGINT or SIGTERM and ends the process at the second.
///
/// # Errors
/// The signal handlers could not be set up.
pub(crate) fn on_signals() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        next(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping: no new work; ending connections in order. A second signal exits at once");
        token.cancel();
        next(&mut interrupt, &mut terminate).await;
        tracing::warn!("second signal: exiting at once");
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(shutdown)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
