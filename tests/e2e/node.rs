//! The scripts of `tests/browser`, run by Node.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::wait::until;

/// Chromium's start on a busy machine.
const START: Duration = Duration::from_secs(60);

/// The folder with the scripts, with its packages installed.
pub(crate) fn scripts() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    assert!(
        folder.join("node_modules/playwright-core").is_dir(),
        "run `npm ci` in tests/browser first (`make test` does)"
    );
    folder
}

/// Runs a script to its end and returns its lines.
pub(crate) async fn run(script: &str, arguments: &[&str]) -> Vec<Value> {
    let output = Command::new("node").arg(scripts().join(script)).args(arguments).output().await.unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A page in Chromium that is being watched.
pub(crate) struct Viewer {
    _child: Child,
    input: ChildStdin,
    samples: Arc<Mutex<Vec<Value>>>,
    name: String,
}

impl Viewer {
    /// A bare page with unmodified hls.js.
    pub(crate) async fn stock(playlist: &str) -> Self {
        Self::start(&["--mode", "stock", "--url", playlist]).await
    }

    /// Our page, with the browser's autoplay rule lifted.
    pub(crate) async fn page(url: &str) -> Self {
        Self::start(&["--mode", "page", "--url", url]).await
    }

    /// Our page, with the browser's autoplay rule in force.
    pub(crate) async fn strict_page(url: &str) -> Self {
        Self::start(&["--mode", "page", "--url", url, "--autoplay", "no"]).await
    }

    async fn start(arguments: &[&str]) -> Self {
        let viewer = Self::script("watch.mjs", arguments);
        until("the browser shows the page", START, || async { viewer.last("at") }).await;
        viewer
    }

    /// A script that takes orders with [`Viewer::ask`].
    pub(crate) fn script(script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new("node")
            .arg(scripts().join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed");
        let samples = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let kept = Arc::clone(&samples);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(sample) = serde_json::from_str(&line) {
                    kept.lock().unwrap().push(sample);
                }
            }
        });
        let input = child.stdin.take().unwrap();
        Self { _child: child, input, samples, name: arguments[1].to_owned() }
    }

    /// Everything said so far.
    pub(crate) fn samples(&self) -> Vec<Value> {
        self.samples.lock().unwrap().clone()
    }

    /// The newest line that has this member.
    pub(crate) fn last(&self, member: &str) -> Option<Value> {
        self.samples.lock().unwrap().iter().rev().find(|s| !s[member].is_null()).cloned()
    }

    /// Tells the script something and waits for its answer under `member`.
    pub(crate) async fn ask(&mut self, order: &str, member: &str) -> Value {
        self.ask_within(order, member, Duration::from_secs(15)).await
    }

    /// The same, for what takes longer.
    pub(crate) async fn ask_within(&mut self, order: &str, member: &str, within: Duration) -> Value {
        let before = self.samples.lock().unwrap().len();
        self.input.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        let samples = Arc::clone(&self.samples);
        until(order, within, || {
            let answer = samples.lock().unwrap()[before..].iter().find(|s| !s[member].is_null()).cloned();
            async move { answer }
        })
        .await[member]
            .clone()
    }

    /// Waits until the picture moves and sound is decoded for the given time without a pause.
    pub(crate) async fn plays_for(&self, seconds: f64, within: Duration) {
        let from = self.samples.lock().unwrap().len();
        let what = format!("{}: picture and sound for {seconds} s", self.name);
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let samples = self.samples.lock().unwrap()[from..].to_vec();
            if longest_play(&samples) >= seconds {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{what}: not within {within:?}; last samples:\n{}",
                tail(&samples)
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Live edge (media sequence number) never went back, and the page was never reloaded.
    pub(crate) fn assert_never_went_back(&self) {
        let samples = self.samples();
        let edges: Vec<u64> = samples.iter().filter_map(|s| s["edge"]["msn"].as_u64()).collect();
        assert!(edges.windows(2).all(|w| w[0] <= w[1]), "{}: msn went back: {edges:?}", self.name);
        let navigations = samples.iter().filter_map(|s| s["navigations"].as_u64()).max();
        assert_eq!(navigations, Some(1), "{}: the page was loaded again", self.name);
        let fatal: Vec<_> = samples
            .iter()
            .filter_map(|s| s["errors"].as_array())
            .flatten()
            .filter(|e| e["fatal"] == true)
            .collect();
        assert!(fatal.is_empty(), "{}: fatal errors {fatal:?}", self.name);
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}: last samples\n{}", self.name, tail(&self.samples()));
        }
    }
}

/// The longest stretch in which every second brought new pictures and more decoded sound.
fn longest_play(samples: &[Value]) -> f64 {
    let number = |s: &Value, name: &str| s[name].as_f64();
    let (mut start, mut moved, mut longest) = (None, 0.0, 0.0f64);
    let mut before: Option<(f64, f64, Value)> = None;
    for sample in samples {
        let (Some(at), Some(frames), Some(sound)) =
            (number(sample, "at"), number(sample, "frames"), number(sample, "audioBytes"))
        else {
            continue;
        };
        // The page took another player: it counts from the beginning.
        if before.as_ref().is_some_and(|(f, _, _)| frames < *f) {
            (start, before) = (None, None);
        }
        let moving = before.as_ref().is_some_and(|(f, s, picture)| {
            frames > *f && sound > *s && (*picture != sample["picture"] || sample["picture"].is_null())
        });
        if moving {
            let begun = *start.get_or_insert(at);
            moved = at;
            longest = longest.max(at - begun);
        } else if at - moved > 1.0 {
            start = None;
        }
        if moving || before.is_none() {
            before = Some((frames, sound, sample["picture"].clone()));
        }
    }
    longest
}

fn tail(samples: &[Value]) -> String {
    let from = samples.len().saturating_sub(6);
    samples[from..].iter().map(|s| s.to_string() + "\n").collect()
}
