//! A strict checker of Low-Latency HLS, for tests.
