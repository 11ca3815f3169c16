//! What the transcoders of a process may take of the machine's processors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clock ticks a second in `/proc/PID/stat`: what Linux has on every machine since 2.6.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that is shared: percent of one processor by process.
#[derive(Debug)]
pub(super) struct CpuBudget {
    max_percent: u32,
    shares: Mutex<HashMap<u32, u32>>,
}

impl CpuBudget {
    /// `max_percent` of one processor; 0 for all but one of `processors`, at least half of one.
    pub(super) fn new(max_percent: u32, processors: usize) -> Self {
        let all_but_one = u32::try_from(processors.saturating_sub(1)).unwrap_or(u32::MAX).saturating_mul(100);
        let max_percent = if max_percent == 0 { all_but_one.max(50) } else { max_percent };
        Self { max_percent, shares: Mutex::default() }
    }

    /// Whether all take too much together, and this process the most.
    fn note(&self, pid: u32, percent: u32) -> bool {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.insert(pid, percent);
        let sum = shares.values().fold(0u32, |sum, share| sum.saturating_add(*share));
        let most = shares.iter().max_by_key(|(pid, share)| (**share, **pid)).map(|(pid, _)| *pid);
        sum > self.max_percent && most == Some(pid)
    }

    fn forget(&self, pid: u32) {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }
}

/// One broadcast's share of it.
#[derive(Debug)]
pub(super) struct CpuShare {
    budget: Arc<CpuBudget>,
    last: Option<Measure>,
}

#[derive(Debug, Clone, Copy)]
struct Measure {
    pid: u32,
    at: Instant,
    ticks: u64,
    /// Whether the one before was too much.
    too_much: bool,
}

impl CpuShare {
    pub(super) fn new(budget: Arc<CpuBudget>) -> Self {
        Self { budget, last: None }
    }

    /// Measures what the process took since the last time. Whether it must take less: too much twice in a row, because
    /// encoders take more when they begin.
    #[expect(clippy::disallowed_methods, reason = "shell: measures processor time")]
    pub(super) fn is_too_much(&mut self, pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some(ticks) = ticks(&stat) else { return false };
        let now = Measure { pid, at: Instant::now(), ticks, too_much: false };
        let Some(last) = self.last.replace(now).filter(|last| last.pid == pid) else { return false };
        let percent = percent(ticks.saturating_sub(last.ticks), now.at.saturating_duration_since(last.at));
        let too_much = self.budget.note(pid, percent);
        self.last = Some(Measure { too_much: too_much && !last.too_much, ..now });
        too_much && last.too_much
    }

    pub(super) fn forget(&mut self) {
        if let Some(last) = self.last.take() {
            self.budget.forget(last.pid);
        }
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        self.forget();
    }
}

/// User and system time of `/proc/PID/stat` (proc(5)): fields 14 and 15, behind the name in parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

fn percent(ticks: u64, over: Duration) -> u32 {
    let millis = u64::try_from(over.as_millis()).unwrap_or(u64::MAX).max(1);
    u32::try_from(ticks.saturating_mul(100 * 1000 / TICKS_PER_SECOND) / millis).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 30 10 8 0 100 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("42 (short) S 1"), None);
        assert_eq!(ticks(""), None);
        assert_eq!(percent(300, Duration::from_secs(2)), 150);
        assert_eq!(percent(300, Duration::ZERO), 300_000);
    }

    #[test]
    fn who_takes_the_most_gives_way() {
        let budget = CpuBudget::new(0, 3);
        assert!(!budget.note(1, 150));
        assert!(!budget.note(2, 60), "too much, but not the most");
        assert!(budget.note(1, 150));
        budget.forget(2);
        assert!(!budget.note(1, 150));
        assert_eq!(CpuBudget::new(0, 1).max_percent, 50);
        assert_eq!(CpuBudget::new(70, 8).max_percent, 70);
    }

    #[test]
    fn this_process_is_measured() {
        let mut share = CpuShare::new(Arc::new(CpuBudget::new(100_000, 1)));
        assert!(!share.is_too_much(std::process::id()));
        assert!(!share.is_too_much(std::process::id()));
        assert!(share.last.is_some());
        assert!(!share.is_too_much(u32::MAX));
    }
}
