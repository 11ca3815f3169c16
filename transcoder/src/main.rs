//! The program that decodes and encodes for the server: see [`millrace_core::transcode`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(64)
}
