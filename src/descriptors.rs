//! File descriptors: raises the soft limit and shares it out.

/// Descriptors kept for everything that is no connection: files, listeners, the runtime, children.
const RESERVED: u64 = 256;
/// What is assumed where the limit cannot be read.
const FALLBACK: u64 = 1024;

/// How many connections each listener may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    /// The limit they come from.
    pub(crate) limit: u64,
    /// RTMP connections.
    pub(crate) rtmp: usize,
    /// HTTP connections.
    pub(crate) http: usize,
}

/// Raises the soft limit to the hard one and shares it: six parts RTMP (idle peers must not shut publishers out),
/// four parts HTTP (viewers beyond that come by HTTP/2 or through an edge).
pub(crate) fn share_out() -> Shares {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(FALLBACK);
    shares_of(limit)
}

fn shares_of(limit: u64) -> Shares {
    let free = limit.saturating_sub(RESERVED.min(limit / 4));
    let part = |tenths: u64| usize::try_from((free / 10).saturating_mul(tenths)).unwrap_or(usize::MAX).max(1);
    Shares { limit, rtmp: part(6), http: part(4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_limit_and_are_never_nothing() {
        for limit in [0, 3, 64, 1024, 20_000, 1 << 20, u64::MAX] {
            let shares = shares_of(limit);
            assert!(shares.rtmp >= 1 && shares.http >= 1);
            let sum = u64::try_from(shares.rtmp.saturating_add(shares.http)).unwrap();
            assert!(limit < 20 || sum <= limit, "{shares:?}");
        }
        assert!(shares_of(20_000).rtmp >= 10_000);
    }
}
