//! Sends one push.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, Url};

use crate::outgoing::{is_forbidden, retry_after};

/// How long a push service may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

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
        Ok(answer) => Answer::Status(answer.status().as_u16(), retry_after(answer.headers(), now_ms)),
        Err(error) if is_forbidden(&error) => Answer::Forbidden,
        Err(error) if error.is_connect() => Answer::Unreached,
        Err(_) => Answer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outgoing::client;

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
        let strict = client(false, TIMEOUT).unwrap();
        assert_eq!(send(&strict, &message(&url), 0).await, Answer::Forbidden);
        // The listener would have answered the other client.
        let open = client(true, TIMEOUT).unwrap();
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
