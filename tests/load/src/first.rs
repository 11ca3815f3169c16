//! Shell: how long a new broadcast takes from the publisher's connect to the first playlist that can be played.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::http::Http;
use crate::playlist::lists_a_part;
use crate::publisher::publish;
use crate::summary;
use crate::tape::Tape;

/// Time between two looks.
const POLL: Duration = Duration::from_millis(5);
/// Nobody waits longer.
const LONGEST: Duration = Duration::from_secs(20);

/// Where the playlist is looked for.
pub(crate) enum Playlist {
    /// On Millrace.
    Http(SocketAddr),
    /// In the folder where nginx-rtmp writes.
    Folder(PathBuf),
}

/// Measures `rounds` broadcasts, one after the other.
pub(crate) async fn run(
    tape: Tape,
    rtmp: SocketAddr,
    playlist: &Playlist,
    rounds: usize,
) -> anyhow::Result<Value> {
    let tape = Rc::new(tape);
    let mut took = Vec::new();
    for round in 0..rounds {
        let channel = format!("first_{round}");
        let start = tokio::time::Instant::now();
        let publishing = publish(rtmp, channel.clone(), Rc::clone(&tape), start, Rc::default());
        tokio::select! {
            ended = publishing => ended?,
            playable = playable(playlist, &channel) => {
                playable?;
                took.push(start.into_std().elapsed());
            }
        }
    }
    ensure!(took.len() == rounds, "the server ended a broadcast");
    Ok(json!({ "first_playlist_ms": summary::millis(took) }))
}

async fn playable(playlist: &Playlist, channel: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut connection = match playlist {
        Playlist::Http(address) => Some(Http::connect(*address).await?),
        Playlist::Folder(_) => None,
    };
    loop {
        let there = match (playlist, &mut connection) {
            (Playlist::Folder(folder), _) => std::fs::read_to_string(folder.join(format!("{channel}.m3u8")))
                .is_ok_and(|text| text.contains("#EXTINF")),
            (Playlist::Http(_), Some(connection)) => {
                let answer = connection.get(&format!("/live/{channel}/main/index.m3u8"), true).await?;
                answer.status == 200 && lists_a_part(&String::from_utf8_lossy(&answer.body))
            }
            (Playlist::Http(_), None) => false,
        };
        if there {
            return Ok(());
        }
        ensure!(began.elapsed() < LONGEST, "{channel} had no playlist after {LONGEST:?}");
        sleep(POLL).await;
    }
}
