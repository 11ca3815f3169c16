//! How often people may try to get in, and who tries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use millrace_http::problem::Problem;

use super::limiter::{Limiter, Rule, network};
use super::secret::sha256;
use crate::state::ApiState;

const MINUTE_MS: i64 = 60_000;
/// Addresses or accounts that each limit remembers; about 100 bytes each.
const REMEMBERED: usize = 20_000;
/// Sign-ins from one address: 30 at once (a school has one address), then one every 10 seconds.
const LOGIN_ADDRESS: Rule = Rule { burst: 30, refill_ms: 10_000, lockout_ms: 30_000 };
/// Sign-ins to one account that fail: 10 at once, then one a minute.
const LOGIN_ACCOUNT: Rule = Rule { burst: 10, refill_ms: MINUTE_MS, lockout_ms: MINUTE_MS };
/// Registrations from one address: 10 at once, then one every 6 minutes.
const REGISTER_ADDRESS: Rule = Rule { burst: 10, refill_ms: 6 * MINUTE_MS, lockout_ms: 0 };
/// Links and one-time tokens tried or asked for from one address.
const LINK_ADDRESS: Rule = Rule { burst: 10, refill_ms: MINUTE_MS, lockout_ms: MINUTE_MS };
/// Reset mails to one account: 3, then one in 20 minutes.
const LINK_ACCOUNT: Rule = Rule { burst: 3, refill_ms: 20 * MINUTE_MS, lockout_ms: 0 };

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The limits of this process.
#[derive(Debug)]
pub struct Limits {
    login_address: Table<IpAddr>,
    login_account: Table<String>,
    register_address: Table<IpAddr>,
    link_address: Table<IpAddr>,
    link_account: Table<String>,
}

type Table<K> = Mutex<Limiter<K>>;

impl Default for Limits {
    fn default() -> Self {
        Self {
            login_address: Mutex::new(Limiter::new(REMEMBERED)),
            login_account: Mutex::new(Limiter::new(REMEMBERED)),
            register_address: Mutex::new(Limiter::new(REMEMBERED)),
            link_address: Mutex::new(Limiter::new(REMEMBERED)),
            link_account: Mutex::new(Limiter::new(REMEMBERED)),
        }
    }
}

impl Limits {
    /// A sign-in, or another use of a password or code, for the account called `login`.
    ///
    /// # Errors
    /// 429.
    pub fn login(&self, address: IpAddr, login: &str, now_ms: i64) -> Result<(), Problem> {
        take(&self.login_address, network(address), LOGIN_ADDRESS, now_ms)?;
        take(&self.login_account, account(login), LOGIN_ACCOUNT, now_ms)
    }

    /// The sign-in was good: the account's failures do not count any more.
    pub fn login_was_good(&self, login: &str) {
        self.login_account.lock().unwrap_or_else(PoisonError::into_inner).forgive(&account(login));
    }

    /// A registration.
    ///
    /// # Errors
    /// 429.
    pub fn register(&self, address: IpAddr, now_ms: i64) -> Result<(), Problem> {
        take(&self.register_address, network(address), REGISTER_ADDRESS, now_ms)
    }

    /// Somebody tries a one-time link.
    ///
    /// # Errors
    /// 429.
    pub fn link(&self, address: IpAddr, now_ms: i64) -> Result<(), Problem> {
        take(&self.link_address, network(address), LINK_ADDRESS, now_ms)
    }

    /// Somebody asks for a mail to an account.
    ///
    /// # Errors
    /// 429 for the address. `false` when the account had enough mails: nobody may learn of it.
    pub fn mail(&self, address: IpAddr, login: &str, now_ms: i64) -> Result<bool, Problem> {
        self.link(address, now_ms)?;
        Ok(take(&self.link_account, account(login), LINK_ACCOUNT, now_ms).is_ok())
    }
}

/// Names of any length and form that somebody sent, as keys of one length.
fn account(login: &str) -> String {
    sha256(login.trim().to_lowercase().as_bytes())
}

fn take<K: Eq + std::hash::Hash + Clone>(
    table: &Table<K>,
    key: K,
    rule: Rule,
    now_ms: i64,
) -> Result<(), Problem> {
    let taken = table.lock().unwrap_or_else(PoisonError::into_inner).take(key, rule, now_ms);
    taken.map_err(|wait_ms| {
        let seconds = wait_ms.max(1).saturating_add(999) / 1000;
        metrics::counter!("millrace_sign_in_limited_total").increment(1);
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-attempts",
            "Too many attempts",
            format!("That was tried too often. Wait {seconds} seconds, then try again."),
        )
        .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    })
}

/// The address a request comes from: the peer's, or, if that is a trusted proxy, the last one in `X-Forwarded-For` that
/// is none.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<ApiState> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Self::Rejection> {
        // Only tests have no peer.
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip());
        Ok(Self(resolve(peer, &parts.headers, &state.accounts().trusted_proxies)))
    }
}

fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    if !is_trusted(&peer) {
        return peer;
    }
    let lines: Vec<_> =
        headers.get_all(X_FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
    let named = lines.iter().rev().flat_map(|line| line.rsplit(',')).map_while(|one| one.trim().parse().ok());
    let mut last = peer;
    for address in named {
        last = address;
        if !is_trusted(&address) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn guessing_one_accounts_password_from_anywhere_is_stopped() {
        let limits = Limits::default();
        let tried = (0..100).filter(|at| limits.login(from(*at), "Ada", 0).is_ok()).count();
        assert_eq!(tried, 10);
        let refused = limits.login(from(200), "ada", 0).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(limits.login(from(200), "bob", 0).is_ok(), "others are served");
        assert!(limits.login(from(200), "ada", 3 * MINUTE_MS).is_ok(), "it heals");
    }

    #[test]
    fn trying_many_accounts_from_one_address_is_stopped() {
        let limits = Limits::default();
        let tried = (0..1000).filter(|at| limits.login(from(1), &format!("person_{at}"), 0).is_ok()).count();
        assert_eq!(tried, 30);
        assert!(limits.login(from(2), "ada", 0).is_ok());
    }

    #[test]
    fn good_sign_ins_do_not_use_up_an_account() {
        let limits = Limits::default();
        for at in 0..100 {
            limits.login(from(at), "ada", 0).unwrap();
            limits.login_was_good("ada");
        }
    }

    #[test]
    fn a_registration_flood_is_stopped() {
        let limits = Limits::default();
        assert_eq!((0..1000).filter(|_| limits.register(from(1), 0).is_ok()).count(), 10);
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9, 198.51.100.7, 10.0.0.2"));
        let (proxy, inner) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert_eq!(resolve(proxy, &headers, &[]), proxy);
        assert_eq!(resolve(proxy, &headers, &[proxy]), inner);
        let client: IpAddr = "198.51.100.7".parse().unwrap();
        assert_eq!(
            resolve(proxy, &headers, &[proxy, inner]),
            client,
            "what the client wrote before is not believed"
        );
        assert_eq!(resolve(client, &headers, &[proxy]), client);
    }
}
