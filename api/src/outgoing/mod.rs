//! Requests to addresses that people name: push services of browsers, receivers of webhooks. The one way out for them, which
//! does not lead into the server's own network.

pub mod address;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use address::is_public;

/// The name leads only to addresses that are not public.
#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
struct NotPublic;

/// Leaves out addresses that are not public, at the moment of the connection: a name may lead elsewhere each time.
#[derive(Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// A client for addresses that [`address::endpoint`] took; `timeout` is for a whole request. `private` also reaches a
/// closed network.
///
/// # Errors
/// The client cannot be made.
pub(crate) fn client(private: bool, timeout: Duration) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .timeout(timeout)
        // Whoever sends us elsewhere could send us into our own network; so could a proxy.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) }.build()
}

/// Whether a request was not sent because it would have gone to an address that is not public.
pub(crate) fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What an answer says about when to come again, in milliseconds from now.
pub(crate) fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    let text = headers.get(RETRY_AFTER).and_then(|text| text.to_str().ok())?;
    retry_after_ms(text, now_ms)
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or a date.
fn retry_after_ms(text: &str, now_ms: i64) -> Option<i64> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(i64::from(seconds) * 1_000);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(date.as_millisecond().saturating_sub(now_ms).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after_ms(" 120 ", 0), Some(120_000));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(retry_after_ms(date, 1_445_412_480_000 - 5_000), Some(5_000));
        assert_eq!(retry_after_ms(date, 1_545_412_480_000), Some(0));
        assert_eq!(retry_after_ms("soon", 0), None);
        assert_eq!(retry_after_ms("-1", 0), None);
    }
}
