//! How often people may try to get in, and who tries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use millrace_core::ids::UserId;
use millrace_core::places::subscriber;
use millrace_http::problem::Problem;

use super::limiter::{Limiter, Rule};
use super::limits_config::{LimitsConfig, RuleConfig};
use super::secret::sha256;
use crate::network::Network;
use crate::state::ApiState;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The limits of this process.
#[derive(Debug)]
pub struct Limits {
    login_address: Table<IpAddr>,
    login_account: Table<String>,
    code_account: Table<String>,
    register_address: Table<IpAddr>,
    link_address: Table<IpAddr>,
    mail_account: Table<String>,
    mail_recipient: Table<String>,
    beat_address: Table<IpAddr>,
}

/// One rule and who used how much of it.
#[derive(Debug)]
struct Table<K> {
    /// None: everything is allowed.
    rule: Option<Rule>,
    tries: Mutex<Limiter<K>>,
}

impl Limits {
    /// With these settings, and nobody has tried anything yet.
    #[must_use]
    pub fn new(config: &LimitsConfig) -> Self {
        Self {
            login_address: Table::new(config, config.login_address),
            login_account: Table::new(config, config.login_account),
            code_account: Table::new(config, config.code_account),
            register_address: Table::new(config, config.register_address),
            link_address: Table::new(config, config.link_address),
            mail_account: Table::new(config, config.mail_account),
            mail_recipient: Table::new(config, config.mail_recipient),
            beat_address: Table::new(config, config.beat_address),
        }
    }

    /// A sign-in, or another use of a password, for the account called `login`.
    ///
    /// # Errors
    /// 429.
    pub fn login(&self, address: IpAddr, login: &str, now_ms: i64) -> Result<(), Problem> {
        self.login_address.take(subscriber(address), now_ms)?;
        self.login_account.take(account(login), now_ms)
    }

    /// The sign-in was good: the account's failures do not count any more.
    pub fn login_was_good(&self, login: &str) {
        self.login_account.forgive(&account(login));
    }

    /// A use of a code where no password came with it.
    ///
    /// # Errors
    /// 429.
    pub fn attempt(&self, address: IpAddr, now_ms: i64) -> Result<(), Problem> {
        self.login_address.take(subscriber(address), now_ms)
    }

    /// A one-time code for an account.
    ///
    /// # Errors
    /// 429.
    pub fn code(&self, user: UserId, now_ms: i64) -> Result<(), Problem> {
        self.code_account.take(user.to_string(), now_ms)
    }

    /// The code was good: those before it do not count any more.
    pub fn code_was_good(&self, user: UserId) {
        self.code_account.forgive(&user.to_string());
    }

    /// A registration.
    ///
    /// # Errors
    /// 429.
    pub fn register(&self, address: IpAddr, now_ms: i64) -> Result<(), Problem> {
        self.register_address.take(subscriber(address), now_ms)
    }

    /// Somebody tries a one-time link, or asks for one.
    ///
    /// # Errors
    /// 429.
    pub fn link(&self, address: IpAddr, now_ms: i64) -> Result<(), Problem> {
        self.link_address.take(subscriber(address), now_ms)
    }

    /// Somebody asks for a mail to an account, at this address.
    ///
    /// # Errors
    /// 429; whether it is told is up to who asks: it says that there is such an account.
    pub fn mail(&self, user: UserId, to: &str, now_ms: i64) -> Result<(), Problem> {
        self.mail_account.take(user.to_string(), now_ms)?;
        self.mail_recipient.take(account(to), now_ms)
    }

    /// A viewer says that it watches.
    ///
    /// # Errors
    /// 429.
    pub fn beat(&self, address: IpAddr, now_ms: i64) -> Result<(), Problem> {
        self.beat_address.try_take(subscriber(address), now_ms).map_err(too_many_attempts)
    }
}

impl<K: Eq + std::hash::Hash + Clone> Table<K> {
    fn new(config: &LimitsConfig, rule: RuleConfig) -> Self {
        Self { rule: rule.rule(config.longest_lockout), tries: Mutex::new(Limiter::new(config.remembered)) }
    }

    fn forgive(&self, key: &K) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).forgive(key);
    }

    fn take(&self, key: K, now_ms: i64) -> Result<(), Problem> {
        self.try_take(key, now_ms).map_err(|seconds| {
            metrics::counter!("millrace_sign_in_limited_total").increment(1);
            too_many_attempts(seconds)
        })
    }

    /// Or the seconds to wait.
    fn try_take(&self, key: K, now_ms: i64) -> Result<(), i64> {
        let Some(rule) = self.rule else { return Ok(()) };
        let taken = self.tries.lock().unwrap_or_else(PoisonError::into_inner).take(key, rule, now_ms);
        taken.map_err(|wait_ms| wait_ms.max(1).saturating_add(999) / 1000)
    }
}

/// 429 for somebody who may come again in so many seconds.
pub(crate) fn too_many_attempts(seconds: i64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-attempts",
        "Too many attempts",
        format!("That was tried too often. Wait {seconds} seconds, then try again."),
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// Names of any length and form that somebody sent, as keys of one length.
fn account(login: &str) -> String {
    sha256(login.trim().to_lowercase().as_bytes())
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
        Ok(Self(address_of(state, peer, &parts.headers)))
    }
}

/// Whose the request of `peer` is.
pub(crate) fn address_of(state: &ApiState, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    resolve(peer, headers, &state.accounts().trusted_proxies)
}

fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
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

    const MINUTE_MS: i64 = 60_000;

    fn limits() -> Limits {
        Limits::new(&LimitsConfig::default())
    }

    fn from(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn guessing_one_accounts_password_from_anywhere_is_stopped() {
        let limits = limits();
        let tried = (0..100).filter(|at| limits.login(from(*at), "Ada", 0).is_ok()).count();
        assert_eq!(tried, 10);
        let refused = limits.login(from(200), "ada", 0).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(limits.login(from(200), "bob", 0).is_ok(), "others are served");
        assert!(limits.login(from(200), "ada", 3 * MINUTE_MS).is_ok(), "it heals");
    }

    #[test]
    fn trying_many_accounts_from_one_address_is_stopped() {
        let limits = limits();
        let tried = (0..1000).filter(|at| limits.login(from(1), &format!("person_{at}"), 0).is_ok()).count();
        assert_eq!(tried, 30);
        assert!(limits.login(from(2), "ada", 0).is_ok());
    }

    #[test]
    fn good_sign_ins_do_not_use_up_an_account() {
        let limits = limits();
        for at in 0..100 {
            limits.login(from(at), "ada", 0).unwrap();
            limits.login_was_good("ada");
        }
    }

    #[test]
    fn a_registration_flood_is_stopped() {
        let limits = limits();
        assert_eq!((0..1000).filter(|_| limits.register(from(1), 0).is_ok()).count(), 10);
    }

    #[test]
    fn guessing_codes_and_asking_for_mails_are_stopped_too() {
        let (limits, ada) = (limits(), UserId(uuid::Uuid::from_u128(1)));
        assert_eq!((0..100).filter(|_| limits.code(ada, 0).is_ok()).count(), 10);
        limits.code_was_good(ada);
        assert!(limits.code(ada, 0).is_ok());
        assert_eq!((0..100).filter(|_| limits.mail(ada, "ada@example.org", 0).is_ok()).count(), 3);
        let from_many = (2..100).map(|number| UserId(uuid::Uuid::from_u128(number)));
        let sent = from_many.filter(|user| limits.mail(*user, "bob@example.org", 0).is_ok()).count();
        assert_eq!(sent, 5, "many accounts do not flood one address");
        assert_eq!((0..100).filter(|_| limits.link(from(1), 0).is_ok()).count(), 10);
    }

    #[test]
    fn one_machine_makes_up_viewers_within_bounds_and_a_full_house_is_counted() {
        let limits = limits();
        let house = (0..20).filter(|at| (0..1_000).all(|_| limits.beat(from(1), at * 2_000).is_ok())).count();
        assert_eq!(house, 20, "a thousand viewers behind one address beat every two seconds");
        assert_eq!((0..100_000).filter(|_| limits.beat(from(2), 0).is_ok()).count(), 2_000);
        assert!(limits.beat(from(3), 0).is_ok());
    }

    #[test]
    fn every_limit_is_a_setting_and_can_be_off() {
        let few = RuleConfig { burst: 2, ..RuleConfig::default() };
        let none = RuleConfig { burst: 0, ..RuleConfig::default() };
        let count = |config: LimitsConfig| {
            let (limits, ada) = (Limits::new(&config), UserId(uuid::Uuid::from_u128(1)));
            let tries = |work: &dyn Fn() -> bool| (0..50).filter(|_| work()).count();
            [
                tries(&|| limits.login(from(1), "ada", 0).is_ok()),
                tries(&|| limits.code(ada, 0).is_ok()),
                tries(&|| limits.register(from(3), 0).is_ok()),
                tries(&|| limits.link(from(4), 0).is_ok()),
                tries(&|| limits.mail(ada, "ada@example.org", 0).is_ok()),
                tries(&|| limits.beat(from(5), 0).is_ok()),
            ]
        };
        let all = |rule| LimitsConfig {
            login_address: rule,
            login_account: rule,
            code_account: rule,
            register_address: rule,
            link_address: rule,
            mail_account: rule,
            mail_recipient: rule,
            beat_address: rule,
            ..LimitsConfig::default()
        };
        assert_eq!(count(all(few)), [2; 6]);
        assert_eq!(count(all(none)), [50; 6]);
        let of_login = LimitsConfig { login_account: few, ..all(none) };
        assert_eq!(count(of_login), [2, 50, 50, 50, 50, 50]);
        let of_code = LimitsConfig { code_account: few, ..all(none) };
        assert_eq!(count(of_code), [50, 2, 50, 50, 50, 50]);
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9, 198.51.100.7, 10.0.0.2"));
        let [proxy, inner, client]: [IpAddr; 3] =
            ["10.0.0.1", "10.0.0.2", "198.51.100.7"].map(|address| address.parse().unwrap());
        let resolved = |peer, trusted: &[&str]| {
            let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
            resolve(peer, &headers, &trusted)
        };
        assert_eq!(resolved(proxy, &[]), proxy);
        assert_eq!(resolved(proxy, &["10.0.0.1"]), inner);
        for trusted in [&["10.0.0.1", "10.0.0.2"][..], &["10.0.0.0/8"]] {
            assert_eq!(resolved(proxy, trusted), client, "what the client wrote before is not believed");
        }
        assert_eq!(resolved(client, &["10.0.0.0/8"]), client);
    }
}
