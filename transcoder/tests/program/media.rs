//! Media made by the ffmpeg command, read into access units, and judged by it.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use millrace_core::transcode::LadderOrder;

/// A picture of a source, in the order of decoding.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub(crate) pts: i64,
    pub(crate) sync: bool,
    pub(crate) data: Bytes,
}

/// An encoded source.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) record: Bytes,
    pub(crate) units: Vec<Unit>,
}

impl Source {
    /// `input` is a filter that makes pictures, `encoding` the arguments of the encoder.
    pub(crate) fn made(input: &str, encoding: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("source.flv");
        let mut arguments = vec!["-f", "lavfi", "-i", input];
        arguments.extend(encoding.split_whitespace());
        let name = file.to_str().unwrap();
        // FLV's times are milliseconds: these are read from a file that has them exactly.
        let exact = folder.path().join("source.mp4");
        arguments.extend(["-c:v", "libx264", "-video_track_timescale", "90000", exact.to_str().unwrap()]);
        ffmpeg(&arguments);
        ffmpeg(&["-i", exact.to_str().unwrap(), "-c", "copy", name]);
        let mut source = Self::of_flv(&std::fs::read(&file).unwrap());
        let listed = probe(&exact, &["-show_entries", "packet=pts"]);
        let exact: Vec<i64> = listed.lines().map(|pts| pts.trim_end_matches(',').parse().unwrap()).collect();
        assert_eq!(exact.len(), source.units.len());
        source.units.iter_mut().zip(exact).for_each(|(unit, pts)| unit.pts = pts);
        source
    }

    fn of_flv(bytes: &[u8]) -> Self {
        let number = |bytes: &[u8]| bytes.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (mut at, mut record, mut units) = (13, Bytes::new(), Vec::new());
        while let Some(head) = bytes.get(at..at + 11) {
            let body = &bytes[at + 11..][..number(&head[1..4])];
            at += 11 + body.len() + 4;
            if head[0] != 9 {
                continue;
            }
            let data = Bytes::copy_from_slice(&body[5..]);
            match body[1] {
                0 => record = data,
                1 => units.push(Unit { pts: 0, sync: body[0] >> 4 == 1, data }),
                _ => {}
            }
        }
        Self { record, units }
    }

    /// Presentation times in their order.
    pub(crate) fn times(&self) -> Vec<i64> {
        let mut times: Vec<_> = self.units.iter().map(|unit| unit.pts).collect();
        times.sort_unstable();
        times
    }

    /// The orders of all pictures; each keyframe is a cut.
    pub(crate) fn orders(&self) -> impl Iterator<Item = LadderOrder> {
        let picture = |unit: &Unit| LadderOrder::Picture {
            pts: unit.pts,
            sync: unit.sync,
            cut: unit.sync,
            data: unit.data.clone(),
        };
        std::iter::once(LadderOrder::Configure(self.record.clone())).chain(self.units.iter().map(picture))
    }

    /// The same with start codes, for the ffmpeg command.
    pub(crate) fn write(&self, file: &Path) {
        let units: Vec<_> = self.units.iter().map(|unit| unit.data.clone()).collect();
        write_stream(file, &self.record, &units);
    }
}

/// Writes pictures with start codes, parameter sets first.
pub(crate) fn write_stream(file: &Path, record: &[u8], units: &[Bytes]) {
    let mut stream = Vec::new();
    let mut at = 6;
    for sets in [1, usize::from(record[6 + 2 + usize::from(u16::from_be_bytes([record[6], record[7]]))])] {
        for _ in 0..sets {
            let length = usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(&record[at + 2..][..length]);
            at += 2 + length;
        }
        at += 1;
    }
    for unit in units {
        let mut rest = &unit[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(&after[..length]);
            rest = &after[length..];
        }
    }
    std::fs::write(file, stream).unwrap();
}

pub(crate) fn ffmpeg(arguments: &[&str]) {
    run("ffmpeg", &[&["-v", "error", "-y", "-nostdin"], arguments].concat());
}

/// What ffprobe says of a file's video, one line a thing.
pub(crate) fn probe(file: &Path, arguments: &[&str]) -> String {
    let fixed = ["-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"];
    run("ffprobe", &[&fixed, arguments, &[file.to_str().unwrap()]].concat())
}

/// The same of a file's audio.
pub(crate) fn probe_audio(file: &Path, arguments: &[&str]) -> String {
    run("ffprobe", &[&["-v", "error", "-of", "csv=p=0"], arguments, &[file.to_str().unwrap()]].concat())
}

/// How near every picture of one file is to that of another at the same place, in dB, the worst of them. Also says that both decode
/// without an error and are equally many.
pub(crate) fn worst_psnr(file: &Path, of: &Path, (width, height): (u16, u16), select: &str) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("psnr");
    let graph = format!(
        "[1:v]{select}scale={width}:{height}:flags=bicubic,setpts=N,format=yuv420p[a];[0:v]setpts=N,format=yuv420p[b];[b][a]psnr=stats_file={}:shortest=0:eof_action=endall",
        log.display()
    );
    let (file, of) = (file.to_str().unwrap(), of.to_str().unwrap());
    ffmpeg(&[
        "-xerror",
        "-err_detect",
        "explode",
        "-i",
        file,
        "-i",
        of,
        "-lavfi",
        &graph,
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ]);
    let log = std::fs::read_to_string(log).unwrap();
    let values = log.lines().map(|line| {
        let value = line.split("psnr_avg:").nth(1).unwrap().split_whitespace().next().unwrap();
        if value == "inf" { 100.0 } else { value.parse::<f64>().unwrap() }
    });
    values.fold(f64::INFINITY, f64::min)
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program} {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}
