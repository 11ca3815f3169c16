//! What every HTTP role of Millrace shares: problem details, headers, limits, the listener.
