//! ffmpeg as a publisher.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// A running ffmpeg, killed when dropped.
pub(crate) struct Ffmpeg {
    child: Child,
}

impl Ffmpeg {
    /// Sends a file in real time without encoding it.
    pub(crate) fn publish(file: &Path, url: &str) -> Self {
        Self::publish_with(&[], file, url)
    }

    /// The same, again and again.
    pub(crate) fn publish_for_ever(file: &Path, url: &str) -> Self {
        Self::publish_with(&["-stream_loop", "-1"], file, url)
    }

    fn publish_with(input: &[&str], file: &Path, url: &str) -> Self {
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-re"])
            .args(input)
            .arg("-i")
            .arg(file)
            .args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize"])
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("ffmpeg is installed");
        Self { child }
    }

    /// Kills it as a crash does: no goodbye.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it has sent everything, and what it said.
    pub(crate) async fn finished(&mut self, within: Duration) -> (ExitStatus, String) {
        let mut said = String::new();
        let mut stderr = self.child.stderr.take();
        let run = async {
            if let Some(stderr) = &mut stderr {
                stderr.read_to_string(&mut said).await.unwrap();
            }
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(within, run).await;
        (status.unwrap_or_else(|_| panic!("ffmpeg did not end within {within:?}")), said)
    }
}
