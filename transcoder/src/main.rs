//! The program that decodes and encodes for the server, in processes of its own: see [`millrace_core::transcode`] for what
//! is said over its pipes, and `docs/adr/0024` for why it is a program.
//!
//! | Job | Module |
//! |---|---|
//! | `ladder`: pictures of a broadcast again, smaller | [`ladder`] |
//! | `stills`: a keyframe as JPEG, WebP, RGB; sprites | [`stills`] |
//! | `sound`: MP3 as AAC | [`sound`] |
//!
//! It exits with 0 at the end of its input, 1 when a pipe or an order is broken, 64 when it is started in a wrong way.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

mod av;
mod avc;
mod ladder;
mod limits;
mod pipe;
mod sound;
mod stills;

/// Exit code of wrong usage (`EX_USAGE`).
const USAGE: u8 = 64;

const HELP: &str = "\
usage: millrace-transcoder ladder|stills|sound

Decodes and encodes for a Millrace server, which starts it by itself; there is no use in starting it by hand.
It reads orders from its standard input and writes reports to its standard output, until its input ends.

  --version  prints the version
  --help     prints this
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [argument] = arguments.as_slice() else { return usage() };
    let job = match argument.to_str() {
        Some("ladder") => ladder::run,
        Some("stills") => stills::run,
        Some("sound") => sound::run,
        Some("--version") => return say(concat!("millrace-transcoder ", env!("CARGO_PKG_VERSION"), "\n")),
        Some("--help") => return say(HELP),
        _ => return usage(),
    };
    limits::apply();
    let ended = ffmpeg_next::init().map_err(anyhow::Error::from).and_then(|()| {
        // What libav has to say is counted or said in our words; a broken stream would have it write without end.
        ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
        job(pipe::input()?, pipe::output()?)
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            pipe::complain(&format!("millrace-transcoder: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn usage() -> ExitCode {
    pipe::complain(HELP.trim_end());
    ExitCode::from(USAGE)
}
