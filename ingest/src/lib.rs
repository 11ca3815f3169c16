//! RTMP in: a publish server that is safe on a public port.
