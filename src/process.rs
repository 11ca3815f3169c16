//! What the process uses, under the names that every Prometheus client library gives them.
#![expect(clippy::disallowed_methods, reason = "shell: reads /proc")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a page where the kernel says pages; Linux on the machines we build for has no other.
const PAGE_BYTES: u32 = 4096;

/// Names the gauges and sets those that do not change.
pub(crate) fn register() {
    metrics::describe_gauge!(
        "process_start_time_seconds",
        metrics::Unit::Seconds,
        "When it started, Unix time"
    );
    metrics::describe_gauge!("process_resident_memory_bytes", metrics::Unit::Bytes, "Memory in use");
    metrics::describe_gauge!("process_open_fds", "Open file descriptors");
    metrics::describe_gauge!("process_max_fds", "How many file descriptors may be open");
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("process_start_time_seconds").set(started.as_secs_f64());
    record();
}

/// Looks again. What cannot be read keeps its last value.
pub(crate) fn record() {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    if let Some(pages) = resident_pages(&read("/proc/self/statm")) {
        metrics::gauge!("process_resident_memory_bytes").set(f64::from(pages) * f64::from(PAGE_BYTES));
    }
    if let Some(most) = most_descriptors(&read("/proc/self/limits")) {
        metrics::gauge!("process_max_fds").set(most);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the one that looks.
        let open = u32::try_from(open.count().saturating_sub(1)).unwrap_or(u32::MAX);
        metrics::gauge!("process_open_fds").set(open);
    }
}

/// The second number of `/proc/self/statm` (proc(5)).
fn resident_pages(statm: &str) -> Option<u32> {
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The soft limit of open files in `/proc/self/limits` (proc(5)); infinite if there is none.
fn most_descriptors(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_pages_are_the_second_number() {
        assert_eq!(resident_pages("41220 6713 4101 11882 0 20733 0\n"), Some(6713));
        assert_eq!(resident_pages(""), None);
    }

    #[test]
    fn the_soft_limit_of_open_files_is_found_among_the_others() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             127                  127                  processes \n\
                      Max open files            20000                524288               files     \n";
        assert_eq!(most_descriptors(limits), Some(20_000.0));
        assert_eq!(most_descriptors("Max open files   unlimited   unlimited   files\n"), Some(f64::INFINITY));
        assert_eq!(most_descriptors("Max processes 127 127 processes\n"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert!(resident_pages(&read("/proc/self/statm")).unwrap() > 100);
        assert!(most_descriptors(&read("/proc/self/limits")).unwrap() > 0.0);
    }
}
