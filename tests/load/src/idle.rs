//! Shell: connections that shake hands and then say nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::proc::resident_bytes;
use crate::rtmp_peer::{first_bytes, socket};

/// Connections from one address: below the server's limit of those that do not publish.
const PER_ADDRESS: usize = 50;
/// What the server has to settle, well before it ends connections that do not publish (10 s).
const SETTLE: Duration = Duration::from_secs(2);
/// S0, S1 and S2.
const ANSWER: usize = 1 + 2 * 1536;

/// The server's resident memory before, and with `connections` idle ones.
pub(crate) async fn run(rtmp: SocketAddr, pid: u32, connections: usize) -> anyhow::Result<Value> {
    let before = resident_bytes(pid)?;
    let mut open = Vec::new();
    for index in 0..connections {
        let host = u8::try_from(2 + index / PER_ADDRESS)?;
        let mut stream = socket(Some(IpAddr::V4(Ipv4Addr::new(127, 0, 1, host))), rtmp).await?;
        stream.write_all(&first_bytes()).await?;
        let mut answer = [0; ANSWER];
        stream.read_exact(&mut answer).await?;
        stream.write_all(&answer[1..=1536]).await?;
        open.push(stream);
    }
    sleep(SETTLE).await;
    let after = resident_bytes(pid)?;
    Ok(json!({ "connections": open.len(), "resident_before": before, "resident_after": after }))
}
