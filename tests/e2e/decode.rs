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
