//! Sends one push.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Url};

use super::address::is_public;
use super::outcome::retry_after_ms;

/// How long a push service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One push, ready to go.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) to: Url,
    pub(super) body: Vec<u8>,
    pub(super) authorization: String,
    /// How long the service keeps it for a device that is off.
    pub(super) ttl_s: i64,
    /// A newer message of the same topic replaces it there (RFC 8030 §5.4).
    pub(super) topic: String,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// This status, and what it said about when to come again.
    Status(u16, Option<i64>),
    /// Nothing reached the service.
    Unreached,
    /// The service is where no push service is.
    Forbidden,
    /// It may have got it or not.
    Unknown,
}

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

/// The client of all pushes. `private` also reaches services of a closed network.
pub(super) fn client(private: bool) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .timeout(TIMEOUT)
        // A service that sends us elsewhere could send us into our own network; so could a proxy.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if private { builder } else { builder.dns_resolver(Arc::new(PublicOnly)) }.build()
}

/// Sends it. The answer's body is not read.
pub(super) async fn send(client: &Client, message: &Message, now_ms: i64) -> Answer {
    let request = client
        .post(message.to.clone())
        .header(AUTHORIZATION, &message.authorization)
        .header(CONTENT_ENCODING, "aes128gcm")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header("ttl", message.ttl_s)
        .header("topic", &message.topic)
        .header("urgency", "normal")
        .body(message.body.clone());
    match request.send().await {
        Ok(answer) => {
            let wait = answer.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok());
            Answer::Status(answer.status().as_u16(), wait.and_then(|text| retry_after_ms(text, now_ms)))
        }
        Err(error) if is_forbidden(&error) => Answer::Forbidden,
        Err(error) if error.is_connect() => Answer::Unreached,
        Err(_) => Answer::Unknown,
    }
}

fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(to: &str) -> Message {
        Message {
            to: to.parse().unwrap(),
            body: Vec::new(),
            authorization: String::new(),
            ttl_s: 60,
            topic: "x".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_our_own_network_is_not_followed() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let strict = client(false).unwrap();
        assert_eq!(send(&strict, &message(&url), 0).await, Answer::Forbidden);
        // The listener would have answered the other client.
        let open = client(true).unwrap();
        let message = message(&url);
        let asked = send(&open, &message, 0);
        let answered = async {
            drop(listener.accept().await.unwrap());
        };
        assert_eq!(tokio::join!(asked, answered).0, Answer::Unknown);
        drop(listener);
        assert_eq!(send(&open, &message, 0).await, Answer::Unreached);
    }
}
