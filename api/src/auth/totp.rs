//! Sans-IO: time-based one-time passwords (RFC 6238) and recovery codes as the second factor.

use aws_lc_rs::hmac;
use millrace_core::ids::UserId;
use millrace_store::{Collection, Document};
use serde::{Deserialize, Serialize};

use super::secret::{random, same, sha256};

/// Seconds of a step.
const STEP_S: i64 = 30;
/// Steps before and after that are taken: clocks differ.
const SKEW: i64 = 1;
/// Recovery codes that are given.
const RECOVERY_CODES: usize = 10;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A person's second factor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// Whose.
    pub user: UserId,
    /// 20 random bytes in base32; the app has the same.
    secret: String,
    /// Whether the person has shown that the app works; until then it does not count.
    pub confirmed: bool,
    /// The newest step whose code was used: no code is good twice.
    last_step: i64,
    /// SHA-256 of the recovery codes that are left.
    recovery: Vec<String>,
}

pub(crate) static SECOND_FACTORS: Collection =
    Collection { name: "second_factors", indexes: &[], words: &[], migrations: &[] };

impl Document for SecondFactor {
    const COLLECTION: &'static Collection = &SECOND_FACTORS;

    fn id(&self) -> String {
        self.user.to_string()
    }
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecondFactor {{ user: {}, confirmed: {} }}", self.user, self.confirmed)
    }
}

impl SecondFactor {
    /// A new one that is not confirmed yet.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self { user, secret: base32(&random::<20>()), confirmed: false, last_step: 0, recovery: Vec::new() }
    }

    /// The secret in base32, for the app.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The address that apps read from a QR code.
    #[must_use]
    pub fn otpauth_url(&self, name: &str) -> String {
        format!(
            "otpauth://totp/Millrace:{name}?secret={}&issuer=Millrace&algorithm=SHA1&digits=6&period=30",
            self.secret
        )
    }

    /// The same, confirmed by a right code, and its recovery codes. `None` for a wrong one.
    #[must_use]
    pub fn confirm(mut self, code: &str, now_ms: i64) -> Option<(Self, Vec<String>)> {
        self.last_step = self.step_of(code, now_ms)?;
        self.confirmed = true;
        let codes: Vec<_> = (0..RECOVERY_CODES)
            .map(|_| {
                let text = base32(&random::<10>());
                format!("{}-{}-{}-{}", &text[..4], &text[4..8], &text[8..12], &text[12..])
            })
            .collect();
        self.recovery = codes.iter().map(|code| recovery_hash(code)).collect();
        Some((self, codes))
    }

    /// The same after a code or a recovery code was used. `None` for a wrong or a used one.
    #[must_use]
    pub fn take(mut self, code: &str, now_ms: i64) -> Option<Self> {
        if let Some(step) = self.step_of(code, now_ms) {
            self.last_step = step;
            return Some(self);
        }
        let hash = recovery_hash(code);
        let at = self.recovery.iter().position(|kept| same(kept.as_bytes(), hash.as_bytes()))?;
        self.recovery.remove(at);
        Some(self)
    }

    /// The step of a right code that was not used.
    fn step_of(&self, code: &str, now_ms: i64) -> Option<i64> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).take(7).collect();
        let key = unbase32(&self.secret);
        let now = now_ms / 1000 / STEP_S;
        (now - SKEW..=now + SKEW)
            .filter(|step| *step > self.last_step)
            .find(|step| same(format!("{:06}", hotp(&key, *step)).as_bytes(), code.as_bytes()))
    }

    /// The code of this moment.
    #[cfg(test)]
    pub(crate) fn code(&self, now_ms: i64) -> String {
        format!("{:06}", hotp(&unbase32(&self.secret), now_ms / 1000 / STEP_S))
    }
}

/// HOTP of six digits (RFC 4226 §5.3).
fn hotp(key: &[u8], counter: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let mac = tag.as_ref();
    let at = usize::from(mac[mac.len() - 1] & 15);
    let word = u32::from_be_bytes([mac[at] & 0x7f, mac[at + 1], mac[at + 2], mac[at + 3]]);
    word % 1_000_000
}

fn recovery_hash(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    sha256(plain.to_ascii_uppercase().as_bytes())
}

/// RFC 4648 §6 without padding, for a multiple of five bytes.
fn base32(bytes: &[u8]) -> String {
    bytes
        .chunks(5)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            (0..8)
                .rev()
                .map(move |at| char::from(ALPHABET[usize::try_from(word >> (5 * at) & 31).unwrap_or(0)]))
        })
        .collect()
}

fn unbase32(text: &str) -> Vec<u8> {
    let values: Vec<_> =
        text.bytes().filter_map(|byte| ALPHABET.iter().position(|letter| *letter == byte)).collect();
    values
        .chunks_exact(8)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0_u64, |word, value| word << 5 | *value as u64);
            word.to_be_bytes()[3..].to_vec()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor() -> SecondFactor {
        SecondFactor {
            secret: base32(b"12345678901234567890"),
            ..SecondFactor::new(UserId(uuid::Uuid::from_u128(1)))
        }
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        let key = unbase32(factor().secret());
        assert_eq!(key, b"12345678901234567890");
        // Appendix B, the last six of its eight digits.
        for (seconds, code) in [(59, 287_082), (1_111_111_109, 81_804), (20_000_000_000, 353_130)] {
            assert_eq!(hotp(&key, seconds / STEP_S), code);
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_minute_and_a_half() {
        let now = 1_790_000_010_000;
        let (factor, _) = factor().confirm(&factor().code(now), now).unwrap();
        assert_eq!(factor.clone().take(&factor.code(now), now), None, "the code of the confirmation is used");
        let later = now + 90_000;
        let code = factor.code(later);
        for (at, good) in
            [(later - 61_000, false), (later - 30_000, true), (later + 30_000, true), (later + 61_000, false)]
        {
            assert_eq!(factor.clone().take(&code, at).is_some(), good, "{at}");
        }
        let used = factor.take(&code, later).unwrap();
        assert_eq!(used.take(&code, later + 1_000), None);
    }

    #[test]
    fn a_recovery_code_is_good_once_however_it_is_written() {
        let now = 1_790_000_000_000;
        let (factor, codes) = factor().confirm(&factor().code(now), now).unwrap();
        assert_eq!(codes.len(), 10);
        let used = factor.take(&codes[3].to_lowercase().replace('-', " "), now).unwrap();
        assert!(used.clone().take(&codes[3], now).is_none());
        assert!(used.clone().take(&codes[4], now).is_some());
        assert!(used.take("", now).is_none());
        assert!(!format!("{:?}", SecondFactor::new(UserId(uuid::Uuid::nil()))).contains("secret"));
    }
}
