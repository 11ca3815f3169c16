//! Sans-IO: the addresses that encoders are told.

/// Where RTMP listens unless configured.
const RTMP_PORT: u16 = 1935;
/// What encoders take for RTMP over TLS when no port is written.
const RTMPS_PORT: u16 = 443;
/// The application that encoders publish to.
const APPLICATION: &str = "live";

/// Where encoders come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestAddress {
    /// What the operator says it is, `rtmp://ingest.example.org/live`; else it is made of what is below.
    pub public_url: Option<String>,
    /// The port that RTMP really listens on.
    pub rtmp_port: u16,
    /// The same over TLS, if it is on.
    pub rtmps_port: Option<u16>,
}

impl Default for IngestAddress {
    fn default() -> Self {
        Self { public_url: None, rtmp_port: RTMP_PORT, rtmps_port: None }
    }
}

impl IngestAddress {
    /// The addresses for somebody who sees the site at `host` (a name or an address, perhaps with a port), the safest
    /// first.
    #[must_use]
    pub fn servers(&self, host: &str) -> Vec<String> {
        if let Some(url) = &self.public_url {
            return vec![url.trim_end_matches('/').to_owned()];
        }
        let host = without_port(host);
        let rtmp = format!("rtmp://{host}:{}/{APPLICATION}", self.rtmp_port);
        let rtmps = self.rtmps_port.map(|port| match port {
            RTMPS_PORT => format!("rtmps://{host}/{APPLICATION}"),
            port => format!("rtmps://{host}:{port}/{APPLICATION}"),
        });
        rtmps.into_iter().chain([rtmp]).collect()
    }
}

/// The name in `name:port` or `[v6]:port`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether this may stand in the configuration.
#[must_use]
pub fn is_rtmp(url: &str) -> bool {
    let rest = url.strip_prefix("rtmp://").or_else(|| url.strip_prefix("rtmps://"));
    rest.and_then(|rest| rest.split_once('/')).is_some_and(|(host, path)| {
        !host.is_empty() && !path.is_empty() && !url.contains(char::is_whitespace)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_are_told_the_ports_that_really_listen() {
        let address = IngestAddress { rtmp_port: 19_350, rtmps_port: Some(443), public_url: None };
        let expected = ["rtmps://live.example.org/live", "rtmp://live.example.org:19350/live"];
        assert_eq!(address.servers("live.example.org:8080"), expected);
        let plain = IngestAddress::default();
        assert_eq!(plain.servers("[2001:db8::1]:8080"), ["rtmp://[2001:db8::1]:1935/live"]);
        assert_eq!(plain.servers("[2001:db8::1]"), ["rtmp://[2001:db8::1]:1935/live"]);
        assert_eq!(plain.servers("localhost"), ["rtmp://localhost:1935/live"]);
        let other = IngestAddress { rtmps_port: Some(1936), ..plain };
        assert_eq!(other.servers("here")[0], "rtmps://here:1936/live");
    }

    #[test]
    fn what_the_operator_says_is_told_as_it_is() {
        let url = Some("rtmps://ingest.example.org/live/".to_owned());
        let address = IngestAddress { public_url: url, ..IngestAddress::default() };
        assert_eq!(address.servers("elsewhere"), ["rtmps://ingest.example.org/live"]);
    }

    #[test]
    fn addresses_of_rtmp_have_a_host_and_an_application() {
        assert!(is_rtmp("rtmp://a/live") && is_rtmp("rtmps://a:1936/live"));
        for bad in ["http://a/live", "rtmp://a", "rtmp:///live", "rtmp://a/", "rtmp://a b/live", "a/live"] {
            assert!(!is_rtmp(bad), "{bad} was taken");
        }
    }
}
