//! Sans-IO: where a request that a person asked for may go. A browser says where its push service is, an owner where a
//! webhook goes, and they may lie: nobody gets this server to send requests into its own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// Longest address.
pub const ENDPOINT_MAX_BYTES: usize = 1_024;

/// Why nothing is sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No address at all, or too long.
    #[error("is no address of at most {ENDPOINT_MAX_BYTES} bytes")]
    NoUrl,
    /// Plain http, or something else.
    #[error("is not https")]
    NotHttps,
    /// A name and a password, or a fragment.
    #[error("has a user, a password or a fragment")]
    Extras,
    /// Another port than that of https.
    #[error("has a port of its own")]
    Port,
    /// A number, or a name without a dot.
    #[error("does not name a host on the internet")]
    Host,
}

/// Reads an address. `private` also takes those of a closed network: plain http, numbers, ports.
///
/// # Errors
/// Why it is none.
pub fn endpoint(text: &str, private: bool) -> Result<Url, EndpointError> {
    if text.len() > ENDPOINT_MAX_BYTES {
        return Err(EndpointError::NoUrl);
    }
    let url = Url::parse(text).map_err(|_| EndpointError::NoUrl)?;
    let host = url.host_str().ok_or(EndpointError::NoUrl)?;
    if url.scheme() != "https" && !(private && url.scheme() == "http") {
        return Err(EndpointError::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(EndpointError::Extras);
    }
    if private {
        return Ok(url);
    }
    if url.port().is_some() {
        return Err(EndpointError::Port);
    }
    let number = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    let name = host.trim_end_matches('.');
    if number || !name.contains('.') || name.ends_with(".localhost") || name.ends_with(".local") {
        return Err(EndpointError::Host);
    }
    Ok(url)
}

/// Whether an address is one of the public internet (IANA special-purpose registries, RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Everything public is in 2000::/3. Of that: 2001::/23 is for protocols (Teredo carries IPv4 addresses), 2002::/16
    // carries IPv4 addresses, the rest is for documentation.
    (0x2000..0x4000).contains(&a)
        && !(a == 0x2001 && b < 0x0200)
        && !(a == 0x2001 && b == 0x0db8)
        && a != 0x2002
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_push_services_are_taken() {
        for url in [
            "https://fcm.googleapis.com/fcm/send/abc:def",
            "https://updates.push.services.mozilla.com/wpush/v2/gAAA",
            "https://web.push.apple.com/QABC",
            "https://wns2-par02p.notify.windows.com/w/?token=BQ%3d",
            "https://fcm.googleapis.com:443/x",
        ] {
            assert!(endpoint(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_push_service_is_refused_with_the_reason() {
        let long = format!("https://push.example.org/{}", "a".repeat(ENDPOINT_MAX_BYTES));
        for (url, reason) in [
            ("", EndpointError::NoUrl),
            ("nonsense", EndpointError::NoUrl),
            ("data:text/plain,x", EndpointError::NoUrl),
            (&long, EndpointError::NoUrl),
            ("http://push.example.org/x", EndpointError::NotHttps),
            ("ftp://push.example.org/x", EndpointError::NotHttps),
            ("https://ada@push.example.org/x", EndpointError::Extras),
            ("https://ada:secret@push.example.org/x", EndpointError::Extras),
            ("https://push.example.org/x#y", EndpointError::Extras),
            ("https://push.example.org:6379/x", EndpointError::Port),
            ("https://127.0.0.1/x", EndpointError::Host),
            ("https://2130706433/x", EndpointError::Host),
            ("https://0x7f.1/x", EndpointError::Host),
            ("https://[::1]/x", EndpointError::Host),
            ("https://[::ffff:10.0.0.1]/x", EndpointError::Host),
            ("https://localhost/x", EndpointError::Host),
            ("https://localhost./x", EndpointError::Host),
            ("https://push.localhost/x", EndpointError::Host),
            ("https://printer.local/x", EndpointError::Host),
        ] {
            assert_eq!(endpoint(url, false), Err(reason), "{url}");
        }
        assert!(endpoint("http://127.0.0.1:8000/x", true).is_ok(), "in a closed network");
        assert!(endpoint("file:///etc/passwd", true).is_err());
    }

    #[test]
    fn addresses_of_nobodys_network_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "3fff::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "100.128.0.1", "172.32.0.1", "198.20.0.1", "2606:4700::1111", "2a00:1450::1"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
