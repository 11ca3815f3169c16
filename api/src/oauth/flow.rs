//! Sans-IO: what a browser carries while it is away at the provider.

use millrace_core::ids::{SessionId, UserId};
use serde::{Deserialize, Serialize};

/// The audience of the token that holds a [`Flow`].
pub const FLOW_AUDIENCE: &str = "millrace:oauth";
/// How long a person may take at the provider.
pub const FLOW_LIFETIME_S: i64 = 10 * 60;
/// Longest address to come back to.
const BACK_MAX_BYTES: usize = 512;

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// With which provider.
    pub provider: String,
    /// What the provider must send back: nobody else began this.
    pub state: String,
    /// What the ID token must say: it was made for this.
    pub nonce: String,
    /// Of the PKCE challenge (RFC 7636): who did not begin this cannot use the code.
    pub verifier: String,
    /// The page to come back to.
    pub back: String,
    /// Whose account gets this way of signing in; a sign-in if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<UserId>,
    /// Which session wants it said again who sits there, and since when, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

/// Somebody who is signed in goes to the provider once more, to show that it is the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Whose session.
    pub session: SessionId,
    /// When it was asked for, in seconds since 1970.
    pub asked_at: i64,
}

/// The audience of the token that holds a [`Half`].
pub const HALF_AUDIENCE: &str = "millrace:second-factor";

/// Whom a provider has let in who still owes the second factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    /// The account.
    pub half: UserId,
}

/// The page to come back to: a path of this site, or `/`. Whatever could lead elsewhere is no path (RFC 9700 §4.11).
#[must_use]
pub fn back_to(wish: Option<&str>) -> &str {
    let is_ours = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= BACK_MAX_BYTES
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    wish.filter(is_ours).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_stays_on_this_site() {
        for path in ["/", "/@studio", "/settings?tab=1#x"] {
            assert_eq!(back_to(Some(path)), path);
        }
        let long = format!("/{}", "a".repeat(BACK_MAX_BYTES));
        for bad in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/a\r\nb: c",
            &long,
        ] {
            assert_eq!(back_to(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(back_to(None), "/");
    }
}
