//! The transcoder behind a script, as slow as a test wants it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::server::scratch;

/// A program in the transcoder's place: the transcoder behind a shell's `before`, and what it says goes through this Perl, which
/// reads `STDIN` and writes `STDOUT`. Gone with the folder.
pub(crate) fn transcoder(before: &str, perl: &str) -> (TempDir, PathBuf) {
    let (folder, path) = scratch("millrace-slowed");
    let program = path.join("transcoder");
    let real = Path::new(env!("CARGO_BIN_EXE_millrace")).with_file_name("millrace-transcoder");
    let script = format!("#!/bin/sh\n{before}\n{real:?} \"$@\" | exec perl -e '{perl}'\n");
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, program)
}
