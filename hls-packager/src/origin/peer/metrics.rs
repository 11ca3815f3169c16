//! What is counted of requests that other nodes answer. Labels come from fixed lists.

use metrics::{Counter, Unit};

use super::piece::{Failure, Piece};

/// How a viewer's request was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// From what is kept.
    Kept,
    /// By a request to the other node that was under way for somebody else.
    Joined,
    /// By a request of its own.
    Asked,
}

const SERVED: [&str; 3] = ["kept", "joined", "asked"];
const OUTCOMES: [&str; 8] =
    ["answered", "refused", "unreachable", "timed_out", "lost", "strange", "too_large", "abandoned"];

/// Handles, registered once.
pub(super) struct HopMetrics {
    served: [Counter; 3],
    outcomes: [Counter; 8],
    bytes: Counter,
}

impl HopMetrics {
    /// Registers with the recorder that is installed now.
    #[must_use]
    pub(super) fn new() -> Self {
        metrics::describe_counter!(
            "millrace_hop_requests_total",
            "Viewers' requests for broadcasts on other nodes, by how they were served"
        );
        metrics::describe_counter!("millrace_hops_total", "Requests to other nodes by outcome");
        metrics::describe_counter!(
            "millrace_hop_bytes_total",
            Unit::Bytes,
            "Bytes of bodies that other nodes answered"
        );
        Self {
            served: SERVED.map(|served| metrics::counter!("millrace_hop_requests_total", "served" => served)),
            outcomes: OUTCOMES.map(|outcome| metrics::counter!("millrace_hops_total", "outcome" => outcome)),
            bytes: metrics::counter!("millrace_hop_bytes_total"),
        }
    }

    /// Counts a viewer's request.
    pub(super) fn served(&self, served: Served) {
        self.served[served as usize].increment(1);
    }

    /// Counts a request to another node: what came of it, or `None` if nobody waited for it any more.
    pub(super) fn landed(&self, landed: Option<&Result<std::sync::Arc<Piece>, Failure>>) {
        let outcome = match landed {
            Some(Ok(piece)) => {
                self.bytes.increment(piece.bytes());
                usize::from(!piece.is_good())
            }
            Some(Err(Failure::Unreachable(_))) => 2,
            Some(Err(Failure::TimedOut(_))) => 3,
            Some(Err(Failure::Lost)) => 4,
            Some(Err(Failure::Strange(_))) => 5,
            Some(Err(Failure::TooLarge { .. })) => 6,
            None => 7,
        };
        self.outcomes[outcome].increment(1);
    }
}
