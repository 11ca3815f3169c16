//! Shell: what the kernel says of processes.

use anyhow::Context;

/// `USER_HZ`: what `/proc` counts CPU time in, on every architecture we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds, user and system, that a process or a thread (`PID`, `self`, `self/task/TID`) has used.
#[expect(clippy::cast_precision_loss, reason = "ticks of some hours")]
pub(crate) fn cpu_seconds(of: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{of}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    // The command may contain blanks; it ends with the last parenthesis.
    let fields: Vec<_> = text.rsplit_once(") ").context("no command")?.1.split(' ').collect();
    let field =
        |index: usize| -> anyhow::Result<u64> { Ok(fields.get(index).context("too few fields")?.parse()?) };
    Ok((field(11)? + field(12)?) as f64 / TICKS_PER_SECOND)
}

/// Resident memory of a process in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
