//! Sans-IO: message encryption for Web Push (RFC 8291) in one `aes128gcm` record (RFC 8188).
//!
//! ```text
//! salt (16) │ record size (4) │ 65 │ our public key (65) │ AES-128-GCM(message ‖ 0x02) │ tag (16)
//! ```

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree};
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::auth::secret::hmac_sha256;

/// An uncompressed point of P-256.
const POINT_BYTES: usize = 65;
/// The authentication secret of a subscription.
const AUTH_BYTES: usize = 16;
/// The salt of a message.
pub const SALT_BYTES: usize = 16;
/// Longest message. Push services take bodies of 4,096 bytes (RFC 8030 §7.2), of which 103 are ours.
pub const MESSAGE_MAX_BYTES: usize = 3_800;
/// What the one record of a body is at most.
const RECORD_BYTES: u32 = 4_096;
/// Marks the last record (RFC 8188 §2).
const LAST_RECORD: u8 = 2;

/// base64url as browsers write it, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// To whom a message is encrypted: what a browser's subscription says.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    point: [u8; POINT_BYTES],
    auth: [u8; AUTH_BYTES],
}

/// Which part of a subscription is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientError {
    /// `p256dh` is no point of P-256.
    Point,
    /// `auth` is not 16 bytes.
    Auth,
}

/// It cannot be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is longer than {MESSAGE_MAX_BYTES} bytes, or the keys do not fit")]
pub struct EncryptError;

/// It holds a secret.
impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient")
    }
}

impl Recipient {
    /// Reads the keys of a subscription, base64url.
    ///
    /// # Errors
    /// Which of them is none.
    pub fn parse(p256dh: &str, auth: &str) -> Result<Self, RecipientError> {
        let bytes = |text: &str| BASE64.decode(text).ok();
        let point: [u8; POINT_BYTES] =
            bytes(p256dh).and_then(|bytes| bytes.try_into().ok()).ok_or(RecipientError::Point)?;
        let auth = bytes(auth).and_then(|bytes| bytes.try_into().ok()).ok_or(RecipientError::Auth)?;
        // A point that is not on the curve would tell about the key that meets it.
        let on_curve = ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, point)).is_ok();
        if on_curve && point[0] == 4 { Ok(Self { point, auth }) } else { Err(RecipientError::Point) }
    }
}

/// Encrypts a message to a subscription. `ours` and `salt` are for this message only.
///
/// # Errors
/// The message is too long.
pub fn encrypt(
    message: &[u8],
    to: &Recipient,
    ours: &PrivateKey,
    salt: [u8; SALT_BYTES],
) -> Result<Vec<u8>, EncryptError> {
    if message.len() > MESSAGE_MAX_BYTES {
        return Err(EncryptError);
    }
    let public = ours.compute_public_key().map_err(|_| EncryptError)?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, to.point);
    let shared = agree(ours, theirs, EncryptError, |secret| {
        // RFC 8291 §3.3 and §3.4; each expansion is one block long, and so one HMAC (RFC 5869 §2.3).
        let key = hmac_sha256(&to.auth, &[secret]);
        Ok(hmac_sha256(&key, &[b"WebPush: info\0", &to.point, public.as_ref(), &[1]]))
    })?;
    let key = hmac_sha256(&salt, &[&shared]);
    let content = hmac_sha256(&key, &[b"Content-Encoding: aes128gcm\0", &[1]]);
    let nonce = hmac_sha256(&key, &[b"Content-Encoding: nonce\0", &[1]]);

    let mut sealed = message.to_vec();
    sealed.push(LAST_RECORD);
    let cipher = UnboundKey::new(&AES_128_GCM, &content[..16]).map_err(|_| EncryptError)?;
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).map_err(|_| EncryptError)?;
    LessSafeKey::new(cipher)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .map_err(|_| EncryptError)?;

    let mut body = Vec::with_capacity(SALT_BYTES + 5 + POINT_BYTES + sealed.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(u8::try_from(public.as_ref().len()).map_err(|_| EncryptError)?);
    body.extend_from_slice(public.as_ref());
    body.extend_from_slice(&sealed);
    Ok(body)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64.decode(text).unwrap()
    }

    // RFC 8291 Appendix A.
    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const THEIR_PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";

    /// What a browser with these keys reads.
    pub(crate) fn decrypt(body: &[u8], theirs: &PrivateKey, auth: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = body.split_at_checked(SALT_BYTES)?;
        let (head, sealed) = rest.split_at_checked(5 + POINT_BYTES)?;
        let public = theirs.compute_public_key().ok()?;
        let ours = UnparsedPublicKey::new(&ECDH_P256, &head[5..]);
        let shared = agree(theirs, ours, (), |secret| {
            let key = hmac_sha256(auth, &[secret]);
            Ok(hmac_sha256(&key, &[b"WebPush: info\0", public.as_ref(), &head[5..], &[1]]))
        })
        .ok()?;
        let key = hmac_sha256(salt, &[&shared]);
        let content = hmac_sha256(&key, &[b"Content-Encoding: aes128gcm\0", &[1]]);
        let nonce = hmac_sha256(&key, &[b"Content-Encoding: nonce\0", &[1]]);
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content[..16]).ok()?);
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).ok()?;
        let (last, message) = cipher.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?.split_last()?;
        (*last == LAST_RECORD).then(|| message.to_vec())
    }

    #[test]
    fn the_example_of_rfc_8291_comes_out_byte_for_byte() {
        let ours =
            PrivateKey::from_private_key(&ECDH_P256, &bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
                .unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let to = Recipient::parse(P256DH, AUTH).unwrap();
        let body = encrypt(b"When I grow up, I want to be a watermelon", &to, &ours, salt).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6T\
                        lzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a\
                        -fN";
        assert_eq!(body, bytes(expected));
        let theirs = PrivateKey::from_private_key(&ECDH_P256, &bytes(THEIR_PRIVATE)).unwrap();
        assert_eq!(
            decrypt(&body, &theirs, &bytes(AUTH)).unwrap(),
            b"When I grow up, I want to be a watermelon"
        );
    }

    #[test]
    fn keys_that_are_none_are_refused_and_padding_does_not_matter() {
        assert!(Recipient::parse(&format!("{P256DH}="), &format!("{AUTH}==")).is_ok());
        let mut off_curve = bytes(P256DH);
        off_curve[64] ^= 1;
        let compressed = BASE64.encode([&[2], &bytes(P256DH)[1..33]].concat());
        for point in ["", "!", AUTH, &BASE64.encode(off_curve), &BASE64.encode([0; 65]), &compressed] {
            assert_eq!(Recipient::parse(point, AUTH), Err(RecipientError::Point), "{point}");
        }
        for auth in ["", "!", P256DH] {
            assert_eq!(Recipient::parse(P256DH, auth), Err(RecipientError::Auth), "{auth}");
        }
    }

    #[test]
    fn the_longest_message_fits_a_push_service_and_a_longer_one_is_refused() {
        let to = Recipient::parse(P256DH, AUTH).unwrap();
        let ours = PrivateKey::generate(&ECDH_P256).unwrap();
        let longest = encrypt(&[b'x'; MESSAGE_MAX_BYTES], &to, &ours, [1; 16]).unwrap();
        assert!(longest.len() <= 4_096);
        assert_eq!(encrypt(&[b'x'; MESSAGE_MAX_BYTES + 1], &to, &ours, [1; 16]), Err(EncryptError));
    }
}
