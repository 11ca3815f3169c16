//! Decoding what was served, with ffmpeg, refusing any error.

use std::path::Path;

use tokio::process::Command;

/// Decodes every stream of a file and counts the pictures.
///
/// # Errors
/// Any complaint of the demuxer or a decoder.
pub(crate) async fn decode(file: &Path) -> Result<u64, String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-nostdin", "-xerror", "-err_detect", "explode", "-threads", "1", "-i"])
        .arg(file)
        .args(["-fps_mode", "passthrough", "-f", "null", "-progress", "pipe:1", "-"])
        .output()
        .await
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.trim().is_empty() {
        return Err(format!("{}: {} {said}", file.display(), output.status));
    }
    let progress = String::from_utf8_lossy(&output.stdout);
    Ok(progress.lines().rev().find_map(|l| l.strip_prefix("frame=")?.trim().parse().ok()).unwrap_or(0))
}

/// AAC frames of a file that are no digital silence: that is a frame of 6 bytes in stereo, and even a faint tone
/// takes more.
pub(crate) async fn sounds_in(file: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "a", "-show_entries", "packet=size", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .await
        .expect("ffmpeg is installed");
    let sizes = String::from_utf8_lossy(&output.stdout);
    sizes.lines().filter(|size| size.trim_end_matches(',').parse().is_ok_and(|size: u32| size > 6)).count()
        as u64
}
