//! Cookies (RFC 6265bis): names, how they are read, how they are set.

use axum::http::{HeaderMap, HeaderValue, header};

/// One of our cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// The access token; lives as long as the token.
    Access,
    /// The refresh token; lives as long as the session.
    Refresh,
    /// The CSRF token; our page reads it and sends it back in a header.
    Csrf,
    /// What the browser brought to a sign-in that goes over a provider.
    Login,
    /// Whom a provider has let in who still owes the second factor.
    Half,
}

impl Cookie {
    /// The name. On https it has the prefix that keeps other hosts and plain http from setting it.
    #[must_use]
    pub fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Access, true) => "__Host-millrace_access",
            (Self::Access, false) => "millrace_access",
            (Self::Refresh, true) => "__Host-millrace_refresh",
            (Self::Refresh, false) => "millrace_refresh",
            (Self::Csrf, true) => "__Host-millrace_csrf",
            (Self::Csrf, false) => "millrace_csrf",
            (Self::Login, true) => "__Host-millrace_login",
            (Self::Login, false) => "millrace_login",
            (Self::Half, true) => "__Host-millrace_half",
            (Self::Half, false) => "millrace_half",
        }
    }

    /// Its value in a request.
    #[must_use]
    pub fn read(self, headers: &HeaderMap, secure: bool) -> Option<&str> {
        let name = self.name(secure);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The header that sets it for `seconds`, or removes it with 0. Values are of base64url, digits and dots.
    #[must_use]
    pub fn set(self, value: &str, seconds: i64, secure: bool) -> HeaderValue {
        let readable = if self == Self::Csrf { "" } else { "; HttpOnly" };
        let secure_only = if secure { "; Secure" } else { "" };
        let name = self.name(secure);
        let text = format!("{name}={value}; Path=/; Max-Age={seconds}; SameSite=Lax{readable}{secure_only}");
        HeaderValue::try_from(text).expect("our cookies are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_among_others_and_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=b; xmillrace_access=no; millrace_access=yes"),
        );
        headers.append(header::COOKIE, HeaderValue::from_static("millrace_csrf=token"));
        assert_eq!(Cookie::Access.read(&headers, false), Some("yes"));
        assert_eq!(Cookie::Csrf.read(&headers, false), Some("token"));
        assert_eq!(Cookie::Access.read(&headers, true), None, "on https only the protected name counts");
    }

    #[test]
    fn on_https_cookies_are_bound_to_the_host_and_only_the_csrf_token_is_readable() {
        assert_eq!(
            Cookie::Refresh.set("v", 60, true),
            "__Host-millrace_refresh=v; Path=/; Max-Age=60; SameSite=Lax; HttpOnly; Secure"
        );
        assert_eq!(Cookie::Csrf.set("v", 60, false), "millrace_csrf=v; Path=/; Max-Age=60; SameSite=Lax");
    }
}
