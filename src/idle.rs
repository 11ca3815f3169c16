//! `millrace wait-idle`: waits until nobody publishes to the server on this machine. For what stops it in an orderly way.
#![expect(clippy::disallowed_methods, reason = "shell: asks a server until time is up")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::cli::WaitIdle;
use crate::config::Config;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const ANSWER_MAX_BYTES: u64 = 16 << 20;
/// What counts them.
const PUBLISHERS: &str = "millrace_publishers ";

/// Waits, at most as long as is said.
///
/// # Errors
/// There is no server, or one without publishers to count.
pub(crate) fn wait(WaitIdle { within, file }: &WaitIdle) -> anyhow::Result<()> {
    let addr = Config::load(file.config.as_deref(), None)?.metrics_addr;
    let end = Instant::now() + *within;
    loop {
        let live = publishers(&ask(addr).with_context(|| format!("no server answers at {addr}"))?)
            .context("the server does not say how many publish: it has no role ingest")?;
        if live == 0 {
            crate::say("nobody publishes");
            return Ok(());
        }
        if Instant::now() >= end {
            crate::say(&format!("{live} publish still, and time is up"));
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now())));
    }
}

/// How many publish.
fn publishers(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(PUBLISHERS)?.trim().parse().ok())
}

fn ask(addr: SocketAddr) -> anyhow::Result<String> {
    let host = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(host, addr.port()), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer)?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "the server answered {:?}", answer.lines().next());
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishers_are_found_among_other_metrics() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE millrace_publishers gauge\nmillrace_publishers 3\nmillrace_publishers_x 9\n";
        assert_eq!(publishers(text), Some(3));
        assert_eq!(publishers("millrace_publish_total 3\n"), None);
    }
}
