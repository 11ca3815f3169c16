//! Media that publishers send: encoded once by ffmpeg from a recipe and kept under the user's cache folder.
//!
//! Sending an encoded file costs next to nothing, so a dozen publishers fit on two cores.

use std::path::PathBuf;

use tokio::process::Command;
use tokio::sync::Mutex;

/// How a fixture is made. The file's name carries a hash of the ffmpeg arguments.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    arguments: Vec<String>,
}

/// A finished fixture.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) path: PathBuf,
}

/// Picture of a recipe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Video {
    pub(crate) size: &'static str,
    pub(crate) rate: &'static str,
    /// Frames between keyframes.
    pub(crate) gop: u32,
    pub(crate) b_frames: u32,
}

/// 640x360 at 30 frames per second with a keyframe every 2 s.
pub(crate) const PLAIN: Video = Video { size: "640x360", rate: "30", gop: 60, b_frames: 0 };

impl Recipe {
    /// A moving test picture and a tone, for so many seconds.
    pub(crate) fn new(name: &'static str, seconds: u32, video: Option<Video>, audio: bool) -> Self {
        let mut arguments: Vec<String> = Vec::new();
        let mut add = |words: &str| arguments.extend(words.split_whitespace().map(str::to_owned));
        if let Some(v) = video {
            add(&format!("-f lavfi -i testsrc2=size={}:rate={}", v.size, v.rate));
        }
        if audio {
            add("-f lavfi -i sine=frequency=440:sample_rate=48000");
        }
        add(&format!("-t {seconds}"));
        if let Some(v) = video {
            let (gop, b) = (v.gop, v.b_frames);
            let preset = if b > 0 { "veryfast" } else { "ultrafast" };
            add(&format!("-c:v libx264 -preset {preset} -profile:v main -pix_fmt yuv420p -b:v 700k"));
            add(&format!("-maxrate 900k -bufsize 900k -g {gop} -keyint_min {gop} -sc_threshold 0 -bf {b}"));
            if b == 0 {
                add("-tune zerolatency");
            }
        }
        if audio {
            add("-c:a aac -b:a 96k -ar 48000 -ac 2");
        }
        add("-flags +global_header -f flv");
        Self { name, arguments }
    }

    /// With MP3 for sound, of a rate that FLV has it in.
    pub(crate) fn with_mp3(mut self) -> Self {
        for word in &mut self.arguments {
            match word.as_str() {
                "aac" => *word = "libmp3lame".into(),
                "48000" => *word = "44100".into(),
                _ => {}
            }
        }
        self
    }

    /// A picture of a graph of ffmpeg's sources, with a keyframe every second, and a tone.
    pub(crate) fn of(name: &'static str, graph: &str) -> Self {
        let words = "-f lavfi -i GRAPH -f lavfi -i sine=frequency=440:sample_rate=48000 -shortest \
            -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 700k -g 30 -keyint_min 30 -sc_threshold 0 \
            -c:a aac -b:a 96k -ar 48000 -ac 2 -flags +global_header -f flv";
        let arguments =
            words.split_whitespace().map(|word| if word == "GRAPH" { graph } else { word }.to_owned());
        Self { name, arguments: arguments.collect() }
    }

    /// A moving test picture that is white for a tenth of a second, and a beep that begins then, every two seconds.
    pub(crate) fn flashes_and_beeps(name: &'static str, seconds: u32) -> Self {
        // Half a frame earlier than the frame that is meant.
        let white = "drawbox=c=white:t=fill:enable='between(mod(t\\,2)\\,0.685\\,0.785)'";
        let picture = format!("testsrc2=s=640x360:r=30:d={seconds},{white}");
        let beep = "if(between(mod(t\\,2)\\,0.7\\,0.8)\\,0.8*sin(2*PI*1000*t)\\,0)";
        let mut recipe = Self::of(name, &picture);
        for word in &mut recipe.arguments {
            if word.starts_with("sine=") {
                *word = format!("aevalsrc={beep}:s=48000:d={seconds}");
            }
        }
        recipe
    }

    /// The file, encoded now if it is not there yet.
    pub(crate) async fn fixture(&self) -> Fixture {
        // One encoder at a time: each uses every core.
        static ENCODING: Mutex<()> = Mutex::const_new(());
        let hash = fnv1a(self.arguments.join(" ").as_bytes());
        let folder = cache();
        let path = folder.join(format!("{}-{hash:016x}.flv", self.name));
        {
            let _guard = ENCODING.lock().await;
            if !path.is_file() {
                tokio::fs::create_dir_all(&folder).await.unwrap();
                let draft = folder.join(format!(".{}-{hash:016x}-{}.flv", self.name, std::process::id()));
                let made = Command::new("ffmpeg")
                    .args(["-v", "error", "-nostdin", "-y"])
                    .args(&self.arguments)
                    .arg(&draft)
                    .output()
                    .await
                    .expect("ffmpeg is installed");
                assert!(made.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&made.stderr));
                tokio::fs::rename(&draft, &path).await.unwrap();
            }
        }
        Fixture { path }
    }
}

/// `~/.cache/millrace/fixtures`, or under the build folder where there is no home.
fn cache() -> PathBuf {
    let home = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    home.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), |c| c.join("millrace")).join("fixtures")
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
