//! Who may publish where.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use millrace_core::ids::{ChannelName, StreamKey, StreamKeyId};
use millrace_core::ladder::ChannelLadder;
use millrace_core::playback::Access;

/// Somebody wants to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishAttempt {
    /// The RTMP application.
    pub app: String,
    /// The stream key, without its query.
    pub key: StreamKey,
    /// What followed a `?` in the key or the address; may hold secrets too.
    pub query: Option<StreamKey>,
    /// From where.
    pub peer: SocketAddr,
}

/// It may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishGrant {
    /// Where to.
    pub channel: ChannelName,
    /// With which key, so that revoking it ends the publish; none where there are no keys.
    pub key: Option<StreamKeyId>,
    /// Whether what is published needs a playback token.
    pub access: Access,
    /// What the channel wants of rungs; where channels have no settings, what the site makes.
    pub ladder: ChannelLadder,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRefusal {
    /// For counting: one of few, lower case.
    pub reason: &'static str,
    /// For the person at the encoder: what is wrong and what to do. Never the key.
    pub sentence: String,
}

/// A decision under way.
pub type Authorising<'a> = Pin<Box<dyn Future<Output = Result<PublishGrant, PublishRefusal>> + Send + 'a>>;

/// Decides which channel a key publishes to. Asked once per publish; dropping the future takes the question back.
pub trait PublishAuthority: Send + Sync + 'static {
    /// The channel of the key.
    fn authorise(&self, attempt: PublishAttempt) -> Authorising<'_>;
}

/// `MILLRACE_PUBLISH_AUTH=open`: the key is the channel's name. For trusted networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAuthority;

impl PublishAuthority for OpenAuthority {
    fn authorise(&self, attempt: PublishAttempt) -> Authorising<'_> {
        let decision = match attempt.key.expose() {
            "" => Err(PublishRefusal {
                reason: "no_key",
                sentence: "There is no stream key. Put the name of your channel into the encoder's stream key field."
                    .to_owned(),
            }),
            key => match key.parse() {
                Ok(channel) => {
                    let (access, ladder) = (Access::Open, ChannelLadder::default());
                    Ok(PublishGrant { channel, key: None, access, ladder })
                }
                Err(_) => Err(PublishRefusal {
                    reason: "bad_key",
                    sentence:
                        "This stream key is no channel name. Use 3 to 25 of a-z, 0-9 and _ as the stream key."
                            .to_owned(),
                }),
            },
        };
        Box::pin(std::future::ready(decision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(authority: &dyn PublishAuthority, key: &str) -> Result<PublishGrant, PublishRefusal> {
        let attempt = PublishAttempt {
            app: "live".into(),
            key: StreamKey::new(key),
            query: None,
            peer: ([127, 0, 0, 1], 1).into(),
        };
        authority.authorise(attempt).await
    }

    #[tokio::test]
    async fn open_takes_channel_names_and_nothing_else() {
        assert_eq!(ask(&OpenAuthority, "studio").await.unwrap().channel.as_str(), "studio");
        for bad in ["", "ab", "Studio", "a/b", "caf\u{e9}x"] {
            let refusal = ask(&OpenAuthority, bad).await.unwrap_err();
            assert!(bad.is_empty() || !refusal.sentence.contains(bad), "{bad}");
        }
    }
}
